"""The test bench: clients of each kind on each event loop, and what holds whatever happens.

``Bench.run`` runs a scenario and then checks that no id was processed twice, that each status
agrees with what was processed, that no task, open file or connection is left, and that no log
record and no exception shows a secret.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import importlib.util
import itertools
import logging
import ssl
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import anyio
import httpx
import httpx2
import pytest
import trio

from insim_async import (
    AsyncInSim,
    BulkReport,
    Clock,
    InSimError,
    Outcome,
    OutcomeUnknown,
    Refused,
    Retry,
    Sms,
    SmsReceipt,
    Status,
)

from .gateway import BODY, HEAD, PATIENCE, PROCESS, RECEIPTS, Gateway, Listener, Report, Script
from .leaks import KEY, LOGIN, NUMBER, TEXT, leaks_of_error, leaks_of_records

T = TypeVar("T")

SLOTS = 2
SOON = Retry(attempts=3, base=0.01, cap=0.05)
TRUST_NOTHING_NEW = ssl.create_default_context()
SETTLING = 10.0
BUSY = 5.0  # seconds; whatever is stopped at a deadline here would go on for longer than that


class Leg(NamedTuple):
    """Which event loop, and whose HTTP client."""

    backend: str
    kind: str

    def __str__(self) -> str:
        return f"{self.backend}-{self.kind}"


OWN = Leg("asyncio", "own")
HTTPX = Leg("asyncio", "httpx")
HTTPX2 = Leg("asyncio", "httpx2")
AIOHTTP = Leg("asyncio", "httpx_aiohttp")
TRIO = Leg("trio", "own")
TRIO_HTTPX2 = Leg("trio", "httpx2")
AIOHTTP_IF_THERE = pytest.param(
    AIOHTTP,
    marks=pytest.mark.skipif(
        importlib.util.find_spec("httpx_aiohttp") is None, reason="not installed"
    ),
)
LEGS = [OWN, HTTPX, HTTPX2, TRIO]
"""Those that announce how far a request has come; ``AIOHTTP`` does not, and can be proven less."""


class FakeClock:
    """Time that passes only by waiting for it, and not at random unless told."""

    def __init__(self, chance: float = 0.0) -> None:
        self.time = 1000.0
        self.chance = chance
        self.waits: list[float] = []
        self.clock = Clock(now=lambda: self.time, sleep=self.sleep, random=lambda: self.chance)

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass, once everybody else had a turn."""
        self.waits.append(seconds)
        end = self.time + seconds
        await anyio.sleep(0.002)
        self.time = max(self.time, end)

    @property
    def pauses(self) -> list[float]:
        """The waits that were not empty."""
        return [wait for wait in self.waits if wait > 0]


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Expect the block to end at the deadline: not before, and not much later.

    ``BUSY`` is what a busy machine may take more.
    """
    start = time.monotonic()
    yield
    took = time.monotonic() - start
    assert 0.9 * seconds <= took <= 1.1 * seconds + BUSY


@contextlib.contextmanager
def timeout_of(insim: AsyncInSim, seconds: float) -> Iterator[None]:
    """Give a client's calls a time limit, but only within the block.

    What comes before and behind may take its time.
    """
    connection = insim._connection
    before, connection.timeout = connection.timeout, seconds
    try:
        yield
    finally:
        connection.timeout = before


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that no event announces.

    It comes true in another process, or deep in a library.
    """
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - see above
            await anyio.sleep(0.002)


def has_come(listener: Listener, requests: int) -> bool:
    """Tell whether so many requests have come."""
    return listener.report().requests >= requests


class Surroundings(NamedTuple):
    """What a client may not leave behind."""

    tasks: int
    files: frozenset[tuple[str, str]]

    @classmethod
    def now(cls) -> Surroundings:
        """Look around."""
        return cls(tasks_now(), frozenset(open_files()))


def tasks_now() -> int:
    """Count the tasks of this event loop."""
    if in_trio():
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())


def in_trio() -> bool:
    """Tell which event loop this is."""
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


def open_files() -> Iterable[tuple[str, str]]:
    """Yield each open file, and what it is."""
    for entry in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):
            yield entry.name, str(entry.readlink())


