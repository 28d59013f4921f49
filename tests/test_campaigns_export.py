"""An export is whole or not there, for its owner alone, and runs nothing in a spreadsheet."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from insim_async import ConfigurationError
from insim_async._sqlite import drafted
from insim_async.campaigns._export import export, guarded, unguarded
from insim_async.recipients import read_csv


class Fate(StrEnum):
    SENT = "sent"


class Message(Struct, frozen=True, kw_only=True):
    row: int = 1
    phone_number: str = "+33639980001"
    text: str = "Bonjour !"
    status: Fate = Fate.SENT
    error: str | None = None
    at: datetime | None = datetime(2027, 3, 12, 9, 30, tzinfo=UTC)


FIELDS = ("row", "phone_number", "text", "status", "error", "at")


async def given_rows(rows: Sequence[Message]) -> AsyncIterator[Message]:
    for row in rows:
        yield row


async def exported(path: Path, *rows: Message) -> str:
    assert await export(path, given_rows(rows), FIELDS) == len(rows)
    return read(path)


def read(path: Path) -> str:
    return path.read_text("utf-8-sig")


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_csv_has_headings_and_a_row_for_each_message(tmp_path: Path) -> None:
    path = tmp_path / "spring.csv"
    text = await exported(path, Message(), Message(row=2, text='Anna, "Bob"\nÉva', at=None))
    assert text == (
        "row,phone_number,text,status,error,at\n"
        "1,'+33639980001,Bonjour !,sent,,2027-03-12T09:30:00Z\n"
        '2,\'+33639980001,"Anna, ""Bob""\nÉva",sent,,\n'
    )
    raw = path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf"), "by it spreadsheets know UTF-8"
    assert raw.count(b"\r\n") == 3


async def test_an_ndjson_has_an_object_for_each_message_and_all_as_it_is(tmp_path: Path) -> None:
    for suffix in ("ndjson", "jsonl", "NDJSON"):
        text = await exported(tmp_path / f"spring.{suffix}", Message(text="=1+1"), Message(row=2))
        first, second = map(json.loads, text.splitlines())
        assert list(first) == list(FIELDS)
        assert (first["phone_number"], first["text"]) == ("+33639980001", "=1+1")
        assert (second["row"], second["status"], second["error"]) == (2, "sent", None)
        assert second["at"] == "2027-03-12T09:30:00Z"


async def test_the_numbers_of_a_csv_are_read_again(tmp_path: Path) -> None:
    await exported(tmp_path / "spring.csv", Message(), Message(phone_number="+33639980002"))
    people = read_csv(tmp_path / "spring.csv")
    assert [person.phone_number for person in people.contacts] == ["+33639980001", "+33639980002"]


async def test_many_rows_are_written_some_at_a_time(tmp_path: Path) -> None:
    rows = [Message(row=row) for row in range(2500)]
    text = await exported(tmp_path / "spring.csv", *rows)
    assert [int(row["row"]) for row in csv.DictReader(io.StringIO(text))] == [*range(2500)]
    assert await exported(tmp_path / "empty.ndjson") == ""


async def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    await exported(tmp_path / "spring.csv", Message())
    assert (tmp_path / "spring.csv").stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == ["spring.csv"]


async def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    """It is said before anything is read."""
    path = tmp_path / "spring.csv"
    path.write_text("mine")
    rows = given_rows([Message()])
    with pytest.raises(FileExistsError, match=re.escape(str(path))):
        await export(path, rows, FIELDS)
    assert path.read_text() == "mine"
    assert [row.row async for row in rows] == [1]


@pytest.mark.parametrize("name", ["spring.xlsx", "spring", "csv"])
async def test_another_suffix_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"must end in \.csv, \.jsonl, \.ndjson"):
        await export(tmp_path / name, given_rows([]), FIELDS)
    assert names_in(tmp_path) == []


async def test_if_the_rows_fail_there_is_no_file(tmp_path: Path) -> None:
    async def failing() -> AsyncIterator[Message]:
        yield Message()
        raise RuntimeError("the ledger is full")

    with pytest.raises(RuntimeError, match="the ledger is full"):
        await export(tmp_path / "spring.csv", failing(), FIELDS)
    assert names_in(tmp_path) == []


async def test_if_it_is_cancelled_there_is_no_file(tmp_path: Path) -> None:
    reached = anyio.Event()

    async def hanging() -> AsyncIterator[Message]:
        yield Message()
        reached.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(export, tmp_path / "spring.csv", hanging(), FIELDS)
        await reached.wait()
        tasks.cancel_scope.cancel()
    assert names_in(tmp_path) == []


async def test_a_task_that_is_cancelled_while_a_thread_works_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A native cancellation does not wait for the thread."""
    begun, told = threading.Event(), threading.Event()

    @contextmanager
    def slow(path: Path) -> Iterator[Path]:
        with drafted(path) as draft:
            begun.set()
            assert told.wait(60)
            yield draft

    monkeypatch.setattr("insim_async.campaigns._export.drafted", slow)
    task = asyncio.create_task(export(tmp_path / "spring.csv", given_rows([]), FIELDS))
    await anyio.to_thread.run_sync(begun.wait)
    task.cancel()
    await anyio.lowlevel.checkpoint()
    assert not task.done()
    told.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names_in(tmp_path) == []


