"""The SQL that only an outbox needs; its tables are the ledger's."""

from __future__ import annotations

from typing import Final

from insim_async.campaigns._statements import IS_STOPPED

__all__: list[str] = []

NAMES: Final = "SELECT name FROM campaign WHERE kind = 'outbox' ORDER BY name"
PUT: Final = """
    INSERT INTO message (campaign, key, phone, text, url, priority, parts, digest)
    VALUES (:campaign, :key, :phone, :text, :url, :priority, :parts, :digest)
    ON CONFLICT (campaign, key) DO NOTHING
"""
PUT_FATE: Final = """
    INSERT INTO fate (row, campaign, due, until)
    VALUES (last_insert_rowid(), :campaign, :due, :until)
"""
KNOWN: Final = "SELECT row, digest FROM message WHERE campaign = :campaign AND key = :key"

DUE: Final = f"""
    SELECT json_group_array(
        json_array(row, phone, text, url, priority, parts, attempt, is_stopped, key)
    ) FROM (
        SELECT f.row, m.phone, m.text, m.url, m.priority, m.parts, f.attempt, m.key,
            ({IS_STOPPED}) AS is_stopped
        FROM fate f INDEXED BY fate_due JOIN message m ON m.row = f.row
        WHERE f.campaign = :campaign AND f.state = 0 AND f.due IS NOT NULL AND f.due <= :now
        ORDER BY f.due, f.row LIMIT :limit
    )
"""  # noqa: S608 - constants
NEXT_DUE: Final = """
    SELECT min(due) FROM fate INDEXED BY fate_due
    WHERE campaign = :campaign AND state = 0 AND due IS NOT NULL
"""
LATE: Final = """
    SELECT json_group_array(row) FROM (
        SELECT row FROM fate INDEXED BY fate_late
        WHERE campaign = :campaign AND state = 0 AND until IS NOT NULL AND until <= :now
        LIMIT :most
    )
"""
LONG_DUE: Final = """
    SELECT json_group_array(row) FROM (
        SELECT row FROM fate INDEXED BY fate_due
        WHERE campaign = :campaign AND state = 0 AND due IS NOT NULL AND due <= :before
        LIMIT :most
    )
"""

_OLD: Final = """
    row > :after AND row <= :last AND campaign = :campaign AND due IS NOT NULL
    AND state NOT IN (0, 1) AND at < :before
"""
BLANK: Final = f"""
    UPDATE message SET phone = 0, text = '', url = ''
    WHERE row IN (SELECT row FROM fate WHERE {_OLD})
"""  # noqa: S608 - it is made of constants
BLANKED: Final = f"UPDATE fate SET due = NULL, until = NULL WHERE {_OLD}"  # noqa: S608 - as above

STANDING: Final = """
    SELECT state, reason, waiting_until, failing_since FROM campaign WHERE campaign = :campaign
"""
WAITING: Final = """
    SELECT count(*), min(due) FROM fate INDEXED BY fate_due
    WHERE campaign = :campaign AND state = 0 AND due IS NOT NULL AND due <= :now
"""
SCHEDULED: Final = """
    SELECT count(*) FROM fate INDEXED BY fate_due
    WHERE campaign = :campaign AND state = 0 AND due IS NOT NULL AND due > :now
"""
OPEN: Final = """
    SELECT state, count(*) FROM fate INDEXED BY fate_open
    WHERE campaign = :campaign AND (state = 1 OR state = 4 OR state = 5) AND due IS NOT NULL
    GROUP BY state
"""
