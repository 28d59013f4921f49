"""Who may send, and when: slots first come first served, a pace, and a pause after 429."""

from __future__ import annotations

import anyio

from insim_async.timing import Clock

__all__ = ["Gate", "Pace"]

PAUSE_CAP = 60.0
"""However long a server asks everyone to wait, in seconds, nobody waits longer than this at a time.
"""


class Pace:
    """So many messages a second, without bursts (GCRA with a tolerance of zero)."""

    def __init__(self, rate: float) -> None:
        self._spacing = 1 / rate
        self._free_at = float("-inf")

    def start(self, now: float) -> float:
        """Return from when the next message may go."""
        return max(now, self._free_at)

    def book(self, start: float, count: int) -> None:
        """Take the room that ``count`` messages need from then on."""
        self._free_at = start + count * self._spacing


class Gate:
    """What a request has to pass before it may go out; one for all callers of a client."""

    def __init__(self, slots: int, rate: float | None, clock: Clock) -> None:
        self.slots: anyio.Semaphore = anyio.Semaphore(slots, fast_acquire=True)
        self._pace = None if rate is None else Pace(rate)
        self._turn = anyio.Lock(fast_acquire=True)
        self._clock = clock
        self._open_at = float("-inf")

    def close_for(self, seconds: float) -> None:
        """Let nobody pass for so long (at most a minute)."""
        self._open_at = max(self._open_at, self._clock.now() + min(seconds, PAUSE_CAP))

    def closed_for(self) -> float:
        """Return the seconds until the gate opens; 0 if it is open."""
        return max(0.0, self._open_at - self._clock.now())

    async def wait(self, count: int, jitter: float) -> None:
        """Wait until ``count`` messages may go.

        After a pause callers spread over ``jitter`` seconds: no herd.
        """
        if self._pace is not None:
            # Who is cancelled in it has taken no room from those who come after.
            async with self._turn:
                start = self._pace.start(self._clock.now())
                while (delay := max(start - self._clock.now(), self.closed_for())) > 0:
                    # Room is not saved up in a pause, to be used at once after it.
                    start = max(start, self._open_at)
                    await self._clock.sleep(delay)
                self._pace.book(start, count)
        while (delay := self.closed_for()) > 0:
            await self._clock.sleep(delay + jitter * self._clock.random())
