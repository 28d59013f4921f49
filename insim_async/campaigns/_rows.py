"""Messages of the ledger: counted, looked at, moved by what is learnt of them, and forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from insim_async._sqlite import Connection
from insim_async.campaigns import _statements as sql
from insim_async.campaigns._enrolled import Enrolled, set_state
from insim_async.campaigns._states import CampaignState, Delivery, MessageStatus, Move, code_of
from insim_async.campaigns._values import CampaignMessage

__all__ = [
    "SMS_ID",
    "STATUSES",
    "close_for_good",
    "counts",
    "forget",
    "last_row",
    "left",
    "move_all",
    "move_between",
    "move_rows",
    "page",
    "report",
    "resend",
    "retry",
    "sample",
    "settle",
    "sms_id",
]

STATUSES = list(MessageStatus)
DELIVERIES = list(Delivery)
SMS_ID = "%7Bsms_id%7D"
"""What stands for ``{sms_id}`` in a stored link until the message goes out."""
_page = msgspec.json.Decoder(list[tuple[int, int, str, int, int, int, int, str, float | None, str]])
M = TypeVar("M", bound=CampaignMessage)


def counts(connection: Connection, campaign: int) -> dict[str, int]:
    """Count the messages in each status, and those that were delivered."""
    found = connection.execute(sql.COUNTS, {"campaign": campaign}).fetchone()
    return dict(zip([*map(str, STATUSES), "delivered"], found, strict=True))


def last_row(connection: Connection) -> int:
    """Return the last row of all in the file; 0 if there is none."""
    return int(connection.execute(sql.LAST).fetchone()[0])


def left(connection: Connection, campaign: int) -> tuple[int, int]:
    """Count what is pending: SMS parts, and messages."""
    parts, messages = connection.execute(sql.LEFT, {"campaign": campaign}).fetchone()
    return int(parts), int(messages)


def page(
    connection: Connection,
    campaign: int,
    prefix: str,
    *,
    status: MessageStatus | None,
    after: int,
    limit: int,
    kind: type[M],
) -> list[M]:
    """Return the next messages behind a row."""
    values = {
        "campaign": campaign,
        "after": after,
        "limit": limit,
        "state": None if status is None else code_of(status),
    }
    (found,) = connection.execute(sql.PAGE, values).fetchone()
    return [
        kind(
            row=row,
            sms_id=key or sms_id(prefix, row, attempt),
            phone_number=f"+{phone}" if phone else "",
            text=text,
            status=STATUSES[state],
            delivery=DELIVERIES[delivery],
            parts=parts,
            error=detail,
            at=None if at is None else datetime.fromtimestamp(at, UTC),
        )
        for row, phone, text, state, delivery, parts, attempt, detail, at, key in _page.decode(
            found
        )
    ]


def sms_id(prefix: str, row: int, attempt: int) -> str:
    """Return the id under which a row goes out: another one when it is sent again on purpose."""
    return f"{prefix}.{row}.{attempt}" if attempt else f"{prefix}.{row}"


def move_all(connection: Connection, campaign: int, move: Move, now: float, why: str = "") -> int:
    """Move all rows of a campaign; return how many moved."""
    values = {"campaign": campaign, "now": now, "detail": why}
    return int(connection.execute(sql.moved_all(move), values).rowcount)


def move_between(
    connection: Connection,
    campaign: int,
    move: Move,
    now: float,
    why: str = "",
    *,
    first: int,
    last: int,
) -> int:
    """Move the rows of a campaign from one to another; return how many moved."""
    values = {"campaign": campaign, "now": now, "detail": why, "first": first, "last": last}
    return int(connection.execute(sql.moved_range(move), values).rowcount)


def move_rows(
    connection: Connection, campaign: int, move: Move, rows: Sequence[int], now: float, why: str
) -> int:
    """Move some rows; return how many moved."""
    values = {"campaign": campaign, "now": now, "detail": why}
    values["rows"] = msgspec.json.encode(rows).decode()
    return int(connection.execute(sql.moved(move), values).rowcount)


def report(
    connection: Connection,
    known: Enrolled,
    sms_id: str,
    delivery: Delivery,
    is_its_number: Any,
    now: float,
) -> bool:
    """Learn from a delivery report or a click; return whether it is about a message of this one.

    Args:
        connection: Within a transaction.
        known: The campaign.
        sms_id: As the report has it.
        delivery: What it says.
        is_its_number: Says whether the digits of a number are those that it speaks of.
        now: Seconds since 1970.
    """
    row = _row_of(connection, known, sms_id)
    values = {"campaign": known.campaign, "row": row, "now": now}
    found = connection.execute(sql.ONE, values).fetchone()
    if found is None or (found[3] and not is_its_number(found[3])):
        connection.execute(sql.IGNORED, values)
        return False
    move_rows(connection, known.campaign, Move.REPORT, [found[0]], now, f"a report: {delivery}")
    connection.execute(sql.DELIVERED, values | {"delivery": DELIVERIES.index(delivery)})
    return True


def _row_of(connection: Connection, known: Enrolled, sms_id: str) -> int:
    """Return the row that an id stands for, by itself or as the server's own; 0 if none does."""
    if row := _named(known, sms_id):
        return row
    values = {"receipt": sms_id, "key": sms_id, "campaign": known.campaign}
    found = connection.execute(sql.BY_KEY, values).fetchone()
    found = found or connection.execute(sql.BY_RECEIPT, values).fetchone()
    return int(found[0]) if found else 0


