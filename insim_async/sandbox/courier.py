"""Delivers the webhooks of a sandbox: waits until one is due, has an app called, notes the result.

How an app is called is told by whoever runs the courier.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

import anyio

from insim_async.sandbox.records import Try, Webhook
from insim_async.sandbox.state import Sandbox

__all__ = ["Call", "run_courier", "try_once"]

_AT_A_TIME = 8

Call = Callable[[Webhook], Awaitable[int]]
"""Calls an app, and returns the status of its answer or raises ``OSError`` with a word for people.
"""


async def run_courier(
    sandbox: Sandbox,
    call: Call,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> None:
    """Deliver what is due, wait for the next, and go on until cancelled.

    Args:
        sandbox: Whose webhooks.
        call: How an app is called.
        now: Monotonic seconds.
        sleep: Waits so many seconds.
    """
    places = anyio.Semaphore(_AT_A_TIME)
    async with anyio.create_task_group() as group:

        async def deliver(webhook: Webhook) -> None:
            try:
                await try_once(sandbox, webhook, call, now)
            finally:
                places.release()

        while True:
            with _woken_by(sandbox) as changed:
                await places.acquire()
                sandbox.tick()
                if (webhook := sandbox.postbox.next_ready()) is not None:
                    group.start_soon(deliver, webhook)
                    continue
                places.release()
                if (due := sandbox.next_due()) is None:
                    await changed.wait()
                else:
                    wait = (due - sandbox.journal.moment()).total_seconds()
                    await _first_of(changed, partial(sleep, max(0.0, wait)))


async def try_once(sandbox: Sandbox, webhook: Webhook, call: Call, now: Callable[[], float]) -> Try:
    """Call an app with a webhook, and note what became of it."""
    at, began = sandbox.journal.moment(), now()
    status, problem = None, ""
    try:
        status = await call(webhook)
    except OSError as error:
        problem = str(error)
    result = Try(at=at, status=status, problem=problem, seconds=round(now() - began, 3))
    sandbox.postbox.tried(webhook.key, result)
    return result


async def _first_of(changed: anyio.Event, wait: Callable[[], Awaitable[None]]) -> None:
    async with anyio.create_task_group() as group:

        async def until(event: Callable[[], Awaitable[None]]) -> None:
            await event()
            group.cancel_scope.cancel()

        group.start_soon(until, changed.wait)
        group.start_soon(until, wait)


@contextmanager
def _woken_by(sandbox: Sandbox) -> Iterator[anyio.Event]:
    changed = anyio.Event()
    listeners = sandbox.journal.feed.listeners
    listeners.add(changed.set)
    try:
        yield changed
    finally:
        listeners.discard(changed.set)
