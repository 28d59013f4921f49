"""What a list says once it is read: its rows, its reasons, what was left out of it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from insim_async.errors import ConfigurationError
from insim_async.recipients import Recipients, read_csv, read_rows, read_vcards, read_xlsx
from insim_async.recipients._values import Cells

ONE, TWO, THREE = "+33639980001", "+33639980002", "+33639980003"
LANDLINE = "+33199000001"
needs_phone = pytest.mark.extra("phone")
LISTS = Path(__file__).parent / "data" / "lists"


def read(text: str, **options: Any) -> Recipients:
    return read_csv(text.encode(), **options)


def numbers(found: Recipients) -> list[str]:
    return [contact.phone_number for contact in found.contacts]


class TestRows:
    TEXT = f"Tel;Nom;Date RDV;Salle\n{ONE} ; Un ;lundi;NULL\n\n{TWO};Deux\n"

    def test_hold_all_cells_by_heading(self) -> None:
        """As they are meant: stripped, without what says that there is nothing, none missing."""
        first, second = read(self.TEXT).rows
        assert first.cells == {"Tel": ONE, "Nom": "Un", "Date RDV": "lundi", "Salle": ""}
        assert second.cells == {"Tel": TWO, "Nom": "Deux", "Date RDV": "", "Salle": ""}

    def test_say_where_they_stand(self) -> None:
        found = read(self.TEXT)
        assert [row.line for row in found.rows] == [2, 4]
        assert tuple(row.contact for row in found.rows) == found.contacts

    def test_show_nobody(self) -> None:
        shown = repr(read(self.TEXT))
        assert "Un" not in shown
        assert "lundi" not in shown
        assert "cells=<4 cells>" in shown

    def test_fill_a_text(self) -> None:
        row = read(self.TEXT).rows[0]
        assert "RDV {Date RDV}".format_map(row.cells) == "RDV lundi"

    def test_keep_the_types_of_mappings(self) -> None:
        (row,) = read_rows([{"tel": ONE, "age": 7, "vip": True, "size": float("nan")}]).rows
        assert row.cells == {"tel": ONE, "age": 7, "vip": True, "size": ""}

    def test_have_no_cell_under_another_heading(self) -> None:
        """And say which there are."""
        with pytest.raises(KeyError, match="there is no 'RDV' among 'Tel', 'Nom', 'Date RDV'"):
            read(self.TEXT).rows[0].cells["RDV"]
        assert read(self.TEXT).rows[0].cells.get("RDV") is None

    def test_share_their_headings(self) -> None:
        """A list is as large as its people."""
        first, second = read(self.TEXT).rows
        assert isinstance(first.cells, Cells)
        assert isinstance(second.cells, Cells)
        assert first.cells._places is second.cells._places


class TestWhere:
    TEXT = (
        f"Tel;Optin;Note\n{ONE};oui;x\n{TWO};non;x\n{ONE};non;x\nabc;oui;x\nabc;non;x\n"
        f"{THREE};oui\n;;\n"
    )

    def test_leaves_rows_out_and_counts_them(self) -> None:
        """Whatever else is wrong with them; and they are no duplicates of others."""
        found = read(self.TEXT, where=lambda row: row["Optin"] == "oui")
        assert (numbers(found), found.skipped) == ([ONE, THREE], 3)
        assert [(refusal.line, refusal.reason) for refusal in found.refused] == [
            (5, "the number holds a letter at position 1"),
            (8, "the row is empty"),
        ]

    def test_sees_a_cell_that_the_row_leaves_out_as_an_empty_one(self) -> None:
        seen: list[str] = []
        read(self.TEXT, where=lambda row: seen.append(row["Note"]))
        assert seen == ["x"] * 5 + [""]

    def test_of_two_rows_with_one_number_takes_the_one_that_is_wanted(self) -> None:
        text = f"Tel;Optin\n{ONE};non\n{ONE};oui\n"
        assert read(text, where=lambda row: row["Optin"] == "oui").rows[0].line == 3

    def test_that_raises_says_in_which_line(self) -> None:
        with pytest.raises(KeyError, match="no 'Consent' among") as caught:
            read(self.TEXT, where=lambda row: row["Consent"])
        assert caught.value.__notes__ == ["raised by where, for the row of line 2"]

    def test_that_is_asynchronous_is_misuse(self) -> None:
        """What it returns would always be true."""

        async def where(row: Mapping[str, Any]) -> None: ...

        with pytest.raises(ConfigurationError, match=r"^where must be a plain function"):
            read(self.TEXT, where=where)

    @pytest.mark.parametrize("read", [read_rows, read_csv, read_vcards])
    def test_is_there_for_every_format(self, read: Any) -> None:
        card = b"BEGIN:VCARD\nTEL:+33639980001\nEND:VCARD\n"
        source = {read_rows: [{"TEL": ONE}], read_csv: b"TEL\n+33639980001\n", read_vcards: card}
        found = read(source[read], where=lambda row: row["TEL"] == "")
        assert (found.contacts, found.skipped) == ((), 1)


@needs_phone
class TestMobileOnly:
    TEXT = (
        f"Tel\n{ONE}\n{LANDLINE}\n+12025550123\n"
        "+33970000001\n+33800000001\n+33639990000\n+999123456789\n"
    )

    def test_refuses_what_is_surely_no_mobile(self) -> None:
        """What may be a mobile, and what is not known, stay."""
        found = read(self.TEXT, mobile_only=True)
        assert [(refusal.line, refusal.reason) for refusal in found.refused] == [
            (3, "the number is a landline"),
            (5, "the number is no mobile"),
            (6, "the number is no mobile"),
        ]
        assert len(found.contacts) == 4

    def test_is_not_the_default(self) -> None:
        assert len(read(self.TEXT).contacts) == 7


def test_mobile_only_needs_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "phonenumbers", None)
    with pytest.raises(ConfigurationError, match=r"^mobile_only needs an extra: pip install"):
        read("Tel\n", mobile_only=True)


@needs_phone
@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (f"{ONE} / {ONE}", [ONE]),
        ("0639980001 0639980001", [ONE]),
        (f"{ONE}, 06 39 98 00 01", [ONE]),
        ("06 39 98 00 01 / 06.39.98.00.01", [ONE]),
        (f"{ONE} / 06 39 98 00 02", []),
        (f"{ONE} / 16 39 98 00 01", []),
        (f"{ONE} / {ONE} / 12", []),
    ],
)
def test_one_number_that_is_written_twice_is_one(cell: str, expected: list[str]) -> None:
    found = read(f'Tel\n"{cell}"\n', region="FR", delimiter=";")
    assert [contact.phone_number for contact in found.contacts] == expected
    assert [refusal.reason for refusal in found.refused] == ["the cell holds two numbers"] * (
        not expected
    )


class TestMarks:
    """What spreadsheets put around numbers to keep them as they were typed."""

    @pytest.mark.parametrize(
        "cell",
        [
            f"'{ONE}",
            "'+33 6 39 98 00 01",
            f'"=""{ONE}"""',
            f'="{ONE}"',
            f"={ONE}",
            f'= "{ONE}"',
            '="+33 (6) 39-98-00.01"',
            f'="\'{ONE}"',
        ],
    )
    def test_are_left_out(self, cell: str) -> None:
        assert numbers(read(f"Tel;x\n{cell};\n")) == [ONE]

    @pytest.mark.parametrize(
        "cell",
        [
            "''+33639980001",
            "'a",
            "=33-639980001",
            "=A1",
            '="0"&"639980001"',
            f"'{ONE}'",
            f'="{ONE}',
        ],
    )
    def test_are_not_evaluated(self, cell: str) -> None:
        assert numbers(read(f"Tel;x\n{cell};\n")) == []

    def test_stay_in_other_cells(self) -> None:
        (row,) = read(f"Tel;Nom;Note\n{ONE};'9;=1+1\n").rows
        assert (row.contact.last_name, row.cells["Note"]) == ("'9", "=1+1")


