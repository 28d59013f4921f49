"""Who may come in, which handlers get what, and what becomes of their failures."""

from __future__ import annotations

import asyncio
import hmac
import inspect
import logging
import pickle
import re
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial, wraps
from typing import Any, assert_type
from unittest.mock import AsyncMock, Mock

import pytest

from insim_async.errors import ConfigurationError
from insim_async.webhooks import (
    CallEvent,
    CallQualification,
    DeliveryStatus,
    Event,
    GiveUp,
    IncomingSms,
    LinkClick,
    RetryLater,
    UnknownEvent,
    WebhookRouter,
    WebhookStatistics,
    new_secret,
)
from insim_async.webhooks._attempt import wish_of
from tests.faults.leaks import NUMBER, TEXT, found_in, leaks_of_records

SECRET = "Yx1dJ0mFv3qTg7bKz9cRn5wPh2sLu8aE"
OTHER = "aB9-_.~zQ7wE2rT4yU6iO8pA"
SMS = IncomingSms(phone_number=NUMBER, message=TEXT)
CALL = CallEvent(direction="missed", phone_number=NUMBER)
EVENTS: list[Event] = [
    SMS,
    CALL,
    LinkClick(phone_number=NUMBER),
    CallQualification(source="mobile", phone_number=NUMBER),
    DeliveryStatus(phone_number=NUMBER),
    UnknownEvent(phone_number=NUMBER),
]


def a_router() -> WebhookRouter:
    return WebhookRouter(secret=SECRET)


def printed(record: logging.LogRecord) -> str:
    """Write a record as a log file has it, traceback included."""
    return logging.Formatter("%(levelname)s %(message)s").format(record)


