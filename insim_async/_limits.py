"""Who may send, and when: slots first come first served, a pace, a pause after 429, and how long until a retry.

What decides is plain arithmetic over a clock that comes in as an argument; only ``Gate`` waits.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio
from msgspec import Struct

from insim_async.errors import ConfigurationError

__all__ = ["Clock", "Gate", "Pace", "Retry"]

PAUSE_CAP = 60.0
"""However long a server asks everyone to wait, in seconds, nobody waits longer than this at a time."""


def _chance() -> float:
    import random  # slow to import, and seldom needed

    return random.random()  # noqa: S311 - it spreads retries in time, and protects nothing


class Clock(Struct, frozen=True, kw_only=True):
    """Time and chance, for tests to replace; deadlines of network reads and writes stay on the event loop's clock.

    Attributes:
        now: Monotonic seconds.
        wall: Seconds since 1970, as the clock on the wall has it; it may be set.
        sleep: Wait so many seconds.
        random: A number from 0 up to 1.
    """

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    random: Callable[[], float] = _chance


class Retry(Struct, frozen=True):
    """How often to try again where nothing was sent, and how long to wait before: full jitter, doubling.

    Args:
        attempts: Tries in all, the first included.
        base: Upper bound of the first wait, in seconds; it doubles with each attempt.
        cap: Upper bound of any wait, in seconds.
    """

    attempts: int = 3
    base: float = 0.5
    cap: float = 30.0

    def check(self) -> None:
        """Raise ConfigurationError unless the numbers make sense."""
        numbers = isinstance(self.attempts, int) and isinstance(self.base, int | float)
        if not (numbers and isinstance(self.cap, int | float) and self.attempts > 0 and 0 <= self.base <= self.cap):
            raise ConfigurationError("retry: attempts must be 1 or more, and 0 <= base <= cap")

    def wait_after(self, attempt: int, chance: float) -> float | None:
        """Return the seconds to wait after the ``attempt``-th try (from 1), or None if it was the last."""
        if attempt >= self.attempts:
            return None
        return chance * min(self.cap, self.base * 2.0 ** min(attempt - 1, 64))


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
        """Wait until ``count`` messages may go. After a pause callers spread over ``jitter`` seconds: no herd."""
        if self._pace is not None:
            async with self._turn:  # who is cancelled in it has taken no room from those who come after
                start = self._pace.start(self._clock.now())
                while (delay := max(start - self._clock.now(), self.closed_for())) > 0:
                    start = max(start, self._open_at)  # room is not saved up in a pause, to be used at once after it
                    await self._clock.sleep(delay)
                self._pace.book(start, count)
        while (delay := self.closed_for()) > 0:
            await self._clock.sleep(delay + jitter * self._clock.random())
