"""Those who opted out, whichever campaign of the file wrote to them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from insim_async._sqlite import Connection
from insim_async.campaigns import _statements as sql

__all__ = ["keep_unread_stop", "suppress", "suppressed", "unsuppress"]

_numbers = msgspec.json.Decoder(list[int])


def suppress(connection: Connection, numbers: Sequence[int], now: float) -> int:
    """Remember who has opted out; return how many are new."""
    values = {"numbers": msgspec.json.encode(numbers).decode(), "now": now}
    return int(connection.execute(sql.SUPPRESS, values).rowcount)


def unsuppress(connection: Connection, numbers: Sequence[int]) -> int:
    """Forget who had opted out; return how many had."""
    values = {"numbers": msgspec.json.encode(numbers).decode()}
    return int(connection.execute(sql.UNSUPPRESS, values).rowcount)


def suppressed(connection: Connection) -> tuple[list[int], list[str]]:
    """Return who has opted out, and the numbers of those that could not be read."""
    (found,) = connection.execute(sql.SUPPRESSED).fetchone()
    (unread,) = connection.execute(sql.UNREAD).fetchone()
    return _numbers.decode(found), msgspec.json.decode(unread, type=list[str])


def keep_unread_stop(connection: Connection, phone: str, now: float) -> None:
    """Keep a number that has opted out and cannot be read."""
    connection.execute(sql.KEEP_UNREAD, {"phone": phone, "now": now})
