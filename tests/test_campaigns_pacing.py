"""Limits, windows and ends say what they mean, or are refused with what to write instead."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from insim_async import ConfigurationError
from insim_async.campaigns import Limits, SendWindow
from insim_async.campaigns._plan import Plan, check_limits, plan_of

PARIS = ZoneInfo("Europe/Paris")
MONDAY = date(2027, 3, 8)


class Pytz(tzinfo):
    """A zone as those of pytz are: named for its place, with one fixed offset."""

    def __init__(self, offset: timedelta, zone: str = "Europe/Paris") -> None:
        self.offset = offset
        self.zone = zone

    def utcoffset(self, _: datetime | None) -> timedelta:
        return self.offset

    def dst(self, _: datetime | None) -> timedelta | None: ...

    def tzname(self, _: datetime | None) -> str | None: ...


class Silent(Pytz):
    """A zone that does not know its offset, and makes no date aware."""

    def utcoffset(self, _: datetime | None) -> None:  # type: ignore[override]
        return None


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"per_second": 0.5, "jitter": 0.3},
        {"per_minute": 20, "jitter": 1},
        {"per_hour": 1, "per_day": 400, "per_month": 10_000, "distinct_per_month": 200},
    ],
)
def test_limits_are_numbers_that_can_be_stored(limits: dict[str, Any]) -> None:
    made = Limits(**limits)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Limits) == made


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"per_second": 0}, "per_second: expected a number above 0, or None for no limit, got 0"),
        ({"per_second": float("nan")}, "got nan"),
        ({"per_second": float("inf")}, "got inf"),
        ({"per_minute": -1}, "per_minute: expected a number above 0"),
        ({"per_minute": True}, "got True"),
        ({"per_minute": "20"}, "got '20'"),
        ({"per_hour": 0}, "per_hour: expected a whole number of 1 or more"),
        ({"per_hour": 1.5}, "per_hour: expected a whole number"),
        ({"per_day": 10**12}, "per_day: expected a whole number"),
        ({"per_month": False}, "per_month"),
        ({"distinct_per_month": "x"}, "distinct_per_month"),
        ({"jitter": -0.1, "per_minute": 1}, "jitter: expected a number from 0 to 10"),
        ({"jitter": True, "per_minute": 1}, "jitter: expected"),
        ({"jitter": "x", "per_minute": 1}, "jitter: expected"),
        ({"jitter": float("nan"), "per_minute": 1}, "jitter: expected"),
        ({"jitter": 0.5, "per_day": 1}, "it lengthens the spacing of per_second or per_minute"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Limits(**limits)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("days", "open_on"),
    [
        ("mon-sun", "0123456"),
        ("mon-sat", "012345"),
        ("MON-Fri", "01234"),
        ("sat-mon", "560"),
        ("sun-sat", "6012345"),
        ("mon", "0"),
        ("mon-mon", "0"),
        ("mon,wed,fri-sun", "02456"),
        (" monday - wednesday , Sunday ", "0126"),
    ],
)
def test_days_of_the_week_may_be_ranges_and_go_beyond_sunday(days: str, open_on: str) -> None:
    window = SendWindow("10:00", "11:00", days=days, timezone="UTC")
    hours = plan_of(window, None).hours
    assert hours is not None
    at_half_past_ten = [datetime(2027, 3, 8 + day, 10, 30, tzinfo=UTC) for day in range(7)]
    found = [day.weekday() for day in at_half_past_ten if hours.is_open(day.timestamp())]
    assert found == sorted(map(int, open_on))


@pytest.mark.parametrize(
    "days", ["", "mon-", "mon-tue-wed", "lun-sam", "mon;tue", "m", None, 3, ["mon"], "mon,,tue"]
)
def test_other_words_for_days_are_refused(days: Any) -> None:
    with pytest.raises(ConfigurationError, match=r'days: expected .* such as "mon-sat"'):
        SendWindow("10:00", "11:00", days=days)


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("08:00", "08:00", 'end: it is the start; a whole day is "00:00" to "24:00"'),
        ("24:00", "08:00", 'start: a day ends at "24:00"'),
        ("8", "20:00", 'start: expected a time of day such as "08:00"'),
        ("08:00", "24:01", "end: expected a time of day"),
        ("08:60", "20:00", "start: expected"),
        ("08:00", "20h", "end: expected"),
        (8, 20, "start: expected"),
        (time(8, tzinfo=UTC), "20:00", "start: expected"),
        (time(8, 0, 0, 1), "20:00", "start: expected"),
    ],
)
def test_times_that_are_none_are_refused(start: Any, end: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SendWindow(start, end)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("start", "end", "at", "is_open"),
    [
        ("8:00", "20:00", "07:59:59", False),
        ("08:00", "20:00", "08:00:00", True),
        ("08:00", "20:00", "19:59:59", True),
        ("08:00", "20:00", "20:00:00", False),
        (time(8, 0, 30), time(20), "08:00:29", False),
        (time(8, 0, 30), time(20), "08:00:30", True),
        ("00:00", "24:00", "23:59:59", True),
        ("20:00", "00:00", "23:59:59", True),
        ("20:00", "00:00", "00:00:00", False),
        ("22:00", "06:00", "05:59:59", True),
        ("22:00", "06:00", "06:00:00", False),
    ],
)
def test_a_window_is_open_from_its_start_up_to_its_end(
    start: str | time, end: str | time, at: str, is_open: bool
) -> None:
    hours = plan_of(SendWindow(start, end, timezone="UTC"), None).hours
    assert hours is not None
    moment = datetime.combine(MONDAY, time.fromisoformat(at), UTC)
    assert hours.is_open(moment.timestamp()) is is_open


def test_dates_are_left_out_whether_they_are_written_or_made_and_may_come_from_an_iterator() -> (
    None
):
    dates: list[date | str] = ["2027-05-08", date(2027, 5, 1)]
    window = SendWindow("10:00", "11:00", except_dates=iter(dates))
    assert window.except_dates == (date(2027, 5, 1), date(2027, 5, 8))
    assert window == SendWindow("10:00", "11:00", except_dates=["2027-05-01", "2027-05-08"])
    assert hash(window) == hash(window)


@pytest.mark.parametrize(
    "dates",
    ["2027-05-01", date(2027, 5, 1), ["1 May"], [datetime(2027, 5, 1)], [1], None],  # noqa: DTZ001
)
def test_what_is_not_several_dates_is_refused(dates: Any) -> None:
    with pytest.raises(ConfigurationError, match=r'except_dates: expected .*"2027-05-01"'):
        SendWindow("10:00", "11:00", except_dates=dates)


@pytest.mark.parametrize("zone", ["Europe/Pariss", "", 1])
def test_a_window_knows_its_zone_or_is_not_made(zone: Any) -> None:
    with pytest.raises(ConfigurationError, match="timezone"):
        SendWindow("10:00", "11:00", timezone=zone)


@pytest.mark.parametrize(
    ("own", "clients", "zone"),
    [("Europe/Paris", UTC, PARIS), (PARIS, None, PARIS), (None, PARIS, PARIS)],
)
def test_the_zone_of_a_window_goes_before_the_clients(
    own: Any, clients: tzinfo | None, zone: tzinfo
) -> None:
    plan = plan_of(SendWindow("08:00", "20:00", timezone=own), None, clients)
    assert plan.zone == zone
    assert plan.hours is not None
    assert plan.hours.zone == zone


def test_without_any_zone_a_window_is_refused() -> None:
    """On a server in UTC it would close at 22:00 in Paris."""
    with pytest.raises(ConfigurationError, match=r'timezone="Europe/Paris"'):
        plan_of(SendWindow("08:00", "20:00"), None)


def test_without_a_window_everything_is_open() -> None:
    assert plan_of(None, None) == Plan(hours=None, until=None, zone=None)


ONE = datetime(2027, 3, 12, 18, tzinfo=PARIS).timestamp()
NAIVE = datetime(2027, 3, 12, 18)  # noqa: DTZ001 - in whichever zone there is
LATEST, EARLIEST = datetime.max, datetime.min  # noqa: DTZ901
TWICE = datetime(2027, 10, 31, 2, 30)  # noqa: DTZ001
FIRST = datetime(2027, 10, 31, 0, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("until", "clients", "at"),
    [
        (NAIVE, PARIS, ONE),
        (NAIVE.replace(tzinfo=PARIS), None, ONE),
        (NAIVE.replace(tzinfo=timezone(timedelta(hours=1))), UTC, ONE),
        (NAIVE.replace(microsecond=999_999), PARIS, ONE),
        (NAIVE.replace(tzinfo=Pytz(timedelta(hours=1))), None, ONE),
        (NAIVE.replace(tzinfo=Silent(timedelta())), PARIS, ONE),
        (TWICE.replace(fold=1), PARIS, FIRST + 3600),
        (TWICE.replace(tzinfo=PARIS), None, FIRST),
        (TWICE.replace(tzinfo=PARIS, fold=1), None, FIRST + 3600),
        (LATEST, PARIS, LATEST.replace(microsecond=0, tzinfo=PARIS).timestamp()),
    ],
)
def test_an_end_is_one_instant(until: datetime, clients: tzinfo | None, at: float) -> None:
    assert plan_of(None, until, clients).until == at


@pytest.mark.parametrize(
    ("until", "clients", "said"),
    [
        (date(2027, 3, 12), PARIS, "until: expected a datetime, got date"),
        (NAIVE, None, "until: a time of which place?"),
        (datetime(2027, 3, 28, 2, 30), PARIS, "clocks are put forward over it"),  # noqa: DTZ001
        (datetime(2027, 3, 28, 2, 30, tzinfo=PARIS), None, "clocks are put forward over it"),
        (NAIVE.replace(tzinfo=Pytz(timedelta(minutes=9))), None, "with pytz localize()"),
        (NAIVE.replace(tzinfo=Pytz(timedelta(0), "Nowhere/Land")), None, "not known on this"),
        (TWICE, PARIS, "which they show twice"),
        (EARLIEST, PARIS, "too early or too late"),
    ],
)
def test_an_end_that_is_no_instant_or_two_is_refused(
    until: Any, clients: tzinfo | None, said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        plan_of(None, until, clients)
    assert said in str(caught.value)


def test_a_naive_end_is_in_the_zone_of_the_window() -> None:
    window = SendWindow("08:00", "20:00", timezone="Asia/Tokyo")
    assert plan_of(window, NAIVE, PARIS).until == ONE - 8 * 3600


@pytest.mark.parametrize("limit", ["per_day", "per_month", "distinct_per_month"])
def test_whoever_counts_days_says_of_which_place(limit: str) -> None:
    limits = Limits(**{limit: 400})
    with pytest.raises(ConfigurationError, match=f"{limit}: the days of which place?"):
        check_limits(limits, Plan())
    check_limits(limits, Plan(zone=UTC))


@pytest.mark.parametrize("limit", ["per_hour", "per_day", "per_month"])
def test_a_message_longer_than_a_limit_is_refused_since_it_would_wait_for_ever(limit: str) -> None:
    limits = Limits(**{limit: 2})
    check_limits(limits, Plan(zone=UTC), longest=2)
    with pytest.raises(ConfigurationError, match=f"{limit}: a message of 3 parts is more than 2"):
        check_limits(limits, Plan(zone=UTC), longest=3)


def test_a_spacing_lets_any_message_go_and_rests_longer_after_it() -> None:
    check_limits(Limits(per_second=1, per_minute=2), Plan(), longest=255)
