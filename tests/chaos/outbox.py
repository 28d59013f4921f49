"""Attacks on the outbox: two workers of one file, which put and send, killed again and again."""

from __future__ import annotations

import random
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tests.faults.campaign_story import LATE, QUICK, SLOW, Lives
from tests.faults.gateway import Gateway
from tests.faults.outbox_story import Story

PUTS = 60
AT_A_TIME = 20
HEADING = f"{'attack':<44} {'kills':>6} {'put':>9} {'sent':>9} {'unknown':>8} {'broken':>7}"


async def attack(kills: int, seed: int, fault: str) -> int:
    """Kill until it is enough, print what came of it, and return 1 if a promise was broken."""
    print(HEADING, flush=True)
    began, chance = time.monotonic(), random.Random(seed)
    both = Lives("outbox_process"), Lives("outbox_process")
    with closing(Gateway()) as gateway, tempfile.TemporaryDirectory() as folder:
        listener = gateway.listen()
        listener.script(*[QUICK, SLOW, LATE] * 2000, otherwise=SLOW)
        story = Story(Path(folder) / "story", listener, PUTS, fault=fault)
        while story.kills < kills:
            story.live_through_beside(both, chance, min(AT_A_TIME, kills))
        assert story.live(both[0], people=0)
        for lives in both:
            lives.close()
        counts, broken = await story.counts(), await story.faults()
    print(
        f"{'kill -9, two workers':<44} {story.kills:>6,} {counts.total():>9,} "
        f"{counts['sent']:>9,} {counts['unknown']:>8,} {len(broken):>7,} "
        f"{time.monotonic() - began:>7.0f} s  {f'BROKEN: {broken[0]}' if broken else 'ok'}",
        flush=True,
    )
    return int(bool(broken))
