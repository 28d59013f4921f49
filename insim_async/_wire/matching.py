"""Whose row is whose, and what a row says of its message."""

from __future__ import annotations

import re
from collections.abc import Sequence

from insim_async._privacy import is_code
from insim_async._wire.requests import Message
from insim_async.errors import AuthenticationFailed, OutcomeUnknown, Refused
from insim_async.models import Contact, ContactResult, SmsReceipt

__all__ = ["all_sent", "fault_of", "match", "match_contacts"]

_SEND_ERRORS = {
    "#001": "authentication failed",
    "#002": "the account is not activated",
    "#003": "the recipient does not want SMS",
    "#004": "forbidden words",
    "#006": "empty content",
    "#007": "invalid phone number",
}
_NOT_DIGITS = re.compile(r"[^0-9]+")
_NO_RESULT = ContactResult("-")
_ABOUT_THE_ACCOUNT = {"#001", "#002"}


def all_sent(messages: Sequence[Message], receipts: Sequence[SmsReceipt | None]) -> bool:
    """Say whether the answer has what is hoped for: a receipt for each message, in order, and nothing refused."""
    if len(receipts) != len(messages):
        return False
    for message, receipt in zip(messages, receipts, strict=True):
        if receipt is None or receipt.sms_id != message.id_sms_api or receipt.phone_number != message.phone_number:
            return False
        if not receipt.sent or receipt.errors:
            return False
    return True


def match(messages: Sequence[Message], receipts: Sequence[SmsReceipt | None]) -> Sequence[SmsReceipt | None]:
    """Find the receipt of each message: by the id that was sent, else by position and number; None if there is none.

    Position counts only where the answer has as many rows as the request, and either no id of ours at all or no id
    in this row; without a number it says no more than that a message was refused, if the other numbers are in order.
    A message whose receipts contradict each other, or that name another number, has none.
    """
    ours = {message.id_sms_api for message in messages}
    by_id: dict[str, list[SmsReceipt]] = {}
    for receipt in receipts:
        if receipt is not None and receipt.sms_id in ours:
            by_id.setdefault(receipt.sms_id, []).append(receipt)
    in_line = receipts if len(receipts) == len(messages) else [None] * len(messages)
    in_order = not any(
        receipt is not None and receipt.phone_number and not _same_number(message.phone_number, receipt.phone_number)
        for message, receipt in zip(messages, in_line, strict=True)
    )
    return [
        _agreed(message.phone_number, by_id[message.id_sms_api])
        if message.id_sms_api in by_id
        else _in_position(message.phone_number, receipt, echoed=bool(by_id), in_order=in_order)
        for message, receipt in zip(messages, in_line, strict=True)
    ]


def match_contacts(contacts: Sequence[Contact], results: Sequence[ContactResult]) -> list[ContactResult]:
    """Find the result of each contact: by position and number, else by number alone.

    Raises:
        ValueError: One has none.
    """
    in_line = results if len(results) == len(contacts) else [_NO_RESULT] * len(contacts)
    return [
        result
        if _same_number(contact.phone_number, result.phone_number) or not (result.ok or result.phone_number)
        else _result_for(contact, results)
        for contact, result in zip(contacts, in_line, strict=True)
    ]


def fault_of(receipt: SmsReceipt) -> Refused | OutcomeUnknown | None:
    """Return why the server did not take the message, or why nobody knows; None if it did."""
    if receipt.sent and not receipt.errors:
        return None
    codes = tuple(filter(is_code, receipt.errors))
    if receipt.sent and not codes:
        return OutcomeUnknown("the server says that it sent it, and in the receipt's errors words that are no code")
    reasons = [f"{code} ({_SEND_ERRORS.get(code, 'undocumented')})" for code in codes]
    if len(codes) < len(receipt.errors):
        reasons.append("in words, which stand in the receipt")  # and may repeat what they were told
    error = AuthenticationFailed if _ABOUT_THE_ACCOUNT.intersection(codes) else Refused
    return error(f"the server did not send it: {', '.join(reasons) or 'no reason given'}", codes=codes)


def _agreed(number: str, receipts: list[SmsReceipt]) -> SmsReceipt | None:
    if any(_another_number(number, receipt.phone_number) for receipt in receipts):
        return None
    return receipts[0] if len({type(fault_of(receipt)) for receipt in receipts}) == 1 else None


def _in_position(number: str, receipt: SmsReceipt | None, *, echoed: bool, in_order: bool) -> SmsReceipt | None:
    if receipt is None or (echoed and receipt.sms_id):
        return None
    if not receipt.phone_number:
        return receipt if in_order and not receipt.sent else None
    return receipt if _same_number(number, receipt.phone_number) else None


def _result_for(contact: Contact, results: Sequence[ContactResult]) -> ContactResult:
    for result in results:
        if _same_number(contact.phone_number, result.phone_number):
            return result
    raise ValueError("no result for one of the contacts")


def _another_number(ours: str, theirs: str) -> bool:
    digits = _NOT_DIGITS.sub("", theirs)
    return len(digits) >= 9 and ours[-7:] != digits[-7:]


def _same_number(ours: str, theirs: str) -> bool:
    digits = _NOT_DIGITS.sub("", theirs).lstrip("0")
    return len(digits) >= 7 and ours.endswith(digits)
