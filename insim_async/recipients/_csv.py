"""CSV, as spreadsheets, shops and address books write it: by Python's own ``csv``."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice

from insim_async.errors import ConfigurationError
from insim_async.recipients._encoding import decoded
from insim_async.recipients._headings import (
    LOOKED_AT,
    above,
    heading_among,
    holds_number,
    labelled,
    score,
)
from insim_async.recipients._reading import Columns, Rules, Where, read_table, rules
from insim_async.recipients._records import (
    FEWEST_DIGITS,
    LINE_BREAK,
    ROWS_IN_A_CELL,
    Shape,
    records,
)
from insim_async.recipients._source import Source, content_of, require_format
from insim_async.recipients._table import FOUND, Found, Record, Table
from insim_async.recipients._values import Recipients

__all__ = ["read_csv"]

_DELIMITERS = ";,\t|"

_names_delimiter = re.compile(r'"?sep=([^"\r\n])"?\s*', re.IGNORECASE).fullmatch
"""A first line that is meant for Excel."""


def read_csv(
    source: Source,
    *,
    region: str | None = None,
    columns: Columns | None = None,
    where: Where | None = None,
    mobile_only: bool = False,
    header_line: int | Found | None = FOUND,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Recipients:
    """Read a contact list from CSV, as spreadsheets, shops and address books write it.

    The headings are in French, English, German, Spanish, Italian, Dutch or Portuguese, in any
    order, on the first line that is not blank or below a title. A row may leave out cells at its
    end; a row with a missing or stray quote is refused alone, and reading goes on with the next
    line. A cell with lines in it that look like rows is refused with all of them: a quote may be
    missing, or they may be a note that lists people nobody wants to write to. Of two rows with the
    same number the later one is refused. An e-mail address is taken as it is: the API warns of a
    bad one and adds the contact all the same. Reading blocks: in a server, call it through
    ``asyncio.to_thread``.

    Args:
        source: A path, the bytes, or an open file, such as an upload; it is read from where it
            stands, and not closed.
        region: The country whose national numbers are understood (``"FR"``); needs the extra
            ``phone``.
        columns: Which heading holds what, where they do not say it themselves: ``{"phone_number":
            "Mobile"}``, or several in order of preference, of which the first one that is filled
            counts: ``{"phone_number": ["Mobile", "Phone"]}``. The names are those of ``Contact``.
        where: Says of a row, by its cells under their headings, whether it is wanted: ``lambda row:
            row["Optin"] == "yes"``. A cell that the row leaves out is ``""``. What it raises ends
            the reading.
        mobile_only: Refuse what is surely no mobile; needs the extra ``phone``.
        header_line: The line of the headings, the first being 1; None for a list that has none, of
            which the column that holds numbers is read.
        encoding: By default that of a byte order mark, or UTF-8, or else the one of Windows-1252,
            MS-DOS (cp850), old Macs and ISO 8859-15 that gives words.
        delimiter: By default the one that a first line ``sep=;`` names, else the one of ``;``,
            ``,``, tab and ``|`` that makes the most of the heading line.

    Raises:
        ConfigurationError: The list cannot be read as asked: unknown region or encoding, no
            headings, no column for the number, two for one thing; or it is no CSV.
        OSError: The file cannot be opened.
    """
    wanted = rules(region, columns, where, mobile_only)
    _require_delimiter(delimiter)
    lines = io.StringIO(_text(source, encoding), newline="").readlines()
    if lines and (line := _names_delimiter(lines[0])):
        delimiter, lines[0] = delimiter or line[1], "\n"
    return read_table(_table(lines, delimiter, header_line, wanted), wanted)


def _require_delimiter(delimiter: str | None) -> None:
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise ConfigurationError(
            "delimiter must be one character, and neither a quote nor a line break"
        )


def _text(source: Source, encoding: str | None) -> str:
    content = content_of(source)
    require_format(content, "CSV")
    return (
        content.removeprefix("\ufeff") if isinstance(content, str) else decoded(content, encoding)
    )


def _table(
    lines: Sequence[str], delimiter: str | None, header_line: int | Found | None, wanted: Rules
) -> Table:
    if header_line is None:
        return _without_headings(lines, delimiter, wanted.region)
    if header_line is not FOUND and header_line not in range(1, len(lines) + 1):
        raise ConfigurationError(
            f"header_line must be None or a line from 1 to {len(lines)}, not {header_line!r}"
        )

    def heading(delimiter: str) -> Record | None:
        if header_line is FOUND:
            return heading_among([*islice(records(lines, delimiter), LOOKED_AT)], wanted.columns)
        first = next(records(lines, delimiter, header_line - 1), None)
        is_there = first and first.line == header_line and (first.fault or any(first.cells))
        return first if is_there else None

    delimiter = delimiter or max(_DELIMITERS, key=lambda each: score(heading(each), wanted.columns))
    record = _checked(heading(delimiter))
    headings = labelled(record.cells)
    top = above(records(lines, delimiter), record) if header_line is FOUND else []
    below = _rows(lines, delimiter, record.end, len(headings))
    return Table(headings, lambda places: chain(top, below(places)))


def _without_headings(lines: Sequence[str], delimiter: str | None, region: str | None) -> Table:
    def first(delimiter: str) -> list[Record]:
        return [*islice(records(lines, delimiter), LOOKED_AT)]

    def numbers(delimiter: str) -> tuple[int, int]:
        rows = [record.cells for record in first(delimiter)]
        held = sum(any(holds_number(cell, region) for cell in cells) for cells in rows)
        return held, max(map(len, rows), default=0)

    delimiter = delimiter or max(_DELIMITERS, key=numbers)
    width = max((len(record.cells) for record in first(delimiter)), default=0)
    return Table(labelled([""] * width), _rows(lines, delimiter, 0, width), has_headings=False)


def _rows(
    lines: Sequence[str], delimiter: str, begin: int, width: int
) -> Callable[[Sequence[int]], Iterator[Record]]:
    return lambda places: records(lines, delimiter, begin, Shape(width, places))


def _checked(record: Record | None) -> Record:
    """Return the headings, unless they are none or cannot be read."""
    if record is None:
        raise ConfigurationError("the file is empty: it has no headings")
    fault = record.fault
    cells = [str(cell) for cell in record.cells]
    lines_within = (line for cell in cells for line in LINE_BREAK.split(cell)[1:])
    if any(sum(map(str.isdigit, line)) >= FEWEST_DIGITS for line in lines_within):
        fault = ROWS_IN_A_CELL.format(record.end)
    if fault:
        raise ConfigurationError(f"line {record.line}, the headings: {fault}")
    if any("\0" in cell for cell in cells):
        raise ConfigurationError(
            'the headings hold NUL characters: if it is UTF-16, say so, encoding="utf-16-le"'
        )
    return record
