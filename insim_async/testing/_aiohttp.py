"""An aiohttp app called in memory: its own protocol, fed with the bytes of a request."""

from __future__ import annotations

import asyncio
import re
from typing import Any, cast

from aiohttp import web

__all__ = ["get"]


async def get(app: web.Application, target: str) -> int:
    """Start an app, let it answer one GET, stop it, and return the status."""
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    try:
        protocol, wire = cast(web.Server, runner.server)(), _Wire()
        protocol.connection_made(wire)
        head = f"GET {target} HTTP/1.1\r\nHost: testserver\r\nConnection: close\r\n\r\n"
        protocol.data_received(head.encode())
        await wire.closed.wait()
        protocol.connection_lost(None)
    finally:
        await runner.cleanup()
    answered = re.match(rb"HTTP/1\.[01] ([0-9]{3})", wire.written)
    return int(answered[1]) if answered else 500


class _Wire(asyncio.Transport):
    """A transport that leads nowhere, and keeps what was written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50_000), "sockname": ("testserver", 80)})
        self.written = bytearray()
        self.closed = asyncio.Event()

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def close(self) -> None:
        self.closed.set()

    abort = close
