"""What the characters alone tell of a number: digits after an optional plus, or why it is none.

No library is asked here, and no region's rules are known but which signs its numbers may hold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = [
    "HINT",
    "WRONG_TYPE",
    "compacted",
    "fault_of",
    "has_bracketed_zero",
    "has_form",
    "have_form",
    "holds_two",
    "international",
    "is_date",
    "is_overlong",
    "measured",
    "parts_of",
]

_ONE_DIGIT, _TWO_DIGITS = "17", "2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
_WITH_ZEROS = "39|225|226|229|241|242|250|378|881|992"
"""Countries whose lines have numbers that begin with a zero, abroad too (libphonenumber 9.0)."""

_OWN_ZERO = (
    rf"(?!{_WITH_ZEROS})(?:[{_ONE_DIGIT}]|{_TWO_DIGITS}|"
    rf"(?![{_ONE_DIGIT}]|{_TWO_DIGITS})[0-9]{{3}})0"
)
"""A zero right behind the code of a country that leaves it out; ITU-T E.164 has codes of one, two
and three digits, none of which begins another."""

_has_own_zero = re.compile(rf"\+{_OWN_ZERO}").match
# The first alternative is there for speed alone: no zero, no code to look at.
_E164 = rf"\+(?:[1-9]{{4}}[0-9]{{3,11}}|(?!{_OWN_ZERO})[1-9][0-9]{{6,14}})"
_is_e164 = re.compile(_E164).fullmatch
_are_e164 = re.compile(rf"(?:{_E164}\n)*+{_E164}").fullmatch
_is_plain = re.compile(r"\+?[0-9]+").fullmatch
_is_scientific = re.compile(r"\+?[0-9]+(?:,[0-9]+)?[Ee]\+?[0-9]+").fullmatch

_is_decimal = re.compile(r"\+?[0-9]{5,}\.(?:[0-9]|0+)").fullmatch
"""How a table with gaps writes a column of whole numbers: as fractions, ``33639980001.0``."""

is_date = re.compile(
    r"[0-3]?[0-9]([./-])[01]?[0-9]\1(?:19|20)[0-9]{2}|(?:19|20)[0-9]{2}([./-])[01][0-9]\2[0-3][0-9]"
).fullmatch

_find_bracketed_zero = re.compile(r"[(\[]\W*(?:\+\d+\W*[)\]]\W*)?0").search
"""``+33 (0)6``, ``+44 (07911)``, ``(+33) 06``: the zero that is dialled only inside the country,
most often."""

_LONGEST = 100
_PUNCTUATION = frozenset(".()[]·\N{MINUS SIGN}")
_SEPARATORS = frozenset({"Zs", "Pd", "Cf"})
"""Spaces, dashes and format characters (among them the direction marks that phones put around a
copied number)."""
_ASCII_SEPARATORS = str.maketrans(dict.fromkeys(".()[] -"))

_KINDS = {
    "Cc": "a line break or another control character",
    "Cs": "half a surrogate pair",
    "L": "a letter",
    "N": "a digit other than 0 to 9",
}

WRONG_TYPE = "the number must be text, not {}"
HINT = 'write + and the country code, or name the region it is written for, such as region="FR"'
_EMPTY = "the number is empty"
_SCIENTIFIC = (
    "a spreadsheet has put scientific notation in place of the number, and its digits are lost: "
    "format the column as text and fill it in again"
)
_DECIMAL = "a table has put a decimal point into the number: read or format the column as text"
_DATE = "the number looks like a date"
_INTERNATIONAL_PREFIX = f"the number begins with 00 in place of +: {HINT}"
_NATIONAL = f"the number has no country code: {HINT}"
BRACKETED_ZERO = (
    "the number has a zero in brackets that may or may not be dialled: "
    "write it as it is dialled from abroad, "
    'or name the region it is written for, such as region="FR"'
)
OWN_ZERO = (
    "the number has a zero behind its country code, which is dialled only inside the country: "
    "leave it out"
)
_LEADING_ZERO = "the number has a 0 after the +, where the country code belongs"

_between_numbers = re.compile(
    r"[^0-9+().\s·\[\]\-]+|[\r\n\t]+|(?=\+)|(?<=[0-9])[\s./\-]+(?=00?[1-9])"
).split
_at_signs = re.compile(r"[^0-9+().\s·\[\]\-]+|[\r\n\t]+|(?=\+)").split
_FEWEST_OF_TWO = 8


def has_form(text: str) -> bool:
    """Say whether ``text`` is E.164 as it stands."""
    return _is_e164(text) is not None


def have_form(texts: Sequence[str]) -> bool:
    """Say whether all are E.164 as they stand, in a fraction of the time that each would take."""
    lines = "\n".join(texts)  # as many as texts, so that none holds a line break
    return _are_e164(lines) is not None and lines.count("\n") == len(texts) - 1


def is_overlong(text: str) -> str:
    """Return what is wrong with a text that is too long to be looked at."""
    return f"the number has more than {_LONGEST} characters" if len(text) > _LONGEST else ""


def compacted(text: str) -> str:
    """Leave out what separates digits."""
    if text.isascii():
        return text.strip().translate(_ASCII_SEPARATORS)
    return "".join(character for character in text.strip() if not _separates(character))


def fault_of(text: str, compact: str, region: str | None) -> str:
    """Return what keeps ``text`` from being digits after an optional plus sign."""
    if _is_decimal(text):
        return _DECIMAL
    if is_date(text):
        return _DATE
    if _is_plain(compact):
        return ""
    if not compact:
        return _EMPTY
    if _is_scientific(compact):
        return _SCIENTIFIC
    signed = compact.startswith("+")
    for position, character in enumerate(text, 1):
        if character == "+" and signed:
            signed = False
        elif not (_separates(character) or _counts(character, region)):
            return f"the number holds {_kind(character)} at position {position}"
    return ""


def international(text: str, compact: str) -> tuple[str, str]:
    """Return the number that begins with a plus, or no number and its fault."""
    if not compact.startswith("+"):
        return "", _INTERNATIONAL_PREFIX if compact.startswith("00") else _NATIONAL
    if has_bracketed_zero(text):
        return "", BRACKETED_ZERO
    if compact.startswith("+0"):
        return "", _LEADING_ZERO
    return measured(compact)


def measured(number: str) -> tuple[str, str]:
    """Return a plus and digits if they are E.164, or no number and its fault."""
    if _has_own_zero(number):
        return "", OWN_ZERO
    if _is_e164(number):
        return number, ""
    return "", f"the number has {len(number) - 1} digits after the +, and 7 to 15 are possible"


def has_bracketed_zero(text: str) -> bool:
    """Say whether a zero stands in brackets, or behind a bracket that holds the country code."""
    return _find_bracketed_zero(text) is not None


def holds_two(text: str) -> bool:
    """Say whether ``text``, which is not a number, holds two of them."""
    counts = [sum(map(str.isdigit, part)) for part in _between_numbers(text)]
    return sum(count >= _FEWEST_OF_TWO for count in counts) > 1


def parts_of(text: str) -> list[str]:
    """Split a text at the signs that stand between numbers, or else at spaces before a zero."""
    parts = [part for part in _at_signs(text) if any(map(str.isdigit, part))]
    return parts if len(parts) > 1 else _between_numbers(text)


def _separates(character: str) -> bool:
    return character in _PUNCTUATION or _category(character) in _SEPARATORS


def _counts(character: str, region: str | None) -> bool:
    """Return whether ``character`` is a digit: with a region, those of every script."""
    return character.isdecimal() and (character.isascii() or region is not None)


def _category(character: str) -> str:
    import unicodedata  # slow to import, and seldom needed

    return unicodedata.category(character)


def _kind(character: str) -> str:
    category = _category(character)
    return _KINDS.get(category) or _KINDS.get(category[0], "a sign that does not belong there")
