"""A window is open exactly while the clock on the wall shows its hours, whatever is done to it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from insim_async.campaigns._hours import Hours, hours_of
from insim_async.campaigns._wallclock import (
    begin_of,
    day_start,
    month_start,
    next_day,
    next_month,
)

QUARTER = 15 * 60
CHANGES = {
    "Europe/Paris": [datetime(2027, 3, 28, 1), datetime(2027, 10, 31, 1)],  # noqa: DTZ001
    "Australia/Lord_Howe": [datetime(2027, 4, 3, 15), datetime(2027, 10, 2, 15, 30)],  # noqa: DTZ001
    "Africa/Cairo": [datetime(2026, 4, 23, 22), datetime(2026, 10, 29, 21)],  # noqa: DTZ001
    "America/Havana": [datetime(2027, 3, 14, 5), datetime(2027, 11, 7, 5)],  # noqa: DTZ001
    "America/Santiago": [datetime(2026, 4, 5, 3), datetime(2026, 9, 6, 4)],  # noqa: DTZ001
    "Pacific/Apia": [datetime(2011, 12, 30, 10)],  # noqa: DTZ001
    "Asia/Kathmandu": [datetime(2027, 1, 1)],  # noqa: DTZ001
}
"""Where clocks are changed, in UTC: at night, by half an hour, at midnight, into the day before,
over a whole day, never."""

zones_near_changes = st.sampled_from(
    [(zone, change) for zone, changes in CHANGES.items() for change in changes]
)
quarters = st.integers(min_value=0, max_value=95)


def model_is_open(hours: Hours, at: float) -> bool:
    """Look for a day on which an opening began that is not over."""
    local = datetime.fromtimestamp(at, hours.zone)
    second = local.hour * 3600 + local.minute * 60 + local.second
    length = (hours.closes - hours.opens) % 86400 or 86400
    for ago in (0, 1):
        day = local.date() - timedelta(days=ago)
        begun = second + 86400 * ago - hours.opens
        opens = day.weekday() in hours.weekdays and day not in hours.except_dates
        if opens and 0 <= begun < length:
            return True
    return False


@st.composite
def situations(draw: st.DrawFn) -> tuple[Hours, float]:
    """Return hours, and an instant within some days of a change, all in quarters of an hour."""
    zone, change = draw(zones_near_changes)
    start = draw(quarters)
    end = draw(st.integers(min_value=1, max_value=96).filter(lambda end: end != start))
    days = draw(st.sets(st.integers(0, 6), min_size=1))
    except_dates = draw(st.sets(st.integers(-3, 3), max_size=3))
    offset = draw(st.integers(min_value=-4 * 96, max_value=2 * 96))
    hours = Hours(
        start * QUARTER,
        end * QUARTER,
        frozenset(days),
        frozenset(change.date() + timedelta(days=n) for n in except_dates),
        ZoneInfo(zone),
    )
    return hours, change.replace(tzinfo=UTC).timestamp() + offset * QUARTER


@settings(max_examples=40)
@given(situations())
def test_the_next_opening_is_the_one_that_looking_at_the_clock_finds(
    situation: tuple[Hours, float],
) -> None:
    hours, at = situation
    assert hours.is_open(at) is model_is_open(hours, at)
    looked = at
    while not model_is_open(hours, looked):
        looked += QUARTER
    assert hours.next_open(at) == looked


@settings(max_examples=40)
@given(situations(), st.floats(min_value=0, max_value=QUARTER, exclude_max=True))
def test_an_opening_is_on_the_second_from_wherever_one_asks(
    situation: tuple[Hours, float], later: float
) -> None:
    hours, at = situation
    opening = hours.next_open(at + later)
    assert opening == (at + later if hours.is_open(at + later) else hours.next_open(at + QUARTER))
    assert hours.is_open(opening)


@settings(max_examples=40)
@given(situations())
def test_hours_end_where_the_clock_first_shows_their_end(situation: tuple[Hours, float]) -> None:
    hours, at = situation
    at = hours.next_open(at)
    looked = at + QUARTER
    while not passed(hours, at, looked):
        looked += QUARTER
    assert hours.end(at) == looked


def passed(hours: Hours, at: float, looked: float) -> bool:
    """Say whether the clock shows the end of the hours that are open at an instant, or later."""
    opened, now = (datetime.fromtimestamp(each, hours.zone) for each in (at, looked))
    seconds = opened.hour * 3600 + opened.minute * 60
    away = timedelta(seconds=(hours.closes - seconds) % 86400 or 86400)
    return now.replace(tzinfo=None) >= opened.replace(tzinfo=None) + away


def in_zone(zone: str, *when: int) -> float:
    return datetime(*when, tzinfo=ZoneInfo(zone)).timestamp()  # type: ignore[arg-type,misc]


def at_utc(*when: int) -> float:
    return in_zone("UTC", *when)


PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("window", "at", "opening"),
    [
        # The night in which 02:00 becomes 03:00.
        (("02:30", "04:00"), at_utc(2027, 3, 28, 0, 30), at_utc(2027, 3, 28, 1)),
        (("02:00", "03:00"), at_utc(2027, 3, 28, 0, 30), at_utc(2027, 3, 29)),
        # The night in which 03:00 becomes 02:00: what is shown twice is open twice.
        (("02:30", "02:45"), at_utc(2027, 10, 31), at_utc(2027, 10, 31, 0, 30)),
        (("02:30", "02:45"), at_utc(2027, 10, 31, 0, 45), at_utc(2027, 10, 31, 1, 30)),
        (("01:30", "02:30"), at_utc(2027, 10, 31, 0, 45), at_utc(2027, 10, 31, 1)),
        # The same hours in summer and winter.
        (("08:00", "20:00"), at_utc(2027, 3, 27, 19), at_utc(2027, 3, 28, 6)),
        (("08:00", "20:00"), at_utc(2027, 10, 30, 18), at_utc(2027, 10, 31, 7)),
    ],
)
def test_nights_in_which_the_clock_is_changed(
    window: tuple[str, str], at: float, opening: float
) -> None:
    hours = hours_of(*window, "mon-sun", (), PARIS)
    assert hours.next_open(at) == opening


def test_of_hours_that_cross_midnight_the_day_is_the_one_on_which_they_open() -> None:
    """Friday night reaches into a Saturday that is left out; Saturday night into a Sunday."""
    saturday = date(2027, 3, 13)
    fridays = hours_of("22:00", "06:00", "fri", [saturday], UTC)
    assert [
        fridays.is_open(at_utc(2027, 3, day, hour))
        for day, hour in [(12, 5), (12, 21), (12, 22), (13, 5), (13, 6), (13, 22), (14, 5)]
    ] == [False, False, True, True, False, False, False]
    left_out = hours_of("22:00", "06:00", "fri-sat", [saturday], UTC)
    assert not left_out.is_open(at_utc(2027, 3, 14, 5))


def test_holidays_in_a_row_are_waited_for() -> None:
    holidays = [date(2027, 3, 8) + timedelta(days=n) for n in range(400)]
    hours = hours_of("08:00", "20:00", "mon", holidays, UTC)
    assert hours.next_open(at_utc(2027, 3, 8)) == at_utc(2028, 4, 17, 8)


@given(zones_near_changes, st.integers(min_value=-200, max_value=200))
@example(("America/Santiago", datetime(2026, 4, 5, 3)), -3)  # noqa: DTZ001 - back to 23:00
def test_days_and_months_follow_each_other_without_gap(
    near: tuple[str, datetime], quarter: int
) -> None:
    """Each begins when the clock first shows it, even if it goes back to the day before."""
    zone, change = ZoneInfo(near[0]), near[1].replace(tzinfo=UTC).timestamp()
    at = change + quarter * QUARTER
    for begin, following in ((day_start, next_day), (month_start, next_month)):
        start, end = begin(at, zone), following(at, zone)
        assert start <= at < end
        assert begin(end, zone) == end
        assert following(start, zone) == end
        assert begin(end - 1, zone) == start
    assert next_day(at, zone) - day_start(at, zone) <= 25 * 3600
    first = day_start(at, zone)
    days = {datetime.fromtimestamp(first + n * QUARTER, zone).date() for n in range(4)}
    assert datetime.fromtimestamp(first - 1, zone).date() < min(days)


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("Europe/Paris", (2027, 3, 28), at_utc(2027, 3, 27, 23)),
        ("Europe/Paris", (2027, 10, 31), at_utc(2027, 10, 30, 22)),
        ("Africa/Cairo", (2026, 4, 24), at_utc(2026, 4, 23, 22)),  # it begins at 01:00
        ("America/Havana", (2027, 11, 7), at_utc(2027, 11, 7, 4)),  # 00:00 comes twice
        ("America/Santiago", (2026, 4, 5), at_utc(2026, 4, 5, 4)),  # 23:00 came twice before it
        ("America/St_Johns", (2010, 11, 7), at_utc(2010, 11, 7, 2, 30)),  # it is left again
        ("Pacific/Apia", (2011, 12, 30), at_utc(2011, 12, 30, 10)),  # the day that never was
    ],
)
def test_when_a_day_begins(zone: str, day: tuple[int, int, int], begins: float) -> None:
    assert begin_of(date(*day), ZoneInfo(zone)) == begins


def test_an_hour_for_which_the_clock_goes_back_to_yesterday_is_todays() -> None:
    """In Newfoundland it was put back from 00:01 to 23:01 until 2011."""
    st_johns = ZoneInfo("America/St_Johns")
    again = at_utc(2010, 11, 7, 3)
    assert datetime.fromtimestamp(again, st_johns).date() == date(2010, 11, 6)
    assert day_start(again, st_johns) == at_utc(2010, 11, 7, 2, 30)
    assert next_day(again, st_johns) == at_utc(2010, 11, 8, 3, 30)


def test_the_last_month_of_a_year_is_followed_by_the_first_of_the_next() -> None:
    assert next_month(in_zone("Europe/Paris", 2027, 12, 31, 23, 59), PARIS) == in_zone(
        "Europe/Paris", 2028, 1, 1
    )
    assert month_start(in_zone("Europe/Paris", 2027, 12, 31, 23, 59), PARIS) == in_zone(
        "Europe/Paris", 2027, 12, 1
    )
