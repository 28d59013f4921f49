"""A quicker way to the same answer for the plain numbers of a region, as most are.

All in it may be deleted, and nothing but speed changes. It follows what libphonenumber does with a
national number of one of the region's lengths that begins with its trunk prefix, and with the same
in E.164; whatever is not that plain is left to libphonenumber.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, cast

from insim_async.numbers._regional import FICTION, SIBLINGS

if TYPE_CHECKING:
    from phonenumbers import PhoneMetadata, PhoneNumberDesc

__all__ = ["plain"]

_LONGEST = 100
_SEPARATORS = str.maketrans(dict.fromkeys(" .-()\xa0"))
_has_fraction = re.compile(r"[0-9]{5}\.|[./-](?:19|20)[0-9]{2}\b|\b(?:19|20)[0-9]{2}[./-]").search
"""What may be a decimal point or a date."""


def plain(text: str, region: str) -> str:
    """Return the number in E.164, or "" where libphonenumber has to look."""
    import phonenumbers  # noqa: F401 - without the extra this fails, whatever is known by now

    if len(text) > _LONGEST or _has_fraction(text):
        return ""
    number, has_trunk_prefix = _reader(region)(text.translate(_SEPARATORS))
    # Whether a zero in brackets is dialled is clear only where the trunk prefix stands in them.
    return number if has_trunk_prefix or "(" not in text else ""


@cache
def _reader(region: str) -> Callable[[str], tuple[str, bool]]:
    """Return what reads the plain numbers of a region, and says if they had its trunk prefix.

    Only where the trunk prefix is 0 and that of calls abroad 00, and where the region is the first
    of those that share its code, whose lengths hold for all of them.
    """
    import phonenumbers as library

    rules, code = _rules(region), library.country_code_for_region(region)
    prefixes = (rules.national_prefix_for_parsing, rules.international_prefix)
    is_plain = prefixes == ("0", "00") and not rules.national_prefix_transform_rule
    if not is_plain or library.region_code_for_country_code(code) != region:
        return lambda _: ("", False)
    lengths = [n for n in _shape(rules).possible_length if 7 <= n + len(str(code)) <= 15]
    ways = "|".join(f"[0-9]{{{length - 1}}}" for length in lengths)
    written = re.compile(rf"(?:(0)|\+{code}(0?))([1-9](?:{ways}))").fullmatch
    siblings = "|".join(_lines(other) for other in sorted(SIBLINGS.get(region, set()) - {code}))
    is_a_siblings = re.compile(siblings or "(?!)").fullmatch
    begins_with_zero = re.compile(_shape(rules).national_number_pattern or "").fullmatch

    def read(text: str) -> tuple[str, bool]:
        found = written(text)
        if found is None or (found[1] and is_a_siblings(found[3])):
            return "", False
        prefix = found[1] or found[2]
        is_own = prefix and begins_with_zero(f"0{found[3]}")
        return ("", False) if is_own else (f"+{code}{found[3]}", bool(prefix))

    return read


def _rules(region: str) -> PhoneMetadata:
    from phonenumbers import PhoneMetadata

    return cast("PhoneMetadata", PhoneMetadata.metadata_for_region(region, None))


def _shape(rules: PhoneMetadata) -> PhoneNumberDesc:
    return cast("PhoneNumberDesc", rules.general_desc)


def _lines(code: int) -> str:
    """Return the pattern of all numbers that are known to exist under a country code."""
    from phonenumbers import PhoneNumberDesc, region_codes_for_country_code

    shapes = [
        shape.national_number_pattern
        for region in region_codes_for_country_code(code)
        for name, shape in sorted(vars(_rules(region)).items())
        if isinstance(shape, PhoneNumberDesc) and name != "general_desc"
    ]
    return "|".join(filter(None, [*shapes, FICTION.get(code)]))
