"""The fast way of reading a webhook says what the slow way says, or asks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from insim_async.errors import InvalidWebhook
from insim_async.webhooks import (
    CallEvent,
    Event,
    _fast,
    _limits,
    _query,
    build_webhook,
    parse_webhook,
)
from insim_async.webhooks.parsing import payload_of, read_payload

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "webhooks.json").read_text("utf-8")
)
PUBLISHED = [(vector["query"].partition("=")[0], vector["payload"]) for vector in VECTORS]
Pairs = list[tuple[str, Any]]


@contextmanager
def the_slow_way_alone() -> Iterator[None]:
    """Let all that is in ``_fast`` be as good as deleted."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _fast.__all__:
            patch.setattr(_fast, name, lambda *_: None)
        yield


def outcome(query: bytes) -> tuple[object, ...]:
    """Read a query, and return all that can be seen of what came of it."""
    try:
        event = parse_webhook(query)
    except InvalidWebhook as error:
        return (str(error),)
    return facts_of(event)


def facts_of(event: Event) -> tuple[object, ...]:
    values = [getattr(event, name) for name in event.__struct_fields__]
    return type(event), event.key, [(type(value), repr(value), value) for value in values]


def slow_outcome(query: bytes) -> tuple[object, ...]:
    with the_slow_way_alone():
        return outcome(query)


def query_of(name: str, pairs: Pairs) -> bytes:
    """Write a query as inSIM does; unlike an object, pairs may repeat a name."""
    fields = ",".join(
        f"{json.dumps(key)}:{json.dumps(value, ensure_ascii=False)}" for key, value in pairs
    )
    return f"{name}={quote(f'{{{fields}}}', safe=SAFE)}".encode("utf-8", "surrogatepass")


SAFE = "!~*'()"
DOCUMENTED = [
    (name, payload)
    for name, payload in PUBLISHED
    if _fast.documented_event(query_of(name, [*payload.items()]))
]


def test_all_kinds_go_the_fast_way_as_documented() -> None:
    titles = {payload.get("title") for _, payload in DOCUMENTED}
    assert titles == {
        None,
        "incoming_sms",
        "incoming_call",
        "outgoing_call",
        "missed_call",
        "clicked link",
        "call_qualification_from_mobile",
        "call_qualification_from_interface",
    }


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_what_is_published_is_read_the_same_in_both_ways(vector: dict[str, Any]) -> None:
    query = vector["query"].encode()
    fast = _fast.documented_event(query)
    assert fast is None or facts_of(fast) == slow_outcome(query)
    assert outcome(query) == slow_outcome(query)


NAMES = sorted({name for _, payload in PUBLISHED for name in payload})
ODD_NAMES = [
    "raw_json",
    "direction",
    "source",
    "account",
    "at",
    "sms_id",
    "(direction)",
    "(source)",
    "Title",
    "TITLE",
    "FROM",
    "Phone Number",
    "phone",
    "Message",
    "sms",
    "dateStatus",
    "ID-SMS-API",
    "insim_async_check",
    "",
    'a"b',
    "a:b",
]
TITLES = sorted({payload["title"] for _, payload in PUBLISHED if "title" in payload})
ODD_TITLES = [
    "Incoming SMS",
    "INCOMING_SMS",
    "incoming sms",
    "clicked_link",
    "outgoing_fax",
    "status",
    "",
    " ",
]
DATES = [
    "2026-01-02",
    "2026-01-02 03:04",
    "2026-01-02 03:04:05",
    "2026-01-02T03:04:05",
    "2026-01-02T03:04:05Z",
    "2026-01-02t03:04:05z",
    "2026-01-02 03:04:05+01:00",
    "2026-01-02T03:04:05.123456789-03:30",
    "2026-01-02T03:04:05.9999999",
    "2026-01-02T24:00:00",
    "2026-02-30T03:04:05",
    "0000-01-01T00:00:00",
    "9999-12-31T23:59:59.9999999Z",
    " 2026-01-02T03:04:05",
    "20260102T030405",
    "1800000000",
    "\N{ARABIC-INDIC DIGIT TWO}026-01-02T03:04:05",
    "soon",
    "",
]
DURATIONS = [
    "0",
    "00:00:07",
    "1:2:3",
    "100:00:00",
    "00:61:00",
    "00:00:60",
    "24:00:00",
    "99:59:59",
    "75",
    " 0",
    "0 ",
]
DURATIONS += ["00:00:07\n", "0\N{ARABIC-INDIC DIGIT ONE}:00:07", "-1:00:00", "00:00"]
NUMBERS = ["+33639980001", " 33639980001", "0639980001", " ", " A", "+", ""]
TEXTS = [
    "",
    " ",
    'say "x": {"x":1}',
    "a&b=c",
    "100% sure",
    "%41",
    "a+b",
    "=",
    "\0",
    "\r\n",
    "é😀",
    "\ud800",
    "null",
]
WRONG: list[Any] = [
    None,
    True,
    False,
    0,
    7,
    -1,
    1.5,
    33639980001,
    [],
    ["a"],
    {},
    {"a": "b"},
    10**19,
    [[[]]],
]
VALUES = st.sampled_from(
    [*NUMBERS, *DATES, *DURATIONS, *TEXTS, *TITLES, *ODD_TITLES, *WRONG]
) | st.text(max_size=8)
EXTRA = st.tuples(st.sampled_from([*NAMES, *ODD_NAMES]), VALUES)


