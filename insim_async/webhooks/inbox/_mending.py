"""What people do to rows that were set aside: hand them over again, or erase them."""

from __future__ import annotations

from insim_async._sqlite import Connection
from insim_async.errors import InvalidWebhook
from insim_async.webhooks.inbox._looking import Choice
from insim_async.webhooks.parsing import parse_webhook, payload_of, read_payload

__all__ = ["discard", "discard_all", "requeue", "requeue_all"]

_REQUEUE = """
    UPDATE events SET state = 'waiting', due_at = 0, since = :now, attempts = 0, reason = ''
"""
_DISCARD = "UPDATE events SET state = 'done', due_at = :until, payload = NULL"
_ONE = " WHERE key = :key AND state IN ('set_aside', 'no_handler')"
_READ_ANEW = "UPDATE events SET kind = ?, parameter = ?, payload = ? WHERE key = ?"
_FAILED_ANEW = "UPDATE events SET attempts = attempts + 1, reason = ? WHERE key = ?"


def requeue(connection: Connection, key: str, now: float) -> bool:
    """Let a row that was set aside wait again, as if it were new.

    What could not be read is read again, which a later version may be able to.
    """
    if not _read_anew(connection, key):
        return False
    return connection.execute(_REQUEUE + _ONE, {"now": now, "key": key}).rowcount > 0


def requeue_all(connection: Connection, choice: Choice, now: float) -> tuple[str, int]:
    """Let the rows that were chosen wait again; return the last of them, and how many did."""
    keys = _keys(connection, choice)
    return keys[-1] if keys else "", sum(requeue(connection, key, now) for key in keys)


def discard(connection: Connection, key: str, until: float) -> bool:
    """Erase what was set aside, and keep its key until then."""
    return connection.execute(_DISCARD + _ONE, {"until": until, "key": key}).rowcount > 0


def discard_all(connection: Connection, choice: Choice, until: float) -> tuple[str, int]:
    """Erase the rows that were chosen; return the last of them, and how many there were."""
    keys = _keys(connection, choice)
    return keys[-1] if keys else "", sum(discard(connection, key, until) for key in keys)


def _keys(connection: Connection, choice: Choice) -> list[str]:
    chosen = choice.where(connection)
    if chosen is None:
        return []
    where, values = chosen
    found = connection.execute(f"SELECT key FROM events {where}", values).fetchall()  # noqa: S608 - no value is in it
    return [key for (key,) in found]


def _read_anew(connection: Connection, key: str) -> bool:
    """Read a row again that could not be read, or not understood; return if it may be handled."""
    statement = f"SELECT kind, parameter, payload FROM events{_ONE}"  # noqa: S608 - constant
    row = connection.execute(statement, {"key": key}).fetchone()
    if row is None or row[0] not in {"unreadable", "unknown"}:
        return row is not None
    kind, parameter, payload = row
    try:
        event = parse_webhook(payload) if kind == "unreadable" else read_payload(parameter, payload)
    except InvalidWebhook as error:
        connection.execute(_FAILED_ANEW, (f"InvalidWebhook: {error}", key))
        return False
    connection.execute(_READ_ANEW, (event.kind, *payload_of(event), key))
    return True
