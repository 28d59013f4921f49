"""A campaign through several lives, and what the gateway saw of it."""

from __future__ import annotations

import json
import random
import select
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from insim_async.campaigns import Campaign

from .campaign_process import Life
from .gateway import BODY, HEAD, PROCESS, RECEIPTS, Listener, Script

PATIENCE = 60.0
PROJECT = Path(__file__).parents[2]
QUICK: Script = [HEAD, BODY, PROCESS, RECEIPTS]
SLOW: Script = [HEAD, BODY, PROCESS, ["wait", 0.01], RECEIPTS]
LATE: Script = [HEAD, BODY, ["wait", 0.01], PROCESS, RECEIPTS]


class Lives:
    """The process that starts the others."""

    def __init__(self, module: str = "campaign_process") -> None:
        # Behind all others, so that the package is the installed one.
        path = f"import runpy, sys; sys.path.append({str(PROJECT)!r})"
        run = f"runpy.run_module('tests.faults.{module}', run_name='__main__', alter_sys=True)"
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{path}; {run}"],
            cwd=PROJECT.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def live(self, life: Life) -> int:
        """Let it live; return how it ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(msgspec.json.encode(life) + b"\n")
        self.process.stdin.flush()
        assert select.select([self.process.stdout], [], [], PATIENCE)[0], "a life does not end"
        return int(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        """End it."""
        self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0


class Story:
    """A campaign of so many people, in a folder of its own, at a gateway that counts.

    Args:
        folder: Of the file.
        listener: The gateway, which processes what has wholly come, whoever has died meanwhile.
        people: How many.
        more: Of each life.
    """

    def __init__(self, folder: Path, listener: Listener, people: int, **more: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "campaign.db"
        self.log = folder / "report"
        self.people = people
        self._listener = listener
        self._more = more
        self.kills = 0

    def life(self, **more: Any) -> Life:
        """Return a life in it."""
        return Life(
            path=str(self.path),
            log=str(self.log),
            url=self._listener.url,
            people=self.people,
            **self._more,
            **more,
        )

    def live(self, lives: Lives, **more: Any) -> bool:
        """Let it run once; return whether it came to its end."""
        ending = lives.live(self.life(**more))
        self.kills += ending == -signal.SIGKILL
        assert ending in {0, -signal.SIGKILL}
        return ending == 0

    def live_through(self, lives: Lives, chance: random.Random, kills: int) -> None:
        """Kill it again and again, at points and times that chance chooses; then let it end."""
        any(self.live(lives, **deaths(chance)[place % 3 // 2]) for place in range(kills))
        assert self.live(lives)

    async def counts(self) -> Counter[str]:
        """Return how many messages are in each status."""
        campaign = Campaign.open(self.path)
        statuses = Counter([message.status.value async for message in campaign.messages()])
        campaign.close()
        return statuses

    async def faults(self) -> list[str]:
        """Return which promises were broken, when all is over."""
        campaign = Campaign.open(self.path)
        messages = [message async for message in campaign.messages()]
        campaign.close()
        processed = self._listener.report().processed
        statuses = Counter(message.status.value for message in messages)
        some = Life(path="", log="", url="", people=0, **self._more)
        most = self.kills * some.slots * some.batch
        return [
            *(f"{sms_id} was doubled" for sms_id, count in processed.items() if count > 1),
            *(
                f"{message.sms_id} is {message.status} and was sent {times} times"
                for message in messages
                for times in [processed.get(message.sms_id, 0)]
                if not may_be(message.status.value, times)
            ),
            *([f"{len(messages)} of {self.people}"] if len(messages) != self.people else []),
            *([f"{statuses['unknown']} are unknown"] if statuses["unknown"] > most else []),
            *([] if self.log.exists() else ["it did not say how it ended"]),
        ]


def deaths(chance: random.Random) -> list[dict[str, Any]]:
    """Return a point and a moment at which a life may end."""
    statement = int(chance.expovariate(1 / 80)) + 1
    return [{"killed_at": ("statement", statement)}, {"killed_after": chance.uniform(0.0, 0.3)}]


def may_be(status: str, times: int) -> bool:
    """Say whether a status is true of a message that was sent so often."""
    return status == "unknown" or (status != "pending" and times == (status == "sent"))
