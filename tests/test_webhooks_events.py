"""Events are plain values that keep people's data to themselves."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from insim_async.webhooks import (
    CallEvent,
    CallQualification,
    DeliveryStatus,
    Event,
    IncomingSms,
    LinkClick,
    UnknownEvent,
    build_webhook,
    parse_webhook,
)

PARIS = timezone(timedelta(hours=2))
COMMON: dict[str, Any] = {
    "phone_number": "+33639980001",
    "account": "me@example.com",
    "at": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - naive on purpose
}
UTC_TIME: dict[str, Any] = COMMON | {"at": datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)}
PARIS_TIME: dict[str, Any] = COMMON | {"at": datetime(2026, 1, 2, tzinfo=PARIS)}
EVENTS = [
    IncomingSms(**UTC_TIME, message="a secret"),
    IncomingSms(**PARIS_TIME, message="a secret"),
    IncomingSms(),
    CallEvent(**COMMON, direction="outgoing", duration=timedelta(hours=15, minutes=11, seconds=4)),
    CallEvent(**COMMON, direction="missed"),
    LinkClick(**COMMON, sms_id="id1", link="https://example.com/secret"),
    CallQualification(**COMMON, qualification="a secret", source="mobile"),
    DeliveryStatus(**COMMON, sms_id="id1", status="received"),
    UnknownEvent(**COMMON, raw_json=b'{"title": "news", "date": "2026-01-02 03:04:05"}'),
    UnknownEvent(**COMMON),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
class TestEvent:
    def test_says_nothing_of_people_in_its_repr(self, event: Event) -> None:
        said = repr(event)
        assert said.startswith(type(event).__name__)
        assert [word for word in ("3399", "secret", "example", "news") if word in said] == []

    def test_made_by_hand_has_the_payload_that_would_be_sent(self, event: Event) -> None:
        if "title" not in event.raw or event.raw["title"] != "news":
            assert parse_webhook(build_webhook(event)) == event

    def test_survives_pickle_and_copy(self, event: Event) -> None:
        for twin in (pickle.loads(pickle.dumps(event)), copy.deepcopy(event)):
            assert (twin, hash(twin), twin.key) == (event, hash(event), event.key)

    def test_is_frozen(self, event: Event) -> None:
        with pytest.raises(AttributeError):
            event.phone_number = ""  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue] # the point


def test_kinds_are_what_users_were_told() -> None:
    assert list(dict.fromkeys(event.kind for event in EVENTS)) == [
        *("incoming_sms", "call", "link_click", "call_qualification", "delivery_status", "unknown"),
    ]


def test_different_events_have_different_keys() -> None:
    assert len({event.key for event in EVENTS}) == len(EVENTS)
    raw = b'{"date": "2026-01-02"}'
    assert IncomingSms(raw_json=raw).key != LinkClick(raw_json=raw).key


def test_a_key_is_short_and_url_safe() -> None:
    """And never looks like an option of a command."""
    keys = [IncomingSms(message=str(number)).key for number in range(500)]
    assert {len(key) for key in keys} == {32}
    assert all(key.replace(".", "").replace("_", "").isalnum() for key in keys)


def test_a_key_does_not_depend_on_order_at_any_depth() -> None:
    one = UnknownEvent(raw_json=b'{"a": {"x": 1, "y": [2]}, "b": "z"}')
    assert one.key == UnknownEvent(raw_json=b'{"b":"\\u007a","a":{"y":[2],"x":1}}').key
    assert one.key != UnknownEvent(raw_json=b'{"b":"z","a":{"y":[2,2],"x":1}}').key


def test_a_key_outlives_the_process() -> None:
    program = "from insim_async.webhooks import IncomingSms; print(IncomingSms(message='é').key)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == IncomingSms(message="é").key == "13bjBVVgnJeesPUyc6teVhK4MIG4_TkX"


def test_events_are_equal_or_they_differ() -> None:
    one, same, other = IncomingSms(message="a"), IncomingSms(message="a"), IncomingSms(message="b")
    assert one == same
    assert not one != same  # noqa: SIM202 - the other operator is another method
    assert one != other
    assert one != DeliveryStatus()


def test_what_is_made_by_hand_has_all_the_fields_that_are_documented() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    assert IncomingSms(at=at).raw == {
        "device_identification": "",
        "title": "incoming_sms",
        "from": "",
        "message": "",
        "date": "2026-01-02T03:04:05.678Z",
    }
    naive = at.replace(tzinfo=None)
    assert LinkClick(at=naive, account="me").raw == {
        "id_sms_api": "",
        "title": "clicked link",
        "phone_number": "",
        "link": "",
        "date": "2026-01-02 03:04:05.678",
        "device_identification": "me",
    }
    assert UnknownEvent().raw == {}


def test_an_event_has_one_key_before_and_after_its_way() -> None:
    """Though times go to the millisecond only."""
    for event in (
        IncomingSms(at=datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), message="a"),
        CallEvent(at=datetime(2026, 1, 2, 3, 4, 5, 678901), direction="missed"),  # noqa: DTZ001 - naive on purpose
        LinkClick(account="me"),
    ):
        assert parse_webhook(build_webhook(event)).key == event.key


def test_what_an_inbox_called_it_is_its_key() -> None:
    event = IncomingSms(message="a", _key="given")
    assert (event.key, event) == ("given", IncomingSms(message="a"))
    assert "given" not in repr(event)
