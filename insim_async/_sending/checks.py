"""What may be sent, and why not: each message and contact is checked here before a byte leaves.

A verdict is a value, never an exception, so that one bad row stops nothing else; no verdict repeats what it refuses.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

from msgspec import UNSET, Struct

from insim_async import numbers, segments
from insim_async._wire import PLACEHOLDER, Message
from insim_async.errors import InvalidMessage
from insim_async.models import Contact, Priority, Sms

__all__ = ["Ids", "Rules", "check_contact", "check_sms"]

MAX_PARTS = 255
"""How many parts one SMS can have: the concatenation header counts them in one octet (3GPP TS 23.040, 9.2.3.24.1)."""
MAX_URL = 2000
REMEMBERED_IDS = 100_000
ALWAYS_FITS = 67 * MAX_PARTS // 2
_ID = re.compile(r"[A-Za-z0-9._~:/@+=-]{1,128}").fullmatch
_URL = re.compile(r"https?://[^\s\x00-\x1f]+", re.IGNORECASE).fullmatch


class Rules(Struct, frozen=True):
    """What a client was told about its account.

    Args:
        region: Where numbers in national format are from, such as ``"FR"``; None refuses them.
        timezone: The account's own zone; None refuses aware dates.
    """

    region: str | None = None
    timezone: tzinfo | None = None


class Ids:
    """The ids that callers gave lately: the last 100,000 at least, so that a stream without end stays small."""

    def __init__(self) -> None:
        self._new: set[str] = set()
        self._old: set[str] = set()

    def add(self, sms_id: str) -> bool:
        """Remember an id; return whether it is new."""
        if sms_id in self._new or sms_id in self._old:
            return False
        if len(self._new) >= REMEMBERED_IDS:
            self._new, self._old = set(), self._new
        self._new.add(sms_id)
        return True


def check_sms(sms: object, rules: Rules, fresh_id: str, ids: Ids) -> Message | InvalidMessage:
    """Return the message as it goes out, or what is wrong with it.

    Args:
        sms: Whatever the caller gave.
        rules: What the client was told.
        fresh_id: For a message that brings none.
        ids: Those that were brought before, by messages of the same call.
    """
    if not isinstance(sms, Sms):
        return InvalidMessage("message", f"expected an Sms, got {type(sms).__name__}: write Sms(phone_number, message)")
    number = numbers.check(sms.phone_number, rules.region)
    if isinstance(number, InvalidMessage):
        return number
    date = "" if sms.send_at is None else _date(sms.send_at, rules.timezone)
    if isinstance(date, InvalidMessage):
        return date
    fault = _fault_of_text(sms.message) or _fault_of_link(sms) or _fault_of_rest(sms)
    if fault is not None:
        return fault
    if sms.sms_id is not None and not ids.add(sms.sms_id):
        return InvalidMessage("sms_id", "an earlier message of the same call has it, and receipts go by it")
    priority = UNSET if sms.priority is Priority.NORMAL else int(sms.priority)
    return Message(number, sms.message, sms.sms_id or fresh_id, sms.url or UNSET, priority, date or UNSET)


def check_contact(contact: object, rules: Rules) -> Contact | InvalidMessage:
    """Return the contact with its number in E.164, or what is wrong with it."""
    if not isinstance(contact, Contact):
        return InvalidMessage("contact", f"expected a Contact, got {type(contact).__name__}")
    number = numbers.check(contact.phone_number, rules.region)
    if isinstance(number, InvalidMessage):
        return number
    for field in ("first_name", "last_name", "address", "email"):
        if (reason := _unwritable(getattr(contact, field))) is not None:
            return InvalidMessage(field, reason)
    return Contact(
        number,
        first_name=contact.first_name,
        last_name=contact.last_name,
        address=contact.address,
        email=contact.email,
    )


def _fault_of_text(text: str) -> InvalidMessage | None:
    if (reason := _unwritable(text)) is not None:
        return InvalidMessage("message", reason)
    if not text or text.isspace():
        return InvalidMessage("message", "it is empty")
    if len(text) > ALWAYS_FITS and (parts := segments.count(text).parts) > MAX_PARTS:
        return InvalidMessage("message", f"it needs {parts} parts, and an SMS has at most {MAX_PARTS}: split the text")
    return None


def _fault_of_link(sms: Sms) -> InvalidMessage | None:
    tracked = PLACEHOLDER in sms.message
    if not sms.url:
        return InvalidMessage("url", f"the text holds {PLACEHOLDER}, so it needs a url to link to") if tracked else None
    if not tracked:
        return InvalidMessage("url", f"it is linked where the text holds {PLACEHOLDER}, and the text does not")
    if not isinstance(sms.url, str) or len(sms.url) > MAX_URL or not _URL(sms.url) or _unwritable(sms.url):
        return InvalidMessage("url", f"expected http:// or https:// and at most {MAX_URL} characters without spaces")
    return None


def _fault_of_rest(sms: Sms) -> InvalidMessage | None:
    if sms.priority.__class__ is not Priority and sms.priority not in tuple(Priority):
        return InvalidMessage("priority", "expected Priority.LOW, NORMAL or HIGH")
    if sms.sms_id is not None and not (isinstance(sms.sms_id, str) and _ID(sms.sms_id)):
        return InvalidMessage("sms_id", "expected 1 to 128 characters of A-Z a-z 0-9 . _ ~ : / @ + = -")
    return None


def _unwritable(text: object) -> str | None:
    if not isinstance(text, str):
        return f"expected text, got {type(text).__name__}"
    if "\0" in text:
        return f"it holds a NUL character, at position {text.index(chr(0)) + 1}"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return f"it holds half of a surrogate pair, at position {error.start + 1}"
    return None


def _date(send_at: object, zone: tzinfo | None) -> str | InvalidMessage:
    """Write a date as the API reads it, which has no way to name a zone."""
    if not isinstance(send_at, datetime) or send_at != send_at:  # as pandas' "not a time" is
        return InvalidMessage("send_at", f"expected a datetime, got {type(send_at).__name__}")
    if zone is None and send_at.tzinfo is not None:
        return InvalidMessage("send_at", "it names a time zone: give the client the account's own with timezone=...")
    try:
        return _local(send_at, zone)
    except OverflowError:
        return InvalidMessage("send_at", "it is too early or too late for a time zone")


def _local(send_at: datetime, zone: tzinfo | None) -> str | InvalidMessage:
    local = send_at if send_at.tzinfo is None else send_at.astimezone(zone)
    wall = local.replace(tzinfo=None, fold=0)
    if zone is not None:
        first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        if first != second and wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wall:
            return InvalidMessage("send_at", "clocks are put forward over that time: it does not exist in the zone")
        if first != second and send_at.tzinfo is not None:
            return InvalidMessage("send_at", "clocks are put back over that time: the API cannot tell which is meant")
    return wall.isoformat(" ", "seconds")
