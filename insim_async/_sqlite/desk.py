"""Group commit: callers queue operations, and one thread does all that wait in one transaction.

A commit costs a millisecond and more, however much is in it. So the tasks of an event loop bring
what they want done to its *desk*. What waits there is done together by a background task, which
outlives the callers: one that is cancelled meanwhile still has its operation done. If any of a
batch fails nothing of it is done, and each caller is told by an error of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar
from msgspec import Struct

from insim_async import _tasks
from insim_async._sqlite.file import Action, File
from insim_async.errors import InSimError

__all__ = ["Desk", "Desks", "Operation"]

T = TypeVar("T")


class _NotDone(Struct, frozen=True):
    """Stands in for the result of an operation that was not done, and says why."""

    words: str


class Operation(Generic[T]):
    """An action that waits for its transaction, and what came of it.

    Attributes:
        settled: Set when it was done, or was not.
    """

    def __init__(self, action: Action[T], file: File) -> None:
        self.action = action
        self.settled: anyio.Event = anyio.Event()
        self.outcome: T | _NotDone = _NotDone(f"the {file.name}'s file does not answer")
        self._file = file

    @property
    def is_done(self) -> bool:
        """Whether it was done; False as long as it waits."""
        return not isinstance(self.outcome, _NotDone)

    def result(self) -> T:
        """Return its result.

        Raises:
            InSimError: Of the class of whoever opened the file: it was not done, or not yet.
        """
        if isinstance(self.outcome, _NotDone):
            raise self._file.unavailable(self.outcome.words)
        return self.outcome


class Desk:
    """The operations that wait in one event loop, and the background task that has them done.

    Args:
        file: What they are done to.
    """

    def __init__(self, file: File) -> None:
        self._file = file
        self._limiter = anyio.CapacityLimiter(1)
        self._waiting: list[Operation[Any]] = []
        self._batch: list[Operation[Any]] = []
        self._task: object = None  # stands for the background task while it runs
        self._news = anyio.Event()

    @property
    def is_closed(self) -> bool:
        """Whether the file was closed for good."""
        return self._file.closed

    def news(self) -> anyio.Event:
        """Return an event that is set when there may be work for a worker."""
        if self._news.is_set():
            self._news = anyio.Event()
        return self._news

    def wake(self) -> None:
        """Tell the workers that there may be work."""
        self._news.set()

    async def do(self, action: Action[T], timeout: float = math.inf) -> T:  # noqa: ASYNC109 - what had begun goes on
        """Do an action in the next transaction and return its result.

        If this is cancelled the action is done all the same.


        Args:
            action: Runs in a thread, for no longer than it must.
            timeout: Seconds to wait for it.

        Raises:
            InSimError: Of the class of whoever opened the file. It was not done; or, where the time
                was over, it was begun and may be done all the same.
        """
        operation = self.begin(action)
        with anyio.move_on_after(timeout):
            await operation.settled.wait()
        if not operation.settled.is_set() and operation in self._waiting:
            self._waiting.remove(operation)
        return operation.result()

    def begin(self, action: Action[T]) -> Operation[T]:
        """Have an action done in the next transaction, and wait for nothing."""
        operation = Operation(action, self._file)
        self._waiting.append(operation)
        if self._task is None:
            self._task = object()
            _tasks.start(self._run, partial(self._ended, self._task))
        return operation

    async def _run(self) -> None:
        with anyio.CancelScope(shield=True):
            while self._waiting:
                self._batch, self._waiting = self._waiting, []
                with suppress(RuntimeError):  # no thread to be had
                    await anyio.to_thread.run_sync(
                        self._transact, self._batch, limiter=self._limiter
                    )
                self._settle()
        self._task = None

    def _transact(self, batch: Sequence[Operation[Any]]) -> None:
        results: Sequence[Any]
        try:
            results = self._file.transact([operation.action for operation in batch])
        except InSimError as error:
            results = [_NotDone(str(error))] * len(batch)
        for operation, result in zip(batch, results, strict=True):
            operation.outcome = result

    def _ended(self, task: object) -> None:
        if self._task is task:
            # It was cancelled from outside; if the loop is being closed, a new one would never end.
            self._batch, self._waiting = self._batch + self._waiting, []
            self._settle()
            self._task = None

    def _settle(self) -> None:
        for operation in self._batch:
            operation.settled.set()
        self._batch = []


class Desks:
    """The desks of one file: one in each event loop that uses it.

    Args:
        file: What all of them write to.
    """

    def __init__(self, file: File) -> None:
        self._file = file
        self._here = RunVar[Desk]("desk")

    def here(self) -> Desk:
        """Return the desk of the running event loop.

        Raises:
            ConfigurationError: The file is closed.
        """
        self._file.check_open()
        desk = self._here.get(None)
        if desk is None:
            desk = Desk(self._file)
            self._here.set(desk)
        return desk
