"""Pace, pause and retry are arithmetic over a clock; slots are first come first served."""

from __future__ import annotations

import anyio
import pytest

from insim_async import Clock, ConfigurationError, Retry
from insim_async._http.gate import PAUSE_CAP, Gate, Pace
from tests.conftest import Hours


@pytest.mark.parametrize(
    ("attempt", "chance", "wait"),
    [
        (1, 1.0, 0.5),
        (2, 1.0, 1.0),
        (3, 1.0, 2.0),
        (4, 1.0, 3.0),
        (5, 1.0, None),
        (2, 0.0, 0.0),
        (2, 0.25, 0.25),
    ],
)
def test_a_wait_doubles_up_to_a_cap_with_full_jitter(
    attempt: int, chance: float, wait: float | None
) -> None:
    assert Retry(attempts=5, base=0.5, cap=3.0).wait_after(attempt, chance) == wait


def test_there_may_be_any_number_of_attempts() -> None:
    assert Retry(attempts=10**6, base=0.5, cap=60.0).wait_after(10**6 - 1, 1.0) == 60.0


@pytest.mark.parametrize(
    "retry",
    [
        Retry(attempts=0),
        Retry(base=-1.0),
        Retry(base=9.0, cap=1.0),
        Retry(base=float("nan")),
        Retry(attempts="3"),  # type: ignore[arg-type]
        Retry(base="1"),  # type: ignore[arg-type]
        Retry(cap=None),  # type: ignore[arg-type]
        Retry(attempts=True),
        Retry(base=False),
        Retry(cap=True),
        Retry(attempts=2.5),  # type: ignore[arg-type]
        Retry(base=1.0, cap=float("inf")),
        Retry(base=1.0, cap=10**400),
    ],
)
def test_a_retry_that_makes_no_sense_is_refused(retry: Retry) -> None:
    with pytest.raises(ConfigurationError, match="attempts must be 1 or more"):
        retry.check()


@pytest.mark.parametrize(
    ("calls", "waits"),
    [
        ([(1, 0.0), (1, 0.0), (1, 0.0)], [0.0, 0.1, 0.2]),
        ([(5, 0.0), (5, 0.1), (1, 9.0)], [0.0, 0.4, 0.0]),
        ([(1, 100.0), (1, 200.0), (1, 200.0)], [0.0, 0.0, 0.1]),
    ],
    ids=["one by one", "in batches", "no credit for idle time"],
)
def test_a_pace_leaves_no_room_for_a_burst(
    calls: list[tuple[int, float]], waits: list[float]
) -> None:
    pace = Pace(10.0)
    found = []
    for count, now in calls:
        start = pace.start(now)
        pace.book(start, count)
        found.append(start - now)
    assert found == pytest.approx(waits)


async def test_a_gate_makes_each_wait_its_turn(hours: Hours) -> None:
    gate = Gate(1, 2.0, hours.clock)
    for _ in range(3):
        await gate.wait(4, 0.5)
    assert hours.naps == [2.0, 2.0]


async def test_who_is_cancelled_while_waiting_leaves_the_room_to_others() -> None:
    now = 0.0
    napping = anyio.Event()

    async def sleep(seconds: float) -> None:
        nonlocal now
        if not napping.is_set():
            napping.set()
            await anyio.sleep_forever()
        now += seconds

    gate = Gate(1, 2.0, Clock(now=lambda: now, sleep=sleep))
    patience = anyio.CancelScope()

    async def wait(count: int) -> None:
        with patience:
            await gate.wait(count, 0.5)

    await gate.wait(4, 0.5)
    async with anyio.create_task_group() as group:
        group.start_soon(wait, 400)
        await napping.wait()
        patience.cancel()
    await gate.wait(1, 0.5)
    assert now == 2.0


async def test_a_pause_is_no_time_to_save_up_room() -> None:
    """Those who waited through it go one by one after it."""
    now, went = 0.0, list[float]()
    naps: list[tuple[float, int, anyio.Event]] = []

    async def sleep(seconds: float) -> None:
        naps.append((now + seconds, len(naps), anyio.Event()))
        await naps[-1][2].wait()

    gate = Gate(8, 2.0, Clock(now=lambda: now, sleep=sleep, random=lambda: 0.5))

    async def go() -> None:
        await gate.wait(1, 0.5)
        went.append(now)

    gate.close_for(6.0)
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(go)
        await anyio.wait_all_tasks_blocked()
        while naps:
            naps.sort()
            now, _, nap = naps.pop(0)
            nap.set()
            await anyio.wait_all_tasks_blocked()
    assert went == [6.0, 6.5, 7.0, 7.5, 8.0]


async def test_after_a_pause_nobody_goes_at_the_same_moment(hours: Hours) -> None:
    gate = Gate(1, None, hours.clock)
    gate.close_for(3.0)
    gate.close_for(1.0)
    assert gate.closed_for() == 3.0
    await gate.wait(1, 0.5)
    assert hours.naps == [3.25]
    assert gate.closed_for() == 0.0


def test_a_pause_is_capped(hours: Hours) -> None:
    gate = Gate(1, None, hours.clock)
    gate.close_for(1e9)
    assert gate.closed_for() == PAUSE_CAP


async def test_slots_are_first_come_first_served() -> None:
    gate, order = Gate(2, None, Clock()), list[int]()

    async def take(number: int) -> None:
        async with gate.slots:
            order.append(number)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(take, number)
    assert order == list(range(20))
