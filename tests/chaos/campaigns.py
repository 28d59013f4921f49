"""Attacks on campaigns: their processes are killed, and a gateway of its own counts what it got."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.faults.campaign_story import LATE, QUICK, SLOW, Lives, Story
from tests.faults.gateway import Gateway, Listener

PEOPLE = 400
POINTS = ("statement", "before the request", "before the answer is read")
HEADING = (
    f"{'attack':<44} {'campaigns':>9} {'kills':>6} {'messages':>9} {'unknown':>8} {'broken':>7}"
)


class Row(msgspec.Struct, kw_only=True):
    """What came of an attack."""

    attack: str
    campaigns: int = 0
    kills: int = 0
    messages: int = 0
    unknown: int = 0
    faults: list[str] = []
    seconds: float = 0.0

    @property
    def broken(self) -> bool:
        return bool(self.faults)

    def __str__(self) -> str:
        verdict = f"BROKEN: {self.faults[0]}" if self.broken else "ok"
        return (
            f"{self.attack:<44} {self.campaigns:>9,} {self.kills:>6,} {self.messages:>9,} "
            f"{self.unknown:>8,} {len(self.faults):>7,} {self.seconds:>7.0f} s  {verdict}"
        )

    async def add(self, story: Story) -> None:
        self.campaigns += 1
        self.kills += story.kills
        self.messages += story.people
        self.unknown += (await story.counts())["unknown"]
        self.faults += await story.faults()


@contextmanager
def at_a_gateway() -> Iterator[tuple[Lives, Listener, Path]]:
    """A process that starts lives, a gateway, and a folder."""
    gateway, lives = Gateway(), Lives()
    listener = gateway.listen()
    listener.script(*[QUICK, SLOW, LATE] * 2000, otherwise=SLOW)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield lives, listener, Path(folder)
    finally:
        lives.close()
        listener.close()
        gateway.close()


async def at_random(campaigns: int, chance: random.Random, fault: str) -> Row:
    """Kill campaigns of 400 messages again and again, wherever chance has it."""
    row, began = Row(attack="kill -9, at random"), time.monotonic()
    for at in range(campaigns):
        with at_a_gateway() as (lives, listener, folder):
            story = Story(folder / str(at), listener, PEOPLE, fault=fault)
            story.live_through(lives, chance, kills=6)
            await row.add(story)
    row.seconds = time.monotonic() - began
    return row


async def at_each(point: str, fault: str) -> Row:
    """Kill a small campaign the first time that it reaches a point, the second, and so on."""
    row, began = Row(attack=f"kill -9, {point}"), time.monotonic()
    at, ended = 0, False
    while not ended:
        with at_a_gateway() as (lives, listener, folder):
            for _ in range(50):
                at += 1
                story = Story(folder / str(at), listener, 12, slots=2, batch=3, fault=fault)
                ended = story.live(lives, killed_at=(point, at))
                story.live(lives)
                await row.add(story)
                if ended:
                    break
    row.seconds = time.monotonic() - began
    return row


async def attack(campaigns: int, seed: int, fault: str) -> int:
    """Do all attacks, print a row for each, and return 1 if a promise was broken."""
    print(HEADING, flush=True)
    rows = []
    for point in POINTS:
        rows.append(await at_each(point, fault))
        print(rows[-1], flush=True)
    rows.append(await at_random(campaigns, random.Random(seed), fault))
    print(rows[-1], flush=True)
    return int(any(row.broken for row in rows))
