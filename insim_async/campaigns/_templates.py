"""A text with places for what is known of each person: ``Bonjour {first_name|cher client}``.

A place names a field and says nothing else: no attributes, no formats, nothing that is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from insim_async.errors import InvalidMessage

__all__ = ["Template"]

_piece = re.compile(r"((?:[^{}]|\{\{|\}\})+)|\{([^{}|]*)(?:\|([^{}]*))?\}").match
_brace = re.compile(r"[{}]").search


class _Place(NamedTuple):
    """Where a field stands, and what is said where it is empty; None refuses the message."""

    name: str
    default: str | None


class Template:
    """A text that is filled in for each person.

    ``{field}`` stands for a field of the contact or a column of the list, ``{field|text}`` for that
    text where the field is empty (it may be left empty too, and holds no braces). ``{{`` and ``}}``
    are braces. Spaces at the ends of a name or of such a text do not count.

    A name is the field that is called exactly so, or else the only one that differs from it in
    nothing but capitals, spaces at its ends and how accents are stored.

    Args:
        fields: The names that stand in it, each once, in their order.
    """

    def __init__(self, pieces: Iterable[str | _Place], part: str) -> None:
        self._pieces = tuple(pieces)
        self._part = part
        places = [piece for piece in self._pieces if not isinstance(piece, str)]
        self.fields = tuple(dict.fromkeys(place.name for place in places))
        self._known: tuple[str, ...] = ()
        self._keys: dict[str, str] = {}

    @classmethod
    def parse(cls, text: str, *, part: str = "message") -> Template:
        """Read a text.

        Args:
            text: With its braces.
            part: Which part of a message it is. In a ``"url"`` all values are percent-encoded, but
                for one that the text begins with.

        Raises:
            InvalidMessage: A brace that does not belong there, or a place that names no field.
        """
        return cls(_pieces(text, part), part)

    def check(self, known: Collection[str]) -> None:
        """Make sure that each name is one of the fields of a list.

        Raises:
            InvalidMessage: One is not, or could be two of them.
        """
        for name in self.fields:
            self._key(name, known)

    def fill(self, fields: Mapping[str, object]) -> str:
        """Return the text for one person. What the fields hold is written as it is, braces too.

        Args:
            fields: Texts and whole numbers by name; None is empty, and so are blanks.

        Raises:
            InvalidMessage: There is no such field, it is empty and nothing is to be said instead,
                or it holds something else than text.
        """
        known = tuple(fields)
        if known != self._known:
            self._keys = {name: self._key(name, known) for name in self.fields}
            self._known = known
        return "".join(
            [
                piece if isinstance(piece, str) else self._value(place, piece, fields)
                for place, piece in enumerate(self._pieces)
            ]
        )

    def _value(self, place: int, wanted: _Place, fields: Mapping[str, object]) -> str:
        value = fields[self._keys[wanted.name]]
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if value is not None and not isinstance(value, str):
            raise self._invalid(
                f"{{{wanted.name}}} holds a {type(value).__name__}: make it text, as it shall stand"
            )
        if value is None or not value.strip():
            if wanted.default is None:
                raise self._invalid(
                    f"{{{wanted.name}}} is empty: fill it in, or say what shall stand instead, "
                    f"as in {{{wanted.name}|…}}"
                )
            value = wanted.default
        return _encoded(value) if self._part == "url" and place else value

    def _key(self, name: str, known: Collection[str]) -> str:
        """Return what a field is called."""
        if name in known:
            return name
        alike = [key for key in known if _folded(key) == _folded(name)]
        if len(alike) > 1:
            raise self._invalid(f"{{{name}}} may be {_listed(alike)}: write it as the one it is")
        if not alike:
            raise self._invalid(f"there is no {name!r} among {_listed(known)}")
        return alike[0]

    def _invalid(self, reason: str) -> InvalidMessage:
        return InvalidMessage(self._part, reason)


def _pieces(text: str, part: str) -> Iterator[str | _Place]:
    """Take a text apart."""
    at = 0
    while at < len(text):
        found = _piece(text, at)
        if found is None:
            raise InvalidMessage(part, f"{_fault(text, at)} (a brace is written {{{{ or }}}})")
        plain, name, default = found.groups()
        if plain is None and not name.strip():
            raise InvalidMessage(part, f"the braces at position {at + 1} name no field")
        if plain is None:
            yield _Place(name.strip(), None if default is None else default.strip())
        else:
            yield _unescaped(plain)
        at = found.end()


def _fault(text: str, at: int) -> str:
    """Return what is wrong with the brace at a place."""
    if text[at] == "}":
        return f"the }} at position {at + 1} closes nothing"
    inner = _brace(text, at + 1)
    if inner is None:
        return f"the {{ at position {at + 1} is never closed"
    return f"another {{ stands at position {inner.start() + 1} before the {{ at {at + 1} is closed"


def _unescaped(text: str) -> str:
    return text.replace("{{", "{").replace("}}", "}")


def _encoded(value: str) -> str:
    from urllib.parse import quote  # slow to import, and seldom needed

    return quote(value, safe="")


def _folded(name: object) -> str:
    from unicodedata import normalize  # slow to import, and seldom needed

    return normalize("NFC", str(name).strip().casefold())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