def changed(draw: st.DrawFn, name: str, value: Any) -> Pairs:
    """Change a field, drop, rename or repeat it, or add another behind it."""
    match draw(st.sampled_from(["value", "drop", "rename", "repeat", "add"])):
        case "value":
            return [(name, draw(VALUES))]
        case "drop":
            return []
        case "rename":
            return [(draw(EXTRA)[0], value)]
        case "repeat":
            return [(name, value)] * 2
        case _:
            return [(name, value), draw(EXTRA)]


@st.composite
def perturbed_pairs(draw: st.DrawFn, pairs: Pairs) -> Pairs:
    """Change a field or two, and the order of all."""
    found = list(pairs)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(found)))
        found[place : place + 1] = changed(draw, *(found[place] if found[place:] else draw(EXTRA)))
    return draw(st.permutations(found)) if draw(st.booleans()) else found


ENCODINGS: list[Any] = [
    lambda text: quote(text, safe=SAFE),
    lambda text: quote(text, safe=SAFE),
    lambda text: quote(text, safe=""),
    lambda text: quote(text, safe="{}"),
    lambda text: quote(text, safe=SAFE).lower(),
    lambda text: quote(quote(text, safe=SAFE), safe=""),
    lambda text: quote(text, safe=SAFE).replace("%20", "+"),
    lambda text: quote(text, safe=SAFE).replace("%22", '"'),
    lambda text: quote(text, safe=SAFE).replace("%25", "%"),
    lambda text: quote(text, safe=SAFE).replace("%2C", "%2", 1),
    lambda text: quote(text, safe=SAFE) + "%",
    lambda text: quote(text, safe=SAFE)[:-4],
    lambda text: quote(" " + text, safe=SAFE),
    lambda text: quote(text + "\n", safe=SAFE),
    lambda text: quote(text.replace('","', '" , "'), safe=SAFE),
    lambda text: quote(text.replace('":', '"\t:\n'), safe=SAFE),
    lambda text: quote(text.replace("m", "\\u006d"), safe=SAFE),
    lambda text: quote(text.replace("t", "\\u0022"), safe=SAFE),
    lambda text: quote(f"[{text}]", safe=SAFE),
]
AROUND = [
    "{}",
    "{}",
    "?{}",
    "token=t?{}",
    "a=1&{}",
    "{}&b=2",
    "{}&",
    "&{}",
    "{0}&{0}",
    "{}&status=%7B%7D",
    "status&{}",
]
PARAMETERS = [
    "message",
    "calls",
    "call",
    "clics",
    "click",
    "qualification",
    "status",
    "STATUS",
    "news",
    "sta%74us",
    "",
]


