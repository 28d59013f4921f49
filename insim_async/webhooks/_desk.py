"""Where what is to be done with the inbox's file waits, and is done together in one transaction.

A commit costs a millisecond and more, however much is in it. So whatever waits at a *desk*, of which each event loop
has one, is done in one transaction, in a thread. The task that carries it there belongs to nobody: whoever brought
something may be cancelled, and it is done all the same. If any of it fails nothing is done, everybody is told, and the
connection is dropped, by which SQLite rolls back. A connection belongs to the process that opened it.
"""

from __future__ import annotations

import math
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio
import anyio.to_thread

from insim_async import _tasks
from insim_async._database import Layout, execute_patiently, inode_of, open_database
from insim_async.errors import ConfigurationError, InboxUnavailable

__all__ = ["Action", "Desk", "File", "Operation"]

T = TypeVar("T")
Action = Callable[[sqlite3.Connection], T]

_inherited: list[sqlite3.Connection] = []
"""Connections that a parent process opened before a fork: not to be used here, nor to be closed."""


class Operation(Generic[T]):
    """Something to do within a transaction, and what came of it."""

    def __init__(self, action: Action[T]) -> None:
        self.action = action
        self.settled = anyio.Event()
        self.result: T | InboxUnavailable = InboxUnavailable("the inbox's file does not answer")


class File:
    """The file: one connection of this process at most, and one thread at a time.

    Args:
        path: Absolute.
        layout: What is in it.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.closed: bool = False
        self._path = path
        self._layout = layout
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, object] | None = None  # by which process, and which file
        self._lock = threading.Lock()
        # No fork during a transaction: SQLite would take the locks that the parent has for the child's own.
        os.register_at_fork(
            before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._lock.release
        )

    def transact(self, operations: list[Operation[Any]]) -> None:
        """Do all of them or none, and let each know; raise nothing. It blocks, for three seconds at most."""
        with self._lock:
            try:
                connection = self._connected()
                execute_patiently(connection, "BEGIN IMMEDIATE")
                results = [operation.action(connection) for operation in operations]
                execute_patiently(connection, "COMMIT")
            except Exception as error:  # noqa: BLE001 - whatever it is, everybody is told
                self._drop()
                results = [InboxUnavailable(self._said(error)) for _ in operations]
        for operation, result in zip(operations, results, strict=True):
            operation.result = result

    def close(self) -> None:
        """Close it for good, behind the transaction that is under way."""
        with self._lock:
            self.closed = True
            self._drop()

    def _connected(self) -> sqlite3.Connection:
        if self.closed:
            raise ConfigurationError("the inbox is closed")
        here = (os.getpid(), inode_of(self._path))
        if self._connection is None or self._opened != here:
            self._drop()
            self._connection, self._opened = open_database(self._path, self._layout), here
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            if self._opened is not None and self._opened[0] == os.getpid():
                connection.close()
            else:
                _inherited.append(connection)

    def _said(self, error: Exception) -> str:
        match error:
            case ConfigurationError():
                return str(error)
            case sqlite3.Error():
                return f"{self._path}: {error}"
            case OSError():
                return f"{self._path}: {error.strerror}"
            case _:
                return f"{self._path}: {type(error).__name__}"


class Desk:
    """What waits to be done in one event loop, and the task that does it while there is something."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._limiter = anyio.CapacityLimiter(1)
        self._waiting: list[Operation[Any]] = []
        self._batch: list[Operation[Any]] = []
        self._carrier: object = None
        self._news = anyio.Event()

    def news(self) -> anyio.Event:
        """Return what will be set when there may be work for a worker."""
        if self._news.is_set():
            self._news = anyio.Event()
        return self._news

    def wake(self) -> None:
        """Tell the workers that there may be work."""
        self._news.set()

    async def do(self, action: Action[T], patience: float = math.inf) -> T:
        """Do it in the next transaction, even if this is cancelled meanwhile.

        Args:
            action: Runs in a thread, for no longer than it must.
            patience: Seconds to wait.

        Raises:
            InboxUnavailable: It was not done; or, where patience ended, it was begun and may be done all the same.
        """
        operation = Operation(action)
        self._waiting.append(operation)
        self._begin()
        with anyio.move_on_after(patience):
            await operation.settled.wait()
        if not operation.settled.is_set() and operation in self._waiting:
            self._waiting.remove(operation)
        if isinstance(operation.result, InboxUnavailable):
            raise operation.result
        return operation.result

    def _begin(self) -> None:
        if self._carrier is None:
            self._carrier = object()
            _tasks.start(self._carry, partial(self._ended, self._carrier))

    async def _carry(self) -> None:
        with anyio.CancelScope(shield=True):
            while self._waiting:
                self._batch, self._waiting = self._waiting, []
                with suppress(RuntimeError):  # no thread to be had
                    await anyio.to_thread.run_sync(self._file.transact, self._batch, limiter=self._limiter)
                self._settle()
        self._carrier = None

    def _ended(self, carrier: object) -> None:
        if self._carrier is carrier:
            # It was cancelled from outside; if the loop is being closed, a new one would never end.
            self._batch, self._waiting = self._batch + self._waiting, []
            self._settle()
            self._carrier = None

    def _settle(self) -> None:
        for operation in self._batch:
            operation.settled.set()
        self._batch = []
