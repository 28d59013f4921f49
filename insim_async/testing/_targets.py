"""Where a test lets webhooks go: an ASGI app, an aiohttp app or a router, without a socket.

All get the query byte for byte as it would stand in the request line.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast
from urllib.parse import unquote

import anyio

from insim_async.errors import ConfigurationError
from insim_async.sandbox.queries import TIMEOUT, target_of
from insim_async.sandbox.records import Webhook
from insim_async.webhooks import GiveUp, RetryLater, WebhookRouter, parse_webhook
from insim_async.webhooks._attempt import wish_of

__all__ = ["Target"]

HOST = "http://testserver"
_OK, _FAILED, _LATER = 200, 500, 503


class Target:
    """An app that gets webhooks.

    Args:
        to: A ``WebhookRouter``, an ``aiohttp.web.Application`` or any ASGI app.
        path: The path of its callback URL; a router has none.

    Attributes:
        url: The callback URL.
        failure: What the app raised at last, if it did.

    Raises:
        ConfigurationError: Nothing of that kind was given.
    """

    def __init__(self, to: object, path: str) -> None:
        if not path.startswith("/"):
            raise ConfigurationError(f"path: it begins with a slash, as in {f'/{path}'!r}")
        self.url = HOST + path
        self.failure: BaseException | None = None
        self._get = _getter(to)

    async def call(self, webhook: Webhook) -> int:
        """Call the app, and return the status of its answer.

        Raises:
            OSError: It did not answer in time.
        """
        self.failure = None
        _, target = target_of(webhook.url, webhook.query)
        with anyio.move_on_after(TIMEOUT):
            try:
                return await self._get(target)
            except Exception as error:  # noqa: BLE001 - a server would answer 500 to whatever it is
                self.failure = error
                return _status_of(error)
        raise OSError(f"no answer within {TIMEOUT:g} s")


def _status_of(error: Exception) -> int:
    if not isinstance(error, ExceptionGroup):
        return _FAILED
    match wish_of(error):
        case RetryLater():
            return _LATER
        case GiveUp():
            return _OK
        case _:
            return _FAILED


def _getter(to: object) -> Callable[[str], Awaitable[int]]:
    if isinstance(to, WebhookRouter):
        return lambda target: _dispatch(to, target)
    web = sys.modules.get("aiohttp.web")  # whoever has such an app has imported it
    if web is not None and isinstance(to, web.Application):
        from insim_async.testing._aiohttp import get

        return lambda target: get(cast(Any, to), target)
    if not callable(to):
        raise ConfigurationError(
            f"to: expected a WebhookRouter, an ASGI app or an aiohttp app, got {type(to).__name__}"
        )
    return lambda target: _call_asgi(to, target)


async def _dispatch(router: WebhookRouter, target: str) -> int:
    await router.dispatch(parse_webhook(target.partition("?")[2]))
    return _OK


async def _call_asgi(app: Callable[..., Any], target: str) -> int:
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 50_000),
        "server": ("testserver", 80),
        "state": {},
    }
    statuses: list[int] = []
    ended = anyio.Event()
    requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        if requests:
            return requests.pop()
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
        elif not message.get("more_body"):
            ended.set()

    await app(scope, receive, send)
    return statuses[0] if statuses else _FAILED
