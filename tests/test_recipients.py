"""Contact lists as people keep them."""

from __future__ import annotations

import codecs
import csv
import io
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insim_async import recipients
from insim_async.errors import ConfigurationError
from insim_async.models import Contact
from insim_async.recipients import Recipients, Refusal, read_csv, read_rows
from tests.conftest import NotAvailable

CLIENTS = Path(__file__).parent / "data" / "clients.csv"
ONE, TWO, THREE = "+33639980001", "+33639980002", "+33639980003"
ROWS_IN_A_CELL = (
    "a cell in quotes holds lines that look like rows, "
    "as where a quote is missing: all up to line {}"
)
TOO_LONG = "a cell of the row has more than 131,072 characters, or a quote is missing"
QUOTES = "the quotes of the row do not add up: one is missing, or stands where none belongs"
CONTROL = "the number holds a line break or another control character at position"
AGAIN = "the headings stand here once more"
NATIONAL = (
    "the number has no country code: write + and the country code, "
    'or name the region it is written for, such as region="FR"'
)
LÉA = Contact(ONE, first_name="Léa", last_name="Müller")
SCIENTIFIC = (
    "a spreadsheet has put scientific notation in place of the number, and its digits are lost: "
    "format the column as text and fill it in again"
)
NEGATIVE = "the number is negative: read or format the column as text"
needs_phone = pytest.mark.extra("phone")

