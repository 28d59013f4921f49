"""Shelter injected HTTP clients: their pools lose connections when they are cancelled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import anyio

from insim_async._tasks import is_to_be_passed_on

__all__ = ["sheltered"]

T = TypeVar("T")


class Guarded(Protocol):
    """What lends the scope by which it holds off cancellation."""

    guard: anyio.CancelScope | None


async def sheltered(function: Callable[[], Awaitable[T]], trail: Guarded) -> T:
    """Run ``function`` in a child task, which is cancelled by a scope and at a safe moment.

    The pools of httpx and httpx2 lose a slot for ever when the task that sends is cancelled
    natively, or by a scope while a new connection of theirs waits to be used for the first time.
    """
    results: list[T | BaseException] = []

    async def run() -> None:
        with anyio.CancelScope() as guard:
            trail.guard = guard
            try:
                results.append(await function())
            except BaseException as error:
                guard.shield = False
                if is_to_be_passed_on(error):
                    raise
                results.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
    if not results:
        raise RuntimeError("the http_client cancelled the request")
    result = results.pop()
    if not isinstance(result, BaseException):
        return result
    if isinstance(result, Exception):
        raise result
    raise RuntimeError(f"the http_client raised {type(result).__name__}") from result
