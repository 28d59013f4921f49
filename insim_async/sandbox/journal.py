"""What happened to account and phone: the newest of each kind, and how many there were.

It only keeps and finds; what leads to what is decided elsewhere.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from insim_async.models import Contact
from insim_async.sandbox.records import PhoneCall, PhoneCallState, ReceivedSms, SentSms
from insim_async.sandbox.shelf import Feed, Shelf

__all__ = ["Impossible", "Journal", "plain_duration", "plain_number"]

_LONGEST = 99 * 3600 + 59 * 60 + 59
"""Seconds: no longer one can be written as ``HH:mm:ss``."""

T = TypeVar("T")


class Impossible(ValueError):
    """An act that is not possible now; the words say why."""


class Journal:
    """All that is kept of what happened, the webhooks apart.

    Args:
        keep: How many of each kind stay; the oldest goes first.
        clock: Gives the time in UTC.

    Attributes:
        feed: What changed since when.
        processed: How often each message id was really sent.
        requests: How many API requests came.
    """

    def __init__(self, keep: int, clock: Callable[[], datetime]) -> None:
        self.feed: Feed = Feed()
        self.sent: Shelf[int, SentSms] = Shelf("message", keep, self.feed)
        self.tested: Shelf[int, SentSms] = Shelf("tested", keep, self.feed)
        self.refused: Shelf[int, SentSms] = Shelf("refused", keep, self.feed)
        self.received: Shelf[int, ReceivedSms] = Shelf("received", keep, self.feed)
        self.calls: Shelf[int, PhoneCall] = Shelf("call", keep, self.feed)
        self.contacts: Shelf[str, Contact] = Shelf("contact", keep, self.feed)
        self.processed: Counter[str] = Counter()
        self.requests: int = 0
        self.made_calls: int = 0
        self.keep = keep
        self._clock = clock
        self._keys = itertools.count(1)

    def moment(self) -> datetime:
        """Return the time, in UTC."""
        return self._clock()

    def new_key(self) -> int:
        """Return the next number for something that is kept."""
        return next(self._keys)

    def counts(self) -> dict[str, int]:
        """Return how many of each there were by now."""
        return {
            "requests": self.requests,
            "messages": self.sent.total,
            "contacts": len(self.contacts),
            "calls": self.made_calls,
            "tested": self.tested.total,
            "received": self.received.total,
        }

    def clear(self) -> None:
        """Forget all of it."""
        shelves: Iterable[Shelf[Any, Any]] = (self.sent, self.tested, self.refused)
        others: Iterable[Shelf[Any, Any]] = (self.received, self.calls, self.contacts)
        for shelf in (*shelves, *others):
            shelf.clear()
        self.processed.clear()
        self.requests = self.made_calls = 0

    def count_request(self) -> None:
        """Count a request to the API."""
        self.requests += 1
        self.feed.note("counts")

    def count_processed(self, sms_id: str) -> None:
        """Count an SMS that was really sent."""
        self.processed[sms_id] += 1
        if len(self.processed) > self.keep:
            del self.processed[next(iter(self.processed))]

    def add_call(
        self, phone_number: str, direction: str, state: PhoneCallState, **facts: Any
    ) -> PhoneCall:
        """Keep a call that begins now."""
        call = PhoneCall(
            key=self.new_key(),
            phone_number=phone_number,
            direction=direction,
            state=state,
            at=self.moment(),
            **facts,
        )
        self.calls[call.key] = call
        return call

    def newest_sms(
        self, phone_number: str, sms_id: str, otherwise: str, fits: Callable[[SentSms], bool]
    ) -> SentSms:
        """Return the newest SMS to a number (empty: any) that has the id (empty: any) and fits.

        Raises:
            Impossible: There is none; in the words of ``otherwise``.
        """
        found = (
            sms
            for sms in self.sent.newest_first()
            if _is_to(sms, phone_number) and sms_id in ("", sms.sms_id) and fits(sms)
        )
        return _the_first(found, otherwise)

    def newest_call(
        self, phone_number: str, otherwise: str, fits: Callable[[PhoneCall], bool]
    ) -> PhoneCall:
        """Return the newest call with a number (empty: any) that fits.

        Raises:
            Impossible: There is none; in the words of ``otherwise``.
        """
        calls = self.calls.newest_first()
        return _the_first(
            (call for call in calls if _is_to(call, phone_number) and fits(call)), otherwise
        )


def plain_number(phone_number: str) -> str:
    """Return a number without spaces.

    Raises:
        Impossible: Nothing is left.
    """
    number = "".join(phone_number.split())
    if not number:
        raise Impossible("From which number?")
    return number


def plain_duration(seconds: int) -> int:
    """Return the seconds of a call.

    Raises:
        Impossible: They are fewer than none, or more than can be reported.
    """
    if not 0 <= seconds <= _LONGEST:
        raise Impossible(f"A call takes from 0 to {_LONGEST} seconds")
    return seconds


def _is_to(record: SentSms | PhoneCall, phone_number: str) -> bool:
    return "".join(phone_number.split()) in ("", record.phone_number)


def _the_first(found: Iterable[T], otherwise: str) -> T:
    for each in found:
        return each
    raise Impossible(otherwise)
