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
from insim_async.models import CallResult, ContactResult, SmsReceipt, Unnamed

__all__ = ["NOT_JSON", "ReceiptRows", "receipt_rows", "result_rows", "single_result"]

NOT_JSON = "not a whole JSON document"

_SEND_CODES = frozenset(f"#00{digit}" for digit in range(1, 8))
BLOCKING = frozenset({"#001", "#002", "#003"})
"""The codes that keep a contact out."""


def _whole_number(value: object) -> int:
    try:
        return msgspec.convert(value, int, strict=False)
    except msgspec.ValidationError:
        return _tolerant.whole(value)


def _moment(value: object) -> datetime:
    """Read a date; a mere number counts the seconds since 1970."""
    try:
        return msgspec.convert(value, datetime, strict=False)
    except msgspec.ValidationError:
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
        denied: Whether what the rows are wrapped in says that something went wrong.
        codes: The codes that stand there, written in full: a mere number may be anything.
    """

    receipts: list[SmsReceipt | None]
    denied: bool
    codes: tuple[str, ...]


def receipt_rows(body: bytes) -> ReceiptRows:
    """Read the answer to a request to send.

    Raises:
        ValueError: It is not whole, or holds neither receipt nor error.
    """
    document = json_of(body)
    rows, wrappers = _RECEIPT.find(document)
    both = (
        isinstance(document, dict) and not wrappers
    )  # a row, and what is around it: an answer about one message
    around = [unnamed_fields(document)] if both else wrappers
    denied = any(map(_tolerant.says_no, around))
    found = [_receipt(row, denied=denied) for row in rows]
    codes = tuple(code for wrapper in wrappers for code in _tolerant.spelled_codes(wrapper))
    if not any(found) and not codes:
        raise ValueError("no receipt in it")
    return ReceiptRows(found, denied, codes)


def result_rows(body: bytes) -> list[ContactResult]:
    """Read the answer to a request to add contacts, in the order of the answer.

    Raises:
        ValueError: It is not whole, a result in it says neither success nor failure, or what they
            are wrapped in says that something went wrong and a result that nothing did.
    """
    rows, wrappers = _CONTACT.find(json_of(body))
    results = list(map(_result, rows))
    if any(map(_tolerant.says_no, wrappers)) and any(result.ok for result in results):
        raise ValueError(
            "the answer as a whole says that something went wrong, and its parts say otherwise"
        )
    return results


def single_result(body: bytes) -> CallResult:
    """Read the answer to a request to call.

    Raises:
        ValueError: It is not whole, says neither success nor failure, or both.
    """
    rows, wrappers = _CALL.find(json_of(body))
    row, *others = rows or [None]
    if others:
        raise ValueError("more than one result in it")
    known, extra = _CALL.read(row or {})
    if "ok" not in known:
        raise ValueError("no result in it")
    known["ok"] = known["ok"] and not known.get("errors")
    if known["ok"] and any(map(_tolerant.says_no, wrappers)):
        raise ValueError(
            "the answer as a whole says that something went wrong, and its parts say otherwise"
        )
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
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError(NOT_JSON) from None


def _receipt(row: Mapping[str, Any] | None, *, denied: bool) -> SmsReceipt | None:
    known, extra = _RECEIPT.read(row or {})
    if "sent" not in known and not _was_refused(row or {}, known):
        if denied or row is None or not _was_taken(row, known, extra):
            return None
        known["sent"] = True
    return SmsReceipt(**(_BLANK | known), _more=Unnamed(extra) if extra else None)


def _was_refused(row: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Say whether a row that does not say whether it was sent has a code for why not.

    Written in full, or documented and in a row of some message: ``{"error": 500}`` is a server that
    has failed.
    """
    documented = _SEND_CODES.intersection(known.get("errors", ()))
    return bool(
        _tolerant.spelled_codes(row) or (documented and known.keys() & {"sms_id", "phone_number"})
    )


def _was_taken(row: Mapping[str, Any], known: Mapping[str, Any], extra: Mapping[str, Any]) -> bool:
    """Say whether a row is, to the letter, what the older pages document of a message that was taken."""
    return (
        row.keys() == _OLDER_ROW
        and len(known) == len(_OLDER_ROW)
        and not extra
        and known["parts"] > 0
    )


def _result(row: Mapping[str, Any] | None) -> ContactResult:
    known, extra = _CONTACT.read(row or {})
    if "ok" not in known:
        raise ValueError("a result that says neither success nor failure")
    known["ok"] = known["ok"] and BLOCKING.isdisjoint(known.get("errors", ()))
    blank: dict[str, Any] = {"phone_number": ""}
    return ContactResult(**(blank | known), extra=extra)
