"""What a handler may know of its attempt, and what it may ask for by raising."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from insim_async.errors import ConfigurationError

__all__ = [
    "ATTEMPT",
    "Attempt",
    "GiveUp",
    "RetryLater",
    "class_names",
    "current_attempt",
    "wish_of",
]


A_YEAR: Final = 366 * 86_400
"""In seconds; whoever wants an event again later than that has made a mistake."""


class RetryLater(Exception):
    """Raised by a handler that wants its event again, after a while.

    It counts as an attempt. Without an inbox the answer is 503, and inSIM decides when it sends the
    event again. If other handlers of the event give up, this wins.

    Args:
        after: Seconds, up to a year.

    Raises:
        ConfigurationError: ``after`` is no number of seconds, or they are too many.
    """

    def __init__(self, after: float) -> None:
        if not isinstance(after, int | float):
            raise ConfigurationError(f"after: expected seconds, got {type(after).__name__}")
        if not 0 <= after <= A_YEAR:
            raise ConfigurationError("after: expected seconds, from 0 to a year")
        super().__init__(after)
        self.after: float = float(after)


class GiveUp(Exception):
    """Raised by a handler for which no further attempt at its event makes sense.

    The inbox sets the event aside at once. Without an inbox the answer is 200, so that it does not
    come again.

    Args:
        reason: For whoever looks at what was set aside; it is kept with the event, and not logged.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class Attempt(Struct, frozen=True, kw_only=True):
    """Which attempt at an event this is.

    Attributes:
        number: 1 for the first, and always without an inbox, which alone can count.
        received_at: When the event came first, in UTC.
    """

    number: int
    received_at: datetime


ATTEMPT: Final = ContextVar[Attempt]("attempt")
"""Set by whoever counts attempts, around the handlers."""


def current_attempt() -> Attempt:
    """Return which attempt at its event a handler is in.

    Without an inbox, and in a test that calls a handler, it is the first, of an event that came
    just now.
    """
    found = ATTEMPT.get(None)
    return found or Attempt(number=1, received_at=datetime.now(UTC))


def wish_of(error: BaseException) -> RetryLater | GiveUp | None:
    """Return what handlers ask for that raised this, all together; None if nothing.

    Whoever wants it later wins, the latest of several; all of them must give up for it to be given
    up.
    """
    each = [*_each(error)]
    later = [one for one in each if isinstance(one, RetryLater)]
    if later:
        return max(later, key=lambda one: one.after)
    gave_up = [one for one in each if isinstance(one, GiveUp)]
    return gave_up[0] if len(gave_up) == len(each) else None


def class_names(error: BaseException) -> str:
    """Name the classes of what was raised; its words may hold a person's number or text."""
    return ", ".join(dict.fromkeys(type(one).__name__ for one in _each(error)))


def _each(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _each(inner)
    else:
        yield error
