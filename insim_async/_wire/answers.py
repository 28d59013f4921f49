"""Answers, in any of the vendor's spellings: bytes in, values out.

They are read in three tries, each slower and more tolerant than the one before: as documented to the letter;
as documented, with fields that nobody here has heard of; in any of the vendor's spellings (``_tolerant``). The first
two run in C.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from functools import cached_property
from typing import Any, Literal

import msgspec
from msgspec import Struct

from insim_async import _tolerant
from insim_async._privacy import Unshown, is_code
from insim_async._tolerant import Words
from insim_async.models import CallResult, ContactResult, SmsReceipt, Unnamed

__all__ = ["decode_call", "decode_contacts", "decode_receipts"]

_NOT_JSON = "not a whole JSON document"
_BLOCKING = {"#001", "#002", "#003"}


_RECEIPT = Words(
    sms_id=(_tolerant.text, "id_sms_api"),
    phone_number=(_tolerant.text, "phone_number phone"),
    message=(_tolerant.text, "message sms"),
    parts=(_tolerant.whole, "sms_per_message count_sms"),
    sent=(_tolerant.flag, "sent"),
    sent_at=(_tolerant.moment, "sent_time send_time"),
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


_Codes = tuple[Literal["#001", "#002", "#003", "#004", "#005", "#006", "#007"], ...]
_ERRORS = ("error", "Error", "Errors", "ERROR", "ERRORS")
"""Fields that must not be overlooked among those that have no name here: an answer with one is read more closely."""
_being_read: ContextVar[_Unread | None] = ContextVar("_being_read", default=None)
"""The answer that is being read: msgspec takes it as a default, so that a receipt keeps what it has no name for."""


def _receipts(*more: tuple[str, Any, Any], **options: Any) -> msgspec.json.Decoder[list[SmsReceipt]]:
    """Make a decoder of lists of receipts."""
    kind = msgspec.defstruct(
        "SmsReceipt", more, bases=(SmsReceipt,), frozen=True, kw_only=True, eq=False, gc=False, **options
    )
    return msgspec.json.Decoder(list[kind], strict=False)  # type: ignore[valid-type]  # made at run time


class _Added(Unshown, frozen=True, forbid_unknown_fields=True, gc=False):
    """A contact's result, in both documented spellings: that of a success and that of a failure."""

    result: Literal["success", "failed"]
    adress: str = ""
    email: str = ""
    errors: _Codes = ()
    firstname: str = ""
    lastname: str = ""
    phonenumber: str = ""
    first_name: str = ""
    last_name: str = ""
    phone_number: str = ""


class _AddedList(Struct, forbid_unknown_fields=True):
    contact: list[_Added]


class _AddedAnswer(Struct, forbid_unknown_fields=True):
    data: _AddedList


_codes = ("errors", _Codes, msgspec.field(default=()))
_to_the_letter = _receipts(_codes, forbid_unknown_fields=True)
_with_more = _receipts(
    _codes,
    ("_more", dict[str, Any], msgspec.field(name="extra", default_factory=_being_read.get)),
    *((f"_{word}", Literal["(never)"] | None, msgspec.field(name=word, default=None)) for word in _ERRORS),
)
_added = msgspec.json.Decoder(_AddedAnswer)


def decode_receipts(body: bytes) -> Sequence[SmsReceipt | None]:
    """Read the answer to a request to send; None where a row says nothing that can be read.

    Raises:
        ValueError: It is not whole, or holds no receipt.
    """
    try:
        return _to_the_letter.decode(body)
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, RecursionError):
        raise ValueError(_NOT_JSON) from None
    reading = _being_read.set(_Unread(body))
    try:
        return _with_more.decode(body)
    except msgspec.ValidationError:
        pass
    finally:
        _being_read.reset(reading)
    found = [_receipt(row) for row in _RECEIPT.objects(_json(body))]
    if not any(found):
        raise ValueError("no receipt in it")
    return found


def decode_contacts(body: bytes) -> list[ContactResult]:
    """Read the answer to a request to add contacts, in the order of the answer.

    Raises:
        ValueError: It is not whole, or a result in it says neither success nor failure.
    """
    try:
        rows = _added.decode(body).data.contact
    except msgspec.ValidationError:
        return [_contact(row) for row in _CONTACT.objects(_json(body))]
    except (msgspec.DecodeError, RecursionError):
        raise ValueError(_NOT_JSON) from None
    return [
        ContactResult(
            row.phonenumber or row.phone_number,
            row.firstname or row.first_name,
            row.lastname or row.last_name,
            row.adress,
            row.email,
            ok=row.result == "success" and (not row.errors or _BLOCKING.isdisjoint(row.errors)),
            errors=row.errors,
        )
        for row in rows
    ]


def decode_call(body: bytes) -> CallResult:
    """Read the answer to a request to call.

    Raises:
        ValueError: It is not whole, or says neither success nor failure.
    """
    row, *others = _CALL.objects(_json(body)) or [None]
    if others:
        raise ValueError("more than one result in it")
    known, extra = _CALL.read(row or {})
    if "ok" not in known:
        raise ValueError("no result in it")
    known["ok"] = known["ok"] and not known.get("errors")
    return CallResult(**known, extra=extra)


def _receipt(row: Mapping[str, Any] | None) -> SmsReceipt | None:
    known, extra = _RECEIPT.read(row or {})
    if "sent" not in known and not ("sms_id" in known and any(map(is_code, known.get("errors", ())))):
        return None
    blank: dict[str, Any] = {
        "sms_id": "",
        "phone_number": "",
        "message": "",
        "parts": 0,
        "sent": False,
        "sent_at": None,
        "account": "",
    }
    return SmsReceipt(**(blank | known), _more=Unnamed(extra) if extra else None)


def _contact(row: Mapping[str, Any] | None) -> ContactResult:
    known, extra = _CONTACT.read(row or {})
    if "ok" not in known:
        raise ValueError("a result that says neither success nor failure")
    known["ok"] = known["ok"] and _BLOCKING.isdisjoint(known.get("errors", ()))
    blank: dict[str, Any] = {"phone_number": ""}
    return ContactResult(**(blank | known), extra=extra)


class _Unread(Unnamed):
    """An answer with fields that have no name here, read a second time when somebody asks for them."""

    def __init__(self, body: bytes) -> None:
        super().__init__({})
        self._body = body

    def of(self, receipt: SmsReceipt) -> Mapping[str, Any]:
        """Return the fields of one of its receipts."""
        return self._by_id.get(receipt.sms_id, {})

    @cached_property
    def _by_id(self) -> dict[str, dict[str, Any]]:
        known = set(SmsReceipt.__struct_encode_fields__)
        rows: list[dict[str, Any]] = _json(self._body)
        return {row["id_sms_api"]: {name: row[name] for name in row if name not in known} for row in rows}


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError(_NOT_JSON) from None
