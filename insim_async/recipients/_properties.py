"""The lines of vCards 3.0 and 4.0 (RFC 2426, RFC 6350), and of the 2.1 that older phones write.

Of libraries, vobject was considered (released last in 2024, without types, stops at a folded line
of 2.1, and takes half a millisecond a card), and icalendar, which reads lines and knows no cards.
"""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import unquote

__all__ = ["Card", "Property", "cards"]

_NO_END = "the card has no END:VCARD"
_NO_CARD = "the line stands outside of a card"
_NO_PROPERTY = "the card holds a line that is no property"

_parsed = re.compile(
    r"(?:(?P<group>[\w-]+)\.)?(?P<name>[\w-]+)(?P<parameters>(?:;(?:[^\":;]|\"[^\"]*\")*)*):(?P<value>.*)",
    re.DOTALL,
).fullmatch
_parameters = re.compile(r";(?:([\w-]+)=)?((?:[^\";]|\"[^\"]*\")*)").findall
_between_parts = re.compile(r"(?<!\\);").split
_escaped = re.compile(r"\\(.)", re.DOTALL).sub
_LABEL = "X-ABLABEL"


class Property(NamedTuple):
    """One property of a card.

    Attributes:
        name: In capitals.
        types: What its number or address is for, in capitals; what the owner calls it among them.
        parts: Its value, split where it has several parts, unescaped.
        is_preferred: Whether the card prefers it to others of its name.
    """

    name: str
    types: frozenset[str]
    parts: tuple[str, ...]
    is_preferred: bool

    @property
    def text(self) -> str:
        """The value of a property that has one part."""
        return ";".join(self.parts)


class Card(NamedTuple):
    """One card, or what stands where one should, with its fault."""

    line: int
    text: str
    properties: Sequence[Property] = ()
    fault: str = ""


def cards(text: str) -> Iterator[Card]:
    """Yield the cards of a file, and what stands between them, each with its first line."""
    begin, body = 0, list[str]()
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        word = line.strip().removeprefix("\ufeff").upper()
        if word == "BEGIN:VCARD":
            if begin:
                yield Card(begin, "\n".join(body), fault=_NO_END)
            begin, body = number, []
        elif word == "END:VCARD" and begin:
            yield _card(begin, body)
            begin = 0
        elif begin:
            body.append(line)
        elif word:
            yield Card(number, line, fault=_NO_CARD)
    if begin:
        yield Card(begin, "\n".join(body), fault=_NO_END)


def _card(begin: int, body: Sequence[str]) -> Card:
    text = "\n".join(body)
    found = [_parsed(line) for line in _unfolded(body)]
    if None in found:
        return Card(begin, text, fault=_NO_PROPERTY)
    matches = [match for match in found if match]
    labels = {
        match["group"]: re.sub(r"[\W_]", "", match["value"]).upper()
        for match in matches
        if match["name"].upper() == _LABEL
    }
    return Card(
        begin, text, [_property(match, labels.get(match["group"], "")) for match in matches]
    )


def _unfolded(body: Sequence[str]) -> list[str]:
    """Join the lines of each property."""
    lines: list[str] = []
    for line in body:
        head = lines[-1].partition(":")[0].upper() if lines else ""
        if lines and line[:1] in {" ", "\t"}:
            lines[-1] += line[1:]
        elif "QUOTED-PRINTABLE" in head and lines[-1].endswith("="):
            lines[-1] = lines[-1][:-1] + line
        elif "BASE64" in head and ":" not in line:
            continue  # a picture, which 2.1 does not fold
        elif line.strip():
            lines.append(line)
    return lines


def _property(match: re.Match[str], label: str) -> Property:
    named = [(name.upper(), value) for name, value in _parameters(match["parameters"])]
    words = [
        word.strip().upper()
        for name, value in named
        if name in {"TYPE", ""}
        for word in value.replace('"', "").split(",")
    ]
    value, others = match["value"], dict(named)
    if "QUOTED-PRINTABLE" in {others.get("ENCODING", "").upper(), *words}:
        value = _readable(value, others.get("CHARSET", "utf-8"))
    return Property(
        match["name"].upper(),
        frozenset(filter(None, [*words, label])),
        tuple(_unescaped(part) for part in _between_parts(value)),
        "PREF" in words or "PREF" in others,
    )


def _readable(value: str, charset: str) -> str:
    content = quopri.decodestring(value.encode())
    try:
        return content.decode(charset, "replace")
    except LookupError:
        return content.decode(errors="replace")


def _unescaped(text: str) -> str:
    plain = _escaped(lambda match: "\n" if match[1] in "nN" else match[1], text).strip()
    return unquote(plain[4:]) if plain[:4].lower() == "tel:" else plain
