"""The client's own HTTP client, with one connection per slot.

This is the only room that imports an HTTP library. It is itself imported only when it is needed:
that takes longer than importing all the rest.
"""

from __future__ import annotations

import functools
import math
import ssl
import time
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import AsyncIterable, Callable
from typing import Self, cast

import anyio
import httpcore
import httpx

from insim_async._http.transport import HEADERS, Transport
from insim_async._http.watched import WatchedBackend
from insim_async.errors import ConfigurationError

__all__ = ["own_transport"]

KEEPALIVE = 2.0
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
        self._new_slot = _slots(self._host, authorities, proxy_for(base_url))
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
            await _close(slot)
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

    async def _slot(self) -> _AnySlot:
        await self._close_until(time.monotonic() - KEEPALIVE)
        while self._idle:
            _, slot = self._idle.pop()
            if slot.is_reusable():
                return slot
            await _close(slot)
        return self._new_slot()

    async def _close_until(self, past: float) -> None:
        """Close the connections that nobody has used since then."""
        while self._idle and self._idle[0][0] < past:
            await _close(self._idle.popleft()[1])


def _origin(url: httpx.URL) -> tuple[bytes, bytes, int | None]:
    return url.raw_scheme, url.raw_host, url.port


class _Slot(httpx.AsyncBaseTransport):
    """One connection."""

    def __init__(self, host: httpx.URL, authorities: ssl.SSLContext) -> None:
        self._url = httpcore.URL(
            scheme=host.raw_scheme, host=host.raw_host, port=host.port, target=b"/"
        )
        self._watch = WatchedBackend()
        self._connection = httpcore.AsyncHTTPConnection(
            self._url.origin,
            ssl_context=authorities,
            keepalive_expiry=KEEPALIVE,
            network_backend=self._watch,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = self._url
        try:
            response = await self._connection.handle_async_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(
                        scheme=url.scheme, host=url.host, port=url.port, target=request.url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=cast(AsyncIterable[bytes], request.stream),
                    extensions=request.extensions,
                )
            )
        except _OF_HTTPCORE as error:
            raise _of_httpx(error) from error
        if not self._watch.has_read:
            raise httpx.RemoteProtocolError("the answer was there before the request")
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=cast(httpx.AsyncByteStream, response.stream),
            extensions=response.extensions,
        )

    def is_reusable(self) -> bool:
        """Whether it is still open, as far as can be seen."""
        return self._connection.is_idle() and not self._connection.has_expired()

    async def aclose(self) -> None:
        await self._connection.aclose()


class _ProxiedSlot(httpx.AsyncHTTPTransport):
    """One connection by way of a proxy."""

    def __init__(self, proxy: str, authorities: ssl.SSLContext) -> None:
        limits = httpx.Limits(
            max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE
        )
        super().__init__(verify=authorities, limits=limits, proxy=proxy, trust_env=False)

    def is_reusable(self) -> bool:
        """Whether it can be used again; it connects anew by itself."""
        return True


_AnySlot = _Slot | _ProxiedSlot
_Idle = deque[tuple[float, _AnySlot]]


def _slots(
    host: httpx.URL, authorities: ssl.SSLContext, proxy: str | None
) -> Callable[[], _AnySlot]:
    """Return what makes slots; one is made to see whether the proxy is any good."""
    if proxy is None:
        return functools.partial(_Slot, host, authorities)
    new_slot = functools.partial(_ProxiedSlot, proxy, authorities)
    try:
        new_slot()
    except ImportError:
        raise ConfigurationError(
            "the proxy that the environment names needs a package: socksio"
        ) from None
    except (ValueError, httpx.InvalidURL):  # its words may hold a password
        raise ConfigurationError(
            "the proxy that the environment names is none: "
            "expected http://, https:// or socks5://, "
            "and a password with its special characters percent-encoded"
        ) from None
    return new_slot


class _Answering(httpx.AsyncByteStream):
    """An answer that gives its slot back, if it was read to the end."""

    def __init__(self, stream: object, slot: _AnySlot, idle: _Idle) -> None:
        self._stream = cast(httpx.AsyncByteStream, stream)
        self._slot = slot
        self._idle = idle
        self._whole = False

    def __aiter__(self) -> Self:
        self._chunks = aiter(self._stream)
        return self

    async def __anext__(
        self,
    ) -> bytes:  # no generator, which would be left half-way where reading is cut off
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            self._whole = True
            raise
        except _OF_HTTPCORE as error:
            raise _of_httpx(error) from error

    async def aclose(self) -> None:
        whole = False
        try:
            await self._stream.aclose()
            whole = self._whole
        finally:
            if whole:
                self._idle.append((time.monotonic(), self._slot))
            else:
                await _close(self._slot)


_OF_HTTPCORE = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)


def _of_httpx(error: Exception) -> httpx.TransportError:
    """Return what httpx has for an error of httpcore, by the same name."""
    kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__, httpx.TransportError)
    return kind(str(error))


async def _close(slot: httpx.AsyncBaseTransport) -> None:
    with anyio.CancelScope(shield=True):
        await slot.aclose()


@functools.cache
def _usual_authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def proxy_for(base_url: str) -> str | None:
    """Return the proxy that the environment names for a URL, as ``httpx`` would find it.

    There is none for plain ``http``: that is only for this machine, and a proxy would read the
    access key.
    """
    parts = urllib.parse.urlsplit(base_url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy or parts.scheme == "http" or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
