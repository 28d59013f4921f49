"""What was spent of the limits, as the ledger counts it: asked in each claim, and booked in it.

Limits, pace and the count of parts are the file's, whichever campaign or outbox claims: there is
one phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from insim_async._privacy import Unshown
from insim_async._sqlite import Connection
from insim_async.campaigns import _statements as sql
from insim_async.campaigns._calendar import (
    BOUNDLESS,
    Expired,
    Go,
    Spent,
    Wait,
    decide,
    periods,
)
from insim_async.campaigns._plan import Plan
from insim_async.campaigns._states import MessageStatus, code_of
from insim_async.campaigns.pacing import Limits

__all__ = ["Claimed", "Pace", "limits_of", "set_limits", "spent_of"]

_KEPT = 40 * 86_400.0
"""Seconds for which spent parts are remembered: longer than any month."""
_WENT_OUT = ", ".join(
    str(code_of(status))
    for status in (MessageStatus.IN_FLIGHT, MessageStatus.SENT, MessageStatus.UNKNOWN)
)


class Claimed(Unshown, array_like=True, frozen=True, gc=False):
    """A message that may go now, as a statement returns it.

    Attributes:
        row: In the file.
        phone: The digits of its number in E.164.
        text: As it goes out.
        url: To be linked, with ``{sms_id}`` still in it.
        priority: Of the phone's queue.
        parts: SMS parts.
        attempt: How often it was sent anew on purpose.
        is_stopped: Whether its recipient has opted out.
        key: The caller's id; empty in a campaign.
    """

    row: int
    phone: int
    text: str
    url: str
    priority: int
    parts: int
    attempt: int
    is_stopped: int = 0
    key: str = ""


class Pace:
    """When a run may send, and what it books.

    Args:
        plan: Window, end and zone of the run.
        random: Chance for the jitter.
    """

    def __init__(self, plan: Plan, random: Callable[[], float]) -> None:
        self.plan = plan
        self._random = random
        self._counted_from: float | None = None

    def decide(
        self, connection: Connection, phone: int, parts: int, now: float
    ) -> Go | Wait | Expired:
        """Say whether the next message may go, how much with it, or when.

        Raises:
            ConfigurationError: The limits cannot be kept.
        """
        limits, *_ = limits_of(connection)
        month = self._month(connection, now, limits)
        limits, spent, chance = spent_of(connection, now, self.plan)
        is_new = month is None or not _is_reached(connection, month, phone)
        return decide(now, spent, limits, self.plan, parts=parts, is_new=is_new, chance=chance)

    def among(
        self, connection: Connection, rows: Sequence[Claimed], numbers: int, now: float
    ) -> Sequence[Claimed]:
        """Return the first rows, with no more than so many new numbers, and write those down."""
        limits, *_ = limits_of(connection)
        month = self._month(connection, now, limits)
        if month is None:
            return rows
        for place, row in enumerate(rows):
            if not _is_reached(connection, month, row.phone):
                if place and numbers <= 0:
                    return rows[:place]
                numbers -= 1
                connection.execute(sql.REACH, {"month": int(month), "phone": row.phone})
        return rows

    def book(self, connection: Connection, rows: Sequence[Claimed], now: float) -> int:
        """Write down how many parts go; return the minute under which they are."""
        parts, minute = sum(row.parts for row in rows), int(now // 60)
        values = {"minute": minute, "now": now, "parts": parts, "chance": self._random()}
        connection.execute(sql.BOOK, values)
        connection.execute(sql.BOOKED, values)
        connection.execute(sql.PRUNE, {"at": now - _KEPT})
        return minute

    def _month(self, connection: Connection, now: float, limits: Limits) -> float | None:
        """Return when the month began whose numbers count; None where they do not.

        What was sent before there was such a limit is counted when a month is first asked for.
        """
        if limits.distinct_per_month is None:
            return None
        month = periods(now, limits, self.plan).month
        if self._counted_from != month:
            statement = sql.REACHED_BEFORE.format(states=_WENT_OUT)
            connection.execute(statement, {"month": int(month)})
            self._counted_from = month
        return month


def limits_of(connection: Connection) -> tuple[Limits, float, int, float]:
    """Return the limits, and of the last claim when it was, its parts and its share of chance."""
    limits, last_at, last_parts, chance = connection.execute(sql.LIMITS).fetchone()
    return _limits(limits), last_at, last_parts, chance


def set_limits(connection: Connection, limits: Limits) -> None:
    """Store limits for all that sends from this file."""
    connection.execute(sql.SET_LIMITS, {"limits": msgspec.json.encode(limits).decode()})


def spent_of(connection: Connection, now: float, plan: Plan) -> tuple[Limits, Spent, float]:
    """Return the limits, what was spent of them, and the share of chance in the present rest."""
    limits, last_at, last_parts, chance = limits_of(connection)
    since = periods(now, limits, plan)
    numbers = 0
    if limits.distinct_per_month is not None:
        (numbers,) = connection.execute(sql.NUMBERS, {"month": int(since.month)}).fetchone()
    spent = Spent(
        last_at=last_at if last_parts else -math.inf,
        last_parts=last_parts,
        hour=_lately(connection, since.hour) if limits.per_hour is not None else (),
        day=_since(connection, since.day) if limits.per_day is not None else 0,
        month=_since(connection, since.month) if limits.per_month is not None else 0,
        numbers=min(numbers, BOUNDLESS),
    )
    return limits, spent, chance


def _lately(connection: Connection, at: float) -> Sequence[tuple[float, int]]:
    return connection.execute(sql.SPENT_LATELY, {"at": at}).fetchall()


def _since(connection: Connection, at: float) -> int:
    (parts,) = connection.execute(sql.SPENT_SINCE, {"at": at}).fetchone()
    return int(parts)


def _is_reached(connection: Connection, month: float, phone: int) -> bool:
    values = {"month": int(month), "phone": phone}
    return connection.execute(sql.IS_REACHED, values).fetchone() is not None


@lru_cache(maxsize=8)
def _limits(told: str) -> Limits:
    return msgspec.json.decode(told, type=Limits) if told else Limits()
