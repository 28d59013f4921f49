"""Whose row is whose, and what a row says of its message: one ending for each message, or contact, in their order.

A row belongs to the message whose id it repeats. Where the server has ids of its own, or puts a
placeholder in place of one, a row counts by its place, if there are as many rows as messages, and
if its number agrees. What cannot be matched, or is contradicted, is unknown: nothing is guessed.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from insim_async._wire.answers import ReceiptRows, receipt_rows, result_rows, single_result
from insim_async._wire.codes import ABOUT_THE_ACCOUNT, error_of, refusal_words, with_reason
from insim_async._wire.fast import all_sent, plain_results
from insim_async._wire.requests import Message
from insim_async.errors import AuthenticationFailed, InSimError
from insim_async.models import CallResult, Contact, ContactResult, SmsReceipt

__all__ = ["Receipts", "read_call", "read_contacts", "read_receipts"]

_NOT_DIGITS = re.compile(r"[^0-9]+")
_DIALLED_INSIDE = re.compile(r"\(\s*0\s*\)")
_SAYS_SOMETHING, _WHOLE = 7, 9
"""Digits from which on a number tells messages apart, and those that a whole number has at least.
"""
_AS_A_FRACTION = re.compile(r"\+?[0-9]{7,}\.0+").fullmatch


class Receipts(NamedTuple):
    """How each message of a request ended, in their order.

    Attributes:
        receipts: What the server said of each; None where it said nothing of it.
        errors: Why it was not taken, or why nobody knows, or None if it was; None at all if all
            were.
    """

    receipts: Sequence[SmsReceipt | None]
    errors: Sequence[InSimError | None] | None = None


def read_receipts(messages: Sequence[Message], body: bytes) -> Receipts:
    """Read the answer to a request to send these messages.

    Raises:
        ValueError: It is not whole, or holds neither receipt nor error.
    """
    if (receipts := all_sent(messages, body)) is not None:
        return Receipts(receipts)
    answer = receipt_rows(body)
    matched = _matched(messages, answer)
    refused = _refusal_of_the_account(answer, matched)
    if refused:
        return Receipts(
            matched, [AuthenticationFailed(refusal_words(refused), codes=refused) for _ in messages]
        )
    alone = not _any_taken(answer)
    return Receipts(
        matched, [error_of(receipt, denied=answer.denied, alone=alone) for receipt in matched]
    )


def read_contacts(contacts: Sequence[Contact], body: bytes) -> list[ContactResult | None]:
    """Read the answer to a request to add these contacts; None for a contact that has no result in it.

    Where the answer has as many results as there are contacts, and their numbers are in order as
    far as they say anything, each contact has the one in its place; else each has the one with its
    number.

    Raises:
        ValueError: It is not whole, or a result in it says neither success nor failure.
    """
    results = plain_results(body) or result_rows(body)
    if len(results) == len(contacts) and all(
        _is_mute(result.phone_number) or _same_number(contact.phone_number, result.phone_number)
        for contact, result in zip(contacts, results, strict=True)
    ):
        return [with_reason(result) for result in results]
    found = [
        [row for row in results if _same_number(each.phone_number, row.phone_number)]
        for each in contacts
    ]
    return [with_reason(rows[0]) if len({row.ok for row in rows}) == 1 else None for rows in found]


def read_call(body: bytes) -> CallResult:
    """Read the answer to a request to call.

    Raises:
        ValueError: It is not whole, or says neither success nor failure.
    """
    return single_result(body)


# Messages ----------------------------------------------------------------------------------------


def _matched(messages: Sequence[Message], answer: ReceiptRows) -> list[SmsReceipt | None]:
    places = {message.id_sms_api: place for place, message in enumerate(messages)}
    in_line = len(answer.receipts) == len(messages)
    in_order = in_line
    by_id: dict[int, list[SmsReceipt]] = {}
    by_place: dict[int, SmsReceipt] = {}
    for position, row in enumerate(answer.receipts):
        if row is None:
            continue
        place = places.get(row.sms_id)
        if place is None:
            by_place[position] = row
            in_order = in_order and _is_at_home(row, messages[position])
        elif (
            place == position
            or not _is_placeholder(row.sms_id, position)
            or not _is_mute(row.phone_number)
        ):
            by_id.setdefault(place, []).append(row)
            in_order = in_order and place == position
    matched = [
        _agreed(message.phone_number, by_id[place])
        if place in by_id
        else _in_place(
            message.phone_number,
            by_place.get(place),
            echoed=bool(by_id),
            in_order=in_order,
            place=place,
        )
        if in_line
        else None
        for place, message in enumerate(messages)
    ]
    return _without_mistakable(messages, matched, by_id)


def _is_at_home(row: SmsReceipt, message: Message) -> bool:
    return not row.phone_number or _same_number(message.phone_number, row.phone_number)


def _is_placeholder(sms_id: str, position: int) -> bool:
    """Say whether it is no id but what the vendor puts in place of one: nothing, 0, or the row's index."""
    return sms_id in {"", "0", str(position)}


