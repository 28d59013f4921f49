"""The outbox: what a put costs, how soon it is sent, also beside a campaign: O1 to O3."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from statistics import median, quantiles

import httpx

from insim_async import AsyncInSim, Contact, Sms
from insim_async.campaigns import Campaign
from insim_async.outbox import Outbox
from insim_async.webhooks import IncomingSms
from insim_async.webhooks.inbox import Inbox

from .calls import Bench
from .tables import Row, Table

ROUNDS = 5
SINGLES = 300
WAITING = 10_000
_numbers = count()


def _sms(number: int) -> Sms:
    return Sms(f"+336{39980000 + number % 10_000}", "C'est réservé.", sms_id=f"booking-{number}")


def _event(number: int) -> IncomingSms:
    return IncomingSms(phone_number="+33639980001", message=f"Bonjour {number}", account="me")


async def _rate(put: Callable[[int], Awaitable[object]], tasks: int) -> float:
    """Return how many are put in a second by so many tasks."""
    began, many = time.perf_counter(), max(200, tasks * 10)

    async def some() -> None:
        for _ in range(many // tasks):
            await put(next(_numbers))

    await asyncio.gather(*(some() for _ in range(tasks)))
    return many / (time.perf_counter() - began)


async def o1(_: Bench) -> list[Table]:
    """Put on disk, beside the inbox, which has the same file and the same group commit."""
    table = Table("O1 put on disk, beside the inbox's put")
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Outbox.open(Path(folder) / "outbox.db")) as outbox,
        closing(Inbox.open(Path(folder) / "inbox.db")) as inbox,
    ):
        for tasks in (1, 100, 1000):
            laps = [
                (
                    await _rate(lambda number: outbox.put(_sms(number)), tasks),
                    await _rate(lambda number: inbox.put(_event(number)), tasks),
                )
                for _ in range(ROUNDS)
            ]
            ours, theirs = (median(lap) for lap in zip(*laps, strict=True))
            words = f"{ours:,.0f} : {theirs:,.0f} puts/s"
            ratio = f"{median(a / b for a, b in laps):.2f}×"
            table.rows.append(Row(peer=f"{tasks} at a time", median=words, ratio=ratio))
    return [table]


class _Gone:
    """When requests left, by what they carried."""

    def __init__(self, insim: AsyncInSim) -> None:
        self.at: dict[str, float] = {}
        insim.http_client.event_hooks["request"] = [self._note]

    async def _note(self, request: httpx.Request) -> None:
        now = time.perf_counter()
        for part in request.content.split(b'"id_sms_api":"')[1:]:
            self.at.setdefault(part.partition(b'"')[0].decode(), now)


async def _put_one_by_one(outbox: Outbox, gone: _Gone) -> list[float]:
    """Return the seconds from each put to when its request left."""
    times = []
    for _ in range(SINGLES):
        sms = _sms(next(_numbers))
        assert sms.sms_id is not None
        began = time.perf_counter()
        await outbox.put(sms)
        await outbox.wait(sms.sms_id, timeout=30)
        times.append(gone.at[sms.sms_id] - began)
    return times


def _told(times: list[float]) -> str:
    cuts = quantiles(times, n=100)
    return f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms"


async def o2(bench: Bench) -> list[Table]:
    """From put to the request, alone and beside a campaign that sends as fast as it can."""
    table = Table(f"O2 from put to its request, {SINGLES} one after the other")
    for words, people in (("alone", 0), ("beside a campaign", 100_000)):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
            path = Path(folder) / "phone.db"
            outbox = opened.enter_context(closing(Outbox.open(path)))
            campaign = opened.enter_context(closing(Campaign.open(path)))
            if people:
                await campaign.add((Contact(f"+336{39980000 + n}") for n in range(people)), "Hi!")
            async with _client(bench) as insim, outbox.worker(insim):
                gone = _Gone(insim)
                running = asyncio.create_task(campaign.run(insim)) if people else None
                times = await _put_one_by_one(outbox, gone)
                if running is not None:
                    await campaign.cancel()
                    await running
        table.rows.append(Row(peer=words, median=_told(times)))
    return [table]


async def o3(bench: Bench) -> list[Table]:
    """Ten thousand that wait, alone and beside a campaign of as many."""
    table = Table(f"O3 {WAITING:,} that wait in an outbox, until all are sent")
    for words, people in (("alone", 0), (f"beside a campaign of {WAITING:,}", WAITING)):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
            path = Path(folder) / "phone.db"
            outbox = opened.enter_context(closing(Outbox.open(path)))
            campaign = opened.enter_context(closing(Campaign.open(path)))
            await asyncio.gather(*(outbox.put(_sms(next(_numbers))) for _ in range(WAITING)))
            if people:
                await campaign.add((Contact(f"+336{39980000 + n}") for n in range(people)), "Hi!")
            began = time.perf_counter()
            async with _client(bench) as insim, outbox.worker(insim):
                running = asyncio.create_task(campaign.run(insim)) if people else None
                while (health := await outbox.health()).due or health.in_flight:  # noqa: ASYNC110 - its worker's
                    await asyncio.sleep(0.02)
                seconds = time.perf_counter() - began
                if running is not None:
                    await running
            assert (await outbox.status()).counts.sent == WAITING
        table.rows.append(Row(peer=words, median=f"{WAITING / seconds:,.0f} messages/s"))
    return [table]


def _client(bench: Bench) -> AsyncInSim:
    return AsyncInSim("me@example.com", "a-made-up-key", base_url=bench.server.near)
