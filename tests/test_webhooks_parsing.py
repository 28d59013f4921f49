"""Queries to events: as published, as sloppy senders write them, and as hostile ones do."""

from __future__ import annotations

import json
import re
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insim_async.errors import InvalidWebhook
from insim_async.webhooks import (
    CallEvent,
    CallQualification,
    DeliveryStatus,
    Event,
    IncomingSms,
    LinkClick,
    UnknownEvent,
    _query,
    build_webhook,
    parse_webhook,
)
from insim_async.webhooks._query import WHERE
from insim_async.webhooks.parsing import MAX_DEPTH, MAX_DIGITS, MAX_QUERY_BYTES, read_payload

NUMBER = "+33639980001"
VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "webhooks.json").read_text("utf-8")
)
SMS: dict[str, Any] = {
    "title": "incoming_sms",
    "from": NUMBER,
    "message": "Hello",
    "date": "2026-01-02",
}
TEXTS = [
    "100% sure",
    "50%25 off",
    "%zz",
    "%",
    "%%",
    "%7B",
    "a&b",
    "a+b",
    "#1",
    "a=b",
    "a==",
    ";",
    "?message={",
    "é €",
    "😀",
]
TEXTS += [
    '","from":"+33639980002',
    "\x00",
    "\r\n\x1b[31m",
    "\u202e",
    "\ufeff",
    'say "x": {"x":1,"x":2}',
]
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def query(payload: object, name: str = "message", times: int = 1) -> str:
    value = json.dumps(payload, ensure_ascii=False)
    for _ in range(times):
        value = quote(value, safe="!~*'()")
    return f"{name}={value}"


def plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def fields_of(event: Event, names: dict[str, Any]) -> dict[str, Any]:
    seconds = event.duration.total_seconds() if isinstance(event, CallEvent) else None
    return {
        name: seconds if name == "duration_s" else plain(getattr(event, name)) for name in names
    }


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
class TestPublishedPayload:
    @pytest.mark.parametrize("encode", [str, str.encode])
    def test_is_read_as_documented(self, vector: dict[str, Any], encode: Any) -> None:
        event = parse_webhook(encode(vector["query"]))
        assert (event.kind, event.raw) == (vector["kind"], vector["payload"])
        assert fields_of(event, vector["fields"]) == vector["fields"]

    def test_is_read_with_a_plus_that_was_taken_for_a_space(self, vector: dict[str, Any]) -> None:
        spaced = parse_webhook(vector["query"].replace("%22%2B33", "%22%2033"))
        assert spaced.phone_number == parse_webhook(vector["query"]).phone_number

    def test_is_built_again_as_it_came(self, vector: dict[str, Any]) -> None:
        built = build_webhook(parse_webhook(vector["query"]))
        assert parse_webhook(built) == parse_webhook(vector["query"])
        payload = quote(
            json.dumps(vector["payload"], separators=(",", ":"), ensure_ascii=False), safe="!~*'()"
        )
        assert built.partition("=")[2] == payload

    def test_has_one_key_in_any_order_spacing_and_depth(self, vector: dict[str, Any]) -> None:
        event = parse_webhook(vector["query"])
        turned = dict(reversed(vector["payload"].items()))
        spaced = f"message={quote(json.dumps(turned, indent=2))}"
        twins = [parse_webhook(q) for q in (query(turned), query(turned, times=2), spaced)]
        assert {twin.key for twin in twins} == {event.key}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_arrives_byte_for_byte(text: str, times: int) -> None:
    event = parse_webhook(query(SMS | {"message": text}, times=times))
    assert isinstance(event, IncomingSms)
    assert (event.message, event.phone_number) == (text, NUMBER)


@pytest.mark.parametrize(
    "text", ["a+b", "#1", "a=b", ";", "?message={", "é €", "100% sure", "%zz", "a==", "="]
)
def test_a_text_that_was_not_escaped_arrives_too(text: str) -> None:
    event = parse_webhook("message=" + json.dumps(SMS | {"message": text}, ensure_ascii=False))
    assert isinstance(event, IncomingSms)
    assert event.message == text


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "?{}",
        "a=1&{}&b=2",
        "token=t?{}",
        "x=1&token=t?{}",
        "message2=x&{}",
        "state=%7B%7D&{}",
        "{}&",
        "&&{}",
    ],
)
def test_the_event_is_found_among_other_parameters(around: str) -> None:
    assert parse_webhook(around.format(query(SMS))).raw == SMS