Write: TypeAlias = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file and return its path."""

    def to_file(content: str | bytes) -> Path:
        path = tmp_path / "list.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return to_file


def numbers(found: Recipients) -> list[str]:
    return [contact.phone_number for contact in found.contacts]


def refusals(found: Recipients) -> list[tuple[int, str]]:
    return [(refusal.line, refusal.reason) for refusal in found.refused]


class TestSample:
    """A real-looking list of 513 rows with the mess of real ones."""

    @needs_phone
    def test_every_row_ends_up_in_one_group(self) -> None:
        """Counted by a second program, which compares the last nine digits."""
        found = read_csv(CLIENTS, region="FR")
        reasons = Counter(re.sub(r"\d+$", "N", refusal.reason) for refusal in found.refused)
        assert len(found.contacts) == 460
        assert reasons == {
            "same number as line N": 28,
            "the number is too short for its country": 9,
            "the number holds a letter at position N": 6,
            "the number is empty": 5,
            "a spreadsheet has put scientific notation in place of the number, "
            "and its digits are lost: format the column as text and fill it in again": 5,
        }
        assert len(found.contacts) + len(found.refused) == 513

    @needs_phone
    def test_every_contact_is_complete(self) -> None:
        """All numbers are French and differ, and no cell lost an accent or was evaluated."""
        contacts = read_csv(CLIENTS, region="FR").contacts
        assert all(re.fullmatch(r"\+3363998\d{4}", contact.phone_number) for contact in contacts)
        assert len({contact.phone_number for contact in contacts}) == len(contacts)
        assert contacts[0] == Contact(
            "+33639989432",
            first_name="Maëlys",
            last_name="Dubois",
            email="maëlys.dubois@example.com",
        )
        assert {contact.email for contact in contacts if "@" not in contact.email} == {
            "",
            "pas d'email",
        }
        assert sum(contact.email == "pas d'email" for contact in contacts) == 25

    @needs_phone
    def test_lines_are_those_of_the_file(self) -> None:
        """Though cells with line breaks stand before them."""
        lines = CLIENTS.read_text("utf-8").split("\n")
        for refusal in read_csv(CLIENTS, region="FR").refused:
            assert lines[refusal.line - 1].startswith(
                ";".join(list(map(str, refusal.row.values()))[:3])
            )

    def test_without_a_region_national_numbers_are_refused(self) -> None:
        """With what to do about it."""
        found = read_csv(CLIENTS)
        reasons = Counter(
            refusal.reason.split(":")[0] for refusal in found.refused if ":" in refusal.reason
        )
        assert len(found.contacts) == 226
        assert reasons == {
            "the number has no country code": 149,
            "the number begins with 00 in place of +": 57,
            "the number has a zero in brackets that may or may not be dialled": 48,
            "a spreadsheet has put scientific notation in place of the number, "
            "and its digits are lost": 5,
        }


class TestEncoding:
    TEXT = f"prénom;nom;téléphone\r\nLéa;Müller;{ONE}\r\n"

    @pytest.mark.parametrize(
        ("mark", "encoding"),
        [
            (b"", "utf-8"),
            (codecs.BOM_UTF8, "utf-8"),
            (codecs.BOM_UTF16_LE, "utf-16-le"),
            (codecs.BOM_UTF16_BE, "utf-16-be"),
            (b"", "cp1252"),
        ],
    )
    def test_is_found(self, write: Write, mark: bytes, encoding: str) -> None:
        path = write(mark + self.TEXT.encode(encoding))
        assert read_csv(path, columns={"first_name": "prénom"}).contacts == (LÉA,)

    @pytest.mark.parametrize(
        "encoding", ["mac-roman", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-7", "cp850"]
    )
    def test_can_be_named(self, write: Write, encoding: str) -> None:
        assert read_csv(write(self.TEXT.encode(encoding)), encoding=encoding).contacts == (LÉA,)

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
    def test_without_a_byte_order_mark_is_not_guessed(self, write: Write, encoding: str) -> None:
        with pytest.raises(
            ConfigurationError, match='if it is UTF-16, say so, encoding="utf-16-le"'
        ):
            read_csv(write(self.TEXT.encode(encoding)))

    def test_can_be_named_for_a_file_with_a_byte_order_mark(self, write: Write) -> None:
        """The mark does not become part of the first heading."""
        path = write(codecs.BOM_UTF8 + self.TEXT.encode())
        assert read_csv(path, columns={"first_name": "prénom"}, encoding="utf-8").contacts == (LÉA,)

    @pytest.mark.parametrize(
        "name", ["été « annulé »", "PÃES", "Œuvre – 5 €", "O\N{RIGHT SINGLE QUOTATION MARK}Neil"]
    )
    def test_of_windows_keeps_its_signs(self, write: Write, name: str) -> None:
        """What looks like broken UTF-8 only at first sight is Windows-1252."""
        found = read_csv(write(f"tel;nom\n{ONE};{name}\n".encode("cp1252")))
        assert found.contacts == (Contact(ONE, last_name=name),)

    @pytest.mark.parametrize(
        ("content", "encoding", "message"),
        [
            (
                f"tel;nom\n{ONE};\x81\n".encode("latin-1"),
                None,
                "line 2 holds byte 0x81, which is not cp1252",
            ),
            (
                b"tel;nom\n;L\xc3\xa9a\n;L\xe9a\n",
                None,
                "line 3 holds byte 0xe9, which is not utf-8",
            ),
            (
                b"tel;nom\n;\xe2\x80\x99\n\n;L\xe9a\n",
                None,
                "line 4 holds byte 0xe9, which is not utf-8",
            ),
            (
                codecs.BOM_UTF8 + b"tel;nom\n;L\xe9a\n",
                None,
                "line 2 holds byte 0xe9, which is not utf-8",
            ),
            (codecs.BOM_UTF16_LE + b"t\0e", None, "line 1 holds byte 0x65, which is not utf-16"),
            (b"tel;nom\n;L\xe9a\n", "ascii", "line 2 holds byte 0xe9, which is not ascii"),
        ],
    )
    def test_that_does_not_fit_is_an_error_that_says_where(
        self, write: Write, content: bytes, encoding: str | None, message: str
    ) -> None:
        """A file of two encodings is never taken for Windows-1252; the error does not hold it."""
        with pytest.raises(
            ConfigurationError, match=f"^{message}: name the encoding of the file"
        ) as caught:
            read_csv(write(content), encoding=encoding)
        assert caught.value.__context__ is None

    @pytest.mark.parametrize("encoding", ["utf-9", "rot13", "hex"])
    def test_that_is_unknown_is_misuse(self, write: Write, encoding: str) -> None:
        with pytest.raises(ConfigurationError, match=f"^unknown encoding '{encoding}'$"):
            read_csv(write(self.TEXT), encoding=encoding)


class TestDialect:
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
    def test_is_found(self, write: Write, delimiter: str, end: str) -> None:
        """Whatever ends the lines, and though a cell is full of other delimiters."""
        rows = ["Prénom", "Nom", "Tél."], ["Léa", "Müller", ONE], ["Paul;,|\t;,|\t", "x", TWO]
        quoted = [delimiter.join(f'"{cell}"' for cell in row) for row in rows]
        found = read_csv(write(end.join(quoted)))
        assert found.contacts == (LÉA, Contact(TWO, first_name="Paul;,|\t;,|", last_name="x"))

    @pytest.mark.parametrize(
        "text",
        [
            f"téléphone\n{ONE}\n",
            f"téléphone\n{ONE}",
            f'"téléphone"\n"{ONE}"\n\n\n',
            f"\n\n ; \ntéléphone\n{ONE}\n",
            f"Nom, prénom ou raison sociale, civilité;téléphone\nMüller, Léa;{ONE}\n",
            f'"Note\nà part";téléphone\n;{ONE}',
            f"téléphone;;\n{ONE};;\n",
            f"téléphone,note\n{ONE},a|b|c|d;e;f;g\n",
            f"  téléphone  ;note\n  {ONE}  ;\n",
        ],
    )
    def test_is_that_of_the_headings(self, write: Write, text: str) -> None:
        """Cells cannot mislead it, and one column is enough."""
        assert read_csv(write(text)).contacts == (Contact(ONE),)

    def test_follows_the_headings_that_the_caller_names(self, write: Write) -> None:
        path = write(f"Ligne 1, Ligne 2, Ligne 3;Qui\n{ONE};Léa\n")
        found = read_csv(
            path, columns={"phone_number": "Ligne 1, Ligne 2, Ligne 3", "first_name": "Qui"}
        )
        assert found.contacts == (Contact(ONE, first_name="Léa"),)

    def test_can_be_named(self, write: Write) -> None:
        assert read_csv(write(f"tel:nom\n{ONE}:Müller"), delimiter=":").contacts == (
            Contact(ONE, last_name="Müller"),
        )

    @pytest.mark.parametrize("line", ["sep=:", "SEP=:\r", '"sep=:"', "\ufeffsep=:"])
    def test_can_be_named_by_the_file(self, write: Write, line: str) -> None:
        """As Excel reads it; the caller's word counts more."""
        path = write(f"{line}\nnom;x:tel\nMüller:{ONE}\nx:y")
        found = read_csv(path)
        assert found.contacts == (Contact(ONE),)
        assert [line for line, _ in refusals(found)] == [4]
        with pytest.raises(
            ConfigurationError, match="no heading says phone number among 'nom', 'x:tel'"
        ):
            read_csv(path, delimiter=";")

    @pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", "\r"])
    def test_that_cannot_be_is_misuse(self, write: Write, delimiter: str) -> None:
        with pytest.raises(ConfigurationError, match=r"^delimiter must be one character"):
            read_csv(write("tel;nom\n"), delimiter=delimiter)

    @pytest.mark.parametrize("text", ["", "\n\n", "\r\n;;\r\n", "\ufeff", "  "])
    def test_of_an_empty_file_is_misuse(self, write: Write, text: str) -> None:
        with pytest.raises(ConfigurationError, match=r"^the file is empty: it has no headings$"):
            read_csv(write(text))

    def test_of_headings_with_rows_in_them_is_misuse(self, write: Write) -> None:
        with pytest.raises(
            ConfigurationError, match=r"^line 1, the headings: a cell in quotes holds lines"
        ):
            read_csv(write(f'Téléphone;"Nom\n{ONE};Dupont\n{TWO};Martin"\n{THREE};Durand\n'))

    @pytest.mark.parametrize("text", ['\n"tel;nom\n+1;x\n', '\n"\ntel;nom\n', '\n"tel"s;nom\n'])
    def test_of_a_heading_that_never_closes_is_misuse(self, write: Write, text: str) -> None:
        with pytest.raises(
            ConfigurationError, match=r"^line 2, the headings: the quotes of the row do not add up"
        ):
            read_csv(write(text))


