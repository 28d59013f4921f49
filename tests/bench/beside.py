"""Single messages beside a bulk call of the same client: G20c and G24."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from functools import partial
from statistics import median

from insim_async import AsyncInSim, Priority, Sms, Status

from . import peers
from .calls import Bench
from .tables import Goal, Row, Table, Within, compare
from .timing import Lap, Watch, interleave, percentile

IN_BULK, SINGLES = 40_000, 50
URGENT = 15


def _client(url: str, max_rate: float | None = None) -> AsyncInSim:
    return AsyncInSim(peers.LOGIN, peers.ACCESS_KEY, base_url=url, max_rate=max_rate)


def _messages(count: int) -> Iterator[Sms]:
    return (Sms(peers.number(i), peers.text(i)) for i in range(count))


async def g20c(bench: Bench) -> list[Table]:
    singles: list[Lap] = []
    beside, alone = f"beside {SINGLES} single callers", "alone"
    laps = await interleave(
        {
            beside: partial(_bulk, bench.server.far, SINGLES, singles),
            alone: partial(_bulk, bench.server.far, 0, []),
        },
        rounds=5,
    )
    title = f"G20c  {IN_BULK:,} messages in a bulk call, 25 to 75 ms away"
    table = compare(title, laps, {alone: Goal(at_least=0.75)})
    within = Within(p99=0.150)
    table.rows.append(
        Row(
            peer=f"the {SINGLES} single callers",
            median=f"{median(lap.rate for lap in singles[1:]):,.0f} messages/s",
            goal=str(within),
            met=within.is_met(singles[1:]),
            p50=_milliseconds(median(lap.p50 for lap in singles[1:])),
            p99=_milliseconds(median(lap.p99 for lap in singles[1:])),
        )
    )
    return [table]


async def _bulk(url: str, callers: int, singles: list[Lap]) -> Lap:
    """Send in bulk, while callers send one message after the other."""
    ended, times = asyncio.Event(), list[float]()
    async with _client(url) as insim, asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(_until(ended, insim, times))
        with Watch() as watch:
            statuses = [outcome.status async for outcome in insim.stream(_messages(IN_BULK))]
        ended.set()
    if callers:
        singles.append(watch.lap_of(times))
    return watch.lap(statuses.count(Status.SENT))


async def _until(ended: asyncio.Event, insim: AsyncInSim, times: list[float]) -> None:
    while not ended.is_set():
        started = time.perf_counter()
        await insim.send_sms(peers.number(0), peers.text(0))
        times.append(time.perf_counter() - started)


async def g24(bench: Bench) -> list[Table]:
    """The rates are measured at one time: at each of them a client does next to nothing."""
    rates = (50, 5, 1)
    measured = await asyncio.gather(*(_urgent(bench.server.far, rate) for rate in rates))
    table = Table("G24  urgent messages beside a bulk call of 100,000, 25 to 75 ms away")
    for rate, times in zip(rates, measured, strict=True):
        middle = median(times)
        table.rows.append(
            Row(
                peer=f"at {rate} a second",
                median=_milliseconds(middle),
                goal="≤ 2 s",
                met=middle <= 2,
                p50=_milliseconds(middle),
                p99=_milliseconds(percentile(times, 99)),
            )
        )
    return [table]


async def _urgent(url: str, rate: float) -> list[float]:
    """Send urgent messages one by one, at odd moments, while a bulk call goes on."""
    odd, times = random.Random(24), list[float]()
    async with _client(url, rate) as insim:
        bulk = asyncio.create_task(_drain(insim))
        for i in range(URGENT):
            await asyncio.sleep(odd.uniform(0.5, 1.5))
            started = time.perf_counter()
            await insim.send_sms(peers.number(i), peers.text(i), priority=Priority.HIGH)
            times.append(time.perf_counter() - started)
        assert not bulk.done()
        bulk.cancel()
        await asyncio.wait([bulk])
    return times


async def _drain(insim: AsyncInSim) -> None:
    async for outcome in insim.stream(_messages(100_000)):
        assert outcome.status is Status.SENT


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.0f} ms"