@pytest.mark.parametrize("name", ["message", "calls", "clics", "MESSAGE", "news"])
@pytest.mark.parametrize("title", ["incoming_sms", "incoming sms", "Incoming SMS", "INCOMING-SMS"])
def test_the_title_decides_in_any_spelling_and_under_any_name(title: str, name: str) -> None:
    assert parse_webhook(query(SMS | {"title": title}, name)).kind == "incoming_sms"


UNTITLED = {"phone_number": NUMBER, "id_sms_api": "id1", "link": "https://example.com"}


@pytest.mark.parametrize(
    ("name", "payload", "expected"),
    [
        ("message", {"PHONE_NUMBER": NUMBER, "sms": "a"}, IncomingSms),
        ("Message", {"message": "a", "status": "b"}, IncomingSms),
        ("click", UNTITLED, LinkClick),
        ("status", UNTITLED, DeliveryStatus),
        ("calls", UNTITLED | {"status": "sent"}, DeliveryStatus),
        ("message", {"DateStatus": "2026-01-02"}, DeliveryStatus),
        ("calls", {"duration": "0"}, UnknownEvent),
        ("qualification", {"qualification": "a"}, UnknownEvent),
        ("news", UNTITLED, UnknownEvent),
        ("message", SMS | {"title": "outgoing_fax"}, UnknownEvent),
        ("status", {"status": "sent", "title": "news"}, UnknownEvent),
        ("message", {"title": None, "message": "a"}, IncomingSms),
    ],
)
def test_without_a_known_title_fields_and_then_the_name_decide(
    name: str, payload: Any, expected: type[Event]
) -> None:
    event = parse_webhook(query(payload, name))
    assert (type(event), event.raw) == (expected, payload)
    assert parse_webhook(build_webhook(event)) == event


@pytest.mark.parametrize(
    ("came", "number"),
    [
        (" 33639980001", NUMBER),
        (NUMBER, NUMBER),
        ("0639980001", "0639980001"),
        (" A", " A"),
        (33639980001, "33639980001"),
    ],
)
def test_a_space_for_a_plus_gets_its_plus_back(came: object, number: str) -> None:
    event = parse_webhook(query(SMS | {"from": came}))
    assert (event.phone_number, event.raw["from"]) == (number, came)


@pytest.mark.parametrize(
    ("came", "at"),
    [
        ("2026-01-02", datetime(2026, 1, 2)),  # noqa: DTZ001 - naive in, naive out
        ("2026-01-02 03:04:05", datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001 - naive in, naive out
        ("2026-01-02T03:04:05.678Z", datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)),
        ("", None),
        ("soon", None),
        (["2026-01-02"], None),
    ],
)
def test_dates_name_their_zone_or_have_none(came: object, at: datetime | None) -> None:
    for name in ("date", "date_status", "call_time"):
        event = parse_webhook(query({"title": "incoming_sms", name: came}))
        assert (event.at, event.raw[name]) == (at, came)
    full = {
        "device_identification": "me",
        "title": "incoming_sms",
        "from": NUMBER,
        "message": "a",
        "date": came,
    }
    assert parse_webhook(query(full)).at == at


@pytest.mark.parametrize(
    ("came", "seconds"),
    [
        ("0", 0),
        (0, 0),
        ("", 0),
        ("00:00:07", 7),
        ("1:2:3", 3723),
        ("100:00:00", 360000),
        ("75", 0),
        ("00:61:00", 0),
    ],
)
def test_a_duration_is_a_time_span_and_zero_where_it_cannot_be_read(
    came: object, seconds: int
) -> None:
    event = parse_webhook(query({"title": "missed_call", "duration": came}, "calls"))
    assert isinstance(event, CallEvent)
    assert (event.direction, event.duration, event.raw["duration"]) == (
        "missed",
        timedelta(seconds=seconds),
        came,
    )


def test_extra_fields_and_a_new_status_are_kept() -> None:
    payload = {
        "user": "me",
        "status": "read",
        "extra": {"deep": [1, 1.5, None, True]},
        "Id-SMS-API": 7,
    }
    event = parse_webhook(query(payload, "status"))
    assert isinstance(event, DeliveryStatus)
    assert (event.status, event.sms_id, event.account, event.raw) == ("read", "7", "me", payload)


