"""A request on its way: the HTTP client that takes it, how far it has come, and the answer.

There is one HTTP client behind an ``AsyncInSim``, its own (``own``) or one that was injected, and
one way through it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, Awaitable, Mapping
from functools import partial
from typing import Any, Protocol

from insim_async._http.injected import sheltered
from insim_async._http.trail import Trail
from insim_async._privacy import Unshown

__all__ = ["HEADERS", "Answer", "HttpClient", "Transport", "answer_in", "is_about"]

ANSWER_CAP = 8 * 1024 * 1024
CONNECT_TIMEOUT = 10.0
"""Seconds; all else is bounded as a whole."""
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
}
_TIMEOUT = {"connect": CONNECT_TIMEOUT, "read": None, "write": None, "pool": None}


class HttpClient(Protocol):
    """What is asked of an HTTP client: ``httpx.AsyncClient`` and ``httpx2.AsyncClient`` have it."""

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, and can no longer be used."""
        ...

    def build_request(self, *args: Any, **kwargs: Any) -> Any:
        """Make a request, with the client's own headers and the like."""
        ...

    def send(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Send it."""
        ...


class Answer(Unshown, frozen=True):
    """An answer that was read to its end; without a body where a hook told of it unread."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


class Transport:
    """Takes requests to the server by way of an HTTP client.

    Args:
        client: Speaks as httpx does.
        base_url: Without a slash at the end.
        own: Whether the client is ours to close, has our headers, and connections that stand any
            cancellation. An injected one is its owner's to close, and is sheltered from
            cancellation.
        options: What ``send`` is told besides.
    """

    def __init__(self, client: HttpClient, base_url: str, *, own: bool, **options: Any) -> None:
        self.client: Any = client
        self.base_url = base_url
        self._own = own
        self._headers = None if own else HEADERS
        self._options = options
        self._urls: dict[str, Any] = {}

    @property
    def is_closed(self) -> bool:
        """Whether the client was closed, and can no longer be used."""
        return bool(self.client.is_closed)

    def request(self, path: str, body: bytes, trail: Trail) -> Any:
        """Make a request with the client's own headers and parameters; it reports to the trail.

        The trail is told how far the request has come.
        """
        if (url := self._urls.get(path)) is None:
            url = self._urls[path] = self._parsed(self.base_url + path)
        extensions = {"trace": trail, "timeout": _TIMEOUT}
        return self.client.build_request(
            "POST", url, content=body, headers=self._headers, extensions=extensions
        )

    async def exchange(self, request: Any, trail: Trail) -> Answer:
        """Send a request once, and read the answer; cancelled, it leaves nothing behind."""
        if self._own:
            return await self._exchange(request)
        return await sheltered(partial(self._exchange, request), trail)

    async def aclose(self) -> None:
        """Close the client, if it is ours."""
        if self._own:
            await self.client.aclose()

    def _parsed(self, url: str) -> Any:
        """Parse a URL once, since that takes longer than all else about a request."""
        return type(self.client.build_request("POST", url).url)(url)

    async def _exchange(self, request: Any) -> Answer:
        response = await self.client.send(
            request, stream=True, follow_redirects=False, **self._options
        )
        try:
            # It may have come with its content, or a hook has read it.
            read_before = response.is_stream_consumed
            body = response.content if read_before else await _read(response.stream)
            _check_size(len(body))
        finally:
            await response.aclose()
            # They hold each other, and only the garbage collector would find them.
            response.stream = None
        return Answer(response.status_code, response.headers, body)


async def _read(chunks: AsyncIterable[bytes]) -> bytes:
    """Read an answer to its end, or to as much as any answer may have."""
    body, size = [], 0
    async for chunk in chunks:
        body.append(chunk)
        size += len(chunk)
        _check_size(size)
    return b"".join(body)


def _check_size(size: int) -> None:
    if size > ANSWER_CAP:
        raise OverflowError(f"the answer has more than {ANSWER_CAP >> 20} MiB")


def answer_in(error: BaseException, request: object) -> Answer | None:
    """Return the answer that an exception is about, if it is one to our request.

    A hook raises it that wants no other answers than 2xx. A hook may talk to other servers as well:
    what they say proves nothing.
    """
    with contextlib.suppress(Exception):  # attributes that raise
        response: Any = getattr(error, "response", None)
        if response.request is request and not 200 <= response.status_code < 300:
            return Answer(response.status_code, response.headers, None)
    return None


def is_about(error: Any, request: object) -> bool:
    """Say whether the HTTP client itself says of an exception that it is about our request."""
    with contextlib.suppress(Exception):
        return bool(error.request is request)
    return False
