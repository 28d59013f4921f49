"""A SQLite file is made whole, for its owner alone.

One that is not as it should be is refused, and left as it is.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, cast

import pytest

from insim_async import ConfigurationError
from insim_async._sqlite import Layout, opening, prepare_database
from insim_async._sqlite.opening import (
    execute_patiently,
    has_write_ahead_log,
    inode_of,
    open_database,
)

LAYOUT = Layout(application_id=4711, version=3, schema="CREATE TABLE notes (text);")
LOCKED = "database is locked"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where no file is yet."""
    return tmp_path / "some notes?.db"


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BUSY_TIMEOUT", 0.01)


@pytest.fixture
def other(path: Path) -> Iterator[sqlite3.Connection]:
    """Another connection to a file that is there and has a page or two."""
    prepare_database(path, LAYOUT)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO notes VALUES (zeroblob(10000))")
        yield connection


def in_another_process(path: Path, statement: str) -> str:
    """Execute a statement there and return what it printed of its failure."""
    program = (
        "import contextlib, sqlite3, sys\n"
        "with contextlib.closing("
        "sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)) as connection:\n"
        "    connection.execute(sys.argv[2])"
    )
    return subprocess.run(
        [sys.executable, "-c", program, path, statement], capture_output=True, text=True
    ).stderr


