"""Many messages: split, send, say how each one ended.

The input goes through a pipeline of workers (``pipeline``), each of which takes from it what a
request carries (``feed``) and hands it to the delivery (``delivery``); here is what the caller
gives and gets.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Iterable,
    Mapping,
    Sized,
)
from contextlib import aclosing
from typing import Any, TypeVar

import anyio

from insim_async._http import Connection
from insim_async._sending.batches import Cargo, Room
from insim_async._sending.checks import Ids, Rules
from insim_async._sending.contacts import Contacts
from insim_async._sending.delivery import Delivery
from insim_async._sending.feed import Feed
from insim_async._sending.messages import Messages
from insim_async._sending.pipeline import Pipeline
from insim_async._sending.sources import Arriving, AtHand, Source
from insim_async._sending.tally import Tally, check_on_progress
from insim_async._wire import Account, Message
from insim_async.errors import (
    AuthenticationFailed,
    BulkInterrupted,
    ConfigurationError,
    InSimError,
    afresh,
)
from insim_async.models import BulkReport, Contact, ContactResult, Outcome, Progress, Sms
from insim_async.timing import Clock

__all__ = ["Bulk"]

T = TypeVar("T")
S = TypeVar("S")
M = TypeVar("M")
R = TypeVar("R")
E = TypeVar("E", bound=InSimError)

_OF_ALL_CONTACTS = (AuthenticationFailed, ConfigurationError)
_INTERRUPTED = "the input was not read to its end; what became of all up to there is kept here"


class Bulk:
    """The ways to send more than one, over one connection.

    Args:
        connection: Open, or refusing by itself.
        account: Makes the requests.
        rules: What may be sent.
        room: What fits into a request.
        workers: Requests under way at a time.
        clock: For the rate in ``Progress``, and for waits.
    """

    def __init__(
        self,
        connection: Connection,
        account: Account,
        rules: Rules,
        room: Room,
        *,
        workers: int,
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._account = account
        self._rules = rules
        self._room = room
        self._workers = workers
        self._clock = clock
        self._running: set[Pipeline[Any]] = set()

    async def aclose(self) -> None:
        """End the calls that still run; none of their tasks is left.

        The connection behind them is closed already.
        """
        why = "the client was closed before the input was read to its end"
        async with anyio.create_task_group() as group:
            for pipeline in self._running:
                group.start_soon(pipeline.close, ConfigurationError(why))

    async def stream(
        self, messages: Iterable[Sms] | AsyncIterable[Sms]
    ) -> AsyncGenerator[Outcome, None]:
        """Send all, yielding outcomes as batches end; then raise what stopped it, if anything did.

        That is what stopped the sending, caused by what stopped the reading; or the latter alone.
        """
        feed = self._feed(
            messages, Messages(self._account, self._rules, Ids()), raises=(InSimError,)
        )
        pipeline = self._pipeline(feed, leisurely=True)
        async with aclosing(pipeline.run()) as batches:
            async for _, outcomes in batches:
                outcomes.reverse()
                while outcomes:  # each can be forgotten as soon as the caller is done with it
                    yield outcomes.pop()
        if feed.stopped is not None:
            raise _stop_of(feed.stopped, feed.source)
        if feed.source.error is not None:
            raise feed.source.error

    async def send_many(
        self,
        messages: Iterable[Sms] | AsyncIterable[Sms],
        on_progress: Callable[[Progress], object] | None,
    ) -> BulkReport:
        """Send all and report, in the order of the input."""
        check_on_progress(on_progress)
        feed = self._feed(messages, Messages(self._account, self._rules, Ids()), raises=())
        tally = Tally(_length_of(messages), self._clock, on_progress)
        ended: dict[int, list[Outcome]] = {}
        async with aclosing(self._pipeline(feed).run()) as batches:
            async for start, outcomes in batches:
                ended[start] = outcomes
                tally.add(outcomes)
        report = tally.report([outcome for start in sorted(ended) for outcome in ended[start]])
        if feed.source.error is not None:
            raise BulkInterrupted(_INTERRUPTED, report=report) from feed.source.error
        return report

    async def add_contacts(
        self, contacts: Iterable[Contact] | AsyncIterable[Contact]
    ) -> list[ContactResult]:
        """Add all, with a result for each in the order of the input.

        It raises if the account is refused.
        """
        feed = self._feed(contacts, Contacts(self._account, self._rules), raises=_OF_ALL_CONTACTS)
        ended: dict[int, list[ContactResult]] = {}
        async with aclosing(self._pipeline(feed).run()) as batches:
            async for start, some in batches:
                ended[start] = some  # noqa: PERF403 - an async comprehension would not read better
        results = [result for start in sorted(ended) for result in ended[start]]
        if isinstance(feed.stopped, _OF_ALL_CONTACTS):
            refusal = _stop_of(feed.stopped, feed.source)
            refusal.results = results
            raise refusal
        if feed.source.error is not None:
            raise BulkInterrupted(
                _INTERRUPTED, report=BulkReport([]), results=results
            ) from feed.source.error
        return results

    def delivery(self) -> Delivery[Sms, Message, Outcome]:
        """Return a delivery of messages for whoever keeps them: whose ids are never the same."""
        return Delivery(self._connection, Messages(self._account, self._rules), self._room)

    def _source(self, items: Iterable[T] | AsyncIterable[T]) -> Source[T]:
        if (misuse := self._connection.misuse()) is not None:
            raise misuse
        if isinstance(items, AsyncIterable):
            return Arriving(items, self._room.messages)
        if isinstance(items, Iterable) and not isinstance(items, str | bytes | Mapping):
            return AtHand(items)
        raise ConfigurationError(
            f"expected a list, generator or other iterable, got {type(items).__name__}: "
            "put a single one into a list"
        )

    def _feed(
        self,
        items: Iterable[S] | AsyncIterable[S],
        cargo: Cargo[S, M, R],
        *,
        raises: tuple[type[InSimError], ...],
    ) -> Feed[S, M, R]:
        delivery = Delivery(self._connection, cargo, self._room)
        source = self._source(items)
        return Feed(source, delivery, raises=raises, clock=self._clock)

    def _pipeline(self, feed: Feed[Any, Any, R], *, leisurely: bool = False) -> Pipeline[R]:
        return Pipeline(feed, self._workers, self._running, leisurely=leisurely)


def _length_of(messages: object) -> int | None:
    try:
        return len(messages) if isinstance(messages, Sized) else None
    except Exception:  # noqa: BLE001 - it is the caller's, and may raise anything; reading it will tell
        return None


def _stop_of(stopped: E, source: Source[Any]) -> E:
    """Return what stopped a call, to be raised; outcomes and results have it, too.

    What the input raised as well is its cause, lest it be lost.
    """
    error = afresh(stopped)
    if source.error is not None:
        error.__cause__ = source.error
    return error
