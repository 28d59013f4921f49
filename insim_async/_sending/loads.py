"""Loads: single messages that wait travel together, each for a caller of its own (group commit).

A *load* is opened by the first message, with a place in the line, and joined by others for as long
as it waits. With a slot free it waits one turn of the event loop and takes up to ten, so that the
slots share the work of a turn; with all slots busy as many as fit into a request. A lone message
goes alone, at once, in the task of its caller.

::

    open ──its turn comes, or it is full, or old──▶ closed ──▶ under way ──▶ ended

One task, one event and one deadline serve a load. Whoever is cancelled leaves it: waiting, it is
taken out and never sent; under way, the others go on. The last one to leave cancels the request.
"""

from __future__ import annotations

import contextvars
import math
from collections.abc import Callable, Iterable
from functools import partial

import anyio
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from insim_async._http import Connection, Rank, Ticket
from insim_async._sending.batches import Batch, Room
from insim_async._sending.delivery import Delivery
from insim_async._sending.messages import Messages
from insim_async._tasks import start, wait_whatever_comes
from insim_async._wire import Message
from insim_async.errors import (
    ConfigurationError,
    InSimError,
    InvalidMessage,
    NotSent,
    OutcomeUnknown,
    afresh,
)
from insim_async.models import Outcome, Sms
from insim_async.timing import Clock

__all__ = ["Loads"]

OF_ONE_TURN = 10
"""So many messages of one turn of the event loop share a request while slots are free."""
JOINABLE = 0.1
"""For so much of the timeout a load can be joined: the deadlines in it differ by no more."""
_CANCELLED = "the sending was cancelled from outside"


class Loads:
    """Sends single messages for many callers.

    Args:
        connection: Takes the requests.
        messages: Checks and writes them.
        room: What fits into a request.
        clock: Tells how old a load is.
    """

    def __init__(
        self, connection: Connection, messages: Messages, room: Room, clock: Clock
    ) -> None:
        self._connection = connection
        self._messages = messages
        self._delivery = Delivery(connection, messages, room)
        self._clock = clock
        self._last: dict[Rank, _Load] = {}
        self._running: set[_Load] = set()

    async def send(self, sms: Sms) -> Outcome:
        """Send one message, within the deadline of its load; return how it ended.

        Cancelled while it waits, it is not sent. Under way it may have been, and it disturbs none
        of those that it travels with.
        """
        message = self._messages.check_one(sms)
        if isinstance(message, InvalidMessage):
            return Outcome(sms, None, message)
        parts = self._messages.parts_of(message) if self._delivery.room.parts < math.inf else 0
        load = self._load_for(message, parts)
        if isinstance(load, ConfigurationError):
            return Outcome(sms, None, load)
        return await load.send(sms, message, parts)

    async def aclose(self) -> None:
        """Wait until no load is left; the connection behind them is closed already."""
        for load in list(self._running):
            await wait_whatever_comes(load.event())

    def _load_for(self, message: Message, parts: int) -> _Load | ConfigurationError:
        rank = Rank.URGENT if message.is_urgent else Rank.SINGLE
        load = self._last.get(rank)
        if load is not None and load.has_room_for(message, parts) and not self._is_old(load):
            return self._connection.misuse() or load
        ticket = self._connection.join(rank, paced=True)
        if isinstance(ticket, ConfigurationError):
            return ticket
        load = self._last[rank] = _Load(self._connection, self._delivery, ticket, self._forget)
        self._running.add(load)
        return load

    def _forget(self, load: _Load) -> None:
        self._running.discard(load)
        if self._last.get(load.ticket.rank) is load:
            del self._last[load.ticket.rank]  # it holds texts

    def _is_old(self, load: _Load) -> bool:
        return self._clock.now() - load.ticket.since > JOINABLE * self._connection.timeout


