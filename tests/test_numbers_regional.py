"""Numbers as they are written in one region, and what they lead to."""

from __future__ import annotations

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insim_async import numbers
from insim_async.errors import ConfigurationError, InvalidMessage
from insim_async.numbers import Kind, _fast, check, holds_two, kind

NUMBER = "+33639980001"
TWO_READINGS = (
    "the number may begin with a country code or with the same digits of an area: write +"
)
needs_phone = pytest.mark.extra("phone")


def reason(text: str, region: str | None = None) -> str:
    found = check(text, region)
    assert isinstance(found, InvalidMessage)
    return found.reason


SLASHES = [
    ("0470/00.00.01", "BE", "+32470000001"),
    ("0470 / 00 00 01", "BE", "+32470000001"),
    ("0470/00/00/01", "BE", "+32470000001"),
    ("0470 00 00 01/", "BE", "+32470000001"),
    ("+32 (0)470/00 00 03", "BE", "+32470000003"),
    ("0032 470/00 00 03", "BE", "+32470000003"),
    ("030/1234567", "DE", "+49301234567"),
    ("0171/3920001", "DE", "+491713920001"),
    ("079/123 45 67", "CH", "+41791234567"),
    ("06/39/98/00/01", "FR", NUMBER),
]

NO_SLASHES = [
    ("0639980001/0639980002", "FR"),
    ("+33639980001/02", "FR"),
    ("0171/3920001/02", "DE"),
    ("0171 3920001/3", "DE"),
    ("030 12/030 1234", "DE"),
    ("0470/00.00.0a", "BE"),
    ("0470/00", "BE"),
    ("/", "FR"),
]

SIBLINGS = [
    ("0692 00 00 01", "FR", "+262692000001"),
    ("692000001", "FR", "+262692000001"),
    ("0690 00 00 01", "FR", "+590690000001"),
    ("0590 27 00 01", "FR", "+590590270001"),
    ("0694 20 00 01", "FR", "+594694200001"),
    ("0696 00 00 01", "FR", "+596696000001"),
    ("0639 01 34 56", "FR", "+262639013456"),
    ("06 12 34 56 78", "RE", "+33612345678"),
    ("01 42 68 53 00", "GP", "+33142685300"),
    ("06 39 98 00 01", "RE", NUMBER),
    ("0692 00 00 01", "RE", "+262692000001"),
    ("0692 00 00 01", "GP", "+262692000001"),
    ("06 39 98 00 01", "FR", NUMBER),
    ("07 00 00 00 01", "FR", "+33700000001"),
    ("+33 692 00 00 01", "FR", "+33692000001"),
    ("0470 00 00 01", "BE", "+32470000001"),
]

TWO_WAYS = [
    ("49 171 3920001", "DE", None),
    ("491713920001", "DE", None),
    ("39 333 123 4567", "IT", "+393331234567"),
    ("391 234 5678", "IT", "+393912345678"),
    ("39 391 234 5678", "IT", "+393912345678"),
    ("390 123 4567", "IT", None),
    ("31612345678", "NL", "+31612345678"),
    *[("33639980001", region, None) for region in ("DE", "AT", "LU", "IT", "NL")],
    ("033639980001", "DE", "+4933639980001"),
    ("0171 3920001", "DE", "+491713920001"),
    ("1713920001", "DE", "+491713920001"),
    ("+49 171 3920001", "DE", "+491713920001"),
    ("33639980001", "FR", NUMBER),
    ("339980001", "FR", "+33339980001"),
    ("16502530000", "US", "+16502530000"),
    ("41791234567", "CH", "+41791234567"),
]


@needs_phone
@pytest.mark.parametrize(("text", "region", "expected"), SLASHES, ids=ascii)
def test_a_slash_between_the_digits_of_one_number_does_not_matter(
    text: str, region: str, expected: str
) -> None:
    """With a region, whose lengths tell; Belgium and Germany write it so."""
    assert check(text, region) == expected


@needs_phone
@pytest.mark.parametrize(("text", "region"), NO_SLASHES, ids=ascii)
def test_a_slash_that_may_stand_between_two_numbers_is_refused(text: str, region: str) -> None:
    """Two joined numbers are never read as one, nor is a part dropped."""
    assert reason(text, region) == reason(text)


@needs_phone
@pytest.mark.parametrize(("text", "region", "expected"), SIBLINGS, ids=ascii)
def test_a_number_goes_to_where_its_digits_exist(text: str, region: str, expected: str) -> None:
    """Within one national plan, as France and its overseas departments have."""
    assert check(text, region) == expected


@needs_phone
@pytest.mark.parametrize(("text", "region", "expected"), TWO_WAYS, ids=ascii)
def test_a_country_code_without_a_plus_is_read_only_one_way(
    text: str, region: str, expected: str | None
) -> None:
    """Else it is refused: an area may begin with the same digits."""
    if expected is None:
        assert reason(text, region).startswith(TWO_READINGS)
    else:
        assert check(text, region) == expected


@pytest.mark.parametrize(
    "number", ["+390212345678", "+2250707000001", "+22901000001", "+242060000001", "+3780549886377"]
)
def test_a_zero_behind_the_code_stays_where_numbers_begin_with_one(number: str) -> None:
    """Italy's do, and some of Africa's."""
    assert check(number) == number


