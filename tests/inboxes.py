"""An inbox with a clock that a test sets, and a router that does as it is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self

import anyio
import pytest

from insim_async import Clock
from insim_async.webhooks import Event, WebhookRouter
from insim_async.webhooks.inbox import Inbox, InboxCounts, _rows, _run, _tending, _worker
from insim_async.webhooks.inbox._rows import Claim, Quota
from insim_async.webhooks.inbox._schema import Policy

from .waiting import until

NOW, UPTIME = 1_800_000_000.0, 5_000.0
ANY = frozenset({"*"})


class Wall:
    """A clock on the wall, which somebody sets, and the machine's own, which nobody can."""

    def __init__(self) -> None:
        self.time = NOW
        self.uptime = UPTIME
        self.chance: Callable[[], float] = lambda: 0.5
        self.sleep: Callable[[float], Awaitable[None]] = anyio.sleep

    def __iadd__(self, seconds: float) -> Self:
        """Let time pass."""
        self.time += seconds
        self.uptime += seconds
        return self

    @property
    def clock(self) -> Clock:
        """The same for an inbox."""
        return Clock(
            now=lambda: self.uptime,
            wall=lambda: self.time,
            random=lambda: self.chance(),
            sleep=lambda seconds: self.sleep(seconds),
        )


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inbox.db"


@pytest.fixture
def open_inbox(path: Path, wall: Wall) -> Iterator[Callable[..., Inbox]]:
    """Open inboxes on one file and one clock; they are closed behind the test."""
    with ExitStack() as opened:
        yield lambda **settings: opened.enter_context(
            closing(Inbox.open(path, clock=wall.clock, **settings))
        )


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no worker look long for news, or wait long for its handlers."""
    monkeypatch.setattr(_run, "POLL", 0.005)
    monkeypatch.setattr(_worker, "GRACE", 0.02)


class Shop:
    """A router whose handler does as it is told, and what came to it."""

    def __init__(
        self, act: Callable[[Any], Awaitable[object]] | None = None, *kinds: type[Event]
    ) -> None:
        self.router = WebhookRouter()
        self.router.on(*(kinds or (Event,)))(self.handle)
        self.act = act
        self.seen: list[Event] = []
        self.news = anyio.Event()

    async def handle(self, event: Event) -> None:
        self.seen.append(event)
        self.news.set()
        self.news = anyio.Event()
        if self.act is not None:
            await self.act(event)

    async def had(self, count: int) -> None:
        """Wait until that many came."""
        while len(self.seen) < count:
            await self.news.wait()


async def settled(inbox: Inbox, expected: InboxCounts) -> None:
    """Wait until the events are in these states."""
    await counted(inbox, lambda counts: counts == expected)


async def counted(inbox: Inbox, wanted: Callable[[InboxCounts], bool]) -> None:
    """Wait until the counts of an inbox are as wanted."""

    async def are() -> bool:
        return wanted(await inbox.counts())

    await until(are)


async def worked(inbox: Inbox) -> None:
    """Wait until a worker has written down that it is there."""
    while not (await inbox.health()).workers:
        ...


def claim_due(
    connection: sqlite3.Connection,
    owner: str,
    places: int,
    policy: Policy,
    suspects: int = 1,
    retries: int = 1,
) -> list[Claim]:
    """Claim as a worker for all kinds does, after it has tended all rows."""
    _tending.tend(connection, owner, ANY, policy)
    return _rows.claim_due(connection, owner, Quota(places, suspects, retries), policy, ANY)


def rows(path: Path, columns: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {columns} FROM events ORDER BY id").fetchall()
