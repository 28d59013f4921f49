"""The clock on the wall of a place, against the instants of the ledger: seconds since 1970.

Between two changes of the clock both go on alike. So an instant is found by adding up what the wall
clock still has to go, and, where the clock is changed on that way, by looking again from there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo

__all__ = ["begin_of", "day_start", "month_start", "next_day", "next_month", "reach", "shown"]

_STEP = 6 * 60 * 60
"""No place changes its clock twice in so many seconds."""

_FARTHEST = 26 * 60 * 60
"""No zone is so many seconds away from UTC."""

_A_DAY = timedelta(days=1)


def shown(at: float, zone: tzinfo) -> datetime:
    """Return what the clock of a zone shows at an instant, as a naive date."""
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None)


def reach(at: float, zone: tzinfo, target: Callable[[datetime], datetime]) -> float:
    """Return the first instant, from ``at`` on, at which the wall clock shows what it shall.

    Args:
        at: Where to begin.
        zone: Whose clock.
        target: Given what a clock shows, what it shall show next if nobody changes it, to the
            second; the same if that is reached.
    """
    while (wanted := target(now := shown(at, zone))) != now:
        there = float(round(at + (wanted - now).total_seconds()))
        change = _first_change(at, there, zone)
        if change is None:
            return there
        at = change
    return at


def begin_of(day: date, zone: tzinfo) -> float:
    """Return when a day begins: the first instant at which the clock shows it, or a later one."""
    midnight = datetime.combine(day, time())
    before = datetime.combine(day, time(), UTC).timestamp() - _FARTHEST
    return reach(before, zone, lambda now: max(now, midnight))


def day_start(now: float, zone: tzinfo) -> float:
    """Return when the day of an instant began."""
    today = shown(now, zone).date()
    # The clock may go back to the day before: that hour belongs to the day that has begun.
    return max(
        start for start in (begin_of(today + _A_DAY * n, zone) for n in (-1, 0, 1)) if start <= now
    )


def next_day(now: float, zone: tzinfo) -> float:
    """Return when the day after that of an instant begins."""
    today = shown(now, zone).date()
    return min(
        start for start in (begin_of(today + _A_DAY * n, zone) for n in (0, 1, 2)) if start > now
    )


def month_start(now: float, zone: tzinfo) -> float:
    """Return when the month of an instant began."""
    first = shown(day_start(now, zone), zone).date().replace(day=1)
    return begin_of(first, zone)


def next_month(now: float, zone: tzinfo) -> float:
    """Return when the month after that of an instant begins."""
    first = shown(day_start(now, zone), zone).date().replace(day=1)
    return begin_of((first + 32 * _A_DAY).replace(day=1), zone)


def _first_change(at: float, there: float, zone: tzinfo) -> float | None:
    """Return the first instant behind one, up to another, at which the clock is changed."""
    low, last = int(at // 1), int(there)
    before = _offset(low, zone)
    while low < last:
        high = min(low + _STEP, last)
        if _offset(high, zone) != before:
            return _changed(low, high, zone)
        low = high
    return None


def _changed(low: int, high: int, zone: tzinfo) -> float:
    """Return the second of the change between two instants with different offsets."""
    before = _offset(low, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, zone) == before:
            low = middle
        else:
            high = middle
    return float(high)


def _offset(at: int, zone: tzinfo) -> timedelta | None:
    return datetime.fromtimestamp(at, zone).utcoffset()
