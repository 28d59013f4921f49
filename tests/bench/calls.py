"""One message per call: G1 to G6."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial

import httpx

from . import peers
from .npm import Npm
from .peers import Peer
from .server import Server
from .tables import Goal, Row, Table, Within, compare
from .timing import Lap, Laps, Run, Watch, interleave


class Bench:
    """What all subjects share, and what one of them measured that another shows too."""

    def __init__(self, server: Server, npm: Npm) -> None:
        self.server = server
        self.npm = npm
        self._far: dict[int, tuple[Laps, Mapping[str, str]]] = {}

    async def far(self, tasks: int) -> tuple[Laps, Mapping[str, str]]:
        """Measure ``tasks`` callers over the latency of a network, once."""
        if tasks not in self._far:
            contenders = (peers.OURS, peers.HTTPX_MATCHING, peers.AIOHTTP, peers.BARE_PROTOCOL)
            self._far[tasks] = await self.race(contenders, self.server.far, tasks, seconds=1.0)
        return self._far[tasks]

    async def race(
        self,
        contenders: Sequence[Peer],
        url: str,
        tasks: int,
        *,
        seconds: float = 60.0,
        each: Mapping[str, int] | None = None,
        npm: bool = True,
        rounds: int = 5,
    ) -> tuple[Laps, Mapping[str, str]]:
        """Let peers send with ``tasks`` at once; return their laps, and why others are absent.

        Args:
            contenders: Ours first.
            url: Where to.
            tasks: Each sends again as soon as it has its answer.
            seconds: When they stop.
            each: By peer, after how many sends a task stops.
            npm: Whether the npm package sends too, on as many connections as there are tasks.
            rounds: That count.
        """
        most = each or {}
        absent = {peer.name: peer.missing for peer in contenders if peer.missing}
        runs: dict[str, Run] = {
            peer.name: partial(
                self._lap, peer, url, tasks, seconds=seconds, each=most.get(peer.name)
            )
            for peer in contenders
            if not peer.missing
        }
        if npm and (missing := self.npm.missing()):
            absent[peers.NPM] = missing
        elif npm:
            order = {"tasks": tasks, "seconds": seconds}
            order |= {"each": most[peers.NPM]} if peers.NPM in most else {}
            runs[peers.NPM] = partial(self._npm_lap, url, order)
        return await interleave(runs, rounds), absent

    async def _lap(
        self, peer: Peer, url: str, tasks: int, *, seconds: float, each: int | None
    ) -> Lap:
        before = self.server.counts().connections
        slots = peer.slots or tasks
        times: list[float] = []
        async with peer.open(url, slots) as send:
            warm = min(slots, tasks)
            await asyncio.gather(*(send(peers.number(i), peers.text(i)) for i in range(warm)))
            with Watch() as watch:
                end = time.perf_counter() + seconds
                await asyncio.gather(*(_until(end, each, send, times) for _ in range(tasks)))
        lap = watch.lap_of(times)
        lap.connections = self.server.counts().connections - before
        return lap

    async def _npm_lap(self, url: str, order: Mapping[str, float]) -> Lap:
        before = self.server.counts().connections
        lap = await self.npm.lap(url, **order)
        lap.connections = self.server.counts().connections - before
        return lap


async def _until(end: float, most: int | None, send: peers.Caller, times: list[float]) -> None:
    """Send until the end, or so many times at most; note how long each took."""
    sent = 0
    while (started := time.perf_counter()) < end and sent != most:
        assert await send(peers.number(sent), peers.text(sent))
        times.append(time.perf_counter() - started)
        sent += 1


async def g1(bench: Bench) -> list[Table]:
    contenders = (peers.OURS, peers.HTTPX, peers.AIOHTTP, peers.BARE_PROTOCOL)
    laps, absent = await bench.race(contenders, bench.server.near, 10, seconds=0.15, rounds=15)
    goals = {peers.HTTPX.name: Goal(at_least=0.95)}
    return [compare("G1  one message per call, 10 tasks, no latency", laps, goals, absent=absent)]


async def g2(bench: Bench) -> list[Table]:
    contenders = (
        peers.OURS,
        peers.HTTPX,
        peers.REQUESTS,
        peers.INSIM_CLI,
        peers.AIOHTTP,
        peers.BARE_PROTOCOL,
    )
    laps, absent = await bench.race(contenders, bench.server.near, 1, seconds=0.15, rounds=15)
    goals = {
        peers.HTTPX.name: Goal(at_least=0.95),
        peers.REQUESTS.name: Goal(at_least=1.1),
        peers.INSIM_CLI.name: Goal(at_least=1.0),
    }
    return [compare("G2  one message per call, 1 task, no latency", laps, goals, absent=absent)]


async def g3(bench: Bench) -> list[Table]:
    laps, absent = await bench.far(50)
    goals = {peers.HTTPX_MATCHING.name: Goal(at_least=6), peers.AIOHTTP.name: Goal(at_least=0.85)}
    return [
        compare(
            "G3  50 tasks, 25 to 75 ms away",
            laps,
            goals,
            absent=absent,
            limit=peers.BARE_PROTOCOL.name,
        )
    ]


async def g4(bench: Bench) -> list[Table]:
    laps, absent = await bench.far(100)
    goals = {
        peers.HTTPX_MATCHING.name: Goal(at_least=20),
        peers.AIOHTTP.name: Goal(at_least=1, cpu_at_most=0.7),
        peers.NPM: Goal(at_least=0.97),
        peers.BARE_PROTOCOL.name: Goal(at_least=0.97),
    }
    title = "G4  100 tasks, 25 to 75 ms away"
    return [compare(title, laps, goals, absent=absent, within=Within(connections=20))]


async def g5(bench: Bench) -> list[Table]:
    return [await _connections(bench, tasks) for tasks in (50, 100)]


async def _connections(bench: Bench, tasks: int) -> Table:
    laps, _ = await bench.far(tasks)
    default, _ = await bench.race(
        [peers.HTTPX], bench.server.far, tasks, seconds=1.0, npm=False, rounds=1
    )
    table = Table(
        f"G5  connections opened with {tasks} tasks, 25 to 75 ms away (most in any round)"
    )
    for name, theirs in {**laps, "httpx, default pool": default[peers.HTTPX.name]}.items():
        most = max(lap.connections for lap in theirs)
        if name == peers.OURS.name:
            table.rows.append(
                Row(peer=name, median=str(most), goal=f"≤ {tasks + 1}", met=most <= tasks + 1)
            )
        else:
            table.rows.append(Row(peer=name, median=str(most)))
    return table


async def g6(bench: Bench) -> list[Table]:
    table = Table("G6  sends gathered at once with the defaults, no latency and 25 to 75 ms away")
    for where, url in {"": bench.server.near, ", far": bench.server.far}.items():
        for count in (1_000, 5_000):
            failed = await _gathered_ours(url, count)
            table.rows.append(_gathered(peers.OURS.name + where, count, failed, goal="all succeed"))
    failed = await _gathered_httpx(bench.server.near, 1_000)
    table.rows.append(_gathered(peers.HTTPX.name, 1_000, failed))
    return [table]


def _gathered(peer: str, count: int, failures: list[str], *, goal: str = "") -> Row:
    why = ", ".join(sorted(set(failures)))
    return Row(
        peer=peer,
        median=f"{count - len(failures):,} of {count:,} succeed" + f" ({why})" * bool(why),
        goal=goal,
        met=not failures if goal else None,
    )


async def _gathered_ours(url: str, count: int) -> list[str]:
    from insim_async import AsyncInSim

    async with AsyncInSim(peers.LOGIN, peers.ACCESS_KEY, base_url=url) as insim:
        sends = (insim.send_sms(peers.number(i), peers.text(i)) for i in range(count))
        return _failures(await asyncio.gather(*sends, return_exceptions=True))


async def _gathered_httpx(url: str, count: int) -> list[str]:
    message = {
        "header": peers.HEADER,
        "messages": [{"phone_number": peers.number(1), "message": peers.text(1)}],
    }
    async with httpx.AsyncClient() as client:
        sends = (client.post(url + peers.SENDSMS, json=message) for _ in range(count))
        return _failures(await asyncio.gather(*sends, return_exceptions=True))


def _failures(answers: Sequence[object]) -> list[str]:
    return [type(answer).__name__ for answer in answers if isinstance(answer, BaseException)]
