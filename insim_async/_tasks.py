"""Tasks that belong to nobody, for which anyio has no word; whoever starts one sees to it that it ends."""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    import asyncio

__all__ = ["start", "wait_whatever_comes"]

_running: set[asyncio.Task[None]] = set()


def start(function: Callable[[], Coroutine[Any, Any, None]], ended: Callable[[], object]) -> None:
    """Run ``function`` as a task of its own, and call ``ended`` behind it, even if it was cancelled before it began.

    Args:
        function: Raises nothing.
        ended: Does not wait.
    """
    import asyncio  # costs as much as the rest of the package, and whoever gets here has it already

    async def run() -> None:
        try:
            await function()
        finally:
            ended()

    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        trio.lowlevel.spawn_system_task(
            run, context=contextvars.copy_context()
        )  # as asyncio does by itself
        return
    task = asyncio.get_running_loop().create_task(function())
    _running.add(task)
    task.add_done_callback(_running.discard)
    task.add_done_callback(
        lambda _: ended()
    )  # a task that is cancelled early enough runs no line of its function


async def wait_whatever_comes(event: anyio.Event) -> None:
    """Wait to the end even if cancelled meanwhile, as a task group does; then pass the cancellation on.

    Otherwise whoever is cancelled twice would go on while what it had started still runs.
    """
    cancelled: BaseException | None = None
    with anyio.CancelScope(shield=True):
        while not event.is_set():
            try:
                await event.wait()
            except anyio.get_cancelled_exc_class() as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled
