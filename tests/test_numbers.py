"""Phone numbers as people write them."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insim_async import numbers
from insim_async.errors import ConfigurationError, InvalidMessage
from insim_async.numbers import check, require_region, to_e164

NUMBER = "+33639980001"
needs_phone = pytest.mark.extra("phone")

EMPTY = "the number is empty"
LETTER = "the number holds a letter at position"
SIGN = "the number holds a sign that does not belong there at position"
CONTROL = "the number holds a line break or another control character at position"
SURROGATE = "the number holds half a surrogate pair at position"
DIGIT = "the number holds a digit other than 0 to 9 at position"
DECIMAL = "a table has put a decimal point into the number: read or format the column as text"
SCIENTIFIC = (
    "a spreadsheet has put scientific notation in place of the number, and its digits are lost: "
)
NATIONAL = (
    "the number has no country code: "
    "write + and the country code, or name the region it is written for"
)
DOUBLE_ZERO = (
    "the number begins with 00 in place of +: write + and the country code, or name the region"
)
BRACKETS = "the number has a zero in brackets that may or may not be dialled: "
OWN_ZERO = "the number has a zero behind its country code, which is dialled only inside the country"
DATE = "the number looks like a date"
ABROAD = (
    "the number begins with the prefix of calls abroad, and no such number exists: "
    "write + and the country code"
)
TOO_SHORT = "the number is too short for its country"
TOO_LONG = "the number is too long for its country"

ANYWHERE = [
    NUMBER,
    "+33 6 39 98 00 01",
    "+33.6.39.98.00.01",
    "+33-6-39-98-00-01",
    "+33 (6) 39 98 00 01",
    "(+33) 6 39 98 00 01",
    "[+33] 639980001",
    (
        "+33\N{NO-BREAK SPACE}6\N{NARROW NO-BREAK SPACE}39\N{THIN SPACE}98"
        "\N{FIGURE SPACE}00\N{IDEOGRAPHIC SPACE}01"
    ),
    "+33\N{NON-BREAKING HYPHEN}6\N{EN DASH}39\N{EM DASH}98\N{FIGURE DASH}00\N{MINUS SIGN}01",
    "+33·6·39·98·00·01",
    "\N{LEFT-TO-RIGHT MARK}+33639980001\N{POP DIRECTIONAL FORMATTING}",
    "\N{ZERO WIDTH NO-BREAK SPACE}+3363998\N{SOFT HYPHEN}0001\N{ZERO WIDTH SPACE}",
    "  +33639980001\t\r\n",
    "\N{NO-BREAK SPACE}+33\N{NO-BREAK SPACE}6\N{NO-BREAK SPACE}39980001\N{LEFT-TO-RIGHT MARK}",
]

NOWHERE: list[tuple[object, str]] = [
    # realistic
    ("", EMPTY),
    ("  ", EMPTY),
    ("-", EMPTY),
    ("\N{LEFT-TO-RIGHT MARK}", EMPTY),
    ("n/a", f"{LETTER} 1"),
    ("+33639980001/02", "the number holds a sign that does not belong there at position 13"),
    ("inconnu", f"{LETTER} 1"),
    ("3,36E+10", SCIENTIFIC),
    ("3,36399E+10", SCIENTIFIC),
    ("3.36399E+10", SCIENTIFIC),
    (" 3.36399e10 ", SCIENTIFIC),
    ("+3,36399E+10", SCIENTIFIC),
    ("+33639980001.0", DECIMAL),
    ("33639980001.0", DECIMAL),
    (" 639980001.00 ", DECIMAL),
    ("639980001.5", DECIMAL),
    ("01/09/2026", DATE),
    ("1.9.2026", DATE),
    ("2026-09-01", DATE),
    ("06 39 98 00 01 ext. 5", f"{LETTER} 16"),
    ("+33639980001 x5", f"{LETTER} 14"),
    ("+33639980001;ext=5", f"{SIGN} 13"),
    ("+33639980001,5", f"{SIGN} 13"),
    ("+33639980001#5", f"{SIGN} 13"),
    ("tel:+33639980001", f"{LETTER} 1"),
    ("06 39 98 OO 01", f"{LETTER} 10"),
    ("+33 639 FLEURS", f"{LETTER} 9"),
    ("+33639980001 (bureau)", f"{LETTER} 15"),
    ("+33639980001 +33639980002", f"{SIGN} 14"),
    ("+33639980001 ou +33639980002", f"{LETTER} 14"),
    ("+33639980001\n+33639980002", f"{CONTROL} 13"),
    ("+3363998\t0001", f"{CONTROL} 9"),
    ("++33639980001", f"{SIGN} 2"),
    ("33+639980001", f"{SIGN} 3"),
    ("'+33639980001", f"{SIGN} 1"),
    ('="0639980001"', f"{SIGN} 1"),
    ("+33 6 39 98 00 ??", f"{SIGN} 16"),
    ("<0639980001>", f"{SIGN} 1"),
    # hostile
    ("+33639980001\0", f"{CONTROL} 13"),
    ("\ud83d+33639980001", f"{SURROGATE} 1"),
    ("+3363998000½", f"{DIGIT} 12"),
    ("+33639980001\N{COMBINING ACUTE ACCENT}", f"{SIGN} 13"),
    ("+" * 50, f"{SIGN} 2"),
    ("+" + "9" * 101, "the number has more than 100 characters"),
    (" " * 101, "the number has more than 100 characters"),
    (None, "the number must be text, not NoneType"),
    (33639980001, "the number must be text, not int"),
    (float("nan"), "the number must be text, not float"),
    (b"+33639980001", "the number must be text, not bytes"),
    ([NUMBER], "the number must be text, not list"),
]

NOT_INTERNATIONAL = [
    ("0639980001", NATIONAL),
    ("06 39 98 00 01", NATIONAL),
    ("639980001", NATIONAL),
    ("33639980001", NATIONAL),
    ("0033639980001", DOUBLE_ZERO),
    ("00 33 6 39 98 00 01", DOUBLE_ZERO),
    ("+33 (0)6 39 98 00 01", BRACKETS),
    ("+33(0)639980001", BRACKETS),
    ("+33 [0] 639980001", BRACKETS),
    ("+33 ( \N{LEFT-TO-RIGHT MARK}0 )6 39 98 00 01", BRACKETS),
    ("+33 (06) 39 98 00 01", BRACKETS),
    ("(+33) 06 39 98 00 01", BRACKETS),
    ("+33 06 39 98 00 01", OWN_ZERO),
    ("+330639980001", OWN_ZERO),
    ("+44 07911 123456", OWN_ZERO),
    ("+49-0171-3920001", OWN_ZERO),
    ("+1 0202 555 0123", OWN_ZERO),
    ("+352 0621 123 456", OWN_ZERO),
    ("+81 090 1234 5678", OWN_ZERO),
    ("06/39/98/00/01", f"{SIGN} 3"),
    ("+0639980001", "the number has a 0 after the +, where the country code belongs"),
    ("+", "the number has 0 digits after the +, and 7 to 15 are possible"),
    ("+336399", "the number has 6 digits after the +, and 7 to 15 are possible"),
    ("+3363998000100000", "the number has 16 digits after the +, and 7 to 15 are possible"),
    ("+٣٣٦٣٩٩٨٠٠٠١", f"{DIGIT} 2"),
    ("+３３６３９９８０００１", f"{DIGIT} 2"),
    ("+3363998000१", f"{DIGIT} 12"),
]

IN_FRANCE = [
    ("0639980001", NUMBER),
    ("06 39 98 00 01", NUMBER),
    ("06\N{NO-BREAK SPACE}39\N{NARROW NO-BREAK SPACE}98 00 01", NUMBER),
    ("06.39.98.00.01", NUMBER),
    ("(06) 39-98-00-01", NUMBER),
    ("0033639980001", NUMBER),
    ("00 33 (0)6 39 98 00 01", NUMBER),
    ("+33 (0)6 39 98 00 01", NUMBER),
    ("+33 06 39 98 00 01", NUMBER),
    ("(+33) 06 39 98 00 01", NUMBER),
    ("33639980001", NUMBER),
    ("639980001", NUMBER),
    ("\N{ARABIC-INDIC DIGIT ZERO}٦٣٩٩٨٠٠٠١", NUMBER),
    ("+33639980000", "+33639980000"),
    ("+33639989999", "+33639989999"),
]

NOT_IN_FRANCE = [
    ("+3363998", TOO_SHORT),
    ("06 39 98", TOO_SHORT),
    ("112", TOO_SHORT),
    ("5", TOO_SHORT),
    ("+", TOO_SHORT),
    ("00", TOO_SHORT),
    ("06 39 98 00 01 02", TOO_LONG),
    ("0" * 80, TOO_LONG),
    ("+999639980001", "the number has a country code that does not exist"),
    ("+1 (0)639 980 00", TOO_SHORT),
    ("+1 (0)639 980 000", BRACKETS),
    ("+0639980001", "the number has a country code that does not exist"),
    ("+1 0639 980 000", OWN_ZERO),
    ("00 1 202 555 01", TOO_SHORT),
    ("00 44 6000 000000", ABROAD),
    ("00 33 692 00 00 01", ABROAD),
    ("0033 8 00 00 00 00 00", TOO_LONG),
]


def reason(text: object, region: str | None = None) -> str:
    found = check(text, region)
    assert isinstance(found, InvalidMessage)
    assert found.field == "phone_number"
    return found.reason


@pytest.mark.parametrize("text", ANYWHERE, ids=ascii)
def test_a_number_with_country_code_is_understood_anywhere(text: str) -> None:
    """Spaces, punctuation and invisible characters do not matter."""
    assert check(text) == NUMBER
    assert to_e164(text) == NUMBER


@needs_phone
@pytest.mark.parametrize("text", ANYWHERE, ids=ascii)
def test_a_region_does_not_change_a_number_with_country_code(text: str) -> None:
    """With the region of another country neither."""
    assert check(text, "FR") == NUMBER
    assert check(text, "US") == NUMBER


@pytest.mark.parametrize(("text", "expected"), NOWHERE, ids=ascii)
def test_what_is_no_number_is_refused_with_the_kind_and_place_of_the_fault(
    text: object, expected: str
) -> None:
    """The reason is for the person who mends the list."""
    assert reason(text).startswith(expected)


@needs_phone
@pytest.mark.parametrize(("text", "expected"), NOWHERE, ids=ascii)
def test_a_region_does_not_make_a_number_of_what_is_none(text: object, expected: str) -> None:
    """Letters, extensions and second numbers are never left out to get at a number."""
    assert reason(text, "FR") == reason(text)


@pytest.mark.parametrize(("text", "expected"), NOT_INTERNATIONAL, ids=ascii)
def test_without_a_region_nothing_is_guessed(text: str, expected: str) -> None:
    """The reason says what to write, or that a region would help."""
    assert reason(text).startswith(expected)


@needs_phone
@pytest.mark.parametrize(("text", "expected"), IN_FRANCE, ids=ascii)
def test_with_a_region_its_national_numbers_are_understood(text: str, expected: str) -> None:
    """The numbers kept for fiction among them, though no list of number ranges has them."""
    assert check(text, "FR") == expected
    assert to_e164(text, region="FR") == expected


@needs_phone
@pytest.mark.parametrize(("text", "expected"), NOT_IN_FRANCE, ids=ascii)
def test_with_a_region_every_number_must_have_a_length_its_country_uses(
    text: str, expected: str
) -> None:
    """Also one in E.164 already."""
    assert reason(text, "FR").startswith(expected)


@needs_phone
@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("555 0100", "US", "the number lacks its area code"),
        (
            "+49 1" + "0" * 13,
            "FR",
            "the number has 16 digits after the +, and 7 to 15 are possible",
        ),
        ("+45 0000", "FR", TOO_SHORT),
        ("+358 20", "FR", TOO_SHORT),
        ("+354 0000 0000", "FR", "the number has a length that its country does not use"),
        ("0033639980001", "US", TOO_LONG),
    ],
)
def test_other_countries_have_other_lengths(text: str, region: str, expected: str) -> None:
    """A number that only its own area understands is none, and neither is one beyond E.164."""
    assert reason(text, region) == expected


@needs_phone
def test_a_zero_in_brackets_stays_where_the_country_dials_it() -> None:
    """An Italian landline keeps its zero from abroad too."""
    import phonenumbers

    number = phonenumbers.example_number_for_type("IT", phonenumbers.PhoneNumberType.FIXED_LINE)
    assert number is not None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    assert e164.startswith("+390")
    assert check(f"+39 (0){e164[4:]}", "FR") == e164


@pytest.mark.parametrize(
    "text",
    [text for text, _ in NOT_INTERNATIONAL]
    + [text for text, _ in NOWHERE if isinstance(text, str)],
)
def test_a_reason_never_repeats_the_number(text: str) -> None:
    """It may be logged; no three digits in a row stand in it that were in the number."""
    said = str(check(text)).replace("100 characters", "")
    assert not [run for run in re.findall(r"\d{3,}", said) if run in text]


def test_the_public_call_raises_what_the_check_returns() -> None:
    """``InvalidMessage`` is a ``ValueError`` too."""
    with pytest.raises(InvalidMessage, match=r"^phone_number: the number is empty$"):
        to_e164("")
    with pytest.raises(ValueError, match="no country code"):
        to_e164("0639980001")


@needs_phone
@pytest.mark.parametrize("region", ["fr", "France", "", "ZZ", "001", "F R", ["FR"], 33])
def test_an_unknown_region_is_misuse(region: Any) -> None:
    """The error shows what was given and what it should look like."""
    with pytest.raises(
        ConfigurationError, match=r"^unknown region .*: two capital letters, such as \"FR\"$"
    ):
        require_region(region)
    with pytest.raises(ConfigurationError, match="unknown region"):
        to_e164(NUMBER, region=region)


@needs_phone
@pytest.mark.parametrize("region", ["FR", "BE", "CH", "US", "RE"])
def test_a_known_region_passes(region: str) -> None:
    """Overseas departments have regions of their own."""
    require_region(region)


def test_without_the_extra_a_region_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers with their country code are understood all the same."""
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    for call in (lambda: require_region("FR"), lambda: to_e164(NUMBER, region="FR")):
        with pytest.raises(ConfigurationError, match=re.escape('pip install "insim_async[phone]"')):
            call()
    with pytest.raises(ImportError):
        check(NUMBER, "FR")
    assert to_e164("+33 6 39 98 00 01") == NUMBER


