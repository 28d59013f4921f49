"""When a run is expected to end agrees with running it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insim_async import ConfigurationError
from insim_async.campaigns import Limits, SendWindow
from insim_async.campaigns._calendar import Spent
from insim_async.campaigns._forecast import expected_end
from insim_async.campaigns._plan import Plan, plan_of
from tests.paced import Claim, counted, run

PARIS = ZoneInfo("Europe/Paris")
HOUR, DAY = 3600, 86400


def paris(*when: int) -> float:
    return datetime(*when, tzinfo=PARIS).timestamp()  # type: ignore[arg-type,misc]


NOON = paris(2027, 3, 11, 12)  # a Thursday
ALWAYS = plan_of(None, None, PARIS)
OFFICE = plan_of(SendWindow("08:00", "20:00", days="mon-sat"), None, PARIS)

ENDS: dict[str, tuple[float, float, Spent, Limits, Plan, float | None]] = {
    "nothing is left": (0, 0, Spent(), Limits(), ALWAYS, NOON),
    "nobody knows how fast it is": (9, 0, Spent(), Limits(), OFFICE, None),
    "as fast as it was": (600, 2, Spent(), Limits(), ALWAYS, NOON + 300),
    "at its spacing": (600, 0, Spent(), Limits(per_minute=60), ALWAYS, NOON + 600),
    "slower than its spacing": (600, 0.5, Spent(), Limits(per_second=9), ALWAYS, NOON + 1200),
    "with half of its jitter": (60, 0, Spent(), Limits(per_second=1, jitter=1), ALWAYS, NOON + 90),
    "over a night": (
        9 * HOUR,
        1,
        Spent(),
        Limits(),
        OFFICE,
        paris(2027, 3, 12, 9),
    ),
    "over a weekend": (
        30 * HOUR,
        1,
        Spent(),
        Limits(),
        plan_of(SendWindow("08:00", "20:00", days="mon-fri"), None, PARIS),
        paris(2027, 3, 15, 18),
    ),
    "in three hours of a hundred": (250, 100, Spent(), Limits(per_hour=100), ALWAYS, NOON + 7200.5),
    "in an hour that was begun": (
        100,
        100,
        Spent(hour=[(NOON - HOUR, 9), (NOON - 600, 60)]),
        Limits(per_hour=100),
        ALWAYS,
        NOON + 3000.6,
    ),
    "in the hours that a window has left": (
        1000,
        100,
        Spent(),
        Limits(per_hour=100),
        OFFICE,
        paris(2027, 3, 12, 9) + 1,
    ),
    "in those hours, of which one was begun": (
        1000,
        100,
        Spent(hour=[(NOON - 600, 60)]),
        Limits(per_hour=100),
        OFFICE,
        paris(2027, 3, 12, 9) + 0.6,
    ),
    "over a day that was begun": (
        900,
        1,
        Spent(day=100),
        Limits(per_day=400),
        OFFICE,
        paris(2027, 3, 13, 8) + 200,
    ),
    "over a day that is over its limit": (
        100,
        1,
        Spent(day=500),
        Limits(per_day=400),
        OFFICE,
        paris(2027, 3, 12, 8) + 100,
    ),
    "over a month that is full": (
        100,
        1,
        Spent(month=5000),
        Limits(per_month=5000),
        OFFICE,
        paris(2027, 4, 1, 8) + 100,
    ),
    "at a day's limit only": (
        700,
        0,
        Spent(),
        Limits(per_day=400),
        OFFICE,
        paris(2027, 3, 12, 8),
    ),
    "hardly ever": (10**9, 0, Spent(), Limits(per_day=1), ALWAYS, None),
}


@pytest.mark.parametrize(
    ("parts", "rate", "spent", "limits", "plan", "end"), ENDS.values(), ids=ENDS
)
def test_when_it_ends(
    parts: float, rate: float, spent: Spent, limits: Limits, plan: Plan, end: float | None
) -> None:
    found = expected_end(NOON, parts, rate, spent, limits, plan)
    assert found == (end if end is None else pytest.approx(end, abs=0.01))


@pytest.mark.parametrize(
    ("per_hour", "end"), [(None, paris(2027, 3, 12)), (300, paris(2027, 3, 12, 0, 50))]
)
def test_an_hour_goes_on_behind_midnight(per_hour: int | None, end: float) -> None:
    """Nobody knows how fast it is: 400 a day, and 500 are left at ten to twelve."""
    limits = Limits(per_day=400, per_hour=per_hour)
    found = expected_end(paris(2027, 3, 11, 23, 50), 500, 0, Spent(), limits, ALWAYS)
    assert found == end


def test_numbers_that_are_new_this_month_fill_a_month() -> None:
    """Three hundred numbers of two parts, of which fifty may still go in March."""
    end = expected_end(
        NOON, 600, 1, Spent(numbers=150), Limits(distinct_per_month=200), OFFICE, numbers=300
    )
    assert end == pytest.approx(paris(2027, 5, 1, 8) + 100)
    known = expected_end(NOON, 600, 1, Spent(numbers=200), Limits(distinct_per_month=200), OFFICE)
    assert known == NOON + 600


def test_far_away_it_is_what_the_first_months_come_to() -> None:
    end = expected_end(NOON, 400 * 365, 0, Spent(), Limits(per_day=400), ALWAYS)
    assert end is not None
    assert abs(end - (NOON + 365 * DAY)) < 8 * DAY


def test_months_in_which_nothing_may_go_are_waited_for() -> None:
    holidays = [f"2027-{month:02}-{day:02}" for month in (3, 4, 5) for day in range(1, 31)]
    holidays += ["2027-03-31", "2027-05-31"]
    plan = plan_of(SendWindow("08:00", "20:00", except_dates=holidays), None, PARIS)
    end = expected_end(NOON, 100, 1, Spent(month=9), Limits(per_month=9), plan)
    assert end is not None
    assert end > paris(2028, 3, 1)
    assert expected_end(NOON, 100, 1, Spent(), Limits(), plan) == paris(2027, 6, 1, 8) + 100


def test_whoever_counts_days_says_of_which_place() -> None:
    with pytest.raises(ConfigurationError, match="the days of which place"):
        expected_end(NOON, 1, 1, Spent(), Limits(per_day=1), Plan())


windows = st.sampled_from(
    [
        None,
        SendWindow("08:00", "20:00", days="mon-sat"),
        SendWindow("22:00", "06:00", days="fri-mon"),
        SendWindow("00:00", "24:00"),
    ]
)


@settings(max_examples=12)
@given(
    st.sampled_from(
        [NOON, paris(2027, 3, 27, 21), paris(2027, 10, 30, 21), paris(2027, 4, 30, 12)]
    ),
    windows,
    st.sampled_from([1 / 10, 1 / 2, 3]),
    st.none() | st.integers(3, 40),
    st.none() | st.integers(10, 60),
    st.none() | st.integers(20, 90),
    st.integers(1, 40),
    st.lists(st.integers(1, 90), max_size=5),
)
def test_an_end_is_what_running_it_comes_to(
    now: float,
    window: SendWindow | None,
    per_minute: float,
    per_hour: int | None,
    per_day: int | None,
    per_month: int | None,
    parts: int,
    minutes_ago: list[int],
) -> None:
    """Give or take an hour of work: what is at the edge of a window may go behind it."""
    plan = plan_of(window, None, PARIS)
    limits = Limits(per_minute=per_minute, per_hour=per_hour, per_day=per_day, per_month=per_month)
    earlier = sorted(Claim(now - 60 * ago, 1) for ago in minutes_ago)
    some = max(2, round(60 * per_minute), per_hour or 0)
    ran = list(run(now, [1] * (parts + some), limits, plan, earlier=earlier, chance=0))
    end = expected_end(now, parts, 0, counted(now, earlier, limits, plan), limits, plan)
    assert end is not None
    assert end <= ran[-1].at + HOUR
    assert end >= (ran[parts - 1 - some].at if parts > some else now) - HOUR
