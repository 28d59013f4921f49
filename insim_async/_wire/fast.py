"""The fast way through answers that are as documented.

All in this file may be deleted: nothing but speed changes. Each function returns None where
``answers`` and ``matching`` have to look; what it returns is what they would.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import repeat
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta, field
from msgspec.structs import force_setattr

from insim_async._privacy import Unshown
from insim_async._wire.answers import BLOCKING, json_of, unnamed_fields
from insim_async._wire.requests import Message
from insim_async.models import ContactResult, SmsReceipt, Unnamed

__all__ = ["all_sent", "are_all_sent", "documented", "plain_results"]

_Filled = Annotated[str, Meta(min_length=1)]

_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_ENDLESS = b"0" * sys.int_info.str_digits_check_threshold
"""Digits of a whole number that Python may refuse to read."""


class _Unread(Unnamed):
    """The unnamed fields of an answer, which is read again when somebody asks for them."""

    def __init__(self, body: bytes) -> None:
        super().__init__({})
        self._body = body

    def of(self, receipt: SmsReceipt) -> Mapping[str, Any]:
        """Return the fields of one of its receipts."""
        return self._by_id[receipt.sms_id]

    @cached_property
    def _by_id(self) -> dict[str, dict[str, Any]]:
        return {row["id_sms_api"]: unnamed_fields(row) for row in json_of(self._body)}


class _Documented(
    SmsReceipt, frozen=True, kw_only=True, eq=False, gc=False, forbid_unknown_fields=True
):
    """A receipt as documented to the letter."""

    message: _Filled
    account: _Filled
    sent_at: datetime
    # A field of this name is one without a name: no value of it is a ``_Unread``.
    _more: _Unread = field(default=cast(Any, None), name="(extra)")


class _WithMore(
    _Documented, frozen=True, kw_only=True, eq=False, gc=False, forbid_unknown_fields=False
):
    """A receipt with fields that have no name here; one that may say no must be null."""

    _more: _Unread = field(default=cast(Any, None), name="extra")
    _result: None = field(default=None, name="result")
    _success: None = field(default=None, name="success")
    _error: None = field(default=None, name="error")
    _error_capitalized: None = field(default=None, name="Error")
    _error_in_capitals: None = field(default=None, name="ERROR")
    _errors_capitalized: None = field(default=None, name="Errors")
    _errors_in_capitals: None = field(default=None, name="ERRORS")


_Documented.__name__ = _WithMore.__name__ = SmsReceipt.__name__  # as it shows
_to_the_letter = msgspec.json.Decoder(list[_Documented], strict=False)
_with_more_decoder = msgspec.json.Decoder(list[_WithMore], strict=False)


def all_sent(messages: Sequence[Message], body: bytes) -> Sequence[SmsReceipt] | None:
    """Return the receipts if all messages were sent, and nothing is to be looked at."""
    receipts = documented(body)
    return receipts if receipts and are_all_sent(messages, receipts) else None


def documented(body: bytes) -> Sequence[SmsReceipt] | None:
    """Read receipts as documented, with or without fields that have no name here."""
    for decode in (_to_the_letter.decode, _with_more):
        try:
            return decode(body)
        except (msgspec.DecodeError, RecursionError, ValueError):
            continue
    return None


def _with_more(body: bytes) -> Sequence[SmsReceipt]:
    if not body.isascii():
        body.decode()  # msgspec does not look at the text of fields that have no name here
    if _ENDLESS in body.translate(_ZEROS):  # nor at their numbers
        raise ValueError
    receipts = _with_more_decoder.decode(body)
    any(map(force_setattr, receipts, repeat("_more"), repeat(_Unread(body))))  # in C; None says yes
    return receipts


def are_all_sent(messages: Sequence[Message], receipts: Sequence[SmsReceipt]) -> bool:
    """Say whether there is a receipt for each message, in order, and all were sent.

    None may say a word of an error.
    """
    if len(receipts) != len(messages):
        return False
    for message, receipt in zip(messages, receipts, strict=True):
        if receipt.sms_id != message.id_sms_api or receipt.phone_number != message.phone_number:
            return False
        if not receipt.sent or receipt.errors:
            return False
    return True


class _Result(Unshown, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A contact's result, in both documented spellings, in the order of the documentation.

    msgspec looks for a name first where it stands behind the one before.
    """

    firstname: str = ""
    lastname: str = ""
    phonenumber: str = ""
    first_name: str = ""
    last_name: str = ""
    phone_number: str = ""
    adress: str = ""
    email: str = ""
    result: Literal["success", "failed"]
    errors: tuple[Literal["#001", "#002", "#003", "#004"], ...] = ()


_results = msgspec.json.Decoder(dict[Literal["data"], dict[Literal["contact"], list[_Result]]])


def plain_results(body: bytes) -> list[ContactResult] | None:
    """Return the results of contacts if each is as documented, a failure in its own spelling."""
    try:
        rows = _results.decode(body)["data"]["contact"]
    except (msgspec.DecodeError, RecursionError, KeyError):
        return None
    results = [
        ContactResult(
            row.phone_number,
            row.first_name,
            row.last_name,
            row.adress,
            row.email,
            False,
            row.errors,
        )
        if row.result == "failed"
        else ContactResult(
            row.phonenumber,
            row.firstname,
            row.lastname,
            row.adress,
            row.email,
            not row.errors or BLOCKING.isdisjoint(row.errors),
            row.errors,
        )
        for row in rows
        if not (
            row.firstname or row.lastname or row.phonenumber
            if row.result == "failed"
            else row.first_name or row.last_name or row.phone_number
        )
    ]
    return results if results and len(results) == len(rows) else None
