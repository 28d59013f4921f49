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

from insim_async.numbers._regional import SIBLINGS

if TYPE_CHECKING:
    from phonenumbers import PhoneMetadata, PhoneNumberDesc

__all__ = ["plain"]

_LONGEST = 100
_SEPARATORS = str.maketrans(dict.fromkeys(" .-\xa0"))
_has_fraction = re.compile(r"[0-9]{5}\.|[./-](?:19|20)[0-9]{2}\b|\b(?:19|20)[0-9]{2}[./-]").search
"""What may be a decimal point or a date."""


def plain(text: str, region: str) -> str:
    """Return the number in E.164, or "" where libphonenumber has to look."""
    import phonenumbers  # noqa: F401 - without the extra this fails, whatever is known by now

    if len(text) > _LONGEST or _has_fraction(text):
        return ""
    return _reader(region)(text.translate(_SEPARATORS))


@cache
def _reader(region: str) -> Callable[[str], str]:
    """Return what reads the plain numbers of a region.

    Only where the trunk prefix is 0 and that of calls abroad 00, and where the region is the first
    of those that share its code, whose lengths hold for all of them.
    """
    import phonenumbers as library

    rules, code = _rules(region), library.country_code_for_region(region)
    prefixes = (rules.national_prefix_for_parsing, rules.international_prefix)
    is_plain = prefixes == ("0", "00") and not rules.national_prefix_transform_rule
    if not is_plain or library.region_code_for_country_code(code) != region:
        return lambda _: ""
    lengths = [n for n in _shape(rules).possible_length if 7 <= n + len(str(code)) <= 15]
    ways = "|".join(f"[0-9]{{{length - 1}}}" for length in lengths)
    written = re.compile(rf"(\+{code}|0)([1-9](?:{ways}))").fullmatch
    # Numbers of the region that begin with a zero themselves, and those that are a sibling's.
    own = _shape(rules).national_number_pattern
    siblings = "|".join(_lines(other) for other in sorted(SIBLINGS.get(region, set()) - {code}))
    excepted = re.compile(rf"{own}|0(?:{siblings or '(?!)'})").fullmatch

    def number(text: str) -> str:
        found = written(text)
        if found is None or (found[1] == "0" and excepted(text)):
            return ""
        return f"+{code}{found[2]}"

    return number


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
    return "|".join(filter(None, shapes))
