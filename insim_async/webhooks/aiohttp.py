"""Webhooks in an aiohttp app. It needs the extra ``aiohttp``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from types import EllipsisType
from typing import TYPE_CHECKING

if find_spec("aiohttp") is None:
    raise ModuleNotFoundError('aiohttp is missing: pip install "insim_async[aiohttp]"')

from aiohttp import web

from insim_async.webhooks._reception import Reception
from insim_async.webhooks.router import WebhookRouter

if TYPE_CHECKING:
    from insim_async.webhooks.inbox import Inbox

__all__ = ["webhook_handler"]


def webhook_handler(
    router: WebhookRouter,
    *,
    inbox: Inbox | None = None,
    secret: str | Sequence[str] | EllipsisType = ...,
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return a handler for a route whose last part is the secret.

    ::

        # https://your.host/insim/<secret>
        app.router.add_get("/insim/{secret}", webhook_handler(router))

    aiohttp refuses requests with more than 8,190 bytes in their first line by itself: see the
    how-to on deploying.

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

    async def handle(request: web.Request) -> web.Response:
        query = request.raw_path.partition("?")[2]  # as it came: request.query is decoded
        response = await reception.respond(
            request.method, request.path, query.encode("utf-8", "surrogateescape")
        )
        return web.Response(
            status=response.status, body=response.body, headers=dict(response.headers)
        )

    return handle
