"""How a campaign stands, for whoever looks from another task or process."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import msgspec
from msgspec import Struct

from insim_async._sqlite import Connection
from insim_async._zones import zone_named
from insim_async.campaigns import _enrolled, _rows, _runs, _spending
from insim_async.campaigns._forecast import expected_end
from insim_async.campaigns._hours import Hours
from insim_async.campaigns._plan import Plan
from insim_async.campaigns._states import CampaignState
from insim_async.campaigns._values import CampaignStatus, MessageCounts
from insim_async.errors import ConfigurationError

__all__ = ["Outlook", "foreseen", "plan_from", "plan_to_json", "standing"]


class _Told(Struct):
    """A plan as the file keeps it."""

    hours: tuple[int, int, list[int], list[date]] | None
    until: float | None
    zone: str


def plan_to_json(plan: Plan) -> str:
    """Return a plan as the file keeps it; nothing where its zone has no name."""
    name = str(plan.zone) if plan.zone is not None else ""
    if name and zone_named(name) is None:
        return ""
    hours = plan.hours and (
        plan.hours.opens,
        plan.hours.closes,
        sorted(plan.hours.weekdays),
        sorted(plan.hours.except_dates),
    )
    return msgspec.json.encode(_Told(hours, plan.until, name)).decode()


def plan_from(told: str) -> Plan | None:
    """Return a plan that the file keeps; None where it keeps none."""
    if not told:
        return None
    kept = msgspec.json.decode(told, type=_Told)
    zone = zone_named(kept.zone) if kept.zone else None
    hours = None
    if kept.hours is not None:
        opens, closes, weekdays, dates = kept.hours
        hours = Hours(opens, closes, frozenset(weekdays), frozenset(dates), zone or UTC)
    return Plan(hours, kept.until, zone)


def standing(
    connection: Connection, kind: str, name: str, *, is_held: bool, now: float
) -> CampaignStatus:
    """Return how a campaign stands.

    Args:
        connection: Within a transaction.
        kind: ``campaign`` or ``outbox``.
        name: Of it.
        is_held: Whether somebody runs it.
        now: Seconds since 1970.
    """
    known = _enrolled.enrolled(connection, kind, name)
    counted = _rows.counts(connection, known.campaign)
    state = CampaignState(known.state)
    if is_held and state not in _runs.DECIDED:
        state = CampaignState.WAITING if known.reason else CampaignState.RUNNING
    plan = plan_from(known.plan)
    end = None
    if is_held and plan is not None:
        end = foreseen(connection, known.campaign, known.rate, plan, now)
    return CampaignStatus(
        state=state,
        reason=known.reason,
        waiting_until=_date(known.waiting_until),
        counts=MessageCounts(**counted),
        rate=known.rate if is_held else 0.0,
        expected_end=_date(end),
        ignored_reports=known.ignored,
    )


def foreseen(
    connection: Connection, campaign: int, rate: float, plan: Plan, now: float
) -> float | None:
    """Return when the rest will have been sent; None where nobody can say."""
    parts, messages = _rows.left(connection, campaign)
    rate *= parts / messages if messages else 1.0  # in parts
    return _foreseen(connection, parts, rate, plan, now)


class Outlook:
    """When the rest of a run will have been sent, looked at within its claims.

    It is not looked at more than once a second, and how many parts a message has on average is
    asked only once, since that takes a look at each message.

    Args:
        campaign: Which.
        plan: When the run may send.
    """

    def __init__(self, campaign: int, plan: Plan) -> None:
        self._campaign = campaign
        self._plan = plan
        self._parts_each: float | None = None
        self._looked_at = -math.inf
        self._end: float | None = None

    def look(
        self, connection: Connection, pending: int, rate: float, now: float, *, anyway: bool
    ) -> float | None:
        """Return when it will end; None where nobody can say.

        Args:
            connection: Within a transaction.
            pending: Messages that are left.
            rate: Messages a second.
            now: Seconds since 1970.
            anyway: Whether to look though that was done just now.
        """
        if anyway or not 0 <= now - self._looked_at < 1:
            self._looked_at = now
            if self._parts_each is None:
                parts, messages = _rows.left(connection, self._campaign)
                self._parts_each = parts / messages if messages else 1.0
            each = self._parts_each
            self._end = _foreseen(connection, pending * each, rate * each, self._plan, now)
        return self._end


def _foreseen(
    connection: Connection, parts: float, rate: float, plan: Plan, now: float
) -> float | None:
    try:
        limits, spent, _ = _spending.spent_of(connection, now, plan)
        return expected_end(now, parts, rate, spent, limits, plan)
    except ConfigurationError:  # limits that somebody set, and that this plan cannot keep
        return None


def _date(at: float | None) -> Any:
    return None if at is None else datetime.fromtimestamp(at, UTC)
