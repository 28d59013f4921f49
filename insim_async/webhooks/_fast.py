"""The fast way from a documented query to its event.

All in here may be deleted: nothing but speed changes. Each function returns None for "ask the slow
way", which is ``parsing``; whatever else it returns is what that would.
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from datetime import datetime, timedelta
from typing import ClassVar

import msgspec
from msgspec import field

from insim_async._privacy import Unshown
from insim_async.webhooks.events import (
    CallEvent,
    CallQualification,
    DeliveryStatus,
    Event,
    IncomingSms,
    LinkClick,
)

__all__ = ["documented_event", "documented_payload", "has_each_key_once", "unescaped"]

_AMPERSAND, _EQUALS, _PLUS, _NUL = b"&=+\0"
_QUOTED_PRINTABLE = bytes.maketrans(b"%=\r\n", b"=\0\0\0")
"""Turns percent-escapes into those that ``a2b_qp`` undoes, and into NUL what it would misread."""
_KEY = re.compile(rb'"\s*:')
_HH_MM_SS = re.compile(r"([0-9]{2}):([0-5][0-9]):([0-5][0-9])")
_STATUSES = {"sent", "received"}
_QUOTATION_MARKS = 4 * 5  # of five fields, each a name and a text


class _SmsPayload(
    Unshown,
    frozen=True,
    gc=False,
    forbid_unknown_fields=True,
    tag="incoming_sms",
    tag_field="title",
):
    device_identification: str
    phone_number: str = field(name="from")
    message: str
    date: datetime

    def event(self, raw_json: bytes) -> Event:
        return IncomingSms(
            phone_number=self.phone_number,
            at=self.date,
            account=self.device_identification,
            raw_json=raw_json,
            _is_read=True,
            message=self.message,
        )


class _CallPayload(Unshown, frozen=True, gc=False, forbid_unknown_fields=True, tag_field="title"):
    direction: ClassVar[str]
    device_identification: str
    phone_number: str
    call_time: datetime
    duration: str

    def event(self, raw_json: bytes) -> Event | None:
        duration = _plain_duration(self.duration)
        if duration is None:
            return None
        return CallEvent(
            phone_number=self.phone_number,
            at=self.call_time,
            account=self.device_identification,
            raw_json=raw_json,
            _is_read=True,
            direction=self.direction,
            duration=duration,
        )


class _IncomingCallPayload(_CallPayload, frozen=True, gc=False, tag="incoming_call"):
    direction: ClassVar[str] = "incoming"


class _OutgoingCallPayload(_CallPayload, frozen=True, gc=False, tag="outgoing_call"):
    direction: ClassVar[str] = "outgoing"


class _MissedCallPayload(_CallPayload, frozen=True, gc=False, tag="missed_call"):
    direction: ClassVar[str] = "missed"


class _ClickPayload(
    Unshown,
    frozen=True,
    gc=False,
    forbid_unknown_fields=True,
    tag="clicked link",
    tag_field="title",
):
    id_sms_api: str
    phone_number: str
    link: str
    date: datetime

    def event(self, raw_json: bytes) -> Event:
        return LinkClick(
            phone_number=self.phone_number,
            at=self.date,
            raw_json=raw_json,
            _is_read=True,
            sms_id=self.id_sms_api,
            link=self.link,
        )


class _QualificationPayload(
    Unshown, frozen=True, gc=False, forbid_unknown_fields=True, tag_field="title"
):
    source: ClassVar[str]
    device_identification: str
    phone_number: str = field(name="from")
    date: datetime
    qualification: str

    def event(self, raw_json: bytes) -> Event:
        return CallQualification(
            phone_number=self.phone_number,
            at=self.date,
            account=self.device_identification,
            raw_json=raw_json,
            _is_read=True,
            qualification=self.qualification,
            source=self.source,
        )


class _MobileQualificationPayload(
    _QualificationPayload, frozen=True, gc=False, tag="call_qualification_from_mobile"
):
    source: ClassVar[str] = "mobile"


class _InterfaceQualificationPayload(
    _QualificationPayload, frozen=True, gc=False, tag="call_qualification_from_interface"
):
    source: ClassVar[str] = "interface"


class _StatusPayload(Unshown, frozen=True, gc=False, forbid_unknown_fields=True):
    user: str
    phone_number: str
    status: str
    date_status: datetime
    id_sms_api: str

    def event(self, raw_json: bytes) -> Event | None:
        if self.status not in _STATUSES:
            return None
        return DeliveryStatus(
            phone_number=self.phone_number,
            at=self.date_status,
            account=self.user,
            raw_json=raw_json,
            _is_read=True,
            sms_id=self.id_sms_api,
            status=self.status,
        )


_titled = msgspec.json.Decoder(
    _SmsPayload
    | _IncomingCallPayload
    | _OutgoingCallPayload
    | _MissedCallPayload
    | _ClickPayload
    | _MobileQualificationPayload
    | _InterfaceQualificationPayload
)
_untitled = msgspec.json.Decoder(_StatusPayload)


def documented_event(query: bytes) -> Event | None:
    """Read an event that is as documented in every respect, and alone in its query."""
    name, _, value = query.partition(b"=")
    if value[:3] != b"%7B" or value[-3:] != b"%7D" or _AMPERSAND in value or _PLUS in value:
        return None
    document = unescaped(value)
    return None if document is None else documented_payload(name, document)


def documented_payload(parameter: bytes, document: bytes) -> Event | None:
    """Read the payload of such an event."""
    # With more quotation marks than those of its fields there are others, or the same one twice.
    if document.count(b'"') != _QUOTATION_MARKS:
        return None
    read = _untitled if parameter == b"status" else _titled
    try:
        payload = read.decode(document)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None
    return None if payload.phone_number[:1] == " " else payload.event(document)


def _plain_duration(written: str) -> timedelta | None:
    if written == "0":
        return timedelta(0)
    found = _HH_MM_SS.fullmatch(written)
    if found is None:
        return None
    hours, minutes, seconds = map(int, found.groups())
    return timedelta(0, hours * 3600 + minutes * 60 + seconds)


def unescaped(value: bytes) -> bytes | None:
    """Undo percent-escapes, in C; None unless every ``%`` begins one."""
    decoded = a2b_qp(value.translate(_QUOTED_PRINTABLE))
    # A "%" that begins no escape is lost at the end; elsewhere it leaves an equals sign, as an
    # escaped one does.
    strayed = value[-1:] == b"%" or (
        _EQUALS in decoded and len(decoded) != len(value) - 2 * value.count(b"%")
    )
    return None if strayed or _NUL in decoded else decoded


def has_each_key_once(document: bytes, keys: int) -> bool | None:
    """Say that no object in a document repeats a key; None in doubt.

    Args:
        document: JSON that was decoded.
        keys: How many were left when it was, in all its objects.
    """
    # Texts may hold what looks like a key, so that a higher count is a doubt and no proof.
    return True if len(_KEY.findall(document)) == keys else None
