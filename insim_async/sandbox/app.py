"""The sandbox over ASGI: three calls, each under both spellings of its path, and a phone page."""

from __future__ import annotations

from functools import partial

import anyio
from msgspec import MsgspecError
from msgspec.json import Decoder, Encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from insim_async.sandbox.state import ApiCall, Fault, Sandbox
from insim_async.sandbox.vendor import answer

__all__ = ["sandbox_app"]

_PATHS: dict[str, ApiCall] = {
    "sendsms": "sendsms",
    "sendsms.php": "sendsms",
    "contact": "contact",
    "contact.php": "contact",
    "clicTocall": "clicTocall",
    "clicTocall.php": "clicTocall",
    "clic.php": "clicTocall",
}
_encode = Encoder().encode
_decode_fault = Decoder(Fault).decode


def sandbox_app(sandbox: Sandbox) -> Starlette:
    """Return an ASGI app that plays inSIM with ``sandbox`` as its account and phone.

    Besides the calls under ``/api/v1``: ``GET /`` shows the phone as text, ``GET /_sandbox/state``
    as JSON, and ``POST /_sandbox/faults`` takes a :class:`Fault` as JSON.
    """
    calls = ((f"/api/v1/{path}", partial(_play, sandbox, call)) for path, call in _PATHS.items())
    routes = [
        *(Route(path, endpoint, methods=["POST"]) for path, endpoint in calls),
        Route("/", partial(_phone, sandbox)),
        Route("/_sandbox/state", partial(_state, sandbox)),
        Route("/_sandbox/faults", partial(_order, sandbox), methods=["POST"]),
    ]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return app


class _HalfResponse(Response):
    """Announces its whole length and ends after half: a server then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        half = bytes(self.body)[: len(self.body) // 2]
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        await send({"type": "http.response.body", "body": half})


async def _play(sandbox: Sandbox, call: ApiCall, request: Request) -> Response:
    body = await request.body()
    sandbox.requests += 1
    fault = sandbox.next_fault(call)
    response = _respond(fault, *answer(sandbox, call, body, fault))
    del body  # it holds the access key, and a traceback may show the locals of a cancelled wait
    if fault.delay:
        await anyio.sleep(fault.delay)
    return response


def _respond(fault: Fault, status: int, value: object) -> Response:
    kind = _HalfResponse if fault.lose_answer else Response
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.status is None and fault.body is None:
        return kind(_encode(value), status, headers, "application/json")
    return kind(fault.body or "", fault.status or 200, headers, "text/html")


async def _phone(sandbox: Sandbox, _request: Request) -> Response:
    counts = "  ".join(f"{name} {count}" for name, count in sandbox.counts().items())
    newest = sandbox.messages[:-11:-1]
    last = (f"{sms.sent_at:%H:%M:%S}  {sms.phone_number}  {sms.message!r}" for sms in newest)
    return PlainTextResponse("\n".join(["inSIM sandbox", counts, "", *last, ""]))


async def _state(sandbox: Sandbox, _request: Request) -> Response:
    state = {
        "counts": sandbox.counts(),
        "messages": sandbox.messages,
        "processed": sandbox.processed,
    }
    return Response(_encode(state), media_type="application/json")


async def _order(sandbox: Sandbox, request: Request) -> Response:
    try:
        fault = _decode_fault(await request.body())
    except (MsgspecError, ValueError, RecursionError) as error:
        return PlainTextResponse(f"{error}\n", 400)
    sandbox.order(fault)
    return Response(_encode(fault), 201, media_type="application/json")
