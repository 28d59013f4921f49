"""Messages of many tasks that share requests: G17 to G20b, and G20d."""

from __future__ import annotations

import asyncio
import time
from statistics import median

from . import peers
from .calls import Bench
from .tables import Goal, Row, Table, Within, compare
from .timing import Lap, Watch

OURS, HTTPX, AIOHTTP = peers.OURS_BY_DEFAULT, peers.HTTPX_ON_8, peers.AIOHTTP_ON_8
FAR = "25 to 75 ms away"


async def g17(bench: Bench) -> list[Table]:
    """On eight connections so far away a thousand messages take six seconds: one each will do."""
    each = {OURS.name: 20, AIOHTTP.name: 1, peers.NPM: 20}
    laps, absent = await bench.race([OURS, AIOHTTP], bench.server.far, 1_000, each=each, rounds=3)
    goals = {AIOHTTP.name: Goal(at_least=60), peers.NPM: Goal(at_least=1.4)}
    return [compare(f"G17  1,000 tasks, {FAR}", laps, goals, absent=absent)]


async def g18(bench: Bench) -> list[Table]:
    contenders = [OURS, AIOHTTP, peers.BARE_PROTOCOL]
    laps, absent = await bench.race(contenders, bench.server.near, 1_000, seconds=0.7)
    goals = {
        AIOHTTP.name: Goal(at_least=4),
        peers.NPM: Goal(at_least=4),
        peers.BARE_PROTOCOL.name: Goal(at_least=1),
    }
    return [compare("G18  1,000 tasks, no latency", laps, goals, absent=absent)]


async def g19(bench: Bench) -> list[Table]:
    contenders = [OURS, HTTPX, AIOHTTP]
    near, absent = await bench.race(contenders, bench.server.near, 100, seconds=0.4, rounds=7)
    goals = {
        HTTPX.name: Goal(at_least=15),
        AIOHTTP.name: Goal(at_least=1.6),
        peers.NPM: Goal(at_least=1.5),
    }
    far, _ = await bench.race(contenders, bench.server.far, 100, seconds=1.0)
    far_goals = {
        HTTPX.name: Goal(at_least=9),
        AIOHTTP.name: Goal(at_least=9),
        peers.NPM: Goal(at_least=0.9),
    }
    within = Within(p99=0.150, connections=12)
    return [
        compare("G19  100 tasks, no latency", near, goals, absent=absent),
        compare(f"G19  100 tasks, {FAR}", far, far_goals, absent=absent, within=within),
    ]


async def g20(bench: Bench) -> list[Table]:
    contenders = [OURS, peers.HTTPX, peers.AIOHTTP]
    laps, absent = await bench.race(contenders, bench.server.near, 10, seconds=0.15, rounds=15)
    goals = {
        peers.HTTPX.name: Goal(at_least=8),
        peers.AIOHTTP.name: Goal(at_least=1.3),
        peers.NPM: Goal(at_least=3),
    }
    return [compare("G20  10 tasks, no latency", laps, goals, absent=absent)]


async def g20a(bench: Bench) -> list[Table]:
    contenders = [OURS, peers.HTTPX]
    near, goals = bench.server.near, {peers.HTTPX.name: Goal(at_least=1.2)}
    laps, _ = await bench.race(contenders, near, 1, seconds=0.15, npm=False, rounds=15)
    return [compare("G20a  1 task, through the one httpx.AsyncClient", laps, goals)]


async def g20b(bench: Bench) -> list[Table]:
    laps = [await _gathered(bench, 5_000) for _ in range(3)]
    seconds = median(lap.seconds for lap in laps)
    sent = min(lap.messages for lap in laps)
    table = Table(f"G20b  5,000 sends gathered at once, defaults, {FAR}")
    table.rows.append(
        Row(
            peer=OURS.name,
            median=f"{sent:,} sent in {seconds:.2f} s",
            goal="all, in ≤ 2 s",
            met=sent == 5_000 and seconds <= 2,
            p50=f"{median(lap.p50 for lap in laps):.2f} s",
            p99=f"{median(lap.p99 for lap in laps):.2f} s",
            connections=str(max(lap.connections for lap in laps)),
        )
    )
    return [table]


async def _gathered(bench: Bench, count: int) -> Lap:
    before = bench.server.counts().connections
    times: list[float] = []
    async with OURS.open(bench.server.far, 0) as send:

        async def one(i: int) -> None:
            started = time.perf_counter()
            await send(peers.number(i), peers.text(i))
            times.append(time.perf_counter() - started)

        with Watch() as watch:
            await asyncio.gather(*map(one, range(count)), return_exceptions=True)
    lap = watch.lap_of(times)
    lap.connections = bench.server.counts().connections - before
    return lap


async def g20d(bench: Bench) -> list[Table]:
    """One message a request on as many connections stands for a client without loads."""
    contenders = [OURS, HTTPX, AIOHTTP]
    laps, absent = await bench.race(contenders, bench.server.slow, 100, seconds=1.0, rounds=5)
    goals = {HTTPX.name: Goal(at_least=4), AIOHTTP.name: Goal(at_least=4)}
    title = f"G20d  100 tasks, {FAR} and 5 ms more for each message in a request"
    return [compare(title, laps, goals, absent=absent)]