@needs_phone
def test_no_code_that_is_said_to_leave_out_zeros_has_lines_that_begin_with_one() -> None:
    """By libphonenumber's examples of mobile and fixed lines."""
    import phonenumbers
    from phonenumbers import PhoneNumberType as Line

    examples = [
        phonenumbers.example_number_for_type(region, line)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for line in (Line.MOBILE, Line.FIXED_LINE)
    ]
    written = [
        phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        for example in examples
        if example is not None
    ]
    assert len(written) > 400
    # Some islands have numbers of five digits, which are E.164 and too short for a message.
    long_enough = [number for number in written if len(number) > 7]
    assert [number for number in long_enough if check(number) != number] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{NUMBER} / +33639980002", True),
        (f"{NUMBER} +33639980002", True),
        (f"{NUMBER}+33639980002", True),
        (f"{NUMBER}\n+33639980002", True),
        ("06 39 98 00 01 ou 01 99 00 00 02", True),
        ("06 39 98 00 01 06 39 98 00 02", True),
        ("06.39.98.00.01-06.39.98.00.02", True),
        ("0639980001;0639980002;0639980003", True),
        ("mobile : 0639980001, fixe : 0199000001", True),
        ("0639980001/02", False),
        ("06 39 98 00 01 poste 12", False),
        ("(+33) 6 39 98 00 01 (bureau)", False),
        ("tel: 06 39 98 00 01", False),
        ("", False),
    ],
)
def test_two_numbers_in_one_are_told_from_one_with_a_fault(text: str, expected: bool) -> None:
    """By digits on both sides of what does not belong into a number."""
    assert holds_two(text) is expected


@needs_phone
class TestKind:
    @pytest.mark.parametrize(
        ("number", "expected"),
        [
            (NUMBER, Kind.MOBILE),
            ("+33639989999", Kind.MOBILE),
            ("+33612345678", Kind.MOBILE),
            ("+262692000001", Kind.MOBILE),
            ("+33 1 99 00 00 01", Kind.FIXED),
            ("+32 12 34 56 78", Kind.FIXED),
            ("+12025550123", Kind.EITHER),
            ("+33970000001", Kind.OTHER),
            ("+33800000001", Kind.OTHER),
            ("+33639990000", Kind.OTHER),
            ("+999123456789", Kind.OTHER),
        ],
    )
    def test_is_told_by_the_ranges_of_the_country(self, number: str, expected: Kind) -> None:
        """Those that are kept for fiction are mobiles."""
        assert kind(number) is expected

    def test_is_its_word(self) -> None:
        assert kind(NUMBER) == "mobile"
        assert list(Kind) == ["mobile", "fixed", "either", "other"]

    @pytest.mark.parametrize("number", ["0639980001", "", "abc"])
    def test_of_what_is_no_number_is_refused(self, number: str) -> None:
        with pytest.raises(InvalidMessage):
            kind(number)


def test_kind_needs_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    with pytest.raises(ConfigurationError, match=r"^kind needs an extra: pip install"):
        kind(NUMBER)


REGIONS = ["FR", "BE", "DE", "CH", "RE", "YT", "GB", "IT", "JP", "US", "AT", "NL", "BG", "RW", "IN"]


@needs_phone
@given(
    st.text("0123456789", min_size=1, max_size=12),
    st.sampled_from(["", "0", "(0)", "+33", "+33(0)", "+33 0", "+49", "+32(0)", "0033", "00", "("]),
    st.sampled_from(REGIONS),
    st.sampled_from(["", " ", ".", "-", ")"]),
)
@example("692000001", "0", "FR", "")
@example("639013456", "0", "FR", " ")
@example("63998000", "0", "DE", ".")
@example("612345678", "0", "RE", "")
@example("639980001", "0", "RE", "")
@example("639980001", "+33(0)", "FR", "")
@example("639(0)980001", "+33", "FR", "")
@example("692(0)00001", "+33", "FR", "")
@example("80011111", "00", "BG", "")
def test_the_fast_way_reads_what_the_slow_way_reads(
    digits: str, prefix: str, region: str, separator: str
) -> None:
    """Or leaves it to the slow way."""
    parts = [digits[place : place + 2] for place in range(0, len(digits), 2)]
    text = prefix + separator.join(parts)
    assert _fast.plain(text, region) in {"", numbers._read(text, region)[0]}


@needs_phone
@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("06 39 98 00 01", "FR"),
        ("+33 (0)6 39 98 00 01", "FR"),
        (NUMBER, "FR"),
        ("0171 3920001", "DE"),
    ],
)
def test_the_fast_way_is_taken_by_plain_numbers(text: str, region: str) -> None:
    assert _fast.plain(text, region)


@needs_phone
@pytest.mark.parametrize(
    ("text", "region"),
    [("0" * 200, "FR"), ("33639980001.0", "FR"), ("01.09.2026", "DE"), (NUMBER, "US")],
)
def test_the_fast_way_leaves_the_rest_alone(text: str, region: str) -> None:
    assert _fast.plain(text, region) == ""
