"""Transactions beside the hot path: what is added, looked at, reported, settled and forgotten.

Each function is an action of one transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from insim_async._sqlite import Connection
from insim_async.campaigns import _statements as sql
from insim_async.campaigns._states import CampaignState, Delivery, MessageStatus, Move, code_of
from insim_async.campaigns._values import CampaignMessage

__all__ = [
    "DECIDED",
    "SMS_ID",
    "Added",
    "Begun",
    "Differs",
    "Enrolled",
    "add",
    "begin_gathering",
    "begin_run",
    "cancel",
    "counts",
    "discard",
    "end_run",
    "enrolled",
    "forget",
    "gather",
    "give_up",
    "keep_unread_stop",
    "left",
    "longest",
    "move_all",
    "move_rows",
    "page",
    "report",
    "resend",
    "restore",
    "retry",
    "sample",
    "say",
    "set_state",
    "settle",
    "sms_id",
    "suppress",
    "suppressed",
    "unsuppress",
]

STATUSES = list(MessageStatus)
DELIVERIES = list(Delivery)
DECIDED = {CampaignState.PAUSED, CampaignState.CANCELLED}
"""What people decide, and a run leaves as it is."""
LINES_SHOWN = 100
SMS_ID = "%7Bsms_id%7D"
"""What stands for ``{sms_id}`` in a stored link until the message goes out."""
_counted = msgspec.json.Decoder(list[tuple[int, int, int]])
_page = msgspec.json.Decoder(list[tuple[int, int, str, int, int, int, int, str, float | None, str]])
M = TypeVar("M", bound=CampaignMessage)
_numbers = msgspec.json.Decoder(list[int])


class Enrolled(Struct, frozen=True, kw_only=True):
    """A campaign as the file has it."""

    campaign: int
    kind: str
    name: str
    prefix: str
    template: str
    state: str
    reason: str
    waiting_until: float | None
    rate: float
    plan: str
    is_forgotten: bool
    ignored: int
    run: int
    epoch: int
    failing_since: float | None


def enrolled(connection: Connection, kind: str, name: str) -> Enrolled:
    """Return a campaign, and make it if there is none of that name."""
    values = {"kind": kind, "name": name, "prefix": secrets.token_urlsafe(12)}
    row = connection.execute(sql.CAMPAIGN, values).fetchone()
    if row is None:
        connection.execute(sql.ENROLL, values)
        row = connection.execute(sql.CAMPAIGN, values).fetchone()
    return msgspec.convert(
        dict(zip(Enrolled.__struct_fields__, row, strict=True)), Enrolled, strict=False
    )


# A run ------------------------------------------------------------------------------------------


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


def say(
    connection: Connection,
    campaign: int,
    reason: str,
    until: float | None,
    failing_since: float | None,
) -> None:
    """Write down why a run waits, for whoever looks."""
    values = {"campaign": campaign, "reason": reason, "waiting_until": until}
    connection.execute(sql.SAY, values | {"failing_since": failing_since})


def restore(connection: Connection, campaign: int, epoch: int, now: float) -> None:
    """Doubt all that has no end, in a copy that was put back, and let it count as the newest."""
    move_all(connection, campaign, Move.RESTORE, now, "a copy of the file was put back")
    connection.execute(sql.SET_EPOCH, {"campaign": campaign, "epoch": epoch})


def cancel(connection: Connection, campaign: int, now: float) -> bool:
    """Let nothing more go; return False where all had ended before."""
    if not set_state(connection, campaign, "cancelled", only=["open", "paused", "stopped"]):
        return False
    move_all(connection, campaign, Move.CANCEL, now, "cancelled")
    return True


def set_state(connection: Connection, campaign: int, state: str, *, only: Sequence[str]) -> bool:
    """Set what was decided of a campaign, if it is in one of the states named."""
    found, _, _ = connection.execute(sql.STANDING, {"campaign": campaign}).fetchone()
    if found not in only:
        return False
    values = {"campaign": campaign, "state": state, "reason": ""}
    connection.execute(sql.CONCLUDE, values)
    return True


# Adding -----------------------------------------------------------------------------------------


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


def gather(connection: Connection, table: str, slice_: str) -> None:
    """Put a slice of a list into its temporary table.

    That is gone if the connection was lost, and with it what was gathered before; then this fails.
    """
    connection.execute(sql.GATHER.format(table=table), {"slice": slice_})


def discard(connection: Connection, table: str) -> None:
    """Drop a temporary table."""
    connection.execute(sql.DROP.format(table=table))


def closed(connection: Connection, campaign: int) -> str:
    """Say why nothing can be added any more; an empty text if it can."""
    values = {"campaign": campaign}
    state, is_forgotten = connection.execute(sql.CLOSED, values).fetchone()
    if is_forgotten:
        return "its numbers were forgotten, and with them who has had it: take another name"
    return "it was cancelled: take another name" if state == CampaignState.CANCELLED else ""


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


# Looking ----------------------------------------------------------------------------------------


def counts(connection: Connection, campaign: int) -> dict[str, int]:
    """Count the messages in each status, and those that were delivered."""
    counted = dict.fromkeys([*map(str, STATUSES), "delivered"], 0)
    (found,) = connection.execute(sql.COUNTS, {"campaign": campaign}).fetchone()
    for state, delivery, count in _counted.decode(found):
        counted[STATUSES[state]] += count
        counted["delivered"] += count if DELIVERIES[delivery] is Delivery.RECEIVED else 0
    return counted


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


# What becomes of messages -----------------------------------------------------------------------


def move_all(connection: Connection, campaign: int, move: Move, now: float, why: str = "") -> int:
    """Move all rows of a campaign; return how many moved."""
    values = {"campaign": campaign, "now": now, "detail": why}
    return int(connection.execute(sql.moved_all(move), values).rowcount)


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
    prefix, _, behind = sms_id.partition(".")
    row = behind.partition(".")[0]
    if prefix == known.prefix and row.isascii() and row.isdigit() and len(row) < 18:
        return int(row)
    values = {"receipt": sms_id, "key": sms_id, "campaign": known.campaign}
    found = connection.execute(sql.BY_KEY, values).fetchone()
    found = found or connection.execute(sql.BY_RECEIPT, values).fetchone()
    return int(found[0]) if found else 0


# Those who opted out ----------------------------------------------------------------------------


def suppress(connection: Connection, numbers: Sequence[int], now: float) -> int:
    """Remember who has opted out; return how many are new."""
    values = [{"number": number, "now": now} for number in numbers]
    return sum(connection.execute(sql.SUPPRESS, each).rowcount for each in values)


def retry(connection: Connection, campaign: int, now: float) -> int:
    """Let all try again that were not sent, and of which no report speaks; return how many."""
    return _reopened(connection, campaign, move_all(connection, campaign, Move.RETRY, now))


def resend(connection: Connection, known: Enrolled, ids: Sequence[str], now: float) -> int:
    """Let unknown ones go once more, under a new id; return how many."""
    rows = [_row_of(connection, known, sms_id) for sms_id in ids]
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


def unsuppress(connection: Connection, numbers: Sequence[int]) -> int:
    """Forget who had opted out; return how many had."""
    values = [{"number": number} for number in numbers]
    return sum(connection.execute(sql.UNSUPPRESS, each).rowcount for each in values)


def suppressed(connection: Connection) -> tuple[list[int], list[str]]:
    """Return who has opted out, and the numbers of those that could not be read."""
    (found,) = connection.execute(sql.SUPPRESSED).fetchone()
    (unread,) = connection.execute(sql.UNREAD).fetchone()
    return _numbers.decode(found), msgspec.json.decode(unread, type=list[str])


def keep_unread_stop(connection: Connection, phone: str, now: float) -> None:
    """Keep a number that has opted out and cannot be read."""
    connection.execute(sql.KEEP_UNREAD, {"phone": phone, "now": now})


# Forgetting -------------------------------------------------------------------------------------


def sample(connection: Connection, campaign: int) -> tuple[str, str, int] | None:
    """Return text, url and priority of the first message; None if there is none."""
    found = connection.execute(sql.SAMPLE, {"campaign": campaign}).fetchone()
    return None if found is None else tuple(found)


def forget(connection: Connection, campaign: int) -> bool:
    """Blank all texts and numbers; return False if something is not final yet."""
    counted = counts(connection, campaign)
    if counted["pending"] or counted["in_flight"]:
        return False
    connection.execute(sql.FORGET_MESSAGES, {"campaign": campaign})
    connection.execute(sql.FORGET, {"campaign": campaign})
    return True
