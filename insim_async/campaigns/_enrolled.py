"""A campaign or an outbox as the file has it: its name, its state, and why it waits."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from insim_async._sqlite import Connection
from insim_async.campaigns import _statements as sql
from insim_async.campaigns._states import CampaignState

__all__ = ["Enrolled", "closed", "enrolled", "say", "set_state"]


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


def closed(connection: Connection, campaign: int) -> str:
    """Say why nothing can be added any more; an empty text if it can."""
    values = {"campaign": campaign}
    state, is_forgotten = connection.execute(sql.CLOSED, values).fetchone()
    if is_forgotten:
        return "its numbers were forgotten, and with them who has had it: take another name"
    return "it was cancelled: take another name" if state == CampaignState.CANCELLED else ""


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


def set_state(connection: Connection, campaign: int, state: str, *, only: Sequence[str]) -> bool:
    """Set what was decided of a campaign, if it is in one of the states named."""
    found, _, _ = connection.execute(sql.STANDING, {"campaign": campaign}).fetchone()
    if found not in only:
        return False
    values = {"campaign": campaign, "state": state, "reason": ""}
    connection.execute(sql.CONCLUDE, values)
    return True
