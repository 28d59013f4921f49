"""One file of this process: one connection to it, one transaction at a time, all of it or nothing.

If anything fails in a transaction nothing of it is done, and the connection is dropped, by which
SQLite rolls back. A connection belongs to the process that opened it: one that came through a fork
is neither used nor closed.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from insim_async._sqlite.opening import (
    Layout,
    execute_patiently,
    has_write_ahead_log,
    inode_of,
    open_database,
)
from insim_async._sqlite.placing import drafted
from insim_async.errors import ConfigurationError, InSimError

__all__ = ["Action", "File"]

logger: logging.Logger = logging.getLogger("insim_async")
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
        patience: Seconds to wait for other processes; None for a second and a half.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        *,
        name: str,
        unavailable: type[InSimError],
        patience: float | None = None,
    ) -> None:
        self.name = name
        self.unavailable = unavailable
        self.closed: bool = False
        self._path = path
        self._layout = layout
        self._patience = patience
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, object] | None = None  # by which process, and which file
        self._has_log = False  # of which we have told
        self._lock = threading.Lock()
        # No fork during a transaction: SQLite would take the parent's locks for the child's own.
        os.register_at_fork(
            before=self._lock.acquire,
            after_in_parent=self._lock.release,
            after_in_child=self._lock.release,
        )

    def transact(self, actions: Sequence[Action[Any]]) -> list[Any]:
        """Do all actions in one transaction, and return their results.

        It blocks, for twice its patience at most, beside what the actions take.

        Raises:
            InSimError: Of the opener's class: something failed, and nothing was done.
        """
        with self._lock:
            try:
                connection = self._connected()
                execute_patiently(connection, "BEGIN IMMEDIATE", self._patience)
                results = [action(connection) for action in actions]
                execute_patiently(connection, "COMMIT", self._patience)
                self._mind_the_log(connection)
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told in words of ours
                self._drop()
                fault = self._words(error)
            else:
                return results
        raise self.unavailable(fault)

    def copy(self, to: Path) -> None:
        """Copy it as it is now, into a new file for its owner alone.

        It blocks, and so do transactions meanwhile, of all processes. A file that a process has
        open must not be read in any other way there: whoever closes a descriptor of it loses
        SQLite's locks.

        Args:
            to: Absolute; where no file is.

        Raises:
            ConfigurationError: Something is there, or nothing can be written there.
            InSimError: Of the opener's class: it could not be read, or copied to the end.
        """
        try:
            # It is synced when it is whole, and nobody waits for that.
            with drafted(to) as draft, self._lock:
                self._copy(draft)
        except OSError as error:
            fault = f"{to}: {error.strerror}"
        else:
            return
        raise ConfigurationError(fault)

    def _copy(self, draft: Path) -> None:
        try:
            connection = self._connected()
            _copy(connection, draft)
            self._mind_the_log(connection)
        except (sqlite3.Error, OSError) as error:
            self._drop()
            fault = self._words(error)
        else:
            return
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
            self._connection = open_database(self._path, self._layout, self._patience)
            self._opened = here
        return self._connection

    def _mind_the_log(self, connection: sqlite3.Connection) -> None:
        """Let go of a file for which another program has set a write-ahead log.

        With a log several writers are not safe, and it can be given up only while nobody else has
        the file open: so each connection is closed at once, and the next one tries. It never fails:
        what was committed before it was done.
        """
        try:
            has_log = has_write_ahead_log(connection)
        except sqlite3.Error:
            self._drop()
            return
        if has_log and not self._has_log:
            logger.warning(
                "%s: another program has set a write-ahead log (PRAGMA journal_mode = WAL); it is "
                "given up as soon as nobody else has the file open: end that program",
                self._path,
            )
        self._has_log = has_log
        if has_log:
            self._drop()

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


def _copy(connection: sqlite3.Connection, draft: Path) -> None:
    with closing(sqlite3.connect(draft, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")  # it is synced when it gets its name
        connection.execute("BEGIN")
        try:
            # From here on nobody commits, so that no page is copied twice.
            execute_patiently(connection, "SELECT count(*) FROM sqlite_master").fetchone()
            connection.backup(copy)
        finally:
            connection.execute("ROLLBACK")
        copy.execute("PRAGMA journal_mode = DELETE")  # the file may have had a write-ahead log
