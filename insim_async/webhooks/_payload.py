"""The JSON object that a webhook carries, as inSIM and JavaScript write it. Pure."""

from __future__ import annotations

import re
from typing import Any

import msgspec

__all__ = ["decode", "decode_if_whole"]

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|"  # a whole pair
    rb"(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def decode(document: bytes) -> dict[str, Any]:
    """Return the object in a document.

    Half a surrogate pair, as JavaScript writes an emoji that was cut in two, reads as U+FFFD.

    Raises:
        ValueError: It is none; the error may hold the document.
        RecursionError: It is nested too deep to be read at all.
    """
    try:
        return _decode(document)
    except ValueError:
        if b"\\u" not in document:
            raise
    return _decode(_ESCAPES.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], document))


def decode_if_whole(document: bytes) -> dict[str, Any] | None:
    """Return the object in a document, or None if it holds something else."""
    try:
        return decode(document)
    except (ValueError, RecursionError):
        return None
