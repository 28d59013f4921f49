"""What is read of an input, when no more is read, and that it is closed: on asyncio and on trio."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import aclosing
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio

from insim_async import (
    AsyncInSim,
    AuthenticationFailed,
    BulkInterrupted,
    ConfigurationError,
    Contact,
    NotSent,
    Outcome,
    Sms,
    Status,
)
from insim_async._sending import sources
from tests.conftest import BASE_URL, KEY, LOGIN, Gateway
from tests.waiting import until

NUMBER = "+33639980001"
BATCH = 10

pytestmark = pytest.mark.parametrize("backend", ["asyncio", "trio"])
with_few_and_many_workers = pytest.mark.parametrize("workers", [1, 8])

Handler = Callable[[httpx.Request], Any]


def run(
    backend: str,
    scenario: Callable[[AsyncInSim], Awaitable[None]],
    answer: Handler | None = None,
    workers: int = 2,
) -> None:
    """Run a scenario with a client that is open, and expect it to leave no task behind."""

    async def all_of_it() -> None:
        before = tasks_now()
        transport = httpx.MockTransport(answer or Gateway())
        async with httpx.AsyncClient(transport=transport) as http_client:
            insim = AsyncInSim(
                LOGIN,
                KEY,
                base_url=BASE_URL,
                http_client=http_client,
                batch_size=BATCH,
                max_concurrency=workers,
            )
            with anyio.fail_after(20):
                async with insim:
                    await scenario(insim)
                assert tasks_now() == before

    anyio.run(all_of_it, backend=backend)


def tasks_now() -> int:
    try:
        return trio.lowlevel.current_statistics().tasks_living
    except RuntimeError:
        return len(asyncio.all_tasks())


class Reading:
    """Inputs of each kind, and what became of them."""

    def __init__(
        self, make: Callable[[int], Any] = lambda number: Sms(NUMBER, f"Message {number}")
    ) -> None:
        self.make = make
        self.read = 0
        self.closed: list[str] = []
        self.waits = anyio.Event()
        self.at_closing: Callable[[], Awaitable[object]] = anyio.lowlevel.checkpoint

    def next(self) -> Any:
        self.read += 1
        return self.make(self.read)

    def endless(self) -> Generator[Any, None, None]:
        try:
            while True:
                yield self.next()
        finally:
            self.closed.append("cleanly")

    async def endless_and_async(self) -> AsyncGenerator[Any, None]:
        task = anyio.get_current_task()
        try:
            while True:
                yield self.next()
        finally:
            await self.at_closing()
            self.closed.append("cleanly" if anyio.get_current_task() == task else "by another task")

    async def waiting(self) -> AsyncGenerator[Any, None]:
        """Yield a batch and a half, and then wait for ever."""
        try:
            for _ in range(BATCH + BATCH // 2):
                yield self.next()
            self.waits.set()
            await anyio.sleep_forever()
        finally:
            self.closed.append("cleanly")

    async def in_a_group(self) -> AsyncGenerator[Any, None]:
        """Yield inside of a task group, with a task of its own."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                try:
                    while True:
                        yield self.next()
                finally:
                    group.cancel_scope.cancel()
        finally:
            self.closed.append("cleanly")


KINDS: dict[str, Callable[[Reading], Any]] = {
    "an endless generator": Reading.endless,
    "an endless async generator": Reading.endless_and_async,
    "an async generator that waits": Reading.waiting,
    "an async generator with a task group": Reading.in_a_group,
}
of_each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def refuse(status: int) -> Handler:
    return lambda request: httpx.Response(status)


async def outcomes_of(stream: AsyncGenerator[Outcome, None], kept: list[Outcome]) -> None:
    async for outcome in stream:
        kept.append(outcome)  # noqa: PERF401 - what came before an exception is kept


