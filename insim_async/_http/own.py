"""The client's own connections. The only room that imports an HTTP library, and that only when it is needed."""

from __future__ import annotations

import functools
import math
import ssl
import time
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import AsyncIterable
from typing import cast

import anyio
import httpx

from insim_async._http.transport import CONNECT_TIMEOUT, HEADERS, Answer, Trail, read
from insim_async.errors import ConfigurationError

__all__ = ["OwnConnections"]

KEEPALIVE = 2.0
_HEADERS = httpx.Headers({**HEADERS, "User-Agent": "insim_async"})
_TIMEOUT = {"connect": CONNECT_TIMEOUT, "read": None, "write": None, "pool": None}


class OwnConnections:
    """A connection for each request under way, to one host, thrown away unless its answer was read to the end.

    httpx's own pool loses a slot for ever when a request is cancelled natively, and costs O(n²) above some fifty
    connections. How many there are is the gate's business.

    Args:
        base_url: What it is for.
        ssl_context: None for the usual authorities.

    Raises:
        ConfigurationError: Nothing can be reached there, or not through the proxy that the environment names.
    """

    def __init__(self, base_url: str, ssl_context: ssl.SSLContext | None) -> None:
        self.is_closed = False
        self._urls: dict[str, httpx.URL] = {}
        try:
            httpx.URL(base_url)
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"base_url: {error}") from None
        try:
            authorities = ssl_context or _usual_authorities()
        except OSError as error:
            raise ConfigurationError(f"SSL_CERT_FILE or SSL_CERT_DIR cannot be used: {error.strerror}") from None
        self._connect = functools.partial(
            httpx.AsyncHTTPTransport,
            verify=authorities,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE),
            proxy=proxy_for(base_url),
            trust_env=False,
        )
        try:
            self._connect()
        except ImportError:
            raise ConfigurationError("the proxy that the environment names needs a package: socksio") from None
        except (ValueError, httpx.InvalidURL):  # its words may hold a password
            raise ConfigurationError(
                "the proxy that the environment names is none: expected http://, https:// or socks5://, "
                "and a password with its special characters percent-encoded"
            ) from None
        self._idle: deque[tuple[float, httpx.AsyncHTTPTransport]] = deque()

    def request(self, url: str, body: bytes, trail: Trail) -> httpx.Request:
        """Make a request."""
        if (parsed := self._urls.get(url)) is None:
            parsed = self._urls[url] = httpx.URL(url)
        return httpx.Request(
            "POST", parsed, headers=_HEADERS, content=body, extensions={"trace": trail, "timeout": _TIMEOUT}
        )

    async def exchange(self, request: httpx.Request, trail: Trail) -> Answer:  # noqa: ARG002 - the request has it
        """Send it over a connection that nobody else uses meanwhile."""
        await self._close_until(time.monotonic() - KEEPALIVE)
        transport = self._idle.pop()[1] if self._idle else self._connect()
        whole = False
        try:
            response = await transport.handle_async_request(request)
            body = await read(cast(AsyncIterable[bytes], response.stream))
            await response.aclose()
            whole = True
        finally:
            if whole:
                self._idle.append((time.monotonic(), transport))
            else:
                with anyio.CancelScope(shield=True):
                    await transport.aclose()
        return Answer(response.status_code, response.headers, body)

    async def aclose(self) -> None:
        """Close all connections."""
        self.is_closed = True
        await self._close_until(math.inf)

    async def _close_until(self, past: float) -> None:
        """Close the connections that nobody has used since then."""
        while self._idle and self._idle[0][0] < past:
            with anyio.CancelScope(shield=True):
                await self._idle.popleft()[1].aclose()


@functools.cache
def _usual_authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def proxy_for(base_url: str) -> str | None:
    """Return the proxy that the environment names for a URL, as ``httpx`` would find it; none for plain ``http``.

    That is only for this machine, and a proxy would read the access key.
    """
    parts = urllib.parse.urlsplit(base_url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy or parts.scheme == "http" or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
