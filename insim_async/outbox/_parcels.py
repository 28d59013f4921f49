"""Transactions of an outbox: what is put, claimed, looked at, cancelled and blanked.

A row is written once and keyed by the caller's id. What was put and not claimed is found by an
index on when it is due, however many rows have their end; all else about a row is the ledger's.
Each function is an action of one transaction.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from insim_async._sqlite import Connection
from insim_async.campaigns import _rows as ledger_rows
from insim_async.campaigns import _statements as ledger_sql
from insim_async.campaigns._claims import (
    LOOK,
    MOST_AT_A_TIME,
    Ask,
    Claim,
    Hold,
    Over,
    Result,
    move,
    take,
    why_not,
)
from insim_async.campaigns._enrolled import Enrolled
from insim_async.campaigns._passage import NO_USE, REFUSED, UNSENDABLE
from insim_async.campaigns._rows import STATUSES
from insim_async.campaigns._spending import Claimed, limits_of
from insim_async.campaigns._states import CampaignState, MessageStatus, Move
from insim_async.outbox import _statements as sql
from insim_async.outbox._values import OutboxHealth, OutboxMessage

__all__ = ["Claims", "Parcel", "Policy", "account", "cancel", "health", "look", "names", "put"]

TEND_EVERY = 3600.0
"""Seconds between two looks for what was kept for long enough."""
SLICE = 2000
"""Rows that are blanked at a time: others want to write, too."""
GRACE = 2.0
"""Seconds for which campaigns of the file leave it to an outbox to go first."""
OVERDUE = 60.0
"""Seconds after which what is due should have gone, if nothing says why it waits."""
_claimed = msgspec.json.Decoder(list[Claimed])
_numbers = msgspec.json.Decoder(list[int])


class Policy(Struct, frozen=True, kw_only=True):
    """What an outbox was told of its messages.

    Attributes:
        honour_stop: Whether whoever has opted out gets nothing.
        retry_for: Seconds for which one goes on that does not get through.
        keep: Seconds after which numbers and texts are blanked; None for never.
    """

    honour_stop: bool
    retry_for: float
    keep: float | None


class Parcel(Struct, frozen=True, kw_only=True):
    """A message as it is put.

    Attributes:
        key: The caller's id.
        phone: The digits of its number in E.164.
        text: As it goes out.
        url: As it goes out.
        priority: Of the phone's queue.
        parts: SMS parts.
        digest: Of all that is its content.
        due: When it may go, in seconds since 1970.
        until: When it is too late.
    """

    key: str
    phone: int
    text: str
    url: str
    priority: int
    parts: int
    digest: str
    due: float
    until: float | None


def put(connection: Connection, campaign: int, parcel: Parcel) -> bool | None:
    """Store a message; return False if it is there, and None if another has its id."""
    values = msgspec.structs.asdict(parcel) | {"campaign": campaign}
    if connection.execute(sql.PUT, values).rowcount:
        connection.execute(sql.PUT_FATE, values)
        return True
    _, digest = connection.execute(sql.KNOWN, values).fetchone()
    return False if digest == parcel.digest else None


def look(connection: Connection, known: Enrolled, key: str) -> OutboxMessage | None:
    """Return a message; None if there is none."""
    values = {"campaign": known.campaign, "key": key}
    found = connection.execute(sql.KNOWN, values).fetchone()
    if found is None:
        return None
    [message] = ledger_rows.page(
        connection,
        known.campaign,
        known.prefix,
        status=None,
        after=found[0] - 1,
        limit=1,
        kind=OutboxMessage,
    )
    return message


def cancel(connection: Connection, campaign: int, key: str, now: float) -> bool:
    """Let a pending message not go; return whether it was one."""
    values = {"campaign": campaign, "key": key}
    found = connection.execute(sql.KNOWN, values).fetchone()
    if found is None:
        return False
    rows = [found[0]]
    return bool(ledger_rows.move_rows(connection, campaign, Move.CANCEL, rows, now, "cancelled"))


def names(connection: Connection) -> list[str]:
    """Return the names of the outboxes in the file; empty for the one without a name."""
    return [name for (name,) in connection.execute(sql.NAMES)]


def account(connection: Connection) -> str:
    """Return the account that the file belongs to; empty if nobody has sent from it."""
    return str(connection.execute(ledger_sql.ACCOUNT).fetchone()[0])


# What goes --------------------------------------------------------------------------------------


class Claims:
    """The claims of one run.

    Args:
        policy: Of the outbox.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._tend_at = 0.0
        self._tended = 0  # the last row that was tended in this round

    def __call__(self, connection: Connection, ask: Ask) -> Claim | Hold | Over:
        """Take what is due, and mark it as in flight; or say until when nothing goes."""
        if (fault := why_not(connection, ask)) is not None:
            return fault
        if self._end_what_is_late(connection, ask):
            return Hold(ask.now, "more is late", CampaignState.RUNNING)
        found = self._taken(connection, ask)
        if isinstance(found, Hold):
            self._tend(connection, ask)
        return found

    def _taken(self, connection: Connection, ask: Ask) -> Claim | Hold | Over:
        seen, limit = 0, ask.limit
        while seen < MOST_AT_A_TIME and (found := _found(connection, ask, limit)):
            rows = self._without_stopped(connection, ask, found)
            rows = _without_endless(connection, ask, rows)
            if rows:
                taken = take(connection, ask, rows[: ask.limit], 0)
                _reserve(connection, taken.until if isinstance(taken, Hold) else None)
                return taken
            seen, limit = seen + len(found), max(limit, LOOK)
        (due,) = connection.execute(sql.NEXT_DUE, {"campaign": ask.campaign}).fetchone()
        return Hold(due, "nothing is due", CampaignState.RUNNING)

    def _end_what_is_late(self, connection: Connection, ask: Ask) -> bool:
        """End a part of what is too late; return whether there may be more."""
        values = {"campaign": ask.campaign, "now": ask.now, "most": MOST_AT_A_TIME}
        moved = _move_found(connection, ask, sql.LATE, values, Move.EXPIRE, "its time was over")
        before = ask.now - self._policy.retry_for
        if ask.failing_since is not None and ask.failing_since <= before:
            values["before"] = before
            why = "nothing got through for too long"
            moved += _move_found(connection, ask, sql.LONG_DUE, values, Move.GIVE_UP, why)
        return moved >= MOST_AT_A_TIME

    def _without_stopped(
        self, connection: Connection, ask: Ask, found: list[Claimed]
    ) -> list[Claimed]:
        if not self._policy.honour_stop:
            return found
        stopped = sorted(row.row for row in found if row.is_stopped)
        move(connection, ask.campaign, ask.now, Result(Move.SUPPRESS, stopped))
        return [row for row in found if not row.is_stopped]

    def _tend(self, connection: Connection, ask: Ask) -> None:
        """Blank a slice of what was kept for long enough, while there is nothing else to do."""
        if self._policy.keep is None or ask.now < self._tend_at:
            return
        values: dict[str, Any] = {"campaign": ask.campaign, "before": ask.now - self._policy.keep}
        values |= {"after": self._tended, "last": self._tended + SLICE}
        connection.execute(sql.BLANK, values)
        connection.execute(sql.BLANKED, values)
        self._tended += SLICE
        if self._tended >= connection.execute(ledger_sql.LAST).fetchone()[0]:
            self._tended, self._tend_at = 0, ask.now + TEND_EVERY


