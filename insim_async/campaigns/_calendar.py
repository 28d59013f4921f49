"""May something go now, how much of it, or when: arithmetic over what the ledger counted.

Instants are seconds since 1970, as the ledger keeps them. No clock is read here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from insim_async._settings import zone_of
from insim_async.campaigns._hours import Hours
from insim_async.campaigns._wallclock import day_start, month_start, next_day, next_month
from insim_async.campaigns.pacing import Limits, SendWindow
from insim_async.errors import ConfigurationError

__all__ = [
    "BOUNDLESS",
    "Expired",
    "Go",
    "Periods",
    "Plan",
    "Spent",
    "Wait",
    "check_limits",
    "decide",
    "gap",
    "periods",
    "plan_of",
]

BOUNDLESS = 2**62
"""So many parts or numbers are no limit; it fits into a column of a database."""

HOUR = 3600.0


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


class Spent(NamedTuple):
    """What was claimed so far, in parts, without what is proven not to have gone.

    Attributes:
        last_at: When the last claim was made, by whoever in this file.
        last_parts: How many parts it had.
        hour: When within the last hour, and how many, the oldest first. Several may stand together
            at the time of the latest.
        day: Since ``Periods.day``.
        month: Since ``Periods.month``.
        numbers: Different numbers since ``Periods.month``.
    """

    last_at: float = -math.inf
    last_parts: int = 0
    hour: Sequence[tuple[float, int]] = ()
    day: int = 0
    month: int = 0
    numbers: int = 0


class Periods(NamedTuple):
    """From when on the ledger has to count; what has no limit begins now."""

    hour: float
    day: float
    month: float


class Go(NamedTuple):
    """Something may go now.

    Attributes:
        parts: At most so many, and no fewer than the next message has.
        numbers: To at most so many numbers that had nothing this month.
    """

    parts: int
    numbers: int


class Wait(NamedTuple):
    """Nothing may go before.

    Attributes:
        until: When to ask again.
        reason: What for, in words.
        is_pace: Whether it is nothing but the rest between two messages.
    """

    until: float
    reason: str
    is_pace: bool = False


class Expired(NamedTuple):
    """It is too late for all that is left."""


def plan_of(
    window: SendWindow | None, until: datetime | None, timezone: tzinfo | None = None
) -> Plan:
    """Return when a run may send.

    Args:
        window: None for always.
        until: Naive: in the zone of the window, or the client's.
        timezone: The client's own.

    Raises:
        ConfigurationError: A zone is missing, or ``until`` is no time there or twice.
    """
    ...


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
    ...


def periods(now: float, limits: Limits, plan: Plan) -> Periods:
    """Return from when on the ledger has to count for a decision."""
    ...


def gap(limits: Limits, parts: int, chance: float) -> float:
    """Return the seconds of rest after a claim of so many parts.

    Args:
        limits: Those of the file.
        parts: Of that claim.
        chance: A number from 0 up to 1, drawn once for each claim.
    """
    ...


def decide(
    now: float,
    spent: Spent,
    limits: Limits,
    plan: Plan,
    *,
    parts: int = 1,
    is_new: bool = True,
    chance: float = 0.0,
) -> Go | Wait | Expired:
    """Decide whether the next message may go.

    Args:
        now: The clock on the wall.
        spent: What the ledger counted, as of now.
        limits: Those of the file.
        plan: When this run may send.
        parts: Of the next message.
        is_new: Whether its number had nothing this month.
        chance: A number from 0 up to 1, drawn once for each claim, so that asking twice does not
            shorten the rest.

    Raises:
        ConfigurationError: See ``check_limits``.
    """
    ...
