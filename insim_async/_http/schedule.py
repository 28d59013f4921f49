"""Whose turn it is, and from when: without I/O, over a clock that comes in as an argument.

A request may leave when a slot is free, no pause holds and, if it carries messages, the pace allows
it: all at one moment. Nobody holds one of these while waiting for another.

The pace is a rate limiter without bursts: behind what goes out at a moment, as much time is booked
as its parts take. How many parts that will be is known only once it has been put together, so that
from its turn until then nobody else's turn comes by the pace.
"""

from __future__ import annotations

import enum
import heapq

__all__ = ["Rank", "Schedule", "Ticket"]

FAIR = 4
"""Of so many turns one is that of whoever has waited longest, so that nobody starves."""


class Rank(enum.IntEnum):
    """Who goes first. Within a rank it is first come, first served."""

    URGENT = 0
    SINGLE = 1
    BULK = 2


class Ticket:
    """A place in the line.

    Attributes:
        rank: Whose.
        paced: Whether it waits for the pace, because it carries messages.
        number: Lower for whoever came earlier.
        since: When it came, in seconds of the clock.
        began: The same in seconds of the event loop, which bounds reads and writes.
        has_turn: Whether its turn has come, and has not been given back.
        is_waiting: Whether it stands in the line.
        passed_over: How often another was given a turn that it had waited for longer.
    """

    __slots__ = (
        "began",
        "has_turn",
        "is_waiting",
        "number",
        "paced",
        "passed_over",
        "rank",
        "since",
    )

    def __init__(self, rank: Rank, *, paced: bool, number: int, since: float) -> None:
        self.rank: Rank = rank
        self.paced: bool = paced
        self.number: int = number
        self.since: float = since
        self.began: float = 0.0
        self.has_turn: bool = False
        self.is_waiting: bool = False
        self.passed_over: int = 0


class _Line:
    """Those of one rank who wait for the same things, in the order in which they came."""

    def __init__(self) -> None:
        self._all: list[tuple[int, Ticket]] = []

    def push(self, ticket: Ticket) -> None:
        heapq.heappush(self._all, (ticket.number, ticket))

    @property
    def first(self) -> Ticket | None:
        """Who has waited longest; those who have left are forgotten on the way."""
        while self._all and not self._all[0][1].is_waiting:
            heapq.heappop(self._all)
        return self._all[0][1] if self._all else None


class Schedule:
    """Who may go, out of those who wait.

    Args:
        slots: Requests under way at a time, at most.
        rate: Parts a second; None for no limit.

    Attributes:
        waiting: How many stand in the line.
        under_way: How many have a turn.
        limit: How many may have: fewer than there are slots, after the server asked for patience.
    """

    def __init__(self, slots: int, rate: float | None) -> None:
        self.under_way = 0
        self._slots = self.limit = slots
        self._spacing = None if rate is None else 1 / rate
        self._pace_at = self._pause_until = float("-inf")
        self._composing: Ticket | None = None
        self._lines = {(rank, paced): _Line() for rank in Rank for paced in (True, False)}
        self._tickets = self.waiting = 0

    # The line

    def join(self, rank: Rank, *, paced: bool, now: float) -> Ticket:
        """Take a place at the end of the line."""
        self._tickets += 1
        is_paced = paced and self._spacing is not None
        ticket = Ticket(rank, paced=is_paced, number=self._tickets, since=now)
        self.rejoin(ticket)
        return ticket

    def rejoin(self, ticket: Ticket) -> None:
        """Stand in the line again, at the place that it had by its number."""
        self._set_waiting(ticket, True)
        self._lines[ticket.rank, ticket.paced].push(ticket)

    def leave(self, ticket: Ticket) -> None:
        """Give up a place, or give back a turn, with its slot; a second time does nothing."""
        self._set_waiting(ticket, False)
        if ticket.has_turn:
            ticket.has_turn = False
            self.under_way -= 1
            self._end_composing(ticket)

    # Turns

    def next(self, now: float) -> Ticket | None:
        """Give a turn to whoever it is due to, if anybody may go now."""
        if not self.waiting or self.under_way >= self.limit or now < self._pause_until:
            return None
        firsts = self._firsts(paced=now >= self._pace_at and self._composing is None)
        if not firsts:
            return None
        ticket = min(firsts, key=_by_rank)
        oldest = min(firsts, key=_by_number)
        if oldest is not ticket:
            oldest.passed_over += 1
            ticket = oldest if oldest.passed_over == FAIR else ticket
        self._set_waiting(ticket, False)
        ticket.has_turn = True
        self.under_way += 1
        if ticket.paced:
            self._composing = ticket
        return ticket

    def book(self, ticket: Ticket, parts: int, now: float) -> None:
        """Say what goes out on a turn; time passed in a pause is not saved up."""
        if ticket.paced and self._spacing is not None:
            self._pace_at = max(self._pace_at, now) + parts * self._spacing
            self._end_composing(ticket)

    def held_by_time(self, now: float) -> list[tuple[Ticket, float]]:
        """Return those whose turn it would be but for the time, each with the seconds it takes.

        Whoever waits for a slot, or for what goes out by the pace just now, is told when that is
        over: no time needs to be watched for it.
        """
        if not self.waiting or self.under_way >= self.limit:
            return []
        pause, pace = self._pause_until - now, self._pace_at - now
        held = []
        if pause > 0 and (firsts := self._firsts(paced=False)):
            held.append((min(firsts, key=_by_rank), pause))
        if max(pause, pace) > 0 and self._composing is None:
            firsts = [ticket for ticket in self._firsts(paced=True) if ticket.paced]
            held += [(ticket, max(pause, pace)) for ticket in sorted(firsts, key=_by_rank)[:1]]
        return held

    def _firsts(self, *, paced: bool) -> list[Ticket]:
        """Return the first of each line; of the lines that wait for the pace only if told."""
        firsts = [line.first for (_, kind), line in self._lines.items() if paced or not kind]
        return [ticket for ticket in firsts if ticket is not None]

    def _set_waiting(self, ticket: Ticket, is_waiting: bool) -> None:
        self.waiting += is_waiting - ticket.is_waiting
        ticket.is_waiting = is_waiting

    def _end_composing(self, ticket: Ticket) -> None:
        if self._composing is ticket:
            self._composing = None

    # What the server says

    def pause(self, until: float) -> None:
        """Let nobody go before then; a pause never gets shorter."""
        self._pause_until = max(self._pause_until, until)

    def pause_left(self, now: float) -> float:
        """Return the seconds that a pause holds yet; 0 if there is none."""
        return max(0.0, self._pause_until - now)

    def put_off(self) -> None:
        """The server asked for patience: half as many requests at a time from now on."""
        self.limit = max(1, self.limit // 2)

    def passed(self) -> None:
        """The server took a request: one more at a time, up to all slots."""
        self.limit = min(self._slots, self.limit + 1)


def _by_number(ticket: Ticket) -> int:
    return ticket.number


def _by_rank(ticket: Ticket) -> tuple[int, int]:
    return ticket.rank, ticket.number
