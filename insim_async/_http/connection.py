"""One POST: slot, deadline, attempts, and what its failure proves.

Nothing here raises for what happened on the network: ``post`` returns the answer or the error as a value, so that no
traceback runs through a frame that holds a body, and with it the access key.

"Not sent" is provable only up to the first byte of our own request. httpcore announces that byte through the ``trace``
extension. A transport that announces nothing (a mock, another HTTP stack) proves nothing by its silence, and nothing by
the class of what it raises: ``httpx_aiohttp`` raises ``ConnectTimeout`` when a server hangs up after the whole body.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable
from typing import Any, TypeVar

import anyio
from anyio.lowlevel import current_token

from insim_async._http.calls import Again, Call, Failure, judge
from insim_async._http.gate import Gate
from insim_async._http.transport import Answer, Trail, Transport
from insim_async._privacy import excerpt
from insim_async.errors import ConfigurationError, InSimError, NotSent, OutcomeUnknown, RateLimited
from insim_async.timing import Clock, Retry

__all__ = ["Connection"]

T = TypeVar("T")
logger = logging.getLogger("insim_async")

CLOSING_GRACE = 5.0
_RAISED_BEFORE_SENDING = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}
_RAISED_BY_MOCKS = {"SideEffectError"}  # what respx puts around an error that a test ordered
_CUT_SHORT = Failure(OutcomeUnknown(), Again.NEVER)


class Connection:
    """The way to the server, for all calls of one client.

    Args:
        base_url: Checked already, without a slash at the end.
        transport: What takes the requests there.
        timeout: Seconds for one call as a whole.
        gate: Slots, pace and pause.
        retry: How often, and how long between.
        clock: Time and chance.
    """

    def __init__(
        self,
        base_url: str,
        transport: Transport,
        *,
        timeout: float,
        gate: Gate,
        retry: Retry,
        clock: Clock,
    ) -> None:
        self._base_url = base_url
        self._transport = transport
        self._timeout = timeout
        self._gate = gate
        self._retry = retry
        self._clock = clock
        self._home: tuple[int, object] | None = None
        self._announces = False
        self._answers_silently = False
        self._closing = False
        self._closed = False
        self._flights: set[Trail] = set()
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
        if self._transport.is_closed:
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
        trail = Trail(anyio.CancelScope())
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
                await self._transport.aclose()
            self._closed = True

    async def _attempts(self, call: Call[T], trail: Trail, until: float) -> T | InSimError:
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
        safe = failure.again is Again.SAFE or (failure.again is Again.IF_REPEATABLE and call.repeatable)
        return wait if safe else None

    async def _attempt(self, call: Call[T], trail: Trail) -> T | Failure:
        trail.trying, trail.announced, trail.started = True, False, False
        try:
            request = self._transport.request(self._base_url + call.path, call.body, trail)
        except Exception as error:  # noqa: BLE001 - it is the caller's client, or the base URL, that cannot do it
            error_here = ConfigurationError(f"base_url and http_client make no request: {_words(error, call)}")
            return Failure(error_here, Again.NEVER)
        result: T | Failure = _CUT_SHORT
        with anyio.CancelScope() as scope:
            if call.patient:
                scope.deadline = anyio.current_time() + self._timeout
            try:
                answer = await self._transport.exchange(request, trail)
                self._answers_silently |= not trail.announced
                result = judge(answer, call, self._clock)
            except Exception as error:  # noqa: BLE001 - whatever a transport raises, the trail says what it proves
                if (found := _answer_in(error, request)) is not None:
                    result = judge(found, call, self._clock)
                else:
                    result = self._lost(error, call, trail, request)
        self._announces |= trail.announced
        if result is _CUT_SHORT:
            result = self._cut_short(trail)
        trail.trying = isinstance(result, Failure) and result.again is not Again.SAFE
        trail.doubtful |= isinstance(result, Failure) and isinstance(result.error, OutcomeUnknown)
        return result

    def _lost(self, error: Exception, call: Call[T], trail: Trail, request: object) -> Failure:
        import ssl  # slow to import, and seldom needed

        what = _words(error, call)
        classes = " < ".join(f"{type(each).__module__}.{type(each).__qualname__}" for each in _chain(error))
        logger.debug("an attempt ended without an answer: %s", classes)
        if self._unsent(trail, None if _is_of_another(error, request) else error):
            not_trusted = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain(error))
            again = Again.NEVER if not_trusted else Again.SAFE
            return Failure(NotSent(f"nothing was sent to {self._base_url}: {what}"), again)
        return Failure(OutcomeUnknown(f"it may have been sent: {what}"), Again.IF_REPEATABLE)

    def _cut_short(self, trail: Trail) -> Failure:
        why = "the client was closed" if self._closing else f"there was no answer within {self._timeout:g} s"
        if trail.doubtful or (trail.trying and not self._unsent(trail)):
            return Failure(OutcomeUnknown(f"{why}; it may have been sent"), Again.IF_REPEATABLE)
        return Failure(NotSent(f"{why}, and nothing was sent"), Again.SAFE)

    def _unsent(self, trail: Trail, error: Exception | None = None) -> bool:
        silence_tells = trail.announced or (self._announces and not self._answers_silently)
        return not (trail.started or trail.doubtful) and (silence_tells or _proves_itself(error))

    def _cancel(self, trails: Iterable[Trail]) -> None:
        for trail in trails:
            trail.scope.cancel()

    def _land(self, trail: Trail) -> None:
        self._flights.discard(trail)
        if self._landed is not None and not self._flights:
            self._landed.set()

    async def _all_landed(self) -> None:
        if self._flights:
            self._landed = self._landed or anyio.Event()  # two may be closing
            await self._landed.wait()


def _forget(error: BaseException) -> None:
    """Cut off the frames that an exception came through: those further down hold the body."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            _forget(inner)


def _proves_itself(error: Exception | None) -> bool:
    """Say whether an exception proves by itself that nothing was sent, though its transport announces nothing.

    So does the operating system's own refusal, where it is the first cause of all; and what a mock raises bare, with
    no other cause than its like. A transport that turns whatever happened into a ``ConnectError`` has a cause.
    """
    import socket  # slow to import, and seldom needed
    import ssl

    chain = [] if error is None else _chain(error)
    refusals = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)
    return bool(chain) and (isinstance(chain[-1], refusals) or all(map(_is_raised_before_sending, chain)))


def _is_raised_before_sending(error: BaseException) -> bool:
    return any(cls.__name__ in _RAISED_BEFORE_SENDING | _RAISED_BY_MOCKS for cls in type(error).__mro__)


def _answer_in(error: Exception, request: object) -> Answer | None:
    """Return the answer that an exception is about, as a hook raises it that wants no other answers than 2xx.

    A hook may talk to other servers as well: what they say proves nothing.
    """
    with contextlib.suppress(Exception):  # attributes that raise
        response: Any = getattr(error, "response", None)
        if response.request is request and not 200 <= response.status_code < 300:
            return Answer(response.status_code, response.headers)
    return None


def _is_of_another(error: Any, request: Any) -> bool:
    """Say whether an exception is provably about another request than ours."""
    with contextlib.suppress(Exception):
        return str(error.request.url) != str(request.url)
    return False


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
