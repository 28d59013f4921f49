"""Adding to a campaign and running it, cancelled at each await in turn as asyncio does."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from insim_async import AsyncInSim, Contact
from insim_async.campaigns import Campaign

from .campaigns import TEXT, people, processed, statuses
from .conftest import BASE_URL, KEY, LOGIN, Gateway, Hours
from .faults.stepping import Manner, as_it_wakes, natively, while_it_waits

everywhere = pytest.mark.parametrize(
    ("manner", "times"), [(while_it_waits, 1), (while_it_waits, 2), (as_it_wakes, 1)]
)


@everywhere
async def test_an_add_adds_all_or_nothing(
    manner: Manner, times: int, hours: Hours, tmp_path: Path
) -> None:
    async def given() -> AsyncIterator[Contact]:
        for contact in people(3):
            await anyio.lowlevel.checkpoint()
            yield contact

    at, reached = 0, True
    while reached:
        at += 1
        with closing(Campaign.open(tmp_path / f"{at}.db", clock=hours.clock)) as campaign:
            add = partial(campaign.add, given(), TEXT)
            reached, result = await natively(at, manner, add, times)
            added = len(await statuses(campaign))
            assert added == 3 or (added == 0 and isinstance(result, BaseException | str))
            assert (await campaign.add(people(3), TEXT)).new == 3 - added
            assert await tables_left(campaign) == []
    assert at > 5


async def tables_left(campaign: Campaign) -> list[Any]:
    """Return what adding leaves in the connection."""
    return await campaign._ledger.do(
        lambda connection: connection.execute("SELECT name FROM sqlite_temp_master").fetchall()
    )


@everywhere
async def test_a_run_doubles_and_loses_nobody(
    manner: Manner, times: int, hours: Hours, gateway: Gateway, tmp_path: Path
) -> None:
    """The next run goes on, and what is unknown is no more than what travelled."""
    with closing(Campaign.open(tmp_path / "new.db", clock=hours.clock)) as campaign:
        await campaign.add(people(3), TEXT)
    at, reached = 0, True
    while reached:
        at += 1
        path = shutil.copy(tmp_path / "new.db", tmp_path / f"{at}.db")
        gateway.processed.clear()
        gateway.requests.clear()
        with closing(Campaign.open(path, clock=hours.clock)) as campaign:
            async with client(hours) as insim:
                insim.http_client.event_hooks = {"response": [linger]}
                reached, _ = await natively(at, manner, partial(campaign.run, insim), times)
                left = sum(gateway.batches)
                report = await campaign.run(insim)
        assert report.sent + report.unknown == 3
        assert report.sent <= processed(gateway)
        assert report.unknown <= left
    assert at > 10


async def linger(_: httpx.Response) -> None:
    """Let an answer take its time, so that a cancelled call may miss it."""
    for _step in range(5):
        await anyio.lowlevel.checkpoint()


def client(hours: Hours) -> AsyncInSim:
    return AsyncInSim(
        LOGIN, KEY, base_url=BASE_URL, clock=hours.clock, batch_size=2, max_concurrency=1
    )
