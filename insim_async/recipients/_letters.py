"""Letters that make no word: what a wrong encoding leaves of accents, and what they were."""

from __future__ import annotations

import re

__all__ = ["find_odd", "gives_words", "is_broken", "meanings"]

_UPPER, _LOWER = "À-ÖØ-ÞŒŠŽŸ", "a-zß-öø-ÿœšž"
_LETTER = f"A-Z{_UPPER}{_LOWER}"
_BEHIND, _BESIDE = "‚„¡¢£§¨∞≤≥∂∑∏π∫Ω√≈∆◊ˇ˘˙˚˝˛ı⁄\uf8ff", "ˆƒ\u2500-\u25ff"
_MISPLACED = (
    f"(?<=[{_LOWER}])[{_UPPER}]"  # a capital behind a small letter
    f"|(?<=[A-Z{_UPPER}])[{_UPPER}](?=[{_LOWER}])"  # a capital between a capital and a small one
    f"|(?<=[{_LETTER}])[{_BEHIND}{_BESIDE}]"  # a sign behind a letter
    f"|[{_BESIDE}](?=[{_LETTER}])"  # or before one
    f"|(?<=[{_LETTER}])[‡‰](?=[{_LETTER}])"  # or between two
    "|¤"
)
find_odd = re.compile(
    "[\x80-\x84\x86-\x9f\ufffd]"  # controls that nobody types, and what could not be read
    f"|{_MISPLACED}"
    f"|(?<=[{_LETTER}])[†‹›“”•˜¥¦©«»¬®¯±¶¸¹²³¼½¾¿×÷](?=[{_LETTER}])"  # a sign within a word
).finditer
"""What no language of Western Europe writes."""

_may_be_misplaced = re.compile(f"[{_UPPER}{_BEHIND}{_BESIDE}‡‰¤]").finditer
_is_misplaced = re.compile(_MISPLACED).match

_SIGNS = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_find_twice = re.compile(
    f"(?:\\b|(?<=[{_LOWER}]))[ÂÃ][{_SIGNS}]|[ÂÃ][{_SIGNS}](?=[a-z])|â€|√[^\\s\\d]|‚Ä|├.|ÔÇ"
).search
"""UTF-8 that was read as Windows-1252, as a Mac's, as MS-DOS's."""

_SUSPECT = frozenset(["\N{REPLACEMENT CHARACTER}", *"ÂÃâ√‚├Ô", *map(chr, range(0x80, 0xA0))])
"""One of these is in all that is broken."""

_GAPS = (0x81, 0x8D, 0x8F, 0x90, 0x9D)
_BYTES = str.maketrans(
    {bytes([code]).decode("cp1252"): chr(code) for code in range(0x80, 0xA0) if code not in _GAPS}
)
"""The letters of Windows-1252 back to their bytes, which Latin-1 takes as they are, gaps too."""

_OTHERS = ("mac-roman", "cp850")


def is_broken(text: str) -> bool:
    """Say whether letters of a text were lost, or read in the wrong encoding."""
    if text.isascii() or _SUSPECT.isdisjoint(text):
        return False
    return bool(re.search("[\x80-\x84\x86-\x9f\ufffd]", text) or _find_twice(text))


def gives_words(text: str, wrong: str) -> bool:
    """Say whether a text has letters wherever the same bytes, read wrongly, make no word."""
    places = [odd.start() for odd in find_odd(wrong)]
    return not any(find_odd(text)) and all(text[place].isalpha() for place in places)


def meanings(text: str) -> list[str]:
    """Return what a text was meant to be, if it was read in a wrong encoding before.

    Only where it was read so from end to end, and where that makes words of it.
    """
    if text.isascii():
        return []
    if any(sign in text for sign in _SUSPECT) and _find_twice(text):
        meant = [_read_again(text, encoding, "utf-8") for encoding in ("cp1252", *_OTHERS)]
        return list(filter(None, meant))[:1]
    if any(_is_misplaced(text, sign.start()) for sign in _may_be_misplaced(text)):
        meant = [_read_again(text, "cp1252", encoding) for encoding in _OTHERS]
        return [each for each in meant if each and gives_words(each, text)]
    return []


def _read_again(text: str, wrong: str, right: str) -> str:
    """Return what the bytes are in the right encoding, or "" if they are none in both."""
    try:
        if wrong == "cp1252":
            return text.translate(_BYTES).encode("latin-1").decode(right)
        return text.encode(wrong).decode(right)
    except UnicodeError:
        return ""
