"""Dates go out in the account's own time, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from insim_async import Clock, InvalidMessage, Sms
from insim_async._sending.checks import Ids, Rules, check_sms
from insim_async._wire import Message

NUMBER = "+33639980001"
PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Fixed(tzinfo):
    """A zone with one offset for all dates, or none; with a name it is as those of pytz are."""

    def __init__(self, offset: timedelta | None, zone: str | None = None) -> None:
        self.offset = offset
        self.zone = zone

    def utcoffset(self, _: datetime | None) -> timedelta | None:
        return self.offset

    dst = utcoffset

    def tzname(self, _: datetime | None) -> str | None: ...


class Ignoring(tzinfo):
    """Paris as the zones of dateutil have it: in a gap they ignore ``fold``."""

    def utcoffset(self, date: datetime | None) -> timedelta | None:
        return None if date is None else in_paris(date).utcoffset()

    def dst(self, _: datetime | None) -> timedelta | None: ...

    def tzname(self, _: datetime | None) -> str | None: ...

    def fromutc(self, date: datetime) -> datetime:
        return PARIS.fromutc(date.replace(tzinfo=PARIS)).replace(tzinfo=self)


def in_paris(date: datetime) -> datetime:
    first, second = (date.replace(tzinfo=PARIS, fold=fold) for fold in (0, 1))
    is_gap = str(first.utcoffset()) < str(second.utcoffset())
    return first if is_gap or not date.fold else second


class Terse(tzinfo):
    """A zone that says its offset, and no more."""

    def utcoffset(self, _: datetime | None) -> timedelta | None:
        return timedelta(hours=5)

    def dst(self, _: datetime | None) -> None: ...

    def tzname(self, _: datetime | None) -> str | None: ...


def pytz(hours: float, name: str = "Europe/Paris") -> tzinfo:
    """Return a zone as pytz makes them: named for its place, with one fixed offset.

    That offset is of one date, or of long ago.
    """
    return Fixed(timedelta(hours=hours), name)


def told(zone: tzinfo | None) -> Rules:
    return Rules(timezone=zone, clock=Clock(wall=NOW.timestamp))


NAIVE = datetime(2026, 7, 1, 9, 30, 15)  # noqa: DTZ001 - the account's own zone
CASES = {
    "naive goes out as given": (NAIVE, None, "2026-07-01 09:30:15"),
    "in the past too": (NAIVE.replace(year=1999), None, "1999-07-01 09:30:15"),
    "naive is already in the account's zone": (NAIVE, PARIS, "2026-07-01 09:30:15"),
    "fractions are cut": (NAIVE.replace(microsecond=999_999), None, "2026-07-01 09:30:15"),
    "aware is converted": (datetime(2026, 7, 1, 7, 30, tzinfo=UTC), PARIS, "2026-07-01 09:30:00"),
    "by the rules of the day": (
        datetime(2026, 1, 1, 7, 30, tzinfo=UTC),
        PARIS,
        "2026-01-01 08:30:00",
    ),
    "from any zone": (
        datetime(2026, 7, 1, 7, 30, tzinfo=timezone(timedelta(hours=-5))),
        PARIS,
        "2026-07-01 14:30:00",
    ),
    "from one that ignores fold in a gap": (
        datetime(2026, 7, 1, 9, 30, tzinfo=Ignoring()),
        UTC,
        "2026-07-01 07:30:00",
    ),
    "the first of two from it": (
        datetime(2026, 10, 25, 2, 30, tzinfo=Ignoring()),
        UTC,
        "2026-10-25 00:30:00",
    ),
    "the second of two from it": (
        datetime(2026, 10, 25, 2, 30, tzinfo=Ignoring(), fold=1),
        UTC,
        "2026-10-25 01:30:00",
    ),
    "in such a zone": (datetime(2026, 7, 1, 7, 30, tzinfo=UTC), Ignoring(), "2026-07-01 09:30:00"),
    "naive in it": (NAIVE, Ignoring(), "2026-07-01 09:30:15"),
    "from a zone that says no more than its offset": (
        datetime(2026, 7, 1, 9, 30, tzinfo=Terse()),
        UTC,
        "2026-07-01 04:30:00",
    ),
    "naive, when clocks are put back": (
        datetime(2026, 10, 25, 2, 30),  # noqa: DTZ001
        PARIS,
        "2026-10-25 02:30:00",
    ),
}


@pytest.mark.parametrize(("send_at", "zone", "written"), CASES.values(), ids=CASES)
def test_a_date_is_written_in_the_account_s_own_zone(
    send_at: datetime, zone: tzinfo | None, written: str
) -> None:
    message = check_sms(Sms(NUMBER, "Hi", send_at=send_at), told(zone), "fresh", Ids())
    assert isinstance(message, Message)
    assert message.date_to_send == written


@pytest.mark.parametrize(
    ("send_at", "reason"),
    [
        (datetime(2026, 3, 29, 2, 30), "does not exist"),  # noqa: DTZ001
        (datetime(2026, 3, 29, 2, 30, tzinfo=PARIS), "does not exist"),
        (datetime(2026, 3, 29, 2, 30, tzinfo=Ignoring()), "does not exist"),
        (datetime(2026, 3, 29, 2, 30, fold=1, tzinfo=Ignoring()), "does not exist"),
        (datetime(2026, 3, 29, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")), "does not exist"),
        (datetime(2026, 3, 8, 2, 30, tzinfo=ZoneInfo("America/New_York")), "does not exist"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "cannot tell which"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "cannot tell which"),
        (datetime.max.replace(tzinfo=UTC), "too early or too late"),
        (datetime(1, 1, 1), "too early or too late"),  # noqa: DTZ001
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), "too early or too late"),
    ],
)
@pytest.mark.parametrize("zone", [PARIS, Ignoring()], ids=["PEP 495", "ignoring"])
def test_a_time_that_does_not_exist_or_exists_twice_is_refused(
    send_at: datetime, reason: str, zone: tzinfo
) -> None:
    fault = check_sms(Sms(NUMBER, "Hi", send_at=send_at), told(zone), "fresh", Ids())
    assert isinstance(fault, InvalidMessage)
    assert reason in fault.reason


AMBIGUOUS = datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001
PYTZ = {
    "localized": (NAIVE.replace(tzinfo=pytz(2)), PARIS, "2026-07-01 09:30:15"),
    "in winter": (datetime(2026, 2, 1, 9, 30, tzinfo=pytz(1)), PARIS, "2026-02-01 09:30:00"),
    "the first of two": (AMBIGUOUS.replace(tzinfo=pytz(2)), UTC, "2026-10-25 00:30:00"),
    "the second of two": (AMBIGUOUS.replace(tzinfo=pytz(1)), UTC, "2026-10-25 01:30:00"),
    "UTC": (NAIVE.replace(tzinfo=pytz(0, "UTC")), PARIS, "2026-07-01 11:30:15"),
    "without a name": (
        NAIVE.replace(tzinfo=Fixed(timedelta(hours=5))),
        PARIS,
        "2026-07-01 06:30:15",
    ),
}


@pytest.mark.parametrize(("send_at", "zone", "written"), PYTZ.values(), ids=PYTZ)
def test_a_zone_of_pytz_means_the_place_that_it_names(
    send_at: datetime, zone: tzinfo, written: str
) -> None:
    message = check_sms(Sms(NUMBER, "Hi", send_at=send_at), told(zone), "fresh", Ids())
    assert isinstance(message, Message)
    assert message.date_to_send == written


@pytest.mark.parametrize(
    ("send_at", "reason"),
    [
        (NAIVE.replace(tzinfo=pytz(0.15)), "another offset at that time: use zoneinfo.ZoneInfo"),
        (NAIVE.replace(tzinfo=pytz(1)), "another offset at that time: use zoneinfo.ZoneInfo"),
        (datetime(2026, 3, 29, 2, 30, tzinfo=pytz(1)), "does not exist"),
        (
            NAIVE.replace(tzinfo=pytz(1, "Mars/Olympus")),
            "not known on this machine: pip install tzdata",
        ),
        (NAIVE.replace(tzinfo=Fixed(None)), "does not say its offset"),
        (NOW - timedelta(days=1, seconds=1), "more than a day in the past"),
        (datetime(1970, 1, 1, tzinfo=UTC), "more than a day in the past"),
    ],
)
@pytest.mark.parametrize("zone", [PARIS, UTC])
def test_a_date_that_is_a_mistake_is_refused(send_at: datetime, zone: tzinfo, reason: str) -> None:
    fault = check_sms(Sms(NUMBER, "Hi", send_at=send_at), told(zone), "fresh", Ids())
    assert isinstance(fault, InvalidMessage)
    assert (fault.field, reason in fault.reason) == ("send_at", True)


def test_a_date_that_has_just_passed_is_none() -> None:
    """The machine's clock and the account's need not agree."""
    assert isinstance(
        check_sms(Sms(NUMBER, "Hi", send_at=NOW - timedelta(days=1)), told(UTC), "fresh", Ids()),
        Message,
    )
