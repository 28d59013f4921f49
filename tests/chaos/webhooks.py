"""Attacks on the inbox: its processes are killed and stopped, its disk and clock fail.

Senders go on until each event is answered 200; then all that was acknowledged must be handled, and
be there once.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path

import msgspec

from insim_async.webhooks import IncomingSms, build_webhook

from .app import LEASE, SECRET, open_inbox

HERE = Path(__file__).parent
"""Both servers import from where they run; run at the top, they would take the sources."""
SENDERS = 8
PATIENCE = 300.0
UVICORN = "uvicorn --factory app:create_app --fd {fd} --log-level critical"
GUNICORN = (
    "gunicorn app:create_app() --worker-class asgi --workers 2 "
    "--limit-request-line 0 --bind fd://{fd} --log-level critical --graceful-timeout 10"
)


class Row(msgspec.Struct, kw_only=True):
    """What came of an attack."""

    attack: str
    blows: int
    acknowledged: int
    refused: int
    lost: int
    missing: int
    left: int
    again: int
    seconds: float

    @property
    def broken(self) -> bool:
        return bool(self.lost or self.missing or self.left)

    def __str__(self) -> str:
        verdict = "BROKEN" if self.broken else "ok"
        return (
            f"{self.attack:<36} {self.blows:>5} {self.acknowledged:>13,} {self.refused:>8,} "
            f"{self.lost:>5} {self.missing:>8} {self.left:>5} {self.again:>14} "
            f"{self.seconds:>7.0f} s  {verdict}"
        )


HEADING = (
    f"{'attack':<36} {'blows':>5} {'acknowledged':>13} {'refused':>8} "
    f"{'lost':>5} {'missing':>8} {'left':>5} {'handled again':>14}"
)


class Server:
    """An app in processes of its own, which are killed and started anew on one socket."""

    def __init__(self, folder: Path, command: str, fault: str) -> None:
        self.folder = folder
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self.listener.getsockname()[1])
        self._command = command.format(fd=self.listener.fileno()).split()
        self._environment = os.environ | {"CHAOS_FOLDER": str(folder), "CHAOS_FAULT": fault}
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self._command],
            cwd=HERE,
            env=self._environment,
            pass_fds=[self.listener.fileno()],
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )
        return self.process

    def workers(self) -> list[int]:
        """The processes that run the app: children of the first, or that itself."""
        pid = self.process.pid
        with suppress(OSError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return [int(child) for child in children] or [pid]
        return [pid]

    def kill_all(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        self.kill_all()
        self.start()

    def stop(self) -> None:
        """Stop as a supervisor does."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill_all()

    def close(self) -> None:
        self.kill_all()
        self.listener.close()


class Senders:
    """Send events, each until it is answered 200, as inSIM would."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._numbers = iter(range(10**9))
        self.acknowledged: list[int] = []
        self.refused = 0
        self.stopping = False

    async def send_all(self) -> None:
        await asyncio.gather(*(self._send() for _ in range(SENDERS)))

    async def _send(self) -> None:
        while not self.stopping:
            number = next(self._numbers)
            sms = IncomingSms(phone_number="+33639980001", message=str(number))
            target = f"/insim/{SECRET}?{build_webhook(sms)}"
            while await self._status(target) != 200:
                self.refused += 1
                await asyncio.sleep(0.02)
            self.acknowledged.append(number)
            await asyncio.sleep(0.002)

    async def _status(self, target: str) -> int:
        with suppress(OSError, TimeoutError, ValueError, IndexError):
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    request = f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                    writer.write(request.encode())
                    return int((await reader.readline()).split()[1])
                finally:
                    writer.close()
                    with suppress(OSError):
                        await writer.wait_closed()
        return 0


Blow = Callable[[Server, random.Random], Awaitable[None]]


@asynccontextmanager
async def sending(port: int) -> AsyncIterator[Senders]:
    senders = Senders(port)
    task = asyncio.create_task(senders.send_all())
    try:
        yield senders
    finally:
        senders.stopping = True
        await task


async def kill(server: Server, chance: random.Random) -> None:
    """Kill the process that runs the app, or the whole family."""
    workers = server.workers()
    if workers == [server.process.pid] or chance.random() < 0.2:
        server.restart()
    else:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(workers), signal.SIGKILL)


async def stop(server: Server, chance: random.Random) -> None:
    """Stop it as a deployment does, and start it anew."""
    await asyncio.to_thread(server.stop)
    server.restart()


async def freeze(server: Server, chance: random.Random) -> None:
    """Let a process stand still for longer than its leases, and go on as if nothing were."""
    victim = chance.choice(server.workers())
    with suppress(ProcessLookupError):
        os.kill(victim, signal.SIGSTOP)
        await asyncio.sleep(LEASE * 1.5)
        os.kill(victim, signal.SIGCONT)


async def lock(server: Server, chance: random.Random) -> None:
    """Hold the file as another program may, for longer than anybody waits for it."""
    with closing(sqlite3.connect(server.folder / "inbox.db", isolation_level=None)) as program:
        with suppress(sqlite3.OperationalError):
            program.execute("BEGIN EXCLUSIVE")
        await asyncio.sleep(2.5)


async def give_a_log(server: Server, chance: random.Random) -> None:
    """Set a write-ahead log, as a tool may; then kill."""
    with closing(sqlite3.connect(server.folder / "inbox.db", isolation_level=None)) as tool:
        with suppress(sqlite3.OperationalError):
            tool.execute("PRAGMA journal_mode = WAL")
            tool.execute("SELECT count(*) FROM events").fetchone()
        await asyncio.sleep(0.3)
        await kill(server, chance)


async def back_up(server: Server, chance: random.Random) -> None:
    """Copy the file while it is written, and look whether the copy is whole; then kill."""
    copy = server.folder / f"copy-{time.monotonic_ns()}.db"
    command = f"-m insim_async.webhooks inbox backup {server.folder}/inbox.db {copy}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command.split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    await process.wait()
    if copy.exists():
        with closing(sqlite3.connect(copy)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    await kill(server, chance)


def fill(server: Server, chance: random.Random) -> Awaitable[None]:
    """Let the file of a running process not grow any more, for a while, as on a full disk."""

    async def blow() -> None:
        import resource

        pids = server.workers()
        for pid in pids:
            with suppress(OSError):
                size = (server.folder / "inbox.db").stat().st_size
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        await asyncio.sleep(1.0)
        for pid in pids:
            with suppress(OSError):
                everything = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, everything)

    return blow()


ATTACKS: list[tuple[str, str, Blow, float]] = [
    ("kill -9, uvicorn", UVICORN, kill, 0.35),
    ("kill -9, gunicorn with 2 workers", GUNICORN, kill, 0.35),
    ("SIGTERM, uvicorn", UVICORN, stop, 0.05),
    ("SIGTERM, gunicorn with 2 workers", GUNICORN, stop, 0.05),
    ("stands still beyond its lease", GUNICORN, freeze, 0.03),
    ("file locked for 2.5 s", GUNICORN, lock, 0.03),
    ("disk full for 1 s", UVICORN, fill, 0.03),
    ("a tool sets WAL, then kill -9", GUNICORN, give_a_log, 0.05),
    ("backup while it writes, then kill -9", GUNICORN, back_up, 0.05),
]
"""Each with its share of the kills that were asked for; plain processes have the rest of them."""


async def under_attack(
    name: str, command: str, blow: Blow, blows: int, chance: random.Random, fault: str = ""
) -> Row:
    """Strike that often while events come in, and see what is left of them."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Server(Path(folder), command, fault)) as server,
    ):
        async with sending(server.port) as senders:
            for _ in range(blows):
                seen = len(senders.acknowledged)
                async with asyncio.timeout(PATIENCE):
                    while len(senders.acknowledged) < seen + 5:  # noqa: ASYNC110 - no event tells of it
                        await asyncio.sleep(0.01)
                await asyncio.sleep(chance.random() * 0.3)
                await blow(server, chance)
        await settled(server.folder)
        await asyncio.to_thread(server.stop)
        return told(name, blows, server.folder, senders, time.monotonic() - began)