class TestNull:
    @pytest.mark.parametrize(
        "marker", ["NULL", "null", "\\N", "#N/A", "NaN", "<NA>", "None", "(null)", "#REF!", "n/a"]
    )
    def test_is_an_empty_cell(self, marker: str) -> None:
        (row,) = read(f'Tel;Nom;"Note"\n{ONE};{marker};{marker}\n').rows
        assert (row.contact.last_name, row.cells["Note"]) == ("", "")
        (row,) = read_rows([{"tel": ONE, "nom": f" {marker} "}]).rows
        assert row.contact.last_name == ""

    @pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
    def test_in_quotes_is_a_name(self, delimiter: str) -> None:
        """Whatever quotes stand before it."""
        cells = ['"a ""b"""', f'"{delimiter}"', "NULL", '"NULL"', f'"{ONE}"', "NULL", '" NULL "']
        headings = ["a", "b", "c", "Nom", "Tel", "Adresse", "e-mail"]
        (row,) = read("\n".join([delimiter.join(headings), delimiter.join(cells)])).rows
        contact = row.contact
        assert (contact.last_name, contact.address, contact.email) == ("NULL", "", "NULL")
        assert type(contact.last_name) is str
        assert row.cells["c"] == ""

    @pytest.mark.parametrize("name", ["Null", "NUL", "NA", "Nan", "Nil", "nulle"])
    def test_is_not_a_name_that_is_like_it(self, name: str) -> None:
        assert read(f"Tel;Nom\n{ONE};{name}\n").contacts[0].last_name == name

    def test_in_place_of_a_number_is_none(self) -> None:
        found = read("Tel;Nom\nNULL;x\nn/a;x\nNULL;NULL\n")
        assert [refusal.reason for refusal in found.refused] == [
            "the number is empty",
            "the number holds a letter at position 1",
            "the row is empty",
        ]
        assert found.refused[0].row == {"Tel": "NULL", "Nom": "x"}


