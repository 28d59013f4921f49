"""What the file of an inbox looks like, and how an inbox treats its rows.

::

    waiting ──▶ claimed ──▶ done ──▶ forgotten
       ▲ ▲        │  │
       │ │        │  ├──▶ failing ──▶ claimed     its handlers raised, and get it again
       │ │        │  └──▶ set_aside               they raised too often: a dead letter
       │ └────────┘                               its worker stopped; suspect if it crashed
       └──────▶ no_handler                        nobody handled its kind for a day

``due_at`` says when a row leaves its state by itself: when it may be claimed again, when the lease
of whoever claimed it ends, when it is forgotten or erased. New rows are due since ever, so that a
clock that is set back never hides them. Leases end by the monotonic clock, which all processes of a
machine share and which nobody sets; all else by the wall clock.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from insim_async._sqlite import Layout
from insim_async.errors import ConfigurationError
from insim_async.timing import Clock, Retry

__all__ = ["LAYOUT", "Policy"]

LAYOUT: Final = Layout(
    application_id=0x696E534D,  # "inSM"
    version=2,
    schema="""
        CREATE TABLE events (
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            parameter TEXT NOT NULL,
            payload BLOB,
            state TEXT NOT NULL CHECK (state IN (
                'waiting', 'failing', 'claimed', 'suspect', 'done', 'set_aside', 'no_handler'
            )),
            due_at REAL NOT NULL DEFAULT 0,
            wait REAL NOT NULL DEFAULT 0,
            received_at REAL NOT NULL,
            since REAL NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            owner TEXT,
            reason TEXT NOT NULL DEFAULT '',
            aside_at REAL,
            alike TEXT,
            alike_at REAL
        );
        CREATE INDEX events_by_state ON events (state, kind, due_at);
        CREATE INDEX events_aside ON events (aside_at) WHERE aside_at IS NOT NULL;
        CREATE INDEX events_alike ON events (alike) WHERE alike IS NOT NULL;

        CREATE TABLE tally (
            state TEXT NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL,
            PRIMARY KEY (state, kind)
        ) WITHOUT ROWID;
        CREATE TRIGGER tally_put AFTER INSERT ON events BEGIN
            INSERT INTO tally VALUES (new.state, new.kind, 1)
                ON CONFLICT (state, kind) DO UPDATE SET count = count + 1;
        END;
        CREATE TRIGGER tally_deleted AFTER DELETE ON events BEGIN
            UPDATE tally SET count = count - 1 WHERE state = old.state AND kind = old.kind;
        END;
        CREATE TRIGGER tally_moved AFTER UPDATE OF state, kind ON events
            WHEN new.state != old.state OR new.kind != old.kind
        BEGIN
            UPDATE tally SET count = count - 1 WHERE state = old.state AND kind = old.kind;
            INSERT INTO tally VALUES (new.state, new.kind, 1)
                ON CONFLICT (state, kind) DO UPDATE SET count = count + 1;
        END;

        CREATE TABLE workers (
            owner TEXT PRIMARY KEY, kinds TEXT NOT NULL, process INTEGER NOT NULL,
            since REAL NOT NULL, until REAL NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE last_claim (at REAL NOT NULL);
        INSERT INTO last_claim VALUES (0);
    """,
)
"""``since`` is when a row began to wait for a worker, first or anew; ``wait`` how long a row that
failed has to wait in all, however a clock is set meanwhile; ``aside_at`` when it was set aside
last. ``alike`` is the key of an event that does not say at which time of the day it was, and
``alike_at`` when the same came last. ``tally`` counts the rows, so that nobody has to."""


class Policy(Struct, frozen=True, kw_only=True):
    """How an inbox treats its rows: the arguments of ``Inbox.open``, times in seconds.

    Raises:
        ConfigurationError: They make no sense.
    """

    retry: Retry
    retention: float
    keep_set_aside: float | None
    handler_timeout: float
    lease: float
    clock: Clock

    def __post_init__(self) -> None:
        self.retry.check()
        if not (self.retention >= 0 and self.handler_timeout > 0 and self.lease > 0):
            raise ConfigurationError(
                "inbox: retention must be 0 or more, handler_timeout and lease more than 0"
            )
        if not (self.keep_set_aside is None or self.keep_set_aside >= 0):
            raise ConfigurationError("inbox: keep_set_aside must be 0 or more, or None")
