"""What people and programs read: lines of plain characters, or of JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec

from insim_async._privacy import plain
from insim_async.errors import InvalidWebhook
from insim_async.webhooks.inbox import Entry, InboxStatus
from insim_async.webhooks.parsing import parse_webhook

__all__ = ["entry_json", "entry_lines", "entry_row", "status_json", "status_lines"]


def status_lines(status: InboxStatus) -> Iterator[str]:
    """Write how an inbox is for people."""
    health, counts = status.health, status.counts
    yield (
        f"waiting {health.waiting:,} · failing {health.failing:,} · claimed {health.claimed:,} · "
        f"set aside {health.set_aside:,} · no handler {health.no_handler:,} · done {counts.done:,}"
    )
    if health.waiting:
        yield f"the oldest waits for {_span(health.oldest_waiting)}"
    if health.suspects:
        yield f"{health.suspects:,} had a worker that crashed, and come one after the other"
    if health.last_claim is not None:
        yield f"the last claim was at {health.last_claim:%Y-%m-%d %H:%M:%S} UTC"
    for worker in status.workers:
        kinds = " ".join(worker.kinds) or "nothing, without a handler"
        since = f"{worker.since:%Y-%m-%d %H:%M:%S} UTC"
        yield f"worker in process {worker.process} since {since}: {kinds}"
    if not status.workers:
        yield "no worker runs"
    for failure in status.failures:
        yield (
            f"{failure.count:,} {failure.kind} {failure.state.replace('_', ' ')}, "
            f"since {failure.oldest:%Y-%m-%d %H:%M:%S} UTC: {plain(failure.reason)}"
        )
    yield health.problem or "no event has waited for too long"


def status_json(status: InboxStatus) -> str:
    """Write how an inbox is for programs."""
    return msgspec.json.encode(status).decode()


def entry_row(entry: Entry, *, content: bool) -> str:
    """Write an entry in a line."""
    again = "" if entry.due_in is None else f" (again in {_span(entry.due_in)})"
    row = (
        f"{entry.key}  {entry.received_at:%Y-%m-%d %H:%M:%S}  {entry.kind}  "
        f"attempts: {entry.attempts}  {plain(entry.reason)}{again}"
    )
    return f"{row}  {_content(entry)}" if content else row


def entry_lines(entry: Entry, *, content: bool) -> Iterator[str]:
    """Write an entry, a fact to the line."""
    for name, value in _facts(entry, content=content).items():
        yield f"{name.replace('_', ' ')}: {plain(str(value))}"


def entry_json(entry: Entry, *, content: bool) -> str:
    """Write an entry for programs, as one object."""
    return msgspec.json.encode(_facts(entry, content=content)).decode()


def _facts(entry: Entry, *, content: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "key": entry.key,
        "kind": entry.kind,
        "state": entry.state,
        "received_at": entry.received_at.isoformat(timespec="seconds"),
        "attempts": entry.attempts,
        "reason": entry.reason,
    }
    if entry.due_in is not None:
        facts["due_in"] = round(entry.due_in, 1)
    if content:
        facts["content"] = _content(entry)
    return facts


def _content(entry: Entry) -> str:
    """Return the payload of an event, or the query as it came; plain in either case."""
    try:
        return plain(parse_webhook(entry.query).raw_json.decode())
    except (InvalidWebhook, UnicodeDecodeError):
        return plain(entry.query.decode("utf-8", "backslashreplace"))


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