def nested(depth: int) -> str:
    return "message=" + '{"a":' * depth + '"secret"' + "}" * depth


@pytest.mark.parametrize("fraction", ["1", "123456", "9999994", "9999999", "123456789"])
def test_a_date_is_the_same_however_the_event_came(fraction: str) -> None:
    documented = (
        {"device_identification": "me@example.com"}
        | SMS
        | {"date": f"2026-01-02T10:00:00.{fraction}Z"}
    )
    quick, slow = parse_webhook(query(documented)), parse_webhook(query(documented | {"more": 1}))
    assert quick.at == slow.at
    assert quick.at is not None


@pytest.mark.parametrize("given", [None, {"message": "{}"}, bytearray(b"message={}"), 5])
def test_what_a_framework_made_of_a_query_is_refused(given: Any) -> None:
    with pytest.raises(
        TypeError, match=f"expected the query as bytes or str.*, got {type(given).__name__}: .*raw"
    ):
        parse_webhook(given)


NO_EVENT = {
    "nothing": "",
    "no event parameter": "a=1&b=secret",
    "no object": "message=secret",
    "a list on top": 'message=[{"title":"secret"}]',
    "an empty object": "message=%7B%7D",
    "encoded three times": query(SMS | {"message": "secret"}, times=3),
    "cut at a literal &": 'message={"message":"secret&more"}',
    "cut short": query(SMS | {"message": "secret"})[:-9],
    "more behind it": query(SMS | {"message": "secret"}) + "x",
    "a BOM": "message=%EF%BB%BF" + query(SMS)[8:],
    "a NUL": 'message=%7B"message":"secret%00"}',
    "not UTF-8": 'message=%7B"message":"secret%ff"}',
    "overlong UTF-8": 'message=%7B"message":"secret%c0%af"}',
    "an escape that is none": 'message={"message":"secret\\ud80"}',
    "a plus that may have been a space": "message=%7B%22message%22%3A%22secret+secret%22%7D",
    "a surrogate": "message={}\ud800secret",
    "NaN": 'message={"message":NaN,"a":"secret"}',
    "too large a float": 'message={"a":1e999}',
    "a repeated key": 'message={"message":"secret","message":"b"}',
    "a repeated key, spelled with an escape": 'message={"message":"secret","m\\u0065ssage":"b"}',
    "a repeated key of what is as documented": query(SMS | {"device_identification": "a"}).replace(
        "%2C", "%2C%22message%22%3A%22secret%22%2C", 1
    ),
    "a repeated key inside": 'message={"a":{"b":"secret","b" :1}}',
    "a repeated parameter": f"{query(SMS)}&{query(SMS)}",
    "a repeated parameter of another form": f"message=secret&{query(SMS)}",
    "two events": f"{query(SMS)}&{query(SMS, 'calls')}",
    "two unknown objects": f"{query(SMS, 'a')}&{query(SMS, 'b')}",
    "a number of 20 digits": 'message={"a":["secret",-1' + "0" * MAX_DIGITS + "]}",
    "a number of 200,000 digits": 'message={"a":' + "9" * 200_000 + "}",
    "17 deep": nested(MAX_DEPTH + 1),
    "900 deep": nested(900),
    "20,000 deep": nested(20_000),
    "1,500 deep, escaped": "message=" + quote(nested(1500)[8:]),
    "lists, 1,500 deep, escaped": "message=" + quote('{"a":' + "[" * 1500 + "]" * 1500 + "}"),
    "lists, 17 deep": 'message={"a":' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}",
    "too long": query(SMS | {"message": "x" * MAX_QUERY_BYTES}),
    "100,000 deep": nested(100_000),
}


@pytest.mark.parametrize("raw", NO_EVENT.values(), ids=NO_EVENT)
def test_what_is_no_event_is_refused_with_a_reason_and_no_content(raw: str) -> None:
    with pytest.raises(InvalidWebhook) as caught:
        parse_webhook(raw)
    error = caught.value
    reason = str(error).removesuffix(WHERE)
    assert re.fullmatch(r"[a-zA-Z0-9 -]{10,70}(; (if the query was decoded, )?)?", reason)
    assert (error.__context__, error.__cause__) == (None, None)
    assert "secret" not in "".join(traceback.format_exception_only(error))


