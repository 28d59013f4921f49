"""The delivery as a campaign will use it: a ledger that claims what goes and has back what did not.

Whatever is cancelled, and whenever: a row that is free was not sent, and one that was claimed and
not put back may have been.
"""

from __future__ import annotations

import enum
import functools
from typing import Any

import anyio
import pytest

from insim_async import AsyncInSim, InSimError, Outcome, Sms, Status
from insim_async._http import Rank
from insim_async._sending import Batch, Cargo, Ending, Room, Supply
from insim_async._wire import Message

from .bench import OWN, TRIO, Bench, FakeClock, status_of
from .gateway import BEHAVE, BODY, CLOSE, HEAD, TAKE, Script
from .leaks import NUMBER, TEXT
from .stepping import by_scope_on_trio
from .test_cancellation import MANNERS, Cancelling, everywhere, look_at


class State(enum.Enum):
    """What the ledger says of a row."""

    FREE = enum.auto()
    CLAIMED = enum.auto()
    ENDED = enum.auto()


class Ledger(Supply[Sms, Message]):
    """Rows in a file, as it were: to claim some and to put them back takes a moment."""

    def __init__(self, cargo: Cargo[Sms, Message, Outcome], names: list[str]) -> None:
        self.cargo = cargo
        self.rows = dict.fromkeys(names, State.FREE)
        self.statuses: dict[str, Status] = {}
        self.rooms: list[Room] = []

    async def take(self, room: Room) -> Batch[Sms, Message] | None:
        """Claim rows; one that is cancelled has claimed none."""
        self.rooms.append(room)
        await anyio.lowlevel.checkpoint()
        free = [name for name, state in self.rows.items() if state is State.FREE]
        claimed = free[: room.messages]
        self.rows.update(dict.fromkeys(claimed, State.CLAIMED))
        given = [Sms(NUMBER, TEXT, sms_id=name) for name in claimed]
        return self.cargo.check(given, 0) if given else None

    async def put_back(self, batch: Batch[Sms, Message]) -> None:
        """Free rows; it must not be cut off half-way."""
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        names = [str(sms.sms_id) for sms in batch.given]
        assert {self.rows[name] for name in names} == {State.CLAIMED}
        self.rows.update(dict.fromkeys(names, State.FREE))

    def end(self, ending: Ending[Sms, Message, Outcome]) -> None:
        """Record how a batch ended."""
        for outcome in ending.told:
            name = str(outcome.sms.sms_id)
            assert self.rows[name] is State.CLAIMED
            self.rows[name] = State.ENDED
            self.statuses[name] = outcome.status


async def run(insim: AsyncInSim, ledger: Ledger, size: int = 2) -> InSimError | None:
    """Send what a ledger has, one request after the other."""
    delivery = insim._seam().delivery
    delivery.room = Room(size)
    while True:
        ending = await delivery.send(ledger)
        if not isinstance(ending, Ending):
            return ending
        ledger.end(ending)


def ledger_of(bench: Bench, insim: AsyncInSim, count: int) -> Ledger:
    names = [f"sms-{next(bench.numbers)}" for _ in range(count)]
    return Ledger(insim._seam().delivery.cargo, names)


def file(bench: Bench, ledger: Ledger) -> None:
    """Enter in the book what the ledger says: what is free was not sent."""
    for name, state in ledger.rows.items():
        if state is State.FREE:
            bench.book[name] = Status.NOT_SENT
        elif state is State.ENDED:
            bench.book[name] = ledger.statuses[name]


PUT_OFF: Script = [HEAD, BODY, ["reply", 429, "", "Retry-After: 3"]]
TOO_LARGE: Script = [HEAD, BODY, ["reply", 413, "too large"]]
STORIES: dict[str, list[Script]] = {
    "all goes well": [],
    "too large": [TOO_LARGE],
    "lost": [[*TAKE, CLOSE]],
}


SOME = [
    pytest.param(OWN, MANNERS["while it waits"], id=str(OWN)),
    pytest.param(TRIO, by_scope_on_trio, id=str(TRIO)),
]


