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
from .tables import Goal, Row, Table, compare
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
        seconds: float,
        npm: bool = True,
        rounds: int = 5,
    ) -> tuple[Laps, Mapping[str, str]]:
        """Let peers send with ``tasks`` at once; return their laps, and why others are absent."""
        absent = {peer.name: peer.missing for peer in contenders if peer.missing}
        runs: dict[str, Run] = {
            peer.name: partial(self._lap, peer, url, tasks, seconds)
            for peer in contenders
            if not peer.missing
        }
        if npm and (missing := self.npm.missing()):
            absent[peers.NPM] = missing
        elif npm:
            runs[peers.NPM] = partial(self.npm.lap, url, tasks=tasks, seconds=seconds)
        return await interleave(runs, rounds), absent

    async def _lap(self, peer: Peer, url: str, tasks: int, seconds: float) -> Lap:
        before = self.server.counts().connections
        async with peer.open(url, tasks) as send:
            await asyncio.gather(*(send(peers.number(i), peers.text(i)) for i in range(tasks)))
            with Watch() as watch:
                end = time.perf_counter() + seconds
                sent = await asyncio.gather(*(_until(end, send) for _ in range(tasks)))
        lap = watch.lap(sum(sent))
        lap.connections = self.server.counts().connections - before
        return lap


async def _until(end: float, send: peers.Caller) -> int:
    sent = 0
    while time.perf_counter() < end:
        assert await send(peers.number(sent), peers.text(sent))
        sent += 1
    return sent


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
        peers.HTTPX.name: Goal(at_least=1.2),  # through the one httpx.AsyncClient: G20a
        peers.REQUESTS.name: Goal(at_least=1.1),
        peers.INSIM_CLI.name: Goal(at_least=1.0),
    }
    return [
        compare(
            "G2  one message per call, 1 task, no latency (and G20a)", laps, goals, absent=absent
        )
    ]


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
        peers.HTTPX_MATCHING.name: Goal(at_least=8),
        peers.AIOHTTP.name: Goal(at_least=0.5),
        peers.NPM: Goal(at_least=0.5),
    }
    return [compare("G4  100 tasks, 25 to 75 ms away", laps, goals, absent=absent)]


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
        elif name != peers.NPM:
            table.rows.append(Row(peer=name, median=str(most)))
    return table


async def g6(bench: Bench) -> list[Table]:
    table = Table("G6  sends gathered at once with the defaults, no latency")
    for count in (1_000, 5_000):
        failed = await _gathered_ours(bench.server.near, count)
        table.rows.append(_gathered(peers.OURS.name, count, failed, goal="all succeed"))
    table.rows.append(
        _gathered(peers.HTTPX.name, 1_000, await _gathered_httpx(bench.server.near, 1_000))
    )
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
