"""Raw query strings to events, and back. Pure: nothing here does I/O or reads a clock.

What a payload means is said by its title, by its fields where it has none, and by the parameter's
name last. Events as documented are read by ``_fast``, if it can, in a tenth of the time.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

import msgspec

from insim_async import _tolerant
from insim_async._tolerant import EMPTY, Words
from insim_async.errors import InvalidWebhook
from insim_async.webhooks import _fast
from insim_async.webhooks._limits import MAX_DEPTH, MAX_DIGITS, checked
from insim_async.webhooks._payload import decode_if_whole
from insim_async.webhooks._query import WHERE, find_payload
from insim_async.webhooks._titles import KIND_BY_PARAMETER, Meaning, meaning_of
from insim_async.webhooks.events import (
    NAMES,
    CallEvent,
    CallQualification,
    DeliveryStatus,
    Event,
    IncomingSms,
    LinkClick,
    UnknownEvent,
    names_of,
)

__all__ = [
    "MAX_DEPTH",
    "MAX_DIGITS",
    "MAX_QUERY_BYTES",
    "build_webhook",
    "parse_webhook",
    "payload_of",
    "query_of",
    "read_payload",
]

MAX_QUERY_BYTES: Final = 256 * 1024
"""The longest query that is read, in bytes as they came."""

_UNESCAPED_BY_ENCODE_URI_COMPONENT = "!~*'()"
_NO_PLUS = re.compile(r" [0-9]+")
_HOURS_MINUTES_SECONDS = re.compile(r"([0-9]{1,4}):([0-5]?[0-9]):([0-5]?[0-9])")


def _phone_number(value: object) -> str:
    number = _tolerant.text(value)
    # A plus that was not escaped is a space by the rules of forms.
    return f"+{number[1:]}" if _NO_PLUS.fullmatch(number) else number


def _duration(value: object) -> timedelta:
    if value == "0":
        return timedelta(0)
    found = _HOURS_MINUTES_SECONDS.fullmatch(_tolerant.text(value))
    if not found:
        raise ValueError("neither 0 nor HH:mm:ss")
    hours, minutes, seconds = map(int, found.groups())
    return timedelta(0, hours * 3600 + minutes * 60 + seconds)


def _status(value: object) -> str:
    status = _tolerant.text(value)
    word = status.strip().casefold()
    return word if word in {"sent", "received"} else status


_WORDS = Words(
    title=(_tolerant.text, "title"),
    phone_number=(_phone_number, "phone_number phone from"),
    account=(_tolerant.text, "device_identification user"),
    at=(_tolerant.moment, "date call_time date_status"),
    message=(_tolerant.text, "message sms"),
    duration=(_duration, "duration"),
    sms_id=(_tolerant.text, "id_sms_api"),
    link=(_tolerant.text, "link"),
    qualification=(_tolerant.text, "qualification"),
    status=(_status, "status"),
)
_STATUS_FIELDS = _tolerant.spellings("status") | _tolerant.spellings("date_status")
_TEXT_FIELDS = _tolerant.spellings("message") | _tolerant.spellings("sms")
_IN_ALL_KINDS = {"account", "phone_number", "at"}
_PARAMETER_BY_KIND: dict[str, str] = {
    IncomingSms.kind: "message",
    CallEvent.kind: "calls",
    LinkClick.kind: "clics",
    CallQualification.kind: "qualification",
    DeliveryStatus.kind: "status",
    UnknownEvent.kind: "calls",
}
_NAMES_BY_KIND = {kind: frozenset(names_of(kind).values()) for kind in NAMES}


def parse_webhook(query: bytes | str) -> Event:
    """Read the event in the query of a webhook.

    Unknown titles, statuses and fields are no error, and neither are missing fields; all that came
    is in ``raw``.

    Args:
        query: What stands behind the ``?`` of the request, RAW: no framework may have decoded it.

    Raises:
        TypeError: It is no bytes or text, but what a framework made of them.
        InvalidWebhook: There is no event in it, more than one, or it breaks a limit
            (``MAX_QUERY_BYTES``, ``MAX_DEPTH``, ``MAX_DIGITS``). The message says what is wrong and
            holds no content.
    """
    raw = _raw(query)
    if (event := _fast.documented_event(raw)) is not None:
        return event
    parameter, document, payload = find_payload(raw, KIND_BY_PARAMETER)
    return _event_of(parameter, document, checked(document, payload))


def read_payload(parameter: str, document: bytes) -> Event:
    """Read an event of which the payload was kept, as ``payload_of`` gives it.

    Raises:
        InvalidWebhook: As ``parse_webhook``, but for the length.
    """
    event = _fast.documented_payload(parameter.encode(), document)
    if event is not None:
        return event
    payload = decode_if_whole(document)
    if payload is None:
        raise InvalidWebhook("the payload is not one JSON object in UTF-8")
    return _event_of(parameter, document, checked(document, payload))


def payload_of(event: Event) -> tuple[str, bytes]:
    """Return the parameter under which inSIM would report an event, and the payload.

    That is the payload that came, or what inSIM would send where the event was made by hand.
    """
    parameter = event._parameter or _PARAMETER_BY_KIND[event.kind]  # noqa: SLF001 - how it came is not for users
    return parameter, event.raw_json or msgspec.json.encode(event.raw)


def build_webhook(event: Event) -> str:
    """Return the query with which inSIM would report an event.

    ``parse_webhook`` of it is an equal event (times are written to the millisecond). The payload is
    that which came, or as inSIM would send it where the event was made by hand. An event with
    nothing in it makes an empty one, which is refused.
    """
    return query_of(*payload_of(event))


def query_of(parameter: str, document: bytes) -> str:
    """Write a payload as the query of a webhook."""
    return f"{quote(parameter)}={quote(document, safe=_UNESCAPED_BY_ENCODE_URI_COMPONENT)}"


def _raw(query: bytes | str) -> bytes:
    raw: bytes | None = None
    if isinstance(query, bytes):
        raw = query
    elif isinstance(query, str):
        with contextlib.suppress(UnicodeEncodeError):
            raw = query.encode()
    else:
        raise TypeError(f"expected the query as bytes or str, got {type(query).__name__}: {WHERE}")
    if raw is None:  # that error itself would hold the query
        raise InvalidWebhook("the query is not UTF-8")
    if len(raw) > MAX_QUERY_BYTES:
        raise InvalidWebhook(f"the query is longer than {MAX_QUERY_BYTES} bytes")
    return raw


def _event_of(parameter: str, document: bytes, payload: dict[str, Any]) -> Event:
    """Read the event in a payload, however its fields are spelled: the slow way."""
    row = _opened(payload)
    (kind, facts), by_itself = _meaning(parameter, row)
    known, extra = _WORDS.read(row, _NAMES_BY_KIND.get(kind, ()))
    found = {name: known[name] for name in kind.__struct_fields__ if name in known}
    return kind(
        raw_json=document,
        _parameter="" if by_itself or parameter == _PARAMETER_BY_KIND[kind.kind] else parameter,
        _is_read=not extra and known.keys() <= {"title", *found},
        **{**facts, **found},
    )


def _opened(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a payload with what is wrapped in it, as in ``data``, if that says what it does not.

    Of several objects in it that one is opened which adds the most; none if two add as much.
    """
    said = _WORDS.read(payload)[0].keys()
    inner = {
        name: _alone(value) for name, value in payload.items() if isinstance(_alone(value), dict)
    }
    says = {name: _WORDS.read(wrapped)[0].keys() for name, wrapped in inner.items()}
    gains = sorted((len(says[name] - said - {"title"}), name) for name in inner)
    if not gains or not gains[-1][0] or [gain for gain, _ in gains].count(gains[-1][0]) > 1:
        return payload
    name = gains[-1][1]
    rest = {other: value for other, value in payload.items() if other != name}
    # Where both say something, that one is right which says more.
    if len(says[name]) > len(said):
        return _merged(rest, inner[name])
    return _merged(inner[name], rest)


