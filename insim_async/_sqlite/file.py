"""One file of this process: one connection to it, one transaction at a time, all of it or nothing.

If anything fails in a transaction nothing of it is done, and the connection is dropped, by which
SQLite rolls back. A connection belongs to the process that opened it: one that came through a fork
is neither used nor closed.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from insim_async._sqlite.opening import Layout, execute_patiently, inode_of, open_database
from insim_async.errors import ConfigurationError, InSimError

__all__ = ["Action", "File"]

T = TypeVar("T")
Action = Callable[[sqlite3.Connection], T]
"""What is done within a transaction; it neither begins nor ends one."""

_inherited: list[sqlite3.Connection] = []
"""Connections that a parent process opened before a fork: not to be used here, nor to be closed."""


class File:
    """A file that was prepared; this process has one connection to it, for one thread at a time.

    Args:
        path: Absolute.
        layout: What is in it.
        name: What errors call it, as in "the inbox is closed".
        unavailable: The error of whoever opens it, for what could not be done.
    """

    def __init__(
        self, path: Path, layout: Layout, *, name: str, unavailable: type[InSimError]
    ) -> None:
        self.name = name
        self.unavailable = unavailable
        self.closed: bool = False
        self._path = path
        self._layout = layout
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, object] | None = None  # by which process, and which file
        self._lock = threading.Lock()
        # No fork during a transaction: SQLite would take the parent's locks for the child's own.
        os.register_at_fork(
            before=self._lock.acquire,
            after_in_parent=self._lock.release,
            after_in_child=self._lock.release,
        )

    def transact(self, actions: Sequence[Action[Any]]) -> list[Any]:
        """Do all actions in one transaction, and return their results.

        It blocks, for three seconds at most.

        Raises:
            InSimError: Of the opener's class: something failed, and nothing was done.
        """
        with self._lock:
            try:
                connection = self._connected()
                execute_patiently(connection, "BEGIN IMMEDIATE")
                results = [action(connection) for action in actions]
                execute_patiently(connection, "COMMIT")
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told in words of ours
                self._drop()
                fault = self._words(error)
            else:
                return results
        raise self.unavailable(fault)

    def check_open(self) -> None:
        """Raise if it was closed.

        Raises:
            ConfigurationError: It was.
        """
        if self.closed:
            raise ConfigurationError(f"the {self.name} is closed")

    def close(self) -> None:
        """Close it for good, behind the transaction that is under way."""
        with self._lock:
            self.closed = True
            self._drop()

    def _connected(self) -> sqlite3.Connection:
        self.check_open()
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

    def _words(self, error: Exception) -> str:
        match error:
            case ConfigurationError():
                return str(error)
            case sqlite3.Error():
                return f"{self._path}: {error}"
            case OSError():
                return f"{self._path}: {error.strerror}"
            case _:
                return f"{self._path}: {type(error).__name__}"