GUARDED = {
    "a text": ("Bonjour !", "Bonjour !"),
    "nothing": ("", ""),
    "a formula": ("=1+1", "'=1+1"),
    "a sum": ("+1", "'+1"),
    "a difference": ("-1", "'-1"),
    "a function": ("@SUM(A1)", "'@SUM(A1)"),
    "full width": ("＝1", "'＝1"),
    "a tab": ("\t=1", "'\t'=1"),
    "a line break": ("\n=1", "'\n'=1"),
    "a number": ("+33639980001", "'+33639980001"),
    "behind a quote": ('"=1', "\"'=1"),
    "behind an apostrophe": ("'=1", "''=1"),
    "behind a semicolon": ("Anna;=1", "Anna;'=1"),
    "behind a comma": ("Anna,=1", "Anna,'=1"),
    "behind a semicolon and a quote": ('x;"=1', "x;\"'=1"),
    "a list": ("a\n- b\n- c", "a\n'- b\n'- c"),
    "within words": ("1=1, peut-être à 9h-10h", "1=1, peut-être à 9h-10h"),
    "a line break behind a comma": ("Bonjour,\nAnna", "Bonjour,\nAnna"),
    "an apostrophe": ("l'été", "l'été"),
}


@pytest.mark.parametrize(("text", "cell"), GUARDED.values(), ids=GUARDED)
def test_what_might_be_a_formula_gets_an_apostrophe(text: str, cell: str) -> None:
    assert guarded(text) == cell
    assert unguarded(cell) == text


awkward = st.text(alphabet=st.sampled_from("=+-@\t\r\n;,\"' a0＝")) | st.text()


@given(awkward)
def test_a_guard_can_be_taken_off_again(text: str) -> None:
    assert unguarded(guarded(text)) == text


@settings(max_examples=60)
@given(st.lists(awkward, min_size=1, max_size=3), st.sampled_from(",;\t"))
@example(['x;"=1+1'], ";")
def test_no_cell_begins_a_formula_whatever_it_is_cut_at(texts: list[str], delimiter: str) -> None:
    """Neither as this reads it, nor where quotes are taken as they come."""
    written = io.StringIO(newline="")
    csv.writer(written).writerow([guarded(text) for text in texts])
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        lines = re.split(r"(?<=[\r\n])", written.getvalue().replace("\0", ""))
        rows = csv.reader(lines, delimiter=delimiter, quoting=quoting)
        assert [cell for row in rows for cell in row if re.match("[=+\\-@＝＋－＠]", cell)] == []
    assert [text for text in map(guarded, texts) if text.startswith(("\t", "\r", "\n"))] == []
