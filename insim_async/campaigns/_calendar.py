"""May something go now, how much of it, or when: arithmetic over what the ledger counted.

Instants are seconds since 1970, as the ledger keeps them. No clock is read here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import NamedTuple

from insim_async.campaigns._plan import Plan, check_limits
from insim_async.campaigns._wallclock import (
    day_start,
    month_start,
    next_day,
    next_month,
)
from insim_async.campaigns.pacing import Limits

__all__ = [
    "BOUNDLESS",
    "Expired",
    "Go",
    "Periods",
    "Spent",
    "Wait",
    "decide",
    "gap",
    "periods",
    "spacing",
]

BOUNDLESS = 2**62
"""So many parts or numbers are no limit; it fits into a column of a database."""

HOUR = 3600.0


class Spent(NamedTuple):
    """What was claimed so far, in parts, without what is proven not to have gone.

    Attributes:
        last_at: When the last claim was made, by whoever in this file. One that lies ahead holds
            nothing back.
        last_parts: How many parts it had.
        hour: When within the last hour, and how many, the oldest first. Several may stand together
            at the time of the latest.
        day: Since ``Periods.day``.
        month: Since ``Periods.month``.
        numbers: Different numbers since ``Periods.month``.
    """

    last_at: float = -math.inf
    last_parts: int = 0
    hour: Sequence[tuple[float, int]] = ()
    day: int = 0
    month: int = 0
    numbers: int = 0


class Periods(NamedTuple):
    """From when on the ledger has to count; what has no limit begins now."""

    hour: float
    day: float
    month: float


class Go(NamedTuple):
    """Something may go now.

    Attributes:
        parts: At most so many, and no fewer than the next message has.
        numbers: To at most so many numbers that had nothing this month.
    """

    parts: int
    numbers: int


class Wait(NamedTuple):
    """Nothing may go before.

    Attributes:
        until: When to ask again.
        reason: What for, in words.
        is_pace: Whether it is nothing but the rest between two messages.
    """

    until: float
    reason: str
    is_pace: bool = False


class Expired(NamedTuple):
    """It is too late for all that is left."""


def periods(now: float, limits: Limits, plan: Plan) -> Periods:
    """Return from when on the ledger has to count for a decision.

    Raises:
        ConfigurationError: Nobody said whose days count.
    """
    check_limits(limits, plan)
    zone = plan.zone or UTC
    monthly = limits.per_month is not None or limits.distinct_per_month is not None
    return Periods(
        hour=now - HOUR if limits.per_hour is not None else now,
        day=day_start(now, zone) if limits.per_day is not None else now,
        month=month_start(now, zone) if monthly else now,
    )


def spacing(limits: Limits) -> float:
    """Return the seconds from one part to the next, without chance; 0 for no spacing."""
    each_second = 1 / limits.per_second if limits.per_second is not None else 0.0
    each_minute = 60 / limits.per_minute if limits.per_minute is not None else 0.0
    return max(each_second, each_minute)


def gap(limits: Limits, parts: int, chance: float) -> float:
    """Return the seconds of rest after a claim of so many parts.

    Args:
        limits: Those of the file.
        parts: Of that claim.
        chance: A number from 0 up to 1, drawn once for each claim.
    """
    return parts * spacing(limits) * (1 + limits.jitter * chance)


def decide(
    now: float,
    spent: Spent,
    limits: Limits,
    plan: Plan,
    *,
    parts: int = 1,
    is_new: bool = True,
    chance: float = 0.0,
) -> Go | Wait | Expired:
    """Decide whether the next message may go.

    Args:
        now: The clock on the wall.
        spent: What the ledger counted, as of now.
        limits: Those of the file.
        plan: When this run may send.
        parts: Of the next message.
        is_new: Whether its number had nothing this month.
        chance: A number from 0 up to 1, drawn once for each claim, so that asking twice does not
            shorten the rest.

    Raises:
        ConfigurationError: See ``check_limits``.
    """
    check_limits(limits, plan, parts)
    if plan.until is not None and now >= plan.until:
        return Expired()
    asked = _Question(now, spent, limits, plan, parts, is_new, chance)
    at, reasons, is_pace = now, list[str](), True
    while holds := list(asked.holds(at)):
        latest = max(holds, key=lambda hold: hold.until)
        at, is_pace = latest.until, is_pace and latest.is_pace
        reasons.append(latest.reason)
    if not reasons:
        return asked.room()
    reason = ", then ".join(dict.fromkeys(reasons))
    if plan.until is not None and at >= plan.until:
        return Wait(plan.until, f"{reason}, and it ends before that")
    return Wait(at, reason, is_pace)


class _Question(NamedTuple):
    """Whether the next message may go, by each rule of its own."""

    now: float
    spent: Spent
    limits: Limits
    plan: Plan
    parts: int
    is_new: bool
    chance: float

    def holds(self, at: float) -> Iterator[Wait]:
        """Yield what holds the message back at an instant, and until when."""
        waits = (self._window(at), self._hour(at), self._day(at), self._month(at), self._pace(at))
        return (wait for wait in waits if wait is not None)

    def room(self) -> Go:
        """Return how much may go now, given that nothing holds the message back."""
        spent, limits = self.spent, self.limits
        counts = [
            (limits.per_hour, self._in_hour(self.now)),
            (limits.per_day, spent.day),
            (limits.per_month, spent.month),
        ]
        rooms = [most - count for most, count in counts if most is not None]
        if between := spacing(limits):
            rooms.append(max(self.parts, int(1 / between)))
        distinct = limits.distinct_per_month
        numbers = BOUNDLESS if distinct is None else max(0, distinct - spent.numbers)
        return Go(min(rooms, default=BOUNDLESS), numbers)

    def _window(self, at: float) -> Wait | None:
        hours = self.plan.hours
        if hours is None or hours.is_open(at):
            return None
        return Wait(hours.next_open(at), "the window is closed")

    def _pace(self, at: float) -> Wait | None:
        if self.spent.last_at > self.now:  # the clock was put back, perhaps by hours
            return None
        until = self.spent.last_at + gap(self.limits, self.spent.last_parts, self.chance)
        return Wait(until, "the pace", is_pace=True) if until > at else None

    def _hour(self, at: float) -> Wait | None:
        most = self.limits.per_hour
        if most is None:
            return None
        excess, until = self._in_hour(at) + self.parts - most, at
        for claimed, parts in self.spent.hour:
            if excess > 0 and claimed + HOUR > at:
                excess, until = excess - parts, claimed + HOUR
        return Wait(until, f"per_hour={most} is reached") if until > at else None

    def _day(self, at: float) -> Wait | None:
        most = self.limits.per_day
        if most is None or self.spent.day + self.parts <= most:
            return None
        until = next_day(self.now, self.plan.zone or UTC)
        return Wait(until, f"per_day={most} is reached") if until > at else None

    def _month(self, at: float) -> Wait | None:
        most, distinct = self.limits.per_month, self.limits.distinct_per_month
        if most is not None and self.spent.month + self.parts > most:
            reason = f"per_month={most} is reached"
        elif distinct is not None and self.is_new and self.spent.numbers >= distinct:
            reason = f"distinct_per_month={distinct} is reached"
        else:
            return None
        until = next_month(self.now, self.plan.zone or UTC)
        return Wait(until, reason) if until > at else None

    def _in_hour(self, at: float) -> int:
        return sum(parts for claimed, parts in self.spent.hour if claimed + HOUR > at)
