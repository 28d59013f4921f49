"""The SQL of the ledger: what its file looks like, and every statement that reads or changes it.

Each step in a thread retakes the interpreter's lock, so many rows are read as one JSON value and
written by one statement: a range where they stand side by side, a JSON list where not. No index on
the state: it makes claims two to three times slower, and a count of a million rows takes 0.2 s
without.
"""

from __future__ import annotations

from typing import Final

from insim_async._sqlite import Layout
from insim_async.campaigns._states import MOVES, Delivery, MessageStatus, Move, code_of

__all__ = ["LAYOUT", "moved", "moved_all", "moved_range"]

LAYOUT: Final = Layout(
    application_id=0x696E534C,  # "inSL"
    version=1,
    schema="""
        CREATE TABLE ledger (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            account TEXT NOT NULL DEFAULT '',
            limits TEXT NOT NULL DEFAULT '',
            last_at REAL NOT NULL DEFAULT 0,
            last_parts INTEGER NOT NULL DEFAULT 0,
            chance REAL NOT NULL DEFAULT 0,
            reserved_from REAL NOT NULL DEFAULT 0,
            reserved_until REAL NOT NULL DEFAULT 0
        );
        INSERT INTO ledger (id) VALUES (1);

        CREATE TABLE campaign (
            campaign INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            prefix TEXT NOT NULL UNIQUE,
            template TEXT NOT NULL DEFAULT '',
            state TEXT NOT NULL DEFAULT 'open',
            reason TEXT NOT NULL DEFAULT '',
            waiting_until REAL,
            rate REAL NOT NULL DEFAULT 0,
            plan TEXT NOT NULL DEFAULT '',
            is_forgotten INTEGER NOT NULL DEFAULT 0,
            ignored INTEGER NOT NULL DEFAULT 0,
            run INTEGER NOT NULL DEFAULT 0,
            epoch INTEGER NOT NULL DEFAULT 0,
            failing_since REAL,
            UNIQUE (kind, name)
        );

        CREATE TABLE message (
            row INTEGER PRIMARY KEY,
            campaign INTEGER NOT NULL,
            key NOT NULL,
            phone INTEGER NOT NULL,
            text TEXT NOT NULL,
            url TEXT NOT NULL,
            priority INTEGER NOT NULL,
            parts INTEGER NOT NULL,
            digest TEXT NOT NULL DEFAULT '',
            UNIQUE (campaign, key)
        );
        CREATE TABLE fate (
            row INTEGER PRIMARY KEY,
            campaign INTEGER NOT NULL,
            state INTEGER NOT NULL DEFAULT 0,
            delivery INTEGER NOT NULL DEFAULT 0,
            attempt INTEGER NOT NULL DEFAULT 0,
            receipt TEXT,
            detail TEXT NOT NULL DEFAULT '',
            at REAL,
            due REAL,
            until REAL
        );
        CREATE INDEX fate_receipt ON fate (receipt) WHERE receipt IS NOT NULL;
        CREATE INDEX fate_due ON fate (campaign, due) WHERE state = 0 AND due IS NOT NULL;
        CREATE INDEX fate_late ON fate (campaign, until) WHERE state = 0 AND until IS NOT NULL;
        CREATE INDEX fate_open ON fate (campaign, state)
            WHERE (state = 1 OR state = 4 OR state = 5) AND due IS NOT NULL;

        CREATE TABLE suppressed (number INTEGER PRIMARY KEY, at REAL NOT NULL);
        CREATE TABLE unread_stop (phone TEXT PRIMARY KEY, at REAL NOT NULL);
        CREATE TABLE spent (minute INTEGER PRIMARY KEY, at REAL NOT NULL, parts INTEGER NOT NULL);
        CREATE TABLE reached (
            month INTEGER NOT NULL, phone INTEGER NOT NULL, PRIMARY KEY (month, phone)
        ) WITHOUT ROWID;
    """,
)
"""``ledger`` is what the file knows as a whole: whose account, how fast, when the last claim was,
of how many parts, with which share of chance in the rest after it. ``spent`` is the parts that were
claimed, minute by minute; ``reached`` who was written to in a month, where that is limited.
``campaign.run`` is the number of the last run, which fences off an earlier one; ``epoch`` counts
claims, so that an older copy of the file is known. ``message.key`` is the number in a campaign, and
the caller's id in an outbox; only there has a row a ``digest`` of its content, and is ``due`` at
some time, until it is blanked: so the indexes on ``due`` cost a campaign nothing. Between
``reserved_from`` and ``reserved_until`` an outbox goes first. A number of which only the last nine
digits are known is negative in ``suppressed``."""

