"""Cancel a call at its first suspension, at its second, and so on until it ends before."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, cast

import anyio
import trio

Call = Callable[[], Coroutine[Any, Any, object]]
Manner = Callable[["asyncio.Task[object]", Any], object]


class Ending(NamedTuple):
    """How a cancelled call ended.

    Attributes:
        reached: Whether it suspended often enough to be cancelled at all.
        result: What it returned or raised.
    """

    reached: bool
    result: object = "was cancelled before its first step"


def while_it_waits(task: asyncio.Task[object], waited: Any) -> object:
    """Cancel in the moment of suspension."""
    return task.cancel()


def as_it_wakes(task: asyncio.Task[object], waited: Any) -> object:
    """Cancel when what it waits for has come, but before it can take it."""
    if not isinstance(waited, asyncio.Future):
        return task.cancel()
    waited.add_done_callback(lambda _: task.cancel())
    return None


class Walk:
    """Drives a coroutine, and tells of each suspension."""

    def __init__(self, coroutine: Coroutine[Any, Any, object], told: Callable[[Any], None]) -> None:
        self.coroutine = coroutine
        self.told = told

    def __getattr__(self, name: str) -> Any:
        return getattr(self.coroutine, name)

    def send(self, value: Any) -> Any:
        """Take a step."""
        waited = self.coroutine.send(value)
        self.told(waited)
        return waited

    def throw(self, *error: Any) -> Any:
        """Take a step with an exception."""
        waited = self.coroutine.throw(*error)
        self.told(waited)
        return waited


Coroutine.register(Walk)


class Steps:
    """Counts the suspensions of a call, and acts at the n-th (and some more).

    Those of tasks that the call starts are counted, too.
    """

    def __init__(self, at: int, times: int = 1) -> None:
        self.at = range(at, at + times)
        self.count = 0
        self.act: Callable[[Any], object] = id  # does nothing; replaced once there is a task

    @property
    def reached(self) -> bool:
        """Whether there were as many."""
        return self.count >= self.at.start

    def told(self, waited: Any) -> None:
        """Count one, and act if it is one of those."""
        self.count += 1
        if self.count in self.at:
            self.act(waited)

    def task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **details: Any
    ) -> asyncio.Task[object]:
        """Make a task whose suspensions count; this is a task factory."""
        walk: Any = Walk(coroutine, self.told)
        return asyncio.Task(walk, loop=loop, **details)


async def ended(call: Call, endings: list[object]) -> None:
    """Make the call and keep what it returned or raised, the very exception."""
    try:
        endings.append(await call())
    except BaseException as error:
        endings.append(error)
        raise


async def natively(at: int, manner: Manner, call: Call, times: int = 1) -> Ending:
    """Cancel a call's task at its n-th suspension, as ``task.cancel()`` and ``asyncio.timeout`` do.

    More than once: again at the next, while it cleans up.
    """
    steps = Steps(at, times)
    endings: list[object] = []
    task = steps.task(asyncio.get_running_loop(), ended(call, endings))
    steps.act = functools.partial(manner, task)
    await to_the_end(task, steps)
    return Ending(steps.reached, *endings)


async def by_scope_on_asyncio(at: int, call: Call) -> Ending:
    """Cancel a call's scope at its n-th suspension, as anyio does."""
    steps = Steps(at)
    endings: list[object] = []
    scope = anyio.CancelScope()

    async def scoped() -> None:
        with scope:
            await ended(call, endings)

    task = steps.task(asyncio.get_running_loop(), scoped())
    steps.act = lambda waited: scope.cancel()
    await to_the_end(task, steps)
    return Ending(steps.reached, *endings)


async def to_the_end(task: asyncio.Task[object], steps: Steps) -> None:
    """Wait for a task, counting the suspensions of all that it starts."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(cast(Any, steps.task))
    try:
        await asyncio.wait([task])
    finally:
        loop.set_task_factory(None)
    await asyncio.gather(task, return_exceptions=True)


async def by_scope_on_trio(at: int, call: Call) -> Ending:
    """Cancel a call's scope at the n-th suspension of any task."""
    counting = Counting(at)
    endings: list[object] = []
    with anyio.CancelScope() as scope:
        counting.scope = scope
        trio.lowlevel.add_instrument(counting)
        try:
            await ended(call, endings)
        finally:
            trio.lowlevel.remove_instrument(counting)
    return Ending(counting.count >= at, *endings)


class Counting(trio.abc.Instrument):
    """Counts the steps of all tasks, and cancels a scope at the n-th."""

    scope: anyio.CancelScope

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count one, and cancel if it is the one."""
        self.count += 1
        if self.count == self.at:
            self.scope.cancel()