def _merged(row: dict[str, Any], better: dict[str, Any]) -> dict[str, Any]:
    return row | {
        name: value for name, value in better.items() if name not in row or value not in EMPTY
    }


def _alone(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _meaning(parameter: str, row: Mapping[str, Any]) -> tuple[Meaning, bool]:
    """Return the class of a payload's event, and whether its title alone says so."""
    known, extra = _WORDS.read(row)
    found = _by_title_or_name(parameter, row, known)
    if found[0][0] is IncomingSms and "message" not in known and _may_hold_words(row, extra):
        return (UnknownEvent, {}), False
    return found


def _may_hold_words(row: Mapping[str, Any], extra: Mapping[str, Any]) -> bool:
    """Say whether an SMS without a text may have it where nobody looks for it."""
    if any(row[name] == "" for name in _TEXT_FIELDS.intersection(row)):
        return False
    return _WORDS.is_left_over("message", extra) or _WORDS.is_left_over("", extra)


def _by_title_or_name(
    parameter: str, row: Mapping[str, Any], known: Mapping[str, Any]
) -> tuple[Meaning, bool]:
    has_status, has_text = bool(_STATUS_FIELDS.intersection(row)), "message" in known
    if title := known.get("title"):
        found = meaning_of(title, parameter)
        is_report = has_status or "sms_id" in known
        if found[0][0] in {IncomingSms, DeliveryStatus} and is_report != has_text:
            # "received" may be said of both: the fields know of which.
            return meaning_of(title, "status" if is_report else "message")
        return found
    if known and has_status and not has_text:
        return (DeliveryStatus, {}), True
    if known.keys() <= _IN_ALL_KINDS:
        return (UnknownEvent, {}), False
    return (KIND_BY_PARAMETER.get(parameter, UnknownEvent), {}), False
