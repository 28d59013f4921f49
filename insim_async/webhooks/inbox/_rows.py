"""The rows of the inbox: their schema, each change that one can undergo, and what comes next.

``due_at`` says when a row leaves its state by itself: when it may be claimed again, when the lease
of whoever claimed it ends, when it is forgotten. New rows are due since ever, so that a clock that
is set back never hides them. Leases end by the monotonic clock, which all processes of a machine
share and which nobody sets.

A row that was claimed when its process died is a suspect: its event may be a poison message, which
ends whatever process handles it. No worker takes two suspects at a time, so that such an event ends
its process once with those beside it, and from then on with none but new ones.
"""

from __future__ import annotations

import sqlite3
from typing import Final, Literal

from msgspec import Struct

from insim_async._privacy import Unshown
from insim_async._sqlite import Layout
from insim_async.errors import ConfigurationError
from insim_async.timing import Clock, Retry

__all__ = [
    "LAYOUT",
    "Claim",
    "Ending",
    "Policy",
    "claim_due",
    "count_states",
    "discard",
    "ending_after",
    "move",
    "put",
    "rehearse",
    "release",
    "renew",
    "requeue",
    "set_aside",
]

LAYOUT: Final = Layout(
    application_id=0x696E534D,  # "inSM"
    version=1,
    schema="""
        CREATE TABLE events (
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            query BLOB,
            state TEXT NOT NULL
                CHECK (state IN ('waiting', 'claimed', 'suspect', 'done', 'set_aside')),
            due_at REAL NOT NULL DEFAULT 0,
            received_at REAL NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            owner TEXT,
            reason TEXT NOT NULL DEFAULT ''
        );
        CREATE INDEX events_by_state ON events (state, due_at);
    """,
)
SWEEP: Final = 500
"""How many rows are forgotten at a time, at most."""

_INSERT = """
    INSERT INTO events (key, kind, query, state, due_at, received_at, reason)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING
"""
_LIMIT_DUE_AT = "UPDATE events SET due_at = :until WHERE state = :state AND due_at > :until"
# Suspects are due at once, and those first that were so the least often.
_SUSPECT_ENDED_LEASES = """
    UPDATE events SET state = 'suspect', due_at = attempts, owner = NULL
    WHERE state = 'claimed' AND due_at <= ? AND owner != ?
"""
_DELETE_OLD = (
    "DELETE FROM events WHERE id IN "
    "(SELECT id FROM events WHERE state = 'done' AND due_at <= ? LIMIT ?)"
)
_SELECT_DUE = """
    SELECT key, kind, query, attempts + 1 FROM events
    WHERE state = ? AND due_at > ? AND due_at <= ? ORDER BY due_at, id LIMIT ?
"""
_SELECT_SET_ASIDE = """
    SELECT key, kind, query, received_at, attempts, reason FROM events
    WHERE state = 'set_aside' ORDER BY due_at, id LIMIT ?
"""
_UPDATE_CLAIMED = (
    "UPDATE events SET state = 'claimed', due_at = ?, owner = ?, attempts = attempts + 1 "
    "WHERE key = ?"
)
_UPDATE_ENDED = """
    UPDATE events SET state = :state, due_at = :due_at, reason = :reason, owner = NULL,
        query = iif(:state = 'done', NULL, query)
    WHERE key = :key AND (owner = :owner OR :state = 'done')
"""


class Policy(Struct, frozen=True, kw_only=True):
    """How an inbox treats its rows: the arguments of ``Inbox.open``, ``retention`` in seconds.

    Raises:
        ConfigurationError: They make no sense.
    """

    retry: Retry
    retention: float
    handler_timeout: float
    lease: float
    clock: Clock

    def __post_init__(self) -> None:
        self.retry.check()
        if not (self.retention >= 0 and self.handler_timeout > 0 and self.lease > 0):
            raise ConfigurationError(
                "inbox: retention must be 0 or more, handler_timeout and lease more than 0"
            )


class Claim(Unshown, frozen=True):
    """A row that a worker may handle now, and nobody else.

    Attributes:
        key: The event's.
        kind: The event's.
        query: As it was put.
        attempts: This one included.
        suspect: Its process ended the last time.
    """

    key: str
    kind: str
    query: bytes
    attempts: int
    suspect: bool


class Ending(Struct, frozen=True):
    """What becomes of a row that was claimed.

    Attributes:
        state: The next one.
        wait: Seconds until it leaves that, too.
        reason: Why it was not done.
    """

    state: Literal["waiting", "done", "set_aside"]
    wait: float = 0.0
    reason: str = ""


def ending_after(attempts: int, failure: str | None, policy: Policy) -> Ending:
    """Return what becomes of a row after its latest attempt.

    Args:
        attempts: How many there were.
        failure: Why the latest failed; None if it did not.
        policy: Of the inbox.
    """
    if failure is None:
        return Ending("done", policy.retention)
    wait = policy.retry.wait_after(attempts, policy.clock.random())
    return Ending("set_aside", reason=failure) if wait is None else Ending("waiting", wait, failure)