class TestSecret:
    @pytest.mark.parametrize(
        "secret",
        [
            SECRET,
            OTHER,
            "0123456789abcdef0123456789abcdef",
            "0123456789ABCDEF0123456789ABCDEF",
            "3fdba35f-04dc-4c8f-9f3c-6b2a3f9a1f10",
            "123456789012345678901234567890123456789",
            "k3j5h6g7f8d9s0a1q2w3e4r5t",
            "K3J5H6G7F8D9S0A1Q2W3E4R5T",
            "~._-AbCdEfGhIjKlMnOpQr",
        ],
    )
    def test_that_nobody_can_guess_is_taken(self, secret: str) -> None:
        router = WebhookRouter(secret=secret)
        assert router.admits(secret)
        assert not router.admits(secret[:-1])

    @pytest.mark.parametrize(
        ("secret", "words"),
        [
            (None, "it is missing, or no text (is INSIM_WEBHOOK_SECRET set?)"),
            ([], "it is missing"),
            (5, "it is missing, or no text"),
            ([SECRET, OTHER, new_secret()], "expected one, or two"),
            (SECRET.encode(), "expected one, or two"),
            (
                "",
                (
                    "it is missing, or no text (is INSIM_WEBHOOK_SECRET set?); "
                    "python -m insim_async.webhooks secret makes"
                ),
            ),
            ([SECRET, None], "it is missing, or no text"),
            ([SECRET, ""], "it is missing"),
            ([SECRET.encode()], "it is missing, or no text"),
            (SECRET + "/x", "only A-Z a-z 0-9 - . _ ~ stand in a URL as they are"),
            (SECRET + " ", "only A-Z"),
            (SECRET + "\n", "only A-Z"),
            (SECRET + "%41", "only A-Z"),
            (SECRET + "?x", "only A-Z"),
            (SECRET + "é", "only A-Z"),
            ([SECRET, "geheim über alles, sehr lang"], "only A-Z"),
            (
                "hunter2",
                "it has less than 128 bits; make one with insim_async.webhooks.new_secret()",
            ),
            ("aB3-" * 20, "less than 128 bits"),
            ("x" * 200, "less than 128 bits"),
            ("correct-horse-battery", "less than 128 bits"),
            ("12345678901234567890123456789012345678", "less than 128 bits"),
            ("0123456789abcdef0123456789abcde", "less than 128 bits"),
            ("0123456789ABCDEF0123456789ABCDE", "less than 128 bits"),
            ("k3j5h6g7f8d9s0a1q2w3e4r5", "less than 128 bits"),
            ("K3J5H6G7F8D9S0A1Q2W3E4R5", "less than 128 bits"),
            ([SECRET, "hunter2"], "less than 128 bits"),
        ],
    )
    def test_that_is_none_or_weak_is_refused_with_what_to_do(self, secret: Any, words: str) -> None:
        with pytest.raises(ConfigurationError, match=f"^secret: .*{re.escape(words)}") as caught:
            WebhookRouter(secret=secret)
        error = caught.value
        assert (error.__cause__, error.__context__) == (None, None)
        assert not any(
            word in f"{error!r} {error}" for word in ("hunter2", SECRET, OTHER, "geheim")
        )

    def test_is_made_new_each_time_and_stands_in_a_url(self) -> None:
        made = {new_secret() for _ in range(100)}
        assert len(made) == 100
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", secret) for secret in made)
        assert all(WebhookRouter(secret=secret).admits(secret) for secret in made)

    def test_and_its_successor_are_valid_together(self) -> None:
        router = WebhookRouter(secret=(OTHER, SECRET))
        assert [router.admits(secret) for secret in (OTHER, SECRET, OTHER + SECRET, "")] == [
            True,
            True,
            False,
            False,
        ]

    @pytest.mark.parametrize("came", [OTHER, SECRET, "neither", "\udcff", "é" * 100_000])
    def test_is_compared_with_both_whichever_it_is(
        self, came: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compared: list[tuple[bytes, bytes]] = []
        compare = hmac.compare_digest

        def counting(a: bytes, b: bytes) -> bool:
            compared.append((a, b))
            return compare(a, b)

        router = WebhookRouter(secret=[OTHER, SECRET])
        monkeypatch.setattr(hmac, "compare_digest", counting)
        router.admits(came)
        given = came.encode("utf-8", "surrogatepass")
        assert compared == [(given, OTHER.encode()), (given, SECRET.encode())]

    def test_may_be_given_later(self) -> None:
        with pytest.raises(ConfigurationError, match="secret: this router has none"):
            WebhookRouter().admits(SECRET)

    @pytest.mark.parametrize("missing", [None, "", []])
    def test_that_a_variable_should_have_held_is_missed(self, missing: Any) -> None:
        with pytest.raises(ConfigurationError, match="is INSIM_WEBHOOK_SECRET set"):
            WebhookRouter(secret=missing)

    async def test_is_shown_nowhere(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        router = WebhookRouter(secret=[SECRET, OTHER])
        assert [router.admits(came) for came in (SECRET, OTHER, OTHER.lower())] == [
            True,
            True,
            False,
        ]
        await router.dispatch(SMS)
        held = [router, vars(router), router.secrets, vars(router.secrets), router.statistics()]
        shown = f"{held!r} {caplog.text}"
        assert not any(secret in shown for secret in (SECRET, OTHER, SECRET.encode().hex()))
        with pytest.raises(TypeError, match="a WebhookRouter holds a secret: it is not pickled"):
            pickle.dumps(router)


async def handle(event: Event) -> None:
    """Do nothing."""


def not_async(event: Event) -> Any: ...


async def no_event() -> None:
    """Take nothing."""


async def two_things(event: Event, other: int) -> None:
    """Take too much."""


@wraps(two_things)
async def with_more(event: Event) -> None:
    """Give a function what it needs besides."""
    await two_things(event, 1)


@wraps(handle)
def passed_on(event: Event) -> Any:
    """Do what an asynchronous function does, as a plain decorator lets it."""
    return handle(event)


@wraps(handle)
def wrapped(event: Event) -> Any: ...


class Asynchronous:
    """Has an asynchronous ``__call__``."""

    async def __call__(self, event: Event) -> None:
        """Do nothing."""

    async def method(self, event: Event) -> None:
        """Do nothing."""


class TestOn:
    @pytest.mark.parametrize(
        ("handler", "named"),
        [
            (handle, "handle"),
            (partial(handle), "handle"),
            (partial(partial(handle)), "handle"),
            (Asynchronous(), "Asynchronous"),
            (partial(Asynchronous()), "Asynchronous"),
            (Asynchronous().method, "Asynchronous.method"),
            (AsyncMock(), "AsyncMock"),
            (passed_on, "handle"),
            (partial(passed_on), "handle"),
            (with_more, "two_things"),
        ],
    )
    async def test_whatever_is_awaited_when_called_is_a_handler(
        self, handler: Any, named: str
    ) -> None:
        router = a_router()
        assert router.on(IncomingSms)(handler) is handler
        await router.dispatch(SMS)
        assert router.statistics().handled == 1
        assert routers_name(handler) == named

    @pytest.mark.parametrize(
        ("handler", "named"),
        [
            (not_async, "not_async"),
            (Asynchronous, "Asynchronous"),
            (print, "print"),
            (partial(not_async), "not_async"),
            (lambda event: handle(event), "TestOn.<lambda>"),
            (None, "NoneType"),
            (SMS, "IncomingSms"),
        ],
    )
    def test_what_is_not_is_refused_by_name(self, handler: Any, named: str) -> None:
        router = a_router()
        words = (
            f"^on: {re.escape(named)} is no coroutine function: "
            "write async def, and give what blocks to a thread$"
        )
        with pytest.raises(ConfigurationError, match=words):
            router.on(IncomingSms)(handler)

    @pytest.mark.parametrize(
        ("handler", "named"),
        [
            (Asynchronous.method, "Asynchronous.method"),
            (no_event, "no_event"),
            (two_things, "two_things"),
            (partial(handle, SMS), "handle"),
        ],
    )
    def test_what_cannot_be_called_with_an_event_is_refused_at_once(
        self, handler: Any, named: str
    ) -> None:
        words = f"on: {re.escape(named)} cannot be called with an event alone"
        with pytest.raises(ConfigurationError, match=words):
            a_router().on(IncomingSms)(handler)

    def test_what_does_not_say_how_it_is_called_is_taken(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inspect, "signature", Mock(side_effect=ValueError))
        assert a_router().on(IncomingSms)(handle) is handle

    def test_what_is_marked_as_one_is_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Python 3.12 has ``inspect.markcoroutinefunction`` for what returns a coroutine."""
        monkeypatch.setattr(inspect, "iscoroutinefunction", lambda _: True)
        assert a_router().on(IncomingSms)(wrapped) is wrapped

    async def test_what_yields_is_not_awaited_and_refused_as_well(self) -> None:
        async def generator(event: Event) -> AsyncIterator[Event]:
            yield event

        on: Any = a_router().on(IncomingSms)
        with pytest.raises(ConfigurationError, match="generator is no coroutine function"):
            on(generator)
        assert [event async for event in generator(SMS)] == [SMS]

    @pytest.mark.parametrize(
        "kinds",
        [
            (),
            (handle,),
            (not_async,),
            ("incoming_sms",),
            (SMS,),
            (int,),
            (None,),
            (IncomingSms, str),
            (IncomingSms, None),
        ],
    )
    def test_what_is_no_class_of_events_is_refused(self, kinds: Any) -> None:
        """A decorator without parentheses among them."""
        router = a_router()
        with pytest.raises(
            ConfigurationError, match=r"expected classes of events, as in @router.on\(IncomingSms\)"
        ):
            router.on(*kinds)

    @pytest.mark.parametrize(
        ("kinds", "gets"),
        [
            ([IncomingSms], ["incoming_sms"]),
            ([IncomingSms, CallEvent], ["incoming_sms", "call"]),
            ([CallEvent, IncomingSms, UnknownEvent], ["incoming_sms", "call", "unknown"]),
            (
                [LinkClick, CallQualification, DeliveryStatus, UnknownEvent],
                [event.kind for event in EVENTS[2:]],
            ),
            ([Event], [event.kind for event in EVENTS]),
            ([IncomingSms, IncomingSms, Event], [event.kind for event in EVENTS]),
        ],
    )
    async def test_a_handler_gets_once_what_it_is_for(
        self, kinds: list[type[Event]], gets: list[str]
    ) -> None:
        router = a_router()
        seen: list[str] = []

        @router.on(*kinds)
        async def see(event: Event) -> None:
            seen.append(event.kind)

        for event in EVENTS:
            await router.dispatch(event)
        assert seen == gets

    async def test_a_handler_of_one_class_of_ones_own_is_one(self) -> None:
        class Urgent(IncomingSms, frozen=True, kw_only=True):
            pass

        router = a_router()
        mock = AsyncMock()
        router.on(Urgent)(mock)
        await router.dispatch(SMS)
        await router.dispatch(urgent := Urgent(message="a"))
        mock.assert_awaited_once_with(urgent)

    async def test_decorators_stand_on_one_another(self) -> None:
        """For type checkers one decorator with both classes is better.

        Each decorator returns what it is for.
        """
        router = a_router()
        seen: list[str] = []

        async def see(event: Event) -> None:
            seen.append(event.kind)

        on: Any = router.on
        assert on(CallEvent)(on(IncomingSms)(see)) is see
        await router.dispatch(SMS)
        await router.dispatch(CALL)
        assert seen == ["incoming_sms", "call"]

    async def test_types_are_those_of_the_classes(self) -> None:
        """And a handler that is for something else is an error for type checkers."""
        router = a_router()

        @router.on(IncomingSms)
        async def one(event: IncomingSms) -> str:
            return event.message

        @router.on(IncomingSms, CallEvent)
        async def two(event: IncomingSms | CallEvent) -> None:
            assert_type(event, IncomingSms | CallEvent)

        @router.on(IncomingSms, CallEvent, LinkClick)
        async def three(event: IncomingSms | CallEvent | LinkClick) -> None:
            assert_type(event, IncomingSms | CallEvent | LinkClick)

        @router.on(IncomingSms, CallEvent, LinkClick, DeliveryStatus)
        async def four(event: IncomingSms | CallEvent | LinkClick | DeliveryStatus) -> None:
            assert_type(event, IncomingSms | CallEvent | LinkClick | DeliveryStatus)

        @router.on(
            IncomingSms, CallEvent, LinkClick, DeliveryStatus, CallQualification, UnknownEvent
        )
        async def six(
            event: IncomingSms
            | CallEvent
            | LinkClick
            | DeliveryStatus
            | CallQualification
            | UnknownEvent,
        ) -> None:
            """Take any of them."""

        @router.on(Event)
        async def every(event: Event) -> int:
            return len(event.key)

        @router.on(IncomingSms, CallEvent)
        async def wider(event: Event) -> None:
            assert_type(event, Event)

        @router.on(CallEvent)  # type: ignore[arg-type]  # that is what is tested
        async def of_another_kind(event: IncomingSms) -> None:
            """Would fail on calls."""

        @router.on(IncomingSms, CallEvent)  # type: ignore[arg-type]  # that is what is tested
        async def of_one_of_both(event: IncomingSms) -> None:
            """Would fail on calls."""

        assert_type(one, Callable[[IncomingSms], Coroutine[Any, Any, str]])
        assert_type(two, Callable[[IncomingSms | CallEvent], Coroutine[Any, Any, None]])
        assert_type(
            three, Callable[[IncomingSms | CallEvent | LinkClick], Coroutine[Any, Any, None]]
        )
        assert_type(every, Callable[[Event], Coroutine[Any, Any, int]])
        assert_type(await one(SMS), str)
        assert await every(SMS) == 32
        await router.dispatch(SMS)
        await router.dispatch(CALL)
        assert router.statistics().failed == 0


def routers_name(handler: object) -> str:
    """Return what a router calls a handler in its log."""
    from insim_async.webhooks import router

    return router._name(handler)


class TestDispatch:
    async def test_runs_handlers_one_after_the_other_as_they_were_registered(self) -> None:
        router = a_router()
        steps: list[str] = []

        def registered(name: str, *kinds: type[Event]) -> None:
            async def step(event: Event) -> None:
                steps.append(f"{name} begins")
                await asyncio.sleep(0)
                steps.append(f"{name} ends")

            router.on(*kinds)(step)

        registered("first", IncomingSms)
        registered("none", CallEvent)
        registered("second", Event)
        registered("third", CallEvent, IncomingSms)
        await router.dispatch(SMS)
        assert steps == [
            f"{name} {does}" for name in ("first", "second", "third") for does in ("begins", "ends")
        ]

    async def test_without_a_handler_ignores_it_and_says_so_once_for_each_kind(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        router = a_router()
        router.on(LinkClick)(AsyncMock())
        for event in (SMS, CALL, SMS):
            await router.dispatch(event)
        counts = router.statistics()
        assert (counts.ignored, counts.handled, counts.failed) == (3, 0, 0)
        assert caplog.messages == [
            f"webhook {kind}: ignored, since no handler is for it (said once)"
            for kind in ("incoming_sms", "call")
        ]

    async def test_runs_all_and_then_raises_what_they_raised(self) -> None:
        router = a_router()
        first, second = ValueError("a"), ExceptionGroup("b", [KeyError("c")])
        handlers = [
            AsyncMock(side_effect=first),
            AsyncMock(),
            AsyncMock(side_effect=second),
            AsyncMock(),
        ]
        for handler in handlers:
            router.on(Event)(handler)
        with pytest.raises(ExceptionGroup) as caught:
            await router.dispatch(SMS)
        assert (caught.value.message, caught.value.exceptions) == (
            "handlers of a webhook failed",
            (first, second),
        )
        assert [handler.await_count for handler in handlers] == [1, 1, 1, 1]
        assert (router.statistics().handled, router.statistics().failed) == (0, 1)

    @pytest.mark.parametrize(
        "error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit]
    )
    async def test_ends_where_it_is_interrupted(self, error: type[BaseException]) -> None:
        router = a_router()
        before, after = AsyncMock(side_effect=ValueError), AsyncMock()
        for handler in (before, AsyncMock(side_effect=error), after):
            router.on(Event)(handler)
        with pytest.raises(error):
            await router.dispatch(SMS)
        assert (before.await_count, after.await_count) == (1, 0)
        assert (router.statistics().handled, router.statistics().failed) == (0, 1)

    async def test_ends_when_its_task_is_cancelled(self) -> None:
        router = a_router()
        begun = asyncio.Event()
        after = AsyncMock()

        @router.on(Event)
        async def hang(event: Event) -> None:
            begun.set()
            await asyncio.get_running_loop().create_future()

        router.on(Event)(after)
        task = asyncio.create_task(router.dispatch(SMS))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (after.await_count, router.statistics().failed) == (0, 1)


class TestLog:
    """What a handler raised is for the log, the person that it speaks of is not."""

    @pytest.fixture
    async def records(self, caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
        caplog.set_level(logging.DEBUG, logger="insim_async")
        router = a_router()

        @router.on(Event)
        async def careless(event: Event) -> None:
            try:
                raise KeyError(event.phone_number)
            except KeyError as error:
                error.add_note(str(event.raw))
                raise ValueError(f"{event.phone_number}\r\n\x1b[31m{event.raw}") from error

        with pytest.raises(ExceptionGroup):
            await router.dispatch(SMS)
        return caplog.records

    async def test_names_the_handler_the_event_and_the_class(
        self, records: list[logging.LogRecord]
    ) -> None:
        error, detail = records
        name = "TestLog.records.<locals>.careless"
        assert error.getMessage() == f"webhook incoming_sms: {name} raised ValueError"
        assert (error.levelno, detail.levelno) == (logging.ERROR, logging.DEBUG)
        facts = {key: vars(error)[key] for key in ("event_kind", "event_key", "handler")}
        assert facts == {"event_kind": "incoming_sms", "event_key": SMS.key, "handler": name}

    async def test_shows_where_and_not_what(self, records: list[logging.LogRecord]) -> None:
        assert leaks_of_records(records) == []
        text = printed(records[0])
        assert 'raise ValueError(f"{event.phone_number}' in text
        assert text.endswith("_HandlerError: ValueError")
        assert found_in(text) == []
        assert re.findall(r"[\r\x1b]|\\x1b", text.replace(r"\r\n\x1b[31m{event", "{event")) == []

    async def test_has_all_of_it_for_those_who_debug(
        self, records: list[logging.LogRecord]
    ) -> None:
        text = printed(records[1])
        assert "39980001" in text
        assert "bluedoor" in text
        assert "direct cause" in text

    async def test_names_all_that_a_task_group_raised(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def inner(event: Event) -> None:
            raise LookupError(event.phone_number)

        async def with_tasks(event: Event) -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(inner(event))

        router = a_router()
        router.on(Event)(with_tasks)
        with pytest.raises(ExceptionGroup):
            await router.dispatch(SMS)
        text = printed(caplog.records[0])
        assert "with_tasks raised ExceptionGroup" in text
        assert "_HandlerError: LookupError" in text
        assert "raise LookupError(event.phone_number)" in text
        assert found_in(text) == []

    async def test_what_is_raised_is_what_the_handler_raised(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whoever catches it finds the traceback, and nothing of ours hangs on it."""
        router = a_router()
        router.on(Event)(AsyncMock(side_effect=ValueError("a")))
        with pytest.raises(ExceptionGroup) as caught:
            await router.dispatch(SMS)
        (error,) = caught.value.exceptions
        assert (error.__cause__, error.__context__) == (None, None)
        assert "_HandlerError" not in "".join(traceback.format_exception(caught.value))


class TestInclude:
    async def test_lets_another_router_have_events_in_turn(self) -> None:
        """Those of the handlers, too, that it gets later; it keeps its counts."""
        steps: list[str] = []

        def step(name: str) -> Any:
            async def handler(event: Event) -> None:
                steps.append(name)

            return handler

        router, other, inner = WebhookRouter(), WebhookRouter(), WebhookRouter()
        router.on(IncomingSms)(step("first"))
        router.include(other)
        router.on(IncomingSms)(step("third"))
        other.include(inner)
        inner.on(IncomingSms, CallEvent)(step("second"))
        await router.dispatch(SMS)
        await router.dispatch(CALL)
        assert steps == ["first", "second", "third", "second"]
        assert (router.statistics().handled, other.statistics().handled) == (2, 0)

    @pytest.mark.parametrize("which", ["itself", "twice", "around", "no router"])
    def test_goes_round_in_no_circle(self, which: str) -> None:
        router, other = WebhookRouter(), WebhookRouter()
        other.include(router)
        given: Any = {"itself": other, "twice": router, "around": other, "no router": "x"}[which]
        into = router if which == "around" else other
        words = "expected a router, got str" if which == "no router" else "has the other already"
        with pytest.raises(ConfigurationError, match=words):
            into.include(given)

    @pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2)])
    async def test_runs_a_handler_once_in_however_many_ways_it_came(
        self, order: tuple[int, ...]
    ) -> None:
        runs: list[Event] = []

        async def handler(event: Event) -> None:
            runs.append(event)

        router, other, inner = WebhookRouter(), WebhookRouter(), WebhookRouter()
        inner.on(IncomingSms)(handler)
        ways = [(router, inner), (other, inner), (router, other)]
        for way in order:
            into, given = ways[way]
            into.include(given)
        await router.dispatch(SMS)
        assert runs == [SMS]
        assert len([*router.family()]) == 3

    def test_tells_which_kinds_are_handled(self) -> None:
        router, other = WebhookRouter(), WebhookRouter()
        assert (router.kinds(), router.handles(SMS)) == (frozenset(), False)
        router.include(other)
        other.on(IncomingSms, LinkClick)(handle)
        assert router.kinds() == {"incoming_sms", "link_click"}
        assert router.handles(SMS)
        assert not router.handles(CALL)
        other.on(Event)(handle)
        assert router.kinds() == {
            "*", "incoming_sms", "call", "link_click", "call_qualification", "delivery_status",
            "unknown",
        }  # fmt: skip


