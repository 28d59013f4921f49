"""The vendor's many spellings, read as one: names in each of them, values for what they mean.

The same server family writes ``phone_number``, ``phonenumber`` or ``PHONE_NUMBER``, a list, one
object or ``{"data": [...]}``, ``1`` or ``"1"``. A table of ``Words`` says what each field is called
in any of them; what the table does not know is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from itertools import product
from typing import Any

import msgspec

__all__ = ["EMPTY", "Words", "codes", "flag", "fold", "moment", "spellings", "text", "whole"]

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NOISE = re.compile(r"[\W_]+")
EMPTY: tuple[object, ...] = (None, "", [])
"""What says nothing, whatever the field."""
_NO_ERROR = {"", "0", "false", "none", "null", "[]", "{}", "ok", "success", "no error", "no errors"}


def fold(word: str) -> str:
    """Return ``word`` without case, underscores, spaces and the like."""
    return _NOISE.sub("", word.casefold())


def text(value: object) -> str:
    """Read a text, or a number that stands where a text is documented."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("not a text")  # noqa: TRY004 - the value is wrong, not the call
    return str(_whole_if_it_is(value))


def _whole_if_it_is(value: object) -> object:
    """Return a whole number that was written with a point as one without."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def whole(value: object) -> int:
    """Read a whole number, or a text of one."""
    return int(text(value))


_YES = {"1", "true", "success", "ok", "yes", "oui"}
_NO = {"0", "false", "failed", "failure", "error", "no", "ko", "non"}


def flag(value: object) -> bool:
    """Read yes or no, in any of the ways that the vendor writes it."""
    word = str(_whole_if_it_is(value)).strip().casefold()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ValueError("neither yes nor no")


def codes(value: object) -> tuple[str, ...]:
    """Read error codes, in whatever they are wrapped; what says that there is no error is none.

    It never fails: whatever stands where an error belongs is one, unless it is known to mean that
    there is none.
    """
    found: list[str] = []
    left = [value]
    while left:
        match left.pop():
            case list() as inner:
                left += reversed(inner)
            case dict() as inner:
                left += reversed(inner.values())
            case word:
                found += _code(str(_whole_if_it_is(word)).strip())
    return tuple(found)


def _code(word: str) -> list[str]:
    if word.casefold() in _NO_ERROR:
        return []
    digits = word.removeprefix("#")
    if not (digits.isascii() and digits.isdigit()):
        return [word]
    return [f"#{digits:0>3}"] if digits.strip("0") else []


def moment(value: object) -> datetime:
    """Read a date: aware if it names its zone, naive if not, midnight if it has no time."""
    written = text(value).strip()
    if not _DATE.match(written):  # Python takes a bare number for a date as well
        raise ValueError("not a date")
    try:
        # It rounds to microseconds where the other one cuts them off.
        return msgspec.convert(written, datetime)
    except msgspec.ValidationError:
        return datetime.fromisoformat(written)


def spellings(name: str) -> set[str]:
    """Return all ways in which the vendor may write the name of a field.

    Each word may be in small letters, in capitals, or begin with one.
    """
    words = [(word, word.upper(), word.capitalize()) for word in name.split("_")]
    return {joint.join(written) for written in product(*words) for joint in ("_", "", "-", " ")}


class Words:
    """What the fields of one kind of object are called on the wire.

    Args:
        fields: For each field how to read its value, and all its names, the best one first; each in
            any spelling.
    """

    def __init__(self, **fields: tuple[Callable[[object], Any], str]) -> None:
        self._names: dict[str, tuple[str, str, int]] = {}
        self._readers = {field: reader for field, (reader, _) in fields.items()}
        for field, (_, names) in fields.items():
            for rank, name in enumerate(names.split()):
                for spelling in spellings(name):
                    self._names.setdefault(spelling, (field, name, rank))

    def read(
        self, row: Mapping[str, Any], documented: Collection[str] = ()
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Split an object into the fields that are known, by our names, and the others, by theirs.

        Of several names for one field the best one holds, unless it is empty. A value that cannot
        be read, or for which there is no place left, counts among the others. The order in which
        the fields came decides nothing.

        Args:
            row: The object.
            documented: Names that are better than any other, in whatever spelling.
        """
        known: dict[str, Any] = {}
        extra: dict[str, Any] = {}

        def rank(name: str) -> tuple[int, bool, str]:
            _, documents, place = self._names.get(name, ("", "", 0))
            return -1 if documents in documented else place, name != documents, name

        for name in sorted(row, key=rank):
            field, _, _ = self._names.get(name, ("", "", 0))
            value = row[name]
            if not field or (known.get(field, ()) != () and value not in EMPTY):
                extra[name] = value
            elif value not in EMPTY:
                try:
                    known[field] = self._readers[field](value)
                except ValueError:
                    extra[name] = value
        return known, extra

    def fields_of(self, value: object) -> list[str]:
        """Return the known fields of an object, or of the first of a list."""
        row = value[0] if isinstance(value, list) and value else value
        if not isinstance(row, dict):
            return []
        return [
            self._names[name][0]
            for name in row
            if name in self._names and not isinstance(row[name], dict)
        ]

    def has_flag(self, fields: list[str]) -> bool:
        """Say whether one of the fields says yes or no."""
        return any(self._readers[field] is flag for field in fields)

    def is_left_over(self, field: str, extra: Mapping[str, Any]) -> bool:
        """Say whether a field was there and could not be read; ``extra`` is what was left over."""
        return any(self._names.get(name, ("",))[0] == field for name in extra)
