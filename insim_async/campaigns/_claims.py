"""Transactions of the hot path: claim what goes now, put back what did not, record what came of it.

Each function is an action of one transaction. A claim decides everything at one moment: whether the
campaign still runs, whether it is this run's turn, what the limits leave, who has opted out.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from insim_async._sqlite import Connection
from insim_async.campaigns import _statements as sql
from insim_async.campaigns._calendar import Expired, Wait
from insim_async.campaigns._spending import Claimed, Pace
from insim_async.campaigns._states import CampaignState, Move
from insim_async.errors import ConfigurationError

__all__ = [
    "LOOK",
    "MOST_AT_A_TIME",
    "Ask",
    "Claim",
    "Claimed",
    "Hold",
    "Over",
    "Result",
    "claim",
    "move",
    "record",
    "release",
    "take",
    "why_not",
]

LOOK = 500
"""Messages that are looked at at a time, at least, where recipients have opted out one after the
other."""
MOST_AT_A_TIME = 20_000
"""Messages that get their end in one transaction, about, where very many do; the next goes on."""
_claimed = msgspec.json.Decoder(list[Claimed])


class Claim(NamedTuple):
    """What a claim gave.

    Attributes:
        rows: What goes; in flight from now on.
        suppressed: How many were passed over, since their recipients have opted out.
        epoch: The number of the claim.
        minute: Where its parts were booked.
        last: The last row that was looked at; 0 where all have been.
        is_waiting: Whether others are still in flight, where nothing goes: they may come back.
    """

    rows: Sequence[Claimed]
    suppressed: int
    epoch: int
    minute: int
    last: int
    is_waiting: bool = False


class Hold(Struct, frozen=True):
    """Nothing goes now.

    Attributes:
        until: When to ask again, in seconds since 1970; None where that is not known.
        reason: Why, in words.
        state: What the campaign is meanwhile.
        is_pace: Whether it is nothing but the rest between two messages.
        after: Behind which row it is worth looking then.
    """

    until: float | None
    reason: str
    state: CampaignState = CampaignState.WAITING
    is_pace: bool = False
    after: int = 0


class Over(Struct, frozen=True):
    """Nothing will go any more, in this run.

    Attributes:
        state: What the campaign is now.
        reason: Why, in words.
        drops: What becomes of all that is pending; None where nothing does.
    """

    state: CampaignState
    reason: str = ""
    drops: Move | None = None


class Ask(Struct, frozen=True, kw_only=True):
    """What a claim is to be.

    Attributes:
        campaign: Which.
        run: The number of this run: another one may have taken over.
        epoch: The number of its last claim, at least: else the file is another one.
        after: The row to begin behind.
        limit: Messages, at most.
        parts: SMS parts, at most, unless the first message alone has more.
        rate: Messages a second, to be written down for whoever looks.
        now: Seconds since 1970.
        pace: Says how much may go, and keeps count.
        failing_since: Since when nothing gets through; None as long as something does.
    """

    campaign: int
    run: int
    epoch: int
    after: int
    limit: int
    parts: float
    rate: float
    now: float
    pace: Pace
    failing_since: float | None = None


class Result(NamedTuple):
    """What became of rows.

    Attributes:
        move: What happened.
        rows: To which, in order.
        detail: Why, in words.
        receipts: The ids that the server gave in place of ours, by row.
    """

    move: Move
    rows: Sequence[int]
    detail: str = ""
    receipts: Sequence[tuple[int, str]] = ()


def claim(connection: Connection, ask: Ask) -> Claim | Hold | Over:
    """Take what goes now, and mark it as in flight: from here on it may have been sent."""
    if (fault := why_not(connection, ask)) is not None:
        return fault
    found: list[Claimed] = []
    after, suppressed, limit = ask.after, 0, ask.limit
    while suppressed < MOST_AT_A_TIME and (found := _pending(connection, ask, after, limit)):
        stopped = [row.row for row in found if row.is_stopped]
        move(connection, ask.campaign, ask.now, Result(Move.SUPPRESS, stopped))
        suppressed += len(stopped)
        if free := [row for row in found if not row.is_stopped][: ask.limit]:
            taken = _yield_to_outbox(connection, ask.now) or take(connection, ask, free, suppressed)
            return replace(taken, after=free[0].row - 1) if isinstance(taken, Hold) else taken
        after, limit = found[-1].row, max(limit, LOOK)
    if found or ask.after:  # there may be more, behind it or from the first row on
        return Claim([], suppressed, ask.epoch, 0, after if found else 0)
    (is_waiting,) = connection.execute(sql.UNDER_WAY, {"campaign": ask.campaign}).fetchone()
    return Claim([], suppressed, ask.epoch, 0, 0, bool(is_waiting))


def _yield_to_outbox(connection: Connection, now: float) -> Hold | None:
    """Let a message of an outbox go first, where one has waited for this moment."""
    first, last = connection.execute(sql.RESERVED).fetchone()
    return (
        Hold(last, "a message of an outbox goes first", is_pace=True)
        if first <= now < last
        else None
    )


def take(
    connection: Connection, ask: Ask, free: Sequence[Claimed], suppressed: int
) -> Claim | Hold | Over:
    """Take as many of some rows as may go now, from the first on; or say why none may."""
    try:
        verdict = ask.pace.decide(connection, free[0].phone, free[0].parts, ask.now)
    except ConfigurationError as error:  # limits were set that cannot be kept
        return Over(CampaignState.STOPPED, str(error))
    if isinstance(verdict, Expired):
        return Over(CampaignState.FINISHED, "too late", Move.EXPIRE)
    if isinstance(verdict, Wait):
        return Hold(verdict.until, verdict.reason, is_pace=verdict.is_pace)
    taken = _fitting(free, min(ask.parts, verdict.parts))
    taken = ask.pace.among(connection, taken, verdict.numbers, ask.now)
    taken = sorted(taken, key=attrgetter("row"))
    move(connection, ask.campaign, ask.now, Result(Move.CLAIM, [row.row for row in taken]))
    connection.execute(sql.NEXT_EPOCH, {"campaign": ask.campaign, "rate": ask.rate})
    (epoch,) = connection.execute(sql.EPOCH, {"campaign": ask.campaign}).fetchone()
    minute = ask.pace.book(connection, taken, ask.now)
    return Claim(taken, suppressed, epoch, minute, taken[-1].row)


def release(
    connection: Connection,
    campaign: int,
    rows: Sequence[int],
    *,
    minute: int,
    parts: int,
    now: float,
) -> None:
    """Put back what is proven unsent, with the parts that were booked for it."""
    move(connection, campaign, now, Result(Move.RELEASE, rows))
    connection.execute(sql.GIVE_BACK, {"minute": minute, "parts": parts})


def record(connection: Connection, campaign: int, results: Sequence[Result], now: float) -> None:
    """Write down what became of rows."""
    for result in results:
        move(connection, campaign, now, result)
        if result.receipts:
            connection.executemany(
                sql.KEEP_RECEIPT, [{"row": row, "receipt": its} for row, its in result.receipts]
            )


def why_not(connection: Connection, ask: Ask) -> Hold | Over | None:
    """Say why nothing may go in this run, or now; None if something may."""
    state, run, epoch = connection.execute(sql.STANDING, {"campaign": ask.campaign}).fetchone()
    if run != ask.run or epoch < ask.epoch:
        return Over(CampaignState.STOPPED, "another run, or an older copy, has taken its place")
    if state == CampaignState.CANCELLED:
        return Over(CampaignState.CANCELLED, "cancelled", Move.CANCEL)
    if state == CampaignState.PAUSED:
        return Hold(None, "paused", CampaignState.PAUSED)
    return None


def _pending(connection: Connection, ask: Ask, after: int, limit: int) -> list[Claimed]:
    values = {"after": after, "campaign": ask.campaign, "limit": limit}
    (found,) = connection.execute(sql.PENDING, values).fetchone()
    return _claimed.decode(found)


def _fitting(free: Sequence[Claimed], room: float) -> Sequence[Claimed]:
    """Return the first that fit into so many parts, and the first of all in any case."""
    for place, row in enumerate(free):
        room -= row.parts
        if place and room < 0:
            return free[:place]
    return free


def move(connection: Connection, campaign: int, now: float, result: Result) -> None:
    """Move rows, which stand in order."""
    rows = result.rows
    if not rows:
        return
    values = {"campaign": campaign, "now": now, "detail": result.detail}
    if rows[-1] - rows[0] == len(rows) - 1:  # in order, and side by side
        side_by_side = {"first": rows[0], "last": rows[-1]}
        connection.execute(sql.moved_range(result.move), values | side_by_side)
    else:
        named = {"rows": msgspec.json.encode(rows).decode()}
        connection.execute(sql.moved(result.move), values | named)
