"""When the rest will have been sent, by the pace so far and what limits and window leave of it.

Beyond two months it is what these come to on average.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import NamedTuple

from insim_async.campaigns._calendar import HOUR, Spent, spacing
from insim_async.campaigns._hours import Hours
from insim_async.campaigns._plan import Plan, check_limits
from insim_async.campaigns._wallclock import next_day, next_month
from insim_async.campaigns.pacing import Limits

__all__ = ["expected_end"]

_FORESEEN = 62 * 24 * HOUR
_FARTHEST = 100 * 366 * 24 * HOUR


def expected_end(
    now: float,
    parts: float,
    rate: float,
    spent: Spent,
    limits: Limits,
    plan: Plan,
    *,
    numbers: int = 0,
) -> float | None:
    """Return when so many parts will have gone, to about an hour; None if nobody can say.

    ``until`` is not looked at: what would come behind it will not go.

    Args:
        now: The clock on the wall.
        parts: What is left.
        rate: Parts a second while it was sending, without the time in which it waited for a window
            or a limit; 0 where that is not known.
        spent: What the ledger counted, as of now.
        limits: Those of the file.
        plan: When this run may send.
        numbers: How many numbers without a message this month they go to.

    Raises:
        ConfigurationError: Nobody said whose days count.
    """
    check_limits(limits, plan)
    if not parts:
        return now
    hour = _hour(now, rate, spent, limits)
    caps = (limits.per_hour, limits.per_day, limits.per_month, limits.distinct_per_month)
    if hour.rate == math.inf and caps == (None,) * len(caps):
        return None
    zone = plan.zone or UTC
    day = _day(now, spent, limits, zone)
    month = _month(now, spent, limits, zone, parts / numbers if numbers else 0.0)
    end = _end(now, parts, hour, day, month, plan.hours)
    return end if end < now + _FARTHEST else None


class _Hour(NamedTuple):
    """An hour's limit, told in hours of its own: what is left of one goes, then the next begins.

    Attributes:
        rate: Parts a second, perhaps infinitely many.
        most: Parts an hour.
        began: When this hour did.
        used: Parts that it has had.
    """

    rate: float
    most: float
    began: float
    used: float

    def at(self, now: float) -> _Hour:
        """Return the hour that an instant is in."""
        return self if now < self.began + HOUR else self._replace(began=now, used=0)

    def after(self, at: float, parts: float) -> float:
        """Return when so many parts will have gone, from an instant on."""
        hour = self.having(at, parts)
        if hour.began == self.began:
            return at + parts / self.rate
        return hour.began + hour.used / self.rate

    def having(self, at: float, parts: float) -> _Hour:
        """Return the hour in which the last of so many parts goes, from an instant on."""
        behind = parts - self._left()
        if behind <= 0:
            return self._replace(used=self.used + parts)
        full = math.ceil(behind / self.most) - 1
        return self._replace(began=self._next(at) + full * HOUR, used=behind - full * self.most)

    def between(self, at: float, end: float) -> float:
        """Return how many parts go between two instants."""
        following = self._next(at)
        if end <= following:
            return min(self._left(), self.rate * (end - at))
        full = (end - following) // HOUR
        rest = end - following - full * HOUR
        return self._left() + full * self.most + (min(self.most, self.rate * rest) if rest else 0)

    def _left(self) -> float:
        return max(0.0, self.most - self.used)

    def _next(self, at: float) -> float:
        """Return when the hour after this one begins to be used."""
        if self.most == math.inf:
            return math.inf
        return max(self.began + HOUR, at + self._left() / self.rate)


class _Cap(NamedTuple):
    """What a day or a month has room for.

    Attributes:
        left: Parts, in the one that is now.
        most: Parts, in each that follows.
        ends: When the one that is now does.
        following: Given an instant, when the one that it is in ends.
    """

    left: float = math.inf
    most: float = math.inf
    ends: float = math.inf
    following: Callable[[float], float] = lambda _: math.inf

    def at(self, now: float, sent: float = 0.0) -> _Cap:
        """Return it at an instant, after something was sent before that."""
        if now < self.ends:
            return self._replace(left=self.left - sent)
        return self._replace(left=self.most, ends=self.following(now))


def _end(
    now: float, parts: float, hour: _Hour, day: _Cap, month: _Cap, hours: Hours | None
) -> float:
    """Go from window to window, from day to day, until all have gone."""
    at, left = now, parts
    while at < now + _FORESEEN:
        at = hours.next_open(at) if hours is not None else at
        hour, day, month = hour.at(at), day.at(at), month.at(at)
        stop = min(day.ends, month.ends, hours.end(at) if hours is not None else math.inf)
        room = max(0.0, min(left, day.left, month.left))
        done, reached = room, hour.after(at, room)
        if reached <= stop and room == left:
            return reached
        if reached <= stop:
            stop = month.ends if month.left <= day.left else day.ends
        else:
            done = hour.between(at, stop)
        hour, day, month = hour.having(at, done), day.at(stop, done), month.at(stop, done)
        at, left = stop, left - done
    return now + (at - now) * parts / (parts - left)  # some have gone: no limit is nought


def _hour(now: float, rate: float, spent: Spent, limits: Limits) -> _Hour:
    between = spacing(limits) * (1 + limits.jitter / 2)
    rate = min(rate or math.inf, 1 / between if between else math.inf)
    recent = [(claimed, parts) for claimed, parts in spent.hour if claimed + HOUR > now]
    most = limits.per_hour or math.inf
    if rate * HOUR <= most:
        most = math.inf
    began = min([claimed for claimed, _ in recent], default=now)
    return _Hour(rate, most, began, sum(parts for _, parts in recent))


def _day(now: float, spent: Spent, limits: Limits, zone: tzinfo) -> _Cap:
    if limits.per_day is None:
        return _Cap()

    def following(at: float) -> float:
        return next_day(at, zone)

    return _Cap(limits.per_day - spent.day, limits.per_day, following(now), following)


def _month(now: float, spent: Spent, limits: Limits, zone: tzinfo, each: float) -> _Cap:
    """Return the cap of a month; of numbers too, where each has so many parts."""
    left = most = math.inf
    if limits.per_month is not None:
        left, most = limits.per_month - spent.month, limits.per_month
    if limits.distinct_per_month is not None and each:
        left = min(left, each * (limits.distinct_per_month - spent.numbers))
        most = min(most, each * limits.distinct_per_month)
    if most == math.inf:
        return _Cap()

    def following(at: float) -> float:
        return next_month(at, zone)

    return _Cap(left, most, following(now), following)
