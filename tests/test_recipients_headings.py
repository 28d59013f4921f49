"""Which line holds the headings, and which column is the number."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from insim_async.errors import ConfigurationError
from insim_async.models import Contact
from insim_async.recipients import Recipients, read_csv, read_rows
from insim_async.recipients._words import KNOWN

ONE, TWO, THREE = "+33639980001", "+33639980002", "+33639980003"
NATIONAL_ONE, NATIONAL_TWO = "06 39 98 00 01", "01 99 00 00 02"
needs_phone = pytest.mark.extra("phone")


def read(text: str, **options: Any) -> Recipients:
    return read_csv(text.encode(), **options)


def numbers(found: Recipients) -> list[str]:
    return [contact.phone_number for contact in found.contacts]


def claims(text: str, **options: Any) -> str:
    """Return which columns the error says may all be the number."""
    with pytest.raises(ConfigurationError, match="may all be the phone_number") as caught:
        read(text, **options)
    return str(caught.value).partition(" may all be")[0]


@pytest.mark.parametrize(
    ("headings", "expected"),
    [
        ("Vorname;Nachname;Handynummer;E-Mail-Adresse;Anschrift", True),
        ("Vorname;Name;Telefon-Nr.;E-Mail;Adresse", True),
        ("Nombre;Apellidos;Teléfono móvil;Correo electrónico;Dirección", True),
        ("Nombre;Apellido;Móvil;E-mail;Domicilio", True),
        ("Nome;Cognome;Cellulare;E-mail;Indirizzo", True),
        ("Voornaam;Achternaam;GSM-nummer;E-mailadres;Adres", True),
        ("Voornaam;Naam;Mobiel;E-mail;Adres", True),
        ("Nome;Apelido;Telemóvel;E-mail;Morada", True),
        ("Nome;Sobrenome;Celular;E-mail;Endereço", True),
        ("First Name;Last Name;Mobile phone of the customer;E-mail;Address", True),
        ("Billing First Name;Billing Last Name;Billing Phone;Billing Email;Address", True),
    ],
)
def test_headings_are_understood_in_seven_languages(headings: str, expected: bool) -> None:
    found = read(f"{headings}\nAna;Un;{ONE};ana@example.com;1, rue A\n")
    assert found.contacts == (
        Contact(
            ONE,
            first_name="Ana",
            last_name="Un",
            email="ana@example.com",
            address="1, rue A",
        ),
    )
    assert (found.unused_headings == ()) is expected


def test_no_word_means_two_things() -> None:
    words = [word for names in KNOWN.values() for word in names]
    assert len(words) == len(set(words))


def test_a_name_alone_is_not_taken_for_a_family_name() -> None:
    """It may be the whole name."""
    assert read(f"Name;Tel\nAna Eins;{ONE}\n").contacts == (Contact(ONE),)


class TestClaims:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (f"Tel;Handy privat\n{ONE};{TWO}\n", "'Tel', 'Handy privat'"),
            (f"Tel;teléfono (casa)\n{ONE};\n", "'Tel', 'teléfono (casa)'"),
            (f"Tel;WhatsApp\n{ONE};{TWO}\n", "'Tel', 'WhatsApp'"),
            (f"Home Phone;Business Phone\n{ONE};\n", "'Home Phone', 'Business Phone'"),
            (f"Tel;Contact\n;{ONE}\n;{TWO}\n", "'Tel', 'Contact'"),
            (f"Tel;Contact\n;{NATIONAL_ONE}\n;{NATIONAL_TWO}\n;x\n", "'Tel', 'Contact'"),
        ],
    )
    def test_of_two_columns_are_misuse(self, text: str, expected: str) -> None:
        """By a word for a phone, or by what a column mostly holds."""
        assert claims(text) == expected

    @pytest.mark.parametrize(
        "heading",
        [
            "Fax",
            "Phone 1 - Label",
            "Pays (téléphone)",
            "Optin mobile",
            "Type de téléphone",
            "Phonetic First Name",
            "Pays francophone",
            "Anglophone",
        ],
    )
    def test_are_not_made_by_what_is_about_a_phone(self, heading: str) -> None:
        found = read(f"Tel;{heading}\n{ONE};\n{TWO};\n")
        assert (numbers(found), found.unused_headings) == ([ONE, TWO], (heading,))

    @pytest.mark.parametrize(
        ("heading", "cells"),
        [
            ("Accepte les SMS sur mobile", ["oui", "non"]),
            ("Mobile acheté le", ["2026-09-01", "01/09/2026"]),
            ("Interphone", ["12A4", ""]),
            ("SIREN", ["732829320", "732829321"]),
            ("Code postal", ["75001", "33000"]),
            ("Naissance", ["01.09.1990", "1990-09-01"]),
            ("Note", [TWO, ""]),
            ("Note", [f"rappeler {TWO}", f"rappeler {THREE}"]),
            ("Prénom", [TWO, THREE]),
        ],
    )
    def test_are_not_made_by_cells_that_are_no_numbers(
        self, heading: str, cells: Sequence[str]
    ) -> None:
        rows = "".join(f"+3363998100{place};{cell}\n" for place, cell in enumerate(cells))
        assert len(read(f"Tel;{heading}\n{rows}").contacts) == 2

    def test_name_the_likeliest_as_the_example(self) -> None:
        message = re.escape('name one, such as columns={"phone_number": "Mobile"}, or')
        with pytest.raises(ConfigurationError, match=message):
            read(f"Home Phone;Mobile\n{ONE};{TWO}\n")

    def test_of_one_column_by_its_cells_are_enough(self) -> None:
        found = read(f"Qui;Joindre au\nAna;{ONE}\nBob;{TWO}\n")
        assert numbers(found) == [ONE, TWO]

    def test_by_a_word_over_an_empty_column_are_not(self) -> None:
        with pytest.raises(ConfigurationError, match="no heading says phone number among"):
            read("Qui;Téléphone du client\nAna;\n")

    @needs_phone
    @pytest.mark.parametrize(
        ("cells", "region"),
        [
            (["06 39 98 00 01", "01 99 00 00 02"], "FR"),
            (["(202) 555-0123", "202-555-0124"], "US"),
            (["0470 00 00 01", "0470/00.00.02"], "BE"),
        ],
    )
    def test_by_national_numbers_are_those_of_the_region(
        self, cells: Sequence[str], region: str
    ) -> None:
        found = read("Qui;Contact\n" + "".join(f"x;{cell}\n" for cell in cells), region=region)
        assert len(found.contacts) == 2

    @pytest.mark.parametrize(
        "heading",
        [
            "N° client",
            "SIRET",
            "TVA intracom.",
            "Kunden-Nr.",
            "Order ID",
            "Réf. mobile",
            "USt-IdNr.",
        ],
    )
    def test_are_not_made_by_numbers_of_another_kind(self, heading: str) -> None:
        found = read(f"Tel;{heading}\n{ONE};06 39 98 00 01\n{TWO};06 39 98 00 02\n")
        assert numbers(found) == [ONE, TWO]

    def test_by_a_word_that_only_begins_like_one_of_another_kind_are(self) -> None:
        assert claims(f"Tel;Téléphone préféré\n{ONE};{TWO}\n") == "'Tel', 'Téléphone préféré'"

    def test_by_the_phone_of_a_client_are(self) -> None:
        assert numbers(read(f"Client;Téléphone client\nA;{ONE}\n")) == [ONE]

    @needs_phone
    @pytest.mark.parametrize("cells", [["732829320", "732829321"], ["0000012345", "0000012346"]])
    def test_are_not_made_by_identifiers(self, cells: Sequence[str]) -> None:
        """Though they may be dialled."""
        rows = "".join(f"+3363998100{place};{cell}\n" for place, cell in enumerate(cells))
        assert len(read(f"Tel;Id\n{rows}", region="FR").contacts) == 2


class TestTwoLists:
    """Put into one file, the second with headings of its own."""

    AGAIN = "the headings stand here once more"
    OTHER = "other headings stand above it on line 3: save the two lists apart"

    @pytest.mark.parametrize(
        "second", ["Prénom;Nom;Tel", "Vorname;Name;Mobil", "Nom;Tel;Prénom", ";Nom;Tel", "Tel;Nom"]
    )
    def test_with_their_columns_in_another_order_are_told_apart(self, second: str) -> None:
        text = f"Nom;Prénom;Tel\nUn;Ana;{ONE}\n{second}\nBob;Deux;{TWO}\nx\n"
        found = read(text, where=lambda row: row["Nom"] != "Prénom")
        assert numbers(found) == [ONE]
        assert [refusal.reason for refusal in found.refused] == [self.AGAIN, *[self.OTHER] * 2]

    @pytest.mark.parametrize(
        "second",
        ["Nom;Prénom;Tel", "NOM;prenom;Portable", "Nom;;Tel", "Prénom;Nom;Tel\nNom;Prénom;Tel"],
    )
    def test_with_the_same_columns_are_read(self, second: str) -> None:
        found = read(f"Nom;Prénom;Tel\nUn;Ana;{ONE}\n{second}\nDeux;Bob;{TWO}\n")
        assert numbers(found) == [ONE, TWO]
        assert found.refused[-1].reason == self.AGAIN

    def test_are_not_seen_in_a_heading_alone(self) -> None:
        """A person may be called like one, and somebody may have typed it."""
        rows = f"Name;First;\nx;y;Tel\nNom;Prénom;x1234567\nDeux;Bob;{TWO}\n"
        assert numbers(read(f"Nom;Prénom;Tel\n{rows}")) == [TWO]


@needs_phone
class TestCodeApart:
    """A country or area code in a column of its own."""

    @pytest.mark.parametrize(
        ("heading", "cell", "number", "region"),
        [
            ("Indicatif", "32", "470000001", "FR"),
            ("Indicatif", "+49", "0171 3920001", "FR"),
            ("Country Code", "DE", "0171 3920001", "FR"),
            ("Vorwahl", "030", "1234567", "DE"),
            ("Vorwahl", "049", "171 3920001", "DE"),
            ("Prefisso", "06", "12345678", "IT"),
            ("Prefijo", "93", "1234567", "ES"),
            ("Prefixo", "21", "1234567", "PT"),
            ("Netnummer", "020", "1234567", "NL"),
            ("Landnummer", "32", "470000001", "NL"),
            ("Kengetal", "020", "1234567", "NL"),
            ("Dial code", "49", "1713920001", "FR"),
            ("Dialling Code", "49", "1713920001", "FR"),
            ("Calling Code", "49", "1713920001", "FR"),
            ("Phone area code", "201", "5550123", "US"),
            ("Phone prefix", "49", "1713920001", "FR"),
            ("Code pays", "DE", "0171 3920001", "FR"),
        ],
    )
    def test_makes_the_number_another(
        self, heading: str, cell: str, number: str, region: str
    ) -> None:
        found = read(f"{heading};Tel\n{cell};{number}\n", region=region)
        assert [refusal.reason for refusal in found.refused] == [
            f"the country or area code stands in a column of its own ('{heading}'): join the two"
        ]

    @pytest.mark.parametrize(
        ("heading", "cell", "number"),
        [
            ("Indicatif", "33", "0639980001"),
            ("Indicatif", "+33", "0639980001"),
            ("Indicatif", "0033", "639980001"),
            ("Indicatif", "", "0639980001"),
            ("Indicatif", "49", ONE),
            ("Indicatif", "49", "00 33 6 39 98 00 01"),
            ("Country Code", "fr", "0639980001"),
            ("Name Prefix", "12", "0639980001"),
            ("Prefijo", "Sr.", "0639980001"),
            ("Vorwahl und Nummer privat", "01 99 00 00 01", "0639980001"),
        ],
    )
    def test_that_changes_nothing_is_passed_over(
        self, heading: str, cell: str, number: str
    ) -> None:
        columns = {"phone_number": "Tel"}
        found = read(f"{heading};Tel\n{cell};{number}\n", region="FR", columns=columns)
        assert numbers(found) == [ONE]

    def test_may_be_a_fraction_in_a_data_frame(self) -> None:
        found = read_rows([{"Indicatif": 32.0, "Tel": "470000001"}], region="FR")
        assert len(found.refused) == 1

    def test_may_be_named_as_the_number(self) -> None:
        found = read(
            f"Indicatif et numéro\n{ONE}\n", columns={"phone_number": "Indicatif et numéro"}
        )
        assert numbers(found) == [ONE]


class TestNamed:
    def test_columns_of_any_field_may_be_several(self) -> None:
        found = read(
            f"Tel;Nom;Pseudo\n{ONE};;Léa\n{TWO};Müller;x\n",
            columns={"last_name": ("Nom", "Pseudo")},
        )
        assert [contact.last_name for contact in found.contacts] == ["Léa", "Müller"]

    def test_the_first_that_is_filled_counts_though_it_is_no_number(self) -> None:
        found = read(f"A;B\nabc1;{ONE}\n-;x\n", columns={"phone_number": ["A", "B"]})
        assert [refusal.reason for refusal in found.refused] == [
            "the number holds a letter at position 1",
            "the number is empty",
        ]

    @pytest.mark.parametrize("word", ["N/A", "-", "néant", "?"])
    def test_a_word_in_place_of_a_number_is_passed_over(self, word: str) -> None:
        found = read(f"A;B\n{word};{ONE}\n", columns={"phone_number": ["A", "B"]})
        assert numbers(found) == [ONE]

    def test_a_row_that_ends_before_the_last_of_them_is_read(self) -> None:
        found = read(f"A;B\n{ONE}\n", columns={"phone_number": ["A", "B"]})
        assert numbers(found) == [ONE]

    def test_accents_may_be_composed_or_not(self) -> None:
        """Both look the same, and some systems write the one, some the other."""
        found = read(
            f"Te\u0301le\u0301phone perso\n{ONE}\n", columns={"phone_number": "Téléphone perso"}
        )
        assert numbers(found) == [ONE]
        assert list(found.rows[0].cells) == ["Téléphone perso"]

    @pytest.mark.parametrize("labels", [[], [5], ["Tel", None]])
    def test_what_is_no_heading_is_misuse(self, labels: Any) -> None:
        message = "^columns: phone_number must be a heading, or several in order of preference$"
        with pytest.raises(ConfigurationError, match=message):
            read("Tel\n", columns={"phone_number": labels})

    def test_a_missing_heading_shows_nobodys_data(self) -> None:
        with pytest.raises(ConfigurationError) as caught:
            read(f"Ana;{ONE}\n", columns={"phone_number": "Tel"})
        assert "the 2 headings, which look like a row of data" in str(caught.value)

    def test_phone_numbers_may_be_named_below_a_title(self) -> None:
        found = read(f"Export du 1er\nQui;Où\nAna;{ONE}\n", columns={"phone_number": "Où"})
        assert (numbers(found), found.rows[0].line) == ([ONE], 3)


class TestHeaderLine:
    @pytest.mark.parametrize(
        "title",
        [
            "Liste des adhérents;;\n",
            "Liste des adhérents\n\nÉdité le 01/09/2026\n",
            "Liste des téléphones\n",
            "\n;;\nTéléphone : 01 99 00 00 01;;\n",
            "Association X;section Y;\n",
            "ventes@example.com;Tél. 01 99 00 00 01;\n",
        ],
    )
    @pytest.mark.parametrize("heading", ["Nom;Portable", "Nom;Numéro du portable"])
    def test_is_found_below_a_title(self, title: str, heading: str) -> None:
        found = read(f"{title}{heading}\nUn;{ONE}\n")
        assert found.contacts == (Contact(ONE, last_name="Un"),)
        assert found.rows[0].line == title.count("\n") + 2

    def test_may_stand_below_rows_that_are_refused(self) -> None:
        """As where a sheet was sorted with its headings."""
        text = f"Ana;{ONE};1\nédité;01/09/2026\nx@example.com;a;b\nNom;Tel;Autre\nUn;{TWO};3\n"
        found = read(text)
        assert numbers(found) == [TWO]
        assert [(refusal.line, refusal.reason) for refusal in found.refused] == [
            (line, "the row stands above the headings: move them to the first line")
            for line in (1, 3)
        ]
        assert found.refused[0].row == {"Nom": "Ana", "Tel": ONE, "Autre": "1"}

    def test_that_is_named_has_nothing_above(self) -> None:
        assert read(f"Ana;{ONE}\nNom;Tel\nUn;{TWO}\n", header_line=2).refused == ()

    def test_may_stand_below_a_row_that_cannot_be_read(self) -> None:
        found = read(f'Liste\n"x"y;z\nNom;Tel\nUn;{TWO}\n')
        assert [refusal.line for refusal in found.refused] == [2]
        assert "quotes" in found.refused[0].reason

    def test_is_the_first_if_none_says_phone(self) -> None:
        found = read(f"Qui;Contact;Type\nAna;{ONE};Mobile\nBob;{TWO};Mobile\n")
        assert (numbers(found), found.rows[0].line) == ([ONE, TWO], 2)

    def test_is_not_a_row_of_data(self) -> None:
        """Though a cell of it is a word for a phone."""
        found = read(f"Qui;Contact;Type\nAna;{ONE};Mobile\nBob;{TWO};Mobile\n")
        assert found.unused_headings == ("Qui", "Type")

    def test_may_hold_a_date(self) -> None:
        found = read(f"Tel;Solde au 01092026;Type\n;;Mobile\n{ONE};5;Fixe\n")
        assert found.rows[0].cells["Type"] == "Fixe"

    def test_can_be_named(self) -> None:
        found = read(f"Tel;Nom\nx;y\nPortable;Nom\n{ONE};Un\n", header_line=3)
        assert found.rows[0].cells == {"Portable": ONE, "Nom": "Un"}

    @pytest.mark.parametrize("line", [0, 4, -1, "1"])
    def test_that_is_not_in_the_list_is_misuse(self, line: Any) -> None:
        message = f"^header_line must be None or a line from 1 to 3, not {line!r}$"
        with pytest.raises(ConfigurationError, match=message):
            read("Tel\n+1\n+2\n", header_line=line)

    def test_that_is_blank_is_misuse(self) -> None:
        with pytest.raises(ConfigurationError, match="it has no headings"):
            read(f"\nTel\n{ONE}\n", header_line=1)


class TestWithoutHeadings:
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize(
        "row", ["{}", '"{}"', "{};", "Ana;{};1", "Ana,Un,{}", "{}\tAna", "Ana;{};x,y,z"]
    )
    def test_the_column_of_numbers_is_read(self, row: str, end: str) -> None:
        found = read(end.join(map(row.format, [ONE, TWO, THREE])), header_line=None)
        assert (numbers(found), found.unused_headings) == ([ONE, TWO, THREE], ())

    def test_columns_can_be_named_by_their_place(self) -> None:
        columns = {"phone_number": "(column 2)", "first_name": "(column 1)"}
        found = read(f"Ana;{ONE};{TWO}\n", header_line=None, columns=columns)
        assert found.contacts == (Contact(ONE, first_name="Ana"),)

    def test_one_column_needs_no_number_to_be_the_one(self) -> None:
        found = read("a\nb\n", header_line=None, delimiter=";")
        assert [refusal.line for refusal in found.refused] == [1, 2]

    def test_two_columns_of_numbers_are_misuse(self) -> None:
        assert claims(f"{ONE};{TWO}\n", header_line=None) == "'(column 1)', '(column 2)'"

    @pytest.mark.parametrize("text", ["a;b\n", "", "\n"])
    def test_no_column_of_numbers_is_misuse(self, text: str) -> None:
        message = re.escape('name it, such as columns={"phone_number": "(column 1)"}')
        with pytest.raises(
            ConfigurationError, match=f"^no column mostly holds phone numbers: {message}"
        ):
            read(text, header_line=None)


def test_the_headings_of_mappings_are_their_keys() -> None:
    rows: list[Mapping[str, object]] = [{"Qui": "Ana", "Où": ONE}, {"Qui": "Bob", "Où": TWO}]
    assert numbers(read_rows(rows)) == [ONE, TWO]
