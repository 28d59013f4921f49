"""What became of each SMS, in a SQLite file. It blocks: call it in a thread."""

import sqlite3
from contextlib import closing

from insim_async.webhooks import DeliveryStatus

TABLE = (
    "CREATE TABLE IF NOT EXISTS sms "
    "(sms_id TEXT PRIMARY KEY, status TEXT NOT NULL, rank INTEGER NOT NULL, at TEXT)"
)
BEGIN = "INSERT INTO sms VALUES (?, 'begun', 0, NULL) ON CONFLICT (sms_id) DO NOTHING"
RECORD = """
    INSERT INTO sms VALUES (?, ?, ?, ?)
    ON CONFLICT (sms_id) DO UPDATE
    SET status = excluded.status, rank = excluded.rank, at = excluded.at
    WHERE excluded.rank > sms.rank
"""
RANKS = {"sent": 1, "received": 3}  # whatever else inSIM may say ranks between the two


class SmsLog:
    def __init__(self, path: str) -> None:
        self._path = path
        self._write(TABLE)

    def begin(self, sms_id: str) -> bool:
        """Note that an SMS is about to be sent; return False if that was noted before."""
        return self._write(BEGIN, sms_id) == 1

    def forget(self, sms_id: str) -> None:
        """Undo ``begin``: nothing was sent."""
        self._write("DELETE FROM sms WHERE sms_id = ? AND status = 'begun'", sms_id)

    def record(self, report: DeliveryStatus) -> None:
        """Keep the report that says most, in whatever order and however often they come."""
        at = report.at.isoformat() if report.at else None
        self._write(RECORD, report.sms_id, report.status, RANKS.get(report.status, 2), at)

    def statuses(self) -> dict[str, str]:
        with closing(sqlite3.connect(self._path)) as database:
            return dict(database.execute("SELECT sms_id, status FROM sms"))

    def _write(self, statement: str, *values: str | int | None) -> int:
        with closing(sqlite3.connect(self._path)) as database, database:
            return database.execute(statement, values).rowcount
