"""Hours of the day on days of the week, as the clock on the wall of a place shows them.

They are open exactly while that clock shows a time from the one to the other, whatever is done to
the clock: a quarter of an hour that is shown twice is open twice, one that is left out never.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from insim_async.campaigns._wallclock import reach, shown
from insim_async.errors import ConfigurationError

__all__ = ["Hours", "dates_of", "hours_of"]

_A_DAY = 24 * 60 * 60
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAYS = {name: day for names in (_WEEK, _FULL) for day, name in enumerate(names)}
_clock_time = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])").fullmatch


class Hours(NamedTuple):
    """When something may be sent.

    Attributes:
        opens: Seconds after midnight.
        closes: Seconds after midnight, this one no more; not above ``opens`` where it is on the day
            after.
        weekdays: Monday is 0. Of hours that cross midnight it is the day on which they open.
        except_dates: Days on which they do not open.
        zone: Whose clock it is.
    """

    opens: int
    closes: int
    weekdays: frozenset[int]
    except_dates: frozenset[date]
    zone: tzinfo

    def next_open(self, at: float) -> float:
        """Return the first instant from this one on at which they are open."""
        return reach(at, self.zone, self._opening)

    def end(self, at: float) -> float:
        """Return when the hours that are open at an instant end; others may follow at once."""
        now = shown(at, self.zone)
        closing = _midnight(now) + timedelta(seconds=self.closes)
        if closing <= now:
            closing += timedelta(days=1)
        return reach(at, self.zone, lambda now: max(now, closing))

    def is_open(self, at: float) -> bool:
        """Say whether they are open."""
        return self._is_open(shown(at, self.zone))

    def _is_open(self, now: datetime) -> bool:
        second = (now - _midnight(now)).total_seconds()
        if self.opens < self.closes:
            return self.opens <= second < self.closes and self._opens_on(now.date())
        if second >= self.opens and self._opens_on(now.date()):
            return True
        return second < self.closes and self._opens_on(now.date() - timedelta(days=1))

    def _opening(self, now: datetime) -> datetime:
        """Return when they are open next, if nobody changes the clock."""
        if self._is_open(now):
            return now
        opening = _midnight(now) + timedelta(seconds=self.opens)
        while opening < now or not self._opens_on(opening.date()):
            opening += timedelta(days=1)
        return opening

    def _opens_on(self, day: date) -> bool:
        return day.weekday() in self.weekdays and day not in self.except_dates


def hours_of(start: object, end: object, days: object, except_dates: object, zone: tzinfo) -> Hours:
    """Return the hours that a window says.

    Raises:
        ConfigurationError: It makes no sense.
    """
    opens, closes = _seconds("start", start), _seconds("end", end)
    if opens == closes:
        raise ConfigurationError('end: it is the start; a whole day is "00:00" to "24:00"')
    if opens == _A_DAY:
        raise ConfigurationError('start: a day ends at "24:00", and begins at "00:00"')
    return Hours(opens, closes, _weekdays(days), dates_of("except_dates", except_dates), zone)


def _seconds(name: str, value: object) -> int:
    """Return the seconds from midnight to a time of day.

    Args:
        name: What it is called in an error.
        value: ``"08:00"``, up to ``"24:00"``, or a ``datetime.time`` without a zone.

    Raises:
        ConfigurationError: It is no such thing.
    """
    if isinstance(value, time) and value.tzinfo is None and not value.microsecond:
        return value.hour * 3600 + value.minute * 60 + value.second
    found = _clock_time(value) if isinstance(value, str) else None
    seconds = int(found[1]) * 3600 + int(found[2]) * 60 if found else _A_DAY + 1
    if seconds > _A_DAY:
        raise ConfigurationError(
            f'{name}: expected a time of day such as "08:00", or a datetime.time without a zone '
            f"and in whole seconds, got {value!r}"
        )
    return seconds


def _weekdays(days: object) -> frozenset[int]:
    """Return the days of the week in a text such as ``"mon-fri, sun"``; Monday is 0.

    A range may go beyond Sunday: ``"sat-mon"`` has three days.

    Raises:
        ConfigurationError: It names none, or something else.
    """
    found: set[int] = set()
    for part in days.split(",") if isinstance(days, str) else [""]:
        ends = [_DAYS.get(end.strip().lower(), -1) for end in part.split("-")]
        if len(ends) > 2 or min(ends) < 0:
            raise ConfigurationError(
                'days: expected days and ranges of them, such as "mon-sat" or "mon,wed,fri-sun" '
                f"({' '.join(_WEEK)}), got {days!r}"
            )
        found.update((ends[0] + n) % 7 for n in range((ends[-1] - ends[0]) % 7 + 1))
    return frozenset(found)


def dates_of(name: str, dates: object) -> frozenset[date]:
    """Return the days in dates or texts such as ``"2027-05-01"``.

    Raises:
        ConfigurationError: One of them is no day, or something else was given than several of them.
    """
    if isinstance(dates, str) or not isinstance(dates, Iterable):
        raise ConfigurationError(f'{name}: expected several days, such as ["2027-05-01"]')
    return frozenset(_day(name, day) for day in dates)


def _day(name: str, day: object) -> date:
    if isinstance(day, str):
        try:
            return date.fromisoformat(day)
        except ValueError:
            pass
    if not isinstance(day, date) or isinstance(day, datetime):
        raise ConfigurationError(
            f'{name}: expected days such as "2027-05-01" or datetime.date, got {day!r}'
        )
    return day


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