@pytest.mark.parametrize("raw", [nested(MAX_DEPTH), 'message={"a":-' + "9" * MAX_DIGITS + "}"])
def test_what_just_keeps_the_limits_is_read(raw: str) -> None:
    assert parse_webhook(raw).raw["a"]


def test_two_hundred_parameters_and_the_longest_query_are_read() -> None:
    many = "&".join(f"p{n}=x" for n in range(200))
    assert parse_webhook(f"{many}&{query(SMS)}").raw == SMS
    room = MAX_QUERY_BYTES - len(query(SMS | {"message": ""}))
    assert parse_webhook(query(SMS | {"message": "x" * room})).raw["message"] == "x" * room


@given(ANY_TEXT, ANY_TEXT, st.sampled_from([1, 2]))
def test_any_text_arrives_as_it_was_written(text: str, number: str, times: int) -> None:
    payload = SMS | {"from": number, "message": text}
    event = parse_webhook(query(payload, times=times))
    assert event.raw == payload
    assert isinstance(event, IncomingSms)
    assert event.message == text
    assert parse_webhook(build_webhook(event)) == event


@given(st.one_of(st.binary(), st.text('%=\r\n?&{}"a3Dd7Bb:m', max_size=20).map(str.encode)))
def test_escapes_are_undone_as_the_standard_library_does(value: bytes) -> None:
    assert _query.unescaped(value) == unquote_to_bytes(value)


@example(b'message={"title":"incoming_sms","message":"Hi"}')
@example(b"")
@given(
    st.one_of(
        st.binary(), st.binary().map(b"message={".__add__), st.text().map('message={"a":'.__add__)
    )
)
def test_any_bytes_are_an_event_or_refused(raw: bytes | str) -> None:
    try:
        event = parse_webhook(raw)
    except InvalidWebhook:
        return
    assert parse_webhook(build_webhook(event)) == event


@pytest.mark.parametrize("turn", [list, reversed], ids=["in order", "turned"])
@pytest.mark.parametrize(
    ("payload", "number", "at"),
    [
        (
            SMS | {"phone_number": "+33639989999", "date_status": "2026-01-01"},
            SMS["from"],
            SMS["date"],
        ),
        (
            {
                "title": "missed_call",
                "from": "+33639989999",
                "phone_number": NUMBER,
                "call_time": "2026-01-02",
            }
            | {"date": "2026-01-01"},
            NUMBER,
            "2026-01-02",
        ),
        (
            {
                "status": "sent",
                "date": "2026-01-01",
                "date_status": "2026-01-02",
                "phone": "1",
                "phone_number": NUMBER,
            },
            NUMBER,
            "2026-01-02",
        ),
    ],
    ids=["sms", "call", "status"],
)
def test_what_is_documented_for_its_kind_holds_in_any_order(
    payload: dict[str, str], number: str, at: str, turn: Any
) -> None:
    event = parse_webhook(query(dict(turn(list(payload.items())))))
    assert (event.phone_number, event.at) == (number, datetime.fromisoformat(at))


def test_what_is_too_deep_under_a_repeated_key_is_refused_at_any_depth() -> None:
    for depth in range(500, 1100):
        with pytest.raises(InvalidWebhook):
            parse_webhook('message={"a":' + "[" * depth + "]" * depth + ',"a":1}')


def test_a_percent_sign_that_begins_no_escape_stays_beside_an_equals_sign() -> None:
    day = datetime(2026, 1, 2)  # noqa: DTZ001 - as inSIM writes it
    query = build_webhook(IncomingSms(phone_number="+33639980001", message="a=b PERCENTzz", at=day))
    event = parse_webhook(query.replace("PERCENT", "%"))
    assert isinstance(event, IncomingSms)
    assert event.message == "a=b %zz"


def test_a_duration_in_other_words_is_zero_and_kept() -> None:
    day = datetime(2026, 1, 2)  # noqa: DTZ001 - as inSIM writes it
    payload = CallEvent(direction="missed", phone_number="+33639980001", account="me", at=day).raw
    event = parse_webhook(query(payload | {"duration": "two hours"}, "calls"))
    assert isinstance(event, CallEvent)
    assert (event.duration, event.raw["duration"]) == (timedelta(0), "two hours")


