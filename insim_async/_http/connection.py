"""One POST: its turn, deadline and attempts.

Nothing here raises for what happened on the network: ``post`` returns the answer or the error as a
value, so that no traceback runs through a frame that holds a body, and with it the access key. What
an attempt came to is told in ``calls``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, TypeVar, cast

import anyio

from insim_async._http import guard
from insim_async._http.calls import (
    Again,
    Call,
    Failure,
    classes_of,
    decide,
    judge,
    loss,
    proves_itself,
    stale,
    words_of,
)
from insim_async._http.gate import Gate
from insim_async._http.schedule import Rank, Ticket
from insim_async._http.trail import Fate, Trail
from insim_async._http.transport import Transport, answer_in
from insim_async._tasks import current_loop, is_to_be_passed_on, to_its_end
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

    Attributes:
        timeout: As given.
    """

    def __init__(
        self, transport: Transport, *, timeout: float, gate: Gate, retry: Retry, clock: Clock
    ) -> None:
        self._transport = transport
        self.timeout = timeout
        self._gate = gate
        self._retry = retry
        self._clock = clock
        self._home: tuple[int, object] | None = None
        self._opens_when_used = False
        self._closing = False
        self._closed = False
        self._under_way: dict[Trail, anyio.CancelScope] = {}
        self._none_left: anyio.Event | None = None

    def open(self) -> None:
        """Bind the connection to this process and event loop."""
        if self._home is not None:
            raise ConfigurationError("the client has been opened before: make a new one")
        if (barred := guard.refusal(self._transport.base_url)) is not None:
            raise barred
        self._home = os.getpid(), current_loop()

    def open_when_used(self) -> None:
        """Let it be opened by its first call, in the event loop of that: for a fixture of tests."""
        self._opens_when_used = True

    def misuse(self) -> ConfigurationError | None:
        """Say why nothing can be sent from here, if so."""
        if self._home is None and not self._opens_when_used:
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
        return guard.refusal(self._transport.base_url)

    def _is_elsewhere(self) -> bool:
        """Say whether this is another process or event loop than the one it was opened in.

        It asks for the process first: a forked one has no event loop, though it may seem to run in
        one.
        """
        return self._home is not None and (
            self._home[0] != os.getpid() or self._home[1] != current_loop()
        )

    def join(self, rank: Rank, *, paced: bool) -> Ticket | ConfigurationError:
        """Take a place in the line for one request, or say why nothing can be sent from here.

        A ticket must come to ``post``, or be given back by ``leave``.

        Args:
            rank: Who goes first. What is ``BULK`` may wait as long as it takes, and has the whole
                of the time limit for each attempt; anything else has one limit for all, and
                begins no attempt in the second half of it.
            paced: Whether it carries messages, and so waits for the pace.
        """
        if (misuse := self.misuse()) is not None:
            return misuse
        if self._home is None:
            self.open()
        ticket = self._gate.join(rank, paced=paced)
        ticket.began = anyio.current_time()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give up a place in the line, or the slot that came with its turn."""
        self._gate.leave(ticket)

    async def post(
        self, make: Callable[[], Awaitable[Call[T] | None]], ticket: Ticket
    ) -> T | InSimError | None:
        """Wait for the turn of a ticket, send what ``make`` makes then, and return how it ended.

        Only when the request may leave at once is it decided what it carries. An attempt that is
        proven unsent gives back its slot, and the call (``Call.put_back``); the next one makes
        another. Cancellation passes through at once; a slot, and the connection unless its answer
        was read, are given back.

        Args:
            make: Reads, checks and claims what is to be sent; None if there is nothing any more.
                Whoever waits for the pace waits for it, too.
            ticket: From ``join``. After a call it can be used for another, in the same place.

        Returns:
            The value of the call, or its error; None where ``make`` had nothing.
        """
        trail = Trail()
        with anyio.CancelScope() as scope:
            self._under_way[trail] = scope
            if ticket.rank is not Rank.BULK:
                scope.deadline = ticket.began + self.timeout
            try:
                if (misuse := self.misuse()) is not None:
                    return misuse
                self._gate.rejoin(ticket)
                return await self._attempts(make, ticket, trail)
            except BaseException as error:
                _forget(error)
                raise
            finally:
                self._gate.leave(ticket)
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

    async def _attempts(
        self,
        make: Callable[[], Awaitable[Call[T] | None]],
        ticket: Ticket,
        trail: Trail,
    ) -> T | InSimError | None:
        failures, passes, is_doubtful = 0, self._gate.passes, False
        error: InSimError | None = None
        while await self._has_turn(ticket):
            call = await make()
            self._gate.book(ticket, call.parts if call is not None else 0)
            if call is None:
                return None
            result = await self._attempt(call, ticket, trail)
            if not isinstance(result, Failure):
                self._gate.passed()
                return result
            error = result.error
            is_doubtful |= result.again is Again.IF_REPEATABLE
            # Being put off is no failure as long as others get through.
            is_put_off = isinstance(error, RateLimited)
            failures = 0 if is_put_off and self._gate.passes > passes else failures + 1
            passes = self._gate.passes
            wait = decide(result, failures, call, self._retry, self._clock.random())
            if is_put_off:
                wait = self._put_off(error, wait)
            self._gate.leave(ticket)
            if wait is None or self._is_too_late(ticket, max(wait, self._gate.closed_for())):
                break
            logger.info("an attempt failed, trying again: %s", error)
            await _put_back(call)
            if wait:
                await self._clock.sleep(wait)
            self._gate.rejoin(ticket)
        return _of_all_attempts(error or self._no_turn(), is_doubtful=is_doubtful)

    def _put_off(self, error: InSimError, wait: float | None) -> float | None:
        """Make everyone wait as the server asked, and not all come back at once."""
        asked = cast(RateLimited, error).retry_after or 0.0
        spread = self._retry.base * self._clock.random()
        self._gate.put_off(max(asked, wait or self._retry.base) + spread)
        return None if wait is None else 0.0  # the gate makes it wait

    async def _has_turn(self, ticket: Ticket) -> bool:
        """Wait for the turn of a ticket; return whether it came in time."""
        too_late = partial(self._is_too_late, ticket)
        if ticket.has_turn:
            return not too_late(0.0)
        if ticket.rank is Rank.BULK:
            return await self._gate.turn(ticket, too_late)
        with anyio.CancelScope(deadline=ticket.began + self.timeout / 2):
            return not too_late(self._gate.closed_for()) and await self._gate.turn(ticket, too_late)
        return False

    def _is_too_late(self, ticket: Ticket, wait: float) -> bool:
        """Say whether after so long a wait no attempt would begin that could well finish."""
        latest = ticket.since + self.timeout / 2
        return ticket.rank is not Rank.BULK and self._clock.now() + wait > latest

    def _no_turn(self) -> InSimError:
        if pause := self._gate.closed_for():
            return RateLimited("the server asked for a pause", retry_after=pause)
        return NotSent(
            f"nothing was sent: its turn did not come within {self.timeout / 2:g} s, "
            "half of the timeout, in which an attempt has to begin"
        )

    async def _attempt(self, call: Call[T], ticket: Ticket, trail: Trail) -> T | Failure:
        trail.begin()
        try:
            request = self._transport.request(call.path, call.body, trail)
        except Exception as error:  # noqa: BLE001 - it is the caller's client, or the base URL, that cannot do it
            words = f"base_url and http_client make no request: {words_of(error, call)}"
            return Failure(ConfigurationError(words), Again.NEVER)
        try:
            exchange = self._exchange(request, call, trail)
            result = await (
                self._bounded(exchange, trail) if ticket.rank is Rank.BULK else exchange
            )
        except BaseException:
            if trail.is_unsent():
                await _put_back(call)
            raise
        if isinstance(result, Failure):
            trail.end(unsent=result.again is Again.SAFE)
        return result

    async def _bounded(self, exchange: Awaitable[T | Failure], trail: Trail) -> T | Failure:
        """Give the whole of the time limit to one attempt."""
        with anyio.move_on_after(self.timeout):
            return await exchange
        return self._cut_short(trail)

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
            return stale()
        return judge(answer, call, self._clock)

    def _cut_short(self, trail: Trail) -> Failure:
        unsent = trail.is_unsent()
        why = "no connection was made" if unsent else "there was no answer"
        if trail.fate is Fate.WAITING:
            why = "no attempt could be made"
        why = "the client was closed" if self._closing else f"{why} within {self.timeout:g} s"
        if unsent:
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


def _of_all_attempts(error: InSimError, *, is_doubtful: bool) -> InSimError:
    """Return what an error says, where an attempt before the last one may have arrived."""
    if is_doubtful and isinstance(error, NotSent):
        return OutcomeUnknown(f"it may have been sent by an earlier attempt; then: {error}")
    return error


async def _put_back(call: Call[Any]) -> None:
    if call.put_back is not None:
        await to_its_end(call.put_back)


def _forget(error: BaseException) -> None:
    """Cut off the frames that an exception came through: those further down hold the body."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            _forget(inner)
