"""Webhooks in any ASGI framework (FastAPI, Starlette, Litestar, Quart) or none; no extra needed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from insim_async.webhooks._reception import Reception
from insim_async.webhooks.router import WebhookRouter

if TYPE_CHECKING:
    from insim_async.webhooks.inbox import Inbox

__all__ = ["webhook_app"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def webhook_app(
    router: WebhookRouter,
    *,
    inbox: Inbox | None = None,
    secret: str | Sequence[str] | EllipsisType = ...,
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return an ASGI app to mount; the callback URL is its path and the secret behind it.

    ::

        app.mount("/insim", webhook_app(router))  # https://your.host/insim/<secret>

    Args:
        router: Gets the events.
        inbox: Keeps each event until it was handled. Without it, handlers run within the request
            and have four seconds: then they are cancelled, and the answer is 500.
        secret: Of the callback URL, if the router was made without; two while you change it.

    Raises:
        ConfigurationError: There is no secret, or one that can be guessed; or an argument is
            something else.
    """
    reception = Reception(router, inbox, secret)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                response = await reception.respond(
                    scope["method"], scope["path"], scope["query_string"]
                )
                headers, body = (
                    [*response.raw_headers],
                    response.body if scope["method"] != "HEAD" else b"",
                )
                await send(
                    {"type": "http.response.start", "status": response.status, "headers": headers}
                )
                await send({"type": "http.response.body", "body": body})
            case "lifespan":
                for _ in range(2):
                    event = await receive()
                    await send({"type": f"{event['type']}.complete"})
            case _:
                await send({"type": "websocket.close"})

    return app
