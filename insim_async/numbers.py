"""Phone numbers as people write them: E.164, or a reason why not.

Nothing is guessed: what could be read as two numbers is refused. No reason repeats the number that
it is about.
"""

from __future__ import annotations

import re

from insim_async.errors import ConfigurationError, InvalidMessage

__all__ = ["check", "require_region", "to_e164"]

_is_e164 = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch
_is_plain = re.compile(r"\+?[0-9]+").fullmatch
_is_scientific = re.compile(r"\+?[0-9]+(?:,[0-9]+)?[Ee]\+?[0-9]+").fullmatch

_is_decimal = re.compile(r"\+?[0-9]{5,}\.(?:[0-9]|0+)").fullmatch
"""How a table with gaps writes a column of whole numbers: as fractions, ``33639980001.0``."""

_find_bracketed_zero = re.compile(r"[(\[]\W*(?:\+\d+\W*[)\]]\W*)?0").search
"""``+33 (0)6``, ``+44 (07911)``, ``(+33) 06``: the zero that is dialled only inside the country,
most often."""

_LONGEST = 100
_PUNCTUATION = frozenset(".()[]·\N{MINUS SIGN}")
_SEPARATORS = frozenset({"Zs", "Pd", "Cf"})
"""Spaces, dashes and format characters (among them the direction marks that phones put around a
copied number)."""

_KINDS = {
    "Cc": "a line break or another control character",
    "Cs": "half a surrogate pair",
    "L": "a letter",
    "N": "a digit other than 0 to 9",
}

_EMPTY = "the number is empty"
_SCIENTIFIC = (
    "a spreadsheet has put scientific notation in place of the number, and its digits are lost: "
    "format the column as text and fill it in again"
)
_DECIMAL = "a table has put a decimal point into the number: read or format the column as text"
_HINT = 'write + and the country code, or name the region it is written for, such as region="FR"'
_INTERNATIONAL_PREFIX = f"the number begins with 00 in place of +: {_HINT}"
_NATIONAL = f"the number has no country code: {_HINT}"
_BRACKETED_ZERO = (
    "the number has a zero in brackets that may or may not be dialled: "
    "write it as it is dialled from abroad, "
    'or name the region it is written for, such as region="FR"'
)
_LEADING_ZERO = "the number has a 0 after the +, where the country code belongs"
_UNKNOWN_COUNTRY = "the number has a country code that does not exist"
_TOO_SHORT = "the number is too short for its country"
_TOO_LONG = "the number is too long for its country"
_WRONG_LENGTH = "the number has a length that its country does not use"
_LOCAL = "the number lacks its area code"


def to_e164(text: str, *, region: str | None = None) -> str:
    """Return ``text`` as an E.164 number: ``+``, country code and number, digits only.

    Spaces, dots, dashes, brackets and invisible format characters do not matter. Without ``region``
    the number must begin with ``+``, and only its form is checked; a zero in brackets (``+33
    (0)6``) is refused then, because not every country leaves it out.

    Args:
        text: One number as people write it.
        region: The country whose national numbers are understood (ISO 3166-1 alpha-2, ``"FR"``).
            With it, every number must have a length that its country uses. Needs the extra
            ``phone``.

    Raises:
        InvalidMessage: It is not a number, not one number, or not one that can be dialled from
            anywhere.
        ConfigurationError: The region is unknown, or the extra ``phone`` is not installed.
    """
    if region is not None:
        require_region(region)
    number = check(text, region)
    if isinstance(number, InvalidMessage):
        raise number
    return number


def check(text: object, region: str | None = None) -> str | InvalidMessage:
    """Decide whether ``text`` is a phone number.

    Quick for E.164 without ``region`` (well under a microsecond); with one, each number costs some
    20 microseconds.

    Args:
        text: One number as people write it; anything but a string is refused.
        region: As for ``to_e164``, and known to be good: ``require_region`` is not called again.

    Returns:
        The E.164 number, or the error that says why there is none; it is not raised.

    Raises:
        ImportError: There is a region, and the extra ``phone`` is not installed.
    """
    if not isinstance(text, str):
        return _refused(f"the number must be text, not {type(text).__name__}")
    if region is None and _is_e164(text):
        return text
    if len(text) > _LONGEST:
        return _refused(f"the number has more than {_LONGEST} characters")
    compact = "".join(character for character in text.strip() if not _separates(character))
    if fault := _fault(text.strip(), compact, region):
        return _refused(fault)
    return _international(text, compact) if region is None else _regional(text, compact, region)