@given(st.text(max_size=120) | st.text("+0123456789 ().-/eE,\u200e\u00a0", max_size=30))
@example("+1234567")
@example("0")
def test_any_text_is_e164_or_refused(text: str) -> None:
    """What passes is E.164 made of the very digits that were written, and passes again as it is."""
    found = check(text)
    if isinstance(found, str):
        assert re.fullmatch(r"\+[1-9][0-9]{6,14}", found)
        assert [c for c in text if c.isdecimal()] == list(found[1:])
        assert check(found) is found
    else:
        assert found.reason


@needs_phone
@given(st.text(max_size=120) | st.text("+0123456789 ().-/\u200e\u00a0", max_size=30))
@example("0639980001")
@example("")
def test_any_text_is_e164_or_refused_with_a_region_too(text: str) -> None:
    """What passes is a number that passes without a region, and is the same when read again."""
    found = check(text, "FR")
    if isinstance(found, str):
        assert check(found) is found
        assert check(found, "FR") == found
    else:
        assert found.reason


@given(st.lists(st.text("+0123456789\n", max_size=12) | st.just(NUMBER), min_size=1, max_size=4))
@example([NUMBER, "+330639980001"])
@example([NUMBER, "+39012345678"])
@example([f"{NUMBER}\n{NUMBER}"])
def test_all_are_asked_at_once_what_each_is_asked(texts: list[str]) -> None:
    assert numbers.have_form(texts) == all(check(text) == text for text in texts)


def test_the_front_of_the_room() -> None:
    assert numbers.__all__ == [
        "Kind",
        "calling_code",
        "check",
        "have_form",
        "holds_two",
        "is_service",
        "kind",
        "repeated",
        "require_phone",
        "require_region",
        "to_e164",
    ]
