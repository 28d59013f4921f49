"""The vendor's many spellings read as one: keys folded, wrappers opened, values taken for what they mean.

The same server family writes ``phone_number``, ``phonenumber`` or ``PHONE_NUMBER``, a list, one object or
``{"data": [...]}``, ``1`` or ``"1"``. A table of ``Words`` says what each field is called in any of them; what the
table does not know is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec

__all__ = ["Words", "codes", "flag", "moment", "text", "whole"]

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NOISE = re.compile(r"[\W_]+")
_EMPTY: tuple[object, ...] = (None, "", [])
_NO_ERROR = {"", "0", "false", "none", "null", "[]", "{}", "ok", "success", "no error", "no errors"}


def fold(word: str) -> str:
    """Return ``word`` without case, underscores, spaces and the like."""
    return _NOISE.sub("", word.casefold())


def text(value: object) -> str:
    """Read a text, or a number that stands where a text is documented."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("not a text")  # noqa: TRY004 - the value is wrong, not the call
    return str(value)


def whole(value: object) -> int:
    """Read a whole number, or a text of one."""
    return int(text(value))


def flag(value: object) -> bool:
    """Read yes or no, in any of the ways that the vendor writes it."""
    word = str(value).casefold()
    if word in {"1", "true", "success", "ok"}:
        return True
    if word in {"0", "false", "failed", "error"}:
        return False
    raise ValueError("neither yes nor no")


def codes(value: object) -> tuple[str, ...]:
    """Read error codes, in whatever they are wrapped; what says that there is no error is none.

    It never fails: whatever stands where an error belongs is one, unless it is known to mean that there is none.
    """
    found: list[str] = []
    left = [value]
    while left:
        match left.pop():
            case list() as inner:
                left += reversed(inner)
            case dict() as inner:
                left += reversed(inner.values())
            case float() as number if number.is_integer():
                left.append(int(number))
            case word:
                found += _code(str(word).strip())
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
        return msgspec.convert(written, datetime)  # rounds to microseconds where the other one cuts them off
    except msgspec.ValidationError:
        return datetime.fromisoformat(written)


class Words:
    """What the fields of one kind of object are called on the wire.

    Args:
        fields: For each field how to read its value, and all its names in any spelling, the best one first.
    """

    def __init__(self, **fields: tuple[Callable[[object], Any], str]) -> None:
        self._names = {fold(name): field for field, (_, names) in fields.items() for name in names.split()}
        self._ranks = {fold(name): rank for _, names in fields.values() for rank, name in enumerate(names.split())}
        self._exact = {name for _, names in fields.values() for name in names.split()}
        self._readers = {field: reader for field, (reader, _) in fields.items()}

    def objects(self, answer: object) -> list[Mapping[str, Any] | None]:
        """Return the objects of an answer, however they are wrapped; None for what is no object.

        Raises:
            ValueError: There is none, or more than one place to look.
        """
        while isinstance(answer, dict):
            if answer and all(map(str.isdecimal, answer)):  # what PHP makes of a list with gaps
                answer = [*answer.values()]
                break
            inside = [value for value in answer.values() if value and isinstance(value, dict | list)]
            own, decides = self._known(answer), self._decides(answer)
            better = [value for value in inside if self._known(value) > own and self._decides(value) >= decides]
            if own and not better:
                break
            if len(better or inside) != 1:
                raise ValueError("no object that has the documented fields")
            if self._says_no(answer):
                raise ValueError("the answer as a whole says that something went wrong, and its parts say more")
            (answer,) = better or inside
        found = answer if isinstance(answer, list) else [answer]
        return [row if isinstance(row, dict) else None for row in found]

    def read(self, row: Mapping[str, Any], documented: Collection[str] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
        """Split an object into the fields that are known, by our names, and the others, by theirs.

        Of several names for one field the best one holds, unless it is empty. A value that cannot be read, or for which
        there is no place left, counts among the others.

        Args:
            row: The object.
            documented: Names, folded, that are better than any other.
        """
        known: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        folds = {name: fold(name) for name in row}

        def rank(name: str) -> tuple[int, bool, str]:
            """The order in which the fields came decides nothing: some things are told apart by what is read."""
            best = -1 if folds[name] in documented else self._ranks.get(folds[name], 0)
            return best, name not in self._exact, name

        for name in sorted(row, key=rank):
            folded = folds[name]
            field, value = self._names.get(folded), row[name]
            if field is None or (known.get(field, ()) != () and value not in _EMPTY):
                extra[name] = value
            elif value not in _EMPTY:
                try:
                    known[field] = self._readers[field](value)
                except ValueError:
                    extra[name] = value
        return known, extra

    def _known(self, value: object) -> int:
        """Count the fields of an object, or of the first of a list, that are known."""
        return len(self._fields(value))

    def _decides(self, value: object) -> bool:
        """Say whether it holds the field that says how it went; what repeats a request has many, but not that one."""
        return any(self._readers[field] is flag for field in self._fields(value))

    def _fields(self, value: object) -> list[str]:
        row = value[0] if isinstance(value, list) and value else value
        if not isinstance(row, dict):
            return []
        folds = [fold(name) for name in row if not isinstance(row[name], dict)]
        return [self._names[folded] for folded in folds if folded in self._names]

    def _says_no(self, row: Mapping[str, Any]) -> bool:
        known, _ = self.read(row)
        readers = {field: self._readers[field] for field in known}
        return any(
            (readers[field] is flag and not known[field]) or (readers[field] is codes and known[field])
            for field in known
        )