HEADINGS = "Prénom;Tel;Note"


class TestRows:
    @pytest.mark.parametrize(
        ("rows", "contacts", "expected"),
        [
            # realistic
            ([f"Léa;{ONE};"], 1, []),
            ([f"Léa;{ONE}"], 1, []),
            ([f"Léa;{ONE};;;"], 1, []),
            ([f"Léa;{ONE};=1+1"], 1, []),
            ([], 0, []),
            (["", f"Léa;{ONE};", "", ""], 1, []),
            ([";;"], 0, [(2, "the row is empty")]),
            (["  ;\N{NO-BREAK SPACE};"], 0, [(2, "the row is empty")]),
            (["Léa;;"], 0, [(2, "the number is empty")]),
            (["Léa"], 0, [(2, "the row ends before its phone number")]),
            ([f"Léa;{ONE};a;b"], 0, [(2, "the row has 4 cells under 3 headings")]),
            ([f"Müller;Léa;{ONE};"], 0, [(2, "the number holds a letter at position 1")]),
            ([f"Léa;{ONE};", f"LÉA;{ONE};"], 1, [(3, "same number as line 2")]),
            (
                [f"Léa;{ONE};", "Léa;+33.6.39.98.00.01", f"x;{ONE}"],
                1,
                [(n, "same number as line 2") for n in (3, 4)],
            ),
            ([f"Léa;{ONE};a;b", f"Léa;{ONE};"], 1, [(2, "the row has 4 cells under 3 headings")]),
            # cells with line breaks
            (
                ['Léa;;"a', "b", 'c"', ";;"],
                0,
                [(2, "the number is empty"), (5, "the row is empty")],
            ),
            (["", f'"Léa\r\nMarie";{ONE};"a\n\n"', ";;"], 1, [(7, "the row is empty")]),
            ([f'Léa;"{ONE}\n{TWO}";'], 0, [(2, "the cell holds two numbers")]),
            ([f"Léa;{ONE} / {TWO};"], 0, [(2, "the cell holds two numbers")]),
            ([f'Léa;"{ONE}\n(portable)";'], 0, [(2, f"{CONTROL} 13")]),
            ([f"Léa;{ONE};", HEADINGS, f"Zoé;{TWO};"], 2, [(3, AGAIN)]),
            (["Total;2;"], 0, [(2, NATIONAL)]),
            # quotes that do not add up
            ([f'Léa;{ONE};"a', f"Paul;{TWO};", f"Zoé;{THREE};"], 2, [(2, QUOTES)]),
            ([f'Léa;{ONE};"a', f'Paul;{TWO};"b"', f"Zoé;{THREE};"], 2, [(2, QUOTES)]),
            ([f'Léa;{ONE};"a" b', f"Paul;{TWO};"], 1, [(2, QUOTES)]),
            # cells that look like rows
            (
                [f'Léa;{ONE};"a', f'Paul;{TWO};b"', f"Zoé;{THREE};"],
                1,
                [(2, ROWS_IN_A_CELL.format(3))],
            ),
            (
                [f'"Léa;{ONE};', "", f"Paul;{TWO};", f'Zoé;{THREE};"', f"Ève;{TWO};"],
                1,
                [(2, ROWS_IN_A_CELL.format(5))],
            ),
            ([f'Léa;{ONE};"as of 2024:', f'not Paul;{TWO};"'], 0, [(2, ROWS_IN_A_CELL.format(3))]),
            ([f'Léa;{ONE};"a', f"Paul;{TWO}", f'Zoé;{THREE}"'], 0, [(2, ROWS_IN_A_CELL.format(4))]),
            ([f'"Léa;{ONE}', f'Paul";{TWO}', f"Zoé;{THREE}"], 1, [(2, ROWS_IN_A_CELL.format(3))]),
            ([f'Léa;{ONE};"a', "Paul; BP 12345", '75001 Paris"'], 1, []),
            ([f'Léa;{ONE};"a', '12; rue B; 33000 Bordeaux"'], 1, []),
            (
                [f'Léa;{ONE};"a', 'Paul; BP 12345 67890; x"'],
                0,
                [(2, ROWS_IN_A_CELL.format(3))],
            ),
            ([f'Léa;{ONE};"a; b; c', 'd; e; f"', f"Paul;{TWO};"], 2, []),
            ([f'Léa;{ONE};"a\N{LINE SEPARATOR}b;{TWO};c"'], 1, []),
            ([f'5" Léa;{ONE};6"'], 1, []),
            (['"' * 3], 0, [(2, QUOTES)]),
            ([f'Léa;{ONE};"' + "a" * 200_000, f"Paul;{TWO};"], 1, [(2, TOO_LONG)]),
        ],
    )
    def test_are_contacts_or_refused(
        self, write: Write, rows: list[str], contacts: int, expected: list[tuple[int, str]]
    ) -> None:
        """With the line on which they begin, and one bad row never costs another."""
        found = read_csv(write("\n".join([HEADINGS, *rows])))
        assert refusals(found) == expected
        assert len(found.contacts) == contacts

    @pytest.mark.parametrize(
        ("row", "content"),
        [
            ("Léa;n/a;VIP", {"Prénom": "Léa", "Tel": "n/a", "Note": "VIP"}),
            (" Léa ; ;", {"Prénom": " Léa ", "Tel": " ", "Note": ""}),
            ("Léa", {"Prénom": "Léa"}),
            (
                "Léa;1;2;3;",
                {"Prénom": "Léa", "Tel": "1", "Note": "2", "(column 4)": "3", "(column 5)": ""},
            ),
            ('Léa;"1', {"unread": 'Léa;"1\r\n'}),
            (f'Léa;"1\r\n;{ONE};"', {"unread": f'Léa;"1\r\n;{ONE};"\r\n'}),
        ],
    )
    def test_that_are_refused_come_back_as_they_came(
        self, write: Write, row: str, content: Mapping[str, str]
    ) -> None:
        (refusal,) = read_csv(write(f"{HEADINGS}\n{row}\r\n")).refused
        assert refusal.row == content

    def test_take_every_field(self, write: Write) -> None:
        """An e-mail address that is none is passed on.

        The API warns of it, and adds the contact all the same.
        """
        path = write(
            f"Adresse;Courriel;Nom;Prénom;Portable\n 1, rue X ;pas d'email;Müller;Léa;{ONE}\n"
        )
        assert read_csv(path).contacts == (
            Contact(
                ONE, first_name="Léa", last_name="Müller", address="1, rue X", email="pas d'email"
            ),
        )

    def test_of_one_column_may_be_quoted_over_lines(self, write: Write) -> None:
        found = read_csv(write(f'tel\n"{ONE}\n"\n"{TWO}\n;"\n'))
        assert numbers(found) == [ONE]
        assert [line for line, _ in refusals(found)] == [4]


