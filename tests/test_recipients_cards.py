"""vCards as phones and address books write them."""

from __future__ import annotations

import io
from typing import Any

import pytest

from insim_async.errors import ConfigurationError
from insim_async.models import Contact
from insim_async.recipients import Recipients, read_vcards

ONE, TWO, THREE = "+33639980001", "+33639980002", "+33639980003"
LANDLINE, OFFICE = "+33199000001", "+33199000002"
NO_END = "the card has no END:VCARD"


def card(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VCARD", "VERSION:4.0", *lines, "END:VCARD", ""])


def read(*cards: str, **options: Any) -> Recipients:
    return read_vcards("".join(cards).encode(), **options)


def numbers(found: Recipients) -> list[str]:
    return [contact.phone_number for contact in found.contacts]


def refusals(found: Recipients) -> list[tuple[int, str]]:
    return [(refusal.line, refusal.reason.split(",")[0]) for refusal in found.refused]


IPHONE = card(
    "PRODID:-//Apple Inc.//iPhone OS 26.1//EN",
    "N:Un;Ana;;;",
    "FN:Ana Un",
    "ORG:Les Pins;",
    "EMAIL;type=INTERNET;type=HOME:old@example.com",
    "item1.EMAIL;type=INTERNET;type=pref:ana@example.com",
    "item1.X-ABLabel:_$!<Other>!$_",
    f"TEL;type=HOME;type=VOICE;type=pref:{LANDLINE}",
    "TEL;type=CELL;type=VOICE:+33 6 39 98 00 01",
    "ADR;type=HOME;type=pref:;;1\\, rue A\\nbât. B;Paris;;75001;France",
    "NOTE:une longue",
    "  note\\, oui",
    "PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQ",
    " AAAAAAAA==",
)
ANDROID = """BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;L=C3=A9a=20=
Marie;;;
FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:L=C3=A9a
TEL;CELL;PREF:+33639980002
PHOTO;ENCODING=BASE64;JPEG:/9j/4AAQSkZJRgABAQ
AAAAAAAA==

END:VCARD
"""
STANDARD = card(
    "N:Trois;Zoé;;;",
    'TEL;VALUE=uri;PREF=1;TYPE="voice,cell":tel:+33-6-39-98-00-03',
    'TEL;VALUE=uri;TYPE="voice,cell,work":tel:+33-6-39-98-00-04',
    "CATEGORIES:clients,vip",
)


def test_of_all_makes_are_read() -> None:
    """With everything that a contact has; the mobile is the number."""
    found = read(IPHONE, ANDROID, STANDARD)
    assert found.refused == ()
    assert found.contacts == (
        Contact(
            ONE,
            first_name="Ana",
            last_name="Un",
            email="ana@example.com",
            address="1, rue A\nbât. B, Paris, 75001, France",
        ),
        Contact(TWO, first_name="Léa Marie", last_name="Müller"),
        Contact(THREE, first_name="Zoé", last_name="Trois"),
    )


def test_keep_their_other_properties() -> None:
    first, *_, third = read(IPHONE, ANDROID, STANDARD).rows
    assert first.line == 1
    assert first.cells["TEL HOME"] == LANDLINE
    assert first.cells["EMAIL 2"] == "old@example.com"
    assert first.cells["NOTE"] == "une longue note, oui"
    assert first.cells["CATEGORIES"] == ""
    assert third.cells["CATEGORIES"] == "clients,vip"
    assert "PHOTO" not in first.cells


def test_can_be_chosen_by_where() -> None:
    found = read(IPHONE, STANDARD, where=lambda card: "vip" in card["CATEGORIES"])
    assert (numbers(found), found.skipped) == ([THREE], 1)


class TestNumbers:
    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            ([f"TEL:{ONE}"], ONE),
            ([f"tel;type=home:{LANDLINE}"], LANDLINE),
            ([f"TEL;TYPE=HOME:{LANDLINE}", f"TEL;TYPE=CELL:{ONE}"], ONE),
            ([f"TEL;TYPE=HOME,FAX:{LANDLINE}", f"TEL;TYPE=WORK:{ONE}"], ONE),
            ([f"TEL;TYPE=CELL:{ONE}", f"TEL;TYPE=CELL;TYPE=PREF:{TWO}"], TWO),
            ([f"TEL;TYPE=CELL:{ONE}", f"TEL;TYPE=IPHONE;PREF=1:{TWO}"], TWO),
            ([f"TEL;TYPE=CELL:{ONE}", "TEL;TYPE=CELL:+33 6 39 98 00 01"], ONE),
            (["TEL;TYPE=CELL:", f"TEL;TYPE=HOME:{ONE}"], ONE),
            ([f"item2.TEL:{ONE}", "item2.X-ABLabel:_$!<Mobile>!$_", f"TEL:{LANDLINE}"], ONE),
            ([f"TEL;TYPE=cell;VALUE=uri:tel:{ONE}"], ONE),
            (["TEL;TYPE=cell;VALUE=uri:TEL:%2B33639980001"], ONE),
        ],
    )
    def test_are_the_mobile_or_the_only_one(self, lines: list[str], expected: str) -> None:
        assert numbers(read(card(*lines))) == [expected]

    @pytest.mark.extra("phone")
    def test_in_two_spellings_are_one(self) -> None:
        card_ = card("TEL;TYPE=CELL:06 39 98 00 01", f"TEL;TYPE=CELL:{ONE}")
        assert numbers(read(card_, region="FR")) == [ONE]

    @pytest.mark.parametrize(
        ("lines", "reason"),
        [
            ([f"TEL;TYPE=HOME:{LANDLINE}", f"TEL;TYPE=WORK:{OFFICE}"], "the card has 2 numbers"),
            ([f"TEL;TYPE=CELL:{ONE}", f"TEL;TYPE=CELL:{TWO}"], "the card has 2 numbers"),
            ([f"TEL:{ONE}", f"TEL:{TWO}", f"TEL:{THREE}"], "the card has 3 numbers"),
            ([f"TEL;TYPE=FAX:{LANDLINE}"], "the number is empty"),
            (["N:Un;;;;"], "the number is empty"),
            ([], "the row is empty"),
            (
                [f"TEL:{ONE};ext=5"],
                "the number holds a sign that does not belong there at position 13",
            ),
            (["N:Un", "TEL:"], "the number is empty"),
            (
                [f"TEL;TYPE=CELL:{ONE}", "not a property"],
                "the card holds a line that is no property",
            ),
            (
                ["N;ENCODING=QUOTED-PRINTABLE:L=E9a", f"TEL:{ONE}"],
                "the last_name holds letters that",
            ),
        ],
    )
    def test_in_doubt_are_refused(self, lines: list[str], reason: str) -> None:
        """And no other card with them."""
        found = read(card(*lines), card(f"TEL:{OFFICE}"))
        assert refusals(found)[0][0] == 1
        assert refusals(found)[0][1].startswith(reason)
        assert numbers(found) == [OFFICE]

    def test_are_those_that_the_caller_names(self) -> None:
        cards = [
            card(f"TEL;TYPE=HOME:{LANDLINE}", f"TEL;TYPE=WORK:{OFFICE}", "N:Un;Ana"),
            card(f"TEL;TYPE=CELL,WORK:{ONE}", f"TEL;TYPE=CELL:{TWO}"),
            card(f"TEL;TYPE=VOICE:{THREE}"),
        ]
        order = ["TEL CELL", "TEL WORK", "TEL"]
        found = read(*cards, columns={"phone_number": order})
        assert numbers(found) == [OFFICE, TWO, THREE]
        assert found.contacts[0].last_name == "Un"
        assert found.unused_headings == ("TEL HOME", "TEL CELL WORK")

    def test_that_no_card_has_cannot_be_named(self) -> None:
        with pytest.raises(ConfigurationError, match="there is no 'TEL WORK' among 'TEL'"):
            read(card(f"TEL:{ONE}"), columns={"phone_number": "TEL WORK"})

    def test_are_not_needed_by_any_card(self) -> None:
        assert refusals(read(card("FN:Ana"))) == [(1, "the number is empty")]
        assert refusals(read("BEGIN:VCARD")) == [(1, NO_END)]