def put(
    connection: sqlite3.Connection, row: tuple[str, str, bytes, str, float, float, str]
) -> bool:
    """Insert a row; return False if its key is there.

    Args:
        connection: In a transaction.
        row: Key, kind, query, state, due_at, received_at and reason.
    """
    return connection.execute(_INSERT, row).rowcount > 0


def rehearse(
    connection: sqlite3.Connection, row: tuple[str, str, bytes, str, float, float, str]
) -> bool:
    """Insert a row and delete it again; raise if it could not be kept."""
    return (
        put(connection, row)
        and connection.execute("DELETE FROM events WHERE key = ?", row[:1]).rowcount > 0
    )


def claim_due(
    connection: sqlite3.Connection,
    owner: str,
    places: int,
    policy: Policy,
    *,
    suspects: int = 1,
    retries: int = 1,
    take_over: bool = True,
) -> list[Claim]:
    """Claim rows that are due.

    Before that, make suspects of the rows that crashed workers had claimed, and delete old ones.

    New rows come first, and those which failed before would wait for as long as there are any: some
    places are theirs.

    Args:
        connection: In a transaction.
        owner: Who claims it.
        places: How many rows at most.
        policy: Of the inbox.
        suspects: How many of these may be suspects, 0 or 1.
        retries: How many are for what failed before, 0 or 1.
        take_over: Whether a lease that has ended tells of a crash.
    """
    now, uptime = policy.clock.wall(), policy.clock.now()
    # Nothing is due later than that, unless the clock was set back, or the machine started anew.
    latest = {
        "waiting": now + policy.retry.cap,
        "claimed": uptime + policy.lease,
        "done": now + policy.retention,
    }
    for state, until in latest.items():
        connection.execute(_LIMIT_DUE_AT, {"state": state, "until": until})
    if take_over:
        connection.execute(_SUSPECT_ENDED_LEASES, (uptime, owner))
    connection.execute(_DELETE_OLD, (now, SWEEP))
    claims: list[Claim] = []
    for state, after, most in (
        ("suspect", -1.0, suspects),
        ("waiting", 0.0, retries),
        ("waiting", -1.0, places),
    ):
        rows = connection.execute(
            _SELECT_DUE, (state, after, now, min(most, places - len(claims)))
        ).fetchall()
        found = [
            Claim(key, kind, query, attempts, state == "suspect")
            for key, kind, query, attempts in rows
        ]
        connection.executemany(
            _UPDATE_CLAIMED, [(uptime + policy.lease, owner, claim.key) for claim in found]
        )
        claims += found
    return claims


def renew(connection: sqlite3.Connection, keys: list[str], owner: str, until: float) -> bool:
    """Extend the leases of those rows that the owner still has."""
    statement = "UPDATE events SET due_at = ? WHERE key = ? AND owner = ?"
    return connection.executemany(statement, [(until, key, owner) for key in keys]).rowcount > 0


def move(connection: sqlite3.Connection, key: str, owner: str, ending: Ending, now: float) -> bool:
    """End a claim: write the row's next state.

    What is done is done, whoever has claimed it since; all else only the present owner may write.
    """
    row = {
        "key": key,
        "owner": owner,
        "state": ending.state,
        "due_at": now + ending.wait,
        "reason": ending.reason,
    }
    return connection.execute(_UPDATE_ENDED, row).rowcount > 0


def release(connection: sqlite3.Connection, owner: str) -> bool:
    """Give back all rows that an owner has claimed; the attempt does not count."""
    statement = (
        "UPDATE events SET state = 'waiting', due_at = 0, owner = NULL, "
        "attempts = attempts - 1 WHERE owner = ?"
    )
    return connection.execute(statement, (owner,)).rowcount > 0


def set_aside(
    connection: sqlite3.Connection, limit: int
) -> list[tuple[str, str, bytes, float, int, str]]:
    """Return key, kind, query, time, attempts and reason of what was set aside, in that order."""
    return connection.execute(_SELECT_SET_ASIDE, (limit,)).fetchall()


def requeue(connection: sqlite3.Connection, key: str) -> bool:
    """Let a row that was set aside wait again, as if it were new."""
    statement = (
        "UPDATE events SET state = 'waiting', due_at = 0, attempts = 0 "
        "WHERE key = ? AND state = 'set_aside'"
    )
    return connection.execute(statement, (key,)).rowcount > 0


def discard(connection: sqlite3.Connection, key: str, until: float) -> bool:
    """Erase what was set aside, and keep its key until then."""
    statement = (
        "UPDATE events SET state = 'done', due_at = ?, query = NULL "
        "WHERE key = ? AND state = 'set_aside'"
    )
    return connection.execute(statement, (until, key)).rowcount > 0


def count_states(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows are in each state that has any."""
    shown = "iif(state = 'suspect', 'waiting', state)"
    return dict(connection.execute(f"SELECT {shown}, count(*) FROM events GROUP BY 1").fetchall())  # noqa: S608 - constant
