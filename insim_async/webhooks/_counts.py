"""The counters of webhooks: what came in, and what became of it; nothing else counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

__all__ = ["Counts", "WebhookStatistics"]


class WebhookStatistics(Struct, frozen=True, kw_only=True):
    """What came in since the router was made.

    Attributes:
        received: Events, those that came again included, by their ``kind``.
        repeated: Those of them that the inbox had already.
        handled: How often all handlers of an event succeeded.
        failed: How often one raised, or took too long.
        ignored: Those for which no handler was registered; not with an inbox, where they wait for
            one.
        invalid: Requests with the secret that held no event.
        turned_away: Requests without the secret, or with another method than GET.
    """

    received: Mapping[str, int]
    repeated: int
    handled: int
    failed: int
    ignored: int = 0
    invalid: int
    turned_away: int


class Counts:
    """The counters of one router; whoever answers requests or calls handlers reports to it."""

    def __init__(self) -> None:
        self._received: Counter[str] = Counter()
        self._others: Counter[str] = Counter()

    def receive(self, kind: str) -> None:
        """Count an event that came in."""
        self._received[kind] += 1

    def add(
        self,
        what: Literal["repeated", "handled", "failed", "ignored", "invalid", "turned_away"],
    ) -> None:
        """Count anything else, as ``WebhookStatistics`` names it."""
        self._others[what] += 1

    def statistics(self) -> WebhookStatistics:
        """Return what was counted up to now."""
        others = {name: self._others[name] for name in WebhookStatistics.__struct_fields__[1:]}
        return WebhookStatistics(received=dict(self._received), **others)
