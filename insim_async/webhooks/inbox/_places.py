"""How many events a worker may claim next, and of which sort. Pure: it is told what happens.

Each claimed event takes a place until its handlers are done. Some are claimed ahead, so that one
commit serves many: twice as many each time that all are done before the next come, and none as soon
as a handler is slow, since that would keep events from other workers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from insim_async.webhooks.inbox._rows import Claim, Quota

__all__ = ["Places"]

MOST_AHEAD: Final = 256
QUICK: Final = 0.05
"""Seconds."""


class Places:
    """The events that a worker has claimed.

    Args:
        count: How many may be handled at a time.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._running = 0
        self._ahead = 0
        self._is_idle = False  # it had something, and has nothing left to handle
        self._claims: list[Claim] = []
        self._ready: deque[Claim] = deque()
        self._retried = False  # the last that were claimed had one that failed before among them

    @property
    def keys(self) -> list[str]:
        """The keys of all rows whose leases are to be renewed."""
        return [claim.key for claim in self._claims]

    def quota(self) -> Quota:
        """Return how many may be claimed now."""
        suspected = any(claim.suspect for claim in self._claims)
        retried = self._retried or any(map(_is_retry, self._claims))
        if self._is_idle:
            self._ahead, self._is_idle = min(MOST_AHEAD, max(1, 2 * self._ahead)), False
        return Quota(self._free(suspected), 0 if suspected else 1, 0 if retried else 1)

    def _free(self, suspected: bool) -> int:
        # Beside one that may end this process there are no more than have to be.
        ahead = 0 if suspected else self._ahead
        free = self._count + ahead - self._running - len(self._ready)
        # A place that is free is not left so; a row ahead may wait until it is worth a commit.
        return free if self._running < self._count or 2 * free >= ahead else 0

    def take(self, claims: Sequence[Claim]) -> None:
        """Keep rows that were claimed, until there is a place for each."""
        if claims:
            self._retried = any(map(_is_retry, claims))
            self._is_idle = False
        self._claims += claims
        self._ready += claims

    def stop(self) -> None:
        """Begin nothing more: whatever was claimed ahead is given back."""
        self._count = 0
        self._ready.clear()

    def begin(self) -> Claim | None:
        """Give a place to the next row; None if there is no place, or no row."""
        if self._running >= self._count or not self._ready:
            return None
        self._running += 1
        return self._ready.popleft()

    def leave(self, seconds: float) -> None:
        """Free a place, since its handlers are done; its row is claimed until that is on disk.

        Args:
            seconds: How long they took.
        """
        self._running -= 1
        if seconds > QUICK:
            self._ahead, self._is_idle = 0, False
        elif not self._running and not self._ready:
            self._is_idle = True

    def forget(self, claim: Claim) -> bool:
        """Forget a claim whose row is in its next state; return if others waited for that."""
        self._claims.remove(claim)
        return claim.suspect or _is_retry(claim)


def _is_retry(claim: Claim) -> bool:
    return claim.attempts > 1 and not claim.suspect
