"""Decide whether a lease that has ended tells of a crash. Pure: time comes in as an argument."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

__all__ = ["Sight"]


class Sight(Struct, frozen=True, kw_only=True):
    """What a worker has seen of the file, of which it asks something at least once in half a lease.

    While nobody could write to the file nobody could renew a lease. So after half a lease without
    an answer the worker is blind: an ended lease tells of no crash until its holder has had the
    time of a whole one to renew it again.

    Attributes:
        lease: Seconds that a claim lasts without being renewed.
        answered_at: When the file answered the last time, by the monotonic clock.
        blind_until: When ended leases begin to tell of crashes again.
        answers: It did the last time it was asked.
    """

    lease: float
    answered_at: float
    blind_until: float = float("-inf")
    answers: bool = True

    def answered(self, now: float) -> Sight:
        """Return what is known when the file has answered."""
        blind_until = now + self.lease if self._is_silent(now) else self.blind_until
        return replace(self, answered_at=now, blind_until=blind_until, answers=True)

    def unanswered(self) -> Sight:
        """Return what is known when the file has not answered."""
        return replace(self, answers=False)

    def may_take_over(self, now: float) -> bool:
        """Say whether the owner of a lease that has ended by now has crashed."""
        return now >= self.blind_until and not self._is_silent(now)

    def _is_silent(self, now: float) -> bool:
        return now - self.answered_at > self.lease / 2
