"""Bytes to text: which encoding a list is in, judged by whether its letters make words.

One-byte encodings fit any bytes, so what was read with the wrong one is full of signs where letters
belong. What no language writes is never passed on in silence.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

from insim_async.errors import ConfigurationError
from insim_async.recipients._letters import find_odd, gives_words, meanings

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

_FEW = 10
"""One odd sign among so many accents is somebody's own spelling."""

_EXPORT_IT = 'export the list again as UTF-8; encoding="utf-8" refuses only names with lost letters'
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
        fitting = ["utf-8"] * _fits(content, "utf-8") or _fitting(content, text)
        if fitting:
            raise ConfigurationError(f"{fault}: {_suggested(fitting)}")
    return text


def _found(content: bytes) -> str:
    """Find the encoding; a file that mixes two is UTF-8 with a fault in it, never another."""
    marked = [name for mark, name in _BYTE_ORDER_MARKS.items() if content.startswith(mark)]
    if not marked and not _fits(content, "utf-8") and not _holds_utf8(content):
        return _legacy(content)
    text = _read(content, *(marked[:1] or ["utf-8"]))
    meant = meanings(text)
    if len(meant) > 1:
        raise ConfigurationError(
            f"{_first_odd(text, 'utf-8')}, as where a list was read in a wrong encoding before: "
            f"{_EXPORT_IT}"
        )
    text = "".join(meant or [text]).removeprefix("\ufeff")
    if (place := text.find("\N{REPLACEMENT CHARACTER}")) >= 0:
        lost = f"line {_line(text, place)} holds U+FFFD, which stands for a letter that was lost"
        raise ConfigurationError(f"{lost}: {_EXPORT_IT}")
    return text


def _legacy(content: bytes) -> str:
    """Read one-byte letters: as Windows-1252 if that gives words, or else as what alone does."""
    usual, *others = _LEGACY
    text = content.decode(usual, "replace")  # a letter for each byte, read or not
    odd, accents = sum(1 for _ in find_odd(text)), sum(1 for byte in content if byte > 0x7F)
    fitting = _fitting(content, text)
    if len(fitting) == 1 and odd:
        return _read(content, fitting[0])
    if _FEW * odd <= accents or not _fits(content, usual):
        return _read(content, usual, fitting)
    raise ConfigurationError(f"{_first_odd(text, usual)}: {_suggested(fitting or others)}")


def _fitting(content: bytes, wrong: str) -> list[str]:
    """Return the encodings that give words where another one does not."""
    return [
        encoding
        for encoding in _LEGACY
        if _fits(content, encoding) and gives_words(content.decode(encoding), wrong)
    ]


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


def _first_odd(text: str, encoding: str) -> str:
    odd = next(find_odd(text), None)
    if odd is None:
        return ""
    return f"line {_line(text, odd.start())} holds letters that make no word in {encoding}"


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _suggested(encodings: Sequence[str]) -> str:
    return f"{_NAME_IT} " + " or ".join(f'encoding="{encoding}"' for encoding in encodings)
