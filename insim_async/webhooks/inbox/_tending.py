"""What happens to rows without anybody handling them: all that falls due, or that nobody takes.

Any worker does this for all; it is done again and again, and a part at a time.
"""

from __future__ import annotations

import os
from typing import Final

from msgspec import Struct

from insim_async._sqlite import Connection
from insim_async.webhooks.inbox._rows import ANY_KIND
from insim_async.webhooks.inbox._schema import Policy

__all__ = ["NO_HANDLER", "Tended", "handled_kinds", "register", "sign_off", "tend", "waiting_since"]

SWEEP: Final = 500
"""How many rows are moved, erased or forgotten at a time, at most."""
NO_HANDLER: Final = "no handler"
_UNHANDLED_AFTER: Final = 86_400.0
"""Seconds until a row that nobody handles is set aside."""
_UNHANDLED_SAID_AFTER: Final = 60.0

_KINDS = "SELECT kind FROM tally WHERE count > 0 AND state"
# Nothing is due later than that, unless the clock was set back, or the machine started anew.
_LIMITS = [
    f"""
        UPDATE events SET due_at = {limit}
        WHERE state = '{state}' AND kind IN ({_KINDS} = '{state}') AND due_at > {latest}
            AND due_at > {limit}
    """  # noqa: S608 - constants
    for state, limit, latest in (
        ("failing", ":now + wait", ":now"),
        ("claimed", ":uptime + :lease", ":uptime + :lease"),
        ("done", ":now + :retention", ":now + :retention"),
    )
]
# Suspects are due at once, and those first that were so the least often.
_SUSPECT_ENDED_LEASES = f"""
    UPDATE events SET state = 'suspect', due_at = attempts, owner = NULL
    WHERE state = 'claimed' AND kind IN ({_KINDS} = 'claimed') AND due_at <= ? AND owner != ?
"""  # noqa: S608 - constants
_DELETE_OLD = f"""
    DELETE FROM events WHERE id IN (
        SELECT id FROM events
        WHERE state = 'done' AND kind IN ({_KINDS} = 'done') AND due_at <= ? LIMIT ?
    )
"""  # noqa: S608 - constants
_ERASE_OLD = f"""
    UPDATE events SET state = 'done', payload = NULL, due_at = ? WHERE id IN (
        SELECT id FROM events
        WHERE state IN ('set_aside', 'no_handler')
            AND kind IN ({_KINDS} IN ('set_aside', 'no_handler')) AND due_at <= ?
        LIMIT ?
    )
"""  # noqa: S608 - constants
_TAKE_BACK = """
    UPDATE events SET state = 'waiting', due_at = 0, since = ?, reason = '' WHERE id IN (
        SELECT id FROM events WHERE state = 'no_handler' AND kind = ? LIMIT ?
    )
"""
_PUT_AWAY = """
    UPDATE events SET state = 'no_handler', due_at = :now, aside_at = :now, reason = :reason
    WHERE id IN (
        SELECT id FROM (
            SELECT id, since FROM events
            WHERE state = :state AND kind = :kind AND due_at <= :now
            ORDER BY due_at, id LIMIT :most
        ) WHERE since <= :before
    )
"""
# Rows that wait are in the order in which they came, but for those that were handed over again,
# later than they came. So none is older than the first of the others and all those before it; of
# very many that were handed over again the first are looked at.
_WAITING_SINCE = """
    SELECT kind, min(ready) FROM (
        SELECT kind, CASE state
            WHEN 'failing' THEN (
                SELECT min(due_at) FROM events WHERE state = 'failing' AND kind = tally.kind
            )
            WHEN 'suspect' THEN (
                SELECT min(since) FROM events WHERE state = 'suspect' AND kind = tally.kind
            )
            ELSE (
                SELECT min(since) FROM (
                    SELECT since FROM events
                    WHERE state = 'waiting' AND kind = tally.kind AND due_at = 0
                    ORDER BY id LIMIT :most
                )
            )
        END AS ready
        FROM tally WHERE state IN ('waiting', 'suspect', 'failing') AND count > 0
    ) WHERE ready <= :now GROUP BY kind
"""


class Tended(Struct, frozen=True):
    """What somebody should hear of.

    Attributes:
        erased: How many rows had been set aside for so long that they were erased.
        unhandled: Kinds of events that have waited for a minute and that no worker handles.
        put_away: Those of them of which rows have waited for a day, and were set aside.
    """

    erased: int
    unhandled: list[str]
    put_away: list[str]