def _found(connection: Connection, ask: Ask, limit: int) -> list[Claimed]:
    values = {"campaign": ask.campaign, "now": ask.now, "limit": limit}
    (found,) = connection.execute(sql.DUE, values).fetchone()
    return _claimed.decode(found)


def _move_found(
    connection: Connection, ask: Ask, statement: str, values: dict[str, Any], to: Move, why: str
) -> int:
    (found,) = connection.execute(statement, values).fetchone()
    rows = sorted(_numbers.decode(found))
    move(connection, ask.campaign, ask.now, Result(to, rows, why))
    return len(rows)


def _without_endless(connection: Connection, ask: Ask, rows: list[Claimed]) -> list[Claimed]:
    """Give up what has more parts than a limit allows in all its time: it would wait for ever."""
    limits, *_ = limits_of(connection)
    counted = [limits.per_hour, limits.per_day, limits.per_month]
    most = min((each for each in counted if each is not None), default=None)
    if most is None:
        return rows
    too_long = sorted(row.row for row in rows if row.parts > most)
    why = f"it has more parts than the limit of {most}"
    move(connection, ask.campaign, ask.now, Result(Move.GIVE_UP, too_long, why))
    return [row for row in rows if row.parts <= most]


def _reserve(connection: Connection, until: float | None) -> None:
    """Let campaigns of the file wait at the moment at which a message of an outbox may go."""
    wanted = (0.0, 0.0) if until is None else (until, until + GRACE)
    if connection.execute(ledger_sql.RESERVED).fetchone() != wanted:
        connection.execute(ledger_sql.RESERVE, dict(zip(("first", "last"), wanted, strict=True)))


# How it stands ----------------------------------------------------------------------------------


def health(connection: Connection, campaign: int, *, is_held: bool, now: float) -> OutboxHealth:
    """Return whether messages go out."""
    values = {"campaign": campaign, "now": now}
    _, reason, until, failing_since = connection.execute(sql.STANDING, values).fetchone()
    due, oldest = connection.execute(sql.WAITING, values).fetchone()
    (scheduled,) = connection.execute(sql.SCHEDULED, values).fetchone()
    opened = {STATUSES[state]: count for state, count in connection.execute(sql.OPEN, values)}
    waited = 0.0 if oldest is None else max(0.0, now - oldest)
    return OutboxHealth(
        due=due,
        oldest_due=waited,
        scheduled=scheduled,
        in_flight=opened.get(MessageStatus.IN_FLIGHT, 0),
        not_sent=opened.get(MessageStatus.NOT_SENT, 0),
        unknown=opened.get(MessageStatus.UNKNOWN, 0),
        is_running=is_held,
        reason=reason if is_held else "",
        waiting_until=_date(until) if is_held else None,
        failing_since=_date(failing_since),
        problem=_problem(reason, waited, is_held=is_held),
    )


def _problem(reason: str, waited: float, *, is_held: bool) -> str:
    if not is_held:
        return "no worker runs, and messages wait" if waited > OVERDUE else ""
    return reason if reason in {NO_USE, REFUSED, UNSENDABLE} else ""


def _date(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
