"""Webhooks, parsed and received: G13 and G14."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any, cast
from urllib.parse import parse_qs, unquote

import msgspec

from .calls import Bench
from .tables import Goal, Row, Table, compare
from .timing import Lap, Run, Watch, computed, interleave, speed_ratio
from .webhook_apps import PARAMETERS, PATH

CONNECTIONS = 16
SECONDS = 0.15
# How fast the same server is differs from one start to the next, by a tenth and more.
GENERATIONS, ROUNDS = (
    6,
    4,
)
_SERVER_CORE = max(os.sched_getaffinity(0))  # looked at before this process takes its own core
_PUBLISHED = Path(__file__).parent.parent / "data" / "webhooks.json"
_DOCUMENTED = (
    "incoming sms",
    "incoming call",
    "link click",
    "qualification from mobile",
    "delivery status",
)


def _queries() -> dict[str, str]:
    published = {
        vector["name"]: vector["query"] for vector in json.loads(_PUBLISHED.read_text("utf-8"))
    }
    return {name: published[name] for name in _DOCUMENTED}


async def g13(_: Bench) -> list[Table]:
    from insim_async.webhooks import parse_webhook

    goal = Goal(at_least=3.5)
    table = Table("G13 parse one webhook from its raw query, beside the vendor's example")
    ratios = []
    for name, query in _queries().items():
        assert parse_webhook(query).raw == _vendors_example(query)
        ours, theirs = partial(parse_webhook, query.encode()), partial(_vendors_example, query)
        laps = await interleave(
            {"ours": computed(ours, 1), "theirs": computed(theirs, 1)}, rounds=40
        )
        ratios.append(speed_ratio(laps["ours"], laps["theirs"]))
        times = [
            median(lap.seconds / lap.messages for lap in laps[peer]) * 1e6
            for peer in ("ours", "theirs")
        ]
        table.rows.append(
            Row(
                peer=name, median="{:.2f} µs : {:.2f} µs".format(*times), ratio=f"{ratios[-1]:.2f}×"
            )
        )
    mean = geometric_mean(ratios)
    table.rows.append(
        Row(peer="geometric mean", ratio=f"{mean:.2f}×", goal=str(goal), met=goal.is_met(mean))
    )
    return [table]


def _vendors_example(query: str) -> Any:
    parameters = parse_qs(query)  # what a framework did before
    name = next(name for name in PARAMETERS if name in parameters)
    return json.loads(unquote(parameters[name][0]))


class _Peer(msgspec.Struct, frozen=True):
    """A server: its name, what starts it, and the modules it needs."""

    name: str
    command: str
    needs: tuple[str, ...] = ("uvicorn", "httptools")

    @property
    def missing(self) -> str:
        """Say what it lacks, in a word; empty if nothing."""
        return next(
            (
                f"{name} is not installed"
                for name in self.needs
                if not importlib.util.find_spec(name)
            ),
            "",
        )


# With --fd, uvicorn takes its socket for one of Unix, and Nagle's algorithm delays each answer.
_UVICORN = (
    "uvicorn --http httptools --loop asyncio --lifespan off --no-access-log "
    "--log-level warning --port {port} "
)
_FACTORY = f"--factory {__package__}.webhook_apps:"
_GUNICORN = (
    f"gunicorn --log-level warning --bind 127.0.0.1:{{port}} {__package__}.webhook_apps:flask()"
)
_OURS = _Peer("insim_async, one handler", f"{_UVICORN}{_FACTORY}ours")
_WAITING = _Peer("the same, a handler that waits once", f"{_UVICORN}{_FACTORY}waiting")
_NO_OP = _Peer("a no-op ASGI app", f"{_UVICORN}{_FACTORY}no_op")
_FASTAPI = _Peer(
    "FastAPI + pydantic", f"{_UVICORN}{_FACTORY}fastapi", needs=("uvicorn", "httptools", "fastapi")
)
_FLASK = _Peer("the vendor's Flask example, gunicorn", _GUNICORN, needs=("flask", "gunicorn"))
_THREADS = _Peer(
    "the same, gunicorn --threads 4", f"{_GUNICORN} --threads 4", needs=("flask", "gunicorn")
)
# Handlers run in a cancel scope, which costs as much as all else that is done for a webhook.
_GOALS = {
    _FLASK.name: Goal(at_least=6),
    _FASTAPI.name: Goal(at_least=2.2),
    _NO_OP.name: Goal(at_least=0.5),
}


async def g14(_bench: Bench) -> list[Table]:
    contenders = (_OURS, _WAITING, _NO_OP, _FASTAPI, _FLASK, _THREADS)
    absent = {peer.name: peer.missing for peer in contenders if peer.missing}
    title = (
        f"G14 webhooks received over {CONNECTIONS} connections, "
        "ASGI by uvicorn with httptools; CPU is the server's"
    )
    if _OURS.missing:
        return [
            Table(
                title,
                [Row(peer=peer, median=f"not measured: {why}") for peer, why in absent.items()],
            )
        ]
    busy: list[float] = []
    laps: dict[str, list[Lap]] = {peer.name: [] for peer in contenders if not peer.missing}
    for _ in range(GENERATIONS):
        with ExitStack() as stack:
            servers = {
                peer.name: stack.enter_context(_running(peer))
                for peer in contenders
                if not peer.missing
            }
            runs: dict[str, Run] = {
                name: partial(_lap, server, busy) for name, server in servers.items()
            }
            for name, more in (await interleave(runs, ROUNDS)).items():
                laps[name] += more
    table = compare(title, laps, _GOALS, unit="webhooks", absent=absent)
    table.rows.append(
        Row(peer="(the load generator", median=f"busy {max(busy):.0%} of the time at most)")
    )
    return [table]


class _Server(msgspec.Struct, frozen=True):
    """A running server and what it is sent."""

    pid: int
    port: int
    requests: list[bytes]

    def cpu(self) -> float:
        """Return how long it and its children have used the processor, in seconds."""
        return sum(_cpu(pid) for pid in _family(self.pid))


@contextmanager
def _running(peer: _Peer) -> Iterator[_Server]:
    rest = " HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
    requests = [f"GET {PATH}?{query}{rest}".encode() for query in _queries().values()]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])  # free, most likely, a moment later
    with _started(peer.command.format(port=port).split()) as process:
        try:
            _wait(port)
            yield _Server(process.pid, port, requests)
        finally:
            process.terminate()


def _started(arguments: list[str]) -> subprocess.Popen[bytes]:
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {_SERVER_CORE})  # it is handed down
    try:
        return subprocess.Popen([sys.executable, "-m", *arguments])
    finally:
        os.sched_setaffinity(0, ours)


def _wait(port: int, patience: float = 30.0) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from _family(int(child))


def _cpu(pid: int) -> float:
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


async def _lap(server: _Server, busy: list[float]) -> Lap:
    load = _Load(server)
    for _ in range(CONNECTIONS):
        await load.connect()
    before = server.cpu()
    with Watch() as watch:
        await asyncio.wait_for(load.carry(SECONDS), timeout=60)
    busy.append(watch.cpu / watch.seconds)
    load.close()
    return Lap(messages=load.answers, seconds=watch.seconds, cpu=server.cpu() - before)


class _Load:
    """Keeps connections busy: each gets its next request when it has the answer to the last."""

    def __init__(self, server: _Server) -> None:
        self._port = server.port
        self._requests = itertools.cycle(server.requests)
        self._lines: set[_Line] = set()
        self._reconnecting: set[asyncio.Task[None]] = set()
        self._done = asyncio.get_running_loop().create_future()
        self._waiting = CONNECTIONS
        self._end = 0.0
        self.answers = 0

    async def connect(self) -> None:
        await asyncio.get_running_loop().create_connection(
            lambda: _Line(self), "127.0.0.1", self._port
        )

    async def carry(self, seconds: float) -> None:
        self._end = time.perf_counter() + seconds
        for line in list(self._lines):
            self.ask(line)
        await self._done

    def close(self) -> None:
        for line in self._lines:
            line.transport.close()

    def made(self, line: _Line) -> None:
        self._lines.add(line)
        if self._end:  # it takes the place of one that the server closed
            self.ask(line)

    def ask(self, line: _Line) -> None:
        if time.perf_counter() < self._end:
            line.transport.write(next(self._requests))
            return
        self._waiting -= 1
        if not self._waiting:
            self._done.set_result(None)

    def answered(self, line: _Line, answer: bytes) -> None:
        assert answer.startswith(b"HTTP/1.1 200"), answer
        self.answers += 1
        if b"Connection: close" in answer:
            self._lines.discard(line)
            line.transport.close()
            task = asyncio.create_task(self.connect())
            self._reconnecting.add(task)
            task.add_done_callback(self._reconnecting.discard)
        else:
            self.ask(line)


class _Line(asyncio.Protocol):
    """A connection; it knows an answer by its end, which is the same for all servers."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._load.made(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(b"\r\n\r\nok\n"):
            answer, self._received = self._received, b""
            self._load.answered(self, answer)
