"""Make, check and open a SQLite file: whole, ours alone, and never made over a damaged one.

A new file is written under another name and gets its own when it is complete, so that an empty one
is always one that has lost what it held. Whether a file may be used is asked of its name and never
by opening it: a process that closes any descriptor of a file loses all its locks on it, those of
SQLite too.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from insim_async._sqlite.placing import drafted, network_filesystem, require_posix
from insim_async.errors import ConfigurationError

__all__ = [
    "Layout",
    "execute_patiently",
    "has_write_ahead_log",
    "inode_of",
    "open_database",
    "prepare_database",
]

logger: logging.Logger = logging.getLogger("insim_async")

BUSY_TIMEOUT: Final = 1.5
"""Seconds to wait for other processes that hold the file (SQLITE_BUSY)."""

_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # macOS alone: wait for the disk, not for its cache
    "PRAGMA secure_delete = ON",  # what is erased is overwritten
    "PRAGMA busy_timeout = 20",  # milliseconds; see execute_patiently
)
_SMALLEST = 512  # bytes; SQLite takes a file with fewer for a new one
READ_THROUGH: Final = 16 << 20
"""Bytes; a larger file is not read through when it is opened, since other processes cannot write
meanwhile."""
_WORDS_BY_CODE = {
    sqlite3.SQLITE_NOTADB: "is no SQLite file; give the path of another, or move it away",
    sqlite3.SQLITE_CORRUPT: "is damaged; put a copy in its place, or move it away",
}


class Layout(Struct, frozen=True, kw_only=True):
    """What a file of one kind looks like.

    Attributes:
        application_id: Tells its kind from others; 32 bits.
        version: Goes up when the schema changes.
        schema: The statements that make the tables.
    """

    application_id: int
    version: int
    schema: str


def prepare_database(path: Path, layout: Layout) -> None:
    """Make the file if there is none, and check it if there is one. Nothing stays open.

    One that others have locked meanwhile is left unchecked, with a warning, since that passes; so
    is one on a network file system, since some of these do keep locks.

    Raises:
        ConfigurationError: It is damaged, somebody else's, of another kind or version, or cannot be
            written; or this is Windows. It says what to do, and nothing was changed.
    """
    require_posix(path)
    if name := network_filesystem(path):
        logger.warning(
            "%s: is on %s, where locks may not hold and files break; use a local disk", path, name
        )
    try:
        if not os.path.lexists(path):
            _make(path, layout)
        with closing(open_database(path, layout)) as connection:
            sound = _is_sound(connection, path)
        if not sound:
            raise ConfigurationError(f"{path}: {_WORDS_BY_CODE[sqlite3.SQLITE_CORRUPT]}")
    except sqlite3.Error as error:
        if _is_busy(error):
            logger.warning("%s: is locked by another program, and was not checked", path)
            return
        fault = _WORDS_BY_CODE.get(error.sqlite_errorcode & 0xFF, f"cannot be opened: {error}")
        raise ConfigurationError(f"{path}: {fault}") from error
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be opened: {error.strerror}") from error


def open_database(path: Path, layout: Layout, patience: float | None = None) -> sqlite3.Connection:
    """Open a file that was prepared: in autocommit mode, for any thread.

    Args:
        path: Absolute.
        layout: What it must look like.
        patience: Seconds to wait for other processes; ``BUSY_TIMEOUT`` where that is not said.

    Raises:
        ConfigurationError: As ``prepare_database``, but it is not read through.
        sqlite3.Error: It cannot be read.
        OSError: It is not there.
    """
    if fault := _why_refused(path):
        raise ConfigurationError(f"{path}: {fault}")
    where = f"{path.as_uri()}?mode=rw"
    connection = sqlite3.connect(
        where,
        uri=True,
        timeout=BUSY_TIMEOUT if patience is None else patience,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application_id != layout.application_id:
            raise ConfigurationError(f"{path}: holds something else; give the path of another file")
        if version != layout.version:
            raise ConfigurationError(
                f"{path}: has version {version} where {layout.version} is expected; "
                "use the insim_async that wrote it, or move the file away"
            )
        if fault := _why_open_to_others(path):
            raise ConfigurationError(f"{path}: {fault}")
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        _leave_write_ahead_log(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def execute_patiently(
    connection: sqlite3.Connection, statement: str, patience: float | None = None
) -> sqlite3.Cursor:
    """Execute a statement, again and again while other processes hold the file.

    SQLite itself would look every 0.1 s only, and beside a busy process it can miss each gap
    (measured: four processes, and one waited for 0.8 s). Hence it may wait for 20 ms, until
    ``patience`` is over; ``BUSY_TIMEOUT`` where that is not said.
    """
    until = time.monotonic() + (BUSY_TIMEOUT if patience is None else patience)
    while True:
        try:
            return connection.execute(statement)
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > until:
                raise


def has_write_ahead_log(connection: sqlite3.Connection) -> bool:
    """Return whether the file had a write-ahead log at the connection's last transaction.

    Another program may set one at any time, and all connections follow it.
    """
    return bool(connection.execute("PRAGMA journal_mode").fetchone() == ("wal",))


def inode_of(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of the file that has this name now, or None if there is none.

    A connection still writes to a file that was moved away or deleted, and nothing would say so.
    """
    with suppress(OSError):
        status = path.lstat()
        return status.st_dev, status.st_ino
    return None


def _leave_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Go back to a rollback journal, if nobody else has the file open with a log."""
    try:
        connection.execute("PRAGMA journal_mode = TRUNCATE")
    except sqlite3.OperationalError as error:
        if not _is_busy(error):
            raise


def _make(path: Path, layout: Layout) -> None:
    with (
        suppress(FileExistsError),  # another process was faster
        drafted(path) as draft,
        closing(sqlite3.connect(draft, isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA journal_mode = OFF")
        connection.executescript(
            f"BEGIN; PRAGMA application_id = {layout.application_id}; "
            f"PRAGMA user_version = {layout.version};"
            f"{layout.schema} COMMIT"
        )


def _is_busy(error: sqlite3.Error) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _is_sound(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether no page is cut off and, in a file that is not large, all can be read."""
    pages, page_size = (
        execute_patiently(connection, f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "page_size")
    )
    size = path.stat().st_size  # asked for last, since the file may grow meanwhile
    if size > READ_THROUGH:
        return bool(size >= pages * page_size)
    return bool(execute_patiently(connection, "PRAGMA quick_check(1)").fetchone() == ("ok",))


def _why_refused(path: Path) -> str | None:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return "is a link; give the path of the file itself"
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file; give the path of one"
    if status.st_uid != os.geteuid():
        return "belongs to another user; run as that user, or give it to this one"
    if status.st_size < _SMALLEST:
        return "has lost what it held; put a copy in its place, or move it away"
    if not (os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)):
        return "cannot be written, or its folder cannot; SQLite needs both"
    return None


def _why_open_to_others(path: Path) -> str | None:
    """Close a file to others, as the volume of a container may have opened it."""
    if not path.stat().st_mode & 0o077:
        return None
    with suppress(OSError):
        path.chmod(0o600)
    if path.stat().st_mode & 0o077:
        return "is open to others, and holds people's data; chmod 600 it"
    logger.warning("%s: was open to others, and holds people's data: chmod 600 was done", path)
    return None
