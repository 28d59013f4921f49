"""What can be seen of an inbox: how many rows are in which state, which they are, and who works."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from msgspec import Struct
from msgspec.structs import replace

from insim_async._privacy import Private
from insim_async._sqlite import Connection
from insim_async.webhooks.inbox._rows import ANY_KIND
from insim_async.webhooks.inbox._schema import Policy
from insim_async.webhooks.inbox._tending import handled_kinds, waiting_since
from insim_async.webhooks.parsing import query_of

__all__ = [
    "ASIDE",
    "STATES",
    "Choice",
    "Entry",
    "Failures",
    "InboxCounts",
    "InboxHealth",
    "InboxStatus",
    "SetAside",
    "WorkerSeen",
    "entries",
    "entry",
    "health",
    "status",
    "tally",
]

STALE_AFTER: Final = 60.0
"""Seconds for which nobody may claim anything while something waits."""
STATES: Final = {
    "waiting": ("waiting", "suspect"),
    "failing": ("failing",),
    "claimed": ("claimed",),
    "set_aside": ("set_aside", "no_handler"),
    "done": ("done",),
}
"""The states by which rows can be asked for, and those that they have in the file."""
ASIDE: Final = STATES["set_aside"]
_NO_MORE: Final = 1 << 62

_COLUMNS = "key, kind, parameter, payload, state, received_at, attempts, reason, due_at, aside_at"


_FAILURES = """
    SELECT kind, state, reason, count(*), min(received_at) FROM events
    WHERE state IN ('failing', 'set_aside', 'no_handler')
    GROUP BY kind, state, reason ORDER BY count(*) DESC LIMIT 50
"""
_WORKERS = """
    SELECT process, since, kinds, (
        SELECT count(*) FROM events WHERE state = 'claimed' AND owner = workers.owner
    )
    FROM workers WHERE until >= ? ORDER BY since
