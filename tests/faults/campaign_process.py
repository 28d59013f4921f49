"""Run processes that send a campaign, and end of themselves or are killed.

Whoever runs this gives a line of JSON for each life, and gets one with how it ended. What a life
reported is in the lines that it wrote to its log.
"""

from __future__ import annotations

import functools
import gc
import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
import msgspec

from insim_async import AsyncInSim, Contact
from insim_async.campaigns import Campaign, MessageStatus
from insim_async.campaigns._states import MOVES, Move
from tests.faults.inbox_process import Fate, watch

TEXT = "Bonjour, à demain !"
FAULTS: dict[str, dict[Move, tuple[tuple[MessageStatus, ...], MessageStatus]]] = {
    "": {},
    "recovers to pending": {Move.LOSE: ((MessageStatus.IN_FLIGHT,), MessageStatus.PENDING)},
    "marks nothing before it sends": {
        Move.CLAIM: ((MessageStatus.PENDING,), MessageStatus.PENDING),
        Move.ANSWER_SENT: ((MessageStatus.PENDING, MessageStatus.UNKNOWN), MessageStatus.SENT),
    },
}
"""Mistakes that a ledger could have; each has to be found."""


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """What a process does, and when it dies.

    Attributes:
        path: The campaign.
        log: Where it writes down how it ended.
        url: The gateway.
        people: How many there are.
        slots: Requests at a time.
        batch: Messages in each.
        killed_at: A point, and the how-manieth time that it is reached; never by default.
        killed_after: Seconds; never by default.
        fault: Which mistake the program has.
    """

    path: str
    log: str
    url: str
    people: int
    slots: int = 4
    batch: int = 10
    killed_at: tuple[str, int] = ("never", 0)
    killed_after: float | None = None
    fault: str = ""


L = TypeVar("L", bound=Life)


async def send(life: Life, fate: Fate) -> None:
    """Send what is left of a campaign."""

    async def reached(point: str, _: Any) -> None:
        fate.reached(point)

    campaign = Campaign.open(life.path)
    people = [Contact(f"+336{39980000 + place}") for place in range(life.people)]
    await campaign.add(people, TEXT)
    async with AsyncInSim(
        "me", "key", base_url=life.url, batch_size=life.batch, max_concurrency=life.slots
    ) as insim:
        insim.http_client.event_hooks = {
            "request": [functools.partial(reached, "before the request")],
            "response": [functools.partial(reached, "before the answer is read")],
        }
        report = await campaign.run(insim)
    campaign.close()
    Path(life.log).write_text(str(report))  # noqa: ASYNC240 - the end


def live(life: L, act: Callable[[L, Fate], Awaitable[None]]) -> None:
    """Live, with a fate that watches every statement."""
    logging.disable()  # what is unknown is known to the story
    cast(dict[Move, Any], MOVES).update(FAULTS[life.fault])
    fate = Fate(life.killed_at)
    watch(fate, life.path)
    anyio.run(act, life, fate)


def warm_up(url: str, kind: type[L], act: Callable[[L, Fate], Awaitable[None]]) -> None:
    """Import what each of them needs, which takes longer than a life."""
    with tempfile.TemporaryDirectory() as folder:
        life = kind(path=f"{folder}/warm.db", log=f"{folder}/report", url=url, people=1, slots=1)
        apart(anyio.run, act, life, Fate(life.killed_at))
    gc.freeze()


def apart(function: Callable[..., object], *args: object) -> None:
    """Call it in a thread: where a task is cancelled within, 3.11 no longer traces its callers."""
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join()


def main(kind: type[L], act: Callable[[L, Fate], Awaitable[None]]) -> None:
    """Start lives, one after the other, and wait for each."""
    order = msgspec.json.Decoder(kind)
    is_warm = False
    for line in sys.stdin.buffer:
        life = order.decode(line)
        if not is_warm:
            warm_up(life.url, kind, act)
            is_warm = True
        process = os.fork()
        if not process:
            apart(live, life, act)
            return
        if life.killed_after is not None:
            time.sleep(life.killed_after)
            os.kill(process, signal.SIGKILL)
        ending = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        print(json.dumps(ending), flush=True)


if __name__ == "__main__":
    main(Life, send)
