"""The rows of a CSV file: which cells stand where, and what a missing quote makes of them.

A row whose quotes do not add up is refused alone, and reading goes on with its next line. A cell
that holds lines which look like rows is refused with all of them: a quote may be missing there.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from insim_async.recipients._table import NULLS, Quoted, Record

__all__ = ["FEWEST_DIGITS", "LINE_BREAK", "ROWS_IN_A_CELL", "Shape", "records"]

FEWEST_DIGITS = 7
"""So many digits may be a phone number."""

LINE_BREAK = re.compile(r"[\r\n]")
_may_be_a_number = re.compile(r"\W*(?:\d\W*){7,}").fullmatch

_QUOTES = "the quotes of the row do not add up: one is missing, or stands where none belongs"
_LONG_CELL = "a cell of the row has more than 131,072 characters, or a quote is missing"
ROWS_IN_A_CELL = (
    "a cell in quotes holds lines that look like rows, "
    "as where a quote is missing: all up to line {}"
)


class Shape(NamedTuple):
    """How many cells a row has, and which ones may be its number."""

    width: int
    places: Sequence[int]

    def fits(self, cells: Sequence[str]) -> bool:
        """Say whether cells look like a row: enough with a number in one, or a number in place."""
        has_number = any(sum(map(str.isdigit, cell)) >= FEWEST_DIGITS for cell in cells)
        in_place = [cells[place] for place in self.places if place < len(cells)]
        return self.width > 1 and (
            (len(cells) >= self.width and has_number) or any(map(_may_be_a_number, in_place))
        )


def records(
    lines: Sequence[str], delimiter: str, begin: int = 0, shape: Shape | None = None
) -> Iterator[Record]:
    """Yield the rows from a line on, blank lines left out.

    Args:
        lines: All lines of the file, with their ends.
        delimiter: What stands between cells.
        begin: The line to begin with, counted from 0.
        shape: What a row looks like, once that is known.
    """
    while begin < len(lines):
        start = begin
        reader = csv.reader(
            map(lines.__getitem__, range(begin, len(lines))), delimiter=delimiter, strict=True
        )
        try:
            for cells in reader:
                end = begin + reader.line_num
                if cells:
                    yield _record(lines, start, end, cells, delimiter, shape)
                start = end
        except csv.Error as error:
            yield _refused(
                lines, start, start + 1, _LONG_CELL if "limit" in str(error) else _QUOTES
            )
            start += 1
        begin = start


def _record(
    lines: Sequence[str],
    start: int,
    end: int,
    cells: list[str],
    delimiter: str,
    shape: Shape | None,
) -> Record:
    if end - start > 1 and shape and any(map(shape.fits, _inner_rows(cells, delimiter))):
        return _refused(lines, start, end, ROWS_IN_A_CELL.format(end))
    if not NULLS.isdisjoint(cells):
        return Record(start + 1, _told_apart("".join(lines[start:end]), cells, delimiter), end=end)
    return Record(start + 1, cells, "", None, end)


def _refused(lines: Sequence[str], start: int, end: int, fault: str) -> Record:
    return Record(start + 1, (), fault, {"unread": "".join(lines[start:end])}, end)


def _told_apart(text: str, cells: Sequence[str], delimiter: str) -> list[str]:
    """Mark the cells that stand in quotes."""
    other = re.escape(delimiter)
    written = re.findall(rf'("(?:[^"]|"")*"|[^{other}]*)(?:{other}|[\r\n]*$)', text)
    return [
        Quoted(cell) if raw.startswith('"') else cell
        for cell, raw in zip(cells, written, strict=False)
    ]


def _inner_rows(cells: Sequence[str], delimiter: str) -> Iterator[list[str]]:
    """Split the lines within cells into rows, as if each were one.

    What stands before the first break in a cell is one row with the cells before it.
    """
    for place, cell in enumerate(cells):
        first, *further = LINE_BREAK.split(cell)
        if further and delimiter in first:
            yield [""] * place + first.split(delimiter)
        yield from (line.split(delimiter) for line in further)
