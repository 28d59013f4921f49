"""A slot: one connection, made directly or by way of the proxy that the environment names.

Errors of httpcore come out of it as those that httpx has by the same names.
"""

from __future__ import annotations

import functools
import ssl
import urllib.parse
import urllib.request
from collections.abc import AsyncIterable, Callable
from typing import cast

import anyio
import httpcore
import httpx

from insim_async._http.watched import WatchedBackend
from insim_async.errors import ConfigurationError

__all__ = [
    "KEEPALIVE",
    "OF_HTTPCORE",
    "ProxiedSlot",
    "Slot",
    "close",
    "of_httpx",
    "proxy_for",
    "slot_maker",
]

KEEPALIVE = 2.0
"""Seconds for which a connection that nobody uses is kept."""


class DirectSlot(httpx.AsyncBaseTransport):
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
        except OF_HTTPCORE as error:
            raise of_httpx(error) from error
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


class ProxiedSlot(httpx.AsyncHTTPTransport):
    """One connection by way of a proxy."""

    def __init__(self, proxy: str, authorities: ssl.SSLContext) -> None:
        limits = httpx.Limits(
            max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE
        )
        super().__init__(verify=authorities, limits=limits, proxy=proxy, trust_env=False)

    def is_reusable(self) -> bool:
        """Whether it can be used again; it connects anew by itself."""
        return True


Slot = DirectSlot | ProxiedSlot


def slot_maker(
    host: httpx.URL, authorities: ssl.SSLContext, proxy: str | None
) -> Callable[[], Slot]:
    """Return what makes slots; one is made to see whether the proxy is any good."""
    if proxy is None:
        return functools.partial(DirectSlot, host, authorities)
    new_slot = functools.partial(ProxiedSlot, proxy, authorities)
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


OF_HTTPCORE = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)


def of_httpx(error: Exception) -> httpx.TransportError:
    """Return what httpx has for an error of httpcore, by the same name."""
    kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__, httpx.TransportError)
    return kind(str(error))


async def close(slot: httpx.AsyncBaseTransport) -> None:
    """Close a slot, however often cancelled."""
    with anyio.CancelScope(shield=True):
        await slot.aclose()


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
