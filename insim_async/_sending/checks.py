"""What may be sent, and why not: each message and contact is checked here before a byte leaves.

A verdict is a value, never an exception, so that one bad row stops nothing else; no verdict repeats
what it refuses.
"""

from __future__ import annotations

import operator
import re
from datetime import datetime, tzinfo
from typing import SupportsIndex

from msgspec import UNSET, Struct, UnsetType

from insim_async import numbers, segments
from insim_async._sending.dates import UnfitDate, local_date
from insim_async._tasks import ends_the_program
from insim_async._wire import PLACEHOLDER, Message
from insim_async.errors import InvalidMessage
from insim_async.models import Contact, Priority, Sms
from insim_async.timing import Clock

__all__ = ["ID", "Ids", "Rules", "check_contact", "check_sms"]

MAX_URL = 2000
REMEMBERED_IDS = 100_000
ID = r"[A-Za-z0-9._~:/@+=-]{1,128}"
_ID = re.compile(ID).fullmatch
_LEVELS = frozenset(map(int, Priority))
_URL = re.compile(r"https?://[^\s\x00-\x1f\ud800-\udfff]+", re.IGNORECASE).fullmatch


class Rules(Struct, frozen=True):
    """What a client was told about its account.

    Args:
        region: Where numbers in national format are from, such as ``"FR"``; None refuses them.
        timezone: The account's own zone; None refuses aware dates.
        max_parts: SMS that one text may take, at most.
        clock: Tells which dates are long past.
    """

    region: str | None = None
    timezone: tzinfo | None = None
    max_parts: int = 20
    clock: Clock = Clock()

    @property
    def always_fits(self) -> int:
        """How many characters fit for certain; only longer texts need to be counted.

        They take no more parts than a text may.
        """
        return segments.FIT_ANY_PART * self.max_parts


class Ids:
    """The ids that callers gave lately: at least the last 100,000.

    Older ones are forgotten, so that a stream without end stays small.
    """

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


def check_sms(
    sms: object, rules: Rules, fresh_id: str, ids: Ids | None
) -> Message | InvalidMessage:
    """Return the message as it goes out, or what is wrong with it.

    Args:
        sms: Whatever the caller gave.
        rules: What the client was told.
        fresh_id: For a message that brings none.
        ids: Those that were brought before, by messages of the same call; None if there are none.
    """
    field = "message"
    try:
        if not isinstance(sms, Sms):
            raise _Unfit(
                f"expected an Sms, got {type(sms).__name__}: write Sms(phone_number, message)"
            )
        field = "phone_number"
        number = _number(sms.phone_number, rules)
        field = "send_at"
        date = _date(sms.send_at, rules)
        field = "message"
        text = _message(sms.message, rules)
        field = "url"
        url = _url(sms.url, text)
        field = "priority"
        priority = _priority(sms.priority)
        field = "sms_id"
        sms_id = _new(sms.sms_id, ids)
    except BaseException as error:  # noqa: BLE001 - see _as_invalid
        return _as_invalid(field, error)
    return Message(number, text, sms_id or fresh_id, url, priority, date)


def check_contact(contact: object, rules: Rules) -> Contact | InvalidMessage:
    """Return the contact with its number in E.164, or what is wrong with it."""
    field = "contact"
    try:
        if not isinstance(contact, Contact):
            raise _Unfit(f"expected a Contact, got {type(contact).__name__}")
        field = "phone_number"
        number = _number(contact.phone_number, rules)
        written: dict[str, str] = {}
        for field in ("first_name", "last_name", "address", "email"):
            written[field] = _text(getattr(contact, field))
    except BaseException as error:  # noqa: BLE001 - see _as_invalid
        return _as_invalid(field, error)
    return Contact(number, **written)


class _Unfit(Exception):
    """A reason why something cannot go out; it never leaves this module."""


