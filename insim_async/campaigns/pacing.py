"""How fast and when a phone may send: limits in SMS parts, and hours of the day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, time, tzinfo
from types import UnionType
from typing import Any

from msgspec import Struct
from msgspec.structs import force_setattr

from insim_async._settings import zone_of
from insim_async.campaigns._hours import dates_of, hours_of
from insim_async.errors import ConfigurationError

__all__ = ["Limits", "SendWindow"]

_MOST = 1_000_000_000


class Limits(Struct, frozen=True, kw_only=True):
    """How much may be sent: SMS parts, since a phone sends parts and a plan counts them.

    They are those of the file: all that campaigns and an outbox in it send counts, and what earlier
    runs sent. None is no limit.

    Args:
        per_second: A spacing: after a message of three parts the phone rests three times as long.
            At most a second's worth goes at a time, and at least one message.
        per_minute: The same by the minute: 20 is one part each three seconds, not twenty at once.
        per_hour: In any sixty minutes.
        per_day: In a day of the calendar, in the zone of the window or the client.
        per_month: In a month of the calendar, likewise.
        distinct_per_month: Different numbers in a month of the calendar. A plan may have such a
            limit beside that of its messages.
        jitter: By how much chance lengthens a spacing, as a share of it: with 0.5 the three seconds
            become three to four and a half. It never shortens one.

    Raises:
        ConfigurationError: A number makes no sense.
    """

    per_second: float | None = None
    per_minute: float | None = None
    per_hour: int | None = None
    per_day: int | None = None
    per_month: int | None = None
    distinct_per_month: int | None = None
    jitter: float = 0.0

    def __post_init__(self) -> None:
        for name in ("per_second", "per_minute"):
            _check(name, getattr(self, name), int | float, "a number above 0", 1 / _MOST)
        for name in ("per_hour", "per_day", "per_month", "distinct_per_month"):
            _check(name, getattr(self, name), int, "a whole number of 1 or more", 1)
        jitter = self.jitter
        if isinstance(jitter, bool) or not (isinstance(jitter, int | float) and 0 <= jitter <= 10):
            raise ConfigurationError(f"jitter: expected a number from 0 to 10, got {jitter!r}")
        if self.jitter and self.per_second is None and self.per_minute is None:
            raise ConfigurationError(
                "jitter: it lengthens the spacing of per_second or per_minute: give one of them"
            )


class _Times(Struct, frozen=True):
    start: str | time
    end: str | time


class SendWindow(_Times, frozen=True, kw_only=True):
    """The hours in which something may be sent, by the clock on the wall of a place.

    Args:
        start: A time of day, ``"08:00"`` or a ``datetime.time``.
        end: The first time at which nothing is sent any more, up to ``"24:00"``. One before the
            start is on the day after.
        days: Days of the week: ``"mon-sat"``, ``"mon,wed,fri-sun"``. Of a window that crosses
            midnight it is the day on which it opens.
        except_dates: Days on which it does not open: dates, or texts such as ``"2027-05-01"``.
        timezone: A name such as ``"Europe/Paris"``, or a tzinfo; by default the client's.

    Raises:
        ConfigurationError: One of them makes no sense.
    """

    days: str = "mon-sun"
    except_dates: Iterable[date | str] = ()
    timezone: str | tzinfo | None = None

    def __post_init__(self) -> None:
        dates = dates_of("except_dates", self.except_dates)
        force_setattr(self, "except_dates", tuple(sorted(dates)))  # an iterator is read only once
        hours_of(self.start, self.end, self.days, dates, zone_of(self.timezone) or UTC)


def _check(name: str, value: Any, kind: type | UnionType, expected: str, least: float) -> None:
    if value is None:
        return
    is_number = isinstance(value, kind) and not isinstance(value, bool)
    if not (is_number and least <= value <= _MOST):
        raise ConfigurationError(
            f"{name}: expected {expected}, or None for no limit, got {value!r}"
        )
