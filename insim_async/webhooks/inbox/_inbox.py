"""What users hold of the inbox, and the theory of it: what happens to an event, and when.

One SQLite file, one row per ``event.key``. A row is ``waiting`` until a worker of any process
claims it, ``claimed`` until its handlers are done or the lease of a worker that crashed ends, then
``done``, without its content, for as long as a repeat is to be recognised; or ``set_aside`` (a dead
letter) if its handlers failed too often. A handler that acted, and whose process died before the
row was ``done``, sees the event again: at least once, under the same key.

Several processes write one file, hence a rollback journal: a write-ahead log can be corrupted by
two connections that write (SQLite 3.7.0 to 3.51.2). It is truncated, because ``synchronous=FULL``
syncs that, but not the folder from which a journal is deleted. Every transaction begins as a
writer's, so that none has to become one halfway.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from msgspec import Struct

from insim_async._privacy import Private
from insim_async._sqlite import Action, Desks, File, prepare_database
from insim_async.errors import ConfigurationError, InboxUnavailable
from insim_async.timing import Clock, Retry
from insim_async.webhooks.events import Event
from insim_async.webhooks.inbox import _rows
from insim_async.webhooks.inbox._rows import Policy
from insim_async.webhooks.inbox._worker import Worker
from insim_async.webhooks.parsing import build_webhook
from insim_async.webhooks.router import WebhookRouter

__all__ = ["Inbox", "InboxCounts", "SetAside"]

T = TypeVar("T")

STORE_TIMEOUT: Final = 1.8
"""Seconds after which a file that does not answer is unavailable; inSIM waits for five."""


class SetAside(Private, frozen=True, kw_only=True):
    """A dead letter: an event whose handlers failed too often, or a request that could not be read.

    Attributes:
        key: For ``Inbox.requeue`` and ``Inbox.discard``.
        kind: The event's, or ``"unreadable"``.
        query: As ``build_webhook`` writes the event, or as it came where it could not be read.
        received_at: When it came first, in UTC.
        attempts: How often handlers had it.
        reason: The classes of what they raised, or what is wrong with the request; nothing of the
            content.
    """

    _shown: ClassVar[frozenset[str]] = frozenset(
        {"key", "kind", "received_at", "attempts", "reason"}
    )

    key: str
    kind: str
    query: bytes
    received_at: datetime
    attempts: int
    reason: str


class InboxCounts(Struct, frozen=True, kw_only=True):
    """How many events are in which state.

    Attributes:
        waiting: For a worker, or for their next attempt.
        claimed: Being handled.
        done: Handled; only their keys are left.
        set_aside: For you to look at.
    """

    waiting: int = 0
    claimed: int = 0
    done: int = 0
    set_aside: int = 0


class Inbox:
    """Keeps events on disk until they are handled; ``Inbox.open`` returns one.

    It may be used in any thread and event loop, before and after a fork, and by several processes
    at once.
    """

    def __init__(self, file: File, policy: Policy) -> None:
        self._file = file
        self._policy = policy
        self._desks = Desks(file)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        retry: Retry = Retry(attempts=10, base=1.0, cap=3600.0),
        retention: timedelta = timedelta(days=7),
        handler_timeout: float = 60.0,
        lease: float = 30.0,
        clock: Clock = Clock(),
    ) -> Inbox:
        """Make the file, or check the one that is there.

        It needs no event loop, and keeps nothing open.

        Args:
            path: On a local disk. The file is made so that only its owner can read it.
            retry: How often handlers get an event before it is set aside, and after how long.
            retention: How long the key of a handled event is kept, so that a repeat is recognised.
            handler_timeout: Seconds that all handlers of an event have, together.
            lease: Seconds after which another worker takes over the events of one that crashed, or
                whose event loop stood still for as long. The same in all processes: one with a
                shorter lease cuts the others'.
            clock: Time and chance, for tests. Leases end by ``now``, all else by ``wall``.

        Raises:
            ConfigurationError: The file cannot be used: it says why and what to do, and nothing was
                changed. Or one of the arguments makes no sense.
        """
        policy = Policy(
            retry=retry,
            retention=retention.total_seconds(),
            handler_timeout=handler_timeout,
            lease=lease,
            clock=clock,
        )
        absolute = Path(path).absolute()
        prepare_database(absolute, _rows.LAYOUT)
        return cls(File(absolute, _rows.LAYOUT, name="inbox", unavailable=InboxUnavailable), policy)

    async def put(self, event: Event) -> bool:
        """Store an event: it is on disk when this returns, and may be if this is cancelled.

        Returns:
            Whether it is new.

        Raises:
            InboxUnavailable: It was not stored within two seconds; it may be there all the same.
            ConfigurationError: The inbox is closed.
        """
        return await self._tell(partial(_rows.put, row=self._row(event)))

    async def rehearse(self, event: Event) -> None:
        """Store an event and take it out again, so that no handler sees it.

        Raises:
            InboxUnavailable: It could not be stored, as ``put``.
            ConfigurationError: The inbox is closed.
        """
        await self._do(partial(_rows.rehearse, row=self._row(event)))

    async def put_unreadable(self, query: bytes, reason: str) -> bool:
        """Set a request aside that could not be read.

        Args:
            query: As it came.
            reason: What is wrong with it, without its content.

        Returns:
            Whether it is new.

        Raises:
            InboxUnavailable: As ``put``.
            ConfigurationError: The inbox is closed.
        """
        key, now = hashlib.sha256(query).hexdigest(), self._policy.clock.wall()
        row = (key, "unreadable", query, "set_aside", now, now, reason)
        return await self._tell(partial(_rows.put, row=row))

    def worker(
        self, router: WebhookRouter, *, concurrency: int = 8
    ) -> AbstractAsyncContextManager[None]:
        """Hand events to a router while the context is open.

        It may be left in another task than it was entered.

        An event is handed over again, ever later, until no handler raises. At the end handlers have
        five seconds, or none if the leaving is cancelled; then they are cancelled, and get their
        event again at the next start.

        Args:
            router: Has the handlers; they may see an event twice, under the same key.
            concurrency: Events at a time.

        Raises:
            ConfigurationError: ``concurrency`` is less than 1; on entering, the inbox is closed.
        """
        if concurrency < 1:
            raise ConfigurationError("concurrency: must be 1 or more")
        return self._working(router, concurrency)

    async def set_aside(self, *, limit: int = 1000) -> list[SetAside]:
        """Return what was set aside, in the order in which that happened.

        Args:
            limit: How many at most. The file is held meanwhile.

        Raises:
            InboxUnavailable: The file could not be read within two seconds.
            ConfigurationError: The inbox is closed, or ``limit`` makes no sense.
        """
        if not isinstance(limit, int) or not 0 < limit < 1 << 63:
            raise ConfigurationError(f"limit: expected a whole number of 1 or more, got {limit!r}")
        return [
            SetAside(
                key=key,
                kind=kind,
                query=query,
                received_at=datetime.fromtimestamp(received_at, UTC),
                attempts=attempts,
                reason=reason,
            )
            for key, kind, query, received_at, attempts, reason in await self._do(
                partial(_rows.set_aside, limit=limit)
            )
        ]

    async def requeue(self, key: str) -> bool:
        """Let handlers have what was set aside again, as if it were new.

        Returns:
            False if there is no such thing.

        Raises:
            InboxUnavailable: As ``put``.
            ConfigurationError: The inbox is closed.
        """
        return await self._tell(partial(_rows.requeue, key=_checked_key(key)))

    async def discard(self, key: str) -> bool:
        """Erase what was set aside, as if it were handled; return False if there is no such thing.

        Raises:
            InboxUnavailable: As ``put``.
            ConfigurationError: The inbox is closed.
        """
        until = self._policy.clock.wall() + self._policy.retention
        return await self._do(partial(_rows.discard, key=_checked_key(key), until=until))

    async def counts(self) -> InboxCounts:
        """Count the events in each state.

        Raises:
            InboxUnavailable: The file could not be read within two seconds.
            ConfigurationError: The inbox is closed.
        """
        return InboxCounts(**await self._do(_rows.count_states))

    def close(self) -> None:
        """Close the file, after the transaction that is under way; closing it twice does no harm.

        Stop the workers first.
        """
        self._file.close()

    def _row(self, event: Event) -> tuple[str, str, bytes, str, float, float, str]:
        return (
            event.key,
            event.kind,
            build_webhook(event).encode(),
            "waiting",
            0.0,
            self._policy.clock.wall(),
            "",
        )

    async def _tell(self, action: Action[bool]) -> bool:
        desk = self._desks.here()
        new = await desk.do(action, STORE_TIMEOUT)
        if new:
            desk.wake()
        return new

    async def _do(self, action: Action[T]) -> T:
        return await self._desks.here().do(action, STORE_TIMEOUT)

    @asynccontextmanager
    async def _working(self, router: WebhookRouter, concurrency: int) -> AsyncIterator[None]:
        worker = Worker(self._desks.here(), self._policy, router, concurrency)
        worker.start()
        try:
            yield
        finally:
            await worker.stop()


def _checked_key(key: str) -> str:
    """Return the key if SQLite can look for it.

    Any other key would fail the transaction for other callers, too.
    """
    if not isinstance(key, str) or not key.isascii():
        raise ConfigurationError("key: expected that of an event, as set_aside returns it")
    return key
