"""Time and chance, and how long to wait before another attempt.

It is plain arithmetic over what comes in as an argument.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable

import anyio
from msgspec import Struct

from insim_async.errors import ConfigurationError

__all__ = ["Clock", "Retry"]


def _chance() -> float:
    import random  # slow to import, and seldom needed

    return random.random()  # noqa: S311 - it spreads retries in time, and protects nothing


class Clock(Struct, frozen=True, kw_only=True):
    """Time and chance, for tests to replace.

    Deadlines of network reads and writes stay on the event loop's clock.

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

    def check(self) -> None:
        """Raise ConfigurationError unless all can be called."""
        for name in self.__struct_fields__:
            if not callable(getattr(self, name)):
                raise ConfigurationError(f"clock: {name} must be something to call")


class Retry(Struct, frozen=True):
    """How often to try again where nothing was sent, and how long to wait before.

    Exponential backoff with full jitter: the bound doubles, and chance decides below it.

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
        numbers = (self.attempts, self.base, self.cap)
        known = isinstance(self.attempts, int) and all(
            isinstance(number, int | float) for number in numbers
        )
        if bool in map(type, numbers) or not (
            known and self.attempts > 0 and 0 <= self.base <= self.cap <= sys.float_info.max
        ):
            raise ConfigurationError(
                "retry: attempts must be 1 or more, and 0 <= base <= cap, all of them numbers"
            )

    def wait_after(self, attempt: int, chance: float) -> float | None:
        """Return the seconds to wait after attempt ``attempt`` (from 1); None after the last."""
        if attempt >= self.attempts:
            return None
        return chance * min(self.cap, self.base * 2.0 ** min(attempt - 1, 64))