def status_of(ending: object) -> Status:
    """Say how a call ended, from what it returned or raised."""
    match ending:
        case SmsReceipt():
            return Status.SENT
        case OutcomeUnknown():
            return Status.UNKNOWN
        case Refused():
            return Status.REFUSED
        case _:
            return Status.NOT_SENT


class Bench:
    """One scenario's world."""

    def __init__(self, leg: Leg, gateway: Gateway) -> None:
        self.leg = leg
        self.gateway = gateway
        self.listeners: list[Listener] = []
        self.reports: list[Report] = []
        self.book: dict[str, Status] = {}
        self.leaks: list[str] = []
        self.numbers = itertools.count(1)

    # The scenario's tools

    def listen(self, *requests: Script, **order: Any) -> Listener:
        """Open a port that does to the first requests as told, and then behaves."""
        listener = self.gateway.listen(requests=requests, **order)
        self.listeners.append(listener)
        return listener

    def shut(self, listener: Listener) -> int:
        """Close a port, keeping its counts; return its number."""
        self.listeners.remove(listener)
        self.reports.append(listener.close())
        return listener.port

    @contextlib.asynccontextmanager
    async def client(
        self,
        url: str,
        *,
        trust: ssl.SSLContext | None = None,
        proxy: str | None = None,
        follow_redirects: bool = False,
        **settings: Any,
    ) -> AsyncIterator[AsyncInSim]:
        """Open a client of this leg's kind."""
        settings = {"timeout": 10.0, "max_concurrency": SLOTS, "retry": SOON, **settings}
        async with contextlib.AsyncExitStack() as stack:
            if self.leg.kind == "own":
                settings["ssl_context"] = trust or TRUST_NOTHING_NEW
            else:
                slots = settings["max_concurrency"]
                http_client = http_client_of(self.leg.kind, slots, trust, proxy, follow_redirects)
                settings["http_client"] = await stack.enter_async_context(http_client)
            insim = await stack.enter_async_context(
                AsyncInSim(LOGIN, KEY, base_url=url, **settings)
            )
            assert KEY not in repr(insim)
            yield insim

    async def ending(self, call: Awaitable[T]) -> T | InSimError:
        """Return what a call returned or raised; look through what it raised."""
        try:
            return await call
        except InSimError as error:
            self.examine(error)
            return error

    async def send(self, insim: AsyncInSim, sms_id: str | None = None) -> SmsReceipt | InSimError:
        """Send one message, and enter into the book how that ended."""
        sms_id = sms_id or f"sms-{next(self.numbers)}"
        ending = await self.ending(insim.send_sms(NUMBER, TEXT, sms_id=sms_id))
        self.book[sms_id] = status_of(ending)
        return ending

    def enter(self, outcomes: Iterable[Outcome]) -> list[Status]:
        """Enter outcomes into the book, look through their errors, and return their statuses."""
        statuses = []
        for outcome in outcomes:
            assert outcome.sms.sms_id is not None
            assert outcome.sms.sms_id not in self.book
            self.book[outcome.sms.sms_id] = outcome.status
            statuses.append(outcome.status)
            if outcome.error is not None:
                self.examine(outcome.error)
        return statuses

    def file(self, report: BulkReport) -> list[Status]:
        """Enter a report's outcomes, see that its counts add up, and return the statuses."""
        statuses = self.enter(report.outcomes)
        counts = [report.sent, report.refused, report.not_sent, report.unknown]
        assert counts == [statuses.count(status) for status in Status]
        return statuses

    def messages(self, count: int) -> list[Sms]:
        """Make messages with ids of their own."""
        return [
            Sms(f"+336399800{at:02}", TEXT, sms_id=f"sms-{next(self.numbers)}")
            for at in range(count)
        ]

    def examine(self, error: BaseException) -> None:
        """Keep what an exception shows and must not."""
        self.leaks += leaks_of_error(error)

    async def probe(self, insim: AsyncInSim, listener: Listener, slots: int = SLOTS) -> None:
        """Send one message through each slot at once; none is answered before all are there.

        Each begins when the one before has arrived: those of one moment would share a request.
        """
        listener.script()
        while insim._connection._gate._schedule.limit < slots:
            assert status_of(await self.send(insim)) is Status.SENT  # each lets one more go
        names = [f"sms-{next(self.numbers)}" for _ in range(slots)]
        listener.script(otherwise=[HEAD, BODY, PROCESS, ["meet", names], RECEIPTS])
        endings: list[object] = []

        async def one(sms_id: str) -> None:
            endings.append(await self.send(insim, sms_id))

        before = listener.report().requests
        async with anyio.create_task_group() as group:
            for count, name in enumerate(names, 1):
                group.start_soon(one, name)
                await until(functools.partial(has_come, listener, before + count))
        assert [status_of(ending) for ending in endings] == [Status.SENT] * slots, endings
        with anyio.fail_after(SETTLING):
            await until(lambda: listener.report().open <= slots)

    # The scenario's run

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        """Run a scenario on this leg's event loop, and check all that holds whatever happens."""
        records = Records()
        with records.kept(), warnings.catch_warnings():
            # httpx and httpcore drop generators of theirs half-way; trio tells. They hold nothing:
            # see open_files().
            warnings.filterwarnings("ignore", "Async generator 'http(x|core)", ResourceWarning)
            anyio.run(self.audit, scenario, backend=self.leg.backend)
        self.close()
        assert self.leaks == []
        assert leaks_of_records(records.all) == []
        self.reconcile()

    def close(self) -> None:
        """Close the ports that are open yet, keeping their counts."""
        for listener in list(self.listeners):
            self.shut(listener)

    async def audit(self, scenario: Callable[[], Awaitable[None]]) -> None:
        """Run a scenario and see what it leaves behind."""
        await anyio.lowlevel.checkpoint()
        before = Surroundings.now()
        await scenario()
        with anyio.move_on_after(SETTLING):
            await until(lambda: self.settled(before))
        after = Surroundings.now()
        assert after.tasks == before.tasks, "a task is left"
        assert after.files - before.files == frozenset(), "a file is left open"
        assert [each.report().open for each in self.listeners] == [0] * len(self.listeners)

    def settled(self, before: Surroundings) -> bool:
        """Tell whether all is gone that was not there before, on both sides."""
        gc.collect()
        after = Surroundings.now()
        return (
            after.tasks == before.tasks
            and after.files <= before.files
            and not any(listener.report().open for listener in self.listeners)
        )

    def reconcile(self) -> None:
        """Compare the book with what was processed."""
        processed = Counter[str]()
        for report in self.reports:
            processed.update(report.processed)
        twice = [
            name
            for name, count in processed.items()
            if count > 1 and not name.startswith("contact")
        ]
        assert twice == [], f"processed more than once: {twice}"
        for sms_id, status in self.book.items():
            if status is Status.SENT:
                assert processed[sms_id] == 1, f"{sms_id} is sent, but was not processed"
            elif status is not Status.UNKNOWN:
                assert processed[sms_id] == 0, f"{sms_id} is {status}, but was processed"


class Records(logging.Handler):
    """Keeps every log record of every logger."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.all: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.all.append(record)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keep all records while this lasts, and keep them from all other handlers.

        Those would format them.
        """
        root = logging.getLogger()
        level, handlers = root.level, root.handlers
        root.setLevel(logging.DEBUG)
        root.handlers = [self]
        try:
            yield
        finally:
            root.setLevel(level)
            root.handlers = handlers


def http_client_of(
    kind: str, slots: int, trust: ssl.SSLContext | None, proxy: str | None, follow_redirects: bool
) -> httpx.AsyncClient | httpx2.AsyncClient:
    """Make the client that a user would inject, with no connection to spare."""
    module: Any = httpx2 if kind == "httpx2" else httpx
    kinds = importlib.import_module("httpx_aiohttp") if kind == "httpx_aiohttp" else module
    made = "HttpxAiohttpClient" if kind == "httpx_aiohttp" else "AsyncClient"
    http_client: httpx.AsyncClient | httpx2.AsyncClient = getattr(kinds, made)(
        verify=trust or TRUST_NOTHING_NEW,
        proxy=proxy,
        follow_redirects=follow_redirects,
        trust_env=False,
        limits=module.Limits(max_connections=slots),
    )
    return http_client
