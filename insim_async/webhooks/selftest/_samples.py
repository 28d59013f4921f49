"""What the self-test sends: events of each kind, as long and as awkward as in life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct

from insim_async.webhooks.events import (
    CallEvent,
    CallQualification,
    DeliveryStatus,
    Event,
    IncomingSms,
    LinkClick,
)

__all__ = ["PLAIN", "SAMPLES", "TELLING", "Sample"]

_AWKWARD = "100% a+b & c=d; #1 %41 é 😀 "
_FICTION: dict[str, Any] = {"phone_number": "0639980001"}  # a plus is left to the texts


class Sample(Struct, frozen=True):
    """How to make an event of one kind around a text, and how long such texts get.

    The longest is ``filling``, so many ``times``.
    """

    make: Callable[[str], Event]
    filling: str = ""
    times: int = 0

    @property
    def kind(self) -> str:
        """The word for the class of event."""
        return self.make("").kind

    @property
    def longest(self) -> int:
        """How many bytes the longest text has in a query."""
        return _escaped_bytes(self.filling) * self.times

    def drawn_out(self, room: int) -> Event:
        """Make an event whose query is ``room`` bytes longer than that of the shortest."""
        times, rest = divmod(room, _escaped_bytes(self.filling) or 1)
        return self.make(_AWKWARD + self.filling * times + "x" * rest)


def _escaped_bytes(text: str) -> int:
    return len(quote(text, safe=""))


SAMPLES: Final = [
    Sample(lambda text: IncomingSms(message=text, **_FICTION), "😀", 1600),
    Sample(lambda text: CallEvent(direction="missed", account=text, **_FICTION)),
    Sample(
        lambda text: LinkClick(link=f"https://example.com/?q={text}", **_FICTION),
        "%F0%9F%98%80",
        160,
    ),
    Sample(
        lambda text: CallQualification(source="mobile", qualification=text, **_FICTION),
        "rappeler à 9 h 😀 ",
        80,
    ),
    Sample(lambda text: DeliveryStatus(status="received", account=text, **_FICTION)),
]
PLAIN: Final = "plain"
TELLING: Final = {
    "%41": "escapes are undone twice",
    "1+1": "a plus becomes a space",
    "a b": "a space becomes a plus",
    "a&b=c": "a text ends at its &",
    "a#b": "a text ends at its #",
    "é😀": "characters beyond ASCII are lost",
}
"""Texts that each show one fault of a proxy before the app, and what that fault is."""
