"""Where in an answer the rows are, and what is said around them.

Theory of operation. The vendor documents a list, or ``{"data": {"contact": [...]}}``; its older
pages have ``{"data": [...]}``, ``{"data": {"data": [...], "envoi": 0}}`` and single objects. So we
go inwards while exactly one of the values looks more like a row than what is around it: it has more
of the known fields, and it has the field that says how things went if that around it has. What
merely repeats a request has many fields, but not that one. Whatever we passed on the way in is a
wrapper, and a wrapper that says no is believed before its rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from insim_async._privacy import is_code
from insim_async._tolerant import EMPTY, Words, codes, flag, spellings

__all__ = ["ERRORS", "OUTCOMES", "Found", "find", "says_failed", "says_no", "says_sent"]
__all__ += ["spelled_codes"]

Row = Mapping[str, Any]


def _all_spellings(*names: str) -> frozenset[str]:
    return frozenset(spelling for name in names for spelling in spellings(name))


ERRORS = _all_spellings("error", "errors")
"""Fields that hold the codes or words of errors."""
OUTCOMES = frozenset({"result", "success"})
"""Fields by which a row may say that it failed, besides those of its kind; so spelled only."""
_VERDICTS = _all_spellings("envoi", "is_success", "ok", "result", "sent", "status", "success")
_STATUSES = _all_spellings("code", "status", "status_code")
_ENVOI = _all_spellings("envoi")
_DATA = _all_spellings("data")
_FAILED = 400
"""The HTTP status from which on one says no."""


class Found(NamedTuple):
    """The rows of an answer, and what is around them.

    Attributes:
        rows: The objects, in order; None for what is no object.
        wrappers: The objects around them, outermost first.
        ordered: Whether their order means anything; that of a JSON object's fields does not.
        plain: Whether all around them is ``data``, and fields that say yes or nothing.
    """

    rows: Sequence[Row | None]
    wrappers: Sequence[Row]
    ordered: bool
    plain: bool


def find(answer: object, words: Words, *, own: str = "") -> Found:
    """Find the rows of an answer, however they are wrapped.

    Args:
        answer: Decoded JSON.
        words: What the fields of a row are called.
        own: A field that only a row has, and never what is around it.

    Raises:
        ValueError: There is none, or more than one place to look.
    """
    wrappers: list[Row] = []
    plain = ordered = True
    while isinstance(answer, dict):
        if answer and all(map(str.isdecimal, answer)):
            answer, ordered = _list_of(answer)
            break
        inside = _inside(answer, words, own)
        if inside is None:
            break
        wrappers.append(answer)
        plain = plain and _is_plain(answer, inside)
        answer = inside
    rows = answer if isinstance(answer, list) else [answer]
    objects = [row if isinstance(row, dict) else None for row in rows]
    return Found(objects, wrappers, ordered, plain)


def _inside(answer: Row, words: Words, own: str) -> object | None:
    """Return the value to look into; None if this is a row itself."""
    fields = words.fields_of(answer)
    if own in fields:
        return None
    inside = [value for value in answer.values() if value and isinstance(value, dict | list)]
    better = [value for value in inside if _is_better(words.fields_of(value), fields, words)]
    if fields and not better:
        return None
    if len(better or inside) != 1:
        raise ValueError("no object that has the documented fields")
    (found,) = better or inside
    return found


def _is_better(fields: list[str], around: list[str], words: Words) -> bool:
    return len(fields) > len(around) and words.has_flag(fields) >= words.has_flag(around)


def _list_of(answer: Row) -> tuple[list[Any], bool]:
    """Return what PHP makes an object of, a list with gaps; in order only where there is none."""
    places = [str(place) for place in range(len(answer))]
    if answer.keys() == set(places):
        return [answer[place] for place in places], True
    return list(answer.values()), False


def says_no(around: Row) -> bool:
    """Say whether what is around the rows says that something went wrong."""
    if any(codes(around[name]) for name in ERRORS & around.keys()):
        return True
    return any(_is_no(around[name]) for name in (_VERDICTS | _STATUSES) & around.keys())


def says_sent(around: Row) -> bool:
    """Say whether what is around the rows says that something was sent."""
    return any(_is_yes(around[name]) for name in _ENVOI & around.keys())


def says_failed(row: Row) -> bool:
    """Say whether a row has a field, besides those of its kind, that says that it failed.

    Null says nothing there.
    """
    said = [row[name] for name in OUTCOMES & row.keys()]
    return any(_is_no(value) for value in said if value is not None)


def spelled_codes(row: Row) -> list[str]:
    """Return the codes of an object that are written in full (``"#001"``), and not as numbers.

    A mere number may be anything: ``{"error": 500}`` is a server that has failed, and says nothing
    of what it had done before.
    """
    found = [(code, str(row[name])) for name in ERRORS & row.keys() for code in codes(row[name])]
    return sorted(code for code, written in found if is_code(code) and code in written)


def _is_no(value: object) -> bool:
    """Say whether a value says no: in words, as nothing where a yes belongs, or as a status."""
    if isinstance(value, dict | list):
        return False
    if isinstance(value, int | float) and value >= _FAILED:
        return True
    try:
        return not flag(value)
    except ValueError:
        return value in EMPTY


def _is_plain(wrapper: Row, inside: object) -> bool:
    return all(
        name in _DATA if value is inside else value in EMPTY or _is_yes(value)
        for name, value in wrapper.items()
    )


def _is_yes(value: object) -> bool:
    """Say whether a value says yes: in words, or as a count that is not 0."""
    try:
        return flag(value)
    except ValueError:
        return isinstance(value, int) and 0 < value < _FAILED
