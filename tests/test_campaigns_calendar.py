"""What may go now, and when the rest may, is arithmetic that a look at the clock agrees with."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insim_async import ConfigurationError
from insim_async.campaigns import Limits, SendWindow
from insim_async.campaigns._calendar import (
    BOUNDLESS,
    Expired,
    Go,
    Periods,
    Spent,
    Wait,
    decide,
    gap,
    periods,
    spacing,
)
from insim_async.campaigns._plan import Plan, plan_of
from insim_async.campaigns._wallclock import day_start, month_start
from tests.paced import Claim, counted, run

PARIS = ZoneInfo("Europe/Paris")
OFFICE = SendWindow("08:00", "20:00", days="mon-sat")
MINUTE, HOUR, DAY = 60, 3600, 86400


def paris(*when: int) -> float:
    return datetime(*when, tzinfo=PARIS).timestamp()  # type: ignore[arg-type,misc]


NOON = paris(2027, 3, 11, 12)  # a Thursday
PLAN = plan_of(None, None, PARIS)
IN_OFFICE = plan_of(OFFICE, None, PARIS)

DECISIONS: dict[str, tuple[float, Spent, Limits, Plan, Go | Wait | Expired]] = {
    "nothing limits it": (NOON, Spent(), Limits(), Plan(), Go(BOUNDLESS, BOUNDLESS)),
    "the window is open": (NOON, Spent(), Limits(), IN_OFFICE, Go(BOUNDLESS, BOUNDLESS)),
    "the window opens tomorrow": (
        paris(2027, 3, 11, 20),
        Spent(),
        Limits(),
        IN_OFFICE,
        Wait(paris(2027, 3, 12, 8), "the window is closed"),
    ),
    "the window opens on Monday": (
        paris(2027, 3, 13, 20),
        Spent(),
        Limits(),
        IN_OFFICE,
        Wait(paris(2027, 3, 15, 8), "the window is closed"),
    ),
    "a spacing, and a part at a time": (
        NOON,
        Spent(NOON - 3, 1),
        Limits(per_minute=20),
        PLAN,
        Go(1, BOUNDLESS),
    ),
    "a spacing, and it is not over": (
        NOON,
        Spent(NOON - 2, 1),
        Limits(per_minute=20),
        PLAN,
        Wait(NOON + 1, "the pace", is_pace=True),
    ),
    "a long message rests longer": (
        NOON,
        Spent(NOON - 2, 3),
        Limits(per_minute=20),
        PLAN,
        Wait(NOON + 7, "the pace", is_pace=True),
    ),
    "of two spacings the longer one holds": (
        NOON,
        Spent(NOON - 2, 1),
        Limits(per_second=5, per_minute=20),
        PLAN,
        Wait(NOON + 1, "the pace", is_pace=True),
    ),
    "a second's worth at a time": (
        NOON,
        Spent(NOON - 1, 50),
        Limits(per_second=50),
        PLAN,
        Go(50, BOUNDLESS),
    ),
    "an hour has room for the rest": (
        NOON,
        Spent(hour=[(NOON - 10, 97)]),
        Limits(per_hour=100),
        PLAN,
        Go(3, BOUNDLESS),
    ),
    "an hour slides": (
        NOON,
        Spent(hour=[(NOON - 3600, 50), (NOON - 3000, 1), (NOON - 10, 99)]),
        Limits(per_hour=100),
        PLAN,
        Wait(NOON + 600, "per_hour=100 is reached"),
    ),
    "a day has room for the rest": (
        NOON,
        Spent(day=398),
        Limits(per_day=400, per_hour=100),
        PLAN,
        Go(2, BOUNDLESS),
    ),
    "a day is full": (
        NOON,
        Spent(day=400),
        Limits(per_day=400),
        PLAN,
        Wait(paris(2027, 3, 12), "per_day=400 is reached"),
    ),
    "a day is full, and the window closed": (
        NOON,
        Spent(day=400),
        Limits(per_day=400),
        IN_OFFICE,
        Wait(paris(2027, 3, 12, 8), "per_day=400 is reached, then the window is closed"),
    ),
    "more went than a limit that was lowered": (
        NOON,
        Spent(day=900, hour=[(NOON - 1, 900)]),
        Limits(per_day=400, per_hour=10),
        PLAN,
        Wait(paris(2027, 3, 12), "per_day=400 is reached"),
    ),
    "a month is full": (
        NOON,
        Spent(month=10_000),
        Limits(per_month=10_000),
        PLAN,
        Wait(paris(2027, 4, 1), "per_month=10000 is reached"),
    ),
    "a month has room for some numbers": (
        NOON,
        Spent(month=9_000, numbers=190),
        Limits(per_month=10_000, distinct_per_month=200),
        PLAN,
        Go(1_000, 10),
    ),
    "a month has had its numbers": (
        NOON,
        Spent(numbers=200),
        Limits(distinct_per_month=200),
        PLAN,
        Wait(paris(2027, 4, 1), "distinct_per_month=200 is reached"),
    ),
    "the pace reaches beyond the window": (
        paris(2027, 3, 11, 20) - 1,
        Spent(paris(2027, 3, 11, 20) - 2, 1),
        Limits(per_minute=20),
        IN_OFFICE,
        Wait(paris(2027, 3, 12, 8), "the pace, then the window is closed"),
    ),
    "it is too late": (NOON, Spent(), Limits(), PLAN._replace(until=NOON), Expired()),
    "it is too late, and the window closed": (
        paris(2027, 3, 11, 23),
        Spent(),
        Limits(),
        IN_OFFICE._replace(until=NOON),
        Expired(),
    ),
    "it will be too late before the window opens": (
        paris(2027, 3, 11, 20),
        Spent(),
        Limits(),
        IN_OFFICE._replace(until=paris(2027, 3, 12, 7)),
        Wait(paris(2027, 3, 12, 7), "the window is closed, and it ends before that"),
    ),
    "it will be too late when the window opens": (
        paris(2027, 3, 11, 20),
        Spent(),
        Limits(),
        IN_OFFICE._replace(until=paris(2027, 3, 12, 8)),
        Wait(paris(2027, 3, 12, 8), "the window is closed, and it ends before that"),
    ),
    "a clock that was put back leaves out a rest": (
        NOON,
        Spent(NOON + HOUR, 1, hour=[(NOON + HOUR, 4)]),
        Limits(per_minute=20, per_hour=5),
        PLAN,
        Go(1, BOUNDLESS),
    ),
    "a clock that was put back costs nobody more": (
        NOON,
        Spent(NOON + HOUR, 1, hour=[(NOON + HOUR, 5)]),
        Limits(per_minute=20, per_hour=5),
        PLAN,
        Wait(NOON + 2 * HOUR, "per_hour=5 is reached"),
    ),
}


@pytest.mark.parametrize(
    ("now", "spent", "limits", "plan", "expected"), DECISIONS.values(), ids=DECISIONS
)
def test_what_is_decided(
    now: float, spent: Spent, limits: Limits, plan: Plan, expected: Go | Wait | Expired
) -> None:
    assert decide(now, spent, limits, plan) == expected


def test_a_message_of_several_parts_goes_at_once_or_waits_for_room_for_all() -> None:
    slow, daily = Limits(per_minute=2), Limits(per_day=4)
    assert decide(NOON, Spent(), slow, PLAN, parts=3) == Go(3, BOUNDLESS)
    assert decide(NOON, Spent(day=1), daily, PLAN, parts=3) == Go(3, BOUNDLESS)
    assert decide(NOON, Spent(day=2), daily, PLAN, parts=3) == Wait(
        paris(2027, 3, 12), "per_day=4 is reached"
    )
    with pytest.raises(ConfigurationError, match="a message of 5 parts is more than 4"):
        decide(NOON, Spent(), daily, PLAN, parts=5)


def test_whoever_had_a_message_this_month_is_no_new_number() -> None:
    spent, limits = Spent(numbers=200), Limits(distinct_per_month=200)
    assert decide(NOON, spent, limits, PLAN, is_new=False) == Go(BOUNDLESS, 0)


@pytest.mark.parametrize(
    ("limits", "between"),
    [
        (Limits(), 0),
        (Limits(per_second=4), 0.25),
        (Limits(per_minute=20), 3),
        (Limits(per_second=4, per_minute=20), 3),
        (Limits(per_second=0.1, per_minute=20), 10),
    ],
)
def test_a_spacing_is_the_longer_one(limits: Limits, between: float) -> None:
    assert spacing(limits) == between


@given(
    st.integers(1, 255),
    st.floats(0, 10),
    st.floats(0, 1, exclude_max=True),
)
def test_chance_lengthens_a_rest_and_never_shortens_it(
    parts: int, jitter: float, chance: float
) -> None:
    limits = Limits(per_minute=20, jitter=jitter)
    assert 3 * parts <= gap(limits, parts, chance) <= 3 * parts * (1 + jitter)


def test_what_is_counted_from_when() -> None:
    assert periods(NOON, Limits(), Plan()) == Periods(NOON, NOON, NOON)
    assert periods(NOON, Limits(per_hour=1, per_day=1, per_month=1), PLAN) == Periods(
        NOON - HOUR, paris(2027, 3, 11), paris(2027, 3, 1)
    )
    assert periods(NOON, Limits(distinct_per_month=1), PLAN).month == paris(2027, 3, 1)
    with pytest.raises(ConfigurationError, match="the days of which place"):
        periods(NOON, Limits(per_day=1), Plan())


def test_days_are_those_of_the_windows_zone() -> None:
    """At 23:30 in Paris it is 22:30 in London, and tomorrow in Auckland."""
    now, limits = paris(2027, 3, 11, 23, 30), Limits(per_day=1)
    midnights = {}
    for zone in ("Europe/Paris", "Europe/London", "Pacific/Auckland"):
        window = SendWindow("00:00", "24:00", timezone=zone)
        decision = decide(now, Spent(day=1), limits, plan_of(window, None, PARIS))
        assert isinstance(decision, Wait)
        midnights[zone] = (decision.until - now) / HOUR
    assert midnights == {"Europe/Paris": 0.5, "Europe/London": 1.5, "Pacific/Auckland": 12.5}


quarter = 15 * MINUTE
counts = st.none() | st.integers(3, 12)
limits_met = st.builds(
    Limits,
    per_minute=st.none() | st.sampled_from([1 / 15, 1 / 5, 1, 12]),
    per_hour=counts,
    per_day=counts,
    per_month=st.none() | st.integers(6, 20),
    distinct_per_month=counts,
)
windows = st.builds(
    lambda start, length, days: SendWindow(
        f"{start:02}:00", f"{(start + length) % 24:02}:00", days=days, timezone="Europe/Paris"
    ),
    st.integers(0, 23),
    st.integers(1, 23),
    st.sampled_from(["mon-sun", "mon-fri", "sat-mon", "wed"]),
)
starts = st.sampled_from(
    [
        paris(2027, 3, 27, 20, 7),  # the night in which an hour is left out
        paris(2027, 10, 30, 20, 7),  # the night in which one comes twice
        paris(2027, 12, 31, 22, 7),
        NOON,
    ]
)
messages = st.lists(st.integers(1, 3), min_size=1, max_size=25)


@settings(max_examples=30)
@given(starts, limits_met, st.none() | windows, messages, st.sampled_from([0.0, 0.4]))
def test_no_limit_is_ever_exceeded(
    start: float, limits: Limits, window: SendWindow | None, messages: list[int], chance: float
) -> None:
    """Whatever the decisions let go keeps to every rule, looked at from outside."""
    plan = plan_of(window, None, PARIS)
    claims = list(run(start, messages, limits, plan, chance=chance))
    assert [claim.parts for claim in claims] == messages
    assert plan.hours is None or all(plan.hours.is_open(claim.at) for claim in claims)
    rest = spacing(limits)
    assert all(
        after.at - before.at >= rest * before.parts - 1e-3 for before, after in pairwise(claims)
    )
    for claim in claims:
        hour = [c.parts for c in claims if claim.at - HOUR < c.at <= claim.at]
        day = [c.parts for c in claims if day_start(claim.at, PARIS) <= c.at <= claim.at]
        month = [c.parts for c in claims if month_start(claim.at, PARIS) <= c.at <= claim.at]
        assert sum(hour) <= (limits.per_hour or math.inf)
        assert sum(day) <= (limits.per_day or math.inf)
        assert sum(month) <= (limits.per_month or math.inf)
        assert len(month) <= (limits.distinct_per_month or math.inf)


class Rules:
    """Look whether a rule holds a message at an instant, one rule after the other."""

    def __init__(self, claims: list[Claim], limits: Limits, plan: Plan, parts: int) -> None:
        self.claims, self.limits, self.plan, self.parts = claims, limits, plan, parts
        self.dates = [datetime.fromtimestamp(claim.at, PARIS).date() for claim in claims]

    def hold(self, now: float) -> bool:
        return any((self.by_month(now), self.by_hours(now), self.by_pace(now)))

    def by_month(self, now: float) -> bool:
        today, limits = datetime.fromtimestamp(now, PARIS).date(), self.limits
        parts = [claim.parts for claim in self.claims]
        dated = list(zip(self.dates, parts, strict=True))
        month = [n for day, n in dated if (day.year, day.month) == (today.year, today.month)]
        in_day = sum(n for day, n in dated if day == today)
        return (
            in_day + self.parts > (limits.per_day or math.inf)
            or sum(month) + self.parts > (limits.per_month or math.inf)
            or len(month) >= (limits.distinct_per_month or math.inf)
        )

    def by_hours(self, now: float) -> bool:
        hour = sum(claim.parts for claim in self.claims if claim.at > now - HOUR)
        is_closed = self.plan.hours is not None and not self.plan.hours.is_open(now)
        return is_closed or hour + self.parts > (self.limits.per_hour or math.inf)

    def by_pace(self, now: float) -> bool:
        if not self.claims:
            return False
        last = self.claims[-1]
        return now < last.at + gap(self.limits, last.parts, 0) - 1e-3


@settings(max_examples=25)
@given(
    starts.map(lambda at: at - at % quarter),
    limits_met,
    st.none() | windows,
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 3)), max_size=8),
    st.integers(1, 3),
)
def test_nothing_waits_longer_than_looking_each_quarter_of_an_hour_would(
    now: float,
    limits: Limits,
    window: SendWindow | None,
    ago: list[tuple[int, int]],
    parts: int,
) -> None:
    plan = plan_of(window, None, PARIS)
    claims = sorted(Claim(now - quarters * quarter, n) for quarters, n in ago)
    spent, rules = counted(now, claims, limits, plan), Rules(claims, limits, plan, parts)
    looked = now
    while rules.hold(looked):
        looked += quarter
    decision = decide(now, spent, limits, plan, parts=parts)
    if isinstance(decision, Go):
        assert looked == now
    else:
        assert isinstance(decision, Wait)
        assert looked - quarter < decision.until <= looked
        assert not rules.hold(decision.until)


def test_what_has_an_end_ends_then_and_not_before() -> None:
    """Ten messages a day from Thursday noon on; the end is on Saturday morning."""
    until = paris(2027, 3, 13, 9)
    plan = IN_OFFICE._replace(until=until)
    claims = list(run(NOON, [1] * 100, Limits(per_day=10, per_minute=1), plan))
    assert len(claims) == 30
    assert claims[-1].at < until
    late = counted(until, claims, Limits(per_day=10), plan)
    assert isinstance(decide(until - 1, late, Limits(per_day=10), plan), Wait)
    assert decide(until, late, Limits(per_day=10), plan) == Expired()


def test_what_another_run_sent_counts() -> None:
    earlier = [Claim(paris(2027, 3, 11, 9), 350)]
    claims = list(
        run(NOON, [1] * 60, Limits(per_day=400, per_second=1), IN_OFFICE, earlier=earlier)
    )
    assert sum(claim.at < paris(2027, 3, 12) for claim in claims) == 50
    assert claims[50].at == paris(2027, 3, 12, 8)


def test_a_window_without_days_of_its_own_needs_no_zone_of_utc() -> None:
    assert plan_of(SendWindow("08:00", "20:00", timezone="UTC"), None).zone is UTC
