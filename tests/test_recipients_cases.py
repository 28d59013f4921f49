"""Files as real exports have them, one of each kind, and what is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from insim_async.errors import ConfigurationError
from insim_async.models import Contact
from insim_async.recipients import Recipients, read_csv, read_rows, read_vcards, read_xlsx

LISTS = Path(__file__).parent / "data" / "lists"
ONE, TWO, THREE = "+33639980001", "+33639980002", "+33639980003"
LANDLINE, OTHER_LANDLINE = "+33199000001", "+33199000002"
needs_phone = pytest.mark.extra("phone")


def numbers(found: Recipients) -> list[str]:
    return [contact.phone_number for contact in found.contacts]


def names(found: Recipients) -> list[tuple[str, str]]:
    return [(contact.first_name, contact.last_name) for contact in found.contacts]


class TestTwoPhones:
    """Two columns may be the number: which of them is said by a person, never guessed."""

    @pytest.mark.parametrize(
        ("file", "claims", "preference"),
        [
            (
                "google-two-phones.csv",
                "'Phone 1 - Value', 'Phone 2 - Value'",
                "['Phone 1 - Value', 'Phone 2 - Value']",
            ),
            ("shop-two-phones.csv", "'phone', 'phone_mobile'", "['phone_mobile', 'phone']"),
            ("german.csv", "'Telefon', 'Mobil'", "['Mobil', 'Telefon']"),
        ],
    )
    def test_are_misuse(self, file: str, claims: str, preference: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            read_csv(LISTS / file)
        assert str(caught.value).startswith(f"{claims} may all be the phone_number: name one")
        assert str(caught.value).endswith(f"or several in order of preference, {preference}")

    @needs_phone
    def test_are_taken_in_the_order_that_is_named(self) -> None:
        """The first that is filled counts."""
        path = LISTS / "shop-two-phones.csv"
        mobile_first = {"phone_number": ["phone_mobile", "phone"]}
        assert numbers(read_csv(path, region="FR", columns=mobile_first)) == [ONE, TWO, THREE]
        landline_first = {"phone_number": ["phone", "phone_mobile"]}
        assert numbers(read_csv(path, region="FR", columns=landline_first)) == [
            LANDLINE,
            OTHER_LANDLINE,
            THREE,
        ]

    def test_leave_the_other_among_the_unused_headings(self) -> None:
        found = read_csv(LISTS / "german.csv", columns={"phone_number": "Mobil"})
        assert found.contacts == (
            Contact(ONE, first_name="Ana", last_name="Eins", email="ana@example.com"),
        )
        assert found.unused_headings == ("Anrede", "Telefon")


class TestFurtherColumns:
    PATH = LISTS / "further-columns.csv"

    def test_stay_with_the_contact(self) -> None:
        found = read_csv(self.PATH)
        assert [(row.line, row.contact, row.cells["Rendez-vous"]) for row in found.rows] == [
            (2, found.contacts[0], "lundi 9 h"),
            (3, found.contacts[1], "mardi 14 h"),
        ]
        assert found.unused_headings == ("Optin SMS", "Rendez-vous")

    def test_can_leave_a_row_out(self) -> None:
        found = read_csv(self.PATH, where=lambda row: row["Optin SMS"] == "oui")
        assert (numbers(found), found.skipped, found.refused) == ([TWO], 1, ())


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("msdos-cp850.csv", [("Hélène", "Lefèvre"), ("François", "Gàl"), ("René", "Noël")]),
        ("utf8-twice.csv", [("Hélène", "Lefèvre"), ("François", "D’Arc")]),
        ("null.csv", [("", "Un"), ("Ana", "Deux")]),
    ],
)
def test_names_are_what_people_are_called(file: str, expected: list[tuple[str, str]]) -> None:
    found = read_csv(LISTS / file)
    assert (names(found), found.refused) == (expected, ())


@pytest.mark.parametrize(
    ("file", "options", "expected"),
    [
        ("apostrophe.csv", {}, [ONE, TWO]),
        ("address-on-two-lines.csv", {}, [ONE, TWO]),
        ("numbers-only.txt", {"header_line": None}, [ONE, TWO, THREE]),
        pytest.param(
            "slashes.csv",
            {"region": "BE"},
            ["+32470000001", "+32470000002", "+32470000003"],
            marks=needs_phone,
        ),
        pytest.param("title-lines.csv", {"region": "FR"}, [ONE], marks=needs_phone),
        pytest.param(
            "title-lines.csv", {"region": "FR", "header_line": 4}, [ONE], marks=needs_phone
        ),
        pytest.param(
            "title-lines.csv",
            {"region": "FR", "columns": {"phone_number": "Portable"}},
            [ONE],
            marks=needs_phone,
        ),
    ],
)
def test_every_row_is_a_contact(file: str, options: dict[str, Any], expected: list[str]) -> None:
    found = read_csv(LISTS / file, **options)
    assert (numbers(found), found.refused) == (expected, ())


def test_an_address_keeps_its_lines() -> None:
    addresses = [
        contact.address for contact in read_csv(LISTS / "address-on-two-lines.csv").contacts
    ]
    assert addresses == [
        "Résidence les Pins\n12, rue des Lilas, 33000 Bordeaux",
        "3 rue B\n75002 Paris",
    ]


def test_a_list_of_numbers_only_is_told_how_it_is_read() -> None:
    """And no number is taken for a heading."""
    with pytest.raises(
        ConfigurationError, match="for a list without headings, say header_line=None"
    ):
        read_csv(LISTS / "numbers-only.txt")


@pytest.mark.parametrize(
    ("file", "reader"), [("book.xlsx", "read_xlsx"), ("contacts.vcf", "read_vcards")]
)
def test_what_is_no_csv_names_its_reader(file: str, reader: str) -> None:
    with pytest.raises(ConfigurationError, match=reader):
        read_csv(LISTS / file)


@needs_phone
@pytest.mark.extra("xlsx")
def test_a_workbook_is_read() -> None:
    """One of its numbers is text, the other a number."""
    found = read_xlsx(LISTS / "book.xlsx", region="FR")
    assert found.contacts == (Contact(ONE, last_name="Un"), Contact(TWO, last_name="Deux"))


def test_vcards_are_read() -> None:
    found = read_vcards(LISTS / "contacts.vcf")
    assert found.contacts == (Contact(ONE),)
    assert found.rows[0].cells["FN"] == "Ana Un"


def test_the_values_of_data_frames_are_understood() -> None:
    """What is not there is empty; a whole number is its digits."""
    found = read_rows([{"tel": ONE, "nom": float("nan")}, {"tel": TWO, "nom": 12}])
    assert names(found) == [("", ""), ("", "12")]