def _named(known: Enrolled, sms_id: str) -> int:
    """Return the row that an id of ours names; 0 if it is none of ours."""
    prefix, _, behind = sms_id.partition(".")
    row = behind.partition(".")[0]
    is_ours = prefix == known.prefix and row.isascii() and row.isdigit() and len(row) < 18
    return int(row) if is_ours else 0


def _rows_of(connection: Connection, known: Enrolled, ids: Sequence[str]) -> list[int]:
    """Return the rows that ids stand for, without those that stand for none."""
    named = {sms_id: _named(known, sms_id) for sms_id in ids}
    others = [sms_id for sms_id, row in named.items() if not row]
    values = {"ids": msgspec.json.encode(others).decode(), "campaign": known.campaign}
    found = connection.execute(sql.ROWS_OF, values).fetchall() if others else []
    return [*filter(None, named.values()), *(row for (row,) in found)]


def retry(connection: Connection, campaign: int, now: float, *, first: int, last: int) -> int:
    """Let rows try again that were not sent, and of which no report speaks; return how many."""
    moved = move_between(connection, campaign, Move.RETRY, now, first=first, last=last)
    return _reopened(connection, campaign, moved)


def resend(connection: Connection, known: Enrolled, ids: Sequence[str], now: float) -> int:
    """Let unknown ones go once more, under a new id; return how many."""
    rows = _rows_of(connection, known, ids)
    moved = move_rows(connection, known.campaign, Move.RESEND, rows, now, "sent again on purpose")
    return _reopened(connection, known.campaign, moved)


def settle(connection: Connection, known: Enrolled, sms_id: str, move: Move, now: float) -> bool:
    """Write down what a person found out of an unknown one; return whether it was one."""
    row = _row_of(connection, known, sms_id)
    return bool(move_rows(connection, known.campaign, move, [row], now, "settled by hand"))


def _reopened(connection: Connection, campaign: int, moved: int) -> int:
    if moved:
        set_state(connection, campaign, CampaignState.OPEN, only=[CampaignState.FINISHED])
    return moved


def sample(connection: Connection, campaign: int) -> tuple[str, str, int] | None:
    """Return text, url and priority of the first message; None if there is none."""
    found = connection.execute(sql.SAMPLE, {"campaign": campaign}).fetchone()
    return None if found is None else tuple(found)


def close_for_good(connection: Connection, campaign: int) -> bool:
    """Let nothing be added or run any more; return False if something is not final yet."""
    counted = counts(connection, campaign)
    if counted["pending"] or counted["in_flight"]:
        return False
    connection.execute(sql.FORGET, {"campaign": campaign})
    return True


def forget(connection: Connection, campaign: int, *, first: int, last: int) -> int:
    """Blank texts and numbers of rows; return of how many."""
    values = {"campaign": campaign, "first": first, "last": last}
    return int(connection.execute(sql.FORGET_MESSAGES, values).rowcount)
