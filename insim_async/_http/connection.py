"""One POST: slot, deadline and attempts.

Nothing here raises for what happened on the network: ``post`` returns the answer or the error as a
value, so that no traceback runs through a frame that holds a body, and with it the access key. What
an attempt came to is told in ``calls``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import anyio
from anyio.lowlevel import current_token

from insim_async._http.calls import (
    STALE,
    Again,
    Call,
    Failure,
    classes_of,
    decide,
    judge,
    loss,
    proves_itself,
    words_of,
)
from insim_async._http.gate import Gate
from insim_async._http.trail import Fate, Trail
from insim_async._http.transport import Transport, answer_in
from insim_async._tasks import is_to_be_passed_on
from insim_async.errors import ConfigurationError, InSimError, NotSent, OutcomeUnknown, RateLimited
from insim_async.timing import Clock, Retry

__all__ = ["Connection"]

T = TypeVar("T")
logger = logging.getLogger("insim_async")

CLOSING_GRACE = 5.0


class Connection:
    """The way to the server, for all calls of one client.

    Args:
        transport: Takes the requests there.
        timeout: Seconds for one call as a whole.
        gate: Slots, pace and pause.
        retry: How often, and how long between.
        clock: Time and chance.
    """

    def __init__(
        self, transport: Transport, *, timeout: float, gate: Gate, retry: Retry, clock: Clock
    ) -> None:
        self._transport = transport
        self._timeout = timeout
        self._gate = gate
        self._retry = retry
        self._clock = clock
        self._home: tuple[int, object] | None = None
        self._closing = False
        self._closed = False
        self._under_way: dict[Trail, anyio.CancelScope] = {}
        self._none_left: anyio.Event | None = None

    def open(self) -> None:
        """Bind the connection to this process and event loop."""
        if self._home is not None:
            raise ConfigurationError("the client has been opened before: make a new one")
        self._home = os.getpid(), current_token()

    def misuse(self) -> ConfigurationError | None:
        """Say why nothing can be sent from here, if so."""
        if self._home is None:
            return ConfigurationError(
                "the client is not open: use it inside `async with AsyncInSim(...) as insim:`"
            )
        if self._closing:
            return ConfigurationError("the client is closed")
        if self._is_elsewhere():
            return ConfigurationError(
                "the client was opened in another event loop, thread or process: open one in each"
            )
        if self._transport.is_closed:
            return ConfigurationError("the http_client of the client is closed")
        return None

    def _is_elsewhere(self) -> bool:
        """Say whether this is another process or event loop than the one it was opened in.

        It asks for the process first: a forked one has no event loop, though it may seem to run in
        one.
        """
        return self._home is not None and (
            self._home[0] != os.getpid() or self._home[1] != current_token()
        )

    async def post(self, call: Call[T]) -> T | InSimError:
        """Wait for a slot, send the call, and return its value or its error.

        Cancellation passes through at once; a slot, and the connection unless its answer was read,
        are given back.
        """
        if (misuse := self.misuse()) is not None:
            return misuse
        until = self._clock.now() + self._timeout
        trail = Trail()
        with anyio.CancelScope() as scope:
            self._under_way[trail] = scope
            if not call.waits_are_free:
                scope.deadline = anyio.current_time() + self._timeout
            try:
                async with self._gate.slots:
                    return await self._attempts(call, trail, until)
            except BaseException as error:
                _forget(error)
                raise
            finally:
                self._leave(trail)
        return self._cut_short(trail).error

    async def aclose(self) -> None:
        """Close: calls that wait end unsent; those under way have a few seconds to end.

        After that their outcome is unknown.
        """
        if self._closed:
            return
        if self._is_elsewhere():
            raise ConfigurationError(
                "the client is closed where it was opened, not in another loop or process"
            )
        self._closing = True
        self._cancel(trail for trail in self._under_way if trail.fate is Fate.WAITING)
        try:
            with anyio.move_on_after(CLOSING_GRACE):
                await self._all_left()
        finally:
            self._cancel(self._under_way)
            with anyio.CancelScope(shield=True):
                await self._all_left()
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
            wait = decide(result, attempt, call, self._retry, self._clock.random())
            if isinstance(result.error, RateLimited):
                self._gate.close_for(max(result.error.retry_after or 0.0, wait or self._retry.base))
                wait = None if wait is None else 0.0  # the gate makes it wait, like everyone else
            if wait is None or self._too_late(call, max(wait, self._gate.closed_for()), until):
                return result.error
            logger.info("attempt %d failed, trying again: %s", attempt, result.error)
            if wait:
                await self._clock.sleep(wait)

    def _too_late(self, call: Call[T], wait: float, until: float) -> bool:
        return not call.waits_are_free and self._clock.now() + wait > until

    async def _attempt(self, call: Call[T], trail: Trail) -> T | Failure:
        trail.begin()
        try:
            request = self._transport.request(call.path, call.body, trail)
        except Exception as error:  # noqa: BLE001 - it is the caller's client, or the base URL, that cannot do it
            words = f"base_url and http_client make no request: {words_of(error, call)}"
            return Failure(ConfigurationError(words), Again.NEVER)
        result: T | Failure | None = None
        with anyio.CancelScope() as scope:
            if call.waits_are_free:
                scope.deadline = anyio.current_time() + self._timeout
            result = await self._exchange(request, call, trail)
        if scope.cancelled_caught:
            result = self._cut_short(trail)
        if isinstance(result, Failure):
            trail.end(unsent=result.again is Again.SAFE)
        return cast(T | Failure, result)

    async def _exchange(self, request: Any, call: Call[T], trail: Trail) -> T | Failure:
        try:
            answer = await self._transport.exchange(request, trail)
        except BaseException as error:
            if is_to_be_passed_on(error) or trail.was_cut_off_by(error):
                raise
            if (found := answer_in(error, request)) is not None:
                return judge(found, call, self._clock)
            logger.debug("an attempt ended without an answer: %s", classes_of(error))
            bare = trail.fate is Fate.TRYING and proves_itself(error, request)
            unsent = bare or trail.is_unsent(error)
            return loss(error, call, self._transport.base_url, unsent=unsent)
        if trail.stale:
            return STALE
        return judge(answer, call, self._clock)

    def _cut_short(self, trail: Trail) -> Failure:
        why = (
            "the client was closed"
            if self._closing
            else f"there was no answer within {self._timeout:g} s"
        )
        if trail.is_unsent():
            return Failure(NotSent(f"{why}, and nothing was sent"), Again.SAFE)
        return Failure(OutcomeUnknown(f"{why}; it may have been sent"), Again.IF_REPEATABLE)

    def _cancel(self, trails: Iterable[Trail]) -> None:
        for trail in trails:
            self._under_way[trail].cancel()

    def _leave(self, trail: Trail) -> None:
        del self._under_way[trail]
        if self._none_left is not None and not self._under_way:
            self._none_left.set()

    async def _all_left(self) -> None:
        if self._under_way:
            self._none_left = self._none_left or anyio.Event()  # two may be closing
            await self._none_left.wait()


def _forget(error: BaseException) -> None:
    """Cut off the frames that an exception came through: those further down hold the body."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            _forget(inner)
