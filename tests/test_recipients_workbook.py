"""Workbooks, made by hand from what the format needs at least."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, ClassVar
from xml.sax.saxutils import escape

import pytest

from insim_async.errors import ConfigurationError
from insim_async.models import Contact
from insim_async.recipients import Recipients, read_xlsx

pytestmark = pytest.mark.extra("xlsx")

ONE, TWO = "+33639980001", "+33639980002"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a workbook knows no zones

Sheet = Sequence[Sequence[object]]


def workbook(sheets: Mapping[str, Sheet], hidden: Sequence[str] = ()) -> bytes:
    """Write a workbook as the standard (ECMA-376) has it, with one style for dates."""
    names = list(sheets)
    listed = "".join(
        f'<sheet name="{name}" sheetId="{place}" r:id="rId{place}" '
        f'state="{"hidden" if name in hidden else "visible"}"/>'
        for place, name in enumerate(names, 1)
    )
    parts = {
        f"xl/worksheets/sheet{place}.xml": sheet_of(sheets[name])
        for place, name in enumerate(names, 1)
    }
    related = "".join(
        f'<Relationship Id="rId{place}" Type="{RELATIONS}/worksheet" '
        f'Target="worksheets/sheet{place}.xml"/>'
        for place in range(1, len(names) + 1)
    )
    styles = f'<Relationship Id="rId0" Type="{RELATIONS}/styles" Target="styles.xml"/>'
    parts |= {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="{TYPE}.worksheet+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{TYPE}.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}">'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        f"{related}{styles}</Relationships>",
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><cellXfs count="2"><xf numFmtId="0"/>'
        '<xf numFmtId="14"/></cellXfs></styleSheet>',
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{content}')
    return file.getvalue()


def sheet_of(rows: Sheet) -> str:
    written = ""
    for line, cells in enumerate(rows, 1):
        row = "".join(cell_of(place, line, cell) for place, cell in enumerate(cells))
        written += f'<row r="{line}">{row}</row>'
    return f'<worksheet xmlns="{MAIN}"><sheetData>{written}</sheetData></worksheet>'


def cell_of(place: int, line: int, value: object) -> str:
    where = f'r="{chr(ord("A") + place)}{line}"'
    match value:
        case datetime():
            return f'<c {where} s="1"><v>{(value - EPOCH).total_seconds() / 86_400}</v></c>'
        case int() | float():
            return f"<c {where}><v>{value}</v></c>"
        case _:
            return f'<c {where} t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'


def read(rows: Sheet, **options: Any) -> Recipients:
    return read_xlsx(workbook({"Feuil1": rows}), **options)


def numbers(found: Recipients) -> list[str]:
    return [contact.phone_number for contact in found.contacts]


@pytest.mark.extra("phone")
def test_numbers_are_digits() -> None:
    """Whether text or not; a zero in front is lost, and needs the region."""
    found = read([["Nom", "Tél."], ["Un", 33639980001], ["Deux", 639980002]], region="FR")
    assert found.contacts == (Contact(ONE, last_name="Un"), Contact(TWO, last_name="Deux"))


def test_cells_keep_their_type() -> None:
    """Whole numbers are no fractions."""
    moment = datetime(2026, 9, 1)  # noqa: DTZ001
    (row,) = read([["Tel", "RDV", "Prix", "Nombre"], [ONE, moment, 12.5, 3]]).rows
    assert list(row.cells.values()) == [ONE, moment.date(), 12.5, 3]
    assert [type(cell) for cell in row.cells.values()] == [str, date, float, int]


def test_lines_are_those_of_the_sheet() -> None:
    """Empty rows, a title and the end of the sheet are no rows."""
    rows: Sheet = [
        [],
        ["Liste des adhérents"],
        [],
        ["Nom", "Portable"],
        [],
        ["Un", ONE],
        ["x", "a"],
        [],
    ]
    found = read(rows)
    assert [row.line for row in found.rows] == [6]
    assert [(refusal.line, refusal.reason) for refusal in found.refused] == [
        (7, "the number holds a letter at position 1")
    ]


def test_the_heading_line_can_be_named_or_be_none() -> None:
    found = read([["Tel", "Nom"], ["x", "y"], ["Nom", "Tel"], ["Un", ONE]], header_line=3)
    assert found.contacts == (Contact(ONE, last_name="Un"),)
    assert numbers(read([["Ana", ONE], ["Bob", TWO]], header_line=None)) == [ONE, TWO]
    with pytest.raises(ConfigurationError, match=r"^there are no headings"):
        read([["Tel"], [], [ONE]], header_line=2)
    with pytest.raises(ConfigurationError, match=r"^no column mostly holds phone numbers"):
        read([], header_line=None)


def test_numbers_that_lost_their_digits_are_refused() -> None:
    found = read([["Tel", "Prix"], [33639980000, 1], [-33639980001, 1], [ONE, 2500000]])
    assert [refusal.line for refusal in found.refused] == [2, 3]
    assert "scientific notation" in found.refused[0].reason
    assert found.rows[0].cells["Prix"] == 2_500_000


def test_rows_above_the_headings_are_refused() -> None:
    moment = datetime(2026, 9, 1)  # noqa: DTZ001
    rows: Sheet = [["Liste", moment], [33639980003, "x"], ["Tel", "Nom"], [ONE, "Un"]]
    assert [refusal.line for refusal in read(rows).refused] == [2]
    assert read(rows, header_line=3).refused == ()


@pytest.mark.parametrize("rows", [[], [[]], [["", " "]]])
def test_an_empty_sheet_has_no_headings(rows: Sheet) -> None:
    with pytest.raises(ConfigurationError, match=r"^there are no headings"):
        read(rows)


class TestSheets:
    CLIENTS: ClassVar[Sheet] = [["Tel"], [ONE]]
    OTHERS: ClassVar[Sheet] = [["Tel"], [TWO]]

    def test_that_are_empty_or_hidden_do_not_count(self) -> None:
        content = workbook({"a": [], "b": self.CLIENTS, "c": self.OTHERS}, hidden=["c"])
        assert numbers(read_xlsx(content)) == [ONE]

    def test_of_which_several_hold_something_must_be_named(self) -> None:
        content = workbook({"a": self.CLIENTS, "b": self.OTHERS})
        with pytest.raises(
            ConfigurationError, match=r"^'a', 'b' all hold something: name one, sheet='a'$"
        ):
            read_xlsx(content)
        assert numbers(read_xlsx(content, sheet="b")) == [TWO]

    def test_that_are_hidden_can_be_named(self) -> None:
        content = workbook({"a": self.CLIENTS, "b": self.OTHERS}, hidden=["b"])
        assert numbers(read_xlsx(content, sheet="b")) == [TWO]

    def test_that_are_not_there_are_misuse(self) -> None:
        message = r"^sheet: there is no 'c' among \['a'\]$"
        with pytest.raises(ConfigurationError, match=message):
            read_xlsx(workbook({"a": self.CLIENTS}), sheet="c")


def test_sources_are_those_of_csv(tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    path.write_bytes(workbook({"a": [["Tel"], [ONE]]}))
    assert numbers(read_xlsx(path)) == numbers(read_xlsx(io.BytesIO(path.read_bytes()))) == [ONE]


@pytest.mark.parametrize("content", [b"PK\x03\x04broken", workbook({})[:200]])
def test_a_broken_workbook_is_misuse(content: bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"^the workbook cannot be read: "):
        read_xlsx(content)


def test_a_password_is_misuse(monkeypatch: pytest.MonkeyPatch) -> None:
    import python_calamine

    def load(_: object) -> None:
        raise python_calamine.PasswordError("password")

    monkeypatch.setattr(python_calamine, "load_workbook", load)
    with pytest.raises(ConfigurationError, match=r"^the workbook has a password"):
        read_xlsx(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(ConfigurationError, match=r'pip install "insim_async\[xlsx\]"$'):
        read_xlsx(b"PK\x03\x04")
