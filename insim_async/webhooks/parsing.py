"""Raw query strings to events, and back. Pure: nothing here does I/O or reads a clock.

A percent-escape is undone once, a second time only where the result is still an escaped object; ``+`` is a plus. What
a payload means is said by its title, by its fields where it has none, and by the parameter's name last. As for the
client's answers there are two tries: payloads as documented to the letter, which is fast, then any spelling.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_qp
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

import msgspec

from insim_async import _tolerant
from insim_async._tolerant import Words
from insim_async.errors import InvalidWebhook
from insim_async.webhooks.events import (
    CallEvent,
    CallQualification,
    DeliveryStatus,
    Event,
    IncomingSms,
    LinkClick,
    UnknownEvent,
)

__all__ = ["MAX_DEPTH", "MAX_DIGITS", "MAX_QUERY_BYTES", "build_webhook", "parse_webhook"]

MAX_QUERY_BYTES: Final = 256 * 1024
"""The longest query that is read, in bytes as they came."""
MAX_DEPTH: Final = 16
"""How many objects and lists may stand within each other, the payload itself counted."""
MAX_DIGITS: Final = 19
"""How many digits a whole number may have."""

_OBJECT = re.compile(rb"=(?=(?:%20|%09|%0[AaDd]|\s)*(?:\{|%(?:25)*7[Bb]))")
_KEY = re.compile(rb'"\s*:')
_UNESCAPED_BY_ENCODE_URI_COMPONENT = "!~*'()"
_NO_PLUS = re.compile(r" [0-9]+")
_DURATION = re.compile(r"([0-9]{1,4}):([0-5]?[0-9]):([0-5]?[0-9])")
_PAYLOAD = msgspec.json.Decoder(dict[str, Any])
_TEXTS = msgspec.json.Decoder(dict[str, str])
_AMPERSAND, _NUL = b"&\0"
_QUOTED_PRINTABLE = bytes.maketrans(b"%=\r\n", b"=\0\0\0")
"""Makes of percent-escapes what ``a2b_qp`` undoes, and of what it takes for something else a NUL."""
_NO_TIME = timedelta(0)


def _phone_number(value: object) -> str:
    number = _tolerant.text(value)
    # A plus that was not escaped is a space by the rules of forms.
    return f"+{number[1:]}" if _NO_PLUS.fullmatch(number) else number


def _duration(value: object) -> timedelta:
    if value == "0":
        return timedelta(0)
    found = _DURATION.fullmatch(_tolerant.text(value))
    if not found:
        raise ValueError("neither 0 nor HH:mm:ss")
    hours, minutes, seconds = map(int, found.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


_WORDS = Words(
    title=(_tolerant.text, "title"),
    phone_number=(_phone_number, "phone_number phone from"),
    account=(_tolerant.text, "device_identification user"),
    at=(_tolerant.moment, "date call_time"),
    status_at=(_tolerant.moment, "date_status"),
    message=(_tolerant.text, "message sms"),
    duration=(_duration, "duration"),
    sms_id=(_tolerant.text, "id_sms_api"),
    link=(_tolerant.text, "link"),
    qualification=(_tolerant.text, "qualification"),
    status=(_tolerant.text, "status"),
)
_Meaning = tuple[type[Event], dict[str, Any]]
_TITLES: dict[str, _Meaning] = {
    "incoming_sms": (IncomingSms, {}),
    "incoming_call": (CallEvent, {"direction": "incoming"}),
    "outgoing_call": (CallEvent, {"direction": "outgoing"}),
    "missed_call": (CallEvent, {"direction": "missed"}),
    "clicked link": (LinkClick, {}),
    "call_qualification_from_mobile": (CallQualification, {"source": "mobile"}),
    "call_qualification_from_interface": (CallQualification, {"source": "interface"}),
}
_FOLDED_TITLES = {_tolerant.fold(title): meaning for title, meaning in _TITLES.items()}


def _moment(written: str) -> datetime:
    if written[4:8:3] != "--":  # Python reads other dates as well
        raise ValueError("not a date as documented")
    return datetime.fromisoformat(written)


def _span(written: str) -> timedelta:
    if written == "0":
        return _NO_TIME
    if written[2::3] != "::":
        raise ValueError("neither 0 nor HH:mm:ss")
    clock = time.fromisoformat(written)
    return timedelta(0, clock.hour * 3600 + clock.minute * 60 + clock.second)


def _sms(raw: Mapping[str, str]) -> Event:
    account, number, text = raw["device_identification"], raw["from"], raw["message"]
    return IncomingSms(raw=raw, account=account, phone_number=number, message=text, at=_moment(raw["date"]))


def _call(raw: Mapping[str, str]) -> Event:
    account, number, direction = raw["device_identification"], raw["phone_number"], raw["title"].removesuffix("_call")
    at, duration = _moment(raw["call_time"]), _span(raw["duration"])
    return CallEvent(raw=raw, account=account, phone_number=number, at=at, duration=duration, direction=direction)


def _click(raw: Mapping[str, str]) -> Event:
    sms_id, number, link = raw["id_sms_api"], raw["phone_number"], raw["link"]
    return LinkClick(raw=raw, sms_id=sms_id, phone_number=number, link=link, at=_moment(raw["date"]))


def _note(raw: Mapping[str, str]) -> Event:
    account, number, note = raw["device_identification"], raw["from"], raw["qualification"]
    at, source = _moment(raw["date"]), raw["title"].removeprefix("call_qualification_from_")
    return CallQualification(raw=raw, account=account, phone_number=number, at=at, qualification=note, source=source)


def _delivery(raw: Mapping[str, str]) -> Event:
    account, number, sms_id = raw["user"], raw["phone_number"], raw["id_sms_api"]
    at, status = _moment(raw["date_status"]), raw["status"]
    return DeliveryStatus(raw=raw, account=account, phone_number=number, status=status, at=at, sms_id=sms_id)


_DOCUMENTED_FIELDS = 5
_BUILDERS: dict[type[Event], Callable[[Mapping[str, str]], Event]] = {
    IncomingSms: _sms,
    CallEvent: _call,
    LinkClick: _click,
    CallQualification: _note,
}
_LETTER = {None: _delivery} | {title: _BUILDERS[kind] for title, (kind, _) in _TITLES.items()}
_DELIVERY: _Meaning = (DeliveryStatus, {})
_UNKNOWN: _Meaning = (UnknownEvent, {})
# Without a title nobody knows a call's direction or a qualification's source: those stay unknown.
_PARAMETERS: dict[str, type[Event]] = {
    "message": IncomingSms,
    "calls": UnknownEvent,
    "call": UnknownEvent,
    "clics": LinkClick,
    "click": LinkClick,
    "qualification": UnknownEvent,
    "status": DeliveryStatus,
}
_PARAMETER_OF: dict[str, str] = {
    IncomingSms.kind: "message",
    CallEvent.kind: "calls",
    LinkClick.kind: "clics",
    CallQualification.kind: "qualification",
    DeliveryStatus.kind: "status",
    UnknownEvent.kind: "calls",
}


def parse_webhook(query: bytes | str) -> Event:
    """Read the event in the query of a webhook.

    Unknown titles, statuses and fields are no error, and neither are missing fields; all that came is in ``raw``.

    Args:
        query: What stands behind the ``?`` of the request, RAW: no framework may have decoded it.

    Raises:
        InvalidWebhook: There is no event in it, more than one, or it breaks a limit (``MAX_QUERY_BYTES``,
            ``MAX_DEPTH``, ``MAX_DIGITS``). The message says what is wrong and holds no content.
    """
    raw = _raw(query)
    return _to_the_letter(raw) or _tolerantly(*_parameter(raw))


def build_webhook(event: Event) -> str:
    """Return the query with which inSIM would report an event; ``parse_webhook`` of it is an equal event.

    It is built from ``event.raw``: the payload as it came, or as inSIM would send it where the event was made by hand.
    An event with nothing in it makes an empty one, which is refused.
    """
    payload = msgspec.json.encode(dict(event.raw))
    return f"{_PARAMETER_OF[event.kind]}={quote(payload, safe=_UNESCAPED_BY_ENCODE_URI_COMPONENT)}"


def _raw(query: bytes | str) -> bytes:
    try:
        raw = query.encode() if isinstance(query, str) else query
    except UnicodeEncodeError:
        raw = None
    if raw is None:  # outside of the except: that error holds the query
        raise InvalidWebhook("the query is not UTF-8")
    if len(raw) > MAX_QUERY_BYTES:
        raise InvalidWebhook(f"the query is longer than {MAX_QUERY_BYTES} bytes")
    return raw


def _to_the_letter(query: bytes) -> Event | None:
    """Read an event that is as documented in every respect; None for any other query."""
    start = query.find(b"=%7B") + 1
    if not start or _AMPERSAND in query or query[-3:] != b"%7D":
        return None
    document = _unescaped(query[start:])
    try:
        raw = _TEXTS.decode(document)
        event = _LETTER[raw.get("title")](raw)
    except (msgspec.DecodeError, LookupError, ValueError):
        return None
    # Each field has four quotes: with more of them there are other fields, or the same one twice.
    return None if event.phone_number[:1] == " " or document.count(b'"') != 4 * _DOCUMENTED_FIELDS else event


def _parameter(query: bytes) -> tuple[str, bytes]:
    """Find the one parameter that holds an object; of several, the one with a name that inSIM uses."""
    pieces = query.split(b"&")
    found = [
        (*_named(piece[: sign.start()]), piece[sign.end() :]) for piece in pieces if (sign := _OBJECT.search(piece))
    ]
    found = [one for one in found if one[0] in _PARAMETERS] or found
    if not found:
        raise InvalidWebhook("no parameter holds a JSON object")
    name, spelled, value = found[0]
    if len(found) > 1 or sum(piece.startswith(spelled + b"=") for piece in pieces) > 1:
        raise InvalidWebhook("more than one event")
    return name, value


def _named(before: bytes) -> tuple[str, bytes]:
    # A callback URL that has a query already is called as "token=t?message=...".
    spelled = before.rpartition(b"?")[2]
    return _tolerant.fold(spelled.decode("utf-8", "replace")), spelled


def _unescaped(value: bytes) -> bytes:
    """Undo percent-escapes, in C where every ``%`` begins one; one that does not stays as it is."""
    decoded = a2b_qp(value.translate(_QUOTED_PRINTABLE))
    # Each escape makes it two bytes shorter, and a "%" that begins none does not.
    if _NUL in decoded or len(decoded) != len(value) - 2 * value.count(b"%"):
        return unquote_to_bytes(value)
    return decoded


def _payload(document: bytes) -> dict[str, Any]:
    try:
        payload = _PAYLOAD.decode(document)
    except (msgspec.DecodeError, RecursionError, ValueError):
        payload = None
    if payload is None:  # outside of the except: some of those errors hold the document
        raise InvalidWebhook("the parameter is not one JSON object in UTF-8")
    if not payload:
        raise InvalidWebhook("the object is empty")
    # Texts may hold what looks like a key, so that a higher count is a doubt and no proof.
    if _checked(payload) != len(_KEY.findall(document)) and _repeats(document):
        raise InvalidWebhook("a key of the object is repeated")
    return payload


def _checked(payload: dict[str, Any]) -> int:
    """Count the keys at all depths.

    Raises:
        InvalidWebhook: Too deep, or a number with too many digits.
    """
    level: list[Any] = [payload]
    keys = 0
    for _ in range(MAX_DEPTH):
        keys += sum(len(inner) for inner in level if isinstance(inner, dict))
        values = [value for inner in level for value in (inner.values() if isinstance(inner, dict) else inner)]
        values = [value for value in values if not isinstance(value, str)]
        if any(isinstance(value, int) and abs(value) >= 10**MAX_DIGITS for value in values):
            raise InvalidWebhook(f"a number has more than {MAX_DIGITS} digits")
        level = [value for value in values if isinstance(value, dict | list)]
        if not level:
            return keys
    raise InvalidWebhook(f"objects stand more than {MAX_DEPTH} deep within each other")


def _repeats(document: bytes) -> bool:
    repeated: list[bool] = []
    json.loads(document, object_pairs_hook=lambda pairs: repeated.append(len(dict(pairs)) != len(pairs)))
    return any(repeated)


def _tolerantly(parameter: str, value: bytes) -> Event:
    document = _unescaped(value)
    if document[:3] in {b"%7B", b"%7b"}:
        document = _unescaped(document)
    raw = _payload(document)
    known, _ = _WORDS.read(raw)
    kind, facts = _kind(parameter, known)
    known.setdefault("at", known.get("status_at"))
    return kind(raw=raw, **facts, **{name: known[name] for name in kind.__struct_fields__ if name in known})


def _kind(parameter: str, known: Mapping[str, Any]) -> _Meaning:
    if title := known.get("title"):
        return _FOLDED_TITLES.get(_tolerant.fold(title), _UNKNOWN)
    if known.keys() & {"status", "status_at"} and "message" not in known:
        return _DELIVERY
    return _PARAMETERS.get(parameter, UnknownEvent), {}
