"""Find the payload in a raw query, and undo how it was escaped, as often as it was. Pure.

``encodeURIComponent`` leaves neither braces nor a ``+``, and what it wrote is undone once; twice
where the result is an escaped object still. Two others are known by what they leave: a framework
that decoded the query and wrote it anew as a form has ``+`` for spaces, and JavaScript's ``URL``
has the braces.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from insim_async import _tolerant
from insim_async.errors import InvalidWebhook
from insim_async.webhooks import _fast
from insim_async.webhooks._payload import decode_if_whole

__all__ = ["WHERE", "find_payload", "unescaped"]

WHERE: Final = (
    "it is wanted raw, as it came: scope['query_string'] in ASGI, request.query_string in Flask, "
    "request.META['QUERY_STRING'] in Django, request.raw_path behind its ? in aiohttp"
)
"""What to do about a query that somebody has decoded, and perhaps encoded again."""

_OBJECT_BEGINS = re.compile(rb"=(?=(?:%20|%09|%0[AaDd]|\s)*(?:\{|%(?:25)*7[Bb]))")
# A number that has its plus stands alone in its quotation marks.
_PLUS_OF_A_NUMBER = re.compile(rb'(?:"|%22)(\+|%2[Bb])[0-9]{4,}(?:"|%22)')
_LONGEST_NAME = 64


def find_payload(query: bytes, known: Collection[str]) -> tuple[str, bytes, dict[str, Any]]:
    """Return the parameter that holds an object, that as it was written, and decoded.

    Args:
        query: Raw.
        known: Names of which one holds it, if several parameters hold an object.

    Raises:
        InvalidWebhook: There is none, or more than one, or it cannot be told what it said.
    """
    name, value = _parameter(query, known)
    if (payload := _as_it_stands(value)) is not None:
        return name, value, payload
    document = _unescaped_once(value)
    if document[:3] in {b"%7B", b"%7b"}:
        document = unescaped(document)
    payload = decode_if_whole(document)
    if payload is None:
        raise InvalidWebhook(
            f"the parameter is not one JSON object in UTF-8; if the query was decoded, {WHERE}"
        )
    return name, document, payload


def _as_it_stands(value: bytes) -> dict[str, Any] | None:
    """Return the object in a value that nobody has escaped, or that somebody has decoded.

    No name that inSIM uses has an escape in it: if one has, the rest is escaped as well.
    """
    payload = decode_if_whole(value) if value.lstrip()[:1] == b"{" else None
    return None if payload is None or any("%" in name for name in payload) else payload


def _parameter(query: bytes, known: Collection[str]) -> tuple[str, bytes]:
    pieces = query.split(b"&")
    found = [
        (*_parameter_name(piece[: sign.start()]), piece[sign.end() :])
        for piece in pieces
        if (sign := _OBJECT_BEGINS.search(piece))
    ]
    found = [one for one in found if one[0] in known] or found
    if not found:
        raise InvalidWebhook("no parameter holds a JSON object")
    name, spelled, value = found[0]
    if len(found) > 1 or sum(piece.startswith(spelled + b"=") for piece in pieces) > 1:
        raise InvalidWebhook("more than one event")
    return name, value


def _parameter_name(before: bytes) -> tuple[str, bytes]:
    # A callback URL that has a query already is called as "token=t?message=...".
    spelled = before.rpartition(b"?")[2]
    return _tolerant.fold(spelled[:_LONGEST_NAME].decode("utf-8", "replace")), spelled


def _unescaped_once(value: bytes) -> bytes:
    if b"+" in value and b"%20" not in value and b" " not in value and _is_form(value):
        value = value.replace(b"+", b"%20")
    return unescaped(value)


def _is_form(value: bytes) -> bool:
    """Say whether a plus stands for a space in a value that has one and no other space."""
    pluses = {plus.upper() for plus in _PLUS_OF_A_NUMBER.findall(value)}
    if b"+" in pluses:
        return False
    if pluses or b"%2B" in value.upper():
        return True
    raise InvalidWebhook(f"a plus in the query may have been a space; {WHERE}")


def unescaped(value: bytes) -> bytes:
    """Undo percent-escapes; a ``%`` that begins none stays as it is."""
    decoded = _fast.unescaped(value)
    return unquote_to_bytes(value) if decoded is None else decoded