class TestAnAccountThatIsRefused:
    @of_each_kind
    @with_few_and_many_workers
    @pytest.mark.parametrize(
        ("status", "error"), [(401, AuthenticationFailed), (404, ConfigurationError)]
    )
    def test_ends_the_reading_of_a_stream(
        self, backend: str, kind: Any, workers: int, status: int, error: type[Exception]
    ) -> None:
        """All that was read has its outcome; then comes the error that stopped it.

        That is the one with which the request ended.
        """
        outcomes: list[Outcome] = []

        async def scenario(insim: AsyncInSim) -> None:
            reading = Reading()
            with pytest.raises(error) as caught:
                await outcomes_of(insim.stream(kind(reading)), outcomes)
            assert reading.closed == ["cleanly"]
            assert len(outcomes) == reading.read <= (workers + 2) * BATCH
            assert str(caught.value) == str(outcomes[0].error)
            assert all(
                outcome.error is None or outcome.error.__traceback__ is None for outcome in outcomes
            )

        run(backend, scenario, refuse(status), workers)
        assert {type(outcome.error) for outcome in outcomes} <= {error, NotSent}

    @with_few_and_many_workers
    def test_is_raised_behind_the_last_outcome_even_where_all_had_been_read(
        self, backend: str, workers: int
    ) -> None:
        async def scenario(insim: AsyncInSim) -> None:
            outcomes: list[Outcome] = []
            with pytest.raises(AuthenticationFailed):
                await outcomes_of(insim.stream([Sms(NUMBER, "Hi")] * 3), outcomes)
            assert [outcome.status for outcome in outcomes] == [Status.REFUSED] * 3

        run(backend, scenario, refuse(401), workers)

    @with_few_and_many_workers
    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_ends_all_of_a_finite_input_to_send_many(
        self, backend: str, workers: int, asynchronous: bool
    ) -> None:
        async def each(messages: list[Sms]) -> AsyncIterator[Sms]:
            for sms in messages:
                yield sms

        async def scenario(insim: AsyncInSim) -> None:
            messages = [Sms(NUMBER, "Hi")] * 500
            report = await insim.send_many(each(messages) if asynchronous else messages)
            assert len(report.outcomes) == report.refused + report.not_sent == 500
            assert report.not_sent >= 500 - workers * BATCH

        run(backend, scenario, refuse(401), workers)