class TestColumns:
    @pytest.mark.parametrize(
        ("field", "headings"),
        [
            (
                "phone_number",
                "Téléphone, TELEPHONE, Téléphone, tel, Tél., Mobile, PORTABLE, phone, gsm, Numéro",
            ),
            (
                "phone_number",
                (
                    "Phone Number, phone_number, Mobile phone, Téléphone (portable), "
                    "MSISDN, Phone 1 - Value"
                ),
            ),
            (
                "phone_number",
                "N° de téléphone, Nº de téléphone, № de téléphone, Numéro de portable",
            ),
            (
                "first_name",
                "Prénom, prenom, PRÉNOM, Prénom(s), First name, first_name, FirstName, Given name",
            ),
            ("last_name", "Nom, NOM, Last name, last_name, lastname, surname, Nom de famille"),
            ("email", "E-mail, email, mail, Courriel, Adresse e-mail, e_mail, E-Mail Address"),
            ("address", "Adresse, address, Adresse postale"),
        ],
    )
    def test_are_found_by_french_and_english_headings(self, field: str, headings: str) -> None:
        """Case, accents and punctuation do not matter, composed or not."""
        for heading in headings.split(", "):
            row = {"Ligne": ONE, heading: TWO}
            columns = None if field == "phone_number" else {"phone_number": "Ligne"}
            (contact,) = read_rows([row], columns=columns).contacts
            assert getattr(contact, field) == TWO

    def test_are_not_guessed(self) -> None:
        """Other columns are left alone."""
        for heading in [
            "Numéro client",
            "Nom du chien",
            "name",
            "Fax",
            "Note",
            "",
            "N°",
            "E-mail du parrain",
        ]:
            assert read_rows([{"tel": ONE, heading: "x"}]).contacts == (Contact(ONE),)

    def test_can_be_named(self, write: Write) -> None:
        """What is named is not looked for."""
        path = write(f"Tel;Mobile;Nom;Pseudo\n;{ONE};Müller;Léa\n")
        found = read_csv(path, columns={"phone_number": "Mobile", "first_name": "Pseudo"})
        assert found.contacts == (LÉA,)

    def test_that_are_named_are_not_taken_for_something_else(self) -> None:
        row = {"tel": ONE, "nom": "Léa"}
        assert read_rows([row], columns={"first_name": "nom"}).contacts == (
            Contact(ONE, first_name="Léa"),
        )

    def test_with_the_same_heading_have_their_place_added(self, write: Write) -> None:
        """So that each can be named."""
        path = write(f"Tel;Tel;;Note;Note\n;{ONE};x;\n")
        with pytest.raises(
            ConfigurationError,
            match=re.escape("'Tel', 'Tel (column 2)' may all be the phone_number"),
        ):
            read_csv(path)
        assert numbers(read_csv(path, columns={"phone_number": "Tel (column 2)"})) == [ONE]
        (refusal,) = read_csv(path, columns={"phone_number": "Tel"}).refused
        assert list(refusal.row) == ["Tel", "Tel (column 2)", "(column 3)", "Note"]

    @pytest.mark.parametrize(
        ("headings", "columns", "message"),
        [
            (
                "tel;mobile",
                None,
                (
                    "'tel', 'mobile' may all be the phone_number: "
                    'name one, such as columns={"phone_number": "mobile"}'
                ),
            ),
            (
                "tel;mail;e-mail",
                None,
                (
                    "'mail', 'e-mail' may all be the email: "
                    'name one, such as columns={"email": "mail"}'
                ),
            ),
            (
                "nom;note",
                None,
                (
                    "no heading says phone number among 'nom', 'note': "
                    'name it, such as columns={"phone_number": "Mo'
                ),
            ),
            (
                "tel;nom",
                {"phone_number": "Mobile"},
                "columns: there is no 'Mobile' among 'tel', 'nom'",
            ),
            (
                "tel;nom",
                {"phone": "tel"},
                (
                    "columns: unknown name 'phone', "
                    "known are 'phone_number', 'first_name', 'last_name', 'email', 'addre"
                ),
            ),
            (
                "nom;a\x1b[2J",
                None,
                "no heading says phone number among 'nom', 'a\\x1b[2J': name it",
            ),
        ],
    )
    def test_in_doubt_are_misuse(
        self, write: Write, headings: str, columns: Mapping[str, str] | None, message: str
    ) -> None:
        """The error says what there is, and how to say which is meant."""
        with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}"):
            read_csv(write(headings), columns=columns)

    @pytest.mark.parametrize(
        "first_row", [f"Léa;{ONE}", "Léa;06 39 98 00 01", "Léa;lea@example.com"]
    )
    def test_of_a_file_without_headings_show_nobodys_data(
        self, write: Write, first_row: str
    ) -> None:
        message = (
            r"^no heading says phone number among the 2 headings, which look like a row of data: "
        )
        with pytest.raises(ConfigurationError, match=message) as caught:
            read_csv(write(f"{first_row}\n"))
        assert "Léa" not in str(caught.value)