def _agreed(number: str, receipts: list[SmsReceipt]) -> SmsReceipt | None:
    """Return the receipt that has the message's id, unless it is for another number or contradicted by another."""
    if any(_another_number(number, receipt.phone_number) for receipt in receipts):
        return None
    return receipts[0] if len({_ending_of(receipt) for receipt in receipts}) == 1 else None


def _in_place(
    number: str, receipt: SmsReceipt | None, *, echoed: bool, in_order: bool, place: int
) -> SmsReceipt | None:
    """Return the receipt in the message's place if it is the message's.

    In an answer that repeats our ids, a row with another id is of another message. Without a number
    a row says no more than that a message was refused, if the others are in order.
    """
    if receipt is None or (echoed and not _is_placeholder(receipt.sms_id, place)):
        return None
    if not receipt.phone_number:
        return receipt if in_order and not receipt.sent else None
    return receipt if _same_number(number, receipt.phone_number) else None


def _without_mistakable(
    messages: Sequence[Message], matched: list[SmsReceipt | None], by_id: Iterable[int]
) -> list[SmsReceipt | None]:
    """Take the receipts from those whose number another message has too, if it ended otherwise: it may be the other's.

    By id there is no mistaking; by place there is, where a server has an order of its own.
    """
    known = set(by_id)
    kinds: dict[str, set[object]] = {}
    for place, message in enumerate(messages):
        if place not in known:
            kinds.setdefault(message.phone_number, set()).add(_ending_of(matched[place]))
    return [
        receipt if place in known or len(kinds[message.phone_number]) == 1 else None
        for place, (message, receipt) in enumerate(zip(messages, matched, strict=True))
    ]


def _ending_of(receipt: SmsReceipt | None) -> object:
    """Return what tells two endings apart: taken, taken with an error, or refused for whatever reason."""
    return receipt and (receipt.sent, receipt.sent and bool(receipt.errors))


def _any_taken(answer: ReceiptRows) -> bool:
    """Say whether a message may have been taken."""
    return any(row is None or row.sent for row in answer.receipts)


def _refusal_of_the_account(
    answer: ReceiptRows, matched: Sequence[SmsReceipt | None]
) -> tuple[str, ...]:
    """Return the codes that say that the account was refused, and with it the whole request.

    They stand around the rows, or in a row that is of no message, where nothing was taken.
    """
    if _any_taken(answer):
        return ()
    of_a_message = {id(receipt) for receipt in matched}
    stray = (
        code
        for row in answer.receipts
        if row is not None and id(row) not in of_a_message
        for code in row.errors
    )
    return tuple(sorted(ABOUT_THE_ACCOUNT.intersection((*answer.codes, *stray))))


# Numbers -----------------------------------------------------------------------------------------


def _digits(number: str) -> str:
    """Return the digits of a number as a server writes it: percent-encoded, with a zero in brackets, as a fraction."""
    number = urllib.parse.unquote(number)
    number = number.partition(".")[0] if _AS_A_FRACTION(number) else _DIALLED_INSIDE.sub("", number)
    return _NOT_DIGITS.sub("", number)


def _is_mute(number: str) -> bool:
    """Say whether a number says nothing: it is missing, or masked, as in the vendor's own examples."""
    return len(_digits(number)) < _SAYS_SOMETHING


def _another_number(ours: str, theirs: str) -> bool:
    digits = _digits(theirs)
    return len(digits) >= _WHOLE and ours[-_SAYS_SOMETHING:] != digits[-_SAYS_SOMETHING:]


def _same_number(ours: str, theirs: str) -> bool:
    digits = _digits(theirs).lstrip("0")
    return len(digits) >= _SAYS_SOMETHING and ours.endswith(digits)
