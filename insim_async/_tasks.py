"""Background tasks that outlive the caller; anyio has no such call.

Whoever starts one sees to it that it ends.
"""

from __future__ import annotations

import contextvars
import math
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    import asyncio

__all__ = [
    "Turn",
    "current_loop",
    "ends_the_program",
    "is_to_be_passed_on",
    "later",
    "start",
    "to_its_end",
    "wait_whatever_comes",
]

_running: set[asyncio.Task[None]] = set()


def start(
    function: Callable[[], Coroutine[Any, Any, None]],
    ended: Callable[[], object],
    context: contextvars.Context | None = None,
) -> None:
    """Start ``function`` as a background task, and call ``ended`` when it has ended.

    ``ended`` is called even if the task was cancelled before it began.

    Args:
        function: Raises nothing.
        ended: Does not wait.
        context: What the task runs in; by default a copy of the caller's context.
    """
    import asyncio  # costs as much as the rest of the package, and whoever gets here has it already

    async def run() -> None:
        try:
            await function()
        finally:
            ended()

    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        trio.lowlevel.spawn_system_task(run, context=context or contextvars.copy_context())
        return
    task = asyncio.get_running_loop().create_task(function(), context=context)
    _running.add(task)
    task.add_done_callback(_running.discard)
    # Not by ``run``: a task that is cancelled early enough runs no line of its function.
    task.add_done_callback(lambda _: ended())


def later(seconds: float, function: Callable[[], object]) -> None:
    """Call a function later, if the event loop is there then.

    In trio nobody can cancel a background task but its end, and nothing is called.
    """
    if not _in_trio():
        import asyncio

        asyncio.get_running_loop().call_later(seconds, function)


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


async def to_its_end(function: Callable[[], Awaitable[None]]) -> None:
    """Run ``function`` to its end, even if cancelled meanwhile; then pass the cancellation on.

    Raises:
        Exception: What it raised.
    """
    ended, failures = anyio.Event(), list[Exception]()

    async def run() -> None:
        try:
            await function()
        except Exception as error:  # noqa: BLE001 - raised where somebody awaits it
            failures.append(error)

    start(run, ended.set)
    await wait_whatever_comes(ended)
    if failures:
        raise failures[0]


def ends_the_program(error: BaseException) -> bool:
    """Say whether an exception is nobody's failure, but the end of it all."""
    ends = KeyboardInterrupt, SystemExit
    return isinstance(error, ends) or (
        isinstance(error, BaseExceptionGroup) and error.subgroup(ends) is not None
    )


def is_to_be_passed_on(error: BaseException) -> bool:
    """Say whether an exception ends the program, or the task, and is no failure of what was done.

    A ``CancelledError`` ends the task only where somebody has cancelled the task. Code of a caller
    raises it as well, where something that it waits for was cancelled.
    """
    if isinstance(error, Exception):
        return False
    if isinstance(error, GeneratorExit) or ends_the_program(error):
        return True
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_to_be_passed_on, error.exceptions))
    cancelled = isinstance(error, anyio.get_cancelled_exc_class())
    return cancelled and (_in_trio() or _is_cancelled())


def _is_cancelled() -> bool:
    """Say whether this task is being cancelled: by a scope that it is in, or natively."""
    import asyncio

    task = asyncio.current_task()
    by_scope = anyio.current_effective_deadline() == -math.inf
    return by_scope or (task is not None and task.cancelling() > 0)


def current_loop() -> object:
    """Return what stands for the event loop that runs this: the same as long as it runs."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.lowlevel.current_trio_token()
    import asyncio

    return asyncio.get_running_loop()


def _in_trio() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_task())


class Turn:
    """Whether the event loop has had a turn since this was made; trio's always has."""

    def __init__(self) -> None:
        self.has_passed = _in_trio()
        if not self.has_passed:
            import asyncio

            asyncio.get_running_loop().call_soon(self._pass)

    def _pass(self) -> None:
        self.has_passed = True
