"""A hundred thousand messages, and a million: G7 and G8."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import httpx
import msgspec

from . import peers
from .calls import Bench
from .tables import Goal, Row, Table, compare
from .timing import Lap, Run, Watch, interleave

AT_ONCE = 8
COUNT = 100_000
JSON, MSGSPEC = "httpx + json", "httpx + msgspec, no ids, no checks"

T = TypeVar("T")
Loop = Callable[[], Awaitable[int]]
"""Sends the whole list that it was opened with and returns how many messages were sent."""


async def g7(bench: Bench) -> list[Table]:
    goals = {JSON: Goal(at_least=1.2), MSGSPEC: Goal(at_least=0.75), peers.NPM: Goal(at_least=0.65)}
    return [await _race(bench, 500, goals), await _race(bench, 100, {}, rounds=5)]


async def _race(bench: Bench, size: int, goals: Mapping[str, Goal], rounds: int = 7) -> Table:
    contenders = {
        "insim_async, stream": _ours_stream,
        "insim_async, send_many (a list back)": _ours_send_many,
        JSON: _httpx_json,
        MSGSPEC: _httpx_msgspec,
        "asyncio.Protocol + msgspec": _bare_protocol,
    }
    runs: dict[str, Run] = {
        name: partial(_lap, loop, bench.server.near, size) for name, loop in contenders.items()
    }
    absent = {}
    if missing := bench.npm.missing():
        absent[peers.NPM] = missing
    else:
        runs[peers.NPM] = partial(
            bench.npm.lap, bench.server.near, tasks=AT_ONCE, size=size, count=COUNT
        )
    title = (
        f"G7  {COUNT:,} messages in bulk, {size} a request, {AT_ONCE} requests at once, no latency"
    )
    return compare(title, await interleave(runs, rounds), goals, absent=absent)


async def _lap(
    loop: Callable[[str, int], AbstractAsyncContextManager[Loop]], url: str, size: int
) -> Lap:
    async with loop(url, size) as send_all:
        with Watch() as watch:
            sent = await send_all()
    assert sent == COUNT
    return watch.lap(sent)


@asynccontextmanager
async def _ours_send_many(url: str, size: int) -> AsyncIterator[Loop]:
    from insim_async import AsyncInSim, Sms

    messages = [Sms(peers.number(i), peers.text(i)) for i in range(COUNT)]
    key = peers.ACCESS_KEY
    async with AsyncInSim(
        peers.LOGIN, key, base_url=url, batch_size=size, max_concurrency=AT_ONCE
    ) as insim:

        async def send_all() -> int:
            return (await insim.send_many(messages)).sent

        yield send_all


@asynccontextmanager
async def _ours_stream(url: str, size: int) -> AsyncIterator[Loop]:
    from insim_async import AsyncInSim, Sms, Status

    messages = [Sms(peers.number(i), peers.text(i)) for i in range(COUNT)]
    key = peers.ACCESS_KEY
    async with AsyncInSim(
        peers.LOGIN, key, base_url=url, batch_size=size, max_concurrency=AT_ONCE
    ) as insim:

        async def send_all() -> int:
            sent = 0
            async for outcome in insim.stream(messages):
                if outcome.status is Status.SENT:
                    sent += 1
            return sent

        yield send_all


@asynccontextmanager
async def _httpx_json(url: str, size: int) -> AsyncIterator[Loop]:
    messages = [{"phone_number": peers.number(i), "message": peers.text(i)} for i in range(COUNT)]
    async with httpx.AsyncClient(timeout=60) as client:

        async def send(batch: Sequence[Any]) -> int:
            answer = await client.post(
                url + peers.SENDSMS, json={"header": peers.HEADER, "messages": batch}
            )
            return sum(receipt["sent"] for receipt in answer.json())

        yield partial(_in_batches, messages, size, send)


@asynccontextmanager
async def _httpx_msgspec(url: str, size: int) -> AsyncIterator[Loop]:
    messages = [peers.Outgoing(peers.number(i), peers.text(i)) for i in range(COUNT)]
    headers = {"Content-Type": "application/json"}
    async with httpx.AsyncClient(timeout=60, headers=headers) as client:

        async def send(batch: list[peers.Outgoing]) -> int:
            body = peers.encode_request(peers.SendRequest(batch))
            answer = await client.post(url + peers.SENDSMS, content=body)
            return sum(receipt.sent for receipt in peers.decode_receipts(answer.content))

        yield partial(_in_batches, messages, size, send)


@asynccontextmanager
async def _bare_protocol(url: str, size: int) -> AsyncIterator[Loop]:
    messages = [peers.Outgoing(peers.number(i), peers.text(i)) for i in range(COUNT)]
    async with peers.lines(url, AT_ONCE) as free:

        async def send(batch: list[peers.Outgoing]) -> int:
            line = free.pop()
            answer = await line.post(peers.encode_request(peers.SendRequest(batch)))
            free.append(line)
            return sum(receipt.sent for receipt in peers.decode_receipts(answer))

        yield partial(_in_batches, messages, size, send)


async def _in_batches(
    messages: list[T], size: int, send: Callable[[list[T]], Awaitable[int]]
) -> int:
    batches = (messages[start : start + size] for start in range(0, len(messages), size))
    return sum(await asyncio.gather(*(_work(batches, send) for _ in range(AT_ONCE))))


async def _work(batches: Iterable[list[T]], send: Callable[[list[T]], Awaitable[int]]) -> int:
    sent = 0
    for batch in batches:
        sent += await send(batch)
    return sent


async def g8(bench: Bench) -> list[Table]:
    table = Table("G8  memory: peak over what the import took, in a fresh process")
    few, many = (_grown(bench, "stream", count) for count in (100_000, 1_000_000))
    table.rows = [
        Row(peer="stream, 100,000", median=_megabytes(few)),
        Row(peer="stream, 1,000,000", median=_megabytes(many), goal="≤ 35 MB", met=many <= 35e6),
        Row(
            peer="1,000,000 : 100,000",
            median=f"{many / few:.2f}×",
            goal="≤ 1.1×",
            met=many / few <= 1.1,
        ),
        Row(
            peer="list in, send_many, 1,000,000",
            median=_megabytes(_grown(bench, "send_many", 1_000_000)),
        ),
    ]
    return [table]


def _grown(bench: Bench, way: str, count: int) -> int:
    command = [sys.executable, "-m", f"{__package__}.memory", way, str(count), bench.server.near]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return msgspec.json.decode(printed, type=int)


def _megabytes(size: int) -> str:
    return f"+{size / 1e6:.1f} MB"
