"""Which worker handles an event, what its handlers may ask for, and what they know."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import anyio
import anyio.lowlevel
import pytest

from insim_async import ConfigurationError, Retry
from insim_async.webhooks import (
    Attempt,
    CallEvent,
    DeliveryStatus,
    Event,
    GiveUp,
    IncomingSms,
    LinkClick,
    RetryLater,
    UnknownEvent,
    WebhookRouter,
    current_attempt,
)
from insim_async.webhooks.inbox import Inbox, InboxCounts, _run, _tending
from insim_async.webhooks.inbox._calling import call_handlers
from insim_async.webhooks.inbox._rows import Claim, Ending, ending_after
from insim_async.webhooks.inbox._schema import Policy
from tests.inboxes import NOW, Shop, Wall, claim_due, counted, rows, settled
from tests.waiting import until

SMS = IncomingSms(phone_number="+33639980001", message="bluedoor")
CALL = CallEvent(direction="missed")
FAX = UnknownEvent(raw_json=b'{"title": "fax_received"}')
AT_ONCE = Retry(attempts=3, base=0.0, cap=0.0)
DAY = 86_400.0
UNHANDLED = (
    "webhook unknown: no worker handles it; such events wait for a day, then they are set aside"
)
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture
def inbox(open_inbox: Callable[..., Inbox]) -> Inbox:
    return open_inbox(retry=AT_ONCE)


async def told(caplog: pytest.LogCaptureFixture, words: str) -> None:
    """Wait until something was logged; where it never is, fail and not hang."""
    await until(lambda: any(words in message for message in caplog.messages))


class TestAnEventThatNobodyHandles:
    async def test_waits_for_whoever_does(self, inbox: Inbox) -> None:
        await inbox.put(SMS)
        await inbox.put(CALL)
        calls = Shop(None, CallEvent)
        async with inbox.worker(calls.router):
            await settled(inbox, InboxCounts(waiting=1, done=1))
        texts = Shop(None, IncomingSms)
        async with inbox.worker(texts.router):
            await settled(inbox, InboxCounts(done=2))
        assert (calls.seen, texts.seen) == ([CALL], [SMS])

    async def test_is_left_by_a_worker_that_is_for_other_kinds(self, inbox: Inbox) -> None:
        shop = Shop()
        await inbox.put(SMS)
        await inbox.put(CALL)
        async with inbox.worker(shop.router, kinds=[CallEvent, LinkClick]) as worker:
            await settled(inbox, InboxCounts(waiting=1, done=1))
            assert worker.kinds == {"call", "link_click"}
        assert shop.seen == [CALL]

    async def test_is_set_aside_after_a_day_and_taken_back_by_whoever_handles_it(
        self, inbox: Inbox, wall: Wall, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A warning is given once for each kind, and again when it is set aside."""
        for event in (FAX, UnknownEvent(raw_json=b'{"title": "fax_sent"}'), SMS):
            await inbox.put(event)
        async with inbox.worker(Shop(None, IncomingSms).router):
            await settled(inbox, InboxCounts(waiting=2, done=1))
            wall += DAY - 1
            await told(caplog, "unknown: no worker handles it")
            assert (await inbox.counts()).waiting == 2
            wall += 2
            await settled(inbox, InboxCounts(no_handler=2, done=1))
        assert [found.reason for found in await inbox.set_aside()] == ["no handler"] * 2
        assert [message for message in caplog.messages if "no " in message] == [
            UNHANDLED,
            "webhook unknown: no handler for a day; set aside",
        ]
        shop = Shop(None, UnknownEvent)
        async with inbox.worker(shop.router):
            await settled(inbox, InboxCounts(done=3))
        assert [event.raw["title"] for event in shop.seen] == ["fax_received", "fax_sent"]

    async def test_is_not_set_aside_while_some_worker_handles_it(
        self, inbox: Inbox, wall: Wall, path: Path
    ) -> None:
        """Which may have much to do."""
        await inbox.put(CALL)
        other = functools.partial(
            _tending.register, owner="other", kinds=frozenset({"call"}), policy=inbox._policy
        )
        wall += 2 * DAY
        await inbox._do(other)
        tended = await inbox._do(
            functools.partial(
                _tending.tend, owner="me", kinds=frozenset({"link_click"}), policy=inbox._policy
            )
        )
        assert (tended.unhandled, tended.put_away) == ([], [])
        assert rows(path, "state") == [("waiting",)]

    @pytest.mark.parametrize(("state", "due_at"), [("failing", NOW), ("suspect", 1)])
    async def test_that_failed_is_said_and_set_aside_too(
        self,
        inbox: Inbox,
        wall: Wall,
        caplog: pytest.LogCaptureFixture,
        state: str,
        due_at: float,
    ) -> None:
        """By a deployment in which its handler is gone."""
        await inbox.put(CALL)
        change = "UPDATE events SET state = ?, attempts = 1, due_at = ?"
        await inbox._do(lambda connection: connection.execute(change, (state, due_at)).rowcount)
        async with inbox.worker(Shop(None, LinkClick).router):
            wall += 61
            await told(caplog, "call: no worker handles it")
            wall += DAY
            await settled(inbox, InboxCounts(no_handler=1))

    async def test_can_be_handed_over_again_and_waits_for_another_day(
        self, inbox: Inbox, wall: Wall
    ) -> None:
        await inbox.put(CALL)
        async with inbox.worker(Shop(None, LinkClick).router):
            wall += DAY + 1
            await settled(inbox, InboxCounts(no_handler=1))
            assert await inbox.requeue(CALL.key)
            wall += DAY - 1
            await settled(inbox, InboxCounts(waiting=1))
            wall += 2
            await settled(inbox, InboxCounts(no_handler=1))

    async def test_is_left_if_it_turns_out_to_be_one(self, inbox: Inbox, path: Path) -> None:
        """As where a later version knows what an earlier one did not."""
        await inbox.put(FAX)
        change = "UPDATE events SET payload = ?"
        missed = b'{"title": "missed_call", "duration": "0"}'
        await inbox._do(lambda connection: connection.execute(change, (missed,)).rowcount)
        async with inbox.worker(Shop(None, UnknownEvent).router):
            await until(lambda: rows(path, "kind") == [("call",)])
        assert rows(path, "kind, state, attempts") == [("call", "waiting", 0)]
        shop = Shop(None, CallEvent)
        async with inbox.worker(shop.router):
            await settled(inbox, InboxCounts(done=1))
        assert [event.kind for event in shop.seen] == ["call"]

    async def test_is_left_aside_by_whoever_does_not_handle_it_either(
        self, inbox: Inbox, wall: Wall
    ) -> None:
        await inbox.put(CALL)
        async with inbox.worker(Shop(None, LinkClick).router):
            wall += DAY + 1
            await settled(inbox, InboxCounts(no_handler=1))
            await inbox.put(LinkClick())
            await settled(inbox, InboxCounts(no_handler=1, done=1))

    async def test_is_set_aside_if_there_is_nothing_in_it(self, inbox: Inbox) -> None:
        await inbox.put(UnknownEvent())
        async with inbox.worker(Shop().router):
            await settled(inbox, InboxCounts(set_aside=1))
        reasons = [found.reason for found in await inbox.set_aside()]
        assert reasons == ["InvalidWebhook: the object is empty"]

    async def test_is_not_lost_between_two_deployments(self, inbox: Inbox) -> None:
        """Which handle different kinds at the same time, on one file."""
        events: list[Event] = [SMS, CALL, LinkClick(), DeliveryStatus(sms_id="1"), FAX]
        old, new = Shop(None, IncomingSms, CallEvent), Shop(None, CallEvent, LinkClick)
        async with inbox.worker(old.router), inbox.worker(new.router):
            for event in events:
                await inbox.put(event)
            await counted(inbox, lambda counts: counts.done == 3)
        rest = Shop()
        async with inbox.worker(rest.router):
            await settled(inbox, InboxCounts(done=5))
        seen = [event.kind for shop in (old, new, rest) for event in shop.seen]
        assert sorted(seen) == sorted(event.kind for event in events)

    @pytest.mark.parametrize(
        ("router", "kinds", "words"),
        [
            (Shop(None, IncomingSms).router, [CallEvent], "no handler for any of them"),
            (WebhookRouter(), [IncomingSms], "no handler for any of them"),
            (Shop().router, ["call"], "expected classes of events"),
            (Shop().router, CallEvent, "expected classes of events"),
            ("router", None, "router: expected a WebhookRouter, got str"),
        ],
    )
    def test_is_not_asked_for(self, inbox: Inbox, router: Any, kinds: Any, words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            inbox.worker(router, kinds=kinds)

    async def test_is_handled_when_a_handler_is_registered_later(self, inbox: Inbox) -> None:
        shop, router = Shop(), WebhookRouter()
        await inbox.put(SMS)
        async with inbox.worker(router) as worker:
            assert worker.kinds == set()
            router.include(shop.router)
            await settled(inbox, InboxCounts(done=1))

    @pytest.mark.parametrize(
        ("kinds", "handled"),
        [
            ([Event], {"incoming_sms", "call"}),
            ([IncomingSms, LinkClick], {"incoming_sms"}),
        ],
    )
    async def test_is_of_no_kind_that_router_and_worker_share(
        self, inbox: Inbox, kinds: Any, handled: set[str]
    ) -> None:
        shop = Shop(None, IncomingSms, CallEvent)
        async with inbox.worker(shop.router, kinds=kinds) as worker:
            assert worker.kinds == handled


async def test_a_call_that_is_thrown_away_is_closed_and_is_no_failure() -> None:
    """As an event loop does that is being destroyed."""
    closed: list[bool] = []

    async def wait(event: Event) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            closed.append(True)

    claim = Claim("key", "call", "calls", b"", 1, 0.0, suspect=False)
    call = call_handlers(Shop(wait).router, CALL, claim, 60.0)
    call.send(None)
    call.close()
    assert closed == [True]


# What handlers ask for


def raising(*errors: Exception) -> Callable[[Event], Coroutine[Any, Any, object]]:
    """Raise one after the other, then nothing."""
    left = [*errors]

    async def act(event: Event) -> None:
        if left:
            raise left.pop(0)

    return act


POLICY = Policy(
    retry=Retry(attempts=3, base=1.0, cap=1.0),
    retention=9.0,
    keep_set_aside=None,
    handler_timeout=1.0,
    lease=1.0,
    clock=Wall().clock,
)


@pytest.mark.parametrize(
    ("attempts", "wish", "ending"),
    [
        (1, RetryLater(7200), Ending("failing", 7200.0, "E")),
        (3, RetryLater(7200), Ending("set_aside", 0.0, "E")),
        (1, GiveUp(), Ending("set_aside", 0.0, "GiveUp")),
        (1, GiveUp("no such customer"), Ending("set_aside", 0.0, "GiveUp: no such customer")),
        (1, None, Ending("failing", 0.5, "E")),
    ],
)
def test_what_handlers_ask_for_is_done(
    attempts: int, wish: RetryLater | GiveUp | None, ending: Ending
) -> None:
    assert ending_after(attempts, "E", POLICY, wish) == ending


class TestAHandler:
    async def test_that_wants_its_event_later_gets_it_then(
        self, inbox: Inbox, wall: Wall, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Not before, and however the clock is set meanwhile; and no traceback is logged."""
        shop = Shop(raising(RetryLater(after=7200)))
        await inbox.put(SMS)
        async with inbox.worker(shop.router):
            await settled(inbox, InboxCounts(waiting=1))
            wall.time -= 9000
            await until_due_in(inbox, 7200.0)
            wall.time += 7199
            await inbox.put(CALL)
            await shop.had(2)
            wall.time += 2
            await shop.had(3)
        assert shop.seen == [SMS, CALL, SMS]
        assert [record.exc_info for record in caplog.records] == [None] * len(caplog.records)
        assert "webhook incoming_sms: Shop.handle wants it again in 7200 s" in caplog.messages

    async def test_that_gives_up_is_not_asked_again(
        self, inbox: Inbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Why is kept beside the event, and not logged: it may be about somebody."""
        shop = Shop(raising(GiveUp("no such customer: Ada")))
        await inbox.put(SMS)
        async with inbox.worker(shop.router):
            await settled(inbox, InboxCounts(set_aside=1))
        (found,) = await inbox.set_aside()
        assert (found.reason, found.attempts) == ("GiveUp: no such customer: Ada", 1)
        assert "Ada" not in caplog.text
        assert caplog.messages == [
            "webhook incoming_sms: Shop.handle gives up",
            "webhook incoming_sms: GiveUp; set aside",
        ]

    async def test_that_wants_it_later_wins_over_one_that_gives_up(self, inbox: Inbox) -> None:
        shop = Shop(raising(GiveUp()))
        shop.router.on(IncomingSms)(raising(RetryLater(0)))
        await inbox.put(SMS)
        async with inbox.worker(shop.router):
            await settled(inbox, InboxCounts(done=1))
        assert len(shop.seen) == 2

    @BACKENDS
    @pytest.mark.parametrize("where", ["at once", "after a wait", "in the middle of one"])
    def test_that_raises_generator_exit_fails_and_no_worker_ends(
        self, open_inbox: Callable[..., Inbox], backend: str, where: str
    ) -> None:
        """It looks as if the task were being thrown away."""

        async def leave(event: Event) -> NoReturn:
            if where == "after a wait":
                await anyio.lowlevel.checkpoint()
            if where == "in the middle of one":
                with anyio.move_on_after(0):
                    await anyio.sleep_forever()
            raise GeneratorExit

        async def scenario(inbox: Inbox) -> None:
            await inbox.put(SMS)
            async with inbox.worker(Shop(leave).router) as worker:
                await settled(inbox, InboxCounts(set_aside=1))
                assert worker.alive
            assert [found.reason for found in await inbox.set_aside()] == ["GeneratorExit"]

        anyio.run(scenario, open_inbox(retry=AT_ONCE), backend=backend)

    async def test_knows_which_attempt_it_is(self, inbox: Inbox, wall: Wall) -> None:
        attempts: list[Attempt] = []

        async def note(event: Event) -> None:
            attempts.append(current_attempt())
            wall.time += 5
            if len(attempts) < 3:
                raise ValueError

        await inbox.put(SMS)
        async with inbox.worker(Shop(note).router):
            await settled(inbox, InboxCounts(done=1))
        came = datetime.fromtimestamp(NOW, UTC)
        assert attempts == [Attempt(number=n, received_at=came) for n in (1, 2, 3)]

    def test_knows_of_the_first_one_where_nobody_counts(self) -> None:
        attempt = current_attempt()
        assert attempt.number == 1
        assert abs(datetime.now(UTC) - attempt.received_at) < timedelta(minutes=1)

    async def test_sees_the_key_under_which_its_event_is_kept(self, inbox: Inbox) -> None:
        shop = Shop()
        await inbox.put(SMS, key="mine")
        assert not await inbox.put(CALL, key="mine")
        async with inbox.worker(shop.router):
            await shop.had(1)
        assert ([event.key for event in shop.seen], shop.seen) == (["mine"], [SMS])


async def until_due_in(inbox: Inbox, seconds: float) -> None:
    async def is_due() -> bool:
        return [entry.due_in for entry in await inbox.entries("failing")] == [seconds]

    await until(is_due)


@pytest.mark.parametrize(
    "after", [-1, 366 * 86_400 + 1, 10**400, float("inf"), float("nan"), "soon", None]
)
def test_later_is_a_number_of_seconds(after: Any) -> None:
    with pytest.raises(ConfigurationError, match="after: expected seconds"):
        RetryLater(after)


# After a crash


async def test_what_a_crashed_worker_had_is_taken_over_without_waiting_in_between(
    open_inbox: Callable[..., Inbox], wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, since one of them may have ended it; and as soon as one is done."""
    monkeypatch.setattr(_run, "POLL", 3600.0)
    inbox = open_inbox(lease=30.0)
    for number in range(40):
        await inbox.put(IncomingSms(message=str(number)))
    await inbox._do(lambda connection: claim_due(connection, "crashed", 40, inbox._policy))
    wall += 31
    shop = Shop()
    with anyio.fail_after(30):
        async with inbox.worker(shop.router):
            await settled(inbox, InboxCounts(done=40))
    assert len(shop.seen) == 40


async def test_what_no_handler_had_is_no_attempt(
    open_inbox: Callable[..., Inbox], wall: Wall
) -> None:
    """The one in which it is found that its process ended each time."""
    inbox = open_inbox(retry=AT_ONCE, lease=30.0)
    await inbox.put(SMS)
    for each in range(3):
        crashed = functools.partial(
            claim_due, owner=f"crashed {each}", places=8, policy=inbox._policy
        )
        await inbox._do(crashed)
        wall += 31
    async with inbox.worker(Shop().router):
        await settled(inbox, InboxCounts(set_aside=1))
    assert [found.attempts for found in await inbox.set_aside()] == [3]


# The same again


class TestWhatIsWrittenTheSame:
    """A date without a time of the day, or none, tells two events not apart."""

    COARSE = IncomingSms(phone_number="+33639980001", message="OK", at=datetime(2026, 1, 2))  # noqa: DTZ001 - as inSIM writes it

    @pytest.mark.parametrize("event", [COARSE, IncomingSms(message="OK")], ids=["date", "none"])
    async def test_is_another_event_if_it_comes_later(
        self, inbox: Inbox, wall: Wall, event: Event
    ) -> None:
        assert await inbox.put(event)
        wall += 3600
        assert not await inbox.put(event)
        wall += 3600
        assert not await inbox.put(event)  # within an hour of the last
        wall += 3601
        assert await inbox.put(event)
        assert not await inbox.put(event)
        shop = Shop()
        async with inbox.worker(shop.router):
            await settled(inbox, InboxCounts(done=2))
        first, second = shop.seen
        assert (first.key, first, second) == (event.key, event, event)
        assert second.key != first.key
        wall += 3601
        assert await inbox.put(event)  # and though both are done

    async def test_is_another_event_though_the_clock_was_set_back(
        self, inbox: Inbox, wall: Wall, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        assert await inbox.put(self.COARSE)
        wall.time -= 3600
        assert not await inbox.put(self.COARSE)
        assert caplog.messages == ["webhook incoming_sms: repeated; it came first 0:00:00 before"]
        wall.time -= 1
        assert await inbox.put(self.COARSE)

    async def test_stays_where_a_rehearsal_comes_later(
        self, inbox: Inbox, wall: Wall, path: Path
    ) -> None:
        assert await inbox.put(self.COARSE)
        wall += 3601
        await inbox.rehearse(self.COARSE)
        assert rows(path, "key, state") == [(self.COARSE.key, "waiting")]

    async def test_is_a_repeat_at_any_time_if_it_says_when_it_was(
        self, inbox: Inbox, wall: Wall
    ) -> None:
        at = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - as inSIM writes it
        event = IncomingSms(message="OK", at=at)
        assert await inbox.put(event)
        wall += 5 * 3600
        assert not await inbox.put(event)

    @pytest.mark.parametrize(
        ("seconds", "level", "words"),
        [(900, "INFO", "0:15:00"), (901, "WARNING", "0:15:01"), (7384, "WARNING", "2:03:04")],
    )
    async def test_is_dropped_with_a_word(
        self,
        inbox: Inbox,
        wall: Wall,
        caplog: pytest.LogCaptureFixture,
        seconds: float,
        level: str,
        words: str,
    ) -> None:
        caplog.set_level("INFO")
        await inbox.put(SMS, key="a")
        wall += seconds
        await inbox.put(SMS, key="a")
        assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
            (level, f"webhook incoming_sms: repeated; it came first {words} before")
        ]

    @pytest.mark.parametrize("event", ["message=%7B%7D", None, b""])
    async def test_is_an_event_and_not_its_query(self, inbox: Inbox, event: Any) -> None:
        with pytest.raises(ConfigurationError, match="event: expected an event, got"):
            await inbox.put(event)

    @pytest.mark.parametrize("key", ["é", "a b", "x" * 201, 5, "\n"])
    async def test_is_named_by_a_key_that_can_be_one(self, inbox: Inbox, key: Any) -> None:
        with pytest.raises(ConfigurationError, match="key: expected that of an event"):
            await inbox.put(SMS, key=key)
