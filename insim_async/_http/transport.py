"""What takes a request to the server, how far it has come, and the answer: what all ways of carrying it share."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from typing import Any, Protocol

import anyio

from insim_async._privacy import Unshown

__all__ = ["CONNECT_TIMEOUT", "HEADERS", "Answer", "Trail", "Transport", "read"]

ANSWER_CAP = 8 * 1024 * 1024
CONNECT_TIMEOUT = 10.0
"""Seconds; all else is bounded as a whole."""
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": "application/json"}


class Transport(Protocol):
    """What takes requests to the server: the client's own connections, or an HTTP client that was injected."""

    @property
    def is_closed(self) -> bool:
        """Whether it can still be used."""
        ...

    def request(self, url: str, body: bytes, trail: Trail) -> Any:
        """Make a request that tells the trail how far it has come."""
        ...

    async def exchange(self, request: Any, trail: Trail) -> Answer:
        """Send it once, and read the answer; cancelled, it leaves nothing behind."""
        ...

    async def aclose(self) -> None:
        """Close what is ours."""
        ...


class Trail:
    """How far a request has come; httpcore calls it at each step (the ``trace`` extension)."""

    __slots__ = ("_socket", "announced", "doubtful", "guard", "scope", "started", "trying")

    def __init__(self, scope: anyio.CancelScope) -> None:
        self.scope: anyio.CancelScope = scope
        self.guard: anyio.CancelScope | None = None
        self.trying: bool = False
        self.announced: bool = False
        self.started: bool = False
        self.doubtful: bool = False  # an attempt before this one may have arrived
        self._socket: Any = None

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self.announced = True
        if self.guard is not None:  # a connection that is cancelled between being made and being used is lost
            self.guard.shield = event.endswith(("connect_tcp.complete", "start_tls.complete"))
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self.started = True
        elif event.endswith("connect_tcp.complete"):
            self._socket = info["return_value"]
        elif event.endswith("start_tls.failed") and self._socket is not None:
            with anyio.CancelScope(shield=True):
                await self._socket.aclose()  # httpcore forgets it where the handshake was cancelled


class Answer(Unshown, frozen=True):
    """An answer that was read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


async def read(chunks: AsyncIterable[bytes]) -> bytes:
    """Read an answer to its end, or to as much as any answer may have."""
    body, size = [], 0
    async for chunk in chunks:
        body.append(chunk)
        size += len(chunk)
        if size > ANSWER_CAP:
            raise OverflowError(f"the answer has more than {ANSWER_CAP >> 20} MiB")
    return b"".join(body)