def require_region(region: str) -> None:
    """Make sure that numbers of ``region`` can be understood.

    Args:
        region: ISO 3166-1 alpha-2, in capitals: ``"FR"``.

    Raises:
        ConfigurationError: The region is unknown, or the extra ``phone`` is not installed.
    """
    try:
        from phonenumbers import SUPPORTED_REGIONS
    except ImportError as error:
        raise ConfigurationError(
            'region needs an extra: pip install "insim_async[phone]"'
        ) from error
    if str(region) not in SUPPORTED_REGIONS:
        raise ConfigurationError(f'unknown region {region!r}: two capital letters, such as "FR"')


def _refused(reason: str) -> InvalidMessage:
    return InvalidMessage("phone_number", reason)


def _separates(character: str) -> bool:
    return character in _PUNCTUATION or _category(character) in _SEPARATORS


def _fault(text: str, compact: str, region: str | None) -> str | None:
    """Return what keeps ``text`` from being digits after an optional plus sign."""
    if _is_decimal(text):
        return _DECIMAL
    if _is_plain(compact):
        return None
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
    return None


def _counts(character: str, region: str | None) -> bool:
    """Return whether ``character`` is a digit: with a region, those of every script."""
    return character.isdecimal() and (character.isascii() or region is not None)


def _category(character: str) -> str:
    import unicodedata  # slow to import, and seldom needed

    return unicodedata.category(character)


def _kind(character: str) -> str:
    category = _category(character)
    return _KINDS.get(category) or _KINDS.get(category[0], "a sign that does not belong there")


def _international(text: str, compact: str) -> str | InvalidMessage:
    if not compact.startswith("+"):
        return _refused(_INTERNATIONAL_PREFIX if compact.startswith("00") else _NATIONAL)
    if _find_bracketed_zero(text):
        return _refused(_BRACKETED_ZERO)
    if compact.startswith("+0"):
        return _refused(_LEADING_ZERO)
    return _measured(compact)


def _measured(number: str) -> str | InvalidMessage:
    if _is_e164(number):
        return number
    return _refused(
        f"the number has {len(number) - 1} digits after the +, and 7 to 15 are possible"
    )


def _regional(text: str, compact: str, region: str) -> str | InvalidMessage:
    """Let libphonenumber read the number.

    Its lengths decide, not its list of number ranges: ranges come into use before that list knows
    of them.
    """
    import phonenumbers as library

    try:
        parsed = library.parse(compact, region)
    except library.NumberParseException as error:
        return _refused(_parse_fault(error.error_type))
    if fault := _length_fault(library.is_possible_number_with_reason(parsed)):
        return _refused(fault)
    number = library.format_number(parsed, library.PhoneNumberFormat.E164)
    if number == compact and _find_bracketed_zero(text) and not library.is_valid_number(parsed):
        return _refused(_BRACKETED_ZERO)
    return _measured(number)


def _parse_fault(error_type: int) -> str:
    from phonenumbers import NumberParseException as Fault

    return {Fault.INVALID_COUNTRY_CODE: _UNKNOWN_COUNTRY, Fault.TOO_LONG: _TOO_LONG}.get(
        error_type, _TOO_SHORT
    )


def _length_fault(result: int) -> str | None:
    """Return what is wrong with a number of that length, or None.

    ``is_possible_number`` would also accept what is understood only within its own area.
    """
    from phonenumbers import ValidationResult as Length

    if result == Length.IS_POSSIBLE:
        return None
    faults = {
        Length.TOO_SHORT: _TOO_SHORT,
        Length.TOO_LONG: _TOO_LONG,
        Length.IS_POSSIBLE_LOCAL_ONLY: _LOCAL,
    }
    return faults.get(result, _WRONG_LENGTH)