class _Load:
    """Messages that share a request, and the supply of that request.

    Args:
        connection: Holds its place in the line.
        delivery: Sends it.
        ticket: Its place in the line.
        forget: Called when it has ended.

    Attributes:
        ticket: As given.
    """

    def __init__(
        self,
        connection: Connection,
        delivery: Delivery[Sms, Message, Outcome],
        ticket: Ticket,
        forget: Callable[[_Load], None],
    ) -> None:
        self.ticket = ticket
        self._connection = connection
        self._delivery = delivery
        self._forget = forget
        self._scope: anyio.CancelScope | None = None
        self._news: anyio.Event | None = None
        self._has_ended = False
        self._is_open = True
        self._sms: list[Sms] = []
        self._messages: list[Message] = []
        self._ids: set[str] = set()
        self._parts = 0
        self._left: set[int] = set()
        self._under_way: list[int] = []
        self._outcomes: dict[int, Outcome] = {}
        self._failure: Exception | None = None

    def has_room_for(self, message: Message, parts: int) -> bool:
        """Whether it can be joined; an id never travels twice in one request."""
        room = self._delivery.room
        most = min(OF_ONE_TURN, room.messages) if self.ticket.has_turn else room.messages
        return (
            self._is_open
            and len(self._messages) < most
            and self._parts + parts <= room.parts
            and message.id_sms_api not in self._ids
        )

    async def send(self, sms: Sms, message: Message, parts: int) -> Outcome:
        """Join, and wait for the outcome."""
        place = len(self._messages)
        self._sms.append(sms)
        self._messages.append(message)
        self._ids.add(message.id_sms_api)
        self._parts += parts
        try:
            if place == 0:
                await self._lead()
            if not self._has_ended:
                await self.event().wait()
        except BaseException:
            await self._leave(place)
            raise
        if self._failure is not None and place not in self._outcomes:
            raise afresh(self._failure)
        return self._outcomes[place]

    def event(self) -> anyio.Event:
        """Return what is set when there is an outcome for each."""
        self._news = self._news or anyio.Event()  # a lone message needs none
        return self._news

    async def _lead(self) -> None:
        """Wait for one turn of the event loop; then go alone, or leave it to a task.

        The task has no caller's context, such as the span of a trace: it has many callers.
        """
        await checkpoint()
        if len(self._messages) == 1 and self.ticket.has_turn:
            await self._deliver()
            self._end()
        else:
            self._start()

    def _start(self) -> None:
        self._scope = anyio.CancelScope()
        start(partial(self._run, self._scope), self._end, context=contextvars.Context())

    async def _run(self, scope: anyio.CancelScope) -> None:
        with scope:
            await self._deliver()

    async def _deliver(self) -> None:
        try:
            while pending := self._pending():
                result = await self._delivery.send(self, self.ticket)
                if isinstance(result, InSimError):
                    given = [self._sms[place] for place in pending]
                    self._tell(pending, [Outcome(sms, None, result) for sms in given])
                else:
                    self._tell(self._under_way, [] if result is None else result.told)
        except Exception as error:  # noqa: BLE001 - raised where somebody awaits it
            self._failure = error

    # The supply

    async def take(self, room: Room) -> Batch[Sms, Message] | None:
        """Close it, and return what goes now: all who are still there and know of no outcome."""
        self._is_open = False
        self._under_way = self._pending()[: room.messages]
        messages = [self._messages[place] for place in self._under_way]
        given = [self._sms[place] for place in self._under_way]
        return Batch(0, given, messages, messages) if messages else None

    async def put_back(self, _: Batch[Sms, Message]) -> None:
        """Have back what was taken, as if it had not been."""
        self._under_way = []

    # The callers

    def _pending(self) -> list[int]:
        return [
            place
            for place in range(len(self._messages))
            if place not in self._outcomes and place not in self._left
        ]

    def _tell(self, places: Iterable[int], outcomes: list[Outcome]) -> None:
        """Tell each caller; each gets an exception of its own, whose traceback is its own."""
        shared = len(outcomes) > 1
        for place, outcome in zip(places, outcomes, strict=True):
            if shared and outcome.error is not None:
                self._outcomes[place] = replace(outcome, error=afresh(outcome.error))
            else:
                self._outcomes[place] = outcome

    async def _leave(self, place: int) -> None:
        """Take out a caller who waits no longer; the last one ends it all."""
        self._left.add(place)
        if len(self._left) < len(self._messages):
            if place == 0 and self._scope is None:
                self._start()
            return
        self._is_open = False
        if self._scope is None:
            self._end()
        else:
            self._scope.cancel()
            await wait_whatever_comes(self.event())

    def _end(self) -> None:
        """End it, however that came about: its task may have been cancelled from outside."""
        self._is_open = False
        self._connection.leave(self.ticket)
        for place in self._pending() if self._failure is None else ():
            error: InSimError = NotSent(f"{_CANCELLED}, and nothing was sent")
            if place in self._under_way:
                error = OutcomeUnknown(f"{_CANCELLED}; it may have been sent")
            self._outcomes[place] = Outcome(self._sms[place], None, error)
        self._forget(self)
        self._has_ended = True
        if self._news is not None:
            self._news.set()