class Several:
    """A stand-in for an array: whether it equals itself is no yes or no."""

    def __eq__(self, other: object) -> Any:
        return self

    __ne__ = __eq__

    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")

    __hash__ = object.__hash__


class numpy_integer:  # noqa: N801 - as numpy calls it
    """A stand-in for an integer of numpy, which is no ``int``."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class TestMappings:
    def test_may_come_from_anywhere(self) -> None:
        """An iterator does; None stands for no value; a key that a row lacks is no value either."""
        rows: list[dict[str, object]] = [
            {"phone_number": ONE, "first_name": None, "age": 7},
            {"phone_number": TWO, "last_name": " Müller ", "height": NotAvailable()},
        ]
        assert read_rows(iter(rows)).contacts == (Contact(ONE), Contact(TWO, last_name="Müller"))

    def test_may_be_rows_of_a_database(self) -> None:
        connection = sqlite3.connect(":memory:")
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT ? AS tel, 'Müller' AS nom", [ONE]).fetchall()
        connection.close()
        assert read_rows(rows).contacts == (Contact(ONE, last_name="Müller"),)

    @pytest.mark.parametrize("rows", [{"tel": ONE}, [(ONE, "Léa")], ONE])
    def test_that_are_none_at_all_are_misuse(self, rows: Any) -> None:
        with pytest.raises(
            ConfigurationError, match=r"rows: the row must be a mapping, not (str|tuple)"
        ):
            read_rows(rows)

    @pytest.mark.parametrize("row", [5, "text", [ONE]])
    def test_that_are_none_are_refused(self, row: Any) -> None:
        found = read_rows([{"tel": ONE}, row])
        assert refusals(found) == [(2, f"the row must be a mapping, not {type(row).__name__}")]
        assert found.refused[0].row == {"unread": row}

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ({}, "the row is empty"),
            ({"tel": None, "nom": " "}, "the row is empty"),
            ({"nom": "x"}, "the row ends before its phone number"),
            ({"tel": None, "nom": "x"}, "the number is empty"),
            ({"tel": 33639980002}, NATIONAL),
            ({"tel": 0}, NATIONAL),
            ({"tel": Decimal(33639980002)}, NATIONAL),
            ({"tel": 33639980002.0}, NATIONAL),
            ({"tel": numpy_integer(33639980002)}, NATIONAL),
            ({"tel": 33639980002.5}, "the number must be text, not float"),
            ({"tel": 2.0**53}, "the number must be text, not float"),
            ({"tel": 33639980000.0}, SCIENTIFIC),
            ({"tel": -33639980001.0}, NEGATIVE),
            ({"tel": -33639980001}, NEGATIVE),
            ({"tel": float("inf")}, "the number must be text, not float"),
            ({"tel": Decimal("Infinity")}, "the number must be text, not Decimal"),
            ({"tel": True}, "the number must be text, not bool"),
            ({"tel": ["a"]}, "the number must be text, not list"),
            ({"tel": float("nan")}, "the row is empty"),
            ({"tel": NotAvailable(), "nom": "x"}, "the number is empty"),
            ({"tel": Decimal("NaN"), "nom": "x"}, "the number is empty"),
            ({"tel": Several(), "nom": "x"}, "the number must be text, not Several"),
            ({"tel": Several()}, "the number must be text, not Several"),
            ({"tel": TWO, "nom": 7.5}, "last_name must be text, not float"),
            ({"tel": TWO, "nom": b"x"}, "last_name must be text, not bytes"),
            (
                {"tel": TWO, None: ["left over"]},
                "the row has a cell under NoneType in place of a heading",
            ),
            ({"tel": f"{ONE} "}, "same number as line 1"),
        ],
    )
    def test_are_refused_by_their_place(self, row: Mapping[Any, object], reason: str) -> None:
        """And come back as they are."""
        found = read_rows([{"tel": ONE, "nom": "Müller"}, row])
        assert refusals(found) == [(2, reason)]
        assert found.refused[0].row is row
        assert numbers(found) == [ONE]

    def test_of_different_shape_are_told_apart(self) -> None:
        """Their keys are looked at together."""
        with pytest.raises(ConfigurationError, match="'tel', 'mobile' may all be the phone_number"):
            read_rows([{"tel": ONE}, {"mobile": TWO}])

    def test_without_any_are_an_empty_list(self) -> None:
        assert read_rows([]) == Recipients(contacts=(), refused=())

    def test_without_a_number_anywhere_are_misuse(self) -> None:
        with pytest.raises(
            ConfigurationError, match=r"^no heading says phone number among : name it"
        ):
            read_rows([{}])

    @needs_phone
    def test_are_read_with_a_region_too(self) -> None:
        assert numbers(read_rows([{"tel": "06 39 98 00 01"}], region="FR")) == [ONE]


class TestPrivacy:
    REFUSAL = Refusal(line=7, reason="the number is empty", row={"Nom": "Müller", "Tel": ""})

    def test_a_refusal_does_not_show_its_row(self) -> None:
        assert repr(self.REFUSAL) == "Refusal(line=7, reason='the number is empty', row=<2 cells>)"

    def test_nor_does_it_in_a_pretty_printer(self) -> None:
        assert self.REFUSAL.__rich_repr__() == [
            ("line", 7),
            ("reason", "the number is empty"),
            ("cells", 2),
        ]

    def test_a_list_does_not_show_its_people(self, write: Write) -> None:
        """Neither those it took nor those it refused."""
        shown = repr(read_csv(write(f"tel;nom\n{ONE};Müller\n{ONE};Müller\n;Müller\n")))
        assert "Müller" not in shown
        assert "3998" not in shown
        assert "same number as line 2" in shown


@pytest.mark.parametrize(
    ("name", "error"), [("nothing.csv", FileNotFoundError), (".", IsADirectoryError)]
)
def test_a_file_that_cannot_be_opened_is_an_error_of_the_system(
    tmp_path: Path, name: str, error: type[OSError]
) -> None:
    with pytest.raises(error):
        read_csv(str(tmp_path / name))


@needs_phone
@pytest.mark.parametrize(
    "read", [lambda: read_csv("nothing.csv", region="fr"), lambda: read_rows([], region="fr")]
)
def test_an_unknown_region_is_misuse_before_anything_is_read(
    read: Callable[[], Recipients],
) -> None:
    with pytest.raises(ConfigurationError, match=r"^unknown region 'fr'"):
        read()


def test_without_the_extra_a_region_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    with pytest.raises(ConfigurationError, match=re.escape('pip install "insim_async[phone]"')):
        read_rows([{"tel": ONE}], region="FR")


CELLS = st.lists(st.sampled_from([*"aé \r\n\"'=;,\t|0+", "0639980001"]), max_size=8).map("".join)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=6), st.sampled_from(";,\t|"))
@example([("a\n0639980001;;", "b"), ("c", "d")], ";")
@example([("a\n;;", "b"), ("c", "d")], ";")
@example([("a\x1c;;0639980001", "b")], ";")
@example([("a\n;", 'b"')], ";")
def test_what_a_spreadsheet_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, names: list[tuple[str, str]], delimiter: str
) -> None:
    """Cell by cell, unless a cell goes on with a line that looks like a row.

    There, a quote may be missing.
    """
    contacts = [
        Contact(f"+3363998{place:04}", last_name=last.strip(), first_name=first.strip())
        for place, (last, first) in enumerate(names)
    ]
    file = io.StringIO()
    rows = [(contact.phone_number, *pair) for contact, pair in zip(contacts, names, strict=True)]
    csv.writer(file, delimiter=delimiter).writerows([("tel", "nom", "prénom"), *rows])
    path = tmp_path_factory.getbasetemp() / "spreadsheet.csv"
    path.write_bytes(file.getvalue().encode())
    found = read_csv(path)
    cells = [
        (place, re.split(r"[\r\n]", cell)) for pair in names for place, cell in enumerate(pair, 1)
    ]
    further_lines = [line.split(delimiter) for _, (_, *further) in cells for line in further]
    first_lines = [
        [""] * place + first.split(delimiter)
        for place, (first, *further) in cells
        if further and delimiter in first
    ]
    if any(
        (len(row) > 2 and any(sum(map(str.isdigit, cell)) >= 7 for cell in row))
        or re.fullmatch(r"\W*(\d\W*){7,}", row[0])
        for row in further_lines + first_lines
    ):
        assert found.refused
    else:
        assert found == Recipients(contacts=tuple(contacts), refused=())


@given(st.text('aé01+;"\r\n ', max_size=200))
@example(f'\n{ONE};"a\n{TWO};a\n{THREE};"a"a\n')
def test_nothing_in_a_file_gets_lost(
    tmp_path_factory: pytest.TempPathFactory, content: str
) -> None:
    """Each letter and each digit ends up in a contact or in a refused row, once."""
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(f"tel;nom\n{content}".encode())
    found = read_csv(path)
    taken = [contact.phone_number + contact.last_name for contact in found.contacts]
    refused = [str(cell) for refusal in found.refused for cell in refusal.row.values()]
    assert Counter(filter(str.isalnum, content)) == Counter(
        filter(str.isalnum, "".join(taken + refused))
    )


def test_the_front_of_the_room() -> None:
    assert recipients.__all__ == [
        "Recipients",
        "Refusal",
        "Row",
        "read_csv",
        "read_rows",
        "read_vcards",
        "read_xlsx",
    ]
