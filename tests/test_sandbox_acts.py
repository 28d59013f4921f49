"""What the sandbox's people do, what time does, and which webhooks it leads to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from insim_async.sandbox import (
    Fault,
    Impossible,
    PhoneCallState,
    Sandbox,
    SentSms,
    SmsState,
    Try,
    Webhook,
    WebhookFault,
    WebhookState,
)
from insim_async.sandbox.schedule import Schedule
from insim_async.sandbox.shelf import Feed, Shelf
from insim_async.sandbox.view import view
from insim_async.testing import TimeMachine
from insim_async.webhooks import parse_webhook

NOW = datetime(2025, 10, 29, 10, 16, 10, 541000, tzinfo=UTC)
TWO_HOURS_EAST = timezone(timedelta(hours=2))
NUMBER, OTHER = "+33639980001", "+33639980002"


@pytest.fixture
def time() -> TimeMachine:
    return TimeMachine(NOW)


@pytest.fixture
def sandbox(time: TimeMachine) -> Sandbox:
    return Sandbox(clock=time.now, timezone=TWO_HOURS_EAST, callback="http://127.0.0.1:8000/hook")


def given(sms_id: str = "a", number: str = NUMBER, **fields: Any) -> SentSms:
    return SentSms(number, "Hello", sms_id=sms_id, parts=1, sent_at=NOW, **fields)


def linked(sms_id: str = "a", number: str = NUMBER) -> SentSms:
    return given(sms_id, number, url="https://example.com/", link=f"https://arsms.co/{sms_id}")


def payload(webhook: Webhook) -> dict[str, Any]:
    return parse_webhook(webhook.query).raw


def states(sandbox: Sandbox) -> list[SmsState]:
    return [sms.state for sms in sandbox.messages]


def reported(sandbox: Sandbox) -> list[tuple[str, str]]:
    """Return id and status of each delivery report."""
    payloads = [payload(webhook) for webhook in sandbox.webhooks]
    return [(found["id_sms_api"], found["status"]) for found in payloads if "status" in found]


def wait(sandbox: Sandbox, time: TimeMachine, seconds: float) -> None:
    time.go_to(time.later(seconds))
    sandbox.tick()


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (
            lambda sandbox: sandbox.reply("+33 6 39 98 00 01", "100% sûre ?"),
            {
                "device_identification": "demo@example.com",
                "title": "incoming_sms",
                "from": NUMBER,
                "message": "100% sûre ?",
                "date": "2025-10-29T10:16:10.541Z",
            },
        ),
        (
            lambda sandbox: sandbox.click(),
            {
                "id_sms_api": "a",
                "title": "clicked link",
                "phone_number": NUMBER,
                "link": "https://example.com/",
                "date": "2025-10-29 12:16:10",
            },
        ),
        (
            lambda sandbox: sandbox.call_in(OTHER, seconds=54664),
            {
                "device_identification": "demo@example.com",
                "title": "incoming_call",
                "phone_number": OTHER,
                "call_time": "2025-10-29 12:16:10",
                "duration": "15:11:04",
            },
        ),
        (
            lambda sandbox: sandbox.miss_call(OTHER),
            {
                "device_identification": "demo@example.com",
                "title": "missed_call",
                "phone_number": OTHER,
                "call_time": "2025-10-29 12:16:10",
                "duration": "0",
            },
        ),
        (
            lambda sandbox: sandbox.answer(seconds=61),
            {
                "device_identification": "demo@example.com",
                "title": "outgoing_call",
                "phone_number": NUMBER,
                "call_time": "2025-10-29 12:16:10",
                "duration": "00:01:01",
            },
        ),
        (
            lambda sandbox: sandbox.let_ring(),
            {
                "device_identification": "demo@example.com",
                "title": "outgoing_call",
                "phone_number": NUMBER,
                "call_time": "2025-10-29 12:16:10",
                "duration": "0",
            },
        ),
        (
            lambda sandbox: sandbox.leave_note("rappeler", source="interface"),
            {
                "device_identification": "demo@example.com",
                "title": "call_qualification_from_interface",
                "from": NUMBER,
                "date": "2025-10-29 12:16:10",
                "qualification": "rappeler",
            },
        ),
        (
            lambda sandbox: sandbox.mark_delivered(),
            {
                "user": "demo@example.com",
                "phone_number": NUMBER,
                "status": "received",
                "date_status": "2025-10-29T10:16:10.541Z",
                "id_sms_api": "a",
            },
        ),
    ],
)
def test_each_act_leads_to_the_webhook_as_documented(
    sandbox: Sandbox, act: Callable[[Sandbox], Webhook], expected: dict[str, str]
) -> None:
    sandbox.send([linked()])
    sandbox.ring(NUMBER)
    webhook = act(sandbox)
    assert payload(webhook) == expected
    assert (webhook.state, webhook.url) == (WebhookState.READY, "http://127.0.0.1:8000/hook")
    records: list[Any] = [*sandbox.messages, *sandbox.received, *sandbox.calls]
    assert webhook.about in {record.key for record in records}


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda sandbox: sandbox.click(), "No tracked link here"),
        (lambda sandbox: sandbox.follow("b"), "No such link"),
        (lambda sandbox: sandbox.answer(), "No phone rings"),
        (lambda sandbox: sandbox.let_ring(OTHER), "No phone rings"),
        (lambda sandbox: sandbox.leave_note("x"), "No call to note"),
        (lambda sandbox: sandbox.mark_delivered(OTHER), "No SMS under way"),
        (lambda sandbox: sandbox.leave_undelivered(sms_id="b"), "No SMS under way"),
        (lambda sandbox: sandbox.reply(" ", "x"), "From which number?"),
        (lambda sandbox: sandbox.send_again(9), "No such webhook"),
    ],
)
def test_what_is_not_possible_says_why(
    sandbox: Sandbox, act: Callable[[Sandbox], object], words: str
) -> None:
    sandbox.send([given()])
    with pytest.raises(Impossible, match=words):
        act(sandbox)
    assert sandbox.webhooks == []


class TestDuration:
    @pytest.mark.parametrize("seconds", [-1, 360_000, 10**30])
    def test_is_one_that_can_be_reported(self, sandbox: Sandbox, seconds: int) -> None:
        sandbox.ring(NUMBER)
        for act in (sandbox.call_in, sandbox.answer):
            with pytest.raises(Impossible, match=r"^A call takes from 0 to 359999 seconds$"):
                act(NUMBER, seconds=seconds)
        assert [call.state for call in sandbox.calls] == [PhoneCallState.RINGING]
        assert "99:59:59" in sandbox.call_in(NUMBER, seconds=359_999).payload


class TestFaults:
    @pytest.mark.parametrize(
        "fault",
        [
            Fault(times=0),
            Fault(delay=-1),
            Fault(delay=1e300),
            Fault(status=99),
            WebhookFault(delay=1e12),
            WebhookFault(delay=float("nan")),
            WebhookFault(kind="sms"),  # type: ignore[arg-type]
        ],
    )
    def test_that_cannot_be_are_not_ordered(
        self, sandbox: Sandbox, fault: Fault | WebhookFault
    ) -> None:
        with pytest.raises(ValueError, match=r"Expected|Invalid"):
            sandbox.order(fault)
        assert sandbox.faults == {}


class TestWhomItIsAbout:
    def test_the_newest_that_fits(self, sandbox: Sandbox) -> None:
        sandbox.send([linked("a"), linked("b"), linked("c", OTHER), given("d")])
        assert payload(sandbox.click())["id_sms_api"] == "c"
        assert payload(sandbox.click(NUMBER))["id_sms_api"] == "b"
        assert payload(sandbox.click(sms_id="a"))["id_sms_api"] == "a"
        assert [len(sms.clicked_at) for sms in sandbox.messages] == [1, 1, 1, 0]

    def test_a_short_link_leads_where_it_says(self, sandbox: Sandbox) -> None:
        sandbox.send([linked("a"), linked("b")])
        assert sandbox.follow("a") == "https://example.com/"
        assert payload(sandbox.webhooks[0])["id_sms_api"] == "a"

    def test_a_note_stays_with_its_call(self, sandbox: Sandbox) -> None:
        sandbox.call_in(NUMBER)
        sandbox.miss_call(OTHER)
        sandbox.leave_note("rappeler", NUMBER)
        assert [call.note for call in sandbox.calls] == ["rappeler", ""]

    def test_what_came_in_knows_its_webhook(self, sandbox: Sandbox) -> None:
        webhook = sandbox.reply(NUMBER, "OUI")
        [received] = sandbox.received
        assert (received.message, received.webhook) == ("OUI", webhook.key)
        assert webhook.about == received.key


class TestDeliveryReports:
    def test_come_by_themselves_after_the_times_that_are_set(
        self, sandbox: Sandbox, time: TimeMachine
    ) -> None:
        sandbox.change(sent_after=3, received_after=4)
        sandbox.send([given()])
        assert sandbox.next_due() == NOW + timedelta(seconds=3)
        wait(sandbox, time, 2.9)
        assert states(sandbox) == [SmsState.PENDING]
        wait(sandbox, time, 0.1)
        assert (states(sandbox), reported(sandbox)) == ([SmsState.SENT], [("a", "sent")])
        wait(sandbox, time, 4)
        assert states(sandbox) == [SmsState.RECEIVED]
        assert reported(sandbox) == [("a", "sent"), ("a", "received")]
        assert sandbox.next_due() is None

    @pytest.mark.parametrize(
        ("send_at", "due"),
        [
            (datetime(2025, 10, 29, 13), timedelta(minutes=43, seconds=49, milliseconds=459)),  # noqa: DTZ001 - the wire knows no zone
            (datetime.min, None),  # noqa: DTZ901 - long ago
        ],
    )
    def test_scheduled_messages_are_sent_when_they_are_due(
        self, sandbox: Sandbox, time: TimeMachine, send_at: datetime, due: timedelta | None
    ) -> None:
        sandbox.send([given(send_at=send_at)])
        if due is not None:
            assert states(sandbox) == [SmsState.SCHEDULED]
            assert sandbox.next_due() == NOW + due
            wait(sandbox, time, due.total_seconds())
        assert states(sandbox) == [SmsState.PENDING]
        wait(sandbox, time, 1)
        assert states(sandbox) == [SmsState.SENT]

    def test_without_a_zone_a_date_is_of_this_machine(self, time: TimeMachine) -> None:
        sandbox = Sandbox(clock=time.now)
        soon = (NOW + timedelta(hours=1)).astimezone().replace(tzinfo=None)
        sandbox.send([given(send_at=soon)])
        assert sandbox.next_due() == NOW + timedelta(hours=1)

    def test_the_phone_may_leave_them_undelivered(
        self, sandbox: Sandbox, time: TimeMachine
    ) -> None:
        sandbox.change(delivers=False)
        sandbox.send([given()])
        wait(sandbox, time, 10)
        wait(sandbox, time, 10)
        assert states(sandbox) == [SmsState.UNDELIVERED]
        assert reported(sandbox) == [("a", "sent")]

    @pytest.mark.parametrize(
        ("act", "state", "reports"),
        [
            (Sandbox.mark_delivered, SmsState.RECEIVED, ["sent", "received"]),
            (Sandbox.leave_undelivered, SmsState.UNDELIVERED, ["sent"]),
        ],
    )
    @pytest.mark.parametrize("is_sent", [False, True])
    def test_an_act_is_faster_than_time_and_nothing_is_reported_twice(
        self,
        sandbox: Sandbox,
        time: TimeMachine,
        act: Callable[[Sandbox], Webhook | None],
        state: SmsState,
        reports: list[str],
        is_sent: bool,
    ) -> None:
        sandbox.send([given()])
        if is_sent:
            wait(sandbox, time, 1)
        act(sandbox)
        wait(sandbox, time, 10)
        wait(sandbox, time, 10)
        assert states(sandbox) == [state]
        assert reported(sandbox) == [("a", report) for report in reports]

    def test_an_offline_phone_sends_when_it_is_back(
        self, sandbox: Sandbox, time: TimeMachine
    ) -> None:
        sandbox.go_offline()
        sandbox.send([given()])
        wait(sandbox, time, 60)
        assert states(sandbox) == [SmsState.PENDING]
        sandbox.come_back()
        sandbox.come_back()
        wait(sandbox, time, 1)
        assert reported(sandbox) == [("a", "sent")]

    def test_no_more_are_made_than_there_is_room_for(
        self, sandbox: Sandbox, time: TimeMachine
    ) -> None:
        sandbox.send([given(str(number)) for number in range(1500)])
        wait(sandbox, time, 1)
        assert (len(sandbox.webhooks), sandbox.postbox.backlog) == (1000, 1000)
        while sandbox.postbox.next_ready() is not None:
            pass
        sandbox.tick()
        assert len(sandbox.webhooks) == 1500


def test_an_offline_phone_ends_what_rings_and_calls_nobody(sandbox: Sandbox) -> None:
    sandbox.call_in(OTHER)
    sandbox.ring(NUMBER)
    sandbox.go_offline()
    sandbox.ring(NUMBER)
    assert [(call.state, call.errors) for call in sandbox.calls] == [
        (PhoneCallState.ANSWERED, ()),
        (PhoneCallState.FAILED, ()),
        (PhoneCallState.FAILED, ("#002",)),
    ]


class TestSettings:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"callback": "127.0.0.1:8000"}, "http:// or https:// first"),
            ({"callback": "http:///hook"}, "then a host"),
            ({"callback": "ftp://127.0.0.1/"}, "http:// or https:// first"),
            ({"callback": "http://127.0.0.1/hook?token=t"}, "a query would be doubled"),
            ({"callback": "http://127.0.0.1:port/"}, "Port could not be cast"),
            ({"callbacks": {"call": "there"}}, "http:// or https:// first"),
            ({"callbacks": {"calls": "http://127.0.0.1/"}}, "Invalid enum value 'calls'"),
            ({"sent_after": -1}, ">= 0.0"),
            ({"fault_rate": 2}, "<= 1.0"),
            ({"delivers": "no"}, "Expected `bool`"),
            ({"color": "blue"}, "unknown field `color`"),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, sandbox: Sandbox, changes: dict[str, Any], words: str
    ) -> None:
        before = sandbox.settings
        with pytest.raises(ValueError, match=words):
            sandbox.change(**changes)
        assert sandbox.settings == before

    def test_each_kind_may_have_its_own_url(self, sandbox: Sandbox) -> None:
        sandbox.change(callback=" http://127.0.0.1/all ", callbacks={"call": "http://127.0.0.1/c"})
        urls = [sandbox.reply(NUMBER, "x").url, sandbox.miss_call(NUMBER).url]
        assert urls == ["http://127.0.0.1/all", "http://127.0.0.1/c"]

    def test_a_callback_url_is_not_shown(self, sandbox: Sandbox) -> None:
        assert "8000/hook" not in repr(sandbox.settings)
        assert "sent_after=1.0" in repr(sandbox.settings)


class TestMemory:
    def test_is_bounded_and_counts_go_on(self, time: TimeMachine) -> None:
        sandbox = Sandbox(clock=time.now, keep=10)
        for number in range(1200):
            sandbox.send([given(str(number))])
            sandbox.reply(NUMBER, "x")
            sandbox.miss_call(NUMBER)
        counts = sandbox.counts()
        assert (counts["messages"], counts["received"], counts["webhooks"]) == (1200, 1200, 2400)
        kept = (sandbox.messages, sandbox.received, sandbox.calls, sandbox.webhooks)
        assert {len(each) for each in kept} == {10} == {len(sandbox.processed)}
        assert [sms.sms_id for sms in sandbox.messages] == [str(n) for n in range(1190, 1200)]
        wait(sandbox, time, 1)
        assert {sms.state for sms in sandbox.messages} == {SmsState.SENT}
        assert len(sandbox.journal.feed.since(0)) < 60

    def test_steps_of_what_is_forgotten_are_dropped(self) -> None:
        schedule = Schedule()
        for key in range(1011):
            schedule.add(NOW, key, SmsState.SENT)
            schedule.forget({1010}, 10)
        assert len(schedule) == 1
        assert schedule.pop(NOW) == (1010, SmsState.SENT)

    def test_so_is_what_waits_for_the_phone_to_be_online(self, time: TimeMachine) -> None:
        sandbox = Sandbox(clock=time.now, keep=10, sent_after=0)
        sandbox.go_offline()
        for number in range(100):
            sandbox.send([given(str(number))])
            sandbox.tick()
        assert len(sandbox._handset._stalled) <= 20
        sandbox.come_back()
        sandbox.tick()
        assert {sms.state for sms in sandbox.messages} == {SmsState.SENT}

    @pytest.mark.parametrize(
        ("fault", "every"),
        [
            (WebhookFault(delay=900_000), 1),
            (WebhookFault(after_next=True), 1),
            (WebhookFault(after_next=True), 2),
        ],
    )
    def test_so_is_what_waits_for_its_time(
        self, time: TimeMachine, fault: WebhookFault, every: int
    ) -> None:
        sandbox = Sandbox(clock=time.now, keep=10, callback="http://127.0.0.1:8000/")
        for number in range(2500):
            if number % every == 0:
                sandbox.order(fault)
            sandbox.reply(NUMBER, "x")
        box = sandbox.postbox
        waiting = len(box._later), len(box._before_next), len(box._followers)
        assert max(waiting) <= 1020
        wait(sandbox, time, 1_000_000)
        taken = {webhook.key for webhook in iter(box.next_ready, None)}
        assert taken == {webhook.key for webhook in sandbox.webhooks}

    def test_so_are_the_tries_of_a_webhook(self, sandbox: Sandbox) -> None:
        key = sandbox.reply(NUMBER, "x").key
        for status in range(500, 611):
            webhook = sandbox.postbox.next_ready() or sandbox.send_again(key)
            sandbox.postbox.tried(webhook.key, Try(at=NOW, status=status))
        tries = sandbox.webhooks[0].tries
        assert (len(tries), tries[-1].status) == (100, 610)
        assert sandbox.webhooks[0].state is WebhookState.GAVE_UP

    def test_starting_over_forgets_all_but_the_settings(self, sandbox: Sandbox) -> None:
        empty = sandbox.counts()
        sandbox.change(sent_after=7)
        sandbox.send([given()])
        sandbox.reply(NUMBER, "x")
        sandbox.forget_everything()
        assert sandbox.counts() == empty
        assert (sandbox.messages, sandbox.webhooks, sandbox.next_due()) == ([], [], None)
        assert sandbox.settings.sent_after == 7


class TestFeed:
    def test_tells_what_changed_since_when(self, sandbox: Sandbox) -> None:
        sandbox.send([given("a"), given("b")])
        seen = view(sandbox)
        assert (seen["whole"], len(seen["messages"])) == (True, 2)
        assert view(sandbox, seen["number"])["messages"] == []
        sandbox.mark_delivered(sms_id="a")
        sandbox.reply(OTHER, "x")
        later = view(sandbox, seen["number"])
        assert later["whole"] is False
        assert [sms["sms_id"] for sms in later["messages"]] == ["a"]
        assert [one.message for one in later["received"]] == ["x"]
        assert len(later["webhooks"]) == 3
        assert "processed" not in later

    @pytest.mark.parametrize("since", [0, 999])
    def test_whoever_knows_another_time_gets_all(self, sandbox: Sandbox, since: int) -> None:
        sandbox.send([given()])
        sandbox.forget_everything()
        sandbox.send([given()])
        assert view(sandbox, since)["whole"] is True
        assert len(view(sandbox, since)["messages"]) == 1

    def test_listeners_hear_of_each_change(self, sandbox: Sandbox) -> None:
        heard: list[int] = []
        feed = sandbox.journal.feed
        feed.listeners.add(lambda: heard.append(feed.number))
        sandbox.reply(NUMBER, "x")
        sandbox.change(sent_after=2)
        assert heard == [*range(1, feed.number + 1)]

    def test_names_what_makes_a_text_dear(self, sandbox: Sandbox) -> None:
        sandbox.send([SentSms(NUMBER, "Hélène ê", sms_id="a", parts=1, sent_at=NOW)])
        [shown] = view(sandbox)["messages"]
        assert (shown["encoding"], shown["non_gsm"]) == ("UCS-2", ("ê",))


def test_a_shelf_replaces_in_place_and_knows_its_own() -> None:
    shelf: Shelf[str, int] = Shelf("number", 2, Feed())
    shelf["a"], shelf["b"], shelf["a"] = 1, 2, 3
    assert ([*shelf], len(shelf), shelf.total, "b" in shelf) == ([3, 2], 2, 2, True)
    shelf["c"] = 4
    assert [*shelf.items()] == [("b", 2), ("c", 4)]
