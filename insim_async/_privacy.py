"""Keep people's data and keys out of reprs, errors and logs.

A ``Private`` struct shows only how long a text is; ``excerpt`` is what a server said, without what
it was told.
"""

from __future__ import annotations

import codecs
import enum
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec import Struct

__all__ = ["Private", "Unshown", "excerpt", "is_code", "plain", "repr_of"]

T = TypeVar("T")

READ, SHOWN, MASK = 4096, 200, "[…]"
_WORD = re.compile(r"[^\W_]+")
_leading_word = re.compile(r"\w*").match
_ESCAPE = re.compile(r"\\+(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|[^\w\s])")
_DIGITS = re.compile(r"\+?\d(?:[\s.()-]*\d){6,}")

is_code: Callable[[str], re.Match[str] | None] = re.compile(r"#[0-9]{3}").fullmatch


class Private(Struct, frozen=True):
    """A struct whose ``repr`` shows the fields named in ``_shown``, and only the length of others.

    Of ``errors`` it shows the vendor's codes, and of other words only how long they are. A field
    may hold anything; of one that cannot be looked at it shows the type.
    """

    _shown: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__.lstrip('_')}"
            f"({', '.join(f'{k}={repr_of(v)}' for k, v in self.__rich_repr__())})"
        )

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        public = [
            (name, getattr(self, name))
            for name in self.__struct_fields__
            if not name.startswith("_")
        ]
        return [
            (name, value if name in self._shown else _guarded(partial(_safe, name), value))
            for name, value in public
        ]


class _Masked(str):
    __slots__ = ()
    __repr__ = str.__str__


class Unshown(Private, frozen=True):
    """A struct whose ``repr`` shows nothing of what it holds.

    It is for what is never in users' hands, but may be in a traceback with locals.
    """

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


def _safe(name: str, value: Any) -> object:
    """Return what may be shown of a field that is not in ``_shown``: how much it holds.

    What holds nothing, a bool, a member of an enum and another ``Private`` are shown as they are.
    """
    if isinstance(value, Private | bool | enum.Enum) or _is_empty(value):
        return value
    if name == "errors":
        return tuple(error if is_code(error) else _masked(error) for error in value)
    return _masked(value)


def _is_empty(value: object) -> bool:
    """Say whether a value holds nothing, and ask only types that can tell.

    There are values that refuse to be true or false, such as ``pandas.NA``.
    """
    return value is None or (
        isinstance(value, str | int | float | tuple | list | Mapping) and not value
    )


def _masked(value: object) -> _Masked:
    """Return how long a text or a collection is, and of all else the type."""
    if isinstance(value, str | bytes | tuple | list | dict):
        return _Masked(f"<{len(value)}>")
    return _masked_type(value)


def _masked_type(value: object) -> _Masked:
    return _Masked(f"<{type(value).__name__}>")


def repr_of(value: object) -> str:
    """Return the ``repr`` of a value that may be anything, or its type where that raises."""
    return str(_guarded(repr, value))


def _guarded(look: Callable[[Any], T], value: object) -> T | _Masked:
    """Return what ``look`` makes of a value, or the value's type where that raises."""
    try:
        return look(value)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - it is the caller's, and may raise anything
        return _masked_type(value)


def plain(text: str) -> str:
    """Return a text in which nothing moves the cursor of a terminal."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def excerpt(text: bytes, request: bytes) -> str:
    """Return the beginning of what a server or library said, without any word of the request.

    Escapes are undone first, since a text may be repeated in JSON, in HTML, in a URL, or in one
    inside the other.
    """
    import unicodedata  # slow to import, and seldom needed

    shown = unicodedata.normalize("NFC", _plain(_decoded(text[:READ])))
    if len(text) > READ:
        cut_off = _leading_word(shown[::-1])
        shown = shown[: len(shown) - (cut_off.end() if cut_off else 0)]
    told = (unicodedata.normalize("NFC", value) for value in _strings(msgspec.json.decode(request)))
    words = {word for value in told for word in _WORD.findall(value)}
    shown = _without(shown, words)
    shown = _DIGITS.sub(MASK, shown)
    return " ".join("".join(char if char.isprintable() else " " for char in shown).split())[:SHOWN]


def _decoded(text: bytes) -> str:
    """Decode UTF-8, even if its last character is cut off, or else Windows-1252."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(text)
    except UnicodeDecodeError:
        return text.decode("cp1252", "replace")


def _without(text: str, words: set[str]) -> str:
    """Mask the words in whatever case, and the longer ones inside of words too."""
    folded = {word.casefold() for word in words}
    text = _WORD.sub(lambda word: MASK if word[0].casefold() in folded else word[0], text)
    plain = text.casefold()
    parts = [re.escape(word) for word in words if len(word) > 3 and word.casefold() in plain]
    return re.sub("|".join(parts), MASK, text, flags=re.IGNORECASE) if parts else text


def _plain(text: str) -> str:
    from html import unescape  # slow to import, and seldom needed
    from urllib.parse import unquote

    for _ in range(2):
        text = _ESCAPE.sub(_meant, unescape(unquote(text)))
    return text


def _meant(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    return chr(int(code, 16)) if code else escape[0][-1]


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
