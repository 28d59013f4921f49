"""Answers, in any of the vendor's spellings: bytes in, rows out, and what stands around the rows.

Whose row is whose is told in ``matching``; ``fast`` reads what is as documented, in less time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from insim_async import _tolerant
from insim_async._tolerant import Words
from insim_async._wire.codes import ABOUT_THE_ACCOUNT
from insim_async._wire.wrapping import find, says_failed, says_no, says_sent, spelled_codes
from insim_async.models import CallResult, ContactResult, SmsReceipt, Unnamed

__all__ = ["BLOCKING", "ReceiptRows", "json_of", "read_call", "receipt_rows", "result_rows"]
__all__ += ["unnamed_fields"]

BLOCKING = frozenset({"#001", "#002", "#003"})
"""The codes that keep a contact out."""


def _whole_number(value: object) -> int:
    try:
        return msgspec.convert(value, int, strict=False)
    except (msgspec.ValidationError, ValueError):
        return _tolerant.whole(value)


def _moment(value: object) -> datetime:
    """Read a date; a mere number counts the seconds since 1970."""
    try:
        return msgspec.convert(value, datetime, strict=False)
    except (msgspec.ValidationError, ValueError):
        return _tolerant.moment(value)


_RECEIPT = Words(
    sms_id=(_tolerant.text, "id_sms_api"),
    phone_number=(_tolerant.text, "phone_number phone"),
    message=(_tolerant.text, "message sms"),
    parts=(_whole_number, "sms_per_message count_sms"),
    sent=(_tolerant.flag, "sent"),
    sent_at=(_moment, "sent_time send_time"),
    account=(_tolerant.text, "user"),
    errors=(_tolerant.codes, "errors error"),
)
_CONTACT = Words(
    phone_number=(_tolerant.text, "phone_number phone"),
    first_name=(_tolerant.text, "first_name"),
    last_name=(_tolerant.text, "last_name"),
    address=(_tolerant.text, "adress address"),
    email=(_tolerant.text, "email"),
    ok=(_tolerant.flag, "result"),
    errors=(_tolerant.codes, "errors error"),
)
_CALL = Words(
    ok=(_tolerant.flag, "result"),
    info=(_tolerant.text, "info"),
    errors=(_tolerant.codes, "errors error"),
)
_CONTRADICTORY = "the answer as a whole says that something went wrong, and its parts say otherwise"
_OLDER_ROW = {"id_sms_api", "count_sms", "user", "send_time", "phone", "sms"}
"""What the older pages document of a message that was taken: these fields, and none that says how
it went."""
_BLANK: dict[str, Any] = {
    "sms_id": "",
    "phone_number": "",
    "message": "",
    "parts": 0,
    "sent": False,
    "sent_at": None,
    "account": "",
}


class ReceiptRows(NamedTuple):
    """What the answer to a request to send says.

    Attributes:
        receipts: One for each row; None where a row says nothing that can be read.
        ordered: Whether the order of the rows means anything.
        unclear: The ids of rows that say nothing that can be read, or contradict themselves.
        denied: Whether what the rows are wrapped in says that something went wrong.
        codes: The codes that stand there, written in full.
        account: The rows (by their ``id``) that have a code about the account, written in full.
    """

    receipts: list[SmsReceipt | None]
    ordered: bool
    unclear: set[str]
    denied: bool
    codes: list[str]
    account: set[int]


def receipt_rows(body: bytes) -> ReceiptRows:
    """Read the answer to a request to send.

    Raises:
        ValueError: It is not whole, or holds neither receipt nor error.
    """
    document = json_of(body)
    found = find(document, _RECEIPT, own="sms_id")
    # An answer about one message may be a row, and at the same time what is around it.
    both = isinstance(document, dict) and not found.wrappers and found.rows == [document]
    around = [unnamed_fields(document)] if both else found.wrappers
    denied = any(map(says_no, around))
    codes = [code for wrapper in found.wrappers for code in spelled_codes(wrapper)]
    older = found.plain and not denied
    # A single row that was refused, in what says that one was sent, contradicts it.
    refusable = len(found.rows) > 1 or not any(map(says_sent, found.wrappers))
    receipts = [_receipt(row or {}, older=older, refusable=refusable) for row in found.rows]
    if not any(receipts) and not codes:
        raise ValueError("no receipt in it")
    pairs = list(zip(found.rows, receipts, strict=True))
    return ReceiptRows(
        receipts,
        found.ordered,
        {
            str(_RECEIPT.read(row)[0].get("sms_id", ""))
            for row, receipt in pairs
            if row and receipt is None
        },
        denied,
        codes,
        {
            id(receipt)
            for row, receipt in pairs
            if row and ABOUT_THE_ACCOUNT.intersection(spelled_codes(row))
        },
    )


def result_rows(body: bytes) -> tuple[list[ContactResult | None], bool]:
    """Read the answer to a request to add contacts; None for a row that says neither yes nor no.

    Returns:
        The results in the order of the answer, and whether that order means anything.

    Raises:
        ValueError: It is not whole, holds no result, or what they are wrapped in says that
            something went wrong and a result that nothing did.
    """
    found = find(json_of(body), _CONTACT, own="phone_number")
    results = [_result(row or {}) for row in found.rows]
    if not any(results):
        raise ValueError("no result in it")
    if any(map(says_no, found.wrappers)) and any(result and result.ok for result in results):
        raise ValueError(_CONTRADICTORY)
    return results, found.ordered


def read_call(body: bytes) -> CallResult:
    """Read the answer to a request to call.

    Raises:
        ValueError: It is not whole, says neither success nor failure, or both.
    """
    found = find(json_of(body), _CALL)
    row, *others = found.rows or [None]
    if others:
        raise ValueError("more than one result in it")
    known, extra = _CALL.read(row or {})
    if "ok" not in known:
        raise ValueError("no result in it")
    known["ok"] = known["ok"] and not known.get("errors")
    if known["ok"] and any(map(says_no, [*found.wrappers, extra])):
        raise ValueError(_CONTRADICTORY)
    return CallResult(**known, extra=extra)


def unnamed_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a receipt that have no name here."""
    return _RECEIPT.read(row)[1]


