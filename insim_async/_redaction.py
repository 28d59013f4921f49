"""What a server said, without what it was told: no error repeats a key, a number or a text."""

from __future__ import annotations

import html
import json
import re
import urllib.parse
from collections.abc import Iterator

__all__ = ["excerpt"]

_RUN = re.compile(r"[A-Za-z0-9]+")
_DIGITS = re.compile(r"\+?\d(?:[\s.()-]*\d){6,}")


def excerpt(text: bytes, request: bytes) -> str:
    """Return the beginning of what a server (or library) said, without anything that the request held."""
    shown = text[:16_384].decode("utf-8", "replace")
    for sent in sorted(_strings(json.loads(request)), key=len, reverse=True):
        run = _RUN.search(sent)
        if run is None or run[0] in shown:  # no form of a text changes its letters and digits
            for form in _forms(sent):
                shown = shown.replace(form, "[…]")
    shown = _DIGITS.sub("[…]", shown)
    return " ".join("".join(char if char.isprintable() else " " for char in shown).split())[:200]


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str) and len(value) > 1:
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _forms(text: str) -> set[str]:
    """Return a text as it may stand in JSON, in HTML or in a URL."""
    percent = urllib.parse.quote(text, safe="")
    return {text, json.dumps(text)[1:-1], html.escape(text), percent, percent.replace("%20", "+")}
