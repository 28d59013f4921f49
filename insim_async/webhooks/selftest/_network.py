"""Call a URL: all I/O of the self-test, by the standard library: HTTPX is for inSIM alone."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import urllib.request
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.error import URLError

from insim_async.webhooks.selftest._callback import (
    CLOSED,
    LATE,
    VENDOR_TIMEOUT,
    Exchange,
    NoReply,
    Reply,
)

__all__ = ["over_network"]


def over_network(timeout: float = VENDOR_TIMEOUT) -> Exchange:
    """Return an exchange that checks certificates and uses the proxies that the environment names.

    Args:
        timeout: Seconds for an answer, all in all.
    """
    opener = urllib.request.build_opener(
        _AsItCame, urllib.request.HTTPSHandler(context=ssl.create_default_context())
    )
    # Some hosts turn Python's own name away.
    opener.addheaders = [("User-Agent", "insim_async webhooks check")]

    def exchange(url: str) -> Reply | NoReply:
        replies: SimpleQueue[Reply | NoReply] = SimpleQueue()
        # A socket's timeout is for each of its steps, and looking up a name has none.
        Thread(
            target=lambda: replies.put(_exchanged(opener, url, 2 * timeout)), daemon=True
        ).start()
        try:
            return replies.get(timeout=timeout)
        except Empty:
            return LATE

    return exchange


class _AsItCame(urllib.request.HTTPErrorProcessor):
    """Returns each response as it came; urllib would follow redirects, and raise for an error."""

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:  # noqa: ARG002 - urllib's signature
        return response

    https_response = http_response


def _exchanged(opener: urllib.request.OpenerDirector, url: str, timeout: float) -> Reply | NoReply:
    started = time.monotonic()
    try:
        with opener.open(url, timeout=timeout) as response:
            body = response.read(1 << 16)
            return Reply(
                response.status,
                body,
                response.headers.get("Location", ""),
                time.monotonic() - started,
            )
    except (OSError, http.client.HTTPException, ValueError) as error:
        return reason_of(error.reason if isinstance(error, URLError) else error)


def reason_of(error: object) -> NoReply:
    """Return why nothing came back, as the exception tells."""
    match error:
        case TimeoutError():
            return LATE
        case ssl.SSLCertVerificationError():
            return NoReply(f"the certificate is not trusted ({error.verify_message})")
        case (
            ConnectionResetError()
            | BrokenPipeError()
            | ssl.SSLEOFError()
            | http.client.IncompleteRead()
        ):
            return CLOSED
        case ssl.SSLError():
            return NoReply(f"TLS fails ({error.reason})")
        case socket.gaierror():
            return NoReply("no address is known for that host")
        case http.client.HTTPException():
            return NoReply("what answers there does not speak HTTP")
        case OSError(strerror=str(reason)):
            return NoReply(f"no connection ({reason})")
        case OSError():
            return NoReply("the proxy on the way out does not connect")
        case _:
            return NoReply("it cannot be called")
