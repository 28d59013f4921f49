"""What holds of any list."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insim_async.models import Contact
from insim_async.recipients import Recipients, read_csv

NAMES = ["Hélène", "François", "René", "Noël", "D'Arc", 'dit "Léo"', "Un; deux, trois | quatre", ""]
NOTES = ["", "à rappeler", "sur deux\nlignes", "12, rue B\n33000 Bordeaux", '"', "=1+1", "#1", "0"]
PEOPLE = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NOTES)), max_size=8)
QUOTINGS = [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]
Cell = str | int
Quoting = Literal[0, 1, 2]


def number(place: int) -> str:
    return f"+3363998{place:04}"


def written(
    rows: Sequence[Sequence[str]], delimiter: str = ";", quoting: Quoting = 0, end: str = "\r\n"
) -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows(rows)
    return file.getvalue()


def read(text: str) -> Recipients:
    return read_csv(text.encode())


@given(
    people=PEOPLE,
    delimiter=st.sampled_from(";,\t|"),
    quoting=st.sampled_from(QUOTINGS),
    end=st.sampled_from(["\r\n", "\n", "\r"]),
    named=st.booleans(),
    encoding=st.sampled_from(
        ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "cp850", "mac-roman"]
    ),
)
def test_a_table_is_read_back_whoever_wrote_it(
    people: list[tuple[str, str]],
    delimiter: str,
    quoting: Quoting,
    end: str,
    named: bool,
    encoding: str,
) -> None:
    """Python's ``csv``, LibreOffice's quoting of all text, Excel's ``sep=``; all encodings."""
    rows = [
        (name, number(place), note.strip())
        for place, (name, note) in enumerate([("Hélène", ""), *people])
    ]
    # With "\r" as the end of lines, Python leaves a cell that holds "\n" without quotes.
    quoted: Quoting = 1 if end == "\r" else quoting
    table = written([("Nom", "Téléphone", "Adresse"), *rows], delimiter, quoted, end)
    text = f"sep={delimiter}{end}{table}" if named else table
    assert read_csv(text.encode(encoding)) == Recipients(
        contacts=tuple(Contact(row[1], last_name=row[0], address=row[2]) for row in rows),
        refused=(),
    )


CELLS = st.text("0123456789+ ()-./;'=\"é\n", max_size=20) | st.sampled_from(
    ["06 39 98 00 01", "0033639980001", "0692000001", "+33 (0)6 39 98 00 01", "0470/00.00.01"]
)


@pytest.mark.extra("phone")
@given(st.lists(CELLS, max_size=5), st.sampled_from(["FR", "BE", "DE", "US", "IT", "RE"]))
def test_no_contact_has_a_number_that_is_impossible(cells: list[str], region: str) -> None:
    """By the library's own word, and read on its own."""
    import phonenumbers

    text = written([("Tel", "Note"), *[(cell, "") for cell in cells]])
    for contact in read_csv(text.encode(), region=region).contacts:
        assert re.fullmatch(r"\+[1-9][0-9]{6,14}", contact.phone_number)
        assert phonenumbers.is_possible_number(phonenumbers.parse(contact.phone_number))


@given(PEOPLE, st.permutations(range(5)), st.sampled_from(";,\t|"))
def test_the_order_of_columns_does_not_matter(
    people: list[tuple[str, str]], order: list[int], delimiter: str
) -> None:
    """Nor do columns that nobody knows."""
    rows = [
        ("Téléphone", "Nom", "Adresse", "Couleur", ""),
        *[(number(place), name, note, "bleu", "x") for place, (name, note) in enumerate(people)],
    ]
    few = read(written([row[:3] for row in rows], delimiter))
    many = read(written([[row[place] for place in order] for row in rows], delimiter))
    assert (many.contacts, many.refused) == (few.contacts, few.refused)


LINES = st.lists(
    st.sampled_from(
        [
            f"Léa;{number(1)};",
            f"Léa;{number(1)};x",
            f'"Léa";"{number(2)}";"x"',
            f"Bob;{number(3)};NULL",
            "Zoé;;",
            "Zoé;abc;",
            f"Zoé;'{number(4)};",
            "",
            ";;",
            "Prénom;Tel;Note",
            f'Zoé;{number(5)};"sur deux',
            'lignes"',
            '12, rue B; 33000 Bordeaux"',
            f'x";{number(6)};"',
        ]
    ),
    max_size=8,
)


@given(LINES, st.sampled_from(["\n", "\r\n"]))
@example([f'Léa;{number(1)};"a', f"Bob;{number(2)};", 'b"'], "\n")
def test_a_list_cut_at_the_end_of_a_line_gives_nobody_else(lines: list[str], end: str) -> None:
    """Unless a quote is missing from the part: what it makes of the lines below is not seen yet."""
    whole = ["Prénom;Tel;Note", *lines]
    contacts = read(end.join(whole)).contacts
    for length in range(1, len(whole)):
        found = read(end.join(whole[:length]))
        if not any(
            "quotes of the row do not add up" in refusal.reason for refusal in found.refused
        ):
            assert found.contacts == contacts[: len(found.contacts)]
