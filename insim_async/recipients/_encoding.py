"""Bytes to text: which encoding a list is in, judged by whether its letters make words.

One-byte encodings fit any bytes, so what was read with the wrong one is full of signs where letters
belong. What no language writes is never passed on in silence.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Sequence

from insim_async.errors import ConfigurationError

__all__ = ["decoded"]

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_LEGACY = ("cp1252", "cp850", "mac-roman", "iso-8859-15")
"""What spreadsheets, MS-DOS programs, old Macs and old Unix programs of Western Europe write."""

_ONE_BYTE = frozenset(codecs.lookup(name).name for name in (*_LEGACY, "iso-8859-1"))

_holds_utf8 = re.compile(rb"\xc3[\x80-\xbf]|\xe2\x80[\x80-\xbf]").search
"""Accented letters and typographic signs; in Windows-1252 they would be ``Ã©`` and ``â€™``, which
nobody writes."""

_UPPER, _LOWER = "À-ÖØ-ÞŒŠŽŸ", "a-zß-öø-ÿœšž"
_LETTER = f"A-Z{_UPPER}{_LOWER}"
_find_odd = re.compile(
    "[\x80-\x84\x86-\x9f]"  # controls that nobody types
    f"|(?<=[{_LOWER}])[{_UPPER}]"  # a capital behind a small letter
    f"|(?<=[A-Z{_UPPER}])[{_UPPER}](?=[{_LOWER}])"  # a capital between a capital and a small one
    f"|(?<=[{_LETTER}])[‡†‰‹›“”•˜¥¦§©«»¬®¯±¶¸¹²³¼½¾¿×÷](?=[{_LETTER}])"  # a sign within a word
    f"|(?<=[{_LETTER}])[‚„ˆƒ¡¢£¤¨\u2500-\u25ff∞≤≥∂∑∏π∫Ω√≈∆◊ˇ˘˙˚˝˛ı⁄\uf8ff]"  # or behind one
    f"|[\u2500-\u25ff](?=[{_LETTER}])"
).finditer
"""What no language of Western Europe writes, and a wrong encoding makes of its accents."""

_find_twice = re.compile(
    f"(?:\\b|(?<=[{_LOWER}]))[ÂÃ][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€"
).search
_GAPS = (0x81, 0x8D, 0x8F, 0x90, 0x9D)
_BYTES = str.maketrans(
    {bytes([code]).decode("cp1252"): chr(code) for code in range(0x80, 0xA0) if code not in _GAPS}
)
"""The letters of Windows-1252 back to their bytes, which Latin-1 takes as they are, gaps too."""

_FEW = 10
"""One odd sign among so many in the other encodings is somebody's own spelling."""

_NAME_IT = "name the encoding of the file, such as"


def decoded(content: bytes, encoding: str | None) -> str:
    """Return the text of a list.

    Args:
        content: Its bytes.
        encoding: As the caller names it; None to find it.

    Raises:
        ConfigurationError: The encoding is unknown, or does not fit, or several may be meant.
    """
    if encoding is None:
        return _found(content)
    text = _read(content, encoding)
    if codecs.lookup(encoding).name in _ONE_BYTE and (fault := _first_odd(text, encoding)):
        fitting = [other for other in ("utf-8", *_LEGACY) if _oddities(content, other) == 0]
        if fitting:
            raise ConfigurationError(f"{fault}: {_suggested(fitting)}")
    return text


def _found(content: bytes) -> str:
    """Find the encoding; a file that mixes two is UTF-8 with a fault in it, never another."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return _read(content, encoding)
    if not _fits(content, "utf-8") and not _holds_utf8(content):
        return _legacy(content)
    text = _read(content, "utf-8")
    if (place := text.find("\N{REPLACEMENT CHARACTER}")) >= 0:
        raise ConfigurationError(
            f"line {_line(text, place)} holds U+FFFD, which stands for a letter that was lost: "
            'export the list again as UTF-8, or say encoding="utf-8" to have such names refused'
        )
    return _once(text)


def _legacy(content: bytes) -> str:
    """Read one-byte letters: as Windows-1252 if that gives words, or else as what alone does."""
    odd = {encoding: _oddities(content, encoding) for encoding in _LEGACY}
    usual, dos, mac, _ = odd.values()
    fitting = [encoding for encoding, count in odd.items() if count == 0]
    if usual == 0 or (not fitting and _FEW * usual < min(dos, mac)):
        return _read(content, _LEGACY[0])
    if len(fitting) == 1:
        return _read(content, fitting[0])
    text = _read(content, _LEGACY[0], fitting)
    raise ConfigurationError(
        f"{_first_odd(text, _LEGACY[0])}: {_suggested(fitting or list(_LEGACY[1:]))}"
    )


def _read(content: bytes, encoding: str, likely: Sequence[str] = ()) -> str:
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except LookupError as error:
        raise ConfigurationError(f"unknown encoding {encoding!r}") from error
    except UnicodeDecodeError as error:
        line, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
    # Raised out here because the codec's own error holds the whole file.
    fault = f"line {line} holds byte 0x{byte:02x}, which is not {encoding}"
    others = [other for other in likely or _LEGACY if other != encoding]
    raise ConfigurationError(f"{fault}: {_suggested(others)}")


def _fits(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _oddities(content: bytes, encoding: str) -> float:
    """Count what no language writes; without end where the encoding does not fit."""
    if not _fits(content, encoding):
        return math.inf
    return sum(1 for _ in _find_odd(content.decode(encoding)))


def _first_odd(text: str, encoding: str) -> str:
    odd = next(_find_odd(text), None)
    if odd is None:
        return ""
    return f"line {_line(text, odd.start())} holds letters that make no word in {encoding}"


def _once(text: str) -> str:
    """Return a text that was encoded twice as it was meant; any other as it is."""
    if not any(sign in text for sign in ("Ã", "Â", "â€")) or not _find_twice(text):
        return text
    try:
        return text.translate(_BYTES).encode("latin-1").decode()
    except UnicodeError:
        return text


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _suggested(encodings: Sequence[str]) -> str:
    return f"{_NAME_IT} " + " or ".join(f'encoding="{encoding}"' for encoding in encodings)