CAMPAIGN = "SELECT * FROM campaign WHERE kind = :kind AND name = :name"
ENROLL = "INSERT INTO campaign (kind, name, prefix) VALUES (:kind, :name, :prefix)"
STANDING = "SELECT state, run, epoch FROM campaign WHERE campaign = :campaign"
ACCOUNT = "SELECT account FROM ledger"
BIND = "UPDATE ledger SET account = :account"
CLOSED = "SELECT state, is_forgotten FROM campaign WHERE campaign = :campaign"
BEGIN_RUN = """
    UPDATE campaign SET run = run + 1, epoch = epoch + 1, state = :state, reason = '',
        waiting_until = NULL, plan = :plan
    WHERE campaign = :campaign
"""
NEXT_EPOCH = "UPDATE campaign SET epoch = epoch + 1, rate = :rate WHERE campaign = :campaign"
EPOCH = "SELECT epoch FROM campaign WHERE campaign = :campaign"
SET_EPOCH = "UPDATE campaign SET epoch = :epoch WHERE campaign = :campaign"
SAY = """
    UPDATE campaign SET reason = :reason, waiting_until = :waiting_until,
        failing_since = :failing_since
    WHERE campaign = :campaign
"""
CONCLUDE = """
    UPDATE campaign SET state = :state, reason = :reason, waiting_until = NULL, rate = 0
    WHERE campaign = :campaign
"""

IS_STOPPED: Final = """
    EXISTS (SELECT 1 FROM suppressed) AND (
        EXISTS (SELECT 1 FROM suppressed WHERE number = m.phone)
        OR EXISTS (SELECT 1 FROM suppressed WHERE number = -(m.phone % 1000000000))
    )
"""
"""Whether the recipient of ``m`` has opted out; the first line asks once, and most often nobody
has."""
PENDING = f"""
    SELECT json_group_array(json_array(row, phone, text, url, priority, parts, attempt, is_stopped))
    FROM (
        SELECT f.row, m.phone, m.text, m.url, m.priority, m.parts, f.attempt,
            ({IS_STOPPED}) AS is_stopped
        FROM fate f JOIN message m ON m.row = f.row
        WHERE f.row > :after AND f.campaign = :campaign AND f.state = 0
        ORDER BY f.row LIMIT :limit
    )
"""  # noqa: S608 - constants

UNDER_WAY = f"""
    SELECT (
        SELECT row FROM fate
        WHERE campaign = :campaign AND state = {code_of(MessageStatus.IN_FLIGHT)}
        ORDER BY row DESC LIMIT 1
    ) IS NOT NULL
"""  # noqa: S608 - constants

GATHERING = """
    CREATE TEMP TABLE {table} (
        place INTEGER PRIMARY KEY, line INTEGER NOT NULL, key INTEGER NOT NULL,
        text TEXT NOT NULL, url TEXT NOT NULL, parts INTEGER NOT NULL
    )
"""
GATHER = """
    INSERT INTO temp.{table} (line, key, text, url, parts)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]')
    FROM json_each(:slice)
"""
GATHER_ALIKE = """
    INSERT INTO temp.{table} (line, key, text, url, parts)
    SELECT :first + key, value, :text, '', :parts FROM json_each(:keys)
"""
CHANGED = """
    SELECT i.line FROM temp.{table} i JOIN message m ON m.campaign = :campaign AND m.key = +i.key
    WHERE m.text != i.text OR m.url != i.url
    ORDER BY i.place LIMIT :limit
"""
ADD = """
    INSERT INTO message (campaign, key, phone, text, url, priority, parts)
    SELECT :campaign, key, key, text, url, :priority, parts FROM temp.{table} WHERE true
    ORDER BY place
    ON CONFLICT (campaign, key) DO NOTHING
"""
ADD_FATES = """
    INSERT INTO fate (row, campaign) SELECT row, campaign FROM message WHERE row > :last
"""
DROP = "DROP TABLE IF EXISTS temp.{table}"