class TestSummary:
    def test_counts_and_gives_each_reason_with_its_first_lines(self) -> None:
        rows = [ONE, *[f"{ONE} "] * 6, "abc", "06", "xabc", "1a", *["x"] * 2, f"{TWO}"]
        text = "Tel;Note;;Optin\n" + "".join(f"{number};;;oui\n" for number in rows) + "1;;;non\n"
        assert str(read(text, where=lambda row: row["Optin"] == "oui")) == (
            "contacts: 2, refused: 12, left out by where: 1\n"
            "6 × same number as an earlier line: lines 3, 4, 5, 6, 7, …\n"
            "5 × the number holds a letter at position …: lines 9, 11, 12, 13, 14\n"
            "1 × the number has no country code: write + and the country code, "
            'or name the region it is written for, such as region="FR": line 10\n'
            "further columns: Note, Optin"
        )

    def test_of_a_good_list_is_short(self) -> None:
        assert str(read(f"Tel\n{ONE}\n")) == "contacts: 1, refused: 0"

    def test_shows_nobody(self) -> None:
        text = f'Tel;Nom\n{ONE};"Müller\n{TWO};Müller"\nabc;Müller\n'
        assert "Müller" not in str(read(text))
        assert "3998" not in str(read(text))
        assert "all up to a later line" in str(read(text))


class TestEquality:
    def test_is_that_of_contacts_and_refusals(self) -> None:
        """Wherever they stand in their files."""
        assert read(f"Tel\n{ONE}\n") == read(f"Tel\n\n{ONE}\n")
        assert read(f"Tel\n{ONE}\n") != read(f"Tel\n{TWO}\n")
        assert read(f"Tel\n{ONE}\n") != read(f"Tel;x\n{ONE}\n")
        assert read(f"Tel\n{ONE}\n") != (ONE,)


