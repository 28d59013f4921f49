"""How far a run is: counts of messages in each status, kept along with what it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from insim_async._sending import Listener
from insim_async.campaigns._states import MOVES, CampaignState, Move
from insim_async.campaigns._values import CampaignReport, CampaignStatus, MessageCounts
from insim_async.timing import Clock

__all__ = ["Progress"]


class Progress:
    """The counts of a run, and who is told of them.

    What other processes settle or report is counted when the run ends.

    Args:
        counts: Of messages in each status, as the run found them.
        clock: For the rate.
        listener: Is told of what changes.
    """

    def __init__(
        self, counts: Mapping[str, int], clock: Clock, listener: Listener[CampaignStatus]
    ) -> None:
        self.expected_end: float | None = None  # as of the last claim
        self._counts = Counter(counts)
        self._now = clock.now
        self._since = clock.now()
        self._seconds = 0.0
        self._is_waiting = False
        self._ended = 0
        self._listener = listener

    @property
    def is_told(self) -> bool:
        """Whether anybody listens."""
        return self._listener.is_there

    @property
    def pending(self) -> int:
        """How many messages are left."""
        return max(0, self._counts["pending"])

    @property
    def rate(self) -> float:
        """Messages a second while the run was sending, without the time in which it waited."""
        seconds = self._seconds
        if not self._is_waiting:
            seconds += self._now() - self._since
        return self._ended / seconds if seconds > 0 else 0.0

    def waits(self, *, waiting: bool) -> None:
        """Stop or start the watch: it waits for something, or goes on."""
        if waiting is not self._is_waiting:
            now = self._now()
            self._seconds += 0.0 if self._is_waiting else now - self._since
            self._since, self._is_waiting = now, waiting

    def moved(self, move: Move, count: int) -> None:
        """Count messages that changed their status."""
        sources, target = MOVES[move]
        self._counts[sources[0]] -= count
        self._counts[target] += count
        if sources[0] == "in_flight" and target != "pending":
            self._ended += count

    def recount(self, counts: Mapping[str, int]) -> None:
        """Take over the counts of the file."""
        self._counts = Counter(counts)

    def report(self, state: CampaignState, reason: str) -> CampaignReport:
        """Return how the run ended."""
        return CampaignReport(state=state, reason=reason, **self._plain())

    def tell(self, state: CampaignState, reason: str = "", until: float | None = None) -> None:
        """Tell whoever listens."""
        if self._listener.is_there:
            status = CampaignStatus(
                state=state,
                reason=reason,
                waiting_until=_date(until),
                counts=MessageCounts(**self._plain()),
                rate=self.rate,
                expected_end=_date(self.expected_end),
            )
            self._listener.tell(status)

    def _plain(self) -> dict[str, int]:
        return {name: max(0, self._counts[name]) for name in MessageCounts.__struct_fields__}


def _date(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
