"""What a server said, without what it was told: no error repeats a key, a number or a text."""

from __future__ import annotations

import codecs
import re
import urllib.parse
from collections.abc import Iterator

import msgspec

__all__ = ["excerpt"]

READ, SHOWN, MASK = 4096, 200, "[…]"
_WORD = re.compile(r"[^\W_]+")
_word = re.compile(r"\w*").match
_ESCAPE = re.compile(r"\\+(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|[^\w\s])")
_DIGITS = re.compile(r"\+?\d(?:[\s.()-]*\d){6,}")


def excerpt(text: bytes, request: bytes) -> str:
    """Return the beginning of what a server (or library) said, without any word that the request held.

    Escapes are undone first, since a text may be repeated in JSON, in HTML, in a URL, or in one inside the other.
    """
    import unicodedata  # slow to import, and seldom needed

    shown = unicodedata.normalize("NFC", _plain(_decoded(text[:READ])))
    if len(text) > READ:
        cut_off = _word(shown[::-1])
        shown = shown[: len(shown) - (cut_off.end() if cut_off else 0)]
    told = (unicodedata.normalize("NFC", value) for value in _strings(msgspec.json.decode(request)))
    words = {word for value in told for word in _WORD.findall(value)}
    shown = _without(shown, words)
    shown = _DIGITS.sub(MASK, shown)
    return " ".join("".join(char if char.isprintable() else " " for char in shown).split())[:SHOWN]


def _decoded(text: bytes) -> str:
    """Read UTF-8, of which a character may be cut off at the end, or else what Windows has in its place."""
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
    import html  # slow to import, and seldom needed

    for _ in range(2):
        text = _ESCAPE.sub(_meant, html.unescape(urllib.parse.unquote(text)))
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
