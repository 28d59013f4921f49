"""Run processes that live with an inbox, and end of themselves or are killed.

Each dies, if it does, at a point that was chosen.

Whoever runs this gives a line of JSON for each group of lives that begin together, and gets one
with how they ended. What a life did is in the lines that it wrote to its log, which outlive it.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import resource
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import msgspec

from insim_async import Clock, Retry
from insim_async.errors import InboxUnavailable
from insim_async.webhooks import Event, IncomingSms, WebhookRouter, new_secret
from insim_async.webhooks.inbox import Inbox, _run

GENERATION = 60.0
"""Seconds between the beginnings of two generations, by their clocks: more than a lease."""


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """What a process does, and when it dies.

    Attributes:
        path: The inbox.
        log: Where it writes down what it did.
        does: One of ``LIVES``.
        events: The numbers of the events that come in.
        repeats: How often each of them comes.
        generation: How many lives there were before.
        killed_at: A point, and the how-manieth time that it is reached; never by default.
        poison: The number of the event that ends the process of whoever handles it; the others take
            their time then.
        fault: Which mistake the program has.
    """

    path: str
    log: str
    does: str = "serve"
    events: list[int] = []
    repeats: int = 1
    generation: int = 0
    killed_at: tuple[str, int] = ("never", 0)
    poison: int | None = None
    fault: str = ""

    def say(self, *words: object) -> None:
        """Write a line that stays, whatever happens next."""
        log = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, " ".join(map(str, words)).encode() + b"\n")
        os.close(log)

    def open(self, **settings: Any) -> Inbox:
        """Open the inbox, on a clock that is later with each generation."""
        later = self.generation * GENERATION
        clock = Clock(now=lambda: time.monotonic() + later, wall=lambda: time.time() + later)
        return Inbox.open(self.path, clock=clock, **settings)


class Fate:
    """Counts how often each point of a life is reached, and kills at the one that was chosen."""

    def __init__(self, killed_at: tuple[str, int]) -> None:
        self.killed_at = killed_at
        self.counts: Counter[str] = Counter()

    def reached(self, point: str) -> None:
        """Go on, or die."""
        self.counts[point] += 1
        fatal = (point, self.counts[point]) == self.killed_at
        os.kill(os.getpid(), signal.SIGKILL if fatal else 0)


def number(event: Event) -> str:
    """Return which one it is."""
    return str(event.raw["message"])


def event(number: int) -> Event:
    """Return one of many events."""
    return IncomingSms(phone_number="+33639980001", message=str(number))


async def serve(life: Life, fate: Fate) -> None:
    """Take events in and handle them, until all are."""
    attempts = 1000 if life.poison is None else 3
    inbox = life.open(lease=10.0, retry=Retry(attempts=attempts, base=0.0, cap=0.0))
    router = WebhookRouter(secret=new_secret())

    @router.on(Event)
    async def handle(event: Event) -> None:
        fate.reached("in the handler")
        if life.poison is not None:
            if number(event) == str(life.poison):
                os._exit(3)  # pragma: no cover - nothing is noted after it
            await anyio.sleep(0.05)
        life.say("handled", number(event))
        fate.reached("before it is done")

    async def receive(put: Callable[[Event], Awaitable[object]], each: Event) -> None:
        await put(each)
        fate.reached("before 200")
        life.say("acknowledged", number(each))
        fate.reached("after 200")

    async with AsyncExitStack() as stack:
        behind = await stack.enter_async_context(anyio.create_task_group())
        put: Callable[[Event], Awaitable[object]] = inbox.put
        if life.fault == "acknowledges before the commit":
            put = functools.partial(in_the_background, behind, inbox.put)
        if life.fault == "is done before it is handled":
            handles = functools.partial(in_the_background, behind, router.dispatch)
            setattr(_run, "call_handlers", lambda router, event, *_: handles(event))  # noqa: B010 - a name it does not export
        await stack.enter_async_context(inbox.worker(router))
        async with anyio.create_task_group() as requests:
            for each in life.events * life.repeats:
                requests.start_soon(receive, put, event(each))
        while (counts := await inbox.counts()).waiting or counts.claimed:  # noqa: ASYNC110 - no event tells of it
            await anyio.sleep(0.005)
    inbox.close()


async def in_the_background(
    group: Any, function: Callable[[Event], Awaitable[object]], event: Event
) -> None:
    """Say that it is done, and do it later."""

    async def later() -> None:
        await anyio.sleep(0.2)  # by then what it was said of is on disk, even on a busy machine
        await function(event)

    group.start_soon(later)


async def fill_the_disk(life: Life, fate: Fate) -> None:
    """Put until nothing goes in any more, then make room."""
    inbox = life.open()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(life.path).stat().st_size + 20_000, before[1]))  # noqa: ASYNC240
    each = 0
    while await acknowledged(life, inbox, each):
        each += 1
    await acknowledged(life, inbox, each + 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    life.say("room again", await inbox.put(event(3000)), (await inbox.counts()).waiting)
    inbox.close()


async def acknowledged(life: Life, inbox: Inbox, number: int) -> bool:
    """Put an event, and say what came of it."""
    began = time.monotonic()
    try:
        await inbox.put(event(number))
    except InboxUnavailable as error:
        life.say("refused", number, round(time.monotonic() - began), error)
        return False
    life.say("acknowledged", number)
    return True


def fork(life: Life, fate: Fate) -> None:
    """Fork while a transaction is under way in another thread; then both put."""
    inbox = life.open()
    anyio.run(inbox.put, event(0))  # opens the connection
    begun, resume = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> bool:
        begun.set()
        return resume.wait(10)

    thread = threading.Thread(target=anyio.run, args=[inbox._do, slow])
    thread.start()
    begun.wait()
    threading.Timer(0.05, resume.set).start()
    child = os.fork()
    life.say("waited for the transaction", resume.is_set())
    life.say("child" if not child else "parent", anyio.run(inbox.put, event(1 if not child else 2)))
    inbox.close()
    if child:
        thread.join()
        life.say("ended with", os.waitpid(child, 0)[1])


LIVES: dict[str, Callable[[Life, Fate], object]] = {
    "serve": lambda life, fate: anyio.run(serve, life, fate),
    "fill the disk": lambda life, fate: anyio.run(fill_the_disk, life, fate),
    "fork": fork,
}


def live(life: Life) -> None:
    """Live, with a fate that watches every statement."""
    fate = Fate(life.killed_at)
    watch(fate, life.path)
    LIVES[life.does](life, fate)


def watch(fate: Fate, path: str) -> None:
    """Let a fate see each statement on a file."""

    class Watched(sqlite3.Connection):
        def __init__(self, where: Any, *args: Any, **more: Any) -> None:
            super().__init__(where, *args, **more)
            # What measures the coverage writes to such files too.
            ours = Path(path).name in str(where)
            self.set_trace_callback((lambda statement: fate.reached("statement")) if ours else None)

    sqlite3.connect = functools.partial(sqlite3.connect, factory=Watched)  # type: ignore[assignment]


def main() -> None:
    """Start lives, and wait for them."""
    orders = msgspec.json.Decoder(list[Life])
    anyio.run(anyio.sleep, 0)  # imports what each of them needs
    gc.freeze()
    for order in sys.stdin.buffer:
        processes = []
        for life in orders.decode(order):
            process = os.fork()
            if not process:
                live(life)
                return
            processes.append(process)
        endings = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
        print(json.dumps(endings), flush=True)


if __name__ == "__main__":
    main()
