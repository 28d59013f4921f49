"""An outbox through several lives, of one process at a time or of two, and what the gateway saw."""

from __future__ import annotations

import random
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

from insim_async.outbox import Outbox

from .campaign_story import Lives, may_be
from .gateway import Listener
from .outbox_process import Life

POINTS = ("statement", "behind a put", "before the request", "before the answer is read")

_FIRSTS = count(0, 1000)
"""The number of the first message of each life: none is put by two stories."""


class Story:
    """An outbox in a folder of its own, at a gateway that counts.

    Args:
        folder: Of the file.
        listener: The gateway, which processes what has wholly come, whoever has died meanwhile.
        people: How many messages each life puts.
        more: Of each life.
    """

    def __init__(self, folder: Path, listener: Listener, people: int, **more: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "outbox.db"
        self.log = folder / "put"
        self.people = people
        self.kills = 0
        self._listener = listener
        self._more = more

    def live(self, lives: Lives, **more: Any) -> bool:
        """Let a process live once; return whether it came to its end."""
        life = Life(
            path=str(self.path),
            log=str(self.log),
            url=self._listener.url,
            **{"people": self.people, "first": next(_FIRSTS), **self._more, **more},
        )
        ending = lives.live(life)
        self.kills += ending == -signal.SIGKILL
        assert ending in {0, -signal.SIGKILL}
        return ending == 0

    def live_through(self, lives: Lives, chance: random.Random, kills: int) -> None:
        """Kill a process again and again, at points and times that chance chooses."""
        for _ in range(kills):
            if chance.random() < 0.6:
                point = chance.choice(POINTS)
                mean = 60 if point == "statement" else 5
                self.live(lives, killed_at=(point, int(chance.expovariate(1 / mean)) + 1))
            else:
                self.live(lives, killed_after=chance.uniform(0.0, 0.3))

    def live_through_beside(
        self, both: tuple[Lives, Lives], chance: random.Random, kills: int
    ) -> None:
        """Kill two processes that stand by for each other, again and again."""
        with ThreadPoolExecutor() as threads:
            for lives in both:
                seed = random.Random(chance.random())
                threads.submit(self.live_through, lives, seed, kills // 2).add_done_callback(
                    lambda done: done.result()
                )

    async def counts(self) -> Counter[str]:
        """Count the messages in each status."""
        with closing(Outbox.open(self.path)) as outbox:
            return Counter([message.status.value async for message in outbox.messages()])

    async def faults(self) -> list[str]:
        """Return which promises were broken, when all is over."""
        with closing(Outbox.open(self.path)) as outbox:
            messages = {message.sms_id: message async for message in outbox.messages()}
        processed = self._listener.report().processed
        put = self.log.read_text().split() if self.log.exists() else []
        statuses = Counter(message.status.value for message in messages.values())
        some = Life(path="", log="", url="", people=0, **self._more)
        most = self.kills * some.slots * some.batch
        return [
            *(f"{sms_id} was doubled" for sms_id in messages if processed.get(sms_id, 0) > 1),
            *(f"{sms_id} was put, and is lost" for sms_id in put if sms_id not in messages),
            *(
                f"{sms_id} is {message.status} and was sent {times} times"
                for sms_id, message in messages.items()
                for times in [processed.get(sms_id, 0)]
                if not may_be(message.status.value, times)
            ),
            *([f"{statuses['unknown']} are unknown"] if statuses["unknown"] > most else []),
        ]
