"""What each command does: it asks an inbox, and reports lines as they come and how it ended."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final

from msgspec import Struct

from insim_async.webhooks.inbox import Entry, Inbox
from insim_async.webhooks.operating._printing import (
    entry_json,
    entry_lines,
    entry_row,
    status_json,
    status_lines,
)

__all__ = [
    "Report",
    "Selection",
    "back_up",
    "discard",
    "list_entries",
    "requeue",
    "show_entry",
    "show_status",
]

PAGE: Final = 200
Write = Callable[[str], object]
Act = Callable[[str], Awaitable[bool]]


class Selection(Struct, frozen=True, kw_only=True):
    """Which entries are meant.

    Attributes:
        kind: Of the event; any if empty.
        reason: What the reason has in it; any if empty.
        older_than: Received so long ago; whenever if None.
        after: The key of the one behind which to begin; empty for the first.
        limit: How many at most; None for all.
    """

    kind: str = ""
    reason: str = ""
    older_than: timedelta | None = None
    after: str = ""
    limit: int | None = None


class Report(Struct, frozen=True):
    """How a command ended.

    Attributes:
        ok: All is well; or what was named is there.
    """

    ok: bool


async def show_status(inbox: Inbox, write: Write, *, as_json: bool = False) -> Report:
    """Write how many events are in which state, what fails and why, and who works.

    It is not ok if something wants attention: events that nobody handles, or that were set aside.
    """
    status = await inbox.status()
    health = status.health
    for line in [status_json(status)] if as_json else status_lines(status):
        write(line)
    return Report(not (health.problem or health.set_aside or health.no_handler))


async def list_entries(
    inbox: Inbox,
    write: Write,
    *,
    state: str = "set_aside",
    selection: Selection | None = None,
    content: bool = False,
    as_json: bool = False,
) -> Report:
    """Write a line for each entry in a state; of the content only if that is asked for."""
    async for entry in _found(inbox, state, selection or Selection()):
        write(entry_json(entry, content=content) if as_json else entry_row(entry, content=content))
    return Report(ok=True)


async def show_entry(
    inbox: Inbox, write: Write, key: str, *, content: bool = False, as_json: bool = False
) -> Report:
    """Write all that is known of one entry; of its content only if that is asked for."""
    entry = await inbox.entry(key)
    if entry is None:
        if not as_json:
            write(f"{key} is not there")
        return Report(ok=False)
    for line in (
        [entry_json(entry, content=content)] if as_json else entry_lines(entry, content=content)
    ):
        write(line)
    return Report(ok=True)


async def requeue(
    inbox: Inbox, write: Write, keys: Sequence[str], selection: Selection | None = None
) -> Report:
    """Let handlers have again what was set aside: those keys, or all of a selection.

    It is not ok if one of the keys is not there, or still cannot be read.
    """
    if selection is not None:
        done = await inbox.requeue_all(
            kind=selection.kind, reason=selection.reason, older_than=selection.older_than
        )
        write(f"handed over again: {done}")
        return Report(ok=True)
    return await _each(write, keys, inbox.requeue, "waits for its handlers again")


async def discard(
    inbox: Inbox, write: Write, keys: Sequence[str], selection: Selection | None = None
) -> Report:
    """Erase what was set aside: those keys, or all of a selection.

    It is not ok if one of the keys is not there.
    """
    if selection is not None:
        done = await inbox.discard_all(
            kind=selection.kind, reason=selection.reason, older_than=selection.older_than
        )
        write(f"erased: {done}")
        return Report(ok=True)
    return await _each(write, keys, inbox.discard, "is erased")


async def back_up(inbox: Inbox, write: Write, path: str | os.PathLike[str]) -> Report:
    """Copy the file while it is in use."""
    await inbox.backup(path)
    write(f"{os.fspath(path)}: is a copy of it as it is now")
    return Report(ok=True)


async def _each(write: Write, keys: Sequence[str], act: Act, words: str) -> Report:
    done = []
    for key in keys:
        done.append(await act(key))
        write(f"{key} {words if done[-1] else 'is not set aside, or cannot be read'}")
    return Report(all(done))


async def _found(inbox: Inbox, state: str, selection: Selection) -> AsyncIterator[Entry]:
    """Yield the entries that are meant, and ask for a page of them at a time."""
    left, after = selection.limit, selection.after
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = await inbox.entries(
            state,
            kind=selection.kind,
            reason=selection.reason,
            older_than=selection.older_than,
            after=after,
            limit=size,
        )
        for entry in page:
            yield entry
        if len(page) < size:
            return
        after, left = page[-1].key, None if left is None else left - size