class TestATitle:
    """Its words say what an event is, with those of the parameter or else alone."""

    @pytest.mark.parametrize(
        ("name", "title", "expected"),
        [
            ("calls", "MISSED", CallEvent(direction="missed")),
            ("calls", "missed_calls", CallEvent(direction="missed")),
            ("calls", "call_missed", CallEvent(direction="missed")),
            ("message", "call missed", CallEvent(direction="missed")),
            ("call", "MissedIncomingCall", CallEvent(direction="missed")),
            ("calls", "INCOMING", CallEvent(direction="incoming")),
            ("calls", "received", CallEvent(direction="incoming")),
            ("calls", "Outgoing", CallEvent(direction="outgoing")),
            ("calls", "appel sortant", CallEvent(direction="outgoing")),
            ("message", "INCOMING", IncomingSms()),
            ("message", "received_sms", IncomingSms()),
            ("calls", "sms_received", IncomingSms()),
            ("message", "sms", IncomingSms()),
            ("message", "New Message", IncomingSms()),
            ("clics", "click", LinkClick()),
            ("clics", "link", LinkClick()),
            ("message", "link_clicked", LinkClick()),
            ("qualification", "from mobile", CallQualification(source="mobile")),
            ("calls", "qualification interface", CallQualification(source="interface")),
            ("news", "dlr", DeliveryStatus()),
            ("message", "sms_status", DeliveryStatus()),
            ("status", "sms_received", DeliveryStatus(status="received")),
            ("status", "Sent", DeliveryStatus(status="sent")),
            ("status", "delivery report", DeliveryStatus()),
        ],
    )
    def test_is_read_by_its_words(self, name: str, title: str, expected: Event) -> None:
        event = parse_webhook(query({"title": title}, name))
        assert fields_without_raw(event) == fields_without_raw(expected)
        assert parse_webhook(build_webhook(event)) == event

    @pytest.mark.parametrize(
        ("name", "title"),
        [
            ("calls", "missed fax"),
            ("calls", "incoming outgoing"),
            ("calls", "call"),
            ("calls", "missed_sms"),
            ("news", "missed"),
            ("news", "sms"),
            ("message", "sms_sent"),
            ("message", "outgoing_sms"),
            ("message", "sms call"),
            ("qualification", "call_qualification"),
            ("status", "status of a call"),
            ("calls", "call_status"),
            ("calls", "missed" * 20),
            ("calls", "missedly"),
        ],
    )
    def test_that_says_something_else_is_not_guessed(self, name: str, title: str) -> None:
        event = parse_webhook(query({"title": title, "message": "a"}, name))
        assert isinstance(event, UnknownEvent)
        assert parse_webhook(build_webhook(event)) == event

    @pytest.mark.parametrize("title", ["sms_received", "received", "SMS"])
    @pytest.mark.parametrize("name", ["message", "status"])
    def test_that_may_mean_two_things_means_what_the_fields_say(
        self, name: str, title: str
    ) -> None:
        head = {"title": title, "phone_number": NUMBER}
        sms = parse_webhook(query(head | {"message": "Hello"}, name))
        report = parse_webhook(query(head | {"status": "sent", "id_sms_api": "1"}, name))
        named = parse_webhook(query(head | {"id_sms_api": "1"}, name))
        assert [each.kind for each in (sms, report, named)] == [
            "incoming_sms",
            "delivery_status",
            "delivery_status",
        ]
        for event in (sms, report, named):
            assert parse_webhook(build_webhook(event)) == event

    def test_that_means_one_thing_is_not_outdone_by_fields(self) -> None:
        sms = parse_webhook(query({"title": "incoming_sms", "id_sms_api": "1"}))
        report = parse_webhook(query({"title": "sms_status", "message": "Hello"}))
        assert [sms.kind, report.kind] == ["incoming_sms", "delivery_status"]

    def test_does_not_outdo_the_field(self) -> None:
        event = parse_webhook(query({"title": "sent", "status": "RECEIVED "}, "status"))
        assert isinstance(event, DeliveryStatus)
        assert event.status == "received"


def fields_without_raw(event: Event) -> list[object]:
    return [type(event)] + [
        getattr(event, name)
        for name in event.__struct_fields__
        if name != "raw_json" and not name.startswith("_")
    ]


WHOLE = {"device_identification": "me", **SMS, "date": "2026-01-02T10:00:00Z"}


