"""The vendor's many spellings read as one: names known in each, wrappers opened, values taken for what they mean.

The same server family writes ``phone_number``, ``phonenumber`` or ``PHONE_NUMBER``, a list, one
object or ``{"data": [...]}``, ``1`` or ``"1"``. A table of ``Words`` says what each field is called
in any of them; what the table does not know is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from itertools import product
from typing import Any, NamedTuple

import msgspec

__all__ = [
    "Found",
    "Words",
    "codes",
    "flag",
    "fold",
    "moment",
    "says_no",
    "spelled_codes",
    "spellings",
    "text",
    "whole",
]

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NOISE = re.compile(r"[\W_]+")
_EMPTY_VALUES: tuple[object, ...] = (None, "", [])
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


def flag(value: object) -> bool:
    """Read yes or no, in any of the ways that the vendor writes it."""
    word = str(_whole_if_it_is(value)).casefold()
    if word in {"1", "true", "success", "ok", "yes"}:
        return True
    if word in {"0", "false", "failed", "failure", "error", "no", "ko"}:
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
        return msgspec.convert(
            written, datetime
        )  # rounds to microseconds where the other one cuts them off
    except msgspec.ValidationError:
        return datetime.fromisoformat(written)


def spellings(name: str) -> set[str]:
    """Return all ways in which the vendor may write the name of a field: each word small, in capitals or with one."""
    words = [(word, word.upper(), word.capitalize()) for word in name.split("_")]
    return {joint.join(written) for written in product(*words) for joint in ("_", "", "-", " ")}


_VERDICTS = set().union(*map(spellings, ["success", "result", "ok", "sent", "envoi", "status"]))
_ERRORS = spellings("error") | spellings("errors")


def says_no(wrapper: Mapping[str, Any]) -> bool:
    """Say whether what an answer is wrapped in says that something went wrong."""
    has_errors = any(codes(wrapper[name]) for name in _ERRORS & wrapper.keys())
    return has_errors or any(_is_no(wrapper[name]) for name in _VERDICTS & wrapper.keys())


def spelled_codes(row: Mapping[str, Any]) -> list[str]:
    """Return the codes of an object that are written in full (``"#001"``), and not as numbers."""
    found: list[str] = []
    for name in _ERRORS & row.keys():
        found += [
            code for code in codes(row[name]) if code.startswith("#") and code in str(row[name])
        ]
    return sorted(found)


def _is_no(value: object) -> bool:
    try:
        return not flag(value)
    except ValueError:
        return False


class Found(NamedTuple):
    """The objects of an answer, and what they were wrapped in.

    Attributes:
        rows: The objects, in order; None for what is no object.
        wrappers: The objects around them, outermost first.
    """

    rows: list[Mapping[str, Any] | None]
    wrappers: list[Mapping[str, Any]]


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

    def find(self, answer: object) -> Found:
        """Find the objects of an answer, however they are wrapped.

        We go inwards while exactly one of the values looks more like an object of this kind than
        what is around it: it has more of the known fields, and it has the field that says how
        things went if that around it has. What merely repeats a request has many fields, but not
        that one.

        Raises:
            ValueError: There is none, or more than one place to look.
        """
        wrappers: list[Mapping[str, Any]] = []
        while isinstance(answer, dict):
            if answer and all(map(str.isdecimal, answer)):  # what PHP makes of a list with gaps
                answer = [*answer.values()]
                break
            inside = [
                value for value in answer.values() if value and isinstance(value, dict | list)
            ]
            own, decides = len(self._fields(answer)), self._decides(answer)
            better = [
                value
                for value in inside
                if len(self._fields(value)) > own and self._decides(value) >= decides
            ]
            if own and not better:
                break
            if len(better or inside) != 1:
                raise ValueError("no object that has the documented fields")
            wrappers.append(answer)
            (answer,) = better or inside
        found = answer if isinstance(answer, list) else [answer]
        return Found([row if isinstance(row, dict) else None for row in found], wrappers)

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
            if not field or (known.get(field, ()) != () and value not in _EMPTY_VALUES):
                extra[name] = value
            elif value not in _EMPTY_VALUES:
                try:
                    known[field] = self._readers[field](value)
                except ValueError:
                    extra[name] = value
        return known, extra

    def _decides(self, value: object) -> bool:
        """Say whether it holds the field that says how it went."""
        return any(self._readers[field] is flag for field in self._fields(value))

    def _fields(self, value: object) -> list[str]:
        """Return the known fields of an object, or of the first of a list."""
        row = value[0] if isinstance(value, list) and value else value
        if not isinstance(row, dict):
            return []
        return [
            self._names[name][0]
            for name in row
            if name in self._names and not isinstance(row[name], dict)
        ]
