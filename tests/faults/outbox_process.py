"""Run processes that put into an outbox and send from it, and end of themselves or are killed.

Whoever runs this gives a line of JSON for each life, and gets one with how it ended. What was put
is in the log before anything else happens.
"""

from __future__ import annotations

import functools
import os
from typing import Any

import anyio

from insim_async import AsyncInSim, Sms
from insim_async.campaigns import _ledger, _run
from insim_async.outbox import Outbox, _worker
from tests.faults import campaign_process
from tests.faults.inbox_process import Fate

QUICKLY = 0.02
"""Seconds between two looks of those that stand by, so that many lives take little time."""


class Life(campaign_process.Life, frozen=True, kw_only=True):
    """What a process does, and when it dies; ``people`` is how many messages it puts.

    Attributes:
        first: The number of the first of them; by default none that a story has.
    """

    first: int = -1000


def note(path: str, sms_id: str) -> None:
    """Write down that something was put, whatever becomes of this process."""
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, f"{sms_id}\n".encode())
    os.close(log)


async def serve(life: Life, fate: Fate) -> None:
    """Put messages, and work until all that is there has its end."""

    async def reached(point: str, _: Any) -> None:
        fate.reached(point)

    async def put(place: int) -> None:
        sms_id = f"booking-{place}"
        await outbox.put(Sms(f"+336{39980000 + place % 10_000}", "C'est réservé.", sms_id=sms_id))
        note(life.log, sms_id)
        fate.reached("behind a put")

    for room in (_ledger, _run, _worker):
        for name in {"BUSY_FOR", "POLL"} & vars(room).keys():
            setattr(room, name, QUICKLY)
    outbox = Outbox.open(life.path)
    insim = AsyncInSim(
        "me", "key", base_url=life.url, batch_size=life.batch, max_concurrency=life.slots
    )
    async with insim, outbox.worker(insim):
        insim.http_client.event_hooks = {
            "request": [functools.partial(reached, "before the request")],
            "response": [functools.partial(reached, "before the answer is read")],
        }
        async with anyio.create_task_group() as group:
            for place in range(life.first, life.first + life.people):
                group.start_soon(put, place)
                await anyio.lowlevel.checkpoint()
        while (health := await outbox.health()).due or health.in_flight:  # noqa: ASYNC110 - another process's
            await anyio.sleep(QUICKLY)
    outbox.close()


if __name__ == "__main__":
    campaign_process.main(Life, serve)