class TestAWrappedPayload:
    @pytest.mark.parametrize(
        "payload",
        [
            {"data": SMS},
            {"data": [SMS]},
            {"status": "ok", "payload": SMS},
            {"title": "incoming_sms", "event": {key: SMS[key] for key in ("from", "message")}},
            {"message": SMS},
            {
                "title": "incoming_sms",
                "device_identification": "me",
                "data": {"from": NUMBER, "message": "Hello"},
            },
            {"title": "incoming_sms", "data": SMS, "meta": {}},
            {"data": SMS, "meta": {"v": 1}},
            SMS | {"message": "", "data": {"message": "Hello"}},
            {"message": "Hello", "data": SMS | {"message": ""}},
            {"message": "ok", "data": SMS, "meta": {"account": 1, "duration": "0"}},
        ],
    )
    def test_is_opened(self, payload: dict[str, Any]) -> None:
        event = parse_webhook(query(payload))
        assert isinstance(event, IncomingSms)
        assert (event.message, event.phone_number) == (SMS["message"], NUMBER)
        assert event.raw == payload

    @pytest.mark.parametrize(
        "payload",
        [
            {"data": {"data": SMS}},
            {"data": SMS, "other": SMS},
            {"data": [SMS, SMS]},
            {"a": 1},
            {"message": None, "from": ""},
        ],
    )
    def test_of_which_no_field_is_known_is_unknown_and_no_empty_sms(
        self, payload: dict[str, Any]
    ) -> None:
        event = parse_webhook(query(payload))
        assert (type(event), event.raw) == (UnknownEvent, payload)

    def test_adds_to_what_the_payload_says_and_changes_nothing_of_it(self) -> None:
        event = parse_webhook(query(SMS | {"meta": {"message": "ok", "user": "me"}}))
        assert isinstance(event, IncomingSms)
        assert (event.message, event.account) == (SMS["message"], "me")

    @pytest.mark.parametrize(
        "payload",
        [
            {"title": "incoming_sms", "foo": 1},
            {"title": "incoming_sms", "from": NUMBER, "message": None, "body": "Hello"},
            {"title": "incoming_sms", "from": NUMBER, "message": {"text": "Hello"}},
            {"title": "incoming_sms", "data": SMS, "other": SMS},
            {"from": NUMBER, "body": "Hello"},
            {"from": NUMBER, "date": "2026-01-02", "user": "me"},
        ],
    )
    def test_of_which_the_words_may_be_anywhere_is_no_empty_sms(
        self, payload: dict[str, Any]
    ) -> None:
        event = parse_webhook(query(payload))
        assert (type(event), event.raw) == (UnknownEvent, payload)
        assert parse_webhook(build_webhook(event)) == event

    def test_may_have_an_empty_text(self) -> None:
        event = parse_webhook(query({"title": "incoming_sms", "message": "", "foo": 1}))
        assert isinstance(event, IncomingSms)

    def test_is_left_where_the_payload_says_more(self) -> None:
        event = parse_webhook(query(SMS | {"device": {"phone": "x", "message": "y"}}))
        assert isinstance(event, IncomingSms)
        assert event.message == SMS["message"]


class TestWhoeverEncodedItAgain:
    @pytest.mark.parametrize(
        "text", ["Bonjour à tous", "1 + 1 = 2 & 100% sûr", "a+b", "%2B", "😀 #1"]
    )
    def test_as_a_form_changed_nothing(self, text: str) -> None:
        came = query(WHOLE | {"message": text}).replace("%20%22", "%22")
        event = parse_webhook(urlencode(parse_qsl(came)))
        assert isinstance(event, IncomingSms)
        assert (event.message, event.phone_number) == (text, NUMBER)

    def test_is_told_from_whoever_did_not_escape_a_plus(self) -> None:
        came = query(WHOLE | {"message": "a+b"}).replace("%2B", "+").replace("%20", "")
        event = parse_webhook(came)
        assert isinstance(event, IncomingSms)
        assert (event.message, event.phone_number) == ("a+b", NUMBER)

    @pytest.mark.parametrize(
        ("text", "read"), [("a%2Bb+c", "a+b c"), ("a+b%20c", "a+b c"), ("a%20b", "a b")]
    )
    def test_is_told_without_a_number_by_what_else_is_there(self, text: str, read: str) -> None:
        event = parse_webhook(f"message=%7B%22message%22%3A%22{text}%22%7D")
        assert event.raw == {"message": read}

    @pytest.mark.parametrize("text", ["50%25 off", "100%", "a+b", "%7B", "é&é"])
    def test_left_a_literal_object_as_it_stands(self, text: str) -> None:
        came = json.dumps(SMS | {"message": text}, ensure_ascii=False)
        if "&" in text:
            with pytest.raises(InvalidWebhook, match=r"wanted raw, as it came: scope\["):
                parse_webhook(f"message={came}")
        else:
            assert parse_webhook(f"message={came}").raw["message"] == text

    @pytest.mark.parametrize("text", ["say %22hi%22", "100%25", "a+b", "%C3%A9"])
    def test_as_a_url_of_javascript_left_the_braces(self, text: str) -> None:
        came = '{"title":"incoming_sms","from":"+33639980001","message":"%s"}'
        escaped = (came % text.replace("%22", "%5C%22")).replace('"', "%22").replace(" ", "%20")
        event = parse_webhook(f"message={escaped}")
        assert event.raw["message"] == unquote_to_bytes(text).decode()


