"""A server that asks to wait makes the whole client wait, on the clock that it was given."""

from __future__ import annotations

import itertools

import anyio
import pytest

from insim_async import Clock, RateLimited, Retry, SmsReceipt, Status

from .bench import Bench, FakeClock, status_of, until
from .gateway import BEHAVE, BODY, HEAD, RECEIPTS, TAKE, Script


def asking(*headers: str) -> Script:
    """Answer 429."""
    return [HEAD, BODY, ["reply", 429, "slow down", *headers]]


@pytest.mark.parametrize("seconds", [1, 6, 14])
def test_seconds_are_waited(bench: Bench, seconds: int) -> None:
    """Then the message goes out."""

    async def scenario() -> None:
        fake = FakeClock()
        listener = bench.listen(asking(f"Retry-After: {seconds}"))
        async with bench.client(listener.url, clock=fake.clock, timeout=30) as insim:
            assert isinstance(await bench.send(insim), SmsReceipt)
            assert sum(fake.waits) == pytest.approx(seconds)
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize("ahead", [0, 7200, -7200, None], ids=["same", "ahead", "behind", "untold"])
def test_a_date_is_waited_for_on_the_servers_own_clock(bench: Bench, ahead: int | None) -> None:
    """Whatever our own clock shows, unless the server does not tell its own."""

    async def scenario() -> None:
        fake = FakeClock()
        listener = bench.listen([HEAD, BODY, ["later", 429, 6, ahead]])
        async with bench.client(listener.url, clock=fake.clock, timeout=30) as insim:
            assert isinstance(await bench.send(insim), SmsReceipt)
            assert sum(fake.waits) == pytest.approx(6, abs=1.1 if ahead is None else 0.001)
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize("chance", [0.0, 0.999])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Retry-After: 0"],
        ["Retry-After:"],
        ["Retry-After: soon"],
        ["Retry-After: -5"],
        ["Retry-After: 1.5s"],
        ["Retry-After: \xb2"],
    ],
)
def test_without_a_time_to_wait_it_backs_off(
    bench: Bench, headers: list[str], chance: float
) -> None:
    """By the usual rule, doubling, and never not at all: someone has asked for patience."""

    async def scenario() -> None:
        fake = FakeClock(chance)
        listener = bench.listen(asking(*headers), asking(*headers))
        async with bench.client(
            listener.url, clock=fake.clock, timeout=30, retry=Retry(attempts=3, base=0.5, cap=30)
        ) as insim:
            assert isinstance(await bench.send(insim), SmsReceipt)
            assert 0 < sum(fake.waits) <= 0.5 + 1.0 + 2 * 0.5
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize(
    "header", ["3600", "1000000000", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"]
)
def test_a_long_wait_is_capped(bench: Bench, header: str) -> None:
    """At a minute; then it tries again."""

    async def scenario() -> None:
        fake = FakeClock()
        listener = bench.listen(asking(f"Retry-After: {header}"))
        async with bench.client(listener.url, clock=fake.clock, timeout=500) as insim:
            ending = await bench.send(insim)
            assert isinstance(ending, SmsReceipt)
            assert max(fake.waits) <= 60
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize("header", ["16", "3600", "1000000000"])
def test_a_wait_beyond_half_the_time_is_not_begun(bench: Bench, header: str) -> None:
    """The caller learns at once, and how long to wait."""

    async def scenario() -> None:
        fake = FakeClock()
        listener = bench.listen(asking(f"Retry-After: {header}"))
        async with bench.client(listener.url, clock=fake.clock, timeout=30) as insim:
            ending = await bench.send(insim)
            assert type(ending) is RateLimited, ending
            assert ending.retry_after is not None
            assert ending.retry_after >= 16
            assert fake.pauses == []
            assert listener.report().requests == 1
            fake.time += 61
            await bench.probe(insim, listener)

    bench.run(scenario)


def test_when_the_attempts_are_used_up_it_says_so(bench: Bench) -> None:
    """Not sent, and how long the server last asked to wait."""

    async def scenario() -> None:
        fake = FakeClock()
        listener = bench.listen(*[asking("Retry-After: 2")] * 3)
        async with bench.client(listener.url, clock=fake.clock, timeout=30) as insim:
            ending = await bench.send(insim)
            assert type(ending) is RateLimited, ending
            assert ending.retry_after == 2
            assert listener.report().requests == 3
            assert sum(fake.waits) == pytest.approx(4)
            fake.time += 61
            await bench.probe(insim, listener)

    bench.run(scenario)


class HeldClock(FakeClock):
    """Time that stands still until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep = 0
        chances = (number * 0.37 % 1 for number in itertools.count())
        self.clock = Clock(now=lambda: self.time, sleep=self.sleep, random=lambda: next(chances))

    async def sleep(self, seconds: float) -> None:
        """Wait until so much time was let pass."""
        end = self.time + seconds
        self.asleep += 1
        await until(lambda: self.time >= end)
        self.asleep -= 1


def test_everybody_waits_and_nobody_stampedes(bench: Bench) -> None:
    """One 429 stops all callers of the client; behind the pause one goes, then more and more."""
    slots, callers = 8, 40

    async def scenario() -> None:
        held = HeldClock()
        listener = bench.listen(
            *[asking("Retry-After: 6")] * slots, otherwise=[*TAKE, ["hold"], RECEIPTS]
        )
        endings: list[Status] = []
        async with bench.client(
            listener.url,
            clock=held.clock,
            timeout=60,
            max_concurrency=slots,
            batch_size=1,
            retry=Retry(attempts=3, base=0.5, cap=30),
        ) as insim:

            async def one() -> None:
                endings.append(status_of(await bench.send(insim)))

            async with anyio.create_task_group() as group:
                for _ in range(callers):
                    group.start_soon(one)
                schedule = insim._connection._gate._schedule
                await until(lambda: schedule.waiting == callers)  # those who were put off, too
                assert listener.report().requests == slots
                assert held.asleep >= 1
                held.time += 5.9
                await anyio.sleep(0.05)
                assert listener.report().requests == slots
                held.time += 0.7
                await until(lambda: listener.report().requests > slots)
                await anyio.sleep(0.05)
                assert listener.report().requests == slots + 1
                listener.release()
            assert endings == [Status.SENT] * callers
            await bench.probe(insim, listener, slots)

    bench.run(scenario)


def test_in_bulk_a_pause_delays_and_loses_nothing(bench: Bench) -> None:
    """However long it is: waiting is the point of a bulk call."""

    async def scenario() -> None:
        fake = FakeClock()
        listener = bench.listen(
            BEHAVE, asking("Retry-After: 50"), BEHAVE, asking("Retry-After: 50")
        )
        async with bench.client(listener.url, clock=fake.clock, timeout=5, batch_size=3) as insim:
            report = await insim.send_many(bench.messages(12))
            assert bench.file(report) == [Status.SENT] * 12
            assert 50 <= fake.time - 1000 <= 101
            await bench.probe(insim, listener)

    bench.run(scenario)


def test_in_bulk_a_batch_that_was_put_off_too_often_is_not_sent(bench: Bench) -> None:
    """The others are."""

    async def scenario() -> None:
        fake = FakeClock()
        listener = bench.listen(*[asking("Retry-After: 2")] * 3)
        async with bench.client(
            listener.url, clock=fake.clock, timeout=30, batch_size=3, max_concurrency=1
        ) as insim:
            report = await insim.send_many(bench.messages(9))
            assert bench.file(report) == [Status.NOT_SENT] * 3 + [Status.SENT] * 6
            assert {type(outcome.error) for outcome in report.outcomes[:3]} == {RateLimited}
            await bench.probe(insim, listener, 1)

    bench.run(scenario)