class TestAnInputThatIsLeftInTheMiddle:
    @of_each_kind
    def test_is_closed_where_the_stream_is(self, backend: str, kind: Any) -> None:
        async def scenario(insim: AsyncInSim) -> None:
            reading = Reading()
            given = kind(reading)
            async with aclosing(insim.stream(given)) as outcomes:
                await anext(outcomes)
            assert reading.closed == ["cleanly"]

        run(backend, scenario)

    @of_each_kind
    @pytest.mark.parametrize("what", ["stream", "send_many", "add_contacts"])
    def test_is_closed_where_the_call_is_cancelled(
        self, backend: str, kind: Any, what: str
    ) -> None:
        async def scenario(insim: AsyncInSim) -> None:
            reading = Reading(
                lambda number: Contact("x") if what == "add_contacts" else Sms("x", "Hi")
            )
            given = kind(reading)

            async def call() -> None:
                if what == "stream":
                    await outcomes_of(insim.stream(given), [])
                else:
                    await getattr(insim, what)(given)

            async with anyio.create_task_group() as group:
                group.start_soon(call)
                await until(lambda: reading.read)
                group.cancel_scope.cancel()
            assert reading.closed == ["cleanly"]

        run(backend, scenario)

    def test_is_closed_though_it_hangs_in_a_cycle(self, backend: str) -> None:
        async def scenario(insim: AsyncInSim) -> None:
            reading = Reading()

            async def break_out() -> None:
                given = reading.endless_and_async()
                cycle: list[Any] = [given]
                cycle.append(cycle)
                async with aclosing(insim.stream(given)) as outcomes:
                    async for _ in outcomes:
                        break

            gc.disable()
            try:
                await break_out()
                assert reading.closed == ["cleanly"]
            finally:
                gc.enable()

        run(backend, scenario)

    def test_may_raise_while_it_is_closed(
        self, backend: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nobody waits for what it has to say, so that is logged."""

        def failing() -> Iterator[Sms]:
            try:
                while True:
                    yield Sms(NUMBER, "Hi")
            finally:
                raise LookupError

        async def failing_too() -> AsyncIterator[Sms]:
            try:
                while True:
                    yield Sms(NUMBER, "Hi")
            finally:
                raise LookupError

        async def failing_as_it_waits() -> AsyncIterator[Sms]:
            try:
                yield Sms(NUMBER, "Hi")
                await anyio.sleep_forever()
            finally:
                raise LookupError

        async def scenario(insim: AsyncInSim) -> None:
            for given in (failing(), failing_too(), failing_as_it_waits()):
                async with aclosing(insim.stream(given)) as outcomes:
                    await anext(outcomes)

        run(backend, scenario)
        said = [
            record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING
        ]
        assert said == ["the input raised LookupError when it was stopped"] * 3

    def test_may_not_clean_up_for_ever(
        self, backend: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(sources, "CLEANUP_GRACE", 0.0)

        async def scenario(insim: AsyncInSim) -> None:
            reading = Reading()
            reading.at_closing = anyio.sleep_forever
            async with aclosing(insim.stream(reading.endless_and_async())) as outcomes:
                await anext(outcomes)
            assert reading.closed == []

        run(backend, scenario)
        assert "the input was cut off while it was cleaning up" in caplog.messages

    @pytest.mark.parametrize("shield", [True, False], ids=["shielded", "unshielded"])
    def test_cleans_up_what_it_awaits_behind_a_cancelled_wait_only_in_a_shield(
        self, backend: str, shield: bool
    ) -> None:
        cleaned: list[bool] = []

        async def messages() -> AsyncIterator[Sms]:
            try:
                yield Sms(NUMBER, "Hi")
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=shield):
                    await anyio.lowlevel.checkpoint()
                    cleaned.append(True)

        async def scenario(insim: AsyncInSim) -> None:
            async with aclosing(insim.stream(messages())) as outcomes:
                await anext(outcomes)
                await anyio.wait_all_tasks_blocked()

        run(backend, scenario)
        assert cleaned == [True] * shield

    def test_stays_open_where_it_is_no_generator(self, backend: str) -> None:
        class Lines:
            """Like a file, or a channel."""

            close = aclose = staticmethod(pytest.fail)

            def __iter__(self) -> Lines:
                return self

            def __next__(self) -> Sms:
                return Sms(NUMBER, "Hi")

        class Channel(Lines):
            def __aiter__(self) -> Channel:
                return self

            async def __anext__(self) -> Sms:
                return next(self)

        async def scenario(insim: AsyncInSim) -> None:
            numbers = iter([Sms(NUMBER, "Hi")] * 1000)
            for given in (numbers, Lines(), Channel()):
                async with aclosing(insim.stream(given)) as outcomes:
                    await anext(outcomes)
            assert next(numbers)

        run(backend, scenario)


class TestAClientThatCloses:
    @of_each_kind
    def test_leaves_no_task_of_a_stream_that_nobody_goes_on_with(
        self, backend: str, kind: Any
    ) -> None:
        """``run`` looks for them.

        Who goes on all the same gets what was sent, and is told why that is not all.
        """
        gateway, reading, outcomes = Gateway(), Reading(), list[Outcome]()
        streams: list[AsyncGenerator[Outcome, None]] = []

        async def scenario(insim: AsyncInSim) -> None:
            streams.append(insim.stream(kind(reading)))
            outcomes.append(await anext(streams[0]))
            await anyio.wait_all_tasks_blocked()
            await insim.aclose()
            assert reading.closed == ["cleanly"]
            with pytest.raises(ConfigurationError, match="clos"):
                await outcomes_of(streams[0], outcomes)

        run(backend, scenario, gateway)
        assert len(outcomes) == reading.read
        assert [outcome.status for outcome in outcomes].count(Status.SENT) == sum(
            gateway.processed.values()
        )

    def test_leaves_none_of_a_stream_that_is_closed_behind_it(self, backend: str) -> None:
        streams: list[AsyncGenerator[Outcome, None]] = []

        async def scenario(insim: AsyncInSim) -> None:
            streams.append(insim.stream(Reading().endless()))
            await anext(streams[0])
            await insim.aclose()
            await streams[0].aclose()

        run(backend, scenario)

    def test_costs_no_outcome_of_an_input_that_was_read_to_its_end(self, backend: str) -> None:
        async def scenario(insim: AsyncInSim) -> None:
            outcomes: list[Outcome] = []
            stream = insim.stream([Sms(NUMBER, "Hi")] * (2 * BATCH + 1))
            outcomes.append(await anext(stream))
            await anyio.wait_all_tasks_blocked()
            await insim.aclose()
            await outcomes_of(stream, outcomes)
            assert [outcome.status for outcome in outcomes] == [Status.SENT] * (2 * BATCH + 1)

        run(backend, scenario, workers=3)

    @pytest.mark.parametrize("what", ["send_many", "add_contacts"])
    def test_interrupts_a_call_whose_input_waits(self, backend: str, what: str) -> None:
        async def scenario(insim: AsyncInSim) -> None:
            reading = Reading(
                lambda number: Contact("x") if what == "add_contacts" else Sms(NUMBER, "Hi")
            )

            async def call() -> None:
                with pytest.raises(BulkInterrupted) as caught:
                    await getattr(insim, what)(reading.waiting())
                assert isinstance(caught.value.__cause__, ConfigurationError)
                done = (
                    caught.value.results if what == "add_contacts" else caught.value.report.outcomes
                )
                assert len(done) == reading.read == BATCH + BATCH // 2

            async with anyio.create_task_group() as group:
                group.start_soon(call)
                await reading.waits.wait()
                await anyio.wait_all_tasks_blocked()
                await insim.aclose()
            assert reading.closed == ["cleanly"]

        run(backend, scenario)

    def test_may_be_closed_by_the_input_itself(self, backend: str) -> None:
        async def scenario(insim: AsyncInSim) -> None:
            async def messages() -> AsyncIterator[Sms]:
                yield Sms(NUMBER, "Hi")
                await anyio.wait_all_tasks_blocked()
                await insim.aclose()
                await anyio.sleep_forever()

            with pytest.raises(BulkInterrupted) as caught:
                await insim.send_many(messages())
            assert caught.value.report.sent == 1

        run(backend, scenario)

    def test_may_be_cancelled_while_it_waits_for_an_input(self, backend: str) -> None:
        """What cleans up has its time, and no more; no task is left all the same."""

        async def scenario(insim: AsyncInSim) -> None:
            reading, cleaning, enough = Reading(), anyio.Event(), anyio.Event()

            async def clean() -> None:
                cleaning.set()
                await enough.wait()

            reading.at_closing = clean
            stream = insim.stream(reading.endless_and_async())
            await anext(stream)
            await anyio.wait_all_tasks_blocked()
            async with anyio.create_task_group() as group:
                group.start_soon(insim.aclose)
                await cleaning.wait()
                group.cancel_scope.cancel()
                await anyio.lowlevel.cancel_shielded_checkpoint()
                assert reading.closed == []
                enough.set()
            assert reading.closed == ["cleanly"]
            await stream.aclose()

        run(backend, scenario)

    def test_may_be_cancelled_while_requests_are_under_way(self, backend: str) -> None:
        """They end at once; a stream that is gone on with says how."""

        async def scenario(insim: AsyncInSim) -> None:
            reading, outcomes = Reading(), list[Outcome]()

            async def go_on() -> None:
                with pytest.raises(ConfigurationError):
                    await outcomes_of(insim.stream(reading.endless()), outcomes)

            async with anyio.create_task_group() as group:
                group.start_soon(go_on)
                await anyio.wait_all_tasks_blocked()
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await insim.aclose()
                assert reading.closed == ["cleanly"]
            assert len(outcomes) == reading.read
            assert [outcome.status for outcome in outcomes].count(Status.UNKNOWN) == 2 * BATCH

        async def stall(request: httpx.Request) -> None:
            await anyio.sleep_forever()

        run(backend, scenario, stall)


class Own(BaseException):
    """An exception of a kind of its own."""


ODDITIES: dict[str, tuple[Callable[[], BaseException], type[BaseException]]] = {
    "an exception": (LookupError, LookupError),
    "GeneratorExit": (GeneratorExit, RuntimeError),
    "CancelledError": (asyncio.CancelledError, RuntimeError),
    "StopIteration": (StopIteration, RuntimeError),
    "StopAsyncIteration": (StopAsyncIteration, RuntimeError),
    "a kind of its own": (Own, RuntimeError),
    "a group": (lambda: BaseExceptionGroup("", [Own(), GeneratorExit()]), RuntimeError),
}


class Odd:
    """An iterator of either kind that yields a few and raises."""

    def __init__(self, make: Callable[[int], Any], error: BaseException) -> None:
        self.make = make
        self.left = BATCH + 1
        self.error = error

    def next(self) -> Any:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return self.make(self.left)


class OddIterator(Odd):
    def __iter__(self) -> OddIterator:
        return self

    def __next__(self) -> Any:
        return self.next()


class OddAsyncIterator(Odd):
    def __aiter__(self) -> OddAsyncIterator:
        return self

    def __anext__(self) -> Awaitable[Any]:
        item = self.next()

        async def arriving() -> Any:
            return item

        return arriving()


def odd_async_generator(make: Callable[[int], Any], error: BaseException) -> AsyncIterator[Any]:
    async def items() -> AsyncIterator[Any]:
        for number in range(BATCH + 1):
            yield make(number)
        raise error

    return items()


ENDS = {OddIterator: StopIteration, OddAsyncIterator: StopAsyncIteration}


class TestAnInputThatRaises:
    @pytest.mark.parametrize("kind", [OddIterator, OddAsyncIterator, odd_async_generator])
    @pytest.mark.parametrize(("raised", "cause"), ODDITIES.values(), ids=ODDITIES)
    def test_costs_no_report_whatever_that_is(
        self,
        backend: str,
        kind: Any,
        raised: Callable[[], BaseException],
        cause: type[BaseException],
    ) -> None:
        if raised is ENDS.get(kind):
            return  # that is its end

        async def scenario(insim: AsyncInSim) -> None:
            with pytest.raises(BulkInterrupted) as caught:
                await insim.send_many(kind(lambda number: Sms(NUMBER, "Hi"), raised()))
            assert caught.value.report.sent == BATCH + 1
            assert type(caught.value.__cause__) is cause
            with pytest.raises(BulkInterrupted) as caught:
                await insim.add_contacts(kind(lambda number: Contact(f"x{number}"), raised()))
            assert [result.phone_number for result in caught.value.results] == [
                f"x{n}" for n in caught_order(kind)
            ]
            outcomes: list[Outcome] = []
            with pytest.raises(cause):
                await outcomes_of(
                    insim.stream(kind(lambda number: Sms(NUMBER, "Hi"), raised())), outcomes
                )
            assert [outcome.status for outcome in outcomes] == [Status.SENT] * (BATCH + 1)

        run(backend, scenario)

    def test_may_do_so_before_its_first_item(self, backend: str) -> None:
        class Broken:
            def __iter__(self) -> Iterator[Sms]:
                raise LookupError

            def __len__(self) -> int:
                raise LookupError

        class BrokenToo:
            def __aiter__(self) -> AsyncIterator[Sms]:
                raise LookupError

        async def scenario(insim: AsyncInSim) -> None:
            for given in (Broken(), BrokenToo()):
                with pytest.raises(BulkInterrupted) as caught:
                    await insim.send_many(given)
                assert type(caught.value.__cause__) is LookupError

        run(backend, scenario)

    @pytest.mark.parametrize(
        "error", [KeyboardInterrupt(), BaseExceptionGroup("", [SystemExit(3)])], ids=repr
    )
    def test_ends_the_program_where_that_is_meant(self, backend: str, error: BaseException) -> None:
        at_hand = sources.AtHand(OddIterator(str, error))

        async def take() -> None:
            at_hand.take(100)

        async def scenario() -> None:
            for way in (
                take,
                sources.Arriving(odd_async_generator(str, error), 100).fill,
            ):
                with pytest.raises(type(error)) as caught:
                    await way()
                assert caught.value is error

        anyio.run(scenario, backend=backend)


def caught_order(kind: Any) -> range:
    return range(BATCH + 1) if kind is odd_async_generator else range(BATCH, -1, -1)
