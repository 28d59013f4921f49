"""Operations of many tasks share a transaction: all is done or none, and each caller is told."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import threading
from collections.abc import Awaitable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NoReturn

import anyio
import pytest

from insim_async import _tasks
from insim_async._sqlite import Desk, Desks, File, Layout, opening, prepare_database
from insim_async.errors import ConfigurationError, InSimError

LAYOUT = Layout(application_id=4711, version=3, schema="CREATE TABLE notes (text UNIQUE);")
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class NotesUnavailable(InSimError):
    """The error of whoever opens the file."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
def file(path: Path) -> Iterator[File]:
    prepare_database(path, LAYOUT)
    with closing(File(path, LAYOUT, name="notebook", unavailable=NotesUnavailable)) as file:
        yield file


@pytest.fixture
def desk(file: File) -> Desk:
    return Desk(file)


def note(connection: sqlite3.Connection, text: str) -> bool:
    return connection.execute("INSERT INTO notes VALUES (?)", (text,)).rowcount > 0


def notes(connection: sqlite3.Connection) -> list[str]:
    return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY rowid")]


async def refused(call: Awaitable[object], words: str) -> None:
    with pytest.raises(NotesUnavailable, match=words) as caught:
        await call
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


class TestFile:
    def test_does_all_in_one_transaction_and_returns_the_results(self, file: File) -> None:
        assert file.transact(
            [partial(note, text="a"), notes, lambda connection: connection.in_transaction]
        ) == [
            True,
            ["a"],
            True,
        ]

    def test_undoes_all_if_one_fails_and_says_so_in_the_openers_error(
        self, file: File, path: Path
    ) -> None:
        """What the error says of a fault of ours is its class: its words may hold content."""

        def faulty(connection: sqlite3.Connection) -> NoReturn:
            raise KeyError("secret")

        with pytest.raises(NotesUnavailable) as caught:
            file.transact([partial(note, text="a"), faulty])
        assert str(caught.value) == f"{path}: KeyError"
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        assert file.transact([notes]) == [[]]

    def test_says_what_sqlite_and_the_system_say(self, file: File, path: Path) -> None:
        with pytest.raises(NotesUnavailable, match=r"notes\.db: no such table: letters"):
            file.transact([lambda connection: connection.execute("SELECT * FROM letters")])
        path.unlink()
        with pytest.raises(NotesUnavailable, match=r"notes\.db: No such file or directory"):
            file.transact([notes])

    def test_waits_for_others_and_not_for_ever(
        self, file: File, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(opening, "BUSY_TIMEOUT", 0.01)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(NotesUnavailable, match="database is locked"):
                file.transact([notes])
        assert file.transact([notes]) == [[]]

    def test_is_opened_anew_in_another_process(
        self, file: File, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A connection that came through a fork is neither used nor closed."""
        first = file.transact([id])
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: -1)
            assert file.transact([id]) != first
            assert file.transact([partial(note, text="a")]) == [True]
        gc.collect()
        assert file.transact([notes]) == [["a"]]

    def test_that_is_closed_says_so(self, file: File) -> None:
        file.close()
        file.close()
        with pytest.raises(NotesUnavailable, match=r"^the notebook is closed$"):
            file.transact([notes])
        with pytest.raises(ConfigurationError, match=r"^the notebook is closed$"):
            file.check_open()


class TestDesk:
    @BACKENDS
    def test_has_what_waits_done_in_one_transaction(self, file: File, backend: str) -> None:
        """The first goes at once; all that come meanwhile go together."""

        async def scenario() -> None:
            desk = Desk(file)
            statements: list[str] = []
            await desk.do(lambda connection: connection.set_trace_callback(statements.append))
            async with anyio.create_task_group() as group:
                for number in range(100):
                    group.start_soon(desk.do, partial(note, text=str(number)))
            begun = statements.count("BEGIN IMMEDIATE")
            # The first is that of the callback's own.
            assert begun == statements.count("COMMIT") - 1 <= 2
            assert sorted(map(int, await desk.do(notes))) == [*range(100)]

        anyio.run(scenario, backend=backend)

    async def test_tells_each_caller_of_a_batch_that_failed(self, desk: Desk) -> None:
        """By an error of its own, which no other's traceback grows on."""
        errors: list[NotesUnavailable] = []

        async def failing(text: str) -> None:
            try:
                await desk.do(partial(note, text=text))
            except NotesUnavailable as error:
                errors.append(error)

        async with anyio.create_task_group() as group:
            for text in ("a", "b", "a"):
                group.start_soon(failing, text)
        assert len({id(error) for error in errors}) == 3
        assert {str(error).rpartition(": ")[2] for error in errors} == {"notes.text"}
        assert await desk.do(notes) == []

    async def test_does_what_was_cancelled_meanwhile(self, desk: Desk) -> None:
        task = asyncio.create_task(desk.do(partial(note, text="a")))
        await anyio.lowlevel.checkpoint()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await desk.do(notes) == ["a"]

    async def test_lets_nobody_wait_for_a_file_that_hangs(self, desk: Desk) -> None:
        """What had not begun by then never will; what had begun is done."""
        resume, begun = threading.Event(), anyio.Event()
        tell = asyncio.get_running_loop().call_soon_threadsafe

        def hanging(connection: sqlite3.Connection) -> bool:
            tell(begun.set)
            return resume.wait() and note(connection, "begun")

        async with anyio.create_task_group() as group:
            group.start_soon(
                refused, desk.do(hanging, 0.02), "^the notebook's file does not answer$"
            )
            await begun.wait()
            group.start_soon(
                refused, desk.do(partial(note, text="waited"), 0.02), "does not answer"
            )
        resume.set()
        assert await desk.do(notes) == ["begun"]

    async def test_lets_nobody_wait_where_no_thread_is_to_be_had(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def no_thread(*args: object, **more: object) -> NoReturn:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(anyio.to_thread, "run_sync", no_thread)
            await refused(desk.do(notes), "does not answer")
        assert await desk.do(notes) == []

    async def test_tells_all_if_the_task_that_commits_is_cancelled_from_outside(
        self, desk: Desk
    ) -> None:
        """What had begun is done all the same, and the desk works on."""
        resume, begun = threading.Event(), anyio.Event()
        tell = asyncio.get_running_loop().call_soon_threadsafe

        def hanging(connection: sqlite3.Connection) -> bool:
            tell(begun.set)
            return resume.wait() and note(connection, "begun")

        before = set(_tasks._running)
        waiting = [asyncio.create_task(desk.do(hanging))]
        await begun.wait()
        waiting.append(asyncio.create_task(desk.do(partial(note, text="waited"))))
        await anyio.lowlevel.checkpoint()
        for task in _tasks._running - before:
            task.cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [NotesUnavailable] * 2
        resume.set()
        assert await desk.do(notes) == ["begun"]

    async def test_wakes_those_who_wait_for_news(self, desk: Desk) -> None:
        news = desk.news()
        assert desk.news() is news
        desk.wake()
        assert news.is_set()
        assert not desk.news().is_set()


class TestDesks:
    def test_are_one_for_each_event_loop(self, file: File) -> None:
        desks = Desks(file)

        async def here() -> list[Desk]:
            return [desks.here(), desks.here()]

        found = [desk for _ in range(2) for desk in asyncio.run(here())]
        assert found[0] is found[1]
        assert found[2] is found[3]
        assert found[0] is not found[2]

    async def test_of_two_files_are_told_apart(self, file: File, path: Path) -> None:
        other = File(path, LAYOUT, name="other", unavailable=NotesUnavailable)
        assert Desks(file).here() is not Desks(other).here()

    async def test_are_closed_with_their_file(self, file: File) -> None:
        desks = Desks(file)
        desks.here()
        file.close()
        with pytest.raises(ConfigurationError, match=r"^the notebook is closed$"):
            desks.here()
