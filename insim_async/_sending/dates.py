"""Dates as the API reads them: in the account's own time, to the second.

The API has no way to name a zone, and nothing is guessed. A time that does not exist is refused. So
is an aware one that the account's clocks show twice; a naive one goes out as it was written, since
the account's own time is all that it says.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import cast

from insim_async._zones import REMEDY, standard_zone

__all__ = ["UnfitDate", "local_date"]

A_DAY = 24 * 60 * 60


class UnfitDate(Exception):
    """A reason why a date cannot go out."""


def local_date(date: datetime, zone: tzinfo | None, now: float) -> str:
    """Return a date as the API reads it.

    Args:
        date: Naive: it is in the account's own time already.
        zone: The account's own; None refuses aware dates.
        now: Seconds since 1970.

    Raises:
        UnfitDate: It cannot be written, or is a mistake.
    """
    # A subclass may do anything with all that follows.
    moment = datetime.combine(date.date(), date.timetz())
    if moment.tzinfo is not None:
        moment = _converted(_standard(moment), zone, now)
    elif zone is not None:
        _require_to_exist(moment.replace(tzinfo=zone))
    return moment.replace(tzinfo=None).isoformat(" ", "seconds")


def _standard(moment: datetime) -> datetime:
    """Return the moment in a zone of the standard library, where it is in one of pytz."""
    given, offset = cast(tzinfo, moment.tzinfo), moment.utcoffset()
    zone = standard_zone(given)
    if zone is None:
        raise UnfitDate(f"its time zone is not known on this machine: {REMEDY}")
    if offset is None:
        raise UnfitDate(
            "its time zone does not say its offset from UTC: "
            "leave the zone out, or use zoneinfo.ZoneInfo"
        )
    if zone is given:
        return moment
    for fold in (0, 1):
        same = moment.replace(tzinfo=zone, fold=fold)
        if same.utcoffset() == offset:
            return same
    raise UnfitDate(
        "its zone has another offset at that time: use zoneinfo.ZoneInfo, or with pytz localize()"
    )


def _converted(moment: datetime, zone: tzinfo | None, now: float) -> datetime:
    if zone is None:
        raise UnfitDate("it names a time zone: give the client the account's own with timezone=...")
    _require_to_exist(moment)
    local = _elsewhere(moment, zone)
    first, second = _offsets(local)
    if first > second:
        raise UnfitDate("clocks are put back over that time: the API cannot tell which is meant")
    if local.timestamp() < now - A_DAY:
        raise UnfitDate("it is more than a day in the past: leave send_at out to send at once")
    return local


def _require_to_exist(moment: datetime) -> None:
    first, second = _offsets(moment)
    if first < second or not _comes_back(moment):
        raise UnfitDate("clocks are put forward over that time: it does not exist in the zone")


def _comes_back(moment: datetime) -> bool:
    """Say whether a time is the same after a journey to UTC and back, as one in a gap is not.

    The offsets alone do not tell where a zone ignores ``fold`` in a gap, as those of dateutil do.
    """
    zone = cast(tzinfo, moment.tzinfo)
    there = _elsewhere(moment, UTC)
    try:
        back = there.astimezone(zone)
    except (NotImplementedError, ValueError):  # it says its offset from UTC, and no more
        return True
    return back.replace(tzinfo=None) == moment.replace(tzinfo=None)


def _elsewhere(moment: datetime, zone: tzinfo) -> datetime:
    try:
        return moment.astimezone(zone)
    except OverflowError:
        raise UnfitDate("it is too early or too late for a time zone") from None


def _offsets(moment: datetime) -> tuple[timedelta, timedelta]:
    """Return the offsets of the first and of the second time that a clock shows this (PEP 495).

    The second is smaller where clocks are put back over it, and larger where they are put forward
    over it.
    """
    first, second = (cast(timedelta, moment.replace(fold=fold).utcoffset()) for fold in (0, 1))
    return first, second