class TestAFileThatIsMade:
    def test_is_for_its_owner_alone_whatever_the_umask(self, path: Path) -> None:
        before = os.umask(0)
        try:
            prepare_database(path, LAYOUT)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_has_its_tables_and_says_what_it_is(self, path: Path) -> None:
        prepare_database(path, LAYOUT)
        with closing(open_database(path, LAYOUT)) as connection:
            assert connection.execute("SELECT * FROM notes").fetchall() == []
            assert connection.execute("PRAGMA application_id").fetchone() == (4711,)
            assert connection.execute("PRAGMA user_version").fetchone() == (3,)

    def test_leaves_nothing_beside_it(self, path: Path) -> None:
        prepare_database(path, LAYOUT)
        assert list(path.parent.iterdir()) == [path]

    def test_is_not_there_at_all_if_the_making_failed(self, path: Path) -> None:
        with pytest.raises(ConfigurationError, match="syntax error"):
            prepare_database(path, Layout(application_id=1, version=1, schema="CREATE nonsense"))
        assert list(path.parent.iterdir()) == []

    def test_is_refused_on_windows_and_not_made(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Which has no module for POSIX's locks."""
        monkeypatch.setitem(sys.modules, "fcntl", None)
        with pytest.raises(ConfigurationError, match=r"cannot be kept on Windows, .* use Linux"):
            prepare_database(path, LAYOUT)
        assert list(path.parent.iterdir()) == []

    def test_is_the_other_processs_if_that_was_faster(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = os.link

        def slowly(draft: Path, final: Path) -> None:
            link(draft, final)
            with closing(sqlite3.connect(path)) as theirs, theirs:
                theirs.execute("INSERT INTO notes VALUES ('theirs')")
            link(draft, final)

        monkeypatch.setattr(os, "link", slowly)
        prepare_database(path, LAYOUT)
        with closing(open_database(path, LAYOUT)) as connection:
            assert connection.execute("SELECT * FROM notes").fetchall() == [("theirs",)]


def a_link(path: Path) -> None:
    real = path.with_name("real.db")
    path.rename(real)
    path.symlink_to(real)


def a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nothing")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def readable_by_the_group(path: Path) -> None:
    path.chmod(0o640)


def writable_by_all(path: Path) -> None:
    path.chmod(0o602)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def cut_in_its_first_line(path: Path) -> None:
    os.truncate(path, 50)


def cut_in_the_middle(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwritten_in_the_middle(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * 64 + content[4160:])


def a_text(path: Path) -> None:
    path.write_text("key;value\n" * 1000)


def another_programs(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 0")


def a_newer_versions(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 4")


REFUSED: list[tuple[Callable[[Path], None], str]] = [
    (a_link, "is a link; give the path of the file itself"),
    (a_link_to_nothing, "is a link; give the path of the file itself"),
    (a_folder, "is no regular file; give the path of one"),
    (a_pipe, "is no regular file; give the path of one"),
    (empty, "has lost what it held; put a copy in its place, or move it away"),
    (cut_in_its_first_line, "has lost what it held; put a copy in its place, or move it away"),
    (cut_in_the_middle, "is damaged; put a copy in its place, or move it away"),
    (overwritten_in_the_middle, "is damaged; put a copy in its place, or move it away"),
    (a_text, "is no SQLite file; give the path of another, or move it away"),
    (another_programs, "holds something else; give the path of another file"),
    (
        a_newer_versions,
        (
            "has version 4 where 3 is expected; "
            "use the insim_async that wrote it, or move the file away"
        ),
    ),
]


def look(path: Path) -> object:
    """Return all that can be seen of it, without following links."""
    status = path.lstat()
    content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
    return status.st_mode, status.st_ino, status.st_mtime_ns, content, sorted(path.parent.iterdir())


@pytest.mark.parametrize(("spoil", "fault"), REFUSED)
def test_a_file_is_refused_with_what_to_do_and_left_as_it_is(
    path: Path, other: sqlite3.Connection, spoil: Callable[[Path], None], fault: str
) -> None:
    other.close()
    spoil(path)
    before = look(path)
    with pytest.raises(ConfigurationError) as caught:
        prepare_database(path, LAYOUT)
    assert str(caught.value) == f"{path}: {fault}"
    assert look(path) == before


@pytest.mark.parametrize(
    ("spoil", "refused"), [(cut_in_the_middle, True), (overwritten_in_the_middle, False)]
)
def test_a_large_file_is_not_read_through_but_measured(
    path: Path,
    other: sqlite3.Connection,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], None],
    refused: bool,
) -> None:
    """Whoever reads what is damaged in it is told then."""
    other.close()
    spoil(path)
    monkeypatch.setattr(opening, "READ_THROUGH", path.stat().st_size - 1)
    with pytest.raises(ConfigurationError, match="is damaged") if refused else nullcontext():
        prepare_database(path, LAYOUT)


def test_a_file_of_somebody_else_is_refused(
    path: Path, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(ConfigurationError, match="belongs to another user; run as that user"):
        prepare_database(path, LAYOUT)


@pytest.mark.parametrize("place", ["file", "folder"])
def test_what_cannot_be_written_is_refused(
    path: Path, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The tests may run as root, who may write everywhere."""
    closed = path if place == "file" else path.parent
    monkeypatch.setattr(os, "access", lambda asked, mode: asked != closed or not mode & os.W_OK)
    with pytest.raises(ConfigurationError, match="cannot be written, or its folder cannot"):
        prepare_database(path, LAYOUT)


def test_a_folder_that_is_not_there_is_not_made(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be opened: No such file or directory"):
        prepare_database(path / "notes.db", LAYOUT)


def test_a_file_that_another_process_locks_is_left_unchecked(
    path: Path, other: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """That passes: whoever writes a copy of it, say, is no reason not to start."""
    other.execute("BEGIN EXCLUSIVE")
    prepare_database(path, LAYOUT)
    assert caplog.messages == [f"{path}: is locked by another program, and was not checked"]


@pytest.mark.parametrize("open_to", [readable_by_the_group, writable_by_all])
def test_a_file_of_ours_that_is_open_to_others_is_closed_to_them(
    path: Path,
    other: sqlite3.Connection,
    open_to: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A volume of a container may be what opened it."""
    open_to(path)
    prepare_database(path, LAYOUT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [message.rpartition(": ")[2] for message in caplog.messages] == ["chmod 600 was done"]


def test_a_file_that_cannot_be_closed_to_others_is_refused(
    path: Path, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    readable_by_the_group(path)
    monkeypatch.setattr(Path, "chmod", lambda path, mode: None)
    with pytest.raises(ConfigurationError, match="holds people's data; chmod 600 it"):
        prepare_database(path, LAYOUT)


def test_a_file_of_another_program_stays_open_to_others(
    path: Path, other: sqlite3.Connection
) -> None:
    other.close()
    another_programs(path)
    readable_by_the_group(path)
    with pytest.raises(ConfigurationError, match="holds something else"):
        prepare_database(path, LAYOUT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


class TestAConnection:
    def test_syncs_all_that_it_commits_and_overwrites_what_it_deletes(
        self, path: Path, other: sqlite3.Connection
    ) -> None:
        with closing(open_database(path, LAYOUT)) as connection:
            found = {
                name: connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "secure_delete", "busy_timeout")
            }
        assert found == {
            "journal_mode": "truncate",
            "synchronous": 2,
            "secure_delete": 1,
            "busy_timeout": 20,
        }

    def test_puts_an_end_to_a_write_ahead_log(self, path: Path, other: sqlite3.Connection) -> None:
        other.execute("PRAGMA journal_mode = WAL")
        other.close()
        with closing(open_database(path, LAYOUT)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("truncate",)

    def test_goes_along_with_one_that_has_a_write_ahead_log(
        self, path: Path, other: sqlite3.Connection
    ) -> None:
        """Nobody can end that while others have it; refusing would be an outage."""
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("SELECT * FROM notes").fetchone()
        with closing(open_database(path, LAYOUT)) as connection:
            connection.execute("INSERT INTO notes VALUES ('a')")
            assert has_write_ahead_log(connection)
        other.close()
        with closing(open_database(path, LAYOUT)) as connection:
            assert not has_write_ahead_log(connection)
            assert connection.execute("SELECT count(*) FROM notes").fetchone() == (2,)

    def test_is_never_to_a_new_file(self, path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            open_database(path, LAYOUT)
        assert not path.exists()

    def test_keeps_its_locks_while_the_file_is_looked_at(
        self, path: Path, other: sqlite3.Connection
    ) -> None:
        """Closing a descriptor of a file loses all locks on it: nothing here may do that."""
        other.execute("BEGIN IMMEDIATE")
        prepare_database(path, LAYOUT)
        assert LOCKED in in_another_process(path, "BEGIN IMMEDIATE")
        other.execute("COMMIT")
        assert in_another_process(path, "BEGIN IMMEDIATE") == ""


class Busy:
    """A connection to a file that others lock, so many times."""

    def __init__(self, times: int, code: int = sqlite3.SQLITE_BUSY) -> None:
        self.times = times
        self.code = code

    def execute(self, statement: str) -> str:
        """Fail, or succeed."""
        self.times -= 1
        if self.times < 0:
            return statement
        error = sqlite3.OperationalError(LOCKED)
        error.sqlite_errorcode = self.code
        raise error


class TestPatience:
    def test_outlasts_others(self) -> None:
        assert cast(str, execute_patiently(cast(Any, Busy(3)), "COMMIT")) == "COMMIT"

    def test_ends(self, path: Path, other: sqlite3.Connection) -> None:
        other.execute("BEGIN IMMEDIATE")
        with (
            closing(open_database(path, LAYOUT)) as late,
            pytest.raises(sqlite3.OperationalError, match=LOCKED),
        ):
            execute_patiently(late, "BEGIN IMMEDIATE")

    def test_is_for_others_only(self) -> None:
        busy = Busy(3, sqlite3.SQLITE_FULL)
        with pytest.raises(sqlite3.OperationalError):
            execute_patiently(cast(Any, busy), "COMMIT")
        assert busy.times == 2


def test_a_file_that_was_replaced_is_another_one(path: Path, other: sqlite3.Connection) -> None:
    before = inode_of(path)
    assert before == inode_of(path)
    path.rename(path.with_name("old"))
    assert inode_of(path) is None
    prepare_database(path, LAYOUT)
    assert inode_of(path) not in {before, None}
