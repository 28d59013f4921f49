"""What an object may be like to be taken for a payload: not too deep, and each key once. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from insim_async.errors import InvalidWebhook
from insim_async.webhooks import _fast

__all__ = ["MAX_DEPTH", "MAX_DIGITS", "checked"]

MAX_DEPTH: Final = 16
"""How many objects and lists may stand within each other, the payload itself counted."""
MAX_DIGITS: Final = 19
"""How many digits a whole number may have."""


def checked(document: bytes, payload: dict[str, Any]) -> dict[str, Any]:
    """Return the object of a document, if it keeps the limits.

    Raises:
        InvalidWebhook: It does not; the message holds no content.
    """
    if not payload:
        raise InvalidWebhook("the object is empty")
    keys = _count_keys(payload)
    if not _fast.has_each_key_once(document, keys) and _repeats_a_key(document):
        raise InvalidWebhook("a key of the object is repeated")
    return payload


def _count_keys(payload: dict[str, Any]) -> int:
    """Count the keys at all depths, and refuse what is too deep or too large.

    Raises:
        InvalidWebhook: Too deep, or a number with too many digits.
    """
    level: list[Any] = [payload]
    keys = 0
    for _ in range(MAX_DEPTH):
        keys += sum(len(inner) for inner in level if isinstance(inner, dict))
        values = [
            value
            for inner in level
            for value in (inner.values() if isinstance(inner, dict) else inner)
            if not isinstance(value, str)
        ]
        if any(isinstance(value, int) and abs(value) >= 10**MAX_DIGITS for value in values):
            raise InvalidWebhook(f"a number has more than {MAX_DIGITS} digits")
        level = [value for value in values if isinstance(value, dict | list)]
        if not level:
            return keys
    raise InvalidWebhook(f"objects stand more than {MAX_DEPTH} deep within each other")


def _repeats_a_key(document: bytes) -> bool:
    repeated: list[bool] = []
    try:
        json.loads(
            document,
            object_pairs_hook=lambda pairs: repeated.append(len(dict(pairs)) != len(pairs)),
        )
    except RecursionError:
        # What was kept is not as deep as that: it stood under a key that was repeated.
        return True
    return any(repeated)
