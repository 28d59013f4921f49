"""Waiting at the gate: who sleeps, who is told, and that nobody who leaves holds up another."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import anyio
import pytest

from insim_async import Clock
from insim_async._http import Gate, Rank, Ticket
from insim_async._http.gate import PAUSE_CAP
from tests.conftest import Hours

Going = Callable[[], Coroutine[Any, Any, None]]


class Stage:
    """A gate, a clock that stands still until it is let go, and who has passed."""

    def __init__(self, slots: int = 8, rate: float | None = None) -> None:
        self.now = 0.0
        self.naps: list[tuple[float, anyio.Event]] = []
        self.gate = Gate(slots, rate, Clock(now=lambda: self.now, sleep=self.sleep))
        self.passed: list[tuple[str, float]] = []

    async def sleep(self, seconds: float) -> None:
        """Sleep until the time has come."""
        nap = (self.now + seconds, anyio.Event())
        self.naps.append(nap)
        try:
            await nap[1].wait()
        finally:
            self.naps.remove(nap)

    async def reach(self, time: float) -> None:
        """Let the time pass, from one who wakes up to the next."""
        await anyio.wait_all_tasks_blocked()
        while due := [nap for nap in self.naps if nap[0] <= time]:
            self.now, event = min(due, key=lambda nap: nap[0])
            event.set()
            await anyio.wait_all_tasks_blocked()
        self.now = time

    def comer(
        self,
        name: str,
        *,
        rank: Rank = Rank.SINGLE,
        paced: bool = True,
        parts: int = 1,
        holds: anyio.Event | None = None,
        too_late: Callable[[float], bool] = lambda _: False,
    ) -> Going:
        """Join the line; return what waits for the turn."""
        ticket = self.gate.join(rank, paced=paced)
        return partial(self.go, name, ticket, parts, holds, too_late)

    async def go(
        self,
        name: str,
        ticket: Ticket,
        parts: int,
        holds: anyio.Event | None,
        too_late: Callable[[float], bool],
    ) -> None:
        try:
            if await self.gate.turn(ticket, too_late):
                self.passed.append((name, self.now))
                self.gate.book(ticket, parts)
                if holds is not None:
                    await holds.wait()
            else:
                self.passed.append((f"{name} gave up", self.now))
        finally:
            self.gate.leave(ticket)


async def test_each_waits_for_its_turn_by_the_pace() -> None:
    stage = Stage(rate=2.0)
    async with anyio.create_task_group() as group:
        for name in "abc":
            group.start_soon(stage.comer(name, parts=4))
        await stage.reach(10.0)
    assert stage.passed == [("a", 0.0), ("b", 2.0), ("c", 4.0)]


async def test_only_the_first_in_the_line_sleeps() -> None:
    stage = Stage(rate=2.0)
    async with anyio.create_task_group() as group:
        for name in "abcdef":
            group.start_soon(stage.comer(name))
        await anyio.wait_all_tasks_blocked()
        assert len(stage.naps) == 1
        await stage.reach(10.0)
    assert [name for name, _ in stage.passed] == list("abcdef")


async def test_an_urgent_one_overtakes_whoever_sleeps() -> None:
    stage = Stage(rate=1.0)
    async with anyio.create_task_group() as group:
        for name in "ab":
            group.start_soon(stage.comer(name, rank=Rank.BULK, parts=5))
        await stage.reach(2.0)
        group.start_soon(stage.comer("urgent", rank=Rank.URGENT))
        await stage.reach(20.0)
    assert stage.passed == [("a", 0.0), ("urgent", 5.0), ("b", 6.0)]


async def test_who_is_cancelled_while_it_sleeps_leaves_the_watch_to_the_next() -> None:
    stage, patience = Stage(rate=1.0), anyio.CancelScope()

    async def impatient(go: Going) -> None:
        with patience:
            await go()

    async with anyio.create_task_group() as group:
        group.start_soon(stage.comer("a", parts=5))
        group.start_soon(impatient, stage.comer("b", parts=400))
        group.start_soon(stage.comer("c"))
        await anyio.wait_all_tasks_blocked()
        patience.cancel()
        await stage.reach(5.0)
    assert stage.passed == [("a", 0.0), ("c", 5.0)]
    assert stage.gate.slots.value == 8


async def test_who_waits_for_a_slot_is_told_when_one_is_free() -> None:
    stage, done = Stage(slots=1), anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(stage.comer("a", holds=done))
        for name in "bc":
            group.start_soon(stage.comer(name))
        await anyio.wait_all_tasks_blocked()
        assert stage.passed == [("a", 0.0)]
        done.set()
    assert [name for name, _ in stage.passed] == list("abc")


async def test_a_pause_that_begins_while_all_slots_are_busy_is_watched_once_one_is_free() -> None:
    stage, done = Stage(slots=1), anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(stage.comer("a", holds=done))
        group.start_soon(stage.comer("b"))
        await anyio.wait_all_tasks_blocked()
        stage.gate.put_off(6.0)
        done.set()
        await stage.reach(6.0)
    assert stage.passed == [("a", 0.0), ("b", 6.0)]


async def test_a_pause_that_gets_longer_is_waited_for_again() -> None:
    stage = Stage()
    stage.gate.put_off(3.0)
    async with anyio.create_task_group() as group:
        group.start_soon(stage.comer("a"))
        await stage.reach(2.0)
        stage.gate.put_off(8.0)
        await stage.reach(20.0)
    assert stage.passed == [("a", 10.0)]


async def test_a_pause_that_ends_between_joining_and_waiting_holds_nobody_up() -> None:
    """Whoever is alone would else wait for news that nobody brings."""
    stage = Stage()
    stage.gate.put_off(1.0)
    alone = stage.comer("alone")
    stage.now = 1.0
    with anyio.fail_after(5):
        await alone()
    assert stage.passed == [("alone", 1.0)]


async def test_who_has_no_time_to_wait_gives_up_and_the_next_one_watches() -> None:
    stage = Stage()
    stage.gate.put_off(9.0)
    async with anyio.create_task_group() as group:
        group.start_soon(stage.comer("a", too_late=lambda seconds: seconds > 5))
        group.start_soon(stage.comer("b"))
        await stage.reach(9.0)
    assert stage.passed == [("a gave up", 0.0), ("b", 9.0)]


async def test_after_a_pause_they_come_back_one_by_one() -> None:
    """Where all were put off only one goes at first, then two."""
    stage, done = Stage(), [anyio.Event() for _ in range(3)]
    for _ in range(8):
        stage.gate.put_off(6.0)
    async with anyio.create_task_group() as group:
        for name, holds in zip("abc", done, strict=True):
            group.start_soon(stage.comer(name, holds=holds))
        await stage.reach(6.0)
        assert stage.passed == [("a", 6.0)]
        stage.gate.passed()
        done[0].set()
        await anyio.wait_all_tasks_blocked()
        assert [name for name, _ in stage.passed] == list("abc")
        for event in done[1:]:
            event.set()


def test_a_pause_is_capped(hours: Hours) -> None:
    gate = Gate(1, None, hours.clock)
    gate.put_off(1e9)
    assert gate.closed_for() == PAUSE_CAP
    hours.time += PAUSE_CAP
    assert gate.closed_for() == 0.0


@pytest.mark.parametrize("has_turn", [True, False])
async def test_a_ticket_that_nobody_waits_for_is_given_back(has_turn: bool) -> None:
    """As where a task ends before its first step."""
    stage = Stage(slots=1)
    first = stage.gate.join(Rank.SINGLE, paced=True)
    second = stage.gate.join(Rank.SINGLE, paced=True)
    stage.gate.leave(first if has_turn else second)
    stage.gate.leave(second if has_turn else first)
    async with anyio.create_task_group() as group:
        group.start_soon(stage.comer("a"))
    assert stage.passed == [("a", 0.0)]
    assert stage.gate.slots.value == 1
