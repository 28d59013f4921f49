"""Campaigns on a clock that a test sets, with people who are nobody."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from insim_async import Contact
from insim_async.campaigns import Campaign, CampaignMessage, MessageStatus

from .waiting import until

TEXT = "Bonjour {first_name|cher client}, à demain !"


def number(place: int) -> str:
    return f"+336{39980000 + place}"


def people(count: int, first: int = 0) -> list[Contact]:
    return [Contact(number(place)) for place in range(first, first + count)]


@pytest.fixture
def open_campaign(path: Path, hours: Any) -> Iterator[Callable[..., Campaign]]:
    """Open campaigns in one file and on one clock; they are closed behind the test."""
    with ExitStack() as opened:
        yield lambda **more: opened.enter_context(
            closing(Campaign.open(path, **{"clock": hours.clock, **more}))
        )


@pytest.fixture
def campaign(open_campaign: Callable[..., Campaign]) -> Campaign:
    return open_campaign()


async def all_of(
    campaign: Campaign, status: MessageStatus | str | None = None
) -> list[CampaignMessage]:
    return [message async for message in campaign.messages(status)]


async def statuses(campaign: Campaign) -> list[str]:
    """How far each message is, in the order in which they were added."""
    return [message.status.value async for message in campaign.messages()]


async def waits(campaign: Campaign, reason: str = "") -> None:
    """Wait until a campaign waits, for this reason or for any."""

    async def is_said() -> bool:
        told = await campaign.status()
        return bool(told.reason) and told.reason.startswith(reason)

    await until(is_said)


def rows(path: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


async def statements_of(ledger: Any) -> list[str]:
    """Collect the statements that a ledger executes from now on."""
    said: list[str] = []
    await ledger.do(lambda connection: connection.set_trace_callback(said.append))
    said.clear()
    return said


def changes(file: Any) -> list[int]:
    """Collect how many rows each transaction on a file changes from now on."""
    changed: list[int] = []
    transact = file.transact

    def total(connection: sqlite3.Connection) -> int:
        return connection.total_changes

    def watched(actions: Any) -> Any:
        before, *results, after = transact([total, *actions, total])
        changed.append(after - before)
        return results

    file.transact = watched
    return changed


def lost(messages: list[dict[str, Any]]) -> httpx.Response:
    """Take messages, and give an answer of no use."""
    return httpx.Response(200, text="<html>")


def processed(gateway: Any) -> int:
    """How many messages were taken, each of them once."""
    assert set(gateway.processed.values()) <= {1}
    return len(gateway.processed)
