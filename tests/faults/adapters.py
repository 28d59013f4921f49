"""The webhook adapters on real sockets, and a client that sends each byte as it is told."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    closing,
    contextmanager,
    suppress,
)
from functools import partial
from http.client import parse_headers
from typing import Any, NamedTuple

import anyio
import uvicorn
from aiohttp import web
from anyio.from_thread import BlockingPortal, start_blocking_portal

from insim_async.webhooks import WebhookRouter
from insim_async.webhooks.aiohttp import webhook_handler
from insim_async.webhooks.asgi import webhook_app
from insim_async.webhooks.inbox import Inbox

SECRET = "Yx1dJ0mFv3qTg7bKz9cRn5wPh2sLu8aE"
PATH = f"/insim/{SECRET}".encode()
PATIENCE = 20.0

Serving = Callable[[WebhookRouter, Inbox | None, socket.socket], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def in_uvicorn(
    router: WebhookRouter, inbox: Inbox | None, listener: socket.socket, **settings: Any
) -> AsyncIterator[None]:
    """Serve the ASGI app."""
    app = webhook_app(router, inbox=inbox)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", **settings))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        try:
            yield
        finally:
            server.should_exit = True


@asynccontextmanager
async def in_aiohttp(
    router: WebhookRouter, inbox: Inbox | None, listener: socket.socket, **settings: Any
) -> AsyncIterator[None]:
    """Serve the aiohttp handler."""
    app = web.Application()
    app.router.add_get("/insim/{secret}", webhook_handler(router, inbox=inbox))
    runner = web.AppRunner(app, access_log=None, **settings)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        yield
    finally:
        await runner.cleanup()


LONG = 1 << 18
H11, HTTPTOOLS, AIOHTTP = "uvicorn-h11", "uvicorn-httptools", "aiohttp"
BY_DEFAULT: dict[str, Serving] = {
    H11: partial(in_uvicorn, http="h11"),
    HTTPTOOLS: partial(in_uvicorn, http="httptools"),
    AIOHTTP: in_aiohttp,
}
RAISED: dict[str, Serving] = {
    f"{H11}, raised": partial(in_uvicorn, http="h11", h11_max_incomplete_event_size=LONG),
    f"{AIOHTTP}, raised": partial(in_aiohttp, max_line_size=LONG),
}
ADAPTERS = BY_DEFAULT | RAISED
"""With the limits that they have by themselves, and as the how-to on deploying sets them."""


class Reply(NamedTuple):
    """What was answered; status 0: the connection was closed without an answer."""

    status: int
    body: bytes = b""


CLOSED = Reply(0)


class Line:
    """A connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.reader = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        """Send it; whoever is at the other end may have hung up by then."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def reply(self, method: str = "GET") -> Reply:
        """Read an answer; of one that says it is the last no more than its status need come."""
        status, body = 0, b""
        with suppress(ConnectionResetError, IndexError):
            status = int(self.reader.readline().split()[1])
            headers = parse_headers(self.reader)
            if method != "HEAD" and "Content-Length" in headers:
                body = self.reader.read(int(headers["Content-Length"]))
        return Reply(status, body)

    def ask(self, target: bytes, method: str = "GET") -> Reply:
        """Send a request and read the answer."""
        self.send(b"%s %s HTTP/1.1\r\nHost: app.test\r\n\r\n" % (method.encode(), target))
        return self.reply(method)

    def close(self) -> None:
        """Hang up."""
        self.reader.close()
        self.socket.close()


class Served(NamedTuple):
    """An adapter in its server, which runs in a thread of its own."""

    port: int
    portal: BlockingPortal

    @contextmanager
    def line(self) -> Iterator[Line]:
        """Connect."""
        with closing(Line(self.port)) as line:
            yield line

    def ask(self, target: bytes, method: str = "GET") -> Reply:
        """Send one request over a connection of its own."""
        with self.line() as line:
            return line.ask(target, method)

    def get(self, query: bytes) -> Reply:
        """Call the webhook."""
        return self.ask(PATH + b"?" + query)


@contextmanager
def served(adapter: str, router: WebhookRouter, inbox: Inbox | None = None) -> Iterator[Served]:
    """Serve webhooks while this lasts."""
    made = socket.create_server(("127.0.0.1", 0), backlog=64)
    port: int = made.getsockname()[1]
    # Made anew, the socket knows that it speaks TCP; else asyncio sets no TCP_NODELAY.
    with (
        socket.socket(fileno=made.detach()) as listener,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(ADAPTERS[adapter](router, inbox, listener)),
    ):
        yield Served(port, portal)
