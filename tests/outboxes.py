"""Outboxes on a clock that a test sets, and a client whose own waits take no time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self

import anyio
import pytest

from insim_async import Clock, Sms
from insim_async.outbox import Outbox

from .waiting import until

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT
TEXT = "C'est réservé."


class Still:
    """A clock that stands still until a test lets it go on; then whoever slept enough wakes."""

    def __init__(self) -> None:
        self.time = NOW
        self._tick = anyio.Event()
        self._until: list[float] = []
        self._lain_down = anyio.Event()

    async def asleep(self, sleepers: int) -> None:
        """Wait until so many sleep, and have not slept enough."""
        while len([until for until in self._until if until > self.time]) < sleepers:
            await self._lain_down.wait()

    async def sleep(self, seconds: float) -> None:
        until = self.time + seconds
        self._until.append(until)
        self._lain_down.set()
        self._lain_down = anyio.Event()
        try:
            await anyio.lowlevel.checkpoint()
            while self.time < until:
                await self._tick.wait()
        finally:
            self._until.remove(until)

    def __iadd__(self, seconds: float) -> Self:
        self.time += seconds
        self._tick.set()
        self._tick = anyio.Event()
        return self

    @property
    def clock(self) -> Clock:
        return Clock(
            now=lambda: self.time, wall=lambda: self.time, sleep=self.sleep, random=lambda: 0.5
        )


@pytest.fixture
def still() -> Still:
    return Still()


@pytest.fixture
def open_outbox(path: Path, still: Still) -> Iterator[Callable[..., Outbox]]:
    """Open outboxes in one file and on one clock; they are closed behind the test."""
    with ExitStack() as opened:
        yield lambda **more: opened.enter_context(
            closing(Outbox.open(path, **{"clock": still.clock, **more}))
        )


@pytest.fixture
def outbox(open_outbox: Callable[..., Outbox]) -> Outbox:
    return open_outbox()


def number(place: int = 1) -> str:
    return f"+336{39980000 + place}"


def sms(sms_id: str | None = "booking-1", place: int = 1, text: str = TEXT, **more: Any) -> Sms:
    return Sms(number(place), text, sms_id=sms_id, **more)


async def status(outbox: Outbox, sms_id: str = "booking-1") -> str:
    message = await outbox.get(sms_id)
    return "none" if message is None else message.status.value


async def becomes(outbox: Outbox, wanted: str, sms_id: str = "booking-1") -> None:
    """Wait until a message has a status."""

    async def has_come() -> bool:
        return await status(outbox, sms_id) == wanted

    await until(has_come)


async def passing(
    still: Still, seconds: float, condition: Callable[[], Awaitable[bool]], sleepers: int = 1
) -> None:
    """Let time pass, so many seconds at a time, until something is so.

    It passes only when as many sleep as there are to sleep: nobody is hurried past anything.
    """
    while not await condition():
        await still.asleep(sleepers)
        still += seconds


async def said(outbox: Outbox, still: Still, reason: str) -> None:
    """Let time pass until the outbox says why it waits."""

    async def is_said() -> bool:
        return (await outbox.health()).reason == reason

    await passing(still, 1.0, is_said)


def ids(gateway: Any) -> list[str]:
    """What was taken, in order; each of it once."""
    assert set(gateway.processed.values()) <= {1}
    return [m["id_sms_api"] for request in gateway.requests for m in request["messages"]]
