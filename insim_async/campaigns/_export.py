"""Write messages to a file that a spreadsheet or a program reads: CSV or NDJSON by its suffix.

Texts and names come from strangers. What a spreadsheet might take for a formula gets an apostrophe
before it: where a cell begins, and where one would begin if the file were cut at semicolons or tabs
(as Excel does where the comma is the decimal sign). ``read_csv`` takes it off numbers again.
"""

from __future__ import annotations

import csv
import errno
import io
import os
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec
from anyio import to_thread
from msgspec import Struct

from insim_async._sqlite import drafted
from insim_async._tasks import to_its_end
from insim_async.errors import ConfigurationError

__all__ = ["export", "guarded", "unguarded"]

T = TypeVar("T")

_AT_A_TIME = 1000

_SIGNS = "=+\\-@＝＋－＠"
"""What a formula begins with, in both widths (OWASP, "CSV Injection")."""

_BEGINS = rf"(?:\A[\"']*(?=[{_SIGNS}\t\r\n])|(?<=[,;\t\r\n])[\"']*(?=[{_SIGNS}]))"
_guard = re.compile(f"({_BEGINS})").sub
_unguard = re.compile(_BEGINS).sub


def guarded(text: str) -> str:
    """Put an apostrophe before whatever in a cell might be taken for a formula."""
    return _guard(r"\1'", text)


def unguarded(text: str) -> str:
    """Return what was given to ``guarded``."""
    return _unguard(lambda found: found[0][:-1], text)


class _Csv:
    """With the mark by which spreadsheets know UTF-8."""

    def __init__(self, file: BinaryIO, fields: Sequence[str]) -> None:
        self._file = file
        self._fields = fields
        self._put([fields], "utf-8-sig")

    def write(self, rows: Sequence[Struct]) -> None:
        self._put([[_cell(getattr(row, field)) for field in self._fields] for row in rows], "utf-8")

    def _put(self, cells: Sequence[Sequence[object]], encoding: str) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(cells)
        self._file.write(text.getvalue().encode(encoding))


class _Ndjson:
    """One object a line, everything as it is."""

    def __init__(self, file: BinaryIO, fields: Sequence[str]) -> None:
        self._file = file
        self._fields = fields

    def write(self, rows: Sequence[Struct]) -> None:
        objects = [{field: getattr(row, field) for field in self._fields} for row in rows]
        self._file.write(msgspec.json.Encoder().encode_lines(objects))


_Form = _Csv | _Ndjson
_FORMS: dict[str, type[_Form]] = {".csv": _Csv, ".jsonl": _Ndjson, ".ndjson": _Ndjson}


async def export(path: Path, rows: AsyncIterable[Struct], fields: Sequence[str]) -> int:
    """Write rows to a new file, for its owner alone, and return how many.

    Nothing has that name until all is written, and what has it already is left as it is. It is
    written in a thread. If it is cancelled, or the rows fail, there is no file.

    Args:
        path: ``.csv``, ``.ndjson`` or ``.jsonl``.
        rows: All with these fields; whoever gives a generator closes it.
        fields: What is written, in this order; the headings of a CSV file.

    Raises:
        ConfigurationError: Another suffix.
        FileExistsError: Something has that name.
        OSError: It cannot be written.
    """
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise ConfigurationError(
            f"export: the file's name must end in {', '.join(_FORMS)}, not in {path.suffix!r}"
        )
    count = 0
    async with _threaded(_new_file(path, form, fields)) as writer:
        async for some in _gathered(rows):
            await _in_thread(partial(writer.write, some))
            count += len(some)
    return count


@contextmanager
def _new_file(path: Path, form: type[_Form], fields: Sequence[str]) -> Iterator[_Form]:
    if os.path.lexists(path):  # said before all the rows are read
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    with drafted(path) as draft, draft.open("wb") as file:
        yield form(file, fields)


@asynccontextmanager
async def _threaded(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave in a thread."""
    stack = ExitStack()
    try:
        yield await _in_thread(partial(stack.enter_context, manager))
    except BaseException as error:
        left = partial(stack.__exit__, type(error), error, error.__traceback__)
        await _in_thread(left)
        raise
    await _in_thread(stack.close)


async def _in_thread(act: Callable[[], T]) -> T:
    """Do something in a thread, to its end even if this is cancelled meanwhile."""
    results: list[T] = []

    async def do() -> None:
        results.append(await to_thread.run_sync(act))

    await to_its_end(do)
    return results[0]


async def _gathered(rows: AsyncIterable[Struct]) -> AsyncIterator[list[Struct]]:
    some: list[Struct] = []
    async for row in rows:
        some.append(row)
        if len(some) == _AT_A_TIME:
            yield some
            some = []
    yield some


def _cell(value: object) -> object:
    """Return what stands in a cell."""
    plain = msgspec.to_builtins(value)
    return guarded(plain) if isinstance(plain, str) else plain
