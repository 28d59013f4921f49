"""How many events a worker may claim next, and of which sort. Pure: it is told what happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from insim_async.webhooks.inbox._rows import Claim

__all__ = ["Places", "Quota"]


class Quota(NamedTuple):
    """How many rows may be claimed.

    Attributes:
        places: All in all.
        suspects: Of those whose process ended the last time, 0 or 1: never two at a time.
        retries: Of those that failed before, ahead of new ones, 0 or 1: never two of them in turn.
    """

    places: int
    suspects: int
    retries: int


class Places:
    """The events that a worker has claimed; each takes a place until its handlers are done.

    Args:
        count: How many places there are.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._claims: list[Claim] = []
        self._retried = False  # the last that were claimed had one that failed before among them

    @property
    def keys(self) -> list[str]:
        """The keys of all rows whose leases are to be renewed."""
        return [claim.key for claim in self._claims]

    def quota(self) -> Quota:
        """Return how many may be claimed now."""
        suspects = 0 if any(claim.suspect for claim in self._claims) else 1
        retries = 0 if self._retried or any(map(_is_retry, self._claims)) else 1
        return Quota(self._free, suspects, retries)

    def take(self, claims: Sequence[Claim]) -> None:
        """Give a place to each row that was claimed."""
        if claims:
            self._retried = any(map(_is_retry, claims))
        self._free -= len(claims)
        self._claims += claims

    def leave(self) -> None:
        """Free a place, since its handlers are done; its row is claimed until that is on disk."""
        self._free += 1

    def forget(self, claim: Claim) -> None:
        """Forget a claim whose row is in its next state: its lease is renewed no more."""
        self._claims.remove(claim)


def _is_retry(claim: Claim) -> bool:
    return claim.attempts > 1 and not claim.suspect
