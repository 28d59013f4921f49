"""Time that goes on only when a test, or somebody who would have slept, says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from anyio.lowlevel import checkpoint

from insim_async.errors import ConfigurationError
from insim_async.timing import Clock

__all__ = ["TimeMachine"]


class TimeMachine:
    """A clock for a client and a sandbox together. Whoever sleeps is taken on at once.

    Args:
        start: An aware time to begin with; by default the present.

    Attributes:
        slept: How long each sleep was to be, in seconds.

    Raises:
        ConfigurationError: The start has no zone.
    """

    def __init__(self, start: datetime | None = None) -> None:
        if start is not None and start.utcoffset() is None:
            raise ConfigurationError("start: expected an aware time, such as one in UTC")
        # In UTC, since times of one zone are subtracted by their clocks, across any change of them.
        self._start = (start or datetime.now(UTC)).astimezone(UTC)
        self._passed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return self._start + timedelta(seconds=self._passed)

    def seconds(self) -> float:
        """Return the seconds that have passed."""
        return self._passed

    def later(self, seconds: float) -> datetime:
        """Return the time that it is after so many seconds."""
        return self.now() + timedelta(seconds=seconds)

    def go_to(self, when: datetime) -> None:
        """Go on to a time; never back."""
        self._passed = max(self._passed, (when - self._start).total_seconds())

    async def sleep(self, seconds: float) -> None:
        """Let so many seconds pass, at once; others have their turn meanwhile."""
        self.slept.append(seconds)
        self._passed += seconds
        await checkpoint()

    @property
    def clock(self) -> Clock:
        """The same for an ``AsyncInSim``; chance always lands in the middle."""
        return Clock(
            now=self.seconds,
            wall=lambda: self.now().timestamp(),
            sleep=self.sleep,
            random=lambda: 0.5,
        )
