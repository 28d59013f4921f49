"""The gate that every request passes: it waits here for its turn, which the schedule gives.

Nothing runs in the background. Whoever is first in the line and held back by the time alone sleeps
until then; all others wait to be told.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio

from insim_async._http.schedule import Rank, Schedule, Ticket
from insim_async.timing import Clock

__all__ = ["Gate"]

PAUSE_CAP = 60.0
"""However long a server asks everyone to wait, in seconds, nobody waits longer than this at a time.
"""


class Gate:
    """What a request has to pass before it may go out; one for all callers of a client.

    Args:
        slots: Requests under way at a time, at most.
        rate: Parts a second; None for no limit.
        clock: Time, and how to wait.

    Attributes:
        slots: One for each request that may be under way.
        passes: How many requests the server has taken.
    """

    def __init__(self, slots: int, rate: float | None, clock: Clock) -> None:
        self.slots: anyio.Semaphore = anyio.Semaphore(slots, fast_acquire=True)
        self.passes: int = 0
        self._schedule = Schedule(slots, rate)
        self._clock = clock
        self._news: dict[Ticket, anyio.Event] = {}

    def join(self, rank: Rank, *, paced: bool) -> Ticket:
        """Take a place in the line; its turn may have come at once (``has_turn``)."""
        ticket = self._schedule.join(rank, paced=paced, now=self._clock.now())
        self._give_turns()
        return ticket

    def rejoin(self, ticket: Ticket) -> None:
        """Stand in the line, if it has left it, ahead of all who came later."""
        if not (ticket.is_waiting or ticket.has_turn):
            self._schedule.rejoin(ticket)
            self._give_turns()

    def leave(self, ticket: Ticket) -> None:
        """Give up the place, or the turn with its slot; a second time does nothing."""
        if ticket.has_turn:
            self.slots.release()
        if ticket.has_turn or ticket.is_waiting:
            self._schedule.leave(ticket)
            self._give_turns()

    async def turn(self, ticket: Ticket, is_too_late: Callable[[float], bool]) -> bool:
        """Wait for the turn of a ticket; return whether it has come.

        It holds a slot from then on, until it leaves. Cancelled, it keeps its place.

        Args:
            ticket: Stands in the line.
            is_too_late: Says of so many seconds whether they are too long to be waited for.
        """
        while True:
            # What held it back may have passed since anybody looked: nobody would tell of that.
            now = self._clock.now()
            self._give(now)
            if ticket.has_turn:
                return True
            news = self._news[ticket] = anyio.Event()
            try:
                seconds = dict(self._schedule.held_by_time(now)).get(ticket)
                if seconds is None:
                    await news.wait()
                elif is_too_late(seconds):
                    return False
                else:
                    await self._clock.sleep(seconds)
                    self._give_turns()
            finally:
                del self._news[ticket]

    def book(self, ticket: Ticket, parts: int) -> None:
        """Say how many parts go out on a turn."""
        self._schedule.book(ticket, parts, self._clock.now())
        self._give_turns()

    def put_off(self, seconds: float) -> None:
        """Let nobody pass for so long (at most a minute), and fewer at a time after that."""
        self._schedule.pause(self._clock.now() + min(seconds, PAUSE_CAP))
        self._schedule.put_off()

    def passed(self) -> None:
        """The server has taken a request."""
        self.passes += 1
        self._schedule.passed()

    def closed_for(self) -> float:
        """Return the seconds until a pause ends; 0 if there is none."""
        return self._schedule.pause_left(self._clock.now())

    def _give_turns(self) -> None:
        if self._schedule.waiting:
            now = self._clock.now()
            self._give(now)
            for ticket, _ in self._schedule.held_by_time(now):
                self._tell(ticket)

    def _give(self, now: float) -> None:
        while (ticket := self._schedule.next(now)) is not None:
            self.slots.acquire_nowait()  # raises, should the schedule give one turn too many
            self._tell(ticket)

    def _tell(self, ticket: Ticket) -> None:
        if (news := self._news.get(ticket)) is not None:
            news.set()
