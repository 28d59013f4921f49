"""The workers of a bulk call, and what comes out of them.

*Workers*, as many as there are slots, each send one request's worth of the input (``feed``), and
hand over what became of it before they go on: a caller who is slow to take outcomes slows down the
reading. The *caller's loop* takes results from the workers.

The workers live in a task of their own, the keeper, and not in the generator that the caller loops
over: a task group must be left in the task that entered it, and a generator that is dropped in the
middle is closed in whichever task comes along. Closing the generator cancels the keeper and waits
for it. A client that closes does not cancel: it lets the reading stop and the workers put down what
they have, for a caller's loop that may come back for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

import anyio

from insim_async._sending.feed import Feed, Worker
from insim_async._tasks import start, wait_whatever_comes
from insim_async.errors import OutcomeUnknown

__all__ = ["Pipeline"]

T = TypeVar("T")
R = TypeVar("R")

_inside: ContextVar[frozenset[object]] = ContextVar("inside", default=frozenset())
"""The pipelines of which this task is a part, or is waited for by their inputs."""


class _Handover(Generic[T]):
    """One place where many give, one takes, and each giver waits until its gift was taken.

    A memory stream of anyio would do, but for one thing: it forgets a native cancellation that
    comes together with an item, and a caller who is cancelled would go on sending.
    """

    def __init__(self) -> None:
        self._gifts: deque[tuple[T, anyio.Event]] = deque()
        self._news = anyio.Event()
        self._released = False
        self._ended = False

    async def give(self, gift: T) -> None:
        """Offer something, and wait until it was taken, unless nobody is to wait any more."""
        taken = anyio.Event()
        self._gifts.append((gift, taken))
        self._news.set()
        if not self._released:
            await taken.wait()

    def release(self) -> None:
        """Let no giver wait; what they gave lies there until it is taken."""
        self._released = True
        for _, taken in self._gifts:
            taken.set()

    async def take(self) -> T | None:
        """Wait for something; None is the end."""
        while not self._gifts:
            if self._ended:
                return None
            self._news = anyio.Event()
            await self._news.wait()
        gift, taken = self._gifts.popleft()
        taken.set()
        return gift

    def end(self) -> None:
        """Say that nothing more will be given."""
        self._ended = True
        self._news.set()


class Pipeline(Generic[R]):
    """The workers of one call, the task that keeps them, and what comes out of them.

    Args:
        feed: Sends the input, one request's worth at a time.
        workers: How many requests at a time.
        running: Where it enters itself while it runs.
        leisurely: Whether whoever loops over it may pause between two results for as long as it
            likes.
    """

    def __init__(
        self,
        feed: Feed[Any, Any, R],
        workers: int,
        running: set[Pipeline[Any]],
        *,
        leisurely: bool = False,
    ) -> None:
        self._feed = feed
        self._source = feed.source
        self._workers = workers
        self._running = running
        self._leisurely = leisurely
        self._results = _Handover[tuple[int, list[R]]]()
        self._failures: list[BaseException] = []
        self._scope = anyio.CancelScope()
        self._finished = False
        self._end = anyio.Event()

    async def run(self) -> AsyncGenerator[tuple[int, list[R]], None]:
        """Yield what becomes of each request's worth, with how much of the input came before it.

        Closing it cancels what is under way, and waits for that.
        """
        self._running.add(self)
        start(self._keep, self._ended)
        try:
            while (result := await self._results.take()) is not None:
                yield result
        finally:
            self._scope.cancel()
            self._source.stop()
            await wait_whatever_comes(self._end)
        if self._failures:
            raise self._failures[0]
        if not self._finished:
            raise OutcomeUnknown(
                "the sending was cancelled from outside; what was under way may have been sent"
            )

    async def close(self, why: Exception) -> None:
        """Let it come to its end where no request can be made any more, and wait for that.

        An input at hand is read on where all results are taken at once; any other is stopped, and
        ``why`` is its error.
        """
        to_be_stopped = self._leisurely or self._source.waits
        if to_be_stopped:
            self._source.stop(why)
            self._results.release()
        self._feed.hurry()
        if self in _inside.get():
            return  # it would wait for itself
        await (wait_whatever_comes(self._end) if to_be_stopped else self._end.wait())

    async def _keep(self) -> None:
        _inside.set(_inside.get() | {self})
        try:
            with self._scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._source.fill)
                    for _ in range(self._workers):
                        group.start_soon(self._work)
                # It is cancelled as a whole where one of its tasks was.
                self._finished = not group.cancel_scope.cancel_called
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - raised where somebody awaits it
            self._failures.append(error)

    async def _work(self) -> None:
        worker = Worker(self._feed)
        while (result := await worker.send()) is not None:
            await self._results.give(result)

    def _ended(self) -> None:
        self._running.discard(self)
        self._end.set()
        self._results.end()
