"""Background tasks that outlive the caller; anyio has no such call.

Whoever starts one sees to it that it ends.
"""

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
    """Start ``function`` as a background task, and call ``ended`` when it has ended.

    ``ended`` is called even if the task was cancelled before it began.

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
        # asyncio copies the context by itself.
        trio.lowlevel.spawn_system_task(run, context=contextvars.copy_context())
        return
    task = asyncio.get_running_loop().create_task(function())
    _running.add(task)
    task.add_done_callback(_running.discard)
    # Not by ``run``: a task that is cancelled early enough runs no line of its function.
    task.add_done_callback(lambda _: ended())


async def wait_whatever_comes(event: anyio.Event) -> None:
    """Wait for an event to the end, even if cancelled meanwhile; then pass the cancellation on.

    So does a task group. Otherwise whoever is cancelled twice would go on while what it had started
    still runs.
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
