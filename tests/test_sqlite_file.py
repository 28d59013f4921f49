"""A file that is in use is copied whole, and let go of while another program gives it a log."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest

from insim_async._sqlite import Connection, File, Layout, opening, placing, prepare_database
from insim_async._sqlite import file as file_room
from insim_async._sqlite.placing import drafted, network_filesystem
from insim_async.errors import ConfigurationError, InSimError

LAYOUT = Layout(application_id=4711, version=3, schema="CREATE TABLE notes (text);")
MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
22 21 0:20 / /proc rw - proc proc rw
30 21 0:50 / /mnt/share rw shared:2 - nfs4 server:/share rw,vers=4.2
31 21 0:51 / /mnt/my\\040files rw - fuse.sshfs me@host: rw
32 21 0:52 / /mnt/twice rw - cifs //host/twice rw
33 32 0:53 / /mnt/twice rw - tmpfs tmpfs rw
"""


class NotesUnavailable(InSimError):
    """The error of whoever opens the file."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BUSY_TIMEOUT", 0.05)


@pytest.fixture
def file(path: Path) -> Iterator[File]:
    prepare_database(path, LAYOUT)
    with closing(a_file(path)) as file:
        yield file


def a_file(path: Path, **more: Any) -> File:
    return File(path, LAYOUT, name="notebook", unavailable=NotesUnavailable, **more)


def note(connection: Connection) -> bool:
    return connection.execute("INSERT INTO notes VALUES ('a')").rowcount > 0


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM notes").fetchone()[0])


def mode_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


class Busy:
    """A connection to a file that others hold whenever it is asked, so many times."""

    def __init__(self, connection: Connection, times: int) -> None:
        self.connection = connection
        self.times = times

    def execute(self, statement: str) -> sqlite3.Cursor:
        if statement == "BEGIN IMMEDIATE" and self.times:
            self.times -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        return self.connection.execute(statement)

    def close(self) -> None:
        self.connection.close()


class TestPatience:
    """With other processes: as whoever opens the file has said."""

    @pytest.mark.parametrize("patience", [None, 60.0])
    def test_outlasts_them(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, patience: float | None
    ) -> None:
        monkeypatch.setattr(opening, "BUSY_TIMEOUT", -1.0)
        prepare_database(path, LAYOUT)
        with closing(a_file(path, patience=patience)) as file:
            file._connection = cast(Any, Busy(file._connected(), 3))
            if patience is None:
                with pytest.raises(NotesUnavailable, match="locked"):
                    file.transact([note])
            else:
                assert file.transact([note]) == [True]

    def test_is_for_its_opening_too(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        prepare_database(path, LAYOUT)
        connect: Any = sqlite3.connect
        waits: list[float] = []

        def watched(*where: Any, timeout: float, **more: Any) -> Any:
            waits.append(timeout)
            return connect(*where, timeout=timeout, **more)

        monkeypatch.setattr(sqlite3, "connect", watched)
        opening.open_database(path, LAYOUT).close()
        opening.open_database(path, LAYOUT, 60.0).close()
        assert waits == [0.05, 60.0]


class TestALog:
    """Which another program sets, once, with ``PRAGMA journal_mode = WAL``."""

    def test_is_gone_after_a_moment_though_several_use_the_file(
        self, file: File, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        siblings = [file, a_file(path), a_file(path)]
        for each in siblings:
            each.transact([note])
        with closing(sqlite3.connect(path)) as tool:
            tool.execute("PRAGMA journal_mode = WAL")
        for _ in range(3):
            for each in siblings:
                each.transact([note])
        assert (mode_of(path), count(path)) == ("delete", 12)
        assert len(caplog.messages) <= 3
        for each in siblings[1:]:
            each.close()

    def test_keeps_nobody_from_starting_or_writing(
        self, file: File, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """While the program that has set it goes on; the cause is said, once."""
        with closing(sqlite3.connect(path, isolation_level=None)) as tool:
            tool.execute("PRAGMA journal_mode = WAL")
            tool.execute("SELECT * FROM notes").fetchall()
            for _ in range(3):
                file.transact([note])
            prepare_database(path, LAYOUT)
            with closing(a_file(path)) as restarted:
                restarted.transact([note])
            assert mode_of(path) == "wal"
        file.transact([note])
        assert (mode_of(path), count(path)) == ("delete", 5)
        assert [message.partition(" (")[0] for message in caplog.messages] == [
            f"{path}: another program has set a write-ahead log"
        ] * 2

    def test_is_neither_copied_nor_left_by_a_copy(
        self, file: File, path: Path, tmp_path: Path
    ) -> None:
        file.transact([note])
        with closing(sqlite3.connect(path)) as tool:
            tool.execute("PRAGMA journal_mode = WAL")
        file.copy(tmp_path / "copy.db")
        file.copy(tmp_path / "other.db")
        modes = [mode_of(each) for each in (tmp_path / "copy.db", tmp_path / "other.db", path)]
        assert modes == ["delete"] * 3

    def test_that_cannot_be_given_up_for_another_reason_is_an_error(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prepare_database(path, LAYOUT)

        class Full(sqlite3.Connection):
            def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
                if "journal_mode" in statement:
                    error = sqlite3.OperationalError("disk I/O error")
                    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                    raise error
                return super().execute(statement, *values)

        connect = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=Full, **k))
        with pytest.raises(ConfigurationError, match="cannot be opened: disk I/O error"):
            prepare_database(path, LAYOUT)


class TestACopy:
    def test_is_whole_though_it_is_large_and_for_its_owner_alone(
        self, file: File, path: Path, tmp_path: Path
    ) -> None:
        for _ in range(3):
            file.transact([note] * 2000)
        file.copy(tmp_path / "copy.db")
        prepare_database(tmp_path / "copy.db", LAYOUT)
        assert count(tmp_path / "copy.db") == 6000
        assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
        file.transact([note])
        assert (count(path), count(tmp_path / "copy.db")) == (6001, 6000)

    def test_waits_for_whoever_writes_and_not_without_end(
        self, file: File, path: Path, tmp_path: Path
    ) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            file.transact([note])
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(NotesUnavailable, match="database is locked"):
                file.copy(tmp_path / "copy.db")
        assert sorted(each.name for each in tmp_path.glob("copy*")) == []
        file.copy(tmp_path / "copy.db")
        assert count(tmp_path / "copy.db") == 1


def no_links(draft: Path, path: Path) -> NoReturn:
    raise PermissionError(1, "Operation not permitted")


class TestAName:
    def test_is_given_where_there_are_no_links(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "link", no_links)
        prepare_database(path, LAYOUT)
        assert list(path.parent.iterdir()) == [path]
        assert count(path) == 0

    def test_is_never_given_twice(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not to the file of another process, which was faster."""
        monkeypatch.setattr(os, "link", no_links)
        with pytest.raises(FileExistsError), drafted(path):
            path.write_text("theirs")
        assert path.read_text() == "theirs"
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv", None),
        ("/mnt/share", "nfs4"),
        ("/mnt/share/deep/down", "nfs4"),
        ("/mnt/shared", None),
        ("/mnt/my files", "sshfs"),
        ("/mnt/twice", None),
    ],
)
def test_a_file_system_over_a_network_is_known(
    folder: str, kind: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    monkeypatch.setattr(placing, "_MOUNTS", tmp_path / "mounts")
    assert network_filesystem(Path(folder) / "notes.db") == kind
    monkeypatch.setattr(placing, "_MOUNTS", tmp_path / "nothing")
    assert network_filesystem(Path(folder) / "notes.db") is None


def test_a_file_on_one_is_used_with_a_warning(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(opening, "network_filesystem", lambda _: "nfs4")
    prepare_database(path, LAYOUT)
    assert caplog.messages == [
        f"{path}: is on nfs4, where locks may not hold and files break; use a local disk"
    ]


def test_what_was_committed_was_done_whatever_comes_of_a_look_at_the_log(
    path: Path, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> NoReturn:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(file_room, "has_write_ahead_log", fail)
    assert file.transact([note]) == [True]
    monkeypatch.undo()
    assert file.transact([note]) == [True]
    assert count(path) == 2