def json_of(body: bytes) -> Any:
    """Read JSON.

    Raises:
        ValueError: It is none, or not whole.
    """
    try:
        return _decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise ValueError("not a whole JSON document") from None


_decode = msgspec.json.Decoder(float_hook=float).decode  # one that is too large is infinite


def _receipt(row: Mapping[str, Any], *, older: bool, refusable: bool) -> SmsReceipt | None:
    """Read a row; None where it says neither that the message was taken nor that it was not.

    Args:
        row: The row.
        older: Whether what is around it allows that it is one of the older pages.
        refusable: Whether what is around it allows that it is a refusal for its codes alone.
    """
    known, extra = _RECEIPT.read(row)
    if "sent" not in known:
        if _RECEIPT.is_left_over("sent", extra):
            return None
        if not (refusable and spelled_codes(row)):
            if not (older and _was_taken(row, known, extra)):
                return None
            known["sent"] = True
    elif known["sent"] and says_failed(extra):
        return None
    return SmsReceipt(**(_BLANK | known), _more=Unnamed(extra) if extra else None)


def _was_taken(row: Mapping[str, Any], known: Mapping[str, Any], extra: Mapping[str, Any]) -> bool:
    """Say whether a row is, to the letter, the older pages' row of a message that was taken."""
    whole = row.keys() == _OLDER_ROW and len(known) == len(_OLDER_ROW) and not extra
    return whole and known["parts"] > 0


def _result(row: Mapping[str, Any]) -> ContactResult | None:
    known, extra = _CONTACT.read(row)
    errors = known.get("errors", ())
    if "ok" not in known:
        if _CONTACT.is_left_over("ok", extra) or BLOCKING.isdisjoint(spelled_codes(row)):
            return None
        known["ok"] = False
    known["ok"] = known["ok"] and not any(error[:4] in BLOCKING for error in errors)
    blank: dict[str, Any] = {"phone_number": ""}
    return ContactResult(**(blank | known), extra=extra)
