"""The client's own HTTP client, with one connection per slot.

This room and ``slots`` alone import an HTTP library. They are imported only when they are needed:
that takes longer than importing all the rest.
"""

from __future__ import annotations

import functools
import math
import ssl
import time
from collections import deque
from typing import Self, cast

import httpx

from insim_async._http.slots import (
    KEEPALIVE,
    OF_HTTPCORE,
    Slot,
    close,
    of_httpx,
    proxy_for,
    slot_maker,
)
from insim_async._http.transport import HEADERS, Transport
from insim_async.errors import ConfigurationError

__all__ = ["own_transport"]

_IDENTITY = (b"Accept-Encoding", b"identity")


def own_transport(base_url: str, ssl_context: ssl.SSLContext | None) -> Transport:
    """Make an HTTP client of our own, and what takes requests to it.

    Args:
        base_url: What it is for.
        ssl_context: None for the usual authorities.

    Raises:
        ConfigurationError: Nothing can be reached there, or not through the proxy that the
            environment names.
    """
    return Transport(
        _Client(SlotTransport(base_url, ssl_context)), base_url, own=True, auth=httpx.Auth()
    )


class _NoCookies(httpx.Cookies):
    """Takes none: what a gateway sets for one call is nothing to the next."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass


_NO_COOKIES = _NoCookies()


class _Client(httpx.AsyncClient):
    """Looks nothing up in the environment (the transport does), and keeps no cookies."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__(
            transport=transport, headers=HEADERS | {"User-Agent": "insim_async"}, trust_env=False
        )

    @property
    def cookies(self) -> httpx.Cookies:
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, cookies: object) -> None:
        del cookies
        raise AttributeError(
            "this client keeps no cookies: give AsyncInSim an http_client that does"
        )


class SlotTransport(httpx.AsyncBaseTransport):
    """A transport with a connection for each request under way, all to one host.

    A connection is thrown away unless its answer was read to the end.

    httpx's own pool loses a slot for ever when a request is cancelled natively, and costs O(n²)
    above some fifty connections. How many there are at a time is the gate's business.

    Args:
        base_url: What it is for.
        ssl_context: None for the usual authorities.

    Raises:
        ConfigurationError: As for ``own_transport``.
    """

    def __init__(self, base_url: str, ssl_context: ssl.SSLContext | None) -> None:
        try:
            self._host = httpx.URL(base_url)
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"base_url: {error}") from None
        try:
            authorities = ssl_context or _usual_authorities()
        except OSError as error:
            raise ConfigurationError(
                f"SSL_CERT_FILE or SSL_CERT_DIR cannot be used: {error.strerror}"
            ) from None
        self._origin = _origin(self._host)
        self._new_slot = slot_maker(self._host, authorities, proxy_for(base_url))
        self._idle: _Idle = deque()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it over a connection that nobody else uses meanwhile."""
        if _origin(request.url) != self._origin:
            raise httpx.UnsupportedProtocol(
                f"this client is for {self._host} alone", request=request
            )
        if _IDENTITY not in request.headers.raw:  # what is compressed cannot be bounded
            request.headers["Accept-Encoding"] = "identity"
        slot = await self._slot()
        try:
            response = await slot.handle_async_request(request)
        except BaseException:
            await close(slot)
            raise
        response.stream = _Answering(response.stream, slot, self._idle)
        return response

    async def aclose(self) -> None:
        """Close all connections that are idle, however often cancelled.

        The others are closed by those who use them.
        """
        try:
            await self._close_until(math.inf)
        finally:
            if self._idle:
                await self.aclose()

    async def _slot(self) -> Slot:
        await self._close_until(time.monotonic() - KEEPALIVE)
        while self._idle:
            _, slot = self._idle.pop()
            if slot.is_reusable():
                return slot
            await close(slot)
        return self._new_slot()

    async def _close_until(self, past: float) -> None:
        """Close the connections that nobody has used since then."""
        while self._idle and self._idle[0][0] < past:
            await close(self._idle.popleft()[1])


def _origin(url: httpx.URL) -> tuple[bytes, bytes, int | None]:
    return url.raw_scheme, url.raw_host, url.port


_Idle = deque[tuple[float, Slot]]


class _Answering(httpx.AsyncByteStream):
    """An answer that gives its slot back, if it was read to the end."""

    def __init__(self, stream: object, slot: Slot, idle: _Idle) -> None:
        self._stream = cast(httpx.AsyncByteStream, stream)
        self._slot = slot
        self._idle = idle
        self._whole = False

    def __aiter__(self) -> Self:
        self._chunks = aiter(self._stream)
        return self

    # No generator, which would be left half-way where reading is cut off.
    async def __anext__(
        self,
    ) -> bytes:
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            self._whole = True
            raise
        except OF_HTTPCORE as error:
            raise of_httpx(error) from error

    async def aclose(self) -> None:
        whole = False
        try:
            await self._stream.aclose()
            whole = self._whole
        finally:
            if whole:
                self._idle.append((time.monotonic(), self._slot))
            else:
                await close(self._slot)


@functools.cache
def _usual_authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()
