"""An HTTP client that was injected: any that speaks like httpx. Its owner closes it, and its pool is its own."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

import anyio

from insim_async._http.transport import CONNECT_TIMEOUT, HEADERS, Answer, Trail, read

__all__ = ["HttpClient", "Injected"]

_TIMEOUTS = (CONNECT_TIMEOUT, None, None, None)  # connect, read, write, pool


class HttpClient(Protocol):
    """What is asked of an injected client: ``httpx.AsyncClient`` and ``httpx2.AsyncClient`` have it."""

    @property
    def is_closed(self) -> bool:
        """Whether it can still be used."""
        ...

    def build_request(self, *args: Any, **kwargs: Any) -> Any:
        """Make a request, with the client's own headers and the like."""
        ...

    def send(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Send it."""
        ...


class Injected:
    """Takes requests to the server by way of such a client."""

    def __init__(self, client: HttpClient) -> None:
        self._client: Any = client

    @property
    def is_closed(self) -> bool:
        """Whether its owner has closed it."""
        return bool(self._client.is_closed)

    def request(self, url: str, body: bytes, trail: Trail) -> Any:
        """Make a request, with the client's own headers and the like."""
        return self._client.build_request(
            "POST", url, content=body, headers=HEADERS, timeout=_TIMEOUTS, extensions={"trace": trail}
        )

    async def exchange(self, request: Any, trail: Trail) -> Answer:
        """Send in a task of its own, where only cancel scopes reach it, and these not at the wrong moment.

        The pools of httpx and httpx2 lose a slot for ever when a task is cancelled natively, or by a scope while a new
        connection of theirs waits to be used for the first time.
        """
        results: list[Answer | Exception] = []

        async def run() -> None:
            with anyio.CancelScope() as trail.guard:
                try:
                    results.append(await self._send(request))
                except Exception as error:  # noqa: BLE001 - it is raised below
                    results.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(run)
        if not results:
            raise RuntimeError("the http_client cancelled the request")
        result = results.pop()
        if isinstance(result, Exception):
            raise result
        return result

    async def aclose(self) -> None:
        """Leave it open: it is somebody else's."""

    async def _send(self, request: Any) -> Answer:
        response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            mocked = response.is_stream_consumed  # it came with its content
            body = response.content if mocked else await read(response.aiter_raw())
        finally:
            await response.aclose()
        return Answer(response.status_code, response.headers, body)