GIVEN = "SELECT count(*) FROM temp.{table}"
LAST = "SELECT coalesce(max(row), 0) FROM message"
TEMPLATE = "SELECT template FROM campaign WHERE campaign = :campaign"
PARTS_SINCE = "SELECT coalesce(sum(parts), 0) FROM message WHERE row > :last"
REOPEN = """
    UPDATE campaign SET template = :template,
        state = CASE state WHEN 'finished' THEN 'open' ELSE state END
    WHERE campaign = :campaign
"""

_COUNTED = ", ".join(
    f"count(*) FILTER (WHERE state = {code_of(status)})" for status in MessageStatus
)
COUNTS = f"""
    SELECT {_COUNTED}, count(*) FILTER (WHERE delivery = {list(Delivery).index(Delivery.RECEIVED)})
    FROM fate WHERE campaign = :campaign
"""  # noqa: S608 - constants
LEFT = """
    SELECT coalesce(sum(m.parts), 0), count(*) FROM fate f JOIN message m ON m.row = f.row
    WHERE f.campaign = :campaign AND f.state = 0
"""
PAGE = """
    SELECT json_group_array(
        json_array(row, phone, text, state, delivery, parts, attempt, detail, at, key)
    ) FROM (
        SELECT f.row, m.phone, m.text, f.state, f.delivery, m.parts, f.attempt, f.detail, f.at,
            CASE typeof(m.key) WHEN 'text' THEN m.key ELSE '' END AS key
        FROM fate f JOIN message m ON m.row = f.row
        WHERE f.row > :after AND f.campaign = :campaign AND (:state IS NULL OR f.state = :state)
        ORDER BY f.row LIMIT :limit
    )
"""
SAMPLE = """
    SELECT m.text, m.url, m.priority FROM message m WHERE m.campaign = :campaign
    ORDER BY m.row LIMIT 1
"""
ONE = """
    SELECT f.row, f.state, f.delivery, m.phone FROM fate f JOIN message m ON m.row = f.row
    WHERE f.row = :row AND f.campaign = :campaign
"""
BY_KEY = "SELECT row FROM message WHERE campaign = :campaign AND key = :key"
BY_RECEIPT = "SELECT row FROM fate WHERE receipt = :receipt AND campaign = :campaign"
ROWS_OF = """
    SELECT row FROM message
    WHERE campaign = :campaign AND key IN (SELECT value FROM json_each(:ids))
    UNION ALL
    SELECT row FROM fate
    WHERE receipt IN (SELECT value FROM json_each(:ids)) AND campaign = :campaign
        AND NOT EXISTS (
            SELECT 1 FROM message m WHERE m.campaign = fate.campaign AND m.key = +fate.receipt
        )
"""
KEEP_RECEIPT = "UPDATE fate SET receipt = :receipt WHERE row = :row"
DELIVERED = """
    UPDATE fate SET delivery = max(delivery, :delivery), at = :now WHERE row = :row
"""
IGNORED = "UPDATE campaign SET ignored = ignored + 1 WHERE campaign = :campaign"

_AT = "at = :now, detail = :detail"
_AGAIN = {Move.RETRY, Move.RESEND}


def _sources(move: Move) -> str:
    return ", ".join(str(code_of(status)) for status in MOVES[move][0])


def _set(move: Move) -> str:
    more = ", attempt = attempt + 1" if move is Move.RESEND else ""
    if move in _AGAIN:
        more += ", due = max(due, :now)"
    return f"UPDATE fate SET state = {code_of(MOVES[move][1])}, {_AT}{more}"  # noqa: S608 - constants


