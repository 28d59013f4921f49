"""Raw query strings to events, and back. Pure: nothing here does I/O or reads a clock.

A percent-escape is undone once, a second time only where the result is still an escaped object;
``+`` is a plus. What a payload means is said by its title, by its fields where it has none, and by
the parameter's name last. Events as documented are read by ``_fast``, if it can, in a tenth of the
time.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

import msgspec

from insim_async import _tolerant
from insim_async._tolerant import Words
from insim_async.errors import InvalidWebhook
from insim_async.webhooks import _fast
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
    "parse_again",
    "parse_webhook",
]

MAX_QUERY_BYTES: Final = 256 * 1024
"""The longest query that is read, in bytes as they came."""
MAX_DEPTH: Final = 16
"""How many objects and lists may stand within each other, the payload itself counted."""
MAX_DIGITS: Final = 19
"""How many digits a whole number may have."""

_OBJECT_BEGINS = re.compile(rb"=(?=(?:%20|%09|%0[AaDd]|\s)*(?:\{|%(?:25)*7[Bb]))")
_UNESCAPED_BY_ENCODE_URI_COMPONENT = "!~*'()"
_NO_PLUS = re.compile(r" [0-9]+")
_HOURS_MINUTES_SECONDS = re.compile(r"([0-9]{1,4}):([0-5]?[0-9]):([0-5]?[0-9])")
_decode = msgspec.json.Decoder(dict[str, Any]).decode


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
    status=(_tolerant.text, "status"),
)
_KindAndFacts = tuple[type[Event], dict[str, Any]]
"""A class of events, and what else the title says of one."""
_TITLES: dict[str, _KindAndFacts] = {
    "incoming_sms": (IncomingSms, {}),
    "incoming_call": (CallEvent, {"direction": "incoming"}),
    "outgoing_call": (CallEvent, {"direction": "outgoing"}),
    "missed_call": (CallEvent, {"direction": "missed"}),
    "clicked link": (LinkClick, {}),
    "call_qualification_from_mobile": (CallQualification, {"source": "mobile"}),
    "call_qualification_from_interface": (CallQualification, {"source": "interface"}),
}
_MEANING_BY_TITLE = {_tolerant.fold(title): meaning for title, meaning in _TITLES.items()}
_STATUS_FIELDS = _tolerant.spellings("status") | _tolerant.spellings("date_status")
# Without a title nobody knows a call's direction or a qualification's source: those stay unknown.
_KIND_BY_PARAMETER: dict[str, type[Event]] = {
    "message": IncomingSms,
    "calls": UnknownEvent,
    "call": UnknownEvent,
    "clics": LinkClick,
    "click": LinkClick,
    "qualification": UnknownEvent,
    "status": DeliveryStatus,
}
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
    return parse_again(_raw(query))


def parse_again(query: bytes) -> Event:
    """Read a query that ``build_webhook`` wrote, which may be longer than one from outside may be.

    Raises:
        InvalidWebhook: As ``parse_webhook``, but for the length.
    """
    event = _fast.documented_event(query)
    return _event_of(*_parameter(query)) if event is None else event


def build_webhook(event: Event) -> str:
    """Return the query with which inSIM would report an event.

    ``parse_webhook`` of it is an equal event. The payload is that which came, or as inSIM would
    send it where the event was made by hand. An event with nothing in it makes an empty one, which
    is refused.
    """
    payload = event.raw_json or msgspec.json.encode(event.raw)
    return (
        f"{_PARAMETER_BY_KIND[event.kind]}"
        f"={quote(payload, safe=_UNESCAPED_BY_ENCODE_URI_COMPONENT)}"
    )


def _raw(query: bytes | str) -> bytes:
    raw: bytes | None = None
    if isinstance(query, bytes):
        raw = query
    elif isinstance(query, str):
        with contextlib.suppress(UnicodeEncodeError):
            raw = query.encode()
    else:
        raise TypeError(
            "expected the query as bytes or str, as it stood behind the ?, "
            f"got {type(query).__name__}"
        )
    if raw is None:  # that error itself would hold the query
        raise InvalidWebhook("the query is not UTF-8")
    if len(raw) > MAX_QUERY_BYTES:
        raise InvalidWebhook(f"the query is longer than {MAX_QUERY_BYTES} bytes")
    return raw


def _parameter(query: bytes) -> tuple[str, bytes]:
    """Find the parameter that holds an object; of several, the one with a name that inSIM uses."""
    pieces = query.split(b"&")
    found = [
        (*_parameter_name(piece[: sign.start()]), piece[sign.end() :])
        for piece in pieces
        if (sign := _OBJECT_BEGINS.search(piece))
    ]
    found = [one for one in found if one[0] in _KIND_BY_PARAMETER] or found
    if not found:
        raise InvalidWebhook("no parameter holds a JSON object")
    name, spelled, value = found[0]
    if len(found) > 1 or sum(piece.startswith(spelled + b"=") for piece in pieces) > 1:
        raise InvalidWebhook("more than one event")
    return name, value


def _parameter_name(before: bytes) -> tuple[str, bytes]:
    # A callback URL that has a query already is called as "token=t?message=...".
    spelled = before.rpartition(b"?")[2]
    return _tolerant.fold(spelled.decode("utf-8", "replace")), spelled


def _unescaped(value: bytes) -> bytes:
    """Undo percent-escapes; a ``%`` that begins none stays as it is."""
    decoded = _fast.unescaped(value)
    return unquote_to_bytes(value) if decoded is None else decoded


def _decoded_object(document: bytes) -> dict[str, Any]:
    try:
        payload = _decode(document)
    except (msgspec.DecodeError, RecursionError, ValueError):
        payload = None
    if payload is None:  # outside of the except: some of those errors hold the document
        raise InvalidWebhook("the parameter is not one JSON object in UTF-8")
    if not payload:
        raise InvalidWebhook("the object is empty")
    keys = _count_keys(payload)
    if not _fast.has_each_key_once(document, keys) and _repeats_a_key(document):
        raise InvalidWebhook("a key of the object is repeated")
    return payload


def _count_keys(payload: dict[str, Any]) -> int:
    """Count the keys at all depths, and refuse what is too deep or too large.

    Raises:
        InvalidWebhook: Too deep, or a number with too many digits.
    """
    level: list[Any] = [payload]
    keys = 0
    for _ in range(MAX_DEPTH):
        keys += sum(len(inner) for inner in level if isinstance(inner, dict))
        values = [
            value
            for inner in level
            for value in (inner.values() if isinstance(inner, dict) else inner)
            if not isinstance(value, str)
        ]
        if any(isinstance(value, int) and abs(value) >= 10**MAX_DIGITS for value in values):
            raise InvalidWebhook(f"a number has more than {MAX_DIGITS} digits")
        level = [value for value in values if isinstance(value, dict | list)]
        if not level:
            return keys
    raise InvalidWebhook(f"objects stand more than {MAX_DEPTH} deep within each other")


def _repeats_a_key(document: bytes) -> bool:
    repeated: list[bool] = []
    try:
        json.loads(
            document,
            object_pairs_hook=lambda pairs: repeated.append(len(dict(pairs)) != len(pairs)),
        )
    except RecursionError:
        # What was kept is not as deep as that: it stood under a key that was repeated.
        return True
    return any(repeated)


def _event_of(parameter: str, value: bytes) -> Event:
    """Read the event in the value of a parameter, however its fields are spelled: the slow way."""
    document = _unescaped(value)
    if document[:3] in {b"%7B", b"%7b"}:
        document = _unescaped(document)
    row = _decoded_object(document)
    kind, facts = _meaning(parameter, row)
    known, _ = _WORDS.read(row, _NAMES_BY_KIND.get(kind, ()))
    found = {name: known[name] for name in kind.__struct_fields__ if name in known}
    return kind(raw_json=document, **facts, **found)


def _meaning(parameter: str, row: Mapping[str, Any]) -> _KindAndFacts:
    known, _ = _WORDS.read(row)
    if title := known.get("title"):
        return _MEANING_BY_TITLE.get(_tolerant.fold(title), (UnknownEvent, {}))
    if _STATUS_FIELDS.intersection(row) and "message" not in known:
        return DeliveryStatus, {}
    return _KIND_BY_PARAMETER.get(parameter, UnknownEvent), {}
