"""What a payload's title means, by its words and those of the parameter that it came under. Pure.

inSIM documents one title for each event and writes it in many ways. A title is read if all its
words are known and, with the parameter's or else alone, say one thing. A title with a word that is
not known here is something new: it is not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from insim_async.webhooks.events import (
    CallEvent,
    CallQualification,
    DeliveryStatus,
    Event,
    IncomingSms,
    LinkClick,
    UnknownEvent,
)

__all__ = ["KIND_BY_PARAMETER", "Meaning", "meaning_of"]

Meaning = tuple[type[Event], Mapping[str, str]]
"""A class of events, and what else the title says of one."""

_MEANT_BY: Mapping[str, str] = {
    "sms": "sms message messages text",
    "call": "call calls appel appels",
    "click": "click clicks clicked clic clics",
    "link": "link links lien",
    "qualification": "qualification qualifications qualified",
    "status": "status statut dlr delivery delivered report reports receipt receipts",
    "incoming": "incoming inbound entrant",
    "received": "received",
    "outgoing": "outgoing outbound sortant",
    "missed": "missed manque manqué",
    "sent": "sent",
    "mobile": "mobile",
    "interface": "interface",
    "": "from event new",
}
_MEANING_OF_WORD = {word: meant for meant, words in _MEANT_BY.items() for word in words.split()}
_LONGEST = 64
"""Characters; a longer title is none of inSIM's."""
_SEPARATORS = re.compile(r"[\W_]+")

_Reading = tuple[type[Event], Mapping[str, str], frozenset[str], frozenset[str]]


def _reading(kind: type[Event], needed: str, also: str = "", **facts: str) -> _Reading:
    return kind, facts, frozenset(needed.split()), frozenset(f"{needed} {also}".split())


_READINGS = [
    _reading(IncomingSms, "sms incoming", "received"),
    _reading(IncomingSms, "sms received"),
    _reading(CallEvent, "call incoming", "received", direction="incoming"),
    _reading(CallEvent, "call received", direction="incoming"),
    _reading(CallEvent, "call outgoing", direction="outgoing"),
    _reading(CallEvent, "call missed", "incoming", direction="missed"),
    _reading(LinkClick, "click", "link sms"),
    _reading(CallQualification, "qualification mobile", "call", source="mobile"),
    _reading(CallQualification, "qualification interface", "call", source="interface"),
    _reading(DeliveryStatus, "status", "sms"),
    _reading(DeliveryStatus, "status sent", "sms", status="sent"),
    _reading(DeliveryStatus, "status received", "sms", status="received"),
]
"""Each thing that words can say: those which it needs, and those which it may have besides."""
_WORDS_OF_PARAMETER = {
    "message": frozenset({"sms", "incoming"}),
    "calls": frozenset({"call"}),
    "call": frozenset({"call"}),
    "clics": frozenset({"click"}),
    "click": frozenset({"click"}),
    "qualification": frozenset({"qualification"}),
    "status": frozenset({"status"}),
}
# Without a title nobody knows a call's direction or a qualification's source: those stay unknown.
KIND_BY_PARAMETER: Final[Mapping[str, type[Event]]] = {
    "message": IncomingSms,
    "calls": UnknownEvent,
    "call": UnknownEvent,
    "clics": LinkClick,
    "click": LinkClick,
    "qualification": UnknownEvent,
    "status": DeliveryStatus,
}
"""What a payload without a title is, by the parameter that it came under."""


def meaning_of(title: str, parameter: str) -> tuple[Meaning, bool]:
    """Return what a title means, and whether it says so without its parameter.

    Args:
        title: In any spelling.
        parameter: Its folded name.
    """
    words = _words_of(title)
    if words is None:
        return (UnknownEvent, {}), False
    alone = _read(words)
    both = _read(words | _WORDS_OF_PARAMETER.get(parameter, frozenset()))
    return both or alone or (UnknownEvent, {}), alone is not None and both in (None, alone)


def _read(words: frozenset[str]) -> Meaning | None:
    return next(
        ((kind, facts) for kind, facts, needed, allowed in _READINGS if needed <= words <= allowed),
        None,
    )


def _words_of(title: str) -> frozenset[str] | None:
    """Return what the words of a title mean; None if there is one that is not known."""
    if len(title) > _LONGEST:
        return None
    tokens = [_meanings(token) for token in _SEPARATORS.split(title.casefold()) if token]
    if None in tokens:
        return None
    return frozenset(meant for token in tokens for meant in token or () if meant)


def _meanings(token: str) -> list[str] | None:
    """Return what a word means, or the words that were written as one, as in ``MissedCall``."""
    if not token:
        return []
    for end in range(len(token), 0, -1):
        meant = _MEANING_OF_WORD.get(token[:end])
        if meant is not None and (others := _meanings(token[end:])) is not None:
            return [meant, *others]
    return None
