"""What a bulk call has to send, and the workers that send it, one request's worth at a time.

Only one worker at a time reads, and it reads when its request may leave: what is behind it in the
input is not touched before. What did not fit, and what was put back, goes before all that is read
later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

import anyio

from insim_async._sending.batches import Batch, Ending, Room
from insim_async._sending.breaker import Breaker
from insim_async._sending.delivery import Delivery, not_sent_after
from insim_async._sending.sources import Source
from insim_async.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InSimError,
    NotSent,
    OutcomeUnknown,
)
from insim_async.timing import Clock

__all__ = ["Feed", "Worker"]

S = TypeVar("S")
M = TypeVar("M")
R = TypeVar("R")


class Feed(Generic[S, M, R]):
    """The input of one bulk call, and what is known of the call as a whole.

    Once the account was refused, the address turned out to be wrong, or the breaker has given up,
    nothing more is sent.

    Args:
        source: Where the input comes from.
        delivery: Sends it.
        raises: What the call will raise: then the rest of the input is left unread. After anything
            else it is read, since its caller is told of each.
        clock: For the waits of the breaker.

    Attributes:
        source: As given.
        delivery: As given.
        breaker: Whether only probes may be sent.
        reading: Held by the worker that reads, or is about to.
        stopped: What every later request would end in as well; None as long as there is hope.
    """

    def __init__(
        self,
        source: Source[S],
        delivery: Delivery[S, M, R],
        *,
        raises: tuple[type[InSimError], ...],
        clock: Clock,
    ) -> None:
        self.source = source
        self.delivery = delivery
        self.breaker = Breaker()
        self.reading = anyio.Lock(fast_acquire=True)
        self.stopped: InSimError | None = None
        self._raises = raises
        self._clock = clock
        self._waiting: deque[Batch[S, M]] = deque()
        self._read = 0
        self._look: anyio.CancelScope | None = None
        self._nap: anyio.CancelScope | None = None
        self._is_hurried = False

    async def is_ready(self) -> bool:
        """Wait until there may be something to take; return False at the end."""
        while not self._waiting:
            with anyio.CancelScope() as self._look:
                return await self.source.is_ready()
        return True

    def take(self, room: Room) -> Batch[S, M] | None:
        """Return what goes first, as much as there is room for; None if there is nothing."""
        batch = self._waiting.popleft() if self._waiting else self._next(room.messages)
        if batch is None:
            return None
        batch, rest = batch.cut(room, self.delivery.cargo.parts_of)
        if rest is not None:
            self.put_back(rest)
        return batch

    def put_back(self, batch: Batch[S, M]) -> None:
        """Let a batch go first; nobody need wait for the source."""
        self._waiting.appendleft(batch)
        _end(self._look)

    def note(self, ending: Ending[S, M, R], *, is_probe: bool) -> None:
        """Learn from how a request ended."""
        errors = ending.errors
        if not ending.batch.good:
            return
        unknown = errors is not None and all(isinstance(e, OutcomeUnknown) for e in errors)
        self.breaker.ended(unknown=unknown, probe=is_probe)
        if not self.breaker.is_open:
            _end(self._nap)
        self.learn(errors or ())

    def learn(self, errors: Sequence[InSimError | None]) -> None:
        """Stop for what every later request would end in as well."""
        for error in errors:
            if isinstance(error, AuthenticationFailed | ConfigurationError):
                self.stop_for(error)

    async def wait_for_probe(self) -> None:
        """Wait until the next probe may be sent; if there has been the last, give up."""
        wait = self.breaker.wait
        if wait is None:
            self.stop_for(
                NotSent(
                    "nothing was sent after several requests in a row, and then several single "
                    "messages, had no answer of any use: look whether base_url is reached at all"
                )
            )
            return
        if not self._is_hurried:
            with anyio.CancelScope() as self._nap:
                await self._clock.sleep(wait)

    def hurry(self) -> None:
        """Wait for no probe any more: the client is being closed."""
        self._is_hurried = True
        _end(self._nap)

    def _next(self, count: int) -> Batch[S, M] | None:
        given = self.source.take(count)
        start = self._read
        self._read += len(given)
        return self.delivery.cargo.check(given, start) if given else None

    def stop_for(self, error: InSimError) -> None:
        """Let nothing more be sent, for the first of the reasons that there are."""
        if self.stopped is None:
            self.stopped = error
            if isinstance(error, self._raises):
                self.source.stop()  # it may be endless


def _end(wait: anyio.CancelScope | None) -> None:
    if wait is not None:
        wait.cancel()


class Worker(Generic[S, M, R]):
    """Sends what a feed has, one request after the other; the supply of its own requests.

    Args:
        feed: Shared with the other workers of the call.
    """

    def __init__(self, feed: Feed[S, M, R]) -> None:
        self._feed = feed
        self._held: Batch[S, M] | None = None
        self._is_reading = False
        self._is_probing = False

    async def send(self) -> tuple[int, list[R]] | None:
        """Send one request's worth; return how much came before it, and what became of it.

        None is the end. It raises nothing.
        """
        while True:
            try:
                await self._feed.reading.acquire()
                self._is_reading = True
                if not await self._feed.is_ready():
                    return None
                ending = await self._send()
            finally:
                self._end_reading()
            if ending is not None:
                return ending.batch.start, ending.told

    async def take(self, room: Room) -> Batch[S, M] | None:
        """Read, and let the next worker do so; or take what was put back."""
        self._return_held()
        feed = self._feed
        if feed.stopped is not None or (feed.breaker.is_open and not self._is_probing):
            return None
        if self._is_probing:
            return feed.take(room._replace(messages=1))
        batch = feed.take(room)
        self._end_reading()
        return batch

    async def put_back(self, batch: Batch[S, M]) -> None:
        """Keep a batch for the next attempt."""
        self._held = batch

    async def _send(self) -> Ending[S, M, R] | None:
        feed = self._feed
        if feed.stopped is not None:
            return self._end_unsent(feed.stopped)
        self._is_probing = feed.breaker.is_open
        if self._is_probing:
            await feed.wait_for_probe()
            if feed.stopped is not None or not feed.breaker.is_open:
                return None
        result = await feed.delivery.send(self)
        if isinstance(result, InSimError):
            feed.learn([result])
            return self._end_unsent(result)
        if result is not None:
            feed.note(result, is_probe=self._is_probing)
        return result

    def _end_unsent(self, error: InSimError) -> Ending[S, M, R] | None:
        """End what would have gone next, for a reason that goes for all of it."""
        self._return_held()
        batch = self._feed.take(self._feed.delivery.room)
        return (
            None
            if batch is None
            else self._feed.delivery.cargo.ending(batch, not_sent_after(error))
        )

    def _return_held(self) -> None:
        if self._held is not None:
            self._feed.put_back(self._held)
            self._held = None

    def _end_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._feed.reading.release()
