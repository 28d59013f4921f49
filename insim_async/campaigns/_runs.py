"""Transactions of a run beside its claims: how it begins, what it gives up, how it ends."""

from __future__ import annotations

from msgspec import Struct

from insim_async._sqlite import Connection
from insim_async.campaigns import _statements as sql
from insim_async.campaigns._enrolled import Enrolled, closed, enrolled
from insim_async.campaigns._rows import counts, move_all, move_between
from insim_async.campaigns._states import CampaignState, Move

__all__ = ["Begun", "begin_run", "drop", "end_run", "give_up", "longest", "restore"]

DECIDED = {CampaignState.PAUSED, CampaignState.CANCELLED}
"""What people decide, and a run leaves as it is."""


class Begun(Struct, frozen=True):
    """A run that has begun: the campaign, and the counts of its messages."""

    campaign: Enrolled
    counts: dict[str, int]


def begin_run(
    connection: Connection, opened: Enrolled, account: str, plan: str, now: float
) -> Begun | str:
    """Begin a run, or say why not. What an earlier one left in flight may have been sent.

    The first run binds the file to its account.
    """
    known = enrolled(connection, opened.kind, opened.name)
    (bound,) = connection.execute(sql.ACCOUNT).fetchone()
    if known.is_forgotten:
        return closed(connection, known.campaign)
    if bound not in {"", account}:
        return (
            "the file belongs to another account, or to another base_url (a sandbox's messages do "
            "not count for the real one): take another file"
        )
    connection.execute(sql.BIND, {"account": account})
    give_up(connection, known.campaign, now)
    state = known.state if known.state in DECIDED else CampaignState.OPEN
    values = {"campaign": known.campaign, "state": state, "plan": plan}
    connection.execute(sql.BEGIN_RUN, values)
    known = enrolled(connection, known.kind, known.name)
    return Begun(known, counts(connection, known.campaign))


def longest(connection: Connection, campaign: int) -> int:
    """Return the SMS parts of the longest message that is pending."""
    (parts,) = connection.execute(sql.LONGEST, {"campaign": campaign}).fetchone()
    return int(parts)


def give_up(connection: Connection, campaign: int, now: float) -> int:
    """Give up what a process left in flight that is no more; return how much that was."""
    return move_all(
        connection, campaign, Move.LOSE, now, "its process ended before the answer came"
    )


def drop(
    connection: Connection,
    campaign: int,
    run: int,
    move: Move,
    why: str,
    now: float,
    *,
    first: int,
    last: int,
) -> int:
    """Give rows that are pending their end, unless another run has begun meanwhile."""
    _, current, _ = connection.execute(sql.STANDING, {"campaign": campaign}).fetchone()
    if current != run:
        return 0
    return move_between(connection, campaign, move, now, why, first=first, last=last)


def end_run(
    connection: Connection, begun: Enrolled, state: CampaignState, reason: str, now: float
) -> tuple[CampaignState, dict[str, int]]:
    """Write down how a run ended; return the state that comes of it, and the counts.

    What is still in flight is given up: nobody waits for its answer any more. Where another run has
    begun meanwhile all of that is its own affair.
    """
    campaign = begun.campaign
    found, current, _ = connection.execute(sql.STANDING, {"campaign": campaign}).fetchone()
    if current != begun.run:
        return CampaignState.STOPPED, counts(connection, campaign)
    move_all(connection, campaign, Move.LOSE, now, "the run ended before its answer came")
    if found == CampaignState.CANCELLED:
        move_all(connection, campaign, Move.CANCEL, now, "cancelled")
    counted = counts(connection, campaign)
    if found in DECIDED:
        state = CampaignState(found)
    elif state is CampaignState.FINISHED and counted["pending"]:
        state = CampaignState.OPEN
    values = {"campaign": campaign, "state": state, "reason": reason}
    connection.execute(sql.CONCLUDE, values)
    return state, counted


def restore(connection: Connection, campaign: int, epoch: int, now: float) -> None:
    """Doubt all that has no end, in a copy that was put back, and let it count as the newest."""
    move_all(connection, campaign, Move.RESTORE, now, "a copy of the file was put back")
    connection.execute(sql.SET_EPOCH, {"campaign": campaign, "epoch": epoch})
