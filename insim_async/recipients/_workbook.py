"""Workbooks: read by python-calamine (the extra ``xlsx``).

It is kept, typed, quick, and reads ``.xlsx``, ``.xls`` and ``.ods`` alike. openpyxl, the better
known one, had its last release in 2024, takes ten times as long, and reads the first format only.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from insim_async.errors import ConfigurationError
from insim_async.recipients._headings import LOOKED_AT, Named, above, heading_among, labelled
from insim_async.recipients._reading import Columns, Where, read_table, rules
from insim_async.recipients._source import Source, content_of, require_format
from insim_async.recipients._table import FOUND, Found, Record, Table
from insim_async.recipients._values import Recipients

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

__all__ = ["read_xlsx"]


_ZEROS, _FEW = 10_000, 1_000_000


def read_xlsx(
    source: Source,
    *,
    region: str | None = None,
    columns: Columns | None = None,
    where: Where | None = None,
    mobile_only: bool = False,
    header_line: int | Found | None = FOUND,
    sheet: str | None = None,
) -> Recipients:
    """Read a contact list from a workbook: ``.xlsx``, or ``.xls`` and ``.ods``.

    Needs the extra ``xlsx``. What ``read_csv`` says of headings and rows holds here; lines are the
    rows of the sheet. Of formulas their last result is read. Rows that a filter hides are read as
    well. Cells keep their type in ``rows``: numbers, dates.

    Args:
        source: As for ``read_csv``.
        region: As for ``read_csv``.
        columns: As for ``read_csv``.
        where: As for ``read_csv``.
        mobile_only: As for ``read_csv``.
        header_line: As for ``read_csv``.
        sheet: The name of the sheet, where more than one holds something.

    Raises:
        ConfigurationError: The list cannot be read as asked, or it is no workbook, or one with a
            password, or the extra ``xlsx`` is not installed.
        OSError: The file cannot be opened.
    """
    wanted = rules(region, columns, where, mobile_only)
    content = content_of(source)
    require_format(content, "a workbook")
    with _opened(content) as workbook:
        rows = _rows(_sheet(workbook, sheet))
    return read_table(_table(rows, header_line, wanted.columns), wanted)


def _opened(content: bytes | str) -> CalamineWorkbook:
    try:
        import python_calamine as library
    except ImportError as error:
        raise ConfigurationError(
            'read_xlsx needs an extra: pip install "insim_async[xlsx]"'
        ) from error
    try:
        return library.load_workbook(io.BytesIO(cast(bytes, content)))
    except library.PasswordError as error:
        fault = "the workbook has a password: save it without one"
        raise ConfigurationError(fault) from error
    except library.CalamineError as error:
        raise ConfigurationError(f"the workbook cannot be read: {error}") from error


def _sheet(workbook: CalamineWorkbook, name: str | None) -> CalamineSheet:
    """Return the sheet that is named, or the only one that holds something and can be seen."""
    from python_calamine import SheetVisibleEnum

    if name is not None and name not in workbook.sheet_names:
        raise ConfigurationError(f"sheet: there is no {name!r} among {workbook.sheet_names}")
    visible = [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.visible == SheetVisibleEnum.Visible
    ]
    names = [name] if name is not None else visible
    sheets = [workbook.get_sheet_by_name(each) for each in names]
    filled = [sheet for sheet in sheets if sheet.height] or sheets[:1]
    if len(filled) > 1:
        shown = ", ".join(repr(sheet.name) for sheet in filled)
        raise ConfigurationError(f"{shown} all hold something: name one, sheet={filled[0].name!r}")
    return filled[0]


def _rows(sheet: CalamineSheet) -> list[Record]:
    """Return the rows that hold something, with their numbers."""
    return [
        Record(line, [_whole(cell) for cell in cells], end=line)
        for line, cells in enumerate(sheet.to_python(skip_empty_area=False), 1)
        if any(cell != "" for cell in cells)
    ]


def _whole(cell: Any) -> Any:
    """Return a whole number as one: a workbook has no other numbers than fractions.

    What may have lost its last digits stays a fraction.
    """
    is_whole = isinstance(cell, float) and cell.is_integer()
    return int(cell) if is_whole and (cell % _ZEROS or abs(cell) < _FEW) else cell


def _table(rows: Sequence[Record], header_line: int | Found | None, names: Named) -> Table:
    if header_line is None:
        width = max((len(row.cells) for row in rows), default=0)
        return Table(labelled([""] * width), lambda _: rows, has_headings=False)
    found = [row for row in rows if header_line in (FOUND, row.line)]
    heading = heading_among(found[:LOOKED_AT], names)
    if heading is None:
        raise ConfigurationError("there are no headings: the sheet, or the header_line, is empty")
    top = above(rows, heading) if header_line is FOUND else []
    below = [row for row in rows if row.line > heading.line]
    return Table(labelled(heading.cells), lambda _: [*top, *below])
