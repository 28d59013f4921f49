"""The self-test itself: send an event of each kind, then others to learn what stopped one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct

from insim_async.webhooks._reception import SELFTEST_FIELD
from insim_async.webhooks.events import Event
from insim_async.webhooks.parsing import build_webhook
from insim_async.webhooks.selftest._callback import Callback, Exchange
from insim_async.webhooks.selftest._limits import culprit
from insim_async.webhooks.selftest._meaning import Finding, meaning_of
from insim_async.webhooks.selftest._samples import PLAIN, SAMPLES, TELLING, Sample

__all__ = ["SampleResult", "run_selftest", "verdict"]


class SampleResult(Struct, frozen=True):
    """What became of one kind of event; its text form is a line for people.

    Attributes:
        kind: The word for the class of event.
        arrived: It did, byte for byte.
        words: How, or why not.
        inbox: An inbox keeps such events.
        app: What the app says of its handlers and workers.
        hopeless: The others will fare no better.
    """

    kind: str
    arrived: bool
    words: str
    inbox: bool = False
    app: str = ""
    hopeless: bool = False

    def __str__(self) -> str:
        return f"{self.kind:<18}  {'ok' if self.arrived else 'FAILED'}: {self.words}"


def verdict(results: Sequence[SampleResult]) -> str:
    """Sum the results up in a line."""
    arrived = sum(result.arrived for result in results)
    if arrived < len(results):
        return f"{arrived} of {len(results)} kinds of event arrived as they were sent"
    kept = (
        "an inbox keeps them"
        if results[0].inbox
        else "there is no inbox, handlers run within the request"
    )
    return f"all {arrived} kinds of event arrived as they were sent; {kept}"


def run_selftest(
    callback: Callback, exchange: Exchange, *, nonce: str = ""
) -> Iterator[SampleResult]:
    """Send an event of each kind, and yield what became of it.

    No handler sees these events and no inbox keeps them, unless an old version of insim_async
    answers.

    Args:
        callback: Where to.
        exchange: How, as ``over_network`` makes it.
        nonce: Makes these events different from all others; random by default.
    """
    probe = _Probe(callback, exchange, nonce or secrets.token_urlsafe(8))
    hopeless = False
    for sample in SAMPLES:
        result = (
            SampleResult(sample.kind, arrived=False, words="not tried")
            if hopeless
            else probe.result(sample)
        )
        hopeless = result.hopeless or hopeless
        yield result


class _Probe:
    """Sends events one after the other, until it is known what becomes of a kind, and why."""

    def __init__(self, callback: Callback, exchange: Exchange, nonce: str) -> None:
        self._callback = callback
        self._exchange = exchange
        self._nonce = nonce

    def result(self, sample: Sample) -> SampleResult:
        long = self._sent(sample.drawn_out(sample.longest))
        short = self._sent(sample.drawn_out(0)) if sample.longest and not long.found else long
        if long.found:
            return SampleResult(
                sample.kind,
                arrived=True,
                words=long.words,
                inbox=long.found.inbox,
                app=str(long.found),
            )
        if short.found:
            return SampleResult(sample.kind, arrived=False, words=self._limit(sample, long))
        words = short.words + (self._faults(sample) if short.depends else "")
        return SampleResult(sample.kind, arrived=False, words=words, hopeless=not short.depends)

    def _sent(self, event: Event) -> Finding:
        event = msgspec.structs.replace(
            event, raw_json=msgspec.json.encode({**event.raw, SELFTEST_FIELD: self._nonce})
        )
        url = self._callback.called(build_webhook(event))
        return meaning_of(self._exchange(url), url, event.key)

    def _limit(self, sample: Sample, refused: Finding) -> str:
        passes, fails = 0, sample.longest
        while fails - passes > 1:
            room = (passes + fails) // 2
            finding = self._sent(sample.drawn_out(room))
            if finding.found:
                passes = room
            else:
                fails, refused = room, finding
        longest = refused.target_bytes - 1
        return (
            f"above {longest:,} bytes of target, {refused.words} [{culprit(longest, refused.came)}]"
        )

    def _faults(self, sample: Sample) -> str:
        if not self._sent(sample.make(PLAIN)).found:
            return ""
        faults = [
            fault for text, fault in TELLING.items() if not self._sent(sample.make(text)).found
        ]
        return f" [{'; '.join(faults) or 'a plain one arrives'}]"
