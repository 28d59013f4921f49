"""How inSIM calls an app over the network: GET, five seconds, the target byte for byte.

It brings httpx, which is slow to import: who serves a sandbox imports this room when it calls.
"""

from __future__ import annotations

import socket
import ssl
from functools import cache

import anyio
import httpx

from insim_async.sandbox.queries import TIMEOUT, target_of
from insim_async.sandbox.records import Webhook

__all__ = ["fetch"]

_HEADERS = {"User-Agent": "inSIM sandbox", "Connection": "close"}


async def fetch(webhook: Webhook) -> int:
    """Call an app over the network; the target goes out byte for byte.

    Raises:
        OSError: There was no answer; it says why.
    """
    url, target = target_of(webhook.url, webhook.query)
    # A connection for each: a pool loses one for ever where it is cut off.
    transport = httpx.AsyncHTTPTransport(verify=_authorities())
    why = f"no answer within {TIMEOUT:g} s"
    with anyio.move_on_after(TIMEOUT):
        try:
            extensions = {"target": target.encode()}
            request = httpx.Request("GET", url, headers=_HEADERS, extensions=extensions)
            async with transport:
                return (await transport.handle_async_request(request)).status_code
        except Exception as error:  # noqa: BLE001 - whatever it is, there was no answer
            why = _why(error)
    raise OSError(why)


def _why(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "no such host"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "certificate not trusted"
        cause = cause.__cause__ or cause.__context__
    return f"no answer: {type(error).__name__}"


@cache
def _authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()
