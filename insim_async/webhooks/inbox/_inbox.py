"""What users hold of the inbox, and the theory of it: what happens to an event, and when.

One SQLite file, one row per ``event.key``. A row is ``waiting`` until a worker of any process
claims it, ``claimed`` until its handlers are done or the lease of a worker that crashed ends, then
``done``, without its content, for as long as a repeat is to be recognised; or ``set_aside`` (a dead
letter) if its handlers failed too often. A worker claims only kinds for which its router has
handlers. A handler that acted, and whose process died before the row was ``done``, sees the event
again: at least once, under the same key.

Several processes write one file, hence a rollback journal: a write-ahead log can be corrupted by
two connections that write (SQLite 3.7.0 to 3.51.2). It is truncated, because ``synchronous=FULL``
syncs that, but not the folder from which a journal is deleted. Every transaction begins as a
writer's, so that none has to become one halfway.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import time, timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.to_thread
from msgspec.structs import replace

from insim_async._sqlite import Action, Desks, File, prepare_database
from insim_async.errors import ConfigurationError, InboxUnavailable
from insim_async.timing import Clock, Retry
from insim_async.webhooks.events import Event
from insim_async.webhooks.inbox import _looking, _mending, _rows
from insim_async.webhooks.inbox._looking import (
    STATES,
    Choice,
    Entry,
    InboxCounts,
    InboxHealth,
    InboxStatus,
    SetAside,
)
from insim_async.webhooks.inbox._rows import Row
from insim_async.webhooks.inbox._run import Task
from insim_async.webhooks.inbox._schema import LAYOUT, Policy
from insim_async.webhooks.inbox._watch import Watch
from insim_async.webhooks.inbox._worker import InboxWorker
from insim_async.webhooks.parsing import payload_of
from insim_async.webhooks.router import WebhookRouter, kinds_of

__all__ = ["Inbox"]

T = TypeVar("T")
logger: logging.Logger = logging.getLogger("insim_async")

STORE_TIMEOUT: Final = 1.8
"""Seconds after which a file that does not answer is unavailable; inSIM waits for five."""
OLD_REPEAT: Final = 900.0
"""Seconds after which a repeat may be something else, so that somebody should hear of it."""
SLICE: Final = 500
"""How many rows are handed over again or erased in one transaction: others want to write, too."""
_KEY = re.compile(r"[!-~]{1,200}")


class Inbox:
    """Keeps events on disk until they are handled; ``Inbox.open`` returns one.

    It may be used in any thread and event loop, before and after a fork, and by several processes
    at once.
    """

    def __init__(self, file: File, policy: Policy) -> None:
        self._file = file
        self._policy = policy
        self._desks = Desks(file)
        self._watch = Watch(policy)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        retry: Retry = Retry(attempts=10, base=1.0, cap=3600.0),
        retention: timedelta = timedelta(days=7),
        keep_set_aside: timedelta | None = timedelta(days=90),
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
            keep_set_aside: How long what was set aside is kept, with what people wrote; None for as
                long as nobody discards it.
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
            keep_set_aside=None if keep_set_aside is None else keep_set_aside.total_seconds(),
            handler_timeout=handler_timeout,
            lease=lease,
            clock=clock,
        )
        absolute = Path(path).absolute()
        prepare_database(absolute, LAYOUT)
        return cls(File(absolute, LAYOUT, name="inbox", unavailable=InboxUnavailable), policy)

    async def put(self, event: Event, *, key: str = "") -> bool:
        """Store an event: it is on disk when this returns, and may be if this is cancelled.

        Handlers see the key under which it is kept as ``event.key``. An event that says no time of
        the day is a repeat only if the same came within the hour before: later it is another one,
        under another key.

        Args:
            event: From ``parse_webhook``, or made by hand.
            key: Of your own, where ``event.key`` does not tell repeats from others: what comes
                under a key that is there already is a repeat. 200 visible ASCII characters at most.

        Returns:
            Whether it is new.

        Raises:
            InboxUnavailable: It was not stored within two seconds; it may be there all the same.
            ConfigurationError: The inbox is closed, or that is no event or no key.
        """
        if not isinstance(event, Event):
            raise ConfigurationError(f"event: expected an event, got {type(event).__name__}")
        row = self._row(event, _checked_key(key) if key else "")
        desk = self._desks.here()
        self._watch.begin(desk)
        repeat = await desk.do(partial(_rows.put, row=row), STORE_TIMEOUT)
        if repeat is not None:
            _say_it_is_repeated(event.kind, row.key, repeat.age)
            return False
        desk.wake()
        return True

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
        row = Row(
            key=hashlib.sha256(query).hexdigest(),
            kind="unreadable",
            parameter="",
            payload=query,
            now=self._policy.clock.wall(),
            reason=reason,
        )
        return not await self._do(partial(_rows.put, row=row))

    def worker(
        self,
        router: WebhookRouter,
        *,
        kinds: Sequence[type[Event]] | None = None,
        concurrency: int = 8,
    ) -> AbstractAsyncContextManager[InboxWorker]:
        """Hand events to a router while the context is open.

        It may be left in another task than it was entered. A worker that something else ends begins
        anew, and ``alive`` of what the context gives says whether it works.

        An event is handed over again, ever later, until no handler raises. At the end handlers have
        five seconds, or none if the leaving is cancelled; then they are cancelled, and get their
        event again at the next start.

        Args:
            router: Has the handlers; they may see an event twice, under the same key. Events for
                which it has none are left to other workers.
            kinds: Classes of events that this worker handles, if not all for which there are
                handlers: with a worker of its own an SMS does not wait behind a thousand reports.
            concurrency: Events at a time.

        Raises:
            ConfigurationError: ``concurrency`` is less than 1, or there is no handler for any of
                ``kinds``; on entering, the inbox is closed.
        """
        if not isinstance(router, WebhookRouter):
            raise ConfigurationError(
                f"router: expected a WebhookRouter, got {type(router).__name__}"
            )
        if not isinstance(concurrency, int) or concurrency < 1:
            raise ConfigurationError("concurrency: must be 1 or more")
        task = Task(router, None if kinds is None else kinds_of(kinds), concurrency)
        if kinds is not None and not task.kinds:
            raise ConfigurationError("kinds: the router has no handler for any of them")
        return self._working(task)

    async def set_aside(
        self,
        *,
        kind: str | type[Event] = "",
        reason: str = "",
        older_than: timedelta | None = None,
        after: str = "",
        limit: int = 1000,
    ) -> list[SetAside]:
        """Return what was set aside, in the order in which that happened.

        Args:
            kind: A class of events or its ``kind``; ``"unreadable"`` for requests that were none.
            reason: What the reason has in it, in whatever case.
            older_than: Received so long ago.
            after: The key of the last that you have seen: what follows on it is returned.
            limit: How many at most. The file is held meanwhile.

        Raises:
            InboxUnavailable: The file could not be read within two seconds.
            ConfigurationError: The inbox is closed, or an argument makes no sense.
        """
        found = await self.entries(
            kind=kind, reason=reason, older_than=older_than, after=after, limit=limit
        )
        return [
            SetAside(**{name: getattr(entry, name) for name in SetAside.__struct_fields__})
            for entry in found
        ]

    async def entries(
        self,
        state: str = "set_aside",
        *,
        kind: str | type[Event] = "",
        reason: str = "",
        older_than: timedelta | None = None,
        after: str = "",
        limit: int = 1000,
    ) -> list[Entry]:
        """Return events in a state, as ``set_aside`` does.

        Args:
            state: ``"waiting"``, ``"failing"``, ``"claimed"``, ``"set_aside"`` or ``"done"``.
            kind: As for ``set_aside``.
            reason: As for ``set_aside``.
            older_than: As for ``set_aside``.
            after: As for ``set_aside``.
            limit: As for ``set_aside``.

        Raises:
            InboxUnavailable: The file could not be read within two seconds.
            ConfigurationError: The inbox is closed, or an argument makes no sense.
        """
        if not isinstance(limit, int) or not 0 < limit < 1 << 62:
            raise ConfigurationError(f"limit: expected a whole number of 1 or more, got {limit!r}")
        if state not in STATES:
            raise ConfigurationError(f"state: expected one of {', '.join(STATES)}")
        choice = self._choice(kind, reason, older_than, after, limit, STATES[state])
        now = self._policy.clock.wall()
        found = await self._do(partial(_looking.entries, choice=choice, now=now))
        if found is None:
            raise ConfigurationError("after: there is no such key")
        return found

    async def entry(self, key: str) -> Entry | None:
        """Return the event with that key, whatever its state; None if there is none.

        Raises:
            InboxUnavailable: The file could not be read within two seconds.
            ConfigurationError: The inbox is closed.
        """
        now = self._policy.clock.wall()
        found = await self._do(partial(_looking.entry, key=_checked_key(key), now=now))
        return found[0] if found else None

    async def requeue(self, key: str) -> bool:
        """Let handlers have what was set aside again, as if it were new.

        A request that could not be read is read again, and stays if that fails.

        Returns:
            False if there is no such thing, or it still cannot be read.

        Raises:
            InboxUnavailable: As ``put``.
            ConfigurationError: The inbox is closed.
        """
        now = self._policy.clock.wall()
        done = await self._do(partial(_mending.requeue, key=_checked_key(key), now=now))
        self._desks.here().wake()
        return done

    async def requeue_all(
        self,
        *,
        kind: str | type[Event] = "",
        reason: str = "",
        older_than: timedelta | None = None,
    ) -> int:
        """Let handlers have all again that was set aside and is meant; return how many that are.

        Args:
            kind: As for ``set_aside``.
            reason: As for ``set_aside``.
            older_than: As for ``set_aside``.

        Raises:
            InboxUnavailable: As ``put``; those before may be done.
            ConfigurationError: The inbox is closed, or an argument makes no sense.
        """
        now = self._policy.clock.wall()
        choice = self._choice(kind, reason, older_than)
        return await self._sliced(partial(_mending.requeue_all, now=now), choice)

    async def discard(self, key: str) -> bool:
        """Erase what was set aside, as if it were handled; return False if there is no such thing.

        Raises:
            InboxUnavailable: As ``put``.
            ConfigurationError: The inbox is closed.
        """
        until = self._policy.clock.wall() + self._policy.retention
        return await self._do(partial(_mending.discard, key=_checked_key(key), until=until))

    async def discard_all(
        self,
        *,
        kind: str | type[Event] = "",
        reason: str = "",
        older_than: timedelta | None = None,
    ) -> int:
        """Erase all that was set aside and is meant; return how many that were.

        Args:
            kind: As for ``set_aside``.
            reason: As for ``set_aside``.
            older_than: As for ``set_aside``.

        Raises:
            InboxUnavailable: As ``put``; those before may be done.
            ConfigurationError: The inbox is closed, or an argument makes no sense.
        """
        until = self._policy.clock.wall() + self._policy.retention
        choice = self._choice(kind, reason, older_than)
        return await self._sliced(partial(_mending.discard_all, until=until), choice)

    async def counts(self) -> InboxCounts:
        """Count the events in each state, however many there are.

        Raises:
            InboxUnavailable: The file could not be read within two seconds.
            ConfigurationError: The inbox is closed.
        """
        return await self._do(_looking.tally)

    async def health(self) -> InboxHealth:
        """Look whether events are being handled, by any process.

        Raises:
            InboxUnavailable: The file could not be read within two seconds.
            ConfigurationError: The inbox is closed.
        """
        return await self._do(partial(_looking.health, policy=self._policy))

    async def status(self) -> InboxStatus:
        """Look at all that an operator asks first: health, counts, what fails and why, who works.

        With very many events that fail it holds the file for a while.

        Raises:
            InboxUnavailable: The file could not be read within two seconds.
            ConfigurationError: The inbox is closed.
        """
        return await self._do(partial(_looking.status, policy=self._policy))

    async def backup(self, path: str | os.PathLike[str]) -> None:
        """Copy the file as it is now, while it is in use.

        What wants to write waits meanwhile, about a second for each million events. Never copy the
        file in another way in a process that uses it: that ends SQLite's locks on it. What was
        handled after the copy is handled again where it is put back.

        If this is cancelled the copy is finished first.

        Args:
            path: Of a new file, which only its owner can read.

        Raises:
            InboxUnavailable: It could not be copied.
            ConfigurationError: The inbox is closed; or something is there, or cannot be written.
        """
        self._file.check_open()
        to = Path(path).absolute()  # noqa: ASYNC240 - it asks no disk
        await anyio.to_thread.run_sync(self._file.copy, to, limiter=anyio.CapacityLimiter(1))

    def close(self) -> None:
        """Close the file, after the transaction that is under way; closing it twice does no harm.

        Stop the workers first.
        """
        self._file.close()

    def _row(self, event: Event, key: str = "") -> Row:
        parameter, payload = payload_of(event)
        return Row(
            key=key or event.key,
            kind=event.kind,
            parameter=parameter,
            payload=payload,
            now=self._policy.clock.wall(),
            alike=not key and _is_coarse(event),
        )

    def _choice(
        self,
        kind: str | type[Event],
        reason: str,
        older_than: timedelta | None,
        after: str = "",
        limit: int | None = None,
        states: tuple[str, ...] = STATES["set_aside"],
    ) -> Choice:
        if not (older_than is None or isinstance(older_than, timedelta)):
            raise ConfigurationError("older_than: expected a timedelta")
        now = self._policy.clock.wall()
        return Choice(
            states=states,
            kind=_kind_word(kind),
            reason=_checked_text("reason", reason),
            before=None if older_than is None else now - older_than.total_seconds(),
            after=_checked_key(after) if after else "",
            limit=limit,
        )

    async def _sliced(self, action: Callable[..., tuple[str, int]], choice: Choice) -> int:
        """Do something with all rows that are meant, so many at a time."""
        total, after = 0, ""
        while True:
            part = replace(choice, after=after, limit=SLICE)
            after, done = await self._do(partial(action, choice=part))
            total += done
            self._desks.here().wake()
            if not after:
                return total

    async def _do(self, action: Action[T]) -> T:
        return await self._desks.here().do(action, STORE_TIMEOUT)

    @asynccontextmanager
    async def _working(self, task: Task) -> AsyncIterator[InboxWorker]:
        worker = InboxWorker(self._desks.here(), self._policy, task)
        worker.start()
        try:
            yield worker
        finally:
            await worker.stop()


def _is_coarse(event: Event) -> bool:
    """Say whether an event does not say when it was: another may be written the same."""
    return event.at is None or (event.at.tzinfo is None and event.at.time() == time.min)


def _say_it_is_repeated(kind: str, key: str, age: float) -> None:
    level = logging.WARNING if age > OLD_REPEAT else logging.INFO
    facts = {"event_kind": kind, "event_key": key, "result": "repeated"}
    since = timedelta(seconds=round(age))
    logger.log(level, "webhook %s: repeated; it came first %s before", kind, since, extra=facts)


def _checked_key(key: str) -> str:
    """Return the key if it may be one.

    Any other would fail the transaction for other callers, too.
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ConfigurationError("key: expected that of an event, as set_aside returns it")
    return key


def _kind_word(kind: str | type[Event]) -> str:
    if isinstance(kind, type) and issubclass(kind, Event):
        return getattr(kind, "kind", "")  # Event itself stands for all
    if not isinstance(kind, str):
        raise ConfigurationError("kind: expected a class of events, or its word")
    return _checked_text("kind", kind)


def _checked_text(name: str, text: str) -> str:
    if not isinstance(text, str) or not text.isprintable():
        raise ConfigurationError(f"{name}: expected a text")
    return text
