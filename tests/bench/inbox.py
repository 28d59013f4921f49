"""The inbox: what it takes in, what it hands over, and what a put costs: W1 to W3."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import msgspec

from insim_async.webhooks import Event, IncomingSms, WebhookRouter, build_webhook
from insim_async.webhooks.inbox import Inbox, _rows, _tending

from .calls import Bench
from .tables import Row, Table
from .webhook_apps import PATH
from .webhooks import _NO_OP, _UVICORN, _Peer, _running

RATE, SECONDS = 1000, 20
LINES = 64
BACKLOG = 100_000
_AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
_FACTORY = f"--factory {__package__}.webhook_apps:"
_INBOX = _Peer(
    "an inbox and a worker", f"{_UVICORN.replace('--lifespan off', '--lifespan on')}{_FACTORY}inbox"
)


def _sms(number: int) -> IncomingSms:
    return IncomingSms(
        phone_number="+33639980001", message=f"Bonjour {number}", account="me", at=_AT
    )


async def w1(_: Bench) -> list[Table]:
    """Send so many a second, whether answered or not, and see how long each takes."""
    table = Table(f"W1 {RATE:,} events a second for {SECONDS} s, under uvicorn with httptools")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENCH_FOLDER"] = folder
        for peer in (_INBOX, _NO_OP):
            with _running(peer) as server:
                before = server.cpu()
                times = await _paced(server.port)
                cpu = (server.cpu() - before) / len(times)
                rest = await _drained(Path(folder)) if peer is _INBOX else 0.0
            each = quantiles(times, n=100)
            within = each[98] < 1.0
            words = f"p50 {each[49] * 1e3:.1f} ms, p99 {each[98] * 1e3:.1f} ms"
            if peer is _INBOX:
                words += f"; all handled {rest:.1f} s after the last"
            table.rows.append(
                Row(
                    peer=peer.name,
                    median=words,
                    goal="p99 < 1 s" if peer is _INBOX else "",
                    met=within if peer is _INBOX else None,
                    cpu=f"{cpu * 1e6:.0f} µs",
                )
            )
    return [table]


async def _paced(port: int) -> list[float]:
    """Return for each event the seconds from the moment at which it was due to its answer."""
    tickets, times = iter(range(RATE * SECONDS)), list[float]()
    began = time.perf_counter() + 0.2

    async def line() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in tickets:
            due = began + number / RATE
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            query = build_webhook(_sms(number))
            writer.write(f"GET {PATH}?{query} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            answer = await reader.readuntil(b"\r\n\r\nok\n")
            assert answer.startswith(b"HTTP/1.1 200"), answer
            times.append(time.perf_counter() - due)
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(LINES):
            group.create_task(line())
    return times


async def _drained(folder: Path) -> float:
    began = time.perf_counter()
    with closing(Inbox.open(folder / "inbox.db")) as inbox:
        while (counts := await inbox.counts()).waiting or counts.claimed:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.01)
        assert counts.done == RATE * SECONDS, counts
    return time.perf_counter() - began


async def w2(_: Bench) -> list[Table]:
    """Hand over what a crashed worker had, and a long backlog behind it."""
    table = Table(f"W2 {BACKLOG:,} events that wait after a crash, until all are handled")
    with tempfile.TemporaryDirectory() as folder:
        for concurrency in (8, 64):
            with closing(Inbox.open(Path(folder) / f"{concurrency}.db")) as inbox:
                await _fill(inbox)
                seconds = await _handled(inbox, concurrency)
            words = f"{BACKLOG / seconds:,.0f} events/s"
            table.rows.append(Row(peer=f"concurrency={concurrency}", median=words))
    return [table]


async def _fill(inbox: Inbox) -> None:
    for start in range(0, BACKLOG, 1000):
        puts = (inbox.put(_sms(number)) for number in range(start, start + 1000))
        await asyncio.gather(*puts)

    def crash(connection: Any) -> bool:
        everything = frozenset({"*"})
        _tending.register(connection, "crashed", everything, inbox._policy)
        quota = _rows.Quota(64)
        claims = _rows.claim_due(connection, "crashed", quota, inbox._policy, everything)
        connection.execute("UPDATE events SET due_at = 0 WHERE state = 'claimed'")
        connection.execute("UPDATE workers SET until = 0")
        return len(claims) == 64

    assert await inbox._do(crash)


async def _handled(inbox: Inbox, concurrency: int) -> float:
    router, left, done = WebhookRouter(), set(range(BACKLOG)), asyncio.Event()

    @router.on(Event)
    async def handle(event: Event) -> None:
        left.discard(int(event.raw["message"].split()[1]))
        if not left:
            done.set()

    began = time.perf_counter()
    async with inbox.worker(router, concurrency=concurrency):
        await done.wait()
    assert (await inbox.counts()).done == BACKLOG
    return time.perf_counter() - began


Put = Callable[[int], Awaitable[object]]


async def w3(_: Bench) -> list[Table]:
    """Put beside what one would write with aiosqlite, a commit for each event."""
    import aiosqlite

    table = Table("W3 put on disk, journal TRUNCATE and synchronous FULL, beside aiosqlite")
    with tempfile.TemporaryDirectory() as folder:
        async with aiosqlite.connect(Path(folder) / "theirs.db") as theirs:
            await theirs.execute("PRAGMA journal_mode = TRUNCATE")
            await theirs.execute("PRAGMA synchronous = FULL")
            await theirs.execute("CREATE TABLE events (key TEXT PRIMARY KEY, payload BLOB)")

            async def put(number: int) -> None:
                event = _sms(number)
                row = (event.key, msgspec.json.encode(event.raw))
                await theirs.execute("INSERT INTO events VALUES (?, ?)", row)
                await theirs.commit()

            with closing(Inbox.open(Path(folder) / "ours.db")) as inbox:
                for tasks in (1, 100):
                    ours = await _rate(lambda number: inbox.put(_sms(number)), tasks)
                    peers = await _rate(put, tasks)
                    table.rows.append(
                        Row(
                            peer=f"{tasks} at a time",
                            median=f"{ours:,.0f} : {peers:,.0f} events/s",
                            ratio=f"{ours / peers:.2f}×",
                        )
                    )
    return [table]


async def _rate(put: Put, tasks: int, rounds: int = 5) -> float:
    """Return how many are put in a second, the median of some rounds."""
    rates = []
    for _ in range(rounds):
        began, count = time.perf_counter(), max(200, tasks * 10)
        first = next(_numbers)
        numbers = iter(range(first * 10_000, first * 10_000 + count))
        await asyncio.gather(*(_put_each(put, numbers) for _ in range(tasks)))
        rates.append(count / (time.perf_counter() - began))
    return median(rates)


_numbers = iter(range(10**9))


async def _put_each(put: Put, numbers: Any) -> None:
    for number in numbers:
        await put(number)