def register(connection: Connection, owner: str, kinds: frozenset[str], policy: Policy) -> bool:
    """Write down, or again, that a worker is there, and what it handles."""
    statement = """
        INSERT INTO workers VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (owner) DO UPDATE SET kinds = excluded.kinds, until = excluded.until
    """
    wall, until = policy.clock.wall(), policy.clock.now() + policy.lease
    names = " ".join(sorted(kinds))
    return connection.execute(statement, (owner, names, os.getpid(), wall, until)).rowcount > 0


def sign_off(connection: Connection, owner: str) -> bool:
    """Write down that a worker is gone."""
    return connection.execute("DELETE FROM workers WHERE owner = ?", (owner,)).rowcount > 0


def handled_kinds(connection: Connection, policy: Policy) -> frozenset[str]:
    """Return all kinds that some worker handles."""
    uptime = policy.clock.now()
    found = connection.execute("SELECT kinds FROM workers WHERE until >= ?", (uptime,))
    return frozenset(kind for (kinds,) in found.fetchall() for kind in kinds.split())


def waiting_since(connection: Connection, now: float) -> dict[str, float]:
    """Return for each kind since when the event has waited that could be claimed for longest."""
    return dict(connection.execute(_WAITING_SINCE, {"now": now, "most": SWEEP}).fetchall())


def tend(
    connection: Connection,
    owner: str,
    kinds: frozenset[str],
    policy: Policy,
    *,
    take_over: bool = True,
) -> Tended:
    """Do all that is due.

    Rows of workers that crashed become suspects, rows that nobody handles are put away and rows
    that the owner handles taken back, what is old is erased or forgotten, and what a clock that was
    set would keep for longer than it should is brought forward.

    Args:
        connection: In a transaction.
        owner: A worker that is registered.
        kinds: Those that it handles.
        policy: Of the inbox.
        take_over: Whether a lease that has ended tells of a crash.
    """
    now, uptime = policy.clock.wall(), policy.clock.now()
    times = {
        "now": now,
        "uptime": uptime,
        "lease": policy.lease,
        "retention": policy.retention,
    }
    for statement in _LIMITS:
        connection.execute(statement, times)
    if take_over:
        connection.execute(_SUSPECT_ENDED_LEASES, (uptime, owner))
        # Or of before the machine started anew.
        gone = (owner, uptime, uptime + policy.lease)
        connection.execute(
            "DELETE FROM workers WHERE owner != ? AND until NOT BETWEEN ? AND ?", gone
        )
    connection.execute(_DELETE_OLD, (now, SWEEP))
    erased = 0
    if policy.keep_set_aside is not None:
        since = now - policy.keep_set_aside
        until = now + policy.retention
        erased = connection.execute(_ERASE_OLD, (until, since, SWEEP)).rowcount
    _take_back(connection, kinds, now)
    unhandled, put_away = _put_away(connection, kinds, policy, now)
    return Tended(erased, unhandled, put_away)


def _take_back(connection: Connection, kinds: frozenset[str], now: float) -> None:
    waiting = [kind for (kind,) in connection.execute(f"{_KINDS} = 'no_handler'").fetchall()]
    for kind in waiting if ANY_KIND in kinds else kinds.intersection(waiting):
        connection.execute(_TAKE_BACK, (now, kind, SWEEP))


def _put_away(
    connection: Connection, kinds: frozenset[str], policy: Policy, now: float
) -> tuple[list[str], list[str]]:
    """Set aside what nobody has handled for a day; return the kinds that nobody handles."""
    handled = kinds | handled_kinds(connection, policy)
    if ANY_KIND in handled:
        return [], []
    unhandled, put_away = [], []
    for kind, since in waiting_since(connection, now).items():
        if kind in handled:
            continue
        if since <= now - _UNHANDLED_SAID_AFTER:
            unhandled.append(kind)
        row = {
            "kind": kind,
            "now": now,
            "before": now - _UNHANDLED_AFTER,
            "most": SWEEP,
            "reason": NO_HANDLER,
        }
        moved = [
            connection.execute(_PUT_AWAY, {**row, "state": state}).rowcount
            for state in ("waiting", "suspect", "failing")
        ]
        if any(moved):
            put_away.append(kind)
    return unhandled, put_away
