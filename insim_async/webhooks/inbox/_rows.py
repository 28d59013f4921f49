"""What a row undergoes from the request to its end: put, claimed, renewed, moved, released.

A row that was claimed when its process died is a suspect: its event may be a poison message, which
ends whatever process handles it. No worker takes two suspects at a time, so that such an event ends
its process once with those beside it, and from then on with none but new ones.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from insim_async._privacy import Unshown
from insim_async._sqlite import Connection
from insim_async.webhooks._attempt import GiveUp, RetryLater
from insim_async.webhooks.events import key_of
from insim_async.webhooks.inbox._schema import Policy

__all__ = [
    "ALIKE_WITHIN",
    "ANY_KIND",
    "Claim",
    "Ending",
    "Quota",
    "Repeat",
    "Row",
    "claim_due",
    "ending_after",
    "move",
    "put",
    "rehearse",
    "release",
    "renew",
]

ANY_KIND: Final = "*"
ALIKE_WITHIN: Final = 3600.0
"""Seconds; what is written the same and says no time of the day is a repeat of what came since."""

_INSERT = """
    INSERT INTO events
        (key, kind, parameter, payload, state, due_at, received_at, since, reason, aside_at, alike)
    VALUES
        (:key, :kind, :parameter, :payload, :state, :due_at, :now, :now, :reason, :aside_at, :alike)
    ON CONFLICT (key) DO NOTHING
"""
_LAST_ALIKE = """
    SELECT key, received_at, coalesce(alike_at, received_at) FROM events
    WHERE alike = ? ORDER BY id DESC LIMIT 1
"""
_PRESENT = """
    SELECT state, kind FROM tally
    WHERE state IN ('suspect', 'failing', 'waiting') AND count > 0
"""
_DUE = """
    SELECT * FROM (
        SELECT id, key, kind, parameter, payload, attempts + 1, received_at, state, due_at
        FROM events WHERE state = ? AND kind = ? AND due_at <= ? ORDER BY due_at, id LIMIT ?
    )
"""
_UPDATE_CLAIMED = """
    UPDATE events SET state = 'claimed', due_at = ?, owner = ?, attempts = attempts + 1
    WHERE id IN (SELECT value FROM json_each(?))
"""
_UPDATE_ENDED = """
    UPDATE events SET
        state = :state, due_at = :due_at, wait = :wait, reason = :reason, owner = NULL,
        kind = coalesce(:kind, kind),
        attempts = attempts - :uncounted,
        aside_at = iif(:state = 'set_aside', :now, aside_at),
        payload = iif(:state = 'done', NULL, payload)
    WHERE key = :key AND (owner = :owner OR :state = 'done')
"""
_RELEASE = """
    UPDATE events SET
        state = iif(attempts > 1, 'failing', 'waiting'),
        due_at = 0, owner = NULL, attempts = attempts - 1
    WHERE owner = ? AND state = 'claimed'
        AND kind IN (SELECT kind FROM tally WHERE state = 'claimed')
