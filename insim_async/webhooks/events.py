"""What handlers receive: one frozen value for each thing that inSIM reports.

None shows a person's number or words in its ``repr``. An event made by hand gets the payload that inSIM would send.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec

from insim_async.models import _Private

__all__ = [
    "CallEvent",
    "CallQualification",
    "DeliveryStatus",
    "Event",
    "IncomingSms",
    "LinkClick",
    "UnknownEvent",
]

_CANONICAL = msgspec.json.Encoder(order="sorted")
_KEY_BYTES = 24  # 192 bits, 32 characters


class Event(_Private, frozen=True, kw_only=True):
    """What all events have in common; a field that was missing or could not be read has its default.

    Attributes:
        kind: The word for this class of event.
        phone_number: The other party, as inSIM writes it; ``""`` where it does not say.
        at: When; aware where the payload names a zone, naive where not, midnight where it has no time.
        account: The account (mostly its e-mail) whose phone it was; ``""`` where the payload does not say.
        raw: The payload as it came, with all its fields; not to be changed.
    """

    kind: ClassVar[str]
    phone_number: str = ""
    at: datetime | None = None
    account: str = ""
    raw: Mapping[str, Any] = {}

    def __post_init__(self) -> None:
        if not self.raw:
            msgspec.structs.force_setattr(self, "raw", {name: v for name, v in self._payload().items() if v})

    def __hash__(self) -> int:
        return hash((self.kind, self.phone_number, self.at))

    @property
    def key(self) -> str:
        """A name for this event, the same whenever and however it arrives; 32 URL-safe characters.

        It depends on the kind and on every field of the payload, not on their order or encoding.
        """
        content = self.kind.encode() + b"\n" + _CANONICAL.encode(dict(self.raw))
        return urlsafe_b64encode(hashlib.sha256(content).digest()[:_KEY_BYTES]).decode()

    def _payload(self) -> dict[str, Any]:
        return {"device_identification": self.account, "phone_number": self.phone_number, "date": _written(self.at)}


class IncomingSms(Event, frozen=True, kw_only=True):
    """Somebody sent an SMS to the phone."""

    kind: ClassVar[str] = "incoming_sms"
    message: str = ""

    def _payload(self) -> dict[str, Any]:
        return {
            "device_identification": self.account,
            "title": "incoming_sms",
            "from": self.phone_number,
            "message": self.message,
            "date": _written(self.at),
        }


class CallEvent(Event, frozen=True, kw_only=True):
    """A call came, went out or was missed.

    Attributes:
        direction: ``"incoming"``, ``"outgoing"`` or ``"missed"``.
        duration: How long they spoke; zero, too, where the payload does not say it readably (see ``raw``).
    """

    kind: ClassVar[str] = "call"
    direction: str
    duration: timedelta = timedelta(0)

    def _payload(self) -> dict[str, Any]:
        minutes, seconds = divmod(int(self.duration.total_seconds()), 60)
        return {
            "device_identification": self.account,
            "title": f"{self.direction}_call",
            "phone_number": self.phone_number,
            "call_time": _written(self.at),
            "duration": f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}" if self.duration else "0",
        }


class LinkClick(Event, frozen=True, kw_only=True):
    """Somebody followed a tracked link.

    Attributes:
        sms_id: The id of the SMS that held it.
        link: Where it leads, as inSIM says it. Anybody who knows the webhook's URL can write it: do not fetch it.
    """

    kind: ClassVar[str] = "link_click"
    sms_id: str = ""
    link: str = ""

    def _payload(self) -> dict[str, Any]:
        return {
            "id_sms_api": self.sms_id,
            "title": "clicked link",
            "phone_number": self.phone_number,
            "link": self.link,
            "date": _written(self.at),
            "device_identification": self.account,
        }


class CallQualification(Event, frozen=True, kw_only=True):
    """Somebody noted what a call was about.

    Attributes:
        qualification: The note, free text.
        source: Where it was written: ``"mobile"`` or ``"interface"``.
    """

    kind: ClassVar[str] = "call_qualification"
    qualification: str = ""
    source: str

    def _payload(self) -> dict[str, Any]:
        return {
            "device_identification": self.account,
            "title": f"call_qualification_from_{self.source}",
            "from": self.phone_number,
            "date": _written(self.at),
            "qualification": self.qualification,
        }


class DeliveryStatus(Event, frozen=True, kw_only=True):
    """An SMS left the phone, or reached its recipient.

    Attributes:
        sms_id: The id of the SMS, yours if you gave one.
        status: ``"sent"``, ``"received"``, or what came in its place.
    """

    kind: ClassVar[str] = "delivery_status"
    sms_id: str = ""
    status: str = ""

    def _payload(self) -> dict[str, Any]:
        return {
            "user": self.account,
            "phone_number": self.phone_number,
            "status": self.status,
            "date_status": _written(self.at),
            "id_sms_api": self.sms_id,
        }


class UnknownEvent(Event, frozen=True, kw_only=True):
    """Something that inSIM reports and this version has no name for: read ``raw``."""

    kind: ClassVar[str] = "unknown"


def _written(at: datetime | None) -> str:
    if at is None:
        return ""
    return at.isoformat(" ") if at.tzinfo is None else at.isoformat().replace("+00:00", "Z")
