"""The input of a bulk call: read from what the caller gave, when it can be sent.

What was given is left as it should be. An iterable is read when a request can leave; an async
iterable by a task of its own, so that a slow one delays nothing that it has yielded already. A
generator that is not wanted any more is closed, where it was read, and not left to the garbage
collector; what else was given (a file, a channel, a list) stays the caller's.

That task enters one cancel scope before the input's first step and leaves it behind the last. A
scope around each step, or around the closing, would not do: an input may enter scopes of its own (a
task group, a time-out) and yield inside them, and scopes must be left in the reverse order. Hence
``stop`` cancels a step under way, but wakes a task that waits for room; and for the closing the
same scope turns into a shield with a deadline.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Iterator
from itertools import islice
from operator import length_hint
from typing import Generic, Protocol, TypeVar

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from insim_async._tasks import ends_the_program

__all__ = ["Arriving", "AtHand", "Source"]

T = TypeVar("T")
logger = logging.getLogger("insim_async")

CLEANUP_GRACE = 5.0
"""How long an async generator may take to clean up, in seconds, whatever is cancelled meanwhile."""


class Source(Protocol[T]):
    """Where the input comes from."""

    waits: bool
    """Whether it may take for ever to learn what comes next."""

    error: Exception | None
    """What the input raised, or why it was not read to its end."""

    async def fill(self) -> None:
        """Read ahead, if need be, until there is no more."""
        ...

    async def is_ready(self) -> bool:
        """Wait until there may be something to take; return False at the end."""
        ...

    def take(self, count: int) -> list[T]:
        """Return the next so many, or as many as there are."""
        ...

    def stop(self, why: Exception | None = None) -> None:
        """Read no more, and close a generator; what was read is still there to be taken."""
        ...


class AtHand(Generic[T]):
    """What an iterable yields, read when it is wanted."""

    waits = False

    def __init__(self, items: Iterable[T]) -> None:
        self.error: Exception | None = None
        self._items: Iterator[T] = iter(())
        self._tells_its_end = type(items) in {list, tuple}
        try:
            self._items = iter(items)
        except BaseException as error:  # noqa: BLE001 - it is the caller's, and may raise anything
            self.error = _as_error(error)
        self._ended = self.error is not None

    async def fill(self) -> None:
        pass

    async def is_ready(self) -> bool:
        # Of a list it is known when it has been read; nobody need wait for a turn to find out.
        is_read = self._tells_its_end and not length_hint(self._items)
        return not (self._ended or is_read)

    def take(self, count: int) -> list[T]:
        found: list[T] = []
        if self._ended:
            return found
        try:
            # What came before an exception stays in the list.
            found.extend(islice(self._items, count))
        except BaseException as error:  # noqa: BLE001 - it is the caller's, and may raise anything
            self.error = _as_error(error)
        self._ended = len(found) < count
        return found

    def stop(self, why: Exception | None = None) -> None:
        if self._ended:
            return
        self._ended, self.error = True, why
        if isinstance(self._items, Generator):
            try:
                self._items.close()
            except BaseException as error:  # noqa: BLE001 - it is the caller's, and may raise anything
                _say(_as_error(error))


class Arriving(Generic[T]):
    """What an async iterable has yielded so far: a fast one fills requests, a slow one does not.

    Args:
        items: As it was given.
        size: How many are read ahead.
    """

    waits = True

    def __init__(self, items: AsyncIterable[T], size: int) -> None:
        self.error: Exception | None = None
        self._items = items
        self._size = size
        self._waiting: deque[T] = deque()
        self._reading = anyio.CancelScope()
        self._asking = False
        self._stopped = False
        self._ended = False
        self._news = anyio.Event()
        self._room = anyio.Event()

    async def fill(self) -> None:
        try:
            with self._reading:
                await self._read()
        except BaseException as error:  # noqa: BLE001 - it is the caller's, and may raise anything
            if not isinstance(error, Exception):
                # This goes on if not the call was cancelled, but what the input waits for.
                await checkpoint_if_cancelled()
            self._fail(_as_error(error))
        finally:
            self._end()

    async def is_ready(self) -> bool:
        while not self._waiting and not self._ended:
            if self._news.is_set():
                self._news = anyio.Event()
            await self._news.wait()
        return bool(self._waiting)

    def take(self, count: int) -> list[T]:
        found = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
        self._room.set()
        return found

    def stop(self, why: Exception | None = None) -> None:
        if self._stopped or self._ended:
            return
        self._stopped, self.error = True, why
        self._room.set()
        if self._asking:
            self._reading.cancel()

    async def _read(self) -> None:
        items = aiter(self._items)
        try:
            while not self._stopped:
                self._asking = True
                self._waiting.append(await anext(items))
                self._asking = False
                self._news.set()
                while len(self._waiting) >= self._size and not self._stopped:
                    self._room = anyio.Event()
                    await self._room.wait()
        except StopAsyncIteration:
            pass
        finally:
            self._asking = False
            self._end()
            if isinstance(items, AsyncGenerator):
                await self._close(items)

    async def _close(self, items: AsyncGenerator[T, None]) -> None:
        self._reading.shield = True
        self._reading.deadline = anyio.current_time() + CLEANUP_GRACE
        try:
            await items.aclose()
        except anyio.get_cancelled_exc_class():
            logger.warning("the input was cut off while it was cleaning up")
            raise

    def _end(self) -> None:
        """Say that nothing more comes; whoever takes need not wait for the closing."""
        self._ended = True
        self._news.set()

    def _fail(self, error: Exception) -> None:
        if self._stopped:
            _say(error)
        else:
            self.error = error


def _as_error(error: BaseException) -> Exception:
    """Return what the caller's code raised as an error that can be raised again.

    The error means the same. A ``CancelledError`` would look like a cancellation of the call, and a
    ``StopIteration`` like an end.
    """
    if ends_the_program(error):
        raise error
    if isinstance(error, Exception) and not isinstance(error, StopIteration | StopAsyncIteration):
        return error
    failure = RuntimeError(f"the input raised {type(error).__name__}")
    failure.__cause__ = error
    return failure


def _say(error: Exception) -> None:
    logger.warning("the input raised %s when it was stopped", type(error).__name__)
