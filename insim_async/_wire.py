"""The vendor's language: requests out, answers in. The only room that knows its words.

Answers are read in three tries, each slower and more tolerant than the one before: as documented to the letter;
as documented, with fields that nobody here has heard of; in any of the vendor's spellings (``_tolerant``). The first
two run in C. Nothing here does I/O or reads a clock.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from functools import cached_property
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from insim_async import _tolerant
from insim_async._tolerant import Words
from insim_async.errors import AuthenticationFailed, OutcomeUnknown, Refused
from insim_async.models import CallResult, Contact, ContactResult, SmsReceipt, Unnamed, Unshown, is_code

__all__ = [
    "CALL",
    "CONTACTS",
    "MESSAGES",
    "PLACEHOLDER",
    "Account",
    "Message",
    "all_sent",
    "decode_call",
    "decode_contacts",
    "decode_receipts",
    "fault_of",
    "match",
    "match_contacts",
]

MESSAGES = "/api/v1/sendsms"
CONTACTS = "/api/v1/contact"
CALL = "/api/v1/clicTocall"
PLACEHOLDER = "[Lien_Tracking]"

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
_NOT_JSON = "not a whole JSON document"
_ABOUT_THE_ACCOUNT = {"#001", "#002"}
_BLOCKING = {"#001", "#002", "#003"}


# Requests ----------------------------------------------------------------------------------------------------------


class Message(Unshown, frozen=True, gc=False):
    """A message as it goes out; what is unset does not."""

    phone_number: str
    message: str
    id_sms_api: str
    url: str | UnsetType = UNSET
    priorite: int | UnsetType = UNSET
    date_to_send: str | UnsetType = UNSET


class _Contact(Unshown, frozen=True, omit_defaults=True, gc=False):
    phone_number: str
    firstname: str
    lastname: str
    adress: str = ""
    email: str = ""


class Account:
    """Login and access key, as the ``header`` of a request; neither shows in its ``repr``, and it cannot be pickled."""

    __slots__ = ("_header",)

    def __init__(self, login: str, access_key: str, *, dry_run: bool = False) -> None:
        self._header = _encode({"login": login, "accessKey": access_key} | ({"mode": "test"} if dry_run else {}))

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("the access key is not pickled")

    def messages(self, messages: Sequence[Message]) -> bytes:
        """Encode a request to send."""
        _encode_into(messages, _kept.buffer)
        return b"".join((b'{"header":', self._header, b',"messages":', _kept.buffer, b"}"))

    def contacts(self, contacts: Sequence[Contact]) -> bytes:
        """Encode a request to add."""
        rows = [_Contact(c.phone_number, c.first_name, c.last_name, c.address, c.email) for c in contacts]
        return b'{"header":%b,"contacts":%b}' % (self._header, _encode(rows))

    def call(self, phone_number: str) -> bytes:
        """Encode a request to call."""
        rest = _encode({"type": "clicToCall", "phone_number": phone_number})
        return b'{"header":%b,%b}' % (self._header[:-1], rest[1:])


# A subclass of str, such as the templates of web frameworks make, is written as what it says.
_encoder = msgspec.json.Encoder(enc_hook=str.__str__)
_encode, _encode_into = _encoder.encode, _encoder.encode_into


class _Kept(threading.local):
    """A buffer that is grown once, and not for each batch anew.

    Each thread has its own: whoever uses a client in the wrong one is refused, but after the body was made.
    """

    def __init__(self) -> None:
        self.buffer = bytearray()


_kept = _Kept()


# Answers -----------------------------------------------------------------------------------------------------------

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
