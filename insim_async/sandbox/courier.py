"""Delivers the webhooks of a sandbox over the network, as inSIM does: GET, and five seconds.

This room alone waits for the time at which something is due.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import NoReturn

import anyio
import httpx

from insim_async.sandbox.queries import target_of
from insim_async.sandbox.records import Try, Webhook
from insim_async.sandbox.state import Sandbox

__all__ = ["TIMEOUT", "fetch", "run_courier"]

TIMEOUT = 5.0
"""Seconds that an app has for its answer."""
_AT_A_TIME = 8
_HEADERS = {"User-Agent": "inSIM sandbox", "Connection": "close"}

Fetch = Callable[[Webhook], Awaitable[int]]
"""Calls an app, and returns the status of its answer or raises ``OSError`` with a word for people.
"""


async def run_courier(
    sandbox: Sandbox,
    *,
    call: Fetch | None = None,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> NoReturn:
    """Deliver what is due, wait for the next, and go on until cancelled.

    Args:
        sandbox: Whose webhooks.
        call: How an app is called; over the network by default.
        now: Monotonic seconds.
        sleep: Waits so many seconds.
    """
    places = anyio.Semaphore(_AT_A_TIME)
    async with anyio.create_task_group() as group:

        async def deliver(webhook: Webhook) -> None:
            try:
                await try_once(sandbox, webhook, call or fetch, now)
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


async def try_once(
    sandbox: Sandbox, webhook: Webhook, call: Fetch, now: Callable[[], float]
) -> Try:
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


async def fetch(webhook: Webhook) -> int:
    """Call an app over the network; the target goes out byte for byte.

    Raises:
        OSError: There was no answer; it says why.
    """
    url, target = target_of(webhook.url, webhook.query)
    request = httpx.Request("GET", url, headers=_HEADERS, extensions={"target": target.encode()})
    # A connection for each: a pool loses one for ever where it is cut off.
    transport = httpx.AsyncHTTPTransport(verify=_authorities())
    why = f"no answer within {TIMEOUT:g} s"
    with anyio.move_on_after(TIMEOUT):
        try:
            async with transport:
                return (await transport.handle_async_request(request)).status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            why = _why(error)
    raise OSError(why)


def _why(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "no such host"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "certificate not trusted"
        cause = cause.__cause__ or cause.__context__
    return f"no answer: {type(error).__name__}"


@cache
def _authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()


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
