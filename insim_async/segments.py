"""How many SMS a text needs, which of its characters cost it, and how to write it without them.

The rules are those of 3GPP TS 23.038 (alphabets) and TS 23.040 (long messages). A long message
gives up some room in each part to the header that joins the parts again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from msgspec import Struct

__all__ = ["Plain", "Segments", "count", "plain"]

MAX_PARTS = 255
"""How many parts one SMS can have: the concatenation header counts them in one octet (3GPP TS
23.040, 9.2.3.24.1)."""

FIT_ANY_PART = 33
"""So many characters fit into each part of a long text, whatever they are: 67 UTF-16 units are 33
surrogate pairs."""

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = "\f^{}\\[~]|€"
_ESCAPE = "\x1b"
_ESCAPED = str.maketrans({character: _ESCAPE + character for character in _EXTENDED})
_EXTENSION = frozenset(_EXTENDED)
_ALPHABET = frozenset(_BASIC + _EXTENDED)

_REPLACED = "…=... ‥=.. ⁄=/ œ=oe Œ=OE ﬀ=ff ﬁ=fi ﬂ=fl ﬃ=ffi ﬄ=ffl ĳ=ij Ĳ=IJ"
_TYPOGRAPHY = {
    **dict.fromkeys("‘’‚‛′´`ʼ‹›", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−⁃•", "-"),
    **{pair[0]: pair[2:] for pair in _REPLACED.split()},
    "\t": " ",
    "\N{LINE SEPARATOR}": "\n",
    "\N{PARAGRAPH SEPARATOR}": "\n",
}
"""What typography has for plain signs; none of it changes a word."""

_INVISIBLE = frozenset("\xad\u200b\u200e\u200f\u2060\ufeff")
"""Characters that only say where a line may break, or which way it runs."""

_HIGH_SURROGATES = frozenset("\xd8\xd9\xda\xdb")
"""The first bytes of the units that open a surrogate pair in UTF-16."""


class Segments(Struct, frozen=True, kw_only=True):
    """What a text costs.

    Attributes:
        encoding: ``"GSM-7"``, or ``"UCS-2"`` where one character or more is not in the GSM
            alphabet.
        units: Septets (GSM-7) or 16-bit units (UCS-2), escapes and surrogates included.
        parts: SMS that the text takes; 0 for an empty one, which is never sent.
        non_gsm: The different characters that force UCS-2, as they appear; each may be cheap to
            replace.
    """

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    parts: int
    non_gsm: tuple[str, ...]


class Plain(NamedTuple):
    """A text in the GSM-7 alphabet, if that can be had, and what was changed for it.

    Attributes:
        text: The text; as it was given where other characters need UCS-2 all the same.
        changed: What stood there and what stands there now, as it appears in the text; empty if
            nothing was changed.
    """

    text: str
    changed: Mapping[str, str]


def count(text: str) -> Segments:
    r"""Count the SMS parts of ``text``.

    One SMS holds 160 septets or 70 UTF-16 units; a part of a longer text holds 153 or 67. ``^ { } \
    [ ~ ] | €`` and the form feed take two septets, a character beyond U+FFFF two units, and such a
    pair never splits over two parts. The escape character (U+001B) is no text in GSM-7 and forces
    UCS-2.

    The text is counted as it is written: a tracking placeholder becomes a link of another length
    later, and the gateway may add a footer.

    Args:
        text: The message.

    Raises:
        ValueError: ``text`` holds half a surrogate pair, which no SMS can carry.
    """
    if _ALPHABET.issuperset(text):
        septets = text if _EXTENSION.isdisjoint(text) else text.translate(_ESCAPED)
        parts = _parts(septets, single=160, joined=153, opening=frozenset(_ESCAPE))
        return Segments(encoding="GSM-7", units=len(septets), parts=parts, non_gsm=())
    non_gsm = tuple(dict.fromkeys(character for character in text if character not in _ALPHABET))
    high_bytes = _high_bytes(text)
    parts = _parts(high_bytes, single=70, joined=67, opening=_HIGH_SURROGATES)
    return Segments(encoding="UCS-2", units=len(high_bytes), parts=parts, non_gsm=non_gsm)


def plain(text: str) -> Plain:
    """Write a text in the GSM-7 alphabet, where only typography keeps it out.

    Curly quotes, dashes, ellipses, spaces of other widths, ligatures and invisible characters are
    replaced, and accents that follow their letter are joined to it. Where anything else stands in
    the way (an emoji, ``ê``), nothing is changed, since nothing would be gained. Nobody calls it
    but you: a text is sent as it was written.

    Args:
        text: The message.

    Raises:
        ValueError: ``text`` holds half a surrogate pair, which no SMS can carry.
    """
    if not count(text).non_gsm:
        return Plain(text, {})
    written = {cluster: _plain(cluster) for cluster in _clusters(text)}
    if not _ALPHABET.issuperset("".join(written.values())):
        return Plain(text, {})
    changed = {cluster: plain for cluster, plain in written.items() if cluster != plain}
    return Plain("".join(written[cluster] for cluster in _clusters(text)), changed)


def _parts(units: str, *, single: int, joined: int, opening: frozenset[str]) -> int:
    """Fill part after part; a part whose last unit would open a pair leaves it to the next."""
    if len(units) <= single:
        return 1 if units else 0
    parts = end = 0
    while end < len(units):
        end += joined
        end -= units[end - 1 : end] in opening
        parts += 1
    return parts


def _high_bytes(text: str) -> str:
    """Return the high byte of each UTF-16 unit as a character: enough to find the pairs."""
    try:
        return text.encode("utf-16-be")[::2].decode("latin-1")
    except UnicodeEncodeError as error:
        position = error.start + 1
    # Raised out here because the codec's own error holds the text.
    raise ValueError(f"character {position} of the text is half a surrogate pair")


def _clusters(text: str) -> list[str]:
    """Split a text into characters, each with the accents that follow it."""
    from unicodedata import combining  # slow to import, and seldom needed

    clusters: list[str] = []
    for character in text:
        if clusters and combining(character):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


def _plain(cluster: str) -> str:
    """Return what stands for a character in the GSM-7 alphabet, or what is no better than it."""
    from unicodedata import category, normalize

    if cluster in _INVISIBLE:
        return ""
    if category(cluster[0]) == "Zs":
        return " " + cluster[1:]
    return _TYPOGRAPHY.get(cluster, normalize("NFC", cluster))
