"""A client's way to a sandbox in the same process: no socket, and each step announced.

httpx announces what it does to a request's ``trace``; so does this. Hence both can be tested: what
is proven unsent (``NotSent``), and what may have been sent (``OutcomeUnknown``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import httpcore
import httpx
from anyio.lowlevel import checkpoint

from insim_async.sandbox.faults import Fault
from insim_async.sandbox.state import Sandbox
from insim_async.sandbox.vendor import CALLS, Reply, reply_to

__all__ = ["SandboxTransport"]

_Trace = Callable[[str, Mapping[str, Any]], Awaitable[object]]


class SandboxTransport(httpx.AsyncBaseTransport):
    """Plays inSIM for an ``httpx.AsyncClient``, with ``sandbox`` as its account and phone.

    ::

        httpx.AsyncClient(transport=SandboxTransport(sandbox))

    Args:
        sandbox: The account and phone.
        patience: Seconds after which the client gives up: an answer that is to come later is lost
            at once. None to wait for it.
        sleep: Waits so many seconds, where an answer is to come late.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        patience: float | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._sandbox = sandbox
        self._patience = patience
        self._sleep = sleep

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        call = CALLS.get(request.url.path)
        if call is None or request.method != "POST":
            return httpx.Response(404 if call is None else 405, request=request)
        body = await request.aread()
        trace = request.extensions.get("trace", _unheard)
        fault = self._sandbox.next_fault(call, in_process=True)
        await _connect(trace, fault, request)
        await _write(trace, request)
        return await self._answer(trace, fault, request, reply_to(self._sandbox, call, body, fault))

    async def _answer(
        self, trace: _Trace, fault: Fault, request: httpx.Request, reply: Reply
    ) -> httpx.Response:
        await trace("http11.receive_response_headers.started", {"request": request})
        await checkpoint()  # an answer that is there at once was there before the request
        error: httpx.TransportError | None = None
        if self._patience is not None and fault.delay >= self._patience:
            error = httpx.ReadTimeout("the answer is late", request=request)
        elif reply.cut:
            error = httpx.RemoteProtocolError("the answer was cut off", request=request)
        if error is not None:
            await trace("http11.receive_response_headers.failed", {"exception": error})
            raise error
        if fault.delay:
            await self._sleep(fault.delay)
        await trace("http11.receive_response_headers.complete", {"return_value": None})
        return httpx.Response(reply.status, headers=reply.headers, content=reply.body)


async def _unheard(_event: str, _info: Mapping[str, Any]) -> None:
    pass


async def _connect(trace: _Trace, fault: Fault, request: httpx.Request) -> None:
    await trace("connection.connect_tcp.started", {"host": request.url.host})
    if fault.unsent:
        error = httpx.ConnectError("connection refused, as ordered", request=request)
        await trace("connection.connect_tcp.failed", {"exception": error})
        raise error
    await trace("connection.connect_tcp.complete", {"return_value": None})


async def _write(trace: _Trace, request: httpx.Request) -> None:
    announced = httpcore.Request(request.method, str(request.url))
    for step in ("headers", "body"):
        await trace(f"http11.send_request_{step}.started", {"request": announced})
        await trace(f"http11.send_request_{step}.complete", {"return_value": None})