def moved_all(move: Move) -> str:
    """Return the statement that moves all rows of a campaign."""
    more = " AND delivery = 0" if move is Move.RETRY else ""
    if move in _AGAIN:
        more += " AND EXISTS (SELECT 1 FROM message m WHERE m.row = fate.row AND m.phone != 0)"
    where = f"WHERE campaign = :campaign AND state IN ({_sources(move)}){more}"
    return f"{_set(move)} {where}"


def moved_range(move: Move) -> str:
    """Return the statement that moves the rows of a campaign from ``:first`` to ``:last``."""
    return f"{moved_all(move)} AND row BETWEEN :first AND :last"


def moved(move: Move) -> str:
    """Return the statement that moves the rows of a campaign that a JSON list names."""
    return f"{moved_all(move)} AND row IN (SELECT value FROM json_each(:rows))"  # noqa: S608 - constants


SUPPRESS = """
    INSERT INTO suppressed SELECT value, :now FROM json_each(:numbers) WHERE true
    ON CONFLICT (number) DO NOTHING
"""
UNSUPPRESS = "DELETE FROM suppressed WHERE number IN (SELECT value FROM json_each(:numbers))"
SUPPRESSED = "SELECT json_group_array(number) FROM (SELECT number FROM suppressed ORDER BY number)"
KEEP_UNREAD = "INSERT INTO unread_stop VALUES (:phone, :now) ON CONFLICT (phone) DO NOTHING"
UNREAD = "SELECT json_group_array(phone) FROM (SELECT phone FROM unread_stop ORDER BY at)"

LIMITS = "SELECT limits, last_at, last_parts, chance FROM ledger"
RESERVED = "SELECT reserved_from, reserved_until FROM ledger"
RESERVE = "UPDATE ledger SET reserved_from = :first, reserved_until = :last"
SET_LIMITS = "UPDATE ledger SET limits = :limits"
BOOK = """
    INSERT INTO spent VALUES (:minute, :now, :parts)
    ON CONFLICT (minute) DO UPDATE SET parts = parts + :parts, at = :now
"""
BOOKED = "UPDATE ledger SET last_at = :now, last_parts = :parts, chance = :chance"
GIVE_BACK = "UPDATE spent SET parts = max(0, parts - :parts) WHERE minute = :minute"
# ``at`` has no index, and lies within its minute.
PRUNE = "DELETE FROM spent WHERE minute < :at / 60 - 1"
SPENT_SINCE = """
    SELECT coalesce(sum(parts), 0) FROM spent WHERE minute >= :at / 60 - 1 AND at >= :at
"""
SPENT_LATELY = """
    SELECT at, parts FROM spent WHERE minute >= :at / 60 - 1 AND at > :at ORDER BY minute
"""
NUMBERS = "SELECT count(*) FROM reached WHERE month = :month"
IS_REACHED = "SELECT 1 FROM reached WHERE month = :month AND phone = :phone"
REACH = "INSERT INTO reached VALUES (:month, :phone) ON CONFLICT (month, phone) DO NOTHING"
REACHED_BEFORE = """
    INSERT INTO reached SELECT DISTINCT :month, m.phone
    FROM fate f JOIN message m ON m.row = f.row
    WHERE f.at >= :month AND m.phone != 0 AND f.state IN ({states})
    ON CONFLICT (month, phone) DO NOTHING
"""
LONGEST = """
    SELECT coalesce(max(m.parts), 1) FROM fate f JOIN message m ON m.row = f.row
    WHERE f.campaign = :campaign AND f.state = 0
"""

FORGET_MESSAGES = """
    UPDATE message SET key = -row, phone = 0, text = '', url = ''
    WHERE row BETWEEN :first AND :last AND +campaign = :campaign AND phone != 0
"""
FORGET = "UPDATE campaign SET is_forgotten = 1 WHERE campaign = :campaign"