@st.composite
def perturbed_queries(draw: st.DrawFn) -> bytes:
    name, payload = draw(st.sampled_from(PUBLISHED))
    pairs = draw(perturbed_pairs([*payload.items()]))
    fields = [
        f"{json.dumps(key)}:{json.dumps(value, ensure_ascii=draw(st.booleans()))}"
        for key, value in pairs
    ]
    value = draw(st.sampled_from(ENCODINGS))(f"{{{','.join(fields)}}}".replace("\ud800", "\\ud800"))
    parameter = draw(st.just(name) | st.sampled_from(PARAMETERS))
    return draw(st.sampled_from(AROUND)).format(f"{parameter}={value}").encode()


@st.composite
def documented_queries(draw: st.DrawFn) -> bytes:
    """As inSIM would send it, but for its values."""
    name, payload = draw(st.sampled_from(DOCUMENTED))
    odd = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    values = {
        "title": st.just(payload.get("title")),
        "duration": st.sampled_from(DURATIONS),
        "date": st.sampled_from(DATES),
        "call_time": st.sampled_from(DATES),
        "date_status": st.sampled_from(DATES),
        "from": st.sampled_from(NUMBERS),
        "phone_number": st.sampled_from(NUMBERS),
    }
    place = draw(st.sampled_from(sorted(payload)))
    return query_of(
        name,
        [(key, draw(values.get(key, odd)) if key == place else payload[key]) for key in payload],
    )


@settings(max_examples=1000, deadline=None)
@example(query_of("message", [*PUBLISHED[0][1].items()]))
@example(query_of("status", [*PUBLISHED[0][1].items()]))
@given(documented_queries() | perturbed_queries())
def test_whatever_the_fast_way_returns_is_what_the_slow_way_says(query: bytes) -> None:
    slow = slow_outcome(query)
    fast = _fast.documented_event(query)
    assert fast is None or facts_of(fast) == slow
    assert outcome(query) == slow


@given(documented_queries() | perturbed_queries())
def test_a_payload_that_was_kept_is_the_same_event_in_both_ways(query: bytes) -> None:
    try:
        event = parse_webhook(query)
    except InvalidWebhook:
        return
    kept = payload_of(event)
    with the_slow_way_alone():
        slow = facts_of(read_payload(*kept))
    assert facts_of(read_payload(*kept)) == slow == facts_of(event)


@pytest.mark.parametrize("duration", ["0", "00:00:07", "23:59:59", "99:59:59", "7", "1:00:00"])
def test_a_duration_is_read_the_same_in_both_ways(duration: str) -> None:
    call = CallEvent(
        direction="missed",
        phone_number="+33639980001",
        account="me",
        at=datetime(2026, 1, 2),  # noqa: DTZ001 - as inSIM writes it
        duration=timedelta(seconds=7),
    )
    query = build_webhook(call).replace(quote("00:00:07"), quote(duration)).encode()
    fast = _fast.documented_event(query)
    assert (fast is None) == (duration in {"7", "1:00:00"})
    assert outcome(query) == slow_outcome(query)


@given(st.one_of(st.binary(), st.text('%=\r\n?&{}"a3Dd7Bb:m', max_size=20).map(str.encode)))
def test_escapes_are_undone_as_the_standard_library_does(value: bytes) -> None:
    assert _fast.unescaped(value) in {None, unquote_to_bytes(value)}
    assert _query.unescaped(value) == unquote_to_bytes(value)


@pytest.mark.parametrize("value", [b"", b"a", b"%7B%22a%3Db%22%7D", b"%E2%82%AC", b"a%3D%3d"])
def test_escapes_that_are_whole_are_undone_fast(value: bytes) -> None:
    assert _fast.unescaped(value) == unquote_to_bytes(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(['"a":', "a", ""]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from('ab":'), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from("abc"), JSON, min_size=1), st.booleans())
def test_an_object_has_each_key_once_if_the_fast_way_says_so(
    payload: dict[str, Any], twice: bool
) -> None:
    written = json.dumps(payload)
    document = (f'{{"a": 1, {written[1:]}' if twice else written).encode()
    keys = _limits._count_keys(json.loads(document))
    fast = _fast.has_each_key_once(document, keys)
    assert fast is None or fast == (not _limits._repeats_a_key(document))
