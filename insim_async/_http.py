"""One POST: slot, deadline, size cap, and what its failure proves, over any client that speaks like httpx.

Nothing here raises for what happened on the network: ``post`` returns the answer or the error as a value, so that no
traceback runs through a frame that holds a body, and with it the access key.

"Not sent" is provable only up to the first byte of our own request. httpcore announces that byte through the ``trace``
extension; a transport that announces nothing (a mock, another HTTP stack) proves nothing by its silence.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

import anyio
from anyio.lowlevel import current_token

from insim_async._calls import Answer, Call, Failure, judge
from insim_async._limits import Clock, Gate, Retry
from insim_async._redaction import excerpt
from insim_async.errors import ConfigurationError, InSimError, NotSent, OutcomeUnknown, RateLimited

__all__ = ["Connection", "HttpClient"]

T = TypeVar("T")
logger = logging.getLogger("insim_async")

ANSWER_CAP = 8 * 1024 * 1024
CLOSING_GRACE = 5.0
CONNECT_TIMEOUT = 10.0
_TIMEOUTS = (CONNECT_TIMEOUT, None, None, None)  # connect, read, write, pool: the rest is bounded as a whole, by us
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": "application/json"}
_RAISED_BEFORE_SENDING = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}


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

    def aclose(self) -> Awaitable[None]:
        """Close it."""
        ...


_CUT_SHORT = Failure(OutcomeUnknown())


class _Trail:
    """How far a request has come; httpcore calls it at each step (the ``trace`` extension)."""

    __slots__ = ("_socket", "announced", "guard", "scope", "started", "trying")

    def __init__(self, scope: anyio.CancelScope) -> None:
        self.scope = scope
        self.guard: anyio.CancelScope | None = None
        self._socket: Any = None
        self.begin()
        self.trying = False

    def begin(self) -> None:
        """Start over for another attempt."""
        self.trying = True
        self.announced = self.started = False

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


class Connection:
    """The way to the server, for all calls of one client.

    Args:
        base_url: Checked already, without a slash at the end.
        http_client: What makes the requests.
        owned: Whether it is closed with the connection, and leaves none behind when it is cancelled natively.
        timeout: Seconds for one call as a whole.
        gate: Slots, pace and pause.
        retry: How often, and how long between.
        clock: Time and chance.
    """

    def __init__(
        self,
        base_url: str,
        http_client: HttpClient,
        *,
        owned: bool,
        timeout: float,
        gate: Gate,
        retry: Retry,
        clock: Clock,
    ) -> None:
        self._base_url = base_url
        self._client = http_client
        self._owned = owned
        self._timeout = timeout
        self._gate = gate
        self._retry = retry
        self._clock = clock
        self._home: tuple[int, object] | None = None
        self._announces = False
        self._closing = False
        self._closed = False
        self._flights: set[_Trail] = set()
        self._landed: anyio.Event | None = None

    def open(self) -> None:
        """Bind the connection to this process and event loop."""
        if self._home is not None:
            raise ConfigurationError("the client has been opened before: make a new one")
        self._home = os.getpid(), current_token()

    def misuse(self) -> ConfigurationError | None:
        """Say why nothing can be sent from here, if so."""
        if self._home is None:
            return ConfigurationError("the client is not open: use it inside `async with AsyncInSim(...) as insim:`")
        if self._closing:
            return ConfigurationError("the client is closed")
        if self._is_elsewhere():
            return ConfigurationError(
                "the client was opened in another event loop, thread or process: open one in each"
            )
        if self._client.is_closed:
            return ConfigurationError("the http_client given to the client is closed")
        return None

    def _is_elsewhere(self) -> bool:
        """Ask for the process first: a forked one has no event loop, though it may seem to run in one."""
        return self._home is not None and (self._home[0] != os.getpid() or self._home[1] != current_token())

    async def post(self, call: Call[T]) -> T | InSimError:
        """Make the call and return what it came to, once it may go out.

        Cancellation passes through at once; a slot, and the connection unless its answer was read, are given back.
        """
        if (misuse := self.misuse()) is not None:
            return misuse
        until = self._clock.now() + self._timeout
        trail = _Trail(anyio.CancelScope())
        self._flights.add(trail)
        with trail.scope as scope:
            if not call.patient:
                scope.deadline = anyio.current_time() + self._timeout
            try:
                async with self._gate.slots:
                    return await self._attempts(call, trail, until)
            except BaseException as error:
                _forget(error)
                raise
            finally:
                self._land(trail)
        return self._cut_short(trail).error

    async def aclose(self) -> None:
        """Close: what waits ends unsent, what is under way has a few seconds, then its outcome is unknown."""
        if self._closed:
            return
        if self._is_elsewhere():
            raise ConfigurationError("the client is closed where it was opened, not in another loop or process")
        self._closing = True
        self._cancel(trail for trail in self._flights if not trail.trying)
        try:
            with anyio.move_on_after(CLOSING_GRACE):
                await self._all_landed()
        finally:
            self._cancel(self._flights)
            with anyio.CancelScope(shield=True):
                await self._all_landed()
                if self._owned:
                    await self._client.aclose()
            self._closed = True

    async def _attempts(self, call: Call[T], trail: _Trail, until: float) -> T | InSimError:
        attempt = 0
        while True:
            attempt += 1
            pause = self._gate.closed_for()
            if pause and self._too_late(call, pause, until):
                return RateLimited("the server asked for a pause", retry_after=pause)
            await self._gate.wait(call.count, self._retry.base)
            result = await self._attempt(call, trail)
            if not isinstance(result, Failure):
                return result
            wait = self._wait_after(result, attempt, call)
            if wait is None or self._too_late(call, max(wait, self._gate.closed_for()), until):
                return result.error
            logger.info("attempt %d failed, trying again: %s", attempt, result.error)
            if wait:
                await self._clock.sleep(wait)

    def _too_late(self, call: Call[T], wait: float, until: float) -> bool:
        return not call.patient and self._clock.now() + wait > until

    def _wait_after(self, failure: Failure, attempt: int, call: Call[T]) -> float | None:
        wait = self._retry.wait_after(attempt, self._clock.random())
        if isinstance(failure.error, RateLimited):
            asked = failure.error.retry_after
            self._gate.close_for(max(asked or 0.0, wait or self._retry.base))
            return None if wait is None else 0.0  # the gate makes it wait, like everyone else
        return wait if failure.again or (call.repeatable and isinstance(failure.error, OutcomeUnknown)) else None

    async def _attempt(self, call: Call[T], trail: _Trail) -> T | Failure:
        trail.begin()
        try:
            request = self._request(call, trail)
        except Exception as error:  # noqa: BLE001 - it is the caller's client, or the base URL, that cannot do it
            return Failure(ConfigurationError(f"no request can be made of it: {_words(error, call)}"))
        result: T | Failure = _CUT_SHORT
        with anyio.CancelScope() as scope:
            if call.patient:
                scope.deadline = anyio.current_time() + self._timeout
            try:
                result = judge(await self._exchange(request, trail), call, self._clock)
            except Exception as error:  # noqa: BLE001 - whatever a transport raises, the trail says what it proves
                if (answer := _answer_in(error)) is not None:
                    result = judge(answer, call, self._clock)
                else:
                    result = self._lost(error, call, trail)
        if result is _CUT_SHORT:
            result = self._cut_short(trail)
        trail.trying = isinstance(result, Failure) and not result.again
        return result

    def _request(self, call: Call[T], trail: _Trail) -> Any:
        return self._client.build_request(
            "POST",
            self._base_url + call.path,
            content=call.body,
            headers=HEADERS,
            timeout=_TIMEOUTS,
            extensions={"trace": trail},
        )

    async def _exchange(self, request: Any, trail: _Trail) -> Answer:
        if self._owned:
            return await _send(self._client, request)
        return await _send_in_a_task(self._client, request, trail)

    def _lost(self, error: Exception, call: Call[T], trail: _Trail) -> Failure:
        what = _words(error, call)
        if self._unsent(trail, error):
            not_trusted = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain(error))
            return Failure(NotSent(f"nothing was sent to {self._base_url}: {what}"), again=not not_trusted)
        return Failure(OutcomeUnknown(f"it may have been sent: {what}"))

    def _cut_short(self, trail: _Trail) -> Failure:
        why = "the client was closed" if self._closing else f"there was no answer within {self._timeout:g} s"
        if trail.trying and not self._unsent(trail):
            return Failure(OutcomeUnknown(f"{why}; it may have been sent"))
        return Failure(NotSent(f"{why}, and nothing was sent"), again=True)

    def _unsent(self, trail: _Trail, error: Exception | None = None) -> bool:
        self._announces = self._announces or trail.announced
        told_by_class = any(cls.__name__ in _RAISED_BEFORE_SENDING for cls in type(error).__mro__)
        return not trail.started and (self._announces or told_by_class)

    def _cancel(self, trails: Iterable[_Trail]) -> None:
        for trail in trails:
            trail.scope.cancel()

    def _land(self, trail: _Trail) -> None:
        self._flights.discard(trail)
        if self._landed is not None and not self._flights:
            self._landed.set()

    async def _all_landed(self) -> None:
        if self._flights:
            self._landed = self._landed or anyio.Event()  # two may be closing
            await self._landed.wait()


async def _send(client: Any, request: Any) -> Answer:
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        mocked = response.is_stream_consumed  # it came with its content
        body = response.content if mocked else await read(response.aiter_raw())
    finally:
        await response.aclose()
    return Answer(response.status_code, response.headers, body)


async def read(chunks: AsyncIterable[bytes]) -> bytes:
    """Read an answer to its end, or to as much as any answer may have."""
    body, size = [], 0
    async for chunk in chunks:
        body.append(chunk)
        size += len(chunk)
        if size > ANSWER_CAP:
            raise OverflowError(f"the answer has more than {ANSWER_CAP >> 20} MiB")
    return b"".join(body)


async def _send_in_a_task(client: Any, request: Any, trail: _Trail) -> Answer:
    """Send in a task of its own, where only cancel scopes reach it, and these not at the wrong moment.

    The pools of httpx and httpx2 lose a slot for ever when a task is cancelled natively, or by a scope while a new
    connection of theirs waits to be used for the first time.
    """
    results: list[Answer | Exception] = []

    async def run() -> None:
        with anyio.CancelScope() as trail.guard:
            try:
                results.append(await _send(client, request))
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


def _forget(error: BaseException) -> None:
    """Cut off the frames that an exception came through: those further down hold the body."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            _forget(inner)


def _answer_in(error: Exception) -> Answer | None:
    """Return the answer that an exception is about, as a hook raises it that wants no other answers than 2xx."""
    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    return Answer(status, response.headers) if isinstance(status, int) and not 200 <= status < 300 else None


def _words(error: BaseException, call: Call[T]) -> str:
    """Say what an exception says, without what it repeats of the request."""
    words = next(filter(None, map(str, _chain(error))), "")
    return excerpt(f"{type(error).__name__}: {words}".encode(errors="replace"), call.body).rstrip(": ")


def _chain(error: BaseException | None) -> list[BaseException]:
    """Return an exception and what caused it, outermost first."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