def _as_invalid(field: str, error: BaseException) -> InvalidMessage:
    """Name the field that was being looked at.

    Whatever is raised there is the fault of that one message. A field may hold anything, such as a
    ``pandas.NA``, which refuses to be compared, or a ``tzinfo`` that raises; its error must not end
    the call and cost the report of all messages that were sent before. That goes for a
    ``CancelledError`` too: nothing is awaited here, so nobody was cancelled. The error is named by
    its kind alone, since its words may repeat what it is about.
    """
    if ends_the_program(error):
        raise error
    if isinstance(error, _Unfit | UnfitDate):
        return InvalidMessage(field, str(error))
    return InvalidMessage(field, f"it cannot be read: looking at it raises {type(error).__name__}")


def _as_str(value: object) -> object:
    """Return a text as a plain ``str``, and all else as it is.

    A text's own class may make anything of comparing.
    """
    if type(value) is str or not isinstance(value, str):
        return value
    return str.__str__(value)


def _text(given: object) -> str:
    text = _as_str(given)
    if not isinstance(text, str):
        raise _Unfit(f"expected text, got {type(given).__name__}")
    if "\0" in text:
        raise _Unfit(f"it holds a NUL character, at position {text.index(chr(0)) + 1}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise _Unfit(
                f"it holds half of a surrogate pair, at position {error.start + 1}"
            ) from None
    return text


def _number(given: object, rules: Rules) -> str:
    number = numbers.check(_as_str(given), rules.region)
    if isinstance(number, InvalidMessage):
        raise _Unfit(number.reason)
    return number


def _message(given: object, rules: Rules) -> str:
    text = _text(given)
    if not text or text.isspace():
        raise _Unfit("it is empty")
    if len(text) > rules.always_fits and (parts := segments.count(text).parts) > rules.max_parts:
        raise _Unfit(_too_long(parts, rules.max_parts))
    return text


def _too_long(parts: int, most: int) -> str:
    needs = f"it needs {parts} parts, each of which costs as much as an SMS"
    if parts > segments.MAX_PARTS:
        return f"{needs}, and no SMS has more than {segments.MAX_PARTS}: split or shorten it"
    return (
        f"{needs}, and this client sends at most {most}: "
        f"split or shorten it, or give the client max_parts={parts}"
    )


def _url(given: object, text: str) -> str | UnsetType:
    url = _as_str(given)
    if url is None or (isinstance(url, str) and not url):
        if PLACEHOLDER in text:
            raise _Unfit(f"the text holds {PLACEHOLDER}, so it needs a url to link to")
        return UNSET
    if not isinstance(url, str) or len(url) > MAX_URL or not _URL(url):
        raise _Unfit(
            f"expected http:// or https:// and at most {MAX_URL} characters without spaces"
        )
    return url


def _priority(given: object) -> int | UnsetType:
    if given is Priority.NORMAL:
        return UNSET
    if isinstance(given, SupportsIndex) and not isinstance(given, bool):
        level = operator.index(given)  # a plain int, whatever the type of a number is
        if level in _LEVELS:
            return level
    raise _Unfit("expected Priority.LOW, NORMAL or HIGH")


def _new(given: object, ids: Ids | None) -> str | None:
    sms_id = _as_str(given)
    if sms_id is None:
        return None
    if not (isinstance(sms_id, str) and _ID(sms_id)):
        raise _Unfit("expected 1 to 128 characters of A-Z a-z 0-9 . _ ~ : / @ + = -")
    if ids is not None and not ids.add(sms_id):
        raise _Unfit("an earlier message of the same call has it, and receipts go by it")
    return sms_id


def _date(given: object, rules: Rules) -> str | UnsetType:
    if given is None:
        return UNSET
    # The NaT of pandas is a datetime that does not equal itself.
    if not isinstance(given, datetime) or (type(given) is not datetime and given != given):
        raise _Unfit(f"expected a datetime, got {type(given).__name__}")
    return local_date(given, rules.timezone, rules.clock.wall())
