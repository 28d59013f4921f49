"""Campaigns against ``stream``, which remembers nothing; and a million people: G21, G22 and G23."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec

from insim_async import AsyncInSim, Contact, Sms
from insim_async.campaigns import Campaign

from . import peers
from .calls import Bench
from .tables import Goal, Row, Table, compare
from .timing import Lap, Run, Watch, interleave, percentile

COUNT, MANY = 100_000, 1_000_000
TICK = 0.001
STREAM, CAMPAIGN = "stream, without a ledger", "campaign"


def _client(url: str, size: int) -> AsyncInSim:
    return AsyncInSim(peers.LOGIN, peers.ACCESS_KEY, base_url=url, batch_size=size)


def _number(place: int) -> str:
    """Return a number of its own for each; no country has this code."""
    return f"+9999{place:07d}"


def _people(count: int) -> Iterator[Contact]:
    return (Contact(_number(place)) for place in range(count))


async def g21(bench: Bench) -> list[Table]:
    cases = [
        ("no latency", bench.server.near, 100, 0.4),
        ("no latency", bench.server.near, 500, 0.4),
        ("25 to 75 ms away", bench.server.far, 100, 0.7),
        ("25 to 75 ms away", bench.server.far, 500, 0.7),
    ]
    return [await _race(*case) for case in cases]


async def _race(where: str, url: str, size: int, least: float) -> Table:
    runs: dict[str, Run] = {
        CAMPAIGN: partial(_campaign, url, size),
        STREAM: partial(_stream, url, size),
    }
    title = f"G21  {COUNT:,} messages, {size} a request, {where}"
    return compare(title, await interleave(runs, 5), {STREAM: Goal(at_least=least)})


async def _stream(url: str, size: int) -> Lap:
    messages = (Sms(_number(place), peers.text(0)) for place in range(COUNT))
    async with _client(url, size) as insim:
        with Watch() as watch:
            count = 0
            async for _ in insim.stream(messages):
                count += 1
        return watch.lap(count)


async def _campaign(url: str, size: int) -> Lap:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Campaign.open(Path(folder) / "campaign.db")) as campaign,
    ):
        await campaign.add(_people(COUNT), peers.text(0))
        async with _client(url, size) as insim:
            with Watch() as watch:
                report = await campaign.run(insim)
            assert report.sent == COUNT, report
            return watch.lap(report.sent)


async def g22(bench: Bench) -> list[Table]:
    command = [sys.executable, "-m", f"{__package__}.campaigns"]
    run = partial(subprocess.run, command, check=True, stdout=subprocess.PIPE)
    printed = (await asyncio.to_thread(run)).stdout
    rate, resumed, grown = msgspec.json.decode(printed, type=tuple[float, float, float])
    table = Table(f"G22  a campaign of {MANY:,} people, in a fresh process")
    table.rows = [
        Row(peer="adding", median=f"{rate:,.0f}/s", goal="≥ 250,000/s", met=rate >= 250_000),
        Row(peer="resuming", median=f"{resumed:.2f} s", goal="≤ 1 s", met=resumed <= 1),
        Row(peer="memory", median=f"+{grown:.1f} MB", goal="≤ +40 MB", met=grown <= 40),
    ]
    return [table]


async def _million() -> None:
    """Print how many are added in a second, what resuming takes, and how memory grew."""
    before = _peak()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "campaign.db"
        with closing(Campaign.open(path)) as campaign:
            began = time.perf_counter()
            await campaign.add(_people(MANY), peers.text(0))
            rate = MANY / (time.perf_counter() - began)
        began = time.perf_counter()
        with closing(Campaign.open(path)) as campaign:
            await campaign.status()
        resumed = time.perf_counter() - began
    print(msgspec.json.encode((rate, resumed, _peak() - before)).decode())


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


async def g23(bench: Bench) -> list[Table]:
    lags: dict[str, list[float]] = {STREAM: [], CAMPAIGN: []}
    for _ in range(3):
        for name, run in ((STREAM, _stream), (CAMPAIGN, _campaign)):
            lags[name].append(await _lag(partial(run, bench.server.near, 500)))
    stream, campaign = min(lags[STREAM]), min(lags[CAMPAIGN])
    table = Table("G23  lag of the event loop, p99, no latency, 500 a request")
    met = campaign <= stream + 0.005
    table.rows = [
        Row(peer=STREAM, median=f"{stream * 1e3:.1f} ms"),
        Row(peer=CAMPAIGN, median=f"{campaign * 1e3:.1f} ms", goal="≤ stream + 5 ms", met=met),
    ]
    return [table]


async def _lag(run: Run) -> float:
    late: list[float] = []

    async def tick() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(TICK)
            late.append(time.perf_counter() - began - TICK)

    ticking = asyncio.create_task(tick())
    await run()
    ticking.cancel()
    return percentile(late, 99)


if __name__ == "__main__":
    asyncio.run(_million())
