"""What handlers receive: one frozen value for each thing that inSIM reports.

None shows a person's number or words in its ``repr``. An event made by hand gets the payload that
inSIM would send.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

import msgspec

from insim_async._privacy import Private
from insim_async.webhooks._payload import decode

__all__ = [
    "CallEvent",
    "CallQualification",
    "DeliveryStatus",
    "Event",
    "IncomingSms",
    "LinkClick",
    "UnknownEvent",
]

_in_order = msgspec.json.Encoder(order="sorted").encode
_KEY_BYTES = 24  # 192 bits, 32 characters
_HOW_IT_CAME = {"raw_json", "_parameter", "_is_read", "_key"}


class Event(Private, frozen=True, kw_only=True, eq=False):
    """What all events have in common; a field that is missing or unreadable has its default.

    Attributes:
        kind: The word for this class of event.
        phone_number: The other party, as inSIM writes it; ``""`` where it does not say.
        at: When; aware where the payload names a zone, naive where not, midnight where it has no
            time.
        account: The account (mostly its e-mail) whose phone it was; ``""`` where the payload does
            not say.
        raw_json: The payload as it came, a JSON object in UTF-8; ``b""`` where the event was made
            by hand.
    """

    _shown: ClassVar[frozenset[str]] = frozenset(
        {"at", "direction", "duration", "sms_id", "source", "status"}
    )

    kind: ClassVar[str]
    phone_number: str = ""
    at: datetime | None = None
    account: str = ""
    raw_json: bytes = b""
    # How the event came, and the name that an inbox has given it: neither shown nor compared.
    _parameter: str = ""  # where the payload's meaning depends on it
    _is_read: bool = False  # the fields above say all that the payload does
    _key: str = ""

    @property
    def raw(self) -> dict[str, Any]:
        """The payload with all its fields, as it came or as inSIM would send it.

        It is read anew whenever it is asked for.
        """
        return decode(self.raw_json) if self.raw_json else _payload_of(self)

    @property
    def key(self) -> str:
        """A name for this event, the same whenever and however it arrives; 32 URL-safe characters.

        It depends on the kind and on what the fields say, however that was written; on the payload
        where that says more than the fields do. A handler behind an inbox sees the key under which
        that keeps the event.
        """
        return self._key or key_of(self.kind.encode() + b"\n" + _in_order(self._content()))

    def _content(self) -> object:
        published = _published(type(self))
        if published is Event or (self.raw_json and not self._is_read):
            return self.raw
        names = dict.fromkeys(["account", *names_of(published)])
        return {name: _plain(getattr(self, name)) for name in names if name != "title"} | {
            name: getattr(self, name) for name in ("direction", "source") if hasattr(self, name)
        }

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Event)
            and type(self) is type(other)
            and self._facts() == other._facts()
        )

    def __ne__(self, other: object) -> bool:  # that of msgspec looks at the fields
        return not self == other

    def __hash__(self) -> int:
        return hash((self.kind, self.phone_number, self.at))

    def _facts(self) -> list[Any]:
        return [
            self.raw,
            *(getattr(self, name) for name in self.__struct_fields__ if name not in _HOW_IT_CAME),
        ]


class IncomingSms(Event, frozen=True, kw_only=True):
    """Somebody sent an SMS to the phone.

    Attributes:
        message: The text.
    """

    kind: ClassVar[str] = "incoming_sms"
    message: str = ""


class CallEvent(Event, frozen=True, kw_only=True):
    """A call came, went out or was missed.

    Attributes:
        direction: ``"incoming"``, ``"outgoing"`` or ``"missed"``.
        duration: How long they spoke; zero, too, where the payload does not say it readably (see
            ``raw``).
    """

    kind: ClassVar[str] = "call"
    direction: str
    duration: timedelta = timedelta(0)


class LinkClick(Event, frozen=True, kw_only=True):
    """Somebody followed a tracked link.

    Attributes:
        sms_id: The id of the SMS that held it.
        link: Where it leads, as inSIM says it. Anybody who knows the webhook's URL can write it: do
            not fetch it.
    """

    kind: ClassVar[str] = "link_click"
    sms_id: str = ""
    link: str = ""


class CallQualification(Event, frozen=True, kw_only=True):
    """Somebody noted what a call was about.

    Attributes:
        qualification: The note, free text.
        source: Where it was written: ``"mobile"`` or ``"interface"``.
    """

    kind: ClassVar[str] = "call_qualification"
    qualification: str = ""
    source: str


class DeliveryStatus(Event, frozen=True, kw_only=True):
    """An SMS left the phone, or reached its recipient.

    Attributes:
        sms_id: The id of the SMS, yours if you gave one.
        status: ``"sent"``, ``"received"``, or what came in its place.
    """

    kind: ClassVar[str] = "delivery_status"
    sms_id: str = ""
    status: str = ""


class UnknownEvent(Event, frozen=True, kw_only=True):
    """Something that inSIM reports and this version has no name for: read ``raw``."""

    kind: ClassVar[str] = "unknown"


NAMES: Final[Mapping[type[Event], str]] = {
    Event: "account=device_identification phone_number at=date",
    IncomingSms: "account=device_identification title phone_number=from message at=date",
    CallEvent: "account=device_identification title phone_number at=call_time duration",
    LinkClick: "sms_id=id_sms_api title phone_number link at=date",
    CallQualification: (
        "account=device_identification title phone_number=from at=date qualification"
    ),
    DeliveryStatus: "account=user phone_number status at=date_status sms_id=id_sms_api",
}
"""What inSIM calls the fields of each kind of event, ``ours=theirs`` where that differs, in the
order of its own."""
_TITLE_FORMATS = {
    IncomingSms: "incoming_sms",
    CallEvent: "{0.direction}_call",
    LinkClick: "clicked link",
    CallQualification: "call_qualification_from_{0.source}",
}


def names_of(kind: type[Event]) -> dict[str, str]:
    """Return what inSIM calls the fields of a kind of event, in its order."""
    names = (name.partition("=") for name in NAMES[_published(kind)].split())
    return {ours: theirs or ours for ours, _, theirs in names}


def _published(kind: type[Event]) -> type[Event]:
    """Return the class of inSIM's events that a class, maybe a user's own, is or comes from."""
    return next(published for published in kind.__mro__ if published in NAMES)


def key_of(content: bytes) -> str:
    """Return a name for some content; 32 URL-safe characters."""
    # No key begins with a dash: a command line would take it for an option.
    return b64encode(hashlib.sha256(content).digest()[:_KEY_BYTES], altchars=b"._").decode()


def _payload_of(event: Event) -> dict[str, Any]:
    """Return the payload that inSIM would send: all fields that it documents, the empty ones too.

    It names an account even for kinds where inSIM names none, so that it is not lost.
    """
    published = _published(type(event))
    names = names_of(published)
    documented = set(names.values()) if published is not Event else set()
    names.setdefault("account", "device_identification")
    title = _TITLE_FORMATS.get(published, "").format(event)
    written = {
        theirs: title if ours == "title" else _written(getattr(event, ours))
        for ours, theirs in names.items()
    }
    return {name: value for name, value in written.items() if value or name in documented}


def _written(value: str | datetime | timedelta | None) -> str:
    match value:
        case datetime(tzinfo=None):
            return value.isoformat(" ", "milliseconds" if value.microsecond else "seconds")
        case datetime():
            return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case timedelta():
            minutes, seconds = divmod(int(value.total_seconds()), 60)
            return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}" if value else "0"
        case _:
            return value or ""


def _plain(value: str | datetime | timedelta | None) -> str:
    """Write a value so that it is the same in whatever form it came."""
    if not isinstance(value, datetime):
        return _written(value)
    try:
        in_utc = value.astimezone(UTC) if value.tzinfo else value
    except OverflowError:  # within a day of the first year, or of the last
        in_utc = value
    return in_utc.replace(tzinfo=None).isoformat(timespec="milliseconds")
