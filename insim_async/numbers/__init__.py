"""Phone numbers as people write them: E.164, or a reason why not; and what kind of line it is.

Nothing is guessed: what could be read as two numbers is refused. No reason repeats the number that
it is about.
"""

from __future__ import annotations

from enum import StrEnum

from insim_async.errors import ConfigurationError, InvalidMessage
from insim_async.numbers import _fast, _regional
from insim_async.numbers._text import (
    WRONG_TYPE,
    compacted,
    fault_of,
    has_form,
    have_form,
    holds_two,
    international,
    is_overlong,
    parts_of,
)

__all__ = [
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


class Kind(StrEnum):
    """What a number leads to, by the ranges that its country keeps.

    ``EITHER`` where the country gives both the same numbers, as the United States do; ``OTHER``
    for all else: services, telephony over the internet, ranges that are not known.
    """

    MOBILE = "mobile"
    FIXED = "fixed"
    EITHER = "either"
    OTHER = "other"


def to_e164(text: str, *, region: str | None = None) -> str:
    """Return ``text`` as an E.164 number: ``+``, country code and number, digits only.

    Spaces, dots, dashes, brackets and invisible format characters do not matter. Without ``region``
    the number must begin with ``+``, and only its form is checked; a zero that is dialled only
    inside the country (``+33 (0)6``, ``+33 06``) is refused then.

    Args:
        text: One number as people write it.
        region: The country whose national numbers are understood (ISO 3166-1 alpha-2, ``"FR"``).
            With it, every number must have a length that its country uses, and a slash may stand
            between digits. Needs the extra ``phone``.

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

    Quick for E.164 without ``region`` (well under a microsecond) and for the plain national numbers
    of most regions (about two); else libphonenumber takes some 30 microseconds.

    Args:
        text: One number as people write it; anything but a string is refused.
        region: As for ``to_e164``, and known to be good: ``require_region`` is not called again.

    Returns:
        The E.164 number, or the error that says why there is none; it is not raised.

    Raises:
        ImportError: There is a region, and the extra ``phone`` is not installed.
    """
    if not isinstance(text, str):
        return _refused(WRONG_TYPE.format(type(text).__name__))
    if region is None and has_form(text):
        return text
    if region is not None and (number := _fast.plain(text, region)):
        return number
    found, fault = _read(text, region)
    return _refused(fault) if fault else found


def kind(number: str) -> Kind:
    """Say what kind of line a number leads to. Needs the extra ``phone``.

    Args:
        number: In E.164, or as ``to_e164`` understands it without a region.

    Raises:
        InvalidMessage: It is not a number.
        ConfigurationError: The extra ``phone`` is not installed.
    """
    require_phone("kind")
    return Kind(_regional.line_of(to_e164(number)))


def calling_code(region: str) -> str:
    """Return the digits between the ``+`` and the numbers of a region that is known to be good."""
    return _regional.calling_code(region)


def is_service(number: str) -> bool:
    """Say whether a number in E.164 is known to be no person's line: a toll-free one, a pager."""
    return _regional.is_service(number)


def repeated(text: str, region: str | None = None) -> str:
    """Return the number that a text holds more than once and nothing beside it, or ""."""
    checked = [check(part, region) for part in parts_of(text)]
    found = {number if isinstance(number, str) else "" for number in checked}
    return found.pop() if len(found) == 1 else ""


def require_region(region: str) -> None:
    """Make sure that numbers of ``region`` can be understood.

    Args:
        region: ISO 3166-1 alpha-2, in capitals: ``"FR"``.

    Raises:
        ConfigurationError: The region is unknown, or the extra ``phone`` is not installed.
    """
    require_phone("region")
    if not _regional.is_known(region):
        raise ConfigurationError(f'unknown region {region!r}: two capital letters, such as "FR"')


def require_phone(what: str) -> None:
    """Make sure that the extra ``phone`` is installed.

    Args:
        what: Who needs it.

    Raises:
        ConfigurationError: It is not.
    """
    try:
        import phonenumbers  # noqa: F401 - to see whether it is there
    except ImportError as error:
        raise ConfigurationError(
            f'{what} needs an extra: pip install "insim_async[phone]"'
        ) from error


def _read(text: str, region: str | None) -> tuple[str, str]:
    """Return the number and no fault, or no number and its fault."""
    if fault := is_overlong(text):
        return "", fault
    compact = compacted(text)
    if region is not None and "/" in compact and (number := _regional.joined(text, region)):
        return number, ""
    if fault := fault_of(text.strip(), compact, region):
        return "", fault
    if region is None:
        return international(text, compact)
    return _regional.read(text, compact, region)


def _refused(reason: str) -> InvalidMessage:
    return InvalidMessage("phone_number", reason)