"""


class SetAside(Private, frozen=True, kw_only=True):
    """A dead letter: an event that was not handled in the end, or a request that could not be read.

    Attributes:
        key: For ``Inbox.requeue`` and ``Inbox.discard``.
        kind: The event's, or ``"unreadable"``.
        query: As ``build_webhook`` writes the event, or as it came where it could not be read.
        received_at: When it came first, in UTC.
        attempts: How often handlers had it.
        reason: The classes of what they raised, what is wrong with the request, ``"no handler"`` or
            what a handler said that gave up; nothing else of the content.
    """

    _shown: ClassVar[frozenset[str]] = frozenset(
        {"key", "kind", "received_at", "attempts", "reason"}
    )

    key: str
    kind: str
    query: bytes
    received_at: datetime
    attempts: int
    reason: str


class Entry(SetAside, frozen=True, kw_only=True):
    """A row, whatever its state.

    Attributes:
        state: ``"waiting"``, ``"failing"``, ``"claimed"``, ``"set_aside"`` or ``"done"``.
        due_in: Seconds until it may be handled again; None where that is not what it waits for.
    """

    _shown: ClassVar[frozenset[str]] = frozenset(
        {"key", "kind", "received_at", "attempts", "reason", "state", "due_in"}
    )

    state: str
    due_in: float | None = None


class InboxCounts(Struct, frozen=True, kw_only=True):
    """How many events are in which state.

    Attributes:
        waiting: For a worker, or for their next attempt.
        claimed: Being handled.
        done: Handled; only their keys are left.
        set_aside: For you to look at.
        no_handler: Set aside, too: nobody handled their kind for a day. Whoever does takes them
            back.
    """

    waiting: int = 0
    claimed: int = 0
    done: int = 0
    set_aside: int = 0
    no_handler: int = 0


class InboxHealth(Struct, frozen=True, kw_only=True):
    """Whether events are being handled, for all processes; made for a health route.

    Attributes:
        oldest_waiting: For how many seconds the event has waited that could be claimed for longest.
        waiting: How many could be claimed.
        claimed: How many are being handled.
        failing: How many wait for another attempt.
        suspects: How many had a worker that crashed, and wait for their turn.
        set_aside: How many wait for you.
        no_handler: Those that nobody handled for a day.
        workers: How many work on this inbox.
        kinds: Those of events that they handle, ``"*"`` for all.
        unhandled: Those of events that wait and that none of them handles.
        last_claim: When one claimed an event, in UTC; None if that never was.
        problem: What is wrong, in words; empty if all is well.
    """

    oldest_waiting: float = 0.0
    waiting: int = 0
    claimed: int = 0
    failing: int = 0
    suspects: int = 0
    set_aside: int = 0
    no_handler: int = 0
    workers: int = 0
    kinds: tuple[str, ...] = ()
    unhandled: tuple[str, ...] = ()
    last_claim: datetime | None = None
    problem: str = ""


class Failures(Struct, frozen=True, kw_only=True):
    """Events of one kind that fail, or were set aside, for one reason.

    Attributes:
        kind: Theirs, or ``"unreadable"``.
        state: ``"failing"`` or ``"set_aside"``.
        reason: As each of them has it.
        count: How many they are.
        oldest: When the first of them came, in UTC.
    """

    kind: str
    state: str
    reason: str
    count: int
    oldest: datetime


class WorkerSeen(Struct, frozen=True, kw_only=True):
    """A worker of any process.

    Attributes:
        process: Its number.
        since: When it began, in UTC.
        kinds: Those of events that it handles, ``"*"`` for all.
        claimed: How many events it has.
    """

    process: int
    since: datetime
    kinds: tuple[str, ...]
    claimed: int


class InboxStatus(Struct, frozen=True, kw_only=True):
    """All that an operator asks first.

    Attributes:
        health: Whether events are being handled.
        counts: How many are in which state.
        failures: What fails and why, the most frequent first; at most 50 lines.
        workers: Who works.
    """

    health: InboxHealth
    counts: InboxCounts
    failures: tuple[Failures, ...]
    workers: tuple[WorkerSeen, ...]


class Choice(Struct, frozen=True, kw_only=True):
    """Which rows are meant.

    Attributes:
        states: As they are called in the file.
        kind: Of the event; any if empty.
        reason: What the reason has in it, in whatever case; any if empty.
        before: Received before then, by the wall clock.
        after: The key of the row behind which to begin; empty for the first.
        limit: How many at most; None for all.
    """

    states: tuple[str, ...] = ASIDE
    kind: str = ""
    reason: str = ""
    before: float | None = None
    after: str = ""
    limit: int | None = None

    def where(self, connection: Connection) -> tuple[str, dict[str, Any]] | None:
        """Return the condition, order and limit of a statement, and its values.

        It is None if there is no row to begin behind.
        """
        # What was set aside in that order, by an index of its own; the others as they came.
        place, state = ("aside_at", "+state") if self.states == ASIDE else ("id", "state")
        values: dict[str, Any] = {
            "kind": self.kind,
            "reason": self.reason,
            "before": self.before,
            "limit": _NO_MORE if self.limit is None else self.limit,
        }
        states = ", ".join(f"'{state}'" for state in self.states)
        condition = (
            f"{state} IN ({states}) AND {place} IS NOT NULL "
            "AND (:kind = '' OR kind = :kind) AND (:before IS NULL OR received_at < :before) "
            "AND (:reason = '' OR instr(lower(reason), lower(:reason)) > 0)"
        )
        if self.after:
            statement = f"SELECT {place}, id FROM events WHERE key = ?"  # noqa: S608 - constant
            found = connection.execute(statement, (self.after,)).fetchone()
            if found is None or found[0] is None:
                return None
            values |= {"place": found[0], "id": found[1]}
            condition += f" AND ({place}, id) > (:place, :id)"
        return f"WHERE {condition} ORDER BY {place}, id LIMIT :limit", values


def tally(connection: Connection) -> InboxCounts:
    """Count the rows in each state."""
    counts = _by_state(connection)
    return InboxCounts(
        waiting=counts["waiting"] + counts["failing"] + counts["suspect"],
        claimed=counts["claimed"],
        done=counts["done"],
        set_aside=counts["set_aside"],
        no_handler=counts["no_handler"],
    )


def _by_state(connection: Connection) -> Counter[str]:
    rows = connection.execute("SELECT state, sum(count) FROM tally GROUP BY state").fetchall()
    return Counter(dict(rows))


def entries(connection: Connection, choice: Choice, now: float) -> list[Entry] | None:
    """Return the rows that were chosen; None if there is none to begin behind."""
    chosen = choice.where(connection)
    if chosen is None:
        return None
    where, values = chosen
    statement = f"SELECT {_COLUMNS} FROM events {where}"  # noqa: S608 - no value is in it
    return [_entry(row, now) for row in connection.execute(statement, values).fetchall()]


def entry(connection: Connection, key: str, now: float) -> list[Entry]:
    """Return the row with that key, if there is one."""
    statement = f"SELECT {_COLUMNS} FROM events WHERE key = ?"  # noqa: S608 - no value is in it
    return [_entry(row, now) for row in connection.execute(statement, (key,)).fetchall()]


def _entry(row: tuple[Any, ...], now: float) -> Entry:
    key, kind, parameter, payload, state, received_at, attempts, reason, due_at, _ = row
    query = payload or b""
    if parameter and payload is not None:
        query = query_of(parameter, payload).encode()
    shown = next(name for name, states in STATES.items() if state in states)
    return Entry(
        key=key,
        kind=kind,
        query=query,
        received_at=datetime.fromtimestamp(received_at, UTC),
        attempts=attempts,
        reason=reason,
        state=shown,
        due_in=max(0.0, due_at - now) if state == "failing" else None,
    )


def health(connection: Connection, policy: Policy) -> InboxHealth:
    """Look whether events are being handled."""
    now, uptime = policy.clock.wall(), policy.clock.now()
    counts, kinds = _by_state(connection), handled_kinds(connection, policy)
    since = waiting_since(connection, now)
    oldest_waiting = max([0.0, *(now - each for each in since.values())])
    (workers,) = connection.execute(
        "SELECT count(*) FROM workers WHERE until >= ?", (uptime,)
    ).fetchone()
    (last_claim,) = connection.execute("SELECT at FROM last_claim").fetchone()
    unhandled = set() if ANY_KIND in kinds else set(since) - kinds
    found = InboxHealth(
        oldest_waiting=oldest_waiting,
        waiting=counts["waiting"] + counts["suspect"],
        claimed=counts["claimed"],
        failing=counts["failing"],
        suspects=counts["suspect"],
        set_aside=counts["set_aside"],
        no_handler=counts["no_handler"],
        workers=workers,
        kinds=tuple(sorted(kinds)),
        unhandled=tuple(sorted(unhandled)),
        last_claim=datetime.fromtimestamp(last_claim, UTC) if last_claim else None,
    )
    idle_for = now - last_claim
    return replace(found, problem=_problem(found, idle_for))


def status(connection: Connection, policy: Policy) -> InboxStatus:
    """Look at all that an operator asks first."""
    failures = connection.execute(_FAILURES).fetchall()
    workers = connection.execute(_WORKERS, (policy.clock.now(),)).fetchall()
    return InboxStatus(
        health=health(connection, policy),
        counts=tally(connection),
        failures=tuple(
            Failures(
                kind=kind,
                state="failing" if state == "failing" else "set_aside",
                reason=reason,
                count=count,
                oldest=datetime.fromtimestamp(oldest, UTC),
            )
            for kind, state, reason, count, oldest in failures
        ),
        workers=tuple(
            WorkerSeen(
                process=process,
                since=datetime.fromtimestamp(since, UTC),
                kinds=tuple(kinds.split()),
                claimed=claimed,
            )
            for process, since, kinds, claimed in workers
        ),
    )


def _problem(found: InboxHealth, idle_for: float) -> str:
    """Say what is wrong: events could be claimed for a minute, and nobody has claimed any."""
    if found.oldest_waiting <= STALE_AFTER or (idle_for <= STALE_AFTER and not found.unhandled):
        return ""
    count, seconds = found.waiting + found.failing, found.oldest_waiting
    many = f"{count} event{' waits' if count == 1 else 's wait'}, the oldest for {seconds:.0f} s"
    if not found.workers:
        return f"{many}, and no worker runs"
    if found.unhandled:
        return f"{many}; no worker handles {', '.join(found.unhandled)}"
    return f"{many}, and no worker has claimed one for {idle_for:.0f} s"