async def settled(folder: Path) -> None:
    """Wait until everything is handled."""
    with closing(open_inbox(folder)) as inbox:
        async with asyncio.timeout(PATIENCE):
            while (counts := await inbox.counts()).waiting or counts.claimed:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)


def told(name: str, blows: int, folder: Path, senders: Senders, seconds: float) -> Row:
    log = folder / "handled"
    lines = log.read_text().splitlines() if log.exists() else []
    handled = Counter(int(line.split()[0]) for line in lines)
    with closing(sqlite3.connect(folder / "inbox.db")) as database:
        rows = dict(database.execute("SELECT key, state FROM events").fetchall())
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    keys = {line.split()[1] for line in lines}
    return Row(
        attack=name,
        blows=blows,
        acknowledged=len(senders.acknowledged),
        refused=senders.refused,
        lost=len(set(senders.acknowledged) - set(handled)),
        missing=len(keys - set(rows)),
        left=sum(state != "done" for state in rows.values()),
        again=sum(handled.values()) - len(handled),
        seconds=seconds,
    )


def plain_processes(kills: int, chance: random.Random) -> Row:
    """Kill processes that do nothing else, at a random statement, on a clock that jumps."""
    from tests.faults.test_inbox import Lives, Story

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        lives, story = Lives(), Story(Path(folder))
        killed, generation = 0, 0
        while killed < kills:
            each = range(generation * 4, generation * 4 + 6)
            point = ("statement", chance.randrange(8, 120))
            life = story.life(events=list(each), repeats=2, generation=generation, killed_at=point)
            killed += lives.live(life) == [-signal.SIGKILL]
            generation += 1
        assert lives.live(story.life(generation=generation)) == [0]
        lives.process.communicate()
        acknowledged, handled = story.said("acknowledged"), Counter(story.said("handled"))
        states = [state for _, state in story.rows()]
        return Row(
            attack="kill -9, plain processes, clock jumps",
            blows=killed,
            acknowledged=len(set(acknowledged)),
            refused=0,
            lost=len(set(acknowledged) - set(handled)),
            missing=0,
            left=sum(state != "done" for state in states),
            again=sum(handled.values()) - len(handled),
            seconds=time.monotonic() - began,
        )


def shares(kills: int) -> Iterator[tuple[Callable[..., Awaitable[Row]], int]]:
    for name, command, blow, share in ATTACKS:
        yield partial(under_attack, name, command, blow), max(1, round(kills * share))


async def attack(kills: int, seed: int, fault: str) -> int:
    """Do all attacks, print a row for each, and return 1 if a promise was broken."""
    print(HEADING, flush=True)
    rows = [await asyncio.to_thread(plain_processes, kills // 3, random.Random(seed))]
    print(rows[0], flush=True)
    for strike, blows in shares(kills):
        rows.append(await strike(blows, random.Random(seed), fault))
        print(rows[-1], flush=True)
    return int(any(row.broken for row in rows))