@pytest.mark.parametrize(
    ("came", "read"),
    [
        (r"OUI \ud83d", "OUI \ufffd"),
        (r"\udE00 \\ud83d \u00e9 \ud83d\ude00", "\ufffd \\ud83d é 😀"),
        (r"\ud83d\ud83d\ude00", "\ufffd😀"),
    ],
)
def test_half_an_emoji_is_no_reason_to_refuse_the_rest(came: str, read: str) -> None:
    document = f'{{"title":"incoming_sms","message":"{came}"}}'
    event = parse_webhook(f"message={quote(document)}")
    assert isinstance(event, IncomingSms)
    assert (event.message, event.raw["message"]) == (read, read)
    assert event.raw_json == document.encode()
    assert parse_webhook(build_webhook(event)) == event


def key_of(payload: dict[str, Any], name: str = "message") -> str:
    return parse_webhook(query(payload, name)).key


class TestAKey:
    @pytest.mark.parametrize(
        "change",
        [
            {"date": "2026-01-02T10:00:00.000Z"},
            {"date": "2026-01-02 10:00:00"},
            {"date": "2026-01-02T11:00:00+01:00"},
            {"title": "Incoming SMS"},
            {"title": "SMS_RECEIVED"},
            {"from": NUMBER.replace("+", " ")},
        ],
    )
    def test_does_not_depend_on_the_form(self, change: dict[str, Any]) -> None:
        assert key_of(WHOLE | change) == key_of(WHOLE)
        assert key_of({"data": WHOLE | change}) == key_of(WHOLE)

    def test_does_not_depend_on_the_spelling_of_names_and_numbers(self) -> None:
        report = {"user": "me", "status": "sent", "id_sms_api": "12", "date_status": "2026-01-02"}
        spelled = {"USER": "me", "STATUS": "SENT", "idSmsApi": 12, "date": "2026-01-02"}
        spelled["id_sms_api"] = spelled.pop("idSmsApi")
        assert key_of(spelled, "status") == key_of(report, "status")

    @pytest.mark.parametrize(
        "change",
        [
            {"date": "2026-01-02T10:00:00.001Z"},
            {"date": "2026-01-02T10:00:01Z"},
            {"message": "hello"},
            {"from": "+33639980002"},
            {"title": "missed_call"},
            {"device_identification": "you"},
            {"more": 1},
            {"date": "soon"},
            {"duration": "00:00:01"},
        ],
    )
    def test_depends_on_what_is_said(self, change: dict[str, Any]) -> None:
        assert key_of(WHOLE | change) != key_of(WHOLE)

    def test_is_of_the_payload_where_that_says_more_than_was_read(self) -> None:
        assert key_of(WHOLE | {"more": 1}) != key_of(WHOLE | {"more": 2})
        assert key_of({"title": "news", "a": 1}) != key_of({"title": "news", "a": 2})

    @pytest.mark.parametrize("date", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-10:00"])
    def test_is_had_at_both_ends_of_time(self, date: str) -> None:
        assert len(key_of(WHOLE | {"date": date})) == 32


def test_a_payload_that_was_kept_and_is_none_is_refused() -> None:
    with pytest.raises(InvalidWebhook, match="the payload is not one JSON object in UTF-8"):
        read_payload("message", b"nonsense")
