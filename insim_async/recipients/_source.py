"""What a list is read from: a path, bytes, or an open file such as an upload."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from insim_async.errors import ConfigurationError

__all__ = ["OpenFile", "Source", "content_of", "require_format"]


@runtime_checkable
class OpenFile(Protocol):
    """What can be read, as bytes or as text."""

    def read(self) -> bytes | str:
        """Return the rest of it."""
        ...


Source: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | OpenFile"

_WORKBOOK, _CARDS = "a workbook", "a file of vCards"
_READERS = {
    _WORKBOOK: 'read it with read_xlsx (pip install "insim_async[xlsx]")',
    _CARDS: "read it with read_vcards",
    "CSV": "read it with read_csv",
    "a web page": "open it in a spreadsheet and save it as CSV",
    "JSON": "give what json.load makes of it to read_rows",
    "a PDF": "ask for the list as CSV",
    "compressed": "unpack it first",
    "a database": "give the rows of a query to read_rows",
}
"""What a file may be, and what to do about it."""

_SIGNATURES = {
    _WORKBOOK: rb"PK\x03\x04|\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    _CARDS: rb"(?i:begin:vcard)",
    "a web page": rb"(?i:<(?:!doctype html|html|table|meta|\?xml))",
    "JSON": rb"[\[{]\s*[{\"\[]",
    "a PDF": rb"%PDF-",
    "compressed": rb"\x1f\x8b",
    "a database": rb"SQLite format 3\x00",
}
_FIRST_BYTES = 1000


def content_of(source: Source) -> bytes | str:
    """Return what a source holds: text where it has been decoded already.

    Raises:
        ConfigurationError: It is nothing of the kind.
        OSError: The file cannot be opened.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return Path(source).read_bytes()
    read = getattr(source, "read", None)
    if read is None:
        raise ConfigurationError(
            f"a list is read from a path, bytes or an open file, not {type(source).__name__}"
        )
    if inspect.iscoroutinefunction(read):
        raise ConfigurationError(
            "what is read asynchronously must be read before: give the bytes, (await file.read())"
        )
    content = read()
    if not isinstance(content, bytes | bytearray | str):
        raise ConfigurationError(f"the open file gives {type(content).__name__}, and no bytes")
    if not content:
        raise ConfigurationError("the open file is empty, or was read before: seek(0) first")
    return content if isinstance(content, str) else bytes(content)


def require_format(content: bytes | str, *expected: str) -> None:
    """Look at the first bytes, and say which reader to take if they are another's.

    Raises:
        ConfigurationError: It is not what this reader reads.
    """
    found = format_of(content)
    if found not in expected:
        raise ConfigurationError(f"the list is {found}: {_READERS[found]}")


def format_of(content: bytes | str) -> str:
    """Tell the format by the first bytes; whatever is no other is CSV."""
    start = content[:_FIRST_BYTES]
    first = start.encode(errors="replace") if isinstance(start, str) else start
    # In UTF-16 every other byte of a word is NUL, behind a byte order mark.
    first = re.sub(rb"^(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*", b"", first)
    letters = first if first.startswith(b"SQLite") else first.replace(b"\0", b"")
    for name, signature in _SIGNATURES.items():
        if re.match(signature, letters):
            return name
    return "CSV"
