"""Waiting for what no event tells of: asked again until it is so, and given up at last.

How often it is asked is chance, and no test's business.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

import anyio

PATIENCE = 60.0
"""Seconds after which a test fails rather than hangs."""


async def until(condition: Callable[[], object | Awaitable[object]]) -> None:
    """Wait until something is so; whoever asks gives others their turn."""
    with anyio.fail_after(PATIENCE):
        while not await _answer(condition()):  # noqa: ASYNC110 - what this room is for
            await anyio.sleep(0.001)


async def _answer(given: object | Awaitable[object]) -> object:
    return await given if inspect.isawaitable(given) else given
