"""Shelter injected HTTP clients: their pools lose connections when they are cancelled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import anyio

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
    results: list[T | Exception] = []

    async def run() -> None:
        with anyio.CancelScope() as trail.guard:
            try:
                results.append(await function())
            except Exception as error:  # noqa: BLE001 - it is raised below
                results.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
    if not results:
        raise RuntimeError("the http_client cancelled the request")
    result = results.pop()
    if isinstance(result, Exception):
        raise result
    return result