class TestLines:
    def test_outside_of_cards_are_refused(self) -> None:
        found = read(card(f"TEL:{ONE}"), "TEL:1\n\n", card(f"TEL:{TWO}"))
        assert refusals(found) == [(5, "the line stands outside of a card")]
        assert found.refused[0].row == {"unread": "TEL:1"}
        assert [row.line for row in found.rows] == [1, 7]

    def test_of_a_card_that_does_not_end_are_refused(self) -> None:
        begun = "BEGIN:VCARD\nTEL:+33639980009\n"
        found = read(begun, card(f"TEL:{ONE}"), begun)
        assert refusals(found) == [(1, NO_END), (7, NO_END)]
        assert found.refused[0].row == {"unread": "TEL:+33639980009"}
        assert numbers(found) == [ONE]

    def test_that_are_blank_do_not_matter(self) -> None:
        assert numbers(read("\n \n", card("", f"TEL:{ONE}", ""), "\n")) == [ONE]

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_may_end_in_any_way(self, end: str) -> None:
        assert numbers(read(IPHONE.replace("\r\n", end))) == [ONE]

    @pytest.mark.parametrize(
        ("charset", "name"),
        [("ISO-8859-1", b"L=E9a"), ("UTF-8", b"L=C3=A9a"), ("X-NONE", b"L=C3=A9a")],
    )
    def test_of_2_1_may_have_a_charset_of_their_own(self, charset: str, name: bytes) -> None:
        line = f"N;CHARSET={charset};QUOTED-PRINTABLE:;{name.decode()}"
        assert read(card(line, f"TEL;CELL:{ONE}")).contacts == (Contact(ONE, first_name="Léa"),)

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
    def test_may_be_in_any_encoding(self, encoding: str) -> None:
        content = card("N:Hélène;Zoé", f"TEL:{ONE}").encode(encoding)
        assert read_vcards(content).contacts[0].last_name == "Hélène"

    def test_may_be_text_already(self) -> None:
        assert numbers(read_vcards(io.StringIO(IPHONE))) == [ONE]


def test_cut_anywhere_they_give_nothing_that_the_whole_does_not() -> None:
    whole = (IPHONE + ANDROID + STANDARD).splitlines(keepends=True)
    contacts = read(*whole).contacts
    for end in range(1, len(whole)):
        found = read(*whole[:end]).contacts
        assert found == contacts[: len(found)]