@pytest.mark.parametrize(("leg", "cancelling"), SOME)
@pytest.mark.parametrize("story", ["all goes well", "too large", "lost"])
def test_it_is_cancelled_at_each_await_of_a_story(
    bench: Bench, cancelling: Cancelling, story: str
) -> None:
    """Then what is left is sent, and no message twice."""
    bench.run(functools.partial(cancelled_and_finished, bench, cancelling, STORIES[story]))


@everywhere
def test_it_is_cancelled_at_each_await(bench: Bench, cancelling: Cancelling) -> None:
    """The first request is put off, so that what it carried is put back."""
    bench.run(functools.partial(cancelled_and_finished, bench, cancelling, [PUT_OFF]))


async def cancelled_and_finished(
    bench: Bench, cancelling: Cancelling, scripts: list[Script]
) -> None:
    """Send four rows, cancelled at the n-th await; then what is left of them."""
    at, reached = 0, True
    while reached:
        at += 1
        fake = FakeClock(chance=0.5)
        listener = bench.listen(*scripts)
        async with bench.client(listener.url, clock=fake.clock) as insim:
            ledger = ledger_of(bench, insim, 4)
            ending = await cancelling(at, call=functools.partial(run, insim, ledger))
            look_at(bench, ending)
            claimed = [n for n, state in ledger.rows.items() if state is State.CLAIMED]
            assert len(claimed) <= 2
            assert not claimed or isinstance(ending.result, BaseException)
            file(bench, ledger)
            for name in claimed:
                bench.book[name] = Status.UNKNOWN
                ledger.rows[name] = State.ENDED
                ledger.statuses[name] = Status.UNKNOWN
            fake.time += 61
            listener.script(BEHAVE)
            await run(insim, ledger)
            file(bench, ledger)
            await bench.probe(insim, listener)
        reached = ending.reached
    assert at > 4


def test_rows_that_were_put_off_are_claimed_anew(bench: Bench) -> None:
    """So that what was stopped meanwhile is not sent."""

    async def scenario() -> None:
        fake = FakeClock()
        listener = bench.listen(PUT_OFF)
        async with bench.client(listener.url, clock=fake.clock) as insim:
            ledger = ledger_of(bench, insim, 3)
            first = next(iter(ledger.rows))
            inner = ledger.put_back

            async def put_back(batch: Batch[Sms, Message]) -> None:
                await inner(batch)
                ledger.rows[first] = State.ENDED  # somebody said STOP
                ledger.statuses[first] = Status.NOT_SENT

            ledger.put_back = put_back  # type: ignore[method-assign]
            assert await run(insim, ledger) is None
            file(bench, ledger)
            assert ledger.statuses == {
                name: Status.NOT_SENT if name == first else Status.SENT for name in ledger.rows
            }
            await bench.probe(insim, listener)

    bench.run(scenario)


def test_after_a_413_fewer_are_claimed(bench: Bench) -> None:
    """Half as many, and one more after each request that was taken."""

    async def scenario() -> None:
        listener = bench.listen(TOO_LARGE, TOO_LARGE)
        async with bench.client(listener.url) as insim:
            ledger = ledger_of(bench, insim, 20)
            assert await run(insim, ledger, size=8) is None
            file(bench, ledger)
            assert [room.messages for room in ledger.rooms[:6]] == [8, 4, 2, 3, 4, 5]
            assert set(ledger.statuses.values()) == {Status.SENT}

    bench.run(scenario)


def test_a_client_that_closes_takes_no_row(bench: Bench) -> None:
    """It says why, and the rows are free."""

    async def scenario() -> None:
        listener = bench.listen()
        async with bench.client(listener.url) as insim:
            ledger = ledger_of(bench, insim, 4)
            ticket = insim._connection.join(Rank.BULK, paced=True)
            assert not isinstance(ticket, InSimError)
            await insim.aclose()
            ending: Any = await insim._seam().delivery.send(ledger, ticket)
            assert status_of(ending) is Status.NOT_SENT
            assert set(ledger.rows.values()) == {State.FREE}
            file(bench, ledger)

    bench.run(scenario)