class TestWishes:
    @pytest.mark.parametrize(
        ("raised", "wish"),
        [
            ([ValueError()], None),
            ([GiveUp("a")], "a"),
            ([GiveUp("a"), ExceptionGroup("b", [GiveUp("c")])], "a"),
            ([GiveUp("a"), ValueError()], None),
            ([GiveUp("a"), RetryLater(3)], 3.0),
            ([RetryLater(3), ValueError(), ExceptionGroup("b", [RetryLater(30)])], 30.0),
        ],
    )
    def test_are_for_later_before_all_else(
        self, raised: list[Exception], wish: float | str | None
    ) -> None:
        found = wish_of(ExceptionGroup("handlers", raised))
        assert (getattr(found, "after", None) or getattr(found, "reason", None)) == wish


class TestStatistics:
    async def test_counts_endings_by_what_they_were(self) -> None:
        router = a_router()
        assert router.statistics() == WebhookStatistics(
            received={}, repeated=0, handled=0, failed=0, ignored=0, invalid=0, turned_away=0
        )
        mock = AsyncMock(side_effect=[None, ValueError, None])
        router.on(IncomingSms)(mock)
        await router.dispatch(SMS)
        with pytest.raises(ExceptionGroup):
            await router.dispatch(SMS)
        await router.dispatch(SMS)
        await router.dispatch(CALL)
        assert router.statistics() == WebhookStatistics(
            received={}, repeated=0, handled=2, failed=1, ignored=1, invalid=0, turned_away=0
        )

    async def test_stay_as_they_were_taken(self) -> None:
        router = a_router()
        router.counts.receive("call")
        router.counts.receive("call")
        taken = router.statistics()
        router.counts.receive("call")
        await router.dispatch(CALL)
        assert (taken.received, taken.handled) == ({"call": 2}, 0)
        with pytest.raises(AttributeError, match="immutable"):
            setattr(taken, "handled", 1)  # noqa: B010 - a plain assignment is an error for type checkers, too
        assert router.statistics().received == {"call": 3}
