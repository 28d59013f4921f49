"""A list on its way into the ledger: gathered in a temporary table, and added by one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from insim_async._sqlite import Connection
from insim_async.campaigns import _statements as sql
from insim_async.campaigns._enrolled import closed
from insim_async.campaigns._fast import Alike

__all__ = ["Added", "Differs", "add", "begin_gathering", "discard", "gather"]

LINES_SHOWN = 100


class Added(Struct, frozen=True):
    """What was added of how many: their parts, and lines whose number another line has taken."""

    given: int
    new: int
    parts: int
    repeated: Sequence[int]


class Differs(Struct, frozen=True):
    """Nothing was added: the template, or the texts of these lines, are not as they were."""

    template: bool
    lines: Sequence[int]


def begin_gathering(connection: Connection, table: str) -> None:
    """Make a temporary table for a list; nobody else sees it."""
    connection.execute(sql.GATHERING.format(table=table))


def gather(connection: Connection, table: str, slice_: str | Alike) -> None:
    """Put a slice of a list into its temporary table.

    That is gone if the connection was lost, and with it what was gathered before; then this fails.
    """
    if isinstance(slice_, Alike):
        slice_.gather(connection, table)
    else:
        connection.execute(sql.GATHER.format(table=table), {"slice": slice_})


def discard(connection: Connection, table: str) -> None:
    """Drop a temporary table."""
    connection.execute(sql.DROP.format(table=table))


def add(
    connection: Connection, campaign: int, table: str, *, template: str, priority: int, keep: bool
) -> Added | Differs | str:
    """Add what was gathered, by one statement, or say why not."""
    if fault := closed(connection, campaign):
        return fault
    values: dict[str, Any] = {"campaign": campaign, "priority": priority, "limit": LINES_SHOWN}
    values["last"] = connection.execute(sql.LAST).fetchone()[0]
    known = connection.execute(sql.TEMPLATE, values).fetchone()[0]
    changed = sql.CHANGED.format(table=table)
    if known not in {"", template}:
        return Differs(template=True, lines=())
    if known and not keep:
        lines = [line for (line,) in connection.execute(changed, values)]
        if lines:
            return Differs(template=False, lines=lines)
    (given,) = connection.execute(sql.GIVEN.format(table=table)).fetchone()
    new = connection.execute(sql.ADD.format(table=table), values).rowcount
    connection.execute(sql.ADD_FATES, values)
    (parts,) = connection.execute(sql.PARTS_SINCE, values).fetchone()
    repeated: list[int] = []
    if not known and new < given:
        values["limit"] = -1
        repeated = [line for (line,) in connection.execute(changed, values)]
    if new:
        connection.execute(sql.REOPEN, values | {"template": template})
    discard(connection, table)
    return Added(given, new, parts, repeated)