"""


class Row(Unshown, frozen=True, kw_only=True):
    """What is put into the file.

    Attributes:
        key: The event's, or one that was given.
        kind: The event's, or ``"unreadable"``.
        parameter: Of the query.
        payload: JSON as it came; or the whole query where it could not be read.
        now: By the wall clock.
        alike: The event does not say at which time of the day it was.
        reason: Why it is set aside at once; empty if it is not.
    """

    key: str
    kind: str
    parameter: str
    payload: bytes
    now: float
    alike: bool = False
    reason: str = ""


class Repeat(NamedTuple):
    """An event that is there already.

    Attributes:
        age: Seconds since it came first.
    """

    age: float


class Claim(Unshown, frozen=True):
    """A row that a worker may handle now, and nobody else.

    Attributes:
        key: The event's.
        kind: The event's.
        parameter: As it was put.
        payload: As it was put.
        attempts: This one included.
        received_at: By the wall clock.
        suspect: Its process ended the last time.
    """

    key: str
    kind: str
    parameter: str
    payload: bytes
    attempts: int
    received_at: float
    suspect: bool


class Quota(NamedTuple):
    """How many rows may be claimed.

    Attributes:
        places: All in all.
        suspects: Of those whose process ended the last time, 0 or 1: never two at a time.
        retries: Of those that failed before, ahead of new ones, 0 or 1: never two of them in turn.
    """

    places: int
    suspects: int = 1
    retries: int = 1


class Ending(Struct, frozen=True):
    """What becomes of a row that was claimed.

    Attributes:
        state: The next one.
        wait: Seconds until it leaves that, too.
        reason: Why it was not done.
        kind: What its event turned out to be; None where that is what the row says.
        uncounted: Attempts that were none: no handler had it.
    """

    state: Literal["waiting", "failing", "done", "set_aside"]
    wait: float = 0.0
    reason: str = ""
    kind: str | None = None
    uncounted: int = 0


def ending_after(
    attempts: int,
    failure: str | None,
    policy: Policy,
    wish: RetryLater | GiveUp | None = None,
) -> Ending:
    """Return what becomes of a row after its latest attempt.

    Args:
        attempts: How many there were.
        failure: Why the latest failed; None if it did not.
        policy: Of the inbox.
        wish: What its handlers asked for.
    """
    if failure is None:
        return Ending("done", policy.retention)
    wait = policy.retry.wait_after(attempts, policy.clock.random())
    if isinstance(wish, GiveUp):
        return Ending("set_aside", reason=f"GiveUp: {wish.reason}" if wish.reason else "GiveUp")
    if wait is None:
        return Ending("set_aside", reason=failure)
    return Ending("failing", wish.after if wish else wait, failure)


def put(connection: Connection, row: Row) -> Repeat | None:
    """Insert a row; return what it repeats if it is no new one."""
    key = row.key
    if row.alike:
        last = connection.execute(_LAST_ALIKE, (key,)).fetchone()
        if last is not None:
            known, first_at, at = last
            if abs(row.now - at) <= ALIKE_WITHIN:  # the clock may have been set back
                connection.execute(
                    "UPDATE events SET alike_at = ? WHERE key = ?", (max(row.now, at), known)
                )
                return Repeat(max(0.0, row.now - first_at))
            key = key_of(f"{known}\n{row.now}".encode())
    values = {
        "key": key,
        "kind": row.kind,
        "parameter": row.parameter,
        "payload": row.payload,
        "state": "set_aside" if row.reason else "waiting",
        "due_at": row.now if row.reason else 0.0,
        "now": row.now,
        "reason": row.reason,
        "aside_at": row.now if row.reason else None,
        "alike": row.key if row.alike else None,
    }
    if connection.execute(_INSERT, values).rowcount > 0:
        return None
    (first_at,) = connection.execute(
        "SELECT received_at FROM events WHERE key = ?", (key,)
    ).fetchone()
    return Repeat(max(0.0, row.now - first_at))


def rehearse(connection: Connection, row: Row) -> bool:
    """Insert a row and delete it again; raise if it could not be kept."""
    # Under its own key alone, or that of another event would be deleted.
    return (
        put(connection, replace(row, alike=False)) is None
        and connection.execute("DELETE FROM events WHERE key = ?", (row.key,)).rowcount > 0
    )


def claim_due(
    connection: Connection, owner: str, quota: Quota, policy: Policy, kinds: frozenset[str]
) -> list[Claim]:
    """Claim rows that are due.

    New rows come first, and those which failed before would wait for as long as there are any: some
    places are theirs.

    Args:
        connection: In a transaction.
        owner: Who claims it.
        quota: How many rows at most.
        policy: Of the inbox.
        kinds: Of the events that the owner handles.
    """
    now, uptime = policy.clock.wall(), policy.clock.now()
    chosen = _chosen(_due(connection, kinds, now, quota.places), quota)
    if chosen:
        ids = msgspec.json.encode([row[0] for row in chosen])
        connection.execute(_UPDATE_CLAIMED, (uptime + policy.lease, owner, ids.decode()))
        connection.execute("UPDATE last_claim SET at = ?", (now,))
    return [
        Claim(key, kind, parameter, payload, attempts, received_at, state == "suspect")
        for _, key, kind, parameter, payload, attempts, received_at, state, _ in chosen
    ]


def _due(
    connection: Connection, kinds: frozenset[str], now: float, places: int
) -> dict[str, list[Any]]:
    """Return rows that are due, by their states, those first that have been so for longest."""
    present = [
        (state, kind, now, places)
        for state, kind in connection.execute(_PRESENT)
        if kind in kinds or ANY_KIND in kinds
    ]
    found: dict[str, list[Any]] = {"suspect": [], "failing": [], "waiting": []}
    if present and places > 0:
        # One seek in the index for each kind: a single one would have to sort all that wait.
        statement = "UNION ALL".join([_DUE] * len(present)) + "ORDER BY due_at, id"
        values = [value for each in present for value in each]
        for row in connection.execute(statement, values).fetchall():
            found[row[7]].append(row)
    return found


def _chosen(due: dict[str, list[Any]], quota: Quota) -> list[Any]:
    failing = due["failing"]
    in_turn = [
        *due["suspect"][: quota.suspects],
        *failing[: quota.retries],
        *due["waiting"],
        *failing[quota.retries :],
    ]
    return in_turn[: quota.places]


def renew(connection: Connection, keys: list[str], owner: str, until: float) -> bool:
    """Extend the leases of those rows that the owner still has."""
    statement = (
        "UPDATE events SET due_at = ? WHERE key IN (SELECT value FROM json_each(?)) AND owner = ?"
    )
    names = msgspec.json.encode(keys).decode()
    return connection.execute(statement, (until, names, owner)).rowcount > 0


def move(connection: Connection, key: str, owner: str, ending: Ending, now: float) -> bool:
    """End a claim: write the row's next state.

    What is done is done, whoever has claimed it since; all else only the present owner may write.
    """
    row = {
        "key": key,
        "owner": owner,
        "state": ending.state,
        "due_at": 0.0 if ending.state == "waiting" else now + ending.wait,
        "wait": ending.wait,
        "reason": ending.reason,
        "kind": ending.kind,
        "uncounted": ending.uncounted,
        "now": now,
    }
    return connection.execute(_UPDATE_ENDED, row).rowcount > 0


def release(connection: Connection, owner: str) -> bool:
    """Give back all rows that an owner has claimed; the attempt does not count."""
    return connection.execute(_RELEASE, (owner,)).rowcount > 0