class TestSources:
    CONTENT = f"téléphone;nom\n{ONE};Müller\n"

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO])
    def test_may_be_bytes_or_an_open_file(self, kind: Any) -> None:
        assert numbers(read_csv(kind(self.CONTENT.encode()))) == [ONE]

    def test_may_be_text_that_is_decoded_already(self) -> None:
        """A byte order mark that its reader left is no part of the first heading."""
        assert numbers(read_csv(io.StringIO(f"\ufeff{self.CONTENT}"))) == [ONE]

    def test_may_be_a_file_that_stays_open(self, tmp_path: Path) -> None:
        path = tmp_path / "list.csv"
        path.write_text(self.CONTENT, "utf-8")
        with path.open("rb") as file:
            assert numbers(read_csv(file)) == [ONE]
            assert not file.closed
        with path.open(encoding="utf-8") as text:
            assert numbers(read_csv(text)) == [ONE]
        assert numbers(read_csv(path)) == numbers(read_csv(str(path))) == [ONE]

    def test_that_was_read_before_is_misuse(self) -> None:
        file = io.BytesIO(self.CONTENT.encode())
        read_csv(file)
        with pytest.raises(ConfigurationError, match=r"was read before: seek\(0\) first$"):
            read_csv(file)

    def test_that_is_read_asynchronously_is_misuse(self) -> None:
        """As an upload of Starlette is."""

        class Upload:
            async def read(self) -> None: ...

        with pytest.raises(ConfigurationError, match=r"give the bytes, \(await file.read\(\)\)$"):
            read_csv(Upload())  # type: ignore[arg-type]  # the very mistake

    @pytest.mark.parametrize("source", [5, None, [b"tel"]])
    def test_that_is_none_is_misuse(self, source: Any) -> None:
        with pytest.raises(
            ConfigurationError, match="read from a path, bytes or an open file, not"
        ):
            read_csv(source)

    def test_that_gives_something_else_is_misuse(self) -> None:
        class Strange:
            def read(self) -> list[int]:
                return [1]

        with pytest.raises(ConfigurationError, match="the open file gives list, and no bytes"):
            read_csv(Strange())  # type: ignore[arg-type]  # the very mistake

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"PK\x03\x04...", "the list is a workbook: read it with read_xlsx"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "the list is a workbook: read it with read_xlsx"),
            (b"\n begin:vcard\n", "the list is a file of vCards: read it with read_vcards"),
            ("BEGIN:VCARD\n".encode("utf-16"), "the list is a file of vCards: read it with"),
            (b"\xef\xbb\xbfBEGIN:VCARD\n", "the list is a file of vCards: read it with"),
            (b"<!DOCTYPE html>", "the list is a web page: open it in a spreadsheet"),
            (b"<table>", "the list is a web page: open it in a spreadsheet"),
            (b'[\n {"tel": 1}]', "the list is JSON: give what json.load makes of it to read_rows"),
            (b"%PDF-1.7", "the list is a PDF"),
            (b"\x1f\x8b\x08", "the list is compressed: unpack it first"),
            (b"SQLite format 3\0", "the list is a database: give the rows of a query to read_rows"),
        ],
    )
    def test_of_another_format_name_their_reader(self, content: bytes, message: str) -> None:
        with pytest.raises(ConfigurationError, match=f"^{message}"):
            read_csv(content)
        with pytest.raises(ConfigurationError, match=r"^the list is"):
            read_csv(io.StringIO("BEGIN:VCARD\n"))

    @pytest.mark.parametrize("read", [read_xlsx, read_vcards])
    def test_of_csv_are_for_its_reader(self, read: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"^the list is CSV: read it with read_csv$"):
            read(LISTS / "null.csv")
