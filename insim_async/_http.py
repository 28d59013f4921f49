"""One POST: slot, deadline, size cap, and what its failure proves. The only room that imports an HTTP library.

Nothing here raises for what happened on the network: ``post`` returns the answer or the error as a value, so that no
traceback runs through a frame that holds a body, and with it the access key.

"Not sent" is provable only up to the first byte of our own request. httpcore announces that byte through the ``trace``
extension; a transport that announces nothing (a mock, another HTTP stack) proves nothing by its silence.
"""

from __future__ import annotations

import functools
import html
import ipaddress
import json
import logging
import os
import re
import ssl
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Generic, Protocol, TypeVar, cast

import anyio
import httpx
from anyio.lowlevel import current_token
from msgspec import Struct

from insim_async._limits import Clock, Gate, Retry
from insim_async.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InSimError,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
)

__all__ = ["Call", "Connection", "HttpClient", "check_base_url", "check_ssl_context"]

T = TypeVar("T")
logger = logging.getLogger("insim_async")

ANSWER_CAP = 8 * 1024 * 1024
CLOSING_GRACE = 5.0
CONNECT_TIMEOUT = 10.0
KEEPALIVE = 2.0
_TIMEOUTS = (CONNECT_TIMEOUT, None, None, None)  # connect, read, write, pool: the rest is bounded as a whole, by us
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": "application/json"}
_OWN_HEADERS = httpx.Headers({**_HEADERS, "User-Agent": "insim_async", "Connection": "keep-alive"})
_TIMEOUT_EXTENSION = {"connect": CONNECT_TIMEOUT, "read": None, "write": None, "pool": None}
_RAISED_BEFORE_SENDING = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}
_DIGITS = re.compile(r"\+?\d(?:[\s.()-]*\d){6,}")


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


class Call(Generic[T]):
    """One request to make. A plain class, whose ``repr`` shows nothing of its body.

    Args:
        path: Behind the base URL.
        body: JSON, with the access key in it.
        decode: Makes the value of a 2xx answer; raises ValueError where the answer is not what it should be.
        count: How many messages it carries, for the pace.
        repeatable: Whether doing it twice does no harm, so that it is tried again whatever happened.
        patient: Whether waiting for a slot, the pace or a pause is no part of the deadline, which then holds for each
            attempt: what bulk calls need, where waiting is the point.
    """

    __slots__ = ("body", "count", "decode", "path", "patient", "repeatable")

    def __init__(
        self,
        path: str,
        body: bytes,
        decode: Callable[[bytearray], T],
        *,
        count: int = 0,
        repeatable: bool = False,
        patient: bool = False,
    ) -> None:
        self.path = path
        self.body = body
        self.decode = decode
        self.count = count
        self.repeatable = repeatable
        self.patient = patient


class Failure(Struct, frozen=True):
    """Why an attempt failed, and whether another is safe."""

    error: InSimError
    again: bool = False


