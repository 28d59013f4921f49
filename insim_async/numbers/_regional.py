"""Numbers as they are written in one region, read by libphonenumber (the extra ``phone``).

Its lengths decide, not its list of number ranges: ranges come into use before that list knows of
them. Where there are two ways to read a number, the list does decide, or the number is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from insim_async.numbers._text import (
    BRACKETED_ZERO,
    HINT,
    compacted,
    has_bracketed_zero,
    is_date,
    measured,
)

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

__all__ = [
    "FICTION",
    "SIBLINGS",
    "calling_code",
    "is_known",
    "is_service",
    "joined",
    "line_of",
    "read",
]

SIBLINGS = {
    region: frozenset({33, 262, 508, 590, 594, 596})
    for region in ("FR", "BL", "GF", "GP", "MF", "MQ", "PM", "RE", "YT")
}
"""Codes that share one national plan: a number is dialled the same way in all of them, and only its
digits say whose it is (France and its overseas departments; ARCEP 2018-0881)."""

FICTION = {33: "63998[0-9]{4}"}
"""Mobile numbers that the French regulator keeps for fiction; the list does not know them."""

_is_fiction = re.compile("|".join(rf"\+{code}{shape}" for code, shape in FICTION.items())).fullmatch

_is_plain = re.compile(r"\+?[0-9]+").fullmatch
_FEWEST_DIGITS = 7

_UNKNOWN_COUNTRY = "the number has a country code that does not exist"
_TOO_SHORT = "the number is too short for its country"
_TOO_LONG = "the number is too long for its country"
_WRONG_LENGTH = "the number has a length that its country does not use"
_LOCAL = "the number lacks its area code"
_NOT_ABROAD = (
    "the number begins with the prefix of calls abroad, and no such number exists: "
    "write + and the country code"
)
_TWO_READINGS = (
    "the number may begin with a country code or with the same digits of an area: "
    f"{HINT.partition(',')[0]} or the 0 before the area"
)


def is_known(region: str) -> bool:
    """Say whether there are rules for a region."""
    from phonenumbers import SUPPORTED_REGIONS

    return str(region) in SUPPORTED_REGIONS


def calling_code(region: str) -> str:
    """Return the country code of a region."""
    from phonenumbers import country_code_for_region

    return str(country_code_for_region(region))


def read(text: str, compact: str, region: str) -> tuple[str, str]:
    """Return the number that ``compact`` is in a region, or no number and its fault."""
    import phonenumbers as library

    try:
        parsed = library.parse(compact, region, keep_raw_input=True)
    except library.NumberParseException as error:
        return "", _parse_fault(error.error_type)
    if fault := _length_fault(parsed) or _second_reading(parsed, compact, region):
        return "", fault
    number = _e164(parsed)
    if number == compact and has_bracketed_zero(text) and not _exists(parsed):
        return "", BRACKETED_ZERO
    if parsed.country_code_source == library.CountryCodeSource.FROM_DEFAULT_COUNTRY:
        number = _sibling(parsed, region) or number
    return measured(number)


def joined(text: str, region: str) -> str:
    """Return the number that all digits make together where slashes stand between them.

    "" if they make none, or if a slash may just as well stand between two numbers.
    """
    whole = compacted(text.replace("/", ""))
    if is_date(text.strip()) or not _is_plain(whole):
        return ""
    number, _ = read(text, whole, region)
    places = [place for place, sign in enumerate(text) if sign == "/"] if number else []
    parts = [(text[:place], text[place + 1 :]) for place in places]
    return "" if any(_may_be_two(*part, region) for part in parts) else number


def line_of(number: str) -> str:
    """Return what kind of line a number in E.164 leads to."""
    import phonenumbers as library

    if _is_fiction(number):
        return "mobile"
    try:
        found = library.number_type(library.parse(number))
    except library.NumberParseException:
        return "other"
    lines = {
        library.PhoneNumberType.MOBILE: "mobile",
        library.PhoneNumberType.FIXED_LINE: "fixed",
        library.PhoneNumberType.FIXED_LINE_OR_MOBILE: "either",
    }
    return lines.get(found, "other")


def is_service(number: str) -> bool:
    """Say whether a number in E.164 is known to be neither a mobile nor a landline."""
    import phonenumbers as library

    try:
        found = library.number_type(library.parse(number))
    except library.NumberParseException:
        return False
    types = library.PhoneNumberType
    return line_of(number) == "other" and found != types.UNKNOWN and found != types.PERSONAL_NUMBER


def _e164(parsed: PhoneNumber) -> str:
    import phonenumbers as library

    return library.format_number(parsed, library.PhoneNumberFormat.E164)


def _exists(parsed: PhoneNumber) -> bool:
    import phonenumbers as library

    return library.is_valid_number(parsed) or _is_fiction(_e164(parsed)) is not None


def _second_reading(parsed: PhoneNumber, compact: str, region: str) -> str:
    """Return what is wrong with a number that can be read in two ways."""
    import phonenumbers as library

    source = library.CountryCodeSource
    if parsed.country_code_source == source.FROM_NUMBER_WITH_IDD:
        return "" if _exists(parsed) else _NOT_ABROAD
    if parsed.country_code_source == source.FROM_DEFAULT_COUNTRY and _lacks_plus(parsed, compact):
        return _TWO_READINGS
    code = library.country_code_for_region(region)
    if not compact.startswith(str(code)):
        return ""
    both = (library.parse(f"+{code}{compact}"), library.parse(f"+{compact}"))
    readings = {_e164(number): _exists(number) for number in both if not _length_fault(number)}
    known = [number for number, exists in readings.items() if exists]
    return _TWO_READINGS if len(readings) > 1 and known != [_e164(parsed)] else ""


def _lacks_plus(parsed: PhoneNumber, compact: str) -> bool:
    """Say whether digits are a mobile of another country, and none where they were written."""
    abroad, here = line_of(f"+{compact}"), line_of(_e164(parsed))
    return abroad == "mobile" and here not in {"mobile", "either"}


def _sibling(parsed: PhoneNumber, region: str) -> str:
    """Return the same digits under the one sibling code under which they exist, or ""."""
    import phonenumbers as library

    if region not in SIBLINGS or _exists(parsed):
        return ""
    others = [
        library.PhoneNumber(country_code=code, national_number=parsed.national_number)
        for code in SIBLINGS[region] - {parsed.country_code}
    ]
    found = [number for number in others if _exists(number)]
    return _e164(found[0]) if len(found) == 1 else ""


def _may_be_two(left: str, right: str, region: str) -> bool:
    """Say whether a slash may stand behind one number, or before another."""
    before, behind = (compacted(part.replace("/", "")) for part in (left, right))
    return (behind != "" and _may_stand_alone(before, region)) or (
        behind.startswith(("0", "+")) and _may_stand_alone(behind, region)
    )


def _may_stand_alone(compact: str, region: str) -> bool:
    return len(compact) >= _FEWEST_DIGITS and not read(compact, compact, region)[1]


def _parse_fault(error_type: int) -> str:
    from phonenumbers import NumberParseException as Fault

    return {Fault.INVALID_COUNTRY_CODE: _UNKNOWN_COUNTRY, Fault.TOO_LONG: _TOO_LONG}.get(
        error_type, _TOO_SHORT
    )


def _length_fault(parsed: PhoneNumber) -> str:
    """Return what is wrong with a number of that length.

    ``is_possible_number`` would also accept what is understood only within its own area.
    """
    from phonenumbers import ValidationResult as Length
    from phonenumbers import is_possible_number_with_reason

    result = is_possible_number_with_reason(parsed)
    if result == Length.IS_POSSIBLE:
        return ""
    faults = {
        Length.TOO_SHORT: _TOO_SHORT,
        Length.TOO_LONG: _TOO_LONG,
        Length.IS_POSSIBLE_LOCAL_ONLY: _LOCAL,
    }
    return faults.get(result, _WRONG_LENGTH)
