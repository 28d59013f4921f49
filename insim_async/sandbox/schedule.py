"""When which SMS is to be reported next. No I/O, and no clock of its own."""

from __future__ import annotations

import heapq
from collections.abc import Container
from datetime import datetime

from insim_async.sandbox.records import SmsState

__all__ = ["Schedule"]

_SLACK = 1000


class Schedule:
    """A queue of (when, which SMS, what it becomes), the earliest first."""

    def __init__(self) -> None:
        self._steps: list[tuple[datetime, int, SmsState]] = []

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, due: datetime, key: int, state: SmsState) -> None:
        """Let an SMS come to a state when it is due."""
        heapq.heappush(self._steps, (due, key, state))

    def next_due(self) -> datetime | None:
        """Return when the next step is due."""
        return self._steps[0][0] if self._steps else None

    def pop(self, now: datetime) -> tuple[int, SmsState] | None:
        """Take the next step that is due by now."""
        if not self._steps or self._steps[0][0] > now:
            return None
        _, key, state = heapq.heappop(self._steps)
        return key, state

    def forget(self, kept: Container[int], most: int) -> None:
        """Drop the steps of SMS that are no longer kept, where there are too many steps."""
        if len(self._steps) > most + _SLACK:
            self._steps = [step for step in self._steps if step[1] in kept]
            heapq.heapify(self._steps)
