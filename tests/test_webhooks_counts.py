"""What came in is counted by kind, and everything else by what it was."""

from __future__ import annotations

from insim_async.webhooks import WebhookStatistics
from insim_async.webhooks._counts import Counts


def test_nothing_was_counted_at_first() -> None:
    assert Counts().statistics() == WebhookStatistics(
        received={}, repeated=0, handled=0, failed=0, ignored=0, invalid=0, turned_away=0
    )


def test_each_thing_is_counted_as_what_it_is() -> None:
    """Even an event whose kind is called as one of the others."""
    counts = Counts()
    for kind in ("call", "failed", "call"):
        counts.receive(kind)
    counts.add("repeated")
    for _ in range(2):
        counts.add("handled")
    for _ in range(3):
        counts.add("failed")
    for _ in range(4):
        counts.add("invalid")
    for _ in range(5):
        counts.add("turned_away")
    for _ in range(6):
        counts.add("ignored")
    assert counts.statistics() == WebhookStatistics(
        received={"call": 2, "failed": 1},
        repeated=1,
        handled=2,
        failed=3,
        ignored=6,
        invalid=4,
        turned_away=5,
    )


def test_what_was_taken_stays_as_it_was() -> None:
    counts = Counts()
    counts.receive("call")
    taken = counts.statistics()
    counts.receive("call")
    assert (taken.received, counts.statistics().received) == ({"call": 1}, {"call": 2})