class _Trail:
    """How far a request has come; httpcore calls it at each step (the ``trace`` extension)."""

    __slots__ = ("_socket", "announced", "scope", "started", "trying")

    def __init__(self, scope: anyio.CancelScope) -> None:
        self.scope = scope
        self._socket: Any = None
        self.begin()
        self.trying = False

    def begin(self) -> None:
        """Start over for another attempt."""
        self.trying = True
        self.announced = self.started = False

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self.announced = True
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
        http_client: The caller's, or None for an own one.
        ssl_context: For an own client; None for the usual authorities.
        timeout: Seconds for one call as a whole.
        gate: Slots, pace and pause.
        retry: How often, and how long between.
        clock: Time and chance.
    """

    def __init__(
        self,
        base_url: str,
        *,
        http_client: HttpClient | None,
        ssl_context: ssl.SSLContext | None,
        timeout: float,
        gate: Gate,
        retry: Retry,
        clock: Clock,
    ) -> None:
        self._base_url = base_url
        self._owned = http_client is None
        self._client: Any = http_client if http_client is not None else _own_client(base_url, ssl_context)
        self._urls: dict[str, httpx.URL] = {}
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
        with anyio.CancelScope() as scope:
            if not call.patient:
                scope.deadline = anyio.current_time() + self._timeout
            trail = _Trail(scope)
            self._flights.add(trail)
            try:
                async with self._gate.slots:
                    return await self._attempts(call, trail, until)
            except BaseException as error:
                error.__traceback__ = error.__context__ = None  # frames further down hold the body
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
            self._gate.close_for(asked if asked is not None else wait or self._retry.base)
            return None if wait is None else 0.0  # the gate makes it wait, like everyone else
        return wait if failure.again or (call.repeatable and isinstance(failure.error, OutcomeUnknown)) else None

    async def _attempt(self, call: Call[T], trail: _Trail) -> T | Failure:
        trail.begin()
        with anyio.CancelScope() as scope:
            if call.patient:
                scope.deadline = anyio.current_time() + self._timeout
            try:
                result = _judge(await self._exchange(call, trail), call)
            except Exception as error:  # noqa: BLE001 - whatever a transport raises, the trail says what it proves
                result = self._lost(error, call, trail)
        if scope.cancelled_caught:
            result = self._cut_short(trail)
        trail.trying = isinstance(result, Failure) and not result.again
        return result

    async def _exchange(self, call: Call[T], trail: _Trail) -> _Answer:
        if self._owned:
            return await _send(self._client, self._request(call, trail))
        return await _in_a_task(_send, self._client, self._built_request(call, trail))

    def _request(self, call: Call[T], trail: _Trail) -> httpx.Request:
        if (url := self._urls.get(call.path)) is None:
            url = self._urls[call.path] = httpx.URL(self._base_url + call.path)
        extensions = {"trace": trail, "timeout": _TIMEOUT_EXTENSION}
        return httpx.Request("POST", url, headers=_OWN_HEADERS, content=call.body, extensions=extensions)

    def _built_request(self, call: Call[T], trail: _Trail) -> Any:
        url = self._base_url + call.path
        return self._client.build_request(
            "POST", url, content=call.body, headers=_HEADERS, timeout=_TIMEOUTS, extensions={"trace": trail}
        )

    def _lost(self, error: Exception, call: Call[T], trail: _Trail) -> Failure:
        chain = _chain(error)
        words = next(filter(None, map(str, chain)), "")
        what = excerpt(f"{type(error).__name__}: {words}".encode(errors="replace"), call.body).rstrip(": ")
        if self._unsent(trail, error):
            not_trusted = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in chain)
            return Failure(NotSent(f"nothing was sent: {what}"), again=not not_trusted)
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
            self._landed = anyio.Event()
            await self._landed.wait()


class _Answer(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: bytearray


class _OneConnectionEach(httpx.AsyncBaseTransport):
    """A connection for each request under way, thrown away unless its answer was read to the end.

    httpx's own pool loses a slot for ever when a request is cancelled natively, and costs O(n²) above some fifty
    connections. How many there are is the gate's business.
    """

    def __init__(self, connect: Callable[[], httpx.AsyncHTTPTransport]) -> None:
        self._connect = connect
        self._idle: list[httpx.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        transport = self._idle.pop() if self._idle else self._connect()
        whole = False
        try:
            answer = await transport.handle_async_request(request)
            body = await _read(cast(AsyncIterable[bytes], answer.stream))
            await answer.aclose()
            whole = True
        finally:
            if whole:
                self._idle.append(transport)
            else:
                with anyio.CancelScope(shield=True):
                    await transport.aclose()
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(bytes(body)))

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.pop().aclose()


def check_base_url(base_url: str) -> str:
    """Return the URL without a slash at the end.

    Raises:
        ConfigurationError: It is no URL, or would carry the access key over a network in the clear.
    """
    try:
        parts = urllib.parse.urlsplit(base_url)
        parts.port  # noqa: B018 - checked when read
    except ValueError:
        raise ConfigurationError("base_url: not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ConfigurationError("base_url: give scheme and host, like https://www.insim.app")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigurationError("base_url: http:// would show the access key to the network; use https://")
    return base_url.rstrip("/").removesuffix("/api/v1")


def check_ssl_context(context: ssl.SSLContext) -> None:
    """Raise ConfigurationError if the context lets an unchecked certificate pass."""
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise ConfigurationError("ssl_context: certificates and host names are always checked")


def excerpt(text: bytes | bytearray, request: bytes) -> str:
    """Return the beginning of what a server (or library) said, without anything that the request held."""
    shown = text[:16_384].decode("utf-8", "replace")
    for sent in sorted(_strings(json.loads(request)), key=len, reverse=True):
        for form in _forms(sent):
            shown = shown.replace(form, "[…]")
    shown = _DIGITS.sub("[…]", shown)
    return " ".join("".join(char if char.isprintable() else " " for char in shown).split())[:200]


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str) and len(value) > 1:
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _forms(text: str) -> set[str]:
    """Return a text as it may stand in JSON, in HTML or in a URL."""
    percent = urllib.parse.quote(text, safe="")
    return {text, json.dumps(text)[1:-1], html.escape(text), percent, percent.replace("%20", "+")}


def _judge(answer: _Answer, call: Call[T]) -> T | Failure:
    """Say what an answer means; the body of a 2xx is the call's own to read."""
    status = answer.status
    if 200 <= status < 300:
        return _decoded(answer, call)
    said = f"the server answered {status}: {excerpt(answer.body, call.body)}".rstrip(": ")
    if status == 429:
        return Failure(RateLimited(said, retry_after=_retry_after(answer.headers)), again=True)
    if status in {401, 403}:
        return Failure(AuthenticationFailed(said, status_code=status))
    if status < 400 or status in {404, 405}:
        return Failure(ConfigurationError(f"{said} (is base_url right? redirects are not followed)"))
    if status < 500:
        return Failure(Refused(said, status_code=status))
    return Failure(OutcomeUnknown(said))


