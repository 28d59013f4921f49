"""The sandbox over ASGI: the API's calls, and what a page or a script needs to look and act."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from typing import Self, cast

import anyio
from msgspec import MsgspecError
from msgspec.json import Decoder, Encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from insim_async.sandbox.acts import act
from insim_async.sandbox.admission import refusal, refusal_of_call
from insim_async.sandbox.courier import run_courier
from insim_async.sandbox.faults import ApiCall, Fault, WebhookFault
from insim_async.sandbox.journal import Impossible
from insim_async.sandbox.page import FILES, HEADERS, page_of, text_of
from insim_async.sandbox.records import Webhook
from insim_async.sandbox.state import Sandbox
from insim_async.sandbox.vendor import CALLS, reply_to
from insim_async.sandbox.view import view

__all__ = ["Changes", "sandbox_app"]

_STILL_THERE = 15.0
"""Seconds of silence after which a stream of changes says that it is still there."""
_encode = Encoder().encode
_decode_fault = Decoder(Fault).decode
_decode_webhook_fault = Decoder(WebhookFault).decode
_decode_settings = Decoder(dict[str, object]).decode

Endpoint = Callable[[Sandbox, Request], Awaitable[Response]]


def sandbox_app(sandbox: Sandbox, *, hosts: Collection[str] = ()) -> Starlette:
    """Return an ASGI app that plays inSIM with ``sandbox`` as its account and phone.

    Webhooks leave while its lifespan lasts. Besides the calls under ``/api/v1``:

    - ``GET /`` is the phone in the browser, or shows it as text to what takes no HTML;
      ``GET /_sandbox/state`` shows it as JSON. With ``?since=`` and the
      ``number`` of an earlier answer only what changed; ``GET /_sandbox/changes`` streams that as
      server-sent events.
    - ``POST /_sandbox/acts/NAME`` does what the method of ``Sandbox`` does, with its arguments as
      JSON; 409 where it is not possible.
    - ``POST /_sandbox/faults`` takes a ``Fault`` and ``/_sandbox/webhook-faults`` a
      ``WebhookFault``; ``POST /_sandbox/settings`` takes what ``change()`` does.
    - ``GET /l/CODE`` is where a short link leads: it notes the click, and redirects.

    What changes something takes only requests of its own page, or with login and access key as HTTP
    Basic.

    Args:
        sandbox: The account and phone.
        hosts: Names with a dot under which it is reached; others with a dot are foreign.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(run_courier, sandbox, _call)
            yield
            group.cancel_scope.cancel()

    def guarded(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            reason = refusal(sandbox, request.method, request.headers, hosts)
            return _refused(reason) if reason else await endpoint(sandbox, request)

        return respond

    posts: dict[str, Endpoint] = {
        "acts/{name}": _act,
        "faults": partial(_order, _decode_fault),
        "webhook-faults": partial(_order, _decode_webhook_fault),
        "settings": _change,
    }
    gets = {
        "/": _phone,
        "/_sandbox/static/{name}": _file,
        "/_sandbox/state": _state,
        "/_sandbox/changes": _stream,
        "/l/{code}": _follow,
    }
    app = Starlette(
        routes=[
            *(
                Route(path, partial(_play, sandbox, call, hosts), methods=["POST"])
                for path, call in CALLS.items()
            ),
            *(Route(path, guarded(endpoint)) for path, endpoint in gets.items()),
            *(
                Route(f"/_sandbox/{path}", guarded(endpoint), methods=["POST"])
                for path, endpoint in posts.items()
            ),
        ],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


async def _call(webhook: Webhook) -> int:
    # It is slow to import, and whoever sends SMS meanwhile need not wait for it.
    network = await anyio.to_thread.run_sync(import_module, "insim_async.sandbox.network")
    return cast(int, await network.fetch(webhook))


class _HalfResponse(Response):
    """Announces its whole length and ends after half: a server then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        half = bytes(self.body)[: len(self.body) // 2]
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        await send({"type": "http.response.body", "body": half})


async def _play(
    sandbox: Sandbox, call: ApiCall, hosts: Collection[str], request: Request
) -> Response:
    if reason := refusal_of_call(request.headers, hosts):
        return _refused(reason)
    body = await request.body()
    fault = sandbox.next_fault(call)
    reply = reply_to(sandbox, call, body, fault)
    del body  # it holds the access key, and a traceback may show the locals of a cancelled wait
    if fault.delay:
        await anyio.sleep(fault.delay)
    kind = _HalfResponse if reply.cut else Response
    return kind(reply.body, reply.status, reply.headers)


def _refused(reason: str) -> Response:
    return PlainTextResponse(f"refused: {reason}\n", 403)


def _json(value: object, status: int = 200) -> Response:
    return Response(_encode(value), status, media_type="application/json")


async def _phone(sandbox: Sandbox, request: Request) -> Response:
    if "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse(text_of(sandbox))
    base_url = f"{request.url.scheme}://{request.headers['host']}"
    return HTMLResponse(page_of(sandbox, base_url), headers=HEADERS)


async def _file(_sandbox: Sandbox, request: Request) -> Response:
    name = request.path_params["name"]
    if name not in FILES:
        return PlainTextResponse("no such file\n", 404)
    content, kind = FILES[name]
    return Response(content, media_type=kind, headers=HEADERS)


async def _state(sandbox: Sandbox, request: Request) -> Response:
    return _json(view(sandbox, _number(request.query_params.get("since"))))


async def _stream(sandbox: Sandbox, request: Request) -> Response:
    # A browser that comes back names the last event that it saw.
    since = request.headers.get("last-event-id") or request.query_params.get("since")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    body = Changes(sandbox, _number(since))
    return StreamingResponse(body, headers=headers, media_type="text/event-stream")


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 20 else None


class Changes:
    """The state as a server-sent event, and again what changed whenever something did; no end.

    Args:
        sandbox: Whose.
        since: The ``number`` of the state that is known; None for all.
        still_there: Seconds of silence after which a comment is sent.
    """

    def __init__(
        self, sandbox: Sandbox, since: int | None, still_there: float = _STILL_THERE
    ) -> None:
        self._sandbox = sandbox
        self._since = since
        self._still_there = still_there

    def __aiter__(self) -> Self:
        return self

    # No generator, which would be left half-way where whoever looks has gone.
    async def __anext__(self) -> bytes:
        feed = self._sandbox.journal.feed
        if self._since == feed.number:
            await self._wait()
        return b": still here\n\n" if self._since == feed.number else self._news()

    def _news(self) -> bytes:
        shown = view(self._sandbox, self._since)
        self._since = self._sandbox.journal.feed.number
        return b"id: %d\ndata: %b\n\n" % (self._since, _encode(shown))

    async def _wait(self) -> None:
        changed, listeners = anyio.Event(), self._sandbox.journal.feed.listeners
        listeners.add(changed.set)
        try:
            with anyio.move_on_after(self._still_there):
                await changed.wait()
        finally:
            listeners.discard(changed.set)


async def _act(sandbox: Sandbox, request: Request) -> Response:
    try:
        return _json(act(sandbox, request.path_params["name"], await request.body()))
    except KeyError:
        return PlainTextResponse("no such act\n", 404)
    except Impossible as error:
        return PlainTextResponse(f"{error}\n", 409)
    except (MsgspecError, ValueError) as error:
        return PlainTextResponse(f"{error}\n", 400)


async def _change(sandbox: Sandbox, request: Request) -> Response:
    try:
        return _json(sandbox.change(**_decode_settings(await request.body())))
    except (MsgspecError, ValueError, RecursionError) as error:
        return PlainTextResponse(f"{error}\n", 400)


async def _order(
    decode: Callable[[bytes], Fault | WebhookFault], sandbox: Sandbox, request: Request
) -> Response:
    try:
        fault = decode(await request.body())
        if isinstance(fault, Fault) and fault.unsent:
            raise ValueError("unsent: a request that comes over a socket has been sent")
    except (MsgspecError, ValueError, RecursionError) as error:
        return PlainTextResponse(f"{error}\n", 400)
    number = sandbox.order(fault)
    response = _json(fault, 201)
    response.headers["Location"] = f"/_sandbox/faults/{number}"
    return response


async def _follow(sandbox: Sandbox, request: Request) -> Response:
    try:
        url = sandbox.follow(request.path_params["code"])
    except Impossible as error:
        return PlainTextResponse(f"{error}\n", 404)
    if not url.startswith(("http://", "https://")):
        return PlainTextResponse("clicked\n")
    return RedirectResponse(url, 302)
