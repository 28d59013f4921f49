"""Batches of an input through workers: what is read, what is under way, what comes out of it.

A *source* hands out batches of whatever the caller gave: an iterable is read when a batch is wanted; an async iterable
by a task of its own, so that a slow one delays nothing that it has yielded already. *Workers*, as many as there are
slots, each take a batch, send it, and hand over what became of it before they take the next: nothing is read ahead of
what can be sent, and a caller who is slow to take outcomes slows down the reading. The *caller's loop* takes results
from the workers.

The workers live in a task of their own, the keeper, and not in the generator that the caller loops over: a task group
must be left in the task that entered it, and a generator that is dropped in the middle is closed in whichever task
comes along. Closing the generator cancels the keeper and waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from itertools import count, islice
from typing import Generic, Protocol, TypeVar

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from insim_async._tasks import start, wait_whatever_comes
from insim_async.errors import OutcomeUnknown

__all__ = ["Arriving", "AtHand", "Pipeline", "Source"]

T = TypeVar("T")
R = TypeVar("R")


class Source(Protocol[T]):
    """Where batches come from."""

    error: Exception | None

    async def fill(self) -> None:
        """Read ahead, if need be, until there is no more."""
        ...

    async def take(self) -> list[T]:
        """Return the next batch; an empty one is the end."""
        ...


class AtHand(Generic[T]):
    """Batches of an iterable, read when they are wanted."""

    def __init__(self, items: Iterable[T], size: int) -> None:
        self.error: Exception | None = None
        self._items = iter(items)
        self._size = size

    async def fill(self) -> None:
        pass

    async def take(self) -> list[T]:
        batch: list[T] = []
        try:
            batch.extend(islice(self._items, self._size))  # what came before an exception stays in the list
        except Exception as error:  # noqa: BLE001 - it is the caller's, and may raise anything
            self.error = error
            self._items = iter(())
        return batch


class Arriving(Generic[T]):
    """Batches of what an async iterable has yielded so far: full ones from a fast one, small ones from a slow one."""

    def __init__(self, items: AsyncIterable[T], size: int) -> None:
        self.error: Exception | None = None
        self._items = items
        self._size = size
        self._waiting: deque[T] = deque()
        self._ended = False
        self._news = anyio.Event()
        self._room = anyio.Event()

    async def fill(self) -> None:
        try:
            async for item in self._items:
                self._waiting.append(item)
                self._news.set()
                while len(self._waiting) >= self._size:
                    self._room = anyio.Event()
                    await self._room.wait()
        except anyio.get_cancelled_exc_class() as error:
            await checkpoint_if_cancelled()  # goes on if not this was cancelled, but what the input waits for
            self.error = RuntimeError("the input was cancelled")
            self.error.__cause__ = error
        except Exception as error:  # noqa: BLE001 - it is the caller's, and may raise anything
            self.error = error
        self._ended = True
        self._news.set()

    async def take(self) -> list[T]:
        while not self._waiting and not self._ended:
            if self._news.is_set():
                self._news = anyio.Event()
            await self._news.wait()
        batch = [self._waiting.popleft() for _ in range(min(self._size, len(self._waiting)))]
        self._room.set()
        return batch


class _Handover(Generic[T]):
    """One place where many give, one takes, and each giver waits until its gift was taken.

    A memory stream of anyio would do, but for one thing: it forgets a native cancellation that comes together with an
    item, and a caller who is cancelled would go on sending.
    """

    def __init__(self) -> None:
        self._gifts: deque[tuple[T, anyio.Event]] = deque()
        self._news = anyio.Event()
        self._ended = False

    async def give(self, gift: T) -> None:
        """Offer something; return when it was taken."""
        taken = anyio.Event()
        self._gifts.append((gift, taken))
        self._news.set()
        await taken.wait()

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


class Pipeline(Generic[T, R]):
    """The workers of one call, the task that keeps them, and what comes out of them.

    Args:
        source: Hands out the batches.
        handle: Makes something of each.
        workers: How many batches at a time.
    """

    def __init__(self, source: Source[T], handle: Callable[[list[T]], Awaitable[list[R]]], workers: int) -> None:
        self._source = source
        self._handle = handle
        self._workers = workers
        self._numbers = count()
        self._results = _Handover[tuple[int, list[R]]]()
        self._failures: list[BaseException] = []
        self._scope = anyio.CancelScope()
        self._finished = False
        self._end = anyio.Event()

    async def run(self) -> AsyncGenerator[tuple[int, list[R]], None]:
        """Yield what becomes of each batch as it ends, with the batch's number; raise what ``handle`` raises.

        Closing it cancels what is under way, and waits for that.
        """
        start(self._keep, self._ended)
        try:
            while (result := await self._results.take()) is not None:
                yield result
        finally:
            self._scope.cancel()
            await wait_whatever_comes(self._end)
        if self._failures:
            raise self._failures[0]
        if not self._finished:
            raise OutcomeUnknown("the sending was cancelled from outside; what was under way may have been sent")

    async def _keep(self) -> None:
        try:
            with self._scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._source.fill)
                    for _ in range(self._workers):
                        group.start_soon(self._work)
                self._finished = not group.cancel_scope.cancel_called  # as it is where one of them was cancelled
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - raised where somebody awaits it
            self._failures.append(error)

    async def _work(self) -> None:
        while batch := await self._source.take():
            number = next(self._numbers)
            try:
                await self._results.give((number, await self._handle(batch)))
            except Exception as error:  # noqa: BLE001 - raised where somebody awaits it
                self._failures.append(error)
                self._scope.cancel()

    def _ended(self) -> None:
        self._end.set()
        self._results.end()