def _decoded(answer: _Answer, call: Call[T]) -> T | Failure:
    try:
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise ValueError("compressed, though that was not asked for")
        return call.decode(answer.body)
    except ValueError as error:
        reason = str(error)
    said = excerpt(answer.body, call.body)
    return Failure(OutcomeUnknown(f"the server answered {answer.status}, but not as documented ({reason}): {said}"))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a 429 asks for: a number, or a date on the server's own clock (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,15}", value):
        return float(value)
    until, now = _http_date(value), _http_date(headers.get("date", ""))
    return None if until is None else max(0.0, until - (time.time() if now is None else now))


def _http_date(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None


async def _send(client: Any, request: Any) -> _Answer:
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        mocked = response.is_stream_consumed  # it came with its content
        body = bytearray(response.content) if mocked else await _read(response.aiter_raw())
    finally:
        await response.aclose()
    return _Answer(response.status_code, response.headers, body)


async def _read(chunks: AsyncIterable[bytes]) -> bytearray:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > ANSWER_CAP:
            raise OverflowError(f"the answer has more than {ANSWER_CAP >> 20} MiB")
    return body


async def _in_a_task(function: Callable[..., Awaitable[T]], *args: object) -> T:
    """Await it in a task of its own, where only cancel scopes reach it.

    httpx's pool loses a slot for ever when the task that waits for it is cancelled natively.
    """
    results: list[T | Exception] = []

    async def run() -> None:
        try:
            results.append(await function(*args))
        except Exception as error:  # noqa: BLE001 - it is raised below
            results.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
    result = results.pop()
    if isinstance(result, Exception):
        raise result
    return result


def _chain(error: BaseException | None) -> list[BaseException]:
    """Return an exception and what caused it, outermost first."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _own_client(base_url: str, context: ssl.SSLContext | None) -> httpx.AsyncClient:
    connect = functools.partial(
        httpx.AsyncHTTPTransport,
        verify=context or _usual_authorities(),
        limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE),
        proxy=_proxy_for(base_url),
        trust_env=False,
    )
    return httpx.AsyncClient(transport=_OneConnectionEach(connect), trust_env=False)


@functools.cache
def _usual_authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _proxy_for(base_url: str) -> str | None:
    parts = urllib.parse.urlsplit(base_url)
    proxies = urllib.request.getproxies()
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
