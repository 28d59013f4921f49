"""Many messages: one outcome for each, whatever happens to any."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import subprocess
import sys
import textwrap
import types
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
import respx

from insim_async import (
    AsyncInSim,
    AuthenticationFailed,
    BulkInterrupted,
    ConfigurationError,
    Contact,
    InvalidMessage,
    NotSent,
    OutcomeUnknown,
    Progress,
    RateLimited,
    Refused,
    Sms,
    Status,
    _tasks,
)
from insim_async._sending import Listener, checks, contacts, delivery, pipeline
from tests.conftest import BASE_URL, KEY, LOGIN, Gateway, Hours, receipt
from tests.waiting import until

NUMBER = "+33639980001"


def texts(count: int, **more: Any) -> list[Sms]:
    return [Sms(NUMBER, f"Message {n}", **more) for n in range(count)]


def client(hours: Hours, **settings: Any) -> AsyncInSim:
    return AsyncInSim(LOGIN, KEY, base_url=BASE_URL, clock=hours.clock, **settings)


async def each(items: Iterable[Sms]) -> AsyncIterator[Sms]:
    for item in items:
        yield item


async def each_after_a_while(items: Iterable[Sms]) -> AsyncIterator[Sms]:
    for item in items:
        await anyio.lowlevel.checkpoint()
        yield item


KINDS = {
    "a list": list,
    "an iterator": iter,
    "an async iterator": each,
    "a slow one": each_after_a_while,
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 1234])
async def test_any_iterable_is_sent_and_reported_in_order(
    insim: AsyncInSim, gateway: Gateway, kind: Any, count: int
) -> None:
    messages = texts(count)
    report = await insim.send_many(kind(messages))
    assert [outcome.sms for outcome in report.outcomes] == messages
    assert (report.sent, report.refused, report.not_sent, report.unknown) == (count, 0, 0, 0)
    assert [outcome.receipt and outcome.receipt.message for outcome in report.outcomes] == [
        m.message for m in messages
    ]
    assert set(gateway.processed.values()) <= {1}
    assert sum(gateway.processed.values()) == count


async def test_messages_go_out_in_batches(hours: Hours, gateway: Gateway) -> None:
    async with client(hours, batch_size=40) as insim:
        await insim.send_many(texts(100))
    assert sorted(gateway.batches) == [20, 40, 40]


async def test_a_fast_async_iterable_fills_its_batches(insim: AsyncInSim, gateway: Gateway) -> None:
    await insim.send_many(each(texts(300)))
    assert gateway.batches == [100, 100, 100]


async def test_a_slow_async_iterable_is_not_kept_waiting(
    insim: AsyncInSim, gateway: Gateway
) -> None:
    async def now_and_then() -> AsyncIterator[Sms]:
        for message in texts(3):
            gateway.processed.clear()
            yield message
            await until(lambda: gateway.processed)

    assert (await insim.send_many(now_and_then())).sent == 3


async def test_a_batch_never_has_a_body_that_is_too_long(
    hours: Hours, gateway: Gateway, router: respx.MockRouter
) -> None:
    async with client(hours, max_parts=255) as insim:
        report = await insim.send_many([Sms(NUMBER, "a" * 20_000) for _ in range(100)])
    assert report.sent == 100
    assert len(gateway.batches) == 4
    assert all(len(call.request.content) <= delivery.BODY_CAP for call in router.calls)


async def test_a_bad_message_harms_no_other(insim: AsyncInSim, gateway: Gateway) -> None:
    messages: list[Any] = texts(1000)
    bad = {
        0: Sms(NUMBER, ""),
        1: None,
        500: Sms("0639980001", "Hi"),
        998: Sms(NUMBER, "\ud800"),
        999: Sms(NUMBER, "\0"),
    }
    for place, message in bad.items():
        messages[place] = message
    report = await insim.send_many(messages)
    assert (report.sent, report.not_sent) == (995, 5)
    assert {
        place for place, outcome in enumerate(report.outcomes) if outcome.status is Status.NOT_SENT
    } == set(bad)
    assert [outcome.sms for outcome in report.outcomes] == messages
    assert sum(gateway.processed.values()) == 995


async def test_a_batch_of_bad_messages_makes_no_request(
    insim: AsyncInSim, gateway: Gateway
) -> None:
    assert (await insim.send_many([Sms(NUMBER, "")] * 3)).not_sent == 3
    assert gateway.requests == []


async def test_the_same_id_twice_is_sent_once(hours: Hours, gateway: Gateway) -> None:
    async with client(hours, batch_size=2) as insim:
        report = await insim.send_many(texts(5, sms_id="order-7"))
    assert [outcome.status for outcome in report.outcomes].count(Status.SENT) == 1
    assert gateway.processed == {"order-7": 1}
    assert "an earlier message" in str(report.outcomes[1].error)


async def test_an_id_is_forgotten_after_a_while(
    insim: AsyncInSim, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "REMEMBERED_IDS", 3)
    ids = ["a", "b", "c", "d", "a", "e", "f", "g", "b"]
    report = await insim.send_many([Sms(NUMBER, "Hi", sms_id=sms_id) for sms_id in ids])
    assert [
        place for place, outcome in enumerate(report.outcomes) if outcome.status is not Status.SENT
    ] == [4]


ANSWERS: dict[str, tuple[Any, Status, int]] = {
    "refused": (httpx.Response(400), Status.UNKNOWN, 1),
    "refused by a firewall": (httpx.Response(403), Status.UNKNOWN, 1),
    "done, and the result elsewhere": (httpx.Response(303), Status.UNKNOWN, 1),
    "too large": (httpx.Response(413), Status.REFUSED, 13),
    "not authenticated": (httpx.Response(401), Status.REFUSED, 1),
    "wrong address": (httpx.Response(404), Status.NOT_SENT, 1),
    "broken": (httpx.Response(502), Status.UNKNOWN, 1),
    "no JSON": (httpx.Response(200, text="Sign in"), Status.UNKNOWN, 1),
    "cut off": (httpx.ReadError("reset"), Status.UNKNOWN, 1),
    "no connection": (httpx.ConnectError("refused"), Status.NOT_SENT, 3),
    "too many": (httpx.Response(429), Status.NOT_SENT, 3),
}


@pytest.mark.parametrize(("answer", "status", "requests"), ANSWERS.values(), ids=ANSWERS)
async def test_a_request_that_fails_ends_all_its_messages_alike(
    insim: AsyncInSim, gateway: Gateway, answer: Any, status: Status, requests: int
) -> None:
    gateway.answers = [answer] * requests
    report = await insim.send_many(texts(10))
    assert {outcome.status for outcome in report.outcomes} == {status}
    assert len(gateway.requests) == requests
    assert report.sent + report.refused + report.not_sent + report.unknown == 10


async def test_a_request_that_is_too_large_is_sent_in_smaller_ones_each_once(
    insim: AsyncInSim, gateway: Gateway
) -> None:
    """Halves, until it fits; after each that fits one more."""

    def answer(messages: list[dict[str, Any]]) -> httpx.Response:
        return httpx.Response(413) if len(messages) > 30 else gateway.take(messages)

    gateway.answers = [answer] * 8
    report = await insim.send_many(texts(100))
    assert gateway.batches == [100, 50, 25, 25, 27, 23]
    assert (report.sent, set(gateway.processed.values())) == (100, {1})
    assert [outcome.sms.message for outcome in report.outcomes] == [
        f"Message {number}" for number in range(100)
    ]


async def test_what_is_refused_among_others_may_have_been_taken(
    insim: AsyncInSim, gateway: Gateway
) -> None:
    """A script may stop at its fifty-first row."""
    gateway.answers = [httpx.Response(422, text="row 51")]
    report = await insim.send_many(texts(3))
    error = report.outcomes[0].error
    assert isinstance(error, OutcomeUnknown)
    assert error.status_code == 422
    assert (
        str(error)
        == "the server answered 422: row 51 (3 travelled together, and some may have been taken)"
    )


OF_THE_ACCOUNT: dict[str, Any] = {
    "in a row with a placeholder": {
        "data": {"data": [{"id_sms_api": 0, "error": ["#001"]}], "envoi": 0}
    },
    "around no rows": {"result": "failed", "errors": ["#002"]},
}


@pytest.mark.parametrize("answer", OF_THE_ACCOUNT.values(), ids=OF_THE_ACCOUNT)
async def test_an_account_that_is_refused_inside_a_200_stops_the_rest(
    hours: Hours, gateway: Gateway, answer: Any
) -> None:
    async with client(hours, batch_size=100, max_concurrency=1) as insim:
        gateway.answers = [httpx.Response(200, json=answer)]
        report = await insim.send_many(texts(5000))
    assert (report.refused, report.not_sent, len(gateway.requests)) == (100, 4900, 1)
    assert isinstance(report.outcomes[0].error, AuthenticationFailed)


async def test_a_code_of_the_account_beside_what_was_taken_stops_nothing(
    hours: Hours, gateway: Gateway
) -> None:
    def answer(messages: list[dict[str, Any]]) -> httpx.Response:
        first, *others = messages
        return httpx.Response(
            200, json=[receipt(first, sent=0, error=["#001"]), *map(receipt, others)]
        )

    async with client(hours, batch_size=10, max_concurrency=1) as insim:
        gateway.answers = [answer]
        report = await insim.send_many(texts(30))
    assert (report.refused, report.sent) == (1, 29)
    assert type(report.outcomes[0].error) is Refused


async def test_receipts_end_each_message_in_its_own_way(
    insim: AsyncInSim, gateway: Gateway
) -> None:
    def answer(messages: list[dict[str, Any]]) -> httpx.Response:
        sent, refused, _, coded = messages
        return httpx.Response(
            200,
            json=[receipt(coded, sent=0, error=["#003"]), receipt(refused, sent=0), receipt(sent)],
        )

    gateway.answers = [answer]
    report = await insim.send_many(texts(4))
    assert [o.status for o in report.outcomes] == [
        Status.SENT,
        Status.REFUSED,
        Status.UNKNOWN,
        Status.REFUSED,
    ]
    assert (report.sent, report.refused, report.not_sent, report.unknown) == (1, 2, 0, 1)
    assert getattr(report.outcomes[3].error, "codes", None) == ("#003",)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(httpx.Response(401), AuthenticationFailed), (httpx.Response(308), ConfigurationError)],
)
async def test_a_refused_account_or_a_wrong_address_stops_the_rest(
    hours: Hours, gateway: Gateway, answer: httpx.Response, kind: type[Exception]
) -> None:
    async with client(hours, batch_size=10, max_concurrency=1) as insim:
        gateway.answers = [answer]
        report = await insim.send_many(texts(95))
        assert len(gateway.requests) == 1
        assert {outcome.status for outcome in report.outcomes[10:]} == {Status.NOT_SENT}
        assert all(isinstance(outcome.error, kind) for outcome in report.outcomes[:10])
        last = report.outcomes[-1].error
        assert isinstance(last, kind) or isinstance(last.__cause__, kind)  # type: ignore[union-attr]
        assert (await insim.send_many(texts(5))).sent == 5


async def test_what_stops_the_rest_is_not_forgotten_for_a_later_fault(
    hours: Hours, router: respx.MockRouter
) -> None:
    """Two requests are under way when the account is refused; the other ends later, badly."""
    both, late, requests = anyio.Event(), anyio.Event(), list[httpx.Request]()

    async def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if len(requests) == 1:
            await both.wait()
            return httpx.Response(401)
        both.set()
        await late.wait()
        return httpx.Response(500)

    async def messages() -> AsyncIterator[Sms]:
        for sms in texts(2):
            yield sms
        await anyio.wait_all_tasks_blocked()
        late.set()
        await anyio.wait_all_tasks_blocked()
        for sms in texts(3):
            yield sms

    router.post("/api/v1/sendsms").mock(side_effect=answer)
    async with client(hours, batch_size=1, max_concurrency=2) as insim:
        report = await insim.send_many(messages())
    assert len(requests) == 2
    ended = [outcome.status for outcome in report.outcomes]
    assert ended == [
        Status.REFUSED,
        Status.UNKNOWN,
        Status.NOT_SENT,
        Status.NOT_SENT,
        Status.NOT_SENT,
    ]


async def test_an_account_that_is_refused_in_a_receipt_stops_the_rest(
    hours: Hours, gateway: Gateway
) -> None:
    gateway.answers = [
        lambda messages: httpx.Response(
            200, json=[receipt(message, sent=0, error=["#002"]) for message in messages]
        )
    ]
    async with client(hours, batch_size=10, max_concurrency=1) as insim:
        report = await insim.send_many(texts(25))
    assert len(gateway.requests) == 1
    assert (report.refused, report.not_sent) == (10, 15)


async def test_a_long_pause_does_not_fail_a_bulk_call(
    insim: AsyncInSim, gateway: Gateway, hours: Hours
) -> None:
    gateway.answers = [httpx.Response(429, headers={"Retry-After": "45"})]
    assert (await insim.send_many(texts(500))).sent == 500
    assert sum(hours.naps) >= 45


async def test_a_rate_is_kept_without_bursts(hours: Hours, gateway: Gateway) -> None:
    async with client(hours, max_rate=20.0, max_concurrency=1) as insim:
        assert (await insim.send_many(texts(100))).sent == 100
    assert gateway.batches == [20] * 5
    assert hours.naps == pytest.approx([1.0] * 4)


async def test_a_rate_below_one_a_second_sends_one_by_one(hours: Hours, gateway: Gateway) -> None:
    async with client(hours, max_rate=0.5, max_concurrency=1) as insim:
        await insim.send_many(texts(3))
        await insim.send_sms(NUMBER, "Hi")
    assert gateway.batches == [1, 1, 1, 1]
    assert hours.naps == pytest.approx([2.0] * 3)


async def test_a_contact_that_may_have_been_added_is_unknown_whatever_comes_after(
    insim: AsyncInSim, router: respx.MockRouter
) -> None:
    answers = [httpx.Response(503), httpx.Response(429), httpx.Response(429)]
    router.post("/api/v1/contact").mock(side_effect=answers)
    (result,) = await insim.add_contacts([Contact(NUMBER)])
    assert type(result.error) is OutcomeUnknown
    assert "by an earlier attempt; then: the server answered 429" in str(result.error)


class Awaited:
    """It may be awaited, and is no coroutine."""

    def __await__(self) -> Any: ...


UNHEARD: dict[str, Callable[[], object]] = {
    "an awaitable object": Awaited,
    "a generator": lambda: failing_after(0),
    "an async generator": lambda: each([]),
    "a coroutine of the old kind": types.coroutine(lambda: (yield)),
    "a wrapped generator": types.coroutine(lambda: failing_after(0)),
}


class TestProgress:
    async def test_it_is_told_after_each_batch(self, hours: Hours, gateway: Gateway) -> None:
        seen: list[Progress] = []
        async with client(hours, batch_size=10, max_rate=10.0, max_concurrency=1) as insim:
            await insim.send_many([*texts(24), Sms(NUMBER, "")], on_progress=seen.append)
        assert [(p.done, p.total, p.sent, p.not_sent) for p in seen] == [
            (10, 25, 10, 0),
            (20, 25, 20, 0),
            (25, 25, 24, 1),
        ]
        assert seen[-1].rate == pytest.approx(12.5)

    async def test_the_total_of_an_iterator_is_not_known(
        self, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        seen: list[Progress] = []
        await insim.send_many(iter(texts(3)), on_progress=seen.append)
        assert [p.total for p in seen] == [None]

    async def test_a_callback_that_raises_costs_no_report(
        self, insim: AsyncInSim, gateway: Gateway, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(progress: Progress) -> None:
            raise errors.pop()

        errors = [GeneratorExit(), asyncio.CancelledError(), ZeroDivisionError()]
        while errors:
            assert (await insim.send_many(texts(500), on_progress=fail)).sent == 500
        assert [
            record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING
        ] == [
            "on_progress raised ZeroDivisionError and is not called again",
            "on_progress raised CancelledError and is not called again",
            "on_progress raised GeneratorExit and is not called again",
        ]

    async def test_a_program_may_end_in_a_callback(
        self, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        def leave(progress: Progress) -> None:
            sys.exit(3)

        with pytest.raises(SystemExit):
            await insim.send_many(texts(5), on_progress=leave)

    async def test_a_callback_that_turns_out_to_be_async_costs_no_report(
        self, insim: AsyncInSim, gateway: Gateway, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nor does Python warn of a coroutine that was never awaited.

        In the tests a warning is an error.
        """

        async def show(progress: Progress) -> None: ...

        assert (
            await insim.send_many(texts(500), on_progress=lambda progress: show(progress))
        ).sent == 500
        gc.collect()
        assert [
            record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING
        ] == ["on_progress returned coroutine and is not called again"]

    @pytest.mark.parametrize("make", UNHEARD.values(), ids=UNHEARD)
    async def test_nor_does_one_that_returns_what_waits_for_somebody(
        self, insim: AsyncInSim, gateway: Gateway, caplog: pytest.LogCaptureFixture, make: Any
    ) -> None:
        report = await insim.send_many(texts(500), on_progress=lambda progress: make())
        assert report.sent == 500
        gc.collect()
        [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert record.getMessage() == (
            f"on_progress returned {type(make()).__name__} and is not called again"
        )

    async def test_nor_does_one_whose_generator_raises_when_it_is_closed(
        self, insim: AsyncInSim, gateway: Gateway, caplog: pytest.LogCaptureFixture
    ) -> None:
        def stubborn() -> Iterator[None]:
            with suppress(GeneratorExit):
                yield
            raise LookupError

        def begin(progress: Progress) -> Iterator[None]:
            steps = stubborn()
            next(steps)
            return steps

        assert (await insim.send_many(texts(500), on_progress=begin)).sent == 500
        assert [
            record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING
        ] == ["on_progress raised LookupError and is not called again"]

    async def test_a_callback_may_start_a_task(self, insim: AsyncInSim, gateway: Gateway) -> None:
        tasks: list[asyncio.Task[None]] = []

        async def show(progress: Progress) -> None:
            await asyncio.sleep(0)

        def begin(progress: Progress) -> asyncio.Task[None]:
            tasks.append(asyncio.create_task(show(progress)))
            return tasks[-1]

        await insim.send_many(texts(500), on_progress=begin)
        assert len(tasks) == 5
        await asyncio.gather(*tasks)

    async def test_what_is_no_plain_function_is_refused_before_anything_is_sent(
        self, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        class Screen:
            async def show(self, progress: Progress) -> None: ...

            async def __call__(self, progress: Progress) -> None: ...

        async def show(screen: Screen, progress: Progress) -> None: ...

        class Steps:
            __call__ = staticmethod(failing_after)

        screen = Screen()
        refused: list[Any] = [
            show,
            partial(show, screen),
            partial(partial(screen)),
            screen,
            screen.show,
            failing_after,
            partial(failing_after),
            Steps(),
            each,
            types.coroutine(failing_after),
            types.coroutine(lambda progress: failing_after(0)),
            "a function",
        ]
        for given in refused:
            with pytest.raises(ConfigurationError, match="on_progress: expected a plain function"):
                await insim.send_many(texts(5), on_progress=given)
        assert gateway.requests == []


class TestStream:
    async def test_it_yields_all(self, insim: AsyncInSim, gateway: Gateway) -> None:
        messages = texts(1234)
        outcomes = [outcome async for outcome in insim.stream(messages)]
        assert sorted(outcome.sms.message for outcome in outcomes) == sorted(
            m.message for m in messages
        )

    @pytest.mark.parametrize("kind", [iter, each], ids=["iterator", "async iterator"])
    async def test_nothing_is_read_ahead_of_what_can_be_sent(
        self, hours: Hours, gateway: Gateway, kind: Any
    ) -> None:
        read = 0

        def endless() -> Iterator[Sms]:
            nonlocal read
            while True:
                read += 1
                yield Sms(NUMBER, f"Message {read}")

        async with client(hours, batch_size=10, max_concurrency=2) as insim:
            async with aclosing(insim.stream(kind(endless()))) as outcomes:
                for _ in range(5):
                    await anext(outcomes)
                await anyio.wait_all_tasks_blocked()
                assert read <= 10 * (2 + 2)
            requests = len(gateway.requests)
            await anyio.wait_all_tasks_blocked()
            assert len(gateway.requests) == requests
            assert (await insim.send_sms(NUMBER, "Hi")).sent

    async def test_leaving_the_loop_stops_the_sending(self, hours: Hours, gateway: Gateway) -> None:
        async with client(hours, batch_size=10, max_concurrency=2) as insim:
            outcome = await anext(insim.stream(iter(lambda: Sms(NUMBER, "Hi"), None)))
            assert outcome.status is Status.SENT
            gc.collect()
            await anyio.wait_all_tasks_blocked()
            assert not _tasks._running
            requests = len(gateway.requests)
            await anyio.sleep(0.01)
            assert len(gateway.requests) == requests <= 6

    async def test_a_generator_that_nobody_started_does_nothing(
        self, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await insim.stream(texts(5)).aclose()
        assert gateway.requests == []


def failing_after(count: int) -> Iterator[Sms]:
    yield from texts(count)
    raise LookupError("the database went away")


class TestAnInputThatRaises:
    @pytest.mark.parametrize("kind", [iter, each], ids=["iterator", "async iterator"])
    async def test_what_came_before_it_is_final(
        self, insim: AsyncInSim, gateway: Gateway, kind: Any
    ) -> None:
        outcomes = []

        async def collect() -> None:
            async for outcome in insim.stream(kind(failing_after(250))):
                outcomes.append(outcome)  # noqa: PERF401 - what came before the exception is kept

        with pytest.raises(LookupError):
            await collect()
        assert [outcome.status for outcome in outcomes] == [Status.SENT] * 250
        assert sum(gateway.processed.values()) == 250

    async def test_a_report_survives_it(self, insim: AsyncInSim, gateway: Gateway) -> None:
        with pytest.raises(BulkInterrupted) as caught:
            await insim.send_many(failing_after(250))
        assert caught.value.report.sent == 250
        assert isinstance(caught.value.__cause__, LookupError)

    async def test_a_cancellation_of_what_it_waits_for_is_its_failure(
        self, hours: Hours, gateway: Gateway
    ) -> None:
        """It is not the caller who was cancelled.

        What was sent is reported, and that there was more.
        """
        reading = asyncio.create_task(asyncio.sleep(3600))

        async def messages() -> AsyncIterator[Sms]:
            for sms in texts(4):
                yield sms
            await anyio.wait_all_tasks_blocked()
            reading.cancel()
            await reading

        async with client(hours, batch_size=2, max_concurrency=2) as insim:
            with pytest.raises(BulkInterrupted) as caught:
                await insim.send_many(messages())
        assert caught.value.report.sent == sum(gateway.processed.values()) == 4
        assert isinstance(caught.value.__cause__, RuntimeError)
        assert isinstance(caught.value.__cause__.__cause__, asyncio.CancelledError)

    @pytest.mark.parametrize("backend", ["trio"])
    def test_a_program_that_ends_in_it_ends(self, backend: str) -> None:
        """With asyncio the event loop sees to that."""

        def leaving() -> Iterator[Sms]:
            yield from texts(1)
            sys.exit(3)

        async def scenario() -> None:
            async with AsyncInSim(LOGIN, KEY, base_url=BASE_URL) as insim:
                await insim.send_many(leaving())

        with pytest.raises(BaseExceptionGroup) as caught:
            anyio.run(scenario, backend=backend)
        assert caught.group_contains(SystemExit)

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_it_sees_the_context_of_the_caller(self, backend: str) -> None:
        request: ContextVar[str] = ContextVar("request", default="none")
        seen: list[str] = []

        async def messages() -> AsyncIterator[Sms]:
            seen.append(request.get())
            yield Sms("12", "not a number")

        async def scenario() -> None:
            request.set("the caller's")
            async with AsyncInSim(LOGIN, KEY, base_url=BASE_URL) as insim:
                assert (await insim.send_many(messages())).not_sent == 1

        anyio.run(scenario, backend=backend)
        assert seen == ["the caller's"]

    async def test_the_results_of_contacts_survive_it(self, hours: Hours) -> None:
        def failing() -> Iterator[Contact]:
            yield from (Contact(f"x{number}") for number in range(25))
            raise LookupError

        async with client(hours, batch_size=10) as insim:
            with pytest.raises(BulkInterrupted) as caught:
                await insim.add_contacts(failing())
        assert [result.phone_number for result in caught.value.results] == [
            f"x{number}" for number in range(25)
        ]
        assert isinstance(caught.value.__cause__, LookupError)

    @pytest.mark.parametrize(
        ("status", "kind"), [(401, AuthenticationFailed), (308, ConfigurationError)]
    )
    @pytest.mark.parametrize("what", ["stream", "add_contacts"])
    async def test_its_error_is_the_cause_of_a_refusal_that_comes_as_well(
        self, hours: Hours, router: respx.MockRouter, status: int, kind: Any, what: str
    ) -> None:
        router.post(url__regex=".*").mock(return_value=httpx.Response(status))

        def failing() -> Iterator[Any]:
            yield Contact(NUMBER) if what == "add_contacts" else Sms(NUMBER, "Hi")
            raise LookupError("the database went away")

        async def call(insim: AsyncInSim) -> None:
            if what == "add_contacts":
                await insim.add_contacts(failing())
            async for outcome in insim.stream(failing()):
                assert isinstance(outcome.error, kind)

        async with client(hours) as insim:
            with pytest.raises(kind) as caught:
                await call(insim)
        assert isinstance(caught.value.__cause__, LookupError)

    @pytest.mark.parametrize(
        "given", [None, 5, Sms(NUMBER, "Hi"), NUMBER, b"x", {NUMBER: "Hi"}], ids=repr
    )
    async def test_what_is_no_iterable_of_messages_is_refused(
        self, insim: AsyncInSim, given: Any
    ) -> None:
        with pytest.raises(
            ConfigurationError, match=f"expected a list.*, got {type(given).__name__}: put a single"
        ):
            await insim.send_many(given)


def play(answer: Any, request: httpx.Request) -> httpx.Response:
    if isinstance(answer, Exception):
        raise answer
    return answer if isinstance(answer, httpx.Response) else answer(request)


class TestContacts:
    def answer(self, request: httpx.Request) -> httpx.Response:
        rows = [
            {
                "firstname": c["firstname"],
                "lastname": c["lastname"],
                "phonenumber": c["phone_number"],
                "adress": "",
                "email": "",
                "result": "success",
            }
            for c in json.loads(request.content)["contacts"]
        ]
        return httpx.Response(200, json={"data": {"contact": rows}})

    async def test_each_has_a_result_in_order(self, hours: Hours, router: respx.MockRouter) -> None:
        route = router.post("/api/v1/contact").mock(side_effect=self.answer)
        contacts: list[Any] = [Contact(f"+3363998{n:04}", first_name=f"A{n}") for n in range(250)]
        contacts[7] = Contact("0639980007")
        contacts[8] = "Zoé"
        async with client(hours) as insim:
            results = await insim.add_contacts(contacts)
        assert [result.ok for result in results] == [n not in {7, 8} for n in range(250)]
        assert [r.first_name for r in results if r.ok] == [
            c.first_name for n, c in enumerate(contacts) if n not in {7, 8}
        ]
        assert "country code" in results[7].errors[0]
        assert route.call_count == 3

    @pytest.mark.parametrize(
        "kind", [LookupError, GeneratorExit, asyncio.CancelledError, BaseException]
    )
    async def test_one_that_cannot_be_read_costs_no_other_its_result(
        self, insim: AsyncInSim, router: respx.MockRouter, kind: type[BaseException]
    ) -> None:
        class Odd(Contact, frozen=True):
            def __getattribute__(self, name: str) -> object:
                if name == "email":
                    raise kind
                return super().__getattribute__(name)

        router.post("/api/v1/contact").mock(side_effect=self.answer)
        results = await insim.add_contacts([Contact(NUMBER), Odd(NUMBER), Contact(5)])  # type: ignore[arg-type]
        assert [result.ok for result in results] == [True, False, False]
        assert [result.phone_number for result in results] == [NUMBER, NUMBER, ""]
        assert all(isinstance(result.error, InvalidMessage) for result in results[1:])

    def test_a_program_may_end_where_one_is_read(self) -> None:
        class End(Contact, frozen=True):
            def __getattribute__(self, name: str) -> object:
                return sys.exit(3) if name == "email" else super().__getattribute__(name)

        with pytest.raises(SystemExit):
            contacts._text_of(End(NUMBER), "email")

    async def test_only_bad_ones_make_no_request(
        self, insim: AsyncInSim, router: respx.MockRouter
    ) -> None:
        route = router.post("/api/v1/contact").mock(side_effect=self.answer)
        assert [result.ok for result in await insim.add_contacts([Contact("x")])] == [False]
        assert not route.called

    async def test_a_body_that_is_too_long_is_split(
        self, insim: AsyncInSim, router: respx.MockRouter
    ) -> None:
        route = router.post("/api/v1/contact").mock(side_effect=self.answer)
        contacts = [Contact(f"+3363998{n:04}", address="a" * 20_000) for n in range(40)]
        assert all(result.ok for result in await insim.add_contacts(contacts))
        assert route.call_count == 2

    async def test_a_lost_answer_is_asked_for_again(
        self, insim: AsyncInSim, router: respx.MockRouter
    ) -> None:
        answers: list[Any] = [httpx.ReadError("reset"), httpx.Response(200, text="?"), self.answer]
        route = router.post("/api/v1/contact").mock(
            side_effect=lambda request: play(answers.pop(0), request)
        )
        assert [result.ok for result in await insim.add_contacts([Contact(NUMBER)])] == [True]
        assert route.call_count == 3

    async def test_an_answer_without_a_result_for_each_is_none(
        self, insim: AsyncInSim, router: respx.MockRouter
    ) -> None:
        route = router.post("/api/v1/contact").respond(json={"data": {"contact": []}})
        (result,) = await insim.add_contacts([Contact(NUMBER, last_name="Lovelace")])
        assert (result.ok, result.phone_number, result.last_name) == (False, NUMBER, "Lovelace")
        assert isinstance(result.error, OutcomeUnknown)
        assert "no object that has the documented fields" in str(result.error)
        assert route.call_count == 3

    async def test_what_one_answer_says_is_kept_though_the_next_says_less(
        self, insim: AsyncInSim, router: respx.MockRouter
    ) -> None:
        contacts = [Contact(f"+3363998000{n}") for n in range(3)]
        first, *others = (
            {"phonenumber": each.phone_number, "result": "success"} for each in contacts
        )
        answers = [[first], others[:1], []]
        router.post("/api/v1/contact").mock(
            side_effect=lambda request: httpx.Response(
                200, json={"data": {"contact": answers.pop(0)}}
            )
        )
        results = await insim.add_contacts(contacts)
        assert [result.ok for result in results] == [True, True, False]

    @pytest.mark.parametrize(
        ("status", "count", "kind", "requests"),
        [
            (400, 1, Refused, 1),
            (400, 5, OutcomeUnknown, 1),
            (413, 1, Refused, 1),
            (413, 4, Refused, 6),
            (429, 5, RateLimited, 3),
            (500, 5, OutcomeUnknown, 3),
            (303, 5, OutcomeUnknown, 3),
        ],
    )
    async def test_a_request_that_fails_for_good_is_the_error_of_each(
        self,
        insim: AsyncInSim,
        router: respx.MockRouter,
        status: int,
        count: int,
        kind: type[Exception],
        requests: int,
    ) -> None:
        route = router.post("/api/v1/contact").respond(status)
        results = await insim.add_contacts([Contact(NUMBER)] * count)
        assert [type(result.error) for result in results] == [kind] * count
        assert route.call_count == requests

    async def test_what_was_to_follow_a_half_that_was_refused_is_not_sent(
        self, insim: AsyncInSim, router: respx.MockRouter
    ) -> None:
        statuses = [413, 401]
        route = router.post("/api/v1/contact").mock(
            side_effect=lambda _: httpx.Response(statuses.pop(0))
        )
        with pytest.raises(AuthenticationFailed) as caught:
            await insim.add_contacts([Contact(f"+3363998{n:04}") for n in range(4)])
        kinds = [type(result.error) for result in caught.value.results]
        assert kinds == [AuthenticationFailed] * 2 + [NotSent] * 2
        assert route.call_count == 2

    async def test_one_request_that_fails_costs_no_other_its_results(
        self, hours: Hours, router: respx.MockRouter
    ) -> None:
        answers: list[Any] = [self.answer] * 9 + [httpx.Response(400)]
        router.post("/api/v1/contact").mock(
            side_effect=lambda request: play(answers.pop(0), request)
        )
        async with client(hours, max_concurrency=1) as insim:
            results = await insim.add_contacts(Contact(f"+3363998{n:04}") for n in range(1000))
        assert [result.ok for result in results] == [True] * 900 + [False] * 100

    @pytest.mark.parametrize(
        ("status", "kind"), [(401, AuthenticationFailed), (404, ConfigurationError)]
    )
    async def test_a_refused_account_is_raised_with_the_results_so_far(
        self, hours: Hours, router: respx.MockRouter, status: int, kind: Any
    ) -> None:
        answers: list[Any] = [self.answer, httpx.Response(status)]
        route = router.post("/api/v1/contact").mock(
            side_effect=lambda request: play(answers.pop(0), request)
        )
        async with client(hours, max_concurrency=1, batch_size=2) as insim:
            with pytest.raises(kind) as caught:
                await insim.add_contacts([Contact(f"+3363998{n:04}") for n in range(6)])
        assert [result.ok for result in caught.value.results[:4]] == [True] * 2 + [False] * 2
        assert all(
            isinstance(result.error, Refused | NotSent) for result in caught.value.results[2:]
        )
        assert len(caught.value.results) == 4
        assert route.call_count == 2


async def test_a_client_that_closes_ends_what_waits(hours: Hours, router: respx.MockRouter) -> None:
    release = await stalled(router)
    errors: list[Exception] = []

    async def send(insim: AsyncInSim) -> None:
        try:
            await insim.send_sms(NUMBER, "Hi")
        except (NotSent, OutcomeUnknown) as error:
            errors.append(error)

    async with anyio.create_task_group() as group, client(hours, max_concurrency=1) as insim:
        group.start_soon(send, insim)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(send, insim)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(insim.aclose)
        await anyio.wait_all_tasks_blocked()
        release.set()
    assert [type(error) for error in errors] == [NotSent, OutcomeUnknown]


async def stalled(router: respx.MockRouter) -> anyio.Event:
    """Let no request to send be answered before the event is set."""
    release = anyio.Event()

    async def stall(request: httpx.Request) -> httpx.Response:
        await release.wait()
        return httpx.Response(502)

    router.post("/api/v1/sendsms").mock(side_effect=stall)
    return release


async def test_a_cancellation_that_comes_together_with_an_outcome_is_not_forgotten(
    insim: AsyncInSim, gateway: Gateway
) -> None:
    handover = pipeline._Handover[int]()
    taking = asyncio.create_task(handover.take())
    await anyio.wait_all_tasks_blocked()
    giving = asyncio.create_task(handover.give(5))
    await asyncio.sleep(0)
    assert handover._gifts
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert await handover.take() == 5
    await giving
    handover.end()
    assert await handover.take() is None


async def test_a_bulk_call_whose_tasks_are_cancelled_from_outside_ends(
    hours: Hours, router: respx.MockRouter
) -> None:
    await stalled(router)
    async with client(hours) as insim:
        sending = asyncio.create_task(insim.send_many(texts(5)))
        await anyio.wait_all_tasks_blocked()
        for task in _tasks._running:
            task.cancel()
        with pytest.raises(OutcomeUnknown, match="cancelled from outside"):
            await sending


async def test_a_bulk_call_one_of_whose_workers_is_cancelled_from_outside_says_so(
    hours: Hours, router: respx.MockRouter
) -> None:
    """What was under way in it is lost, and nobody must take the rest for all."""
    await stalled(router)
    async with client(hours, batch_size=1, max_concurrency=2) as insim:
        before = asyncio.all_tasks()
        sending = asyncio.create_task(insim.send_many(texts(6)))
        await anyio.wait_all_tasks_blocked()
        workers = asyncio.all_tasks() - before - _tasks._running - {sending}
        next(iter(workers)).cancel()
        with pytest.raises(OutcomeUnknown, match="cancelled from outside"):
            await sending


@pytest.mark.parametrize("end", ["return", "raise SystemExit(0)"])
def test_a_program_may_end_in_the_middle_of_a_bulk_call(end: str) -> None:
    script = f"""
        import asyncio, httpx
        from insim_async import AsyncInSim, Sms

        under_way = asyncio.Event()

        async def stall(request):
            under_way.set()
            await asyncio.Event().wait()

        async def send():
            own = httpx.AsyncClient(transport=httpx.MockTransport(stall))
            url = "http://127.0.0.1"
            async with AsyncInSim("me", "key", base_url=url, http_client=own) as insim:
                await insim.send_many([Sms("+33639980001", "Hi")])

        async def main():
            sending = asyncio.create_task(send())
            await under_way.wait()
            {end}

        asyncio.run(main())
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], timeout=20, check=True, capture_output=True
    )
    assert run.stderr == b""


def test_nobody_who_listens_is_told_nothing() -> None:
    nobody = Listener[int](None)
    nobody.tell(1)
    assert not nobody.is_there
