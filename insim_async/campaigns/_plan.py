"""When a run may send: its hours, its end, and whose days and months count."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import NamedTuple

from insim_async._settings import zone_of
from insim_async._zones import REMEDY, standard_zone
from insim_async.campaigns._hours import Hours, hours_of
from insim_async.campaigns._wallclock import shown
from insim_async.campaigns.pacing import Limits, SendWindow
from insim_async.errors import ConfigurationError

__all__ = ["Plan", "check_limits", "instant_of", "plan_of"]

_COUNTED = ("per_hour", "per_day", "per_month")
_BY_CALENDAR = ("per_day", "per_month", "distinct_per_month")


class Plan(NamedTuple):
    """When a run may send.

    Attributes:
        hours: The window; None for always.
        until: The instant at which all that is left is too late.
        zone: Whose days and months count; None where nobody said.
    """

    hours: Hours | None = None
    until: float | None = None
    zone: tzinfo | None = None


def plan_of(
    window: SendWindow | None, until: datetime | None, timezone: tzinfo | None = None
) -> Plan:
    """Return when a run may send.

    Args:
        window: None for always.
        until: Naive: in the zone of the window, or the client's.
        timezone: The client's own.

    Raises:
        ConfigurationError: A zone is missing, or ``until`` is no time there, or twice.
    """
    zone, hours = timezone, None
    if window is not None:
        zone = zone_of(window.timezone) or timezone
        if zone is None:
            raise _no_zone("window: the hours of which place?")
        hours = hours_of(window.start, window.end, window.days, window.except_dates, zone)
    return Plan(hours, None if until is None else instant_of("until", until, zone), zone)


def check_limits(limits: Limits, plan: Plan, longest: int = 1) -> None:
    """Make sure that the limits can be kept.

    Args:
        limits: Those of the file.
        plan: Whose zone has the days.
        longest: The parts of the longest message that is to go.

    Raises:
        ConfigurationError: Nobody said whose days count, or a message has more parts than a limit
            allows in all its time: it would wait for ever.
    """
    for name in _BY_CALENDAR:
        if getattr(limits, name) is not None and plan.zone is None:
            raise _no_zone(f"{name}: the days of which place?")
    for name in _COUNTED:
        most = getattr(limits, name)
        if most is not None and longest > most:
            raise ConfigurationError(
                f"{name}: a message of {longest} parts is more than {most}, and would wait for "
                "ever: raise the limit, or shorten the text"
            )


def instant_of(name: str, until: object, zone: tzinfo | None) -> float:
    """Return the instant of a date; it has to be one that the clock of its zone shows, and once.

    Args:
        name: Of the argument.
        until: The date.
        zone: Of a naive one.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(until, datetime):
        raise ConfigurationError(f"{name}: expected a datetime, got {type(until).__name__}")
    local = until.replace(microsecond=0)
    is_naive = local.utcoffset() is None
    if is_naive:
        if zone is None:
            raise _no_zone(f"{name}: a time of which place?")
        local = local.replace(tzinfo=zone)
    if not _exists(name, local):
        raise ConfigurationError(
            f"{name}: the clock of its zone never shows that time: clocks are put forward over it, "
            "or the zone has another offset then (use zoneinfo.ZoneInfo, or with pytz localize())"
        )
    if is_naive and not local.fold and local.utcoffset() != local.replace(fold=1).utcoffset():
        raise ConfigurationError(
            f"{name}: clocks are put back over that time, which they show twice: give it a time "
            "zone, or fold=1 for the second"
        )
    return local.timestamp()


def _exists(name: str, moment: datetime) -> bool:
    """Say whether the clock of its zone shows a moment at the instant that it stands for."""
    zone = moment.tzinfo and standard_zone(moment.tzinfo)
    if zone is None:
        raise ConfigurationError(f"{name}: its time zone is not known on this machine: {REMEDY}")
    try:
        return shown(moment.timestamp(), zone) == moment.replace(tzinfo=None, fold=0)
    except (OverflowError, ValueError):
        raise ConfigurationError(f"{name}: it is too early or too late for a time zone") from None


def _no_zone(what: str) -> ConfigurationError:
    return ConfigurationError(
        f'{what} Give the client its time zone, AsyncInSim(timezone="Europe/Paris"), or the '
        "window one of its own"
    )
