"""What each command does: it asks an outbox, and writes lines for people or for programs.

A command returns whether all is well, or done. Of people nothing is shown unless that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from insim_async._privacy import plain
from insim_async.campaigns import MessageStatus
from insim_async.outbox import Outbox, OutboxHealth, OutboxMessage

__all__ = ["cancel", "list_messages", "retry", "show_message", "show_status"]

Write = Callable[[str], object]


async def show_status(outbox: Outbox, write: Write, *, as_json: bool) -> bool:
    """Write how many messages wait and for how long, what is in the way, and who sends."""
    health = await outbox.health()
    for line in [msgspec.json.encode(health).decode()] if as_json else _status_lines(health):
        write(line)
    return not (health.problem or health.not_sent or health.unknown)


async def list_messages(
    outbox: Outbox,
    write: Write,
    *,
    status: MessageStatus | None,
    limit: int | None,
    content: bool,
    as_json: bool,
) -> bool:
    """Write a line for each message in a status."""
    left = limit
    async for message in outbox.messages(status):
        if left is not None and left <= 0:
            break
        left = None if left is None else left - 1
        facts = _facts(message, content=content)
        write(msgspec.json.encode(facts).decode() if as_json else _row(facts))
    return True


async def show_message(
    outbox: Outbox, write: Write, *, sms_id: str, content: bool, as_json: bool
) -> bool:
    """Write all that is known of one message; it is not well if there is none."""
    message = await outbox.get(sms_id)
    if message is None:
        write(f"{plain(sms_id)}: there is no such message")
        return False
    facts = _facts(message, content=content)
    if as_json:
        write(msgspec.json.encode(facts).decode())
        return True
    for name, value in facts.items():
        write(f"{name.replace('_', ' ')}: {plain(str(value))}")
    return True


async def retry(outbox: Outbox, write: Write) -> bool:
    """Let all that was not sent try again."""
    write(f"tried again: {await outbox.retry()}")
    return True


async def cancel(outbox: Outbox, write: Write, *, ids: Sequence[str]) -> bool:
    """Let messages not go; it is not well if one of them was not waiting."""
    done = []
    for sms_id in ids:
        done.append(await outbox.cancel(sms_id))
        write(f"{plain(sms_id)} is cancelled" if done[-1] else await _why_not(outbox, sms_id))
    return all(done)


async def _why_not(outbox: Outbox, sms_id: str) -> str:
    message = await outbox.get(sms_id)
    if message is None:
        return f"{plain(sms_id)}: there is no such message"
    return f"{plain(sms_id)} was not waiting: it is {message.status}"


def _status_lines(health: OutboxHealth) -> Iterator[str]:
    yield (
        f"due {health.due:,} · scheduled {health.scheduled:,} · in flight {health.in_flight:,} · "
        f"not sent {health.not_sent:,} · unknown {health.unknown:,}"
    )
    if health.due:
        waited = timedelta(seconds=round(health.oldest_due))
        yield f"the one that waited for longest is due for {waited}"
    yield "a worker sends" if health.is_running else "no worker runs"
    if health.reason:
        until = health.waiting_until
        yield f"it waits: {plain(health.reason)}" + (f", until {until:%F %T %Z}" if until else "")
    if health.failing_since is not None:
        yield f"nothing has got through since {health.failing_since:%F %T %Z}"
    yield health.problem or "nothing is in the way"


def _facts(message: OutboxMessage, *, content: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "sms_id": message.sms_id,
        "status": message.status,
        "delivery": message.delivery,
        "parts": message.parts,
        "error": message.error,
        "at": None if message.at is None else message.at.isoformat(timespec="seconds"),
    }
    if content:
        facts |= {"phone_number": message.phone_number, "text": message.text}
    return facts


def _row(facts: dict[str, Any]) -> str:
    return "  ".join(plain(str("-" if value is None else value)) for value in facts.values())
