"""Whose turn it is: thousands of random arrivals on a clock that only the simulation moves."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from typing import NamedTuple

import pytest

from insim_async._http.schedule import FAIR, Rank, Schedule, Ticket

ARRIVALS = 500
SEEDS = range(12)


def join(
    schedule: Schedule, rank: Rank = Rank.SINGLE, *, paced: bool = True, now: float = 0.0
) -> Ticket:
    return schedule.join(rank, paced=paced, now=now)


def turns(schedule: Schedule, now: float = 0.0) -> list[Ticket]:
    """Give all turns that are due, without booking anything."""
    return list(iter(lambda: schedule.next(now), None))


class TestSlots:
    def test_so_many_are_under_way_and_no_more(self) -> None:
        schedule = Schedule(2, None)
        first, second, third = (join(schedule) for _ in range(3))
        assert turns(schedule) == [first, second]
        schedule.leave(first)
        assert turns(schedule) == [third]
        assert schedule.under_way == 2

    def test_a_slot_is_given_back_once(self) -> None:
        schedule = Schedule(1, None)
        ticket = join(schedule)
        turns(schedule)
        for _ in range(3):
            schedule.leave(ticket)
        assert schedule.under_way == 0

    def test_whoever_has_left_the_line_gets_no_turn(self) -> None:
        schedule = Schedule(8, None)
        gone, there = join(schedule), join(schedule)
        schedule.leave(gone)
        assert turns(schedule) == [there]

    def test_after_being_put_off_fewer_go_at_a_time_and_more_after_each_success(self) -> None:
        schedule = Schedule(8, None)
        counts = []
        for _ in range(4):
            schedule.put_off()
            counts.append(self.most(schedule))
        for _ in range(9):
            schedule.passed()
            counts.append(self.most(schedule))
        assert counts == [4, 2, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8]

    @staticmethod
    def most(schedule: Schedule) -> int:
        tickets = [join(schedule) for _ in range(10)]
        given = turns(schedule)
        for ticket in tickets:
            schedule.leave(ticket)
        return len(given)


class TestRanks:
    def test_urgent_ones_go_first_then_single_ones_then_bulk(self) -> None:
        schedule = Schedule(3, None)
        bulk, single, urgent = (join(schedule, rank) for rank in reversed(Rank))
        assert turns(schedule) == [urgent, single, bulk]

    def test_each_fourth_turn_is_that_of_whoever_has_waited_longest(self) -> None:
        schedule = Schedule(100, None)
        bulk = [join(schedule, Rank.BULK) for _ in range(2)]
        urgent = [join(schedule, Rank.URGENT) for _ in range(8)]
        assert turns(schedule) == [*urgent[:3], bulk[0], *urgent[3:6], bulk[1], *urgent[6:]]

    def test_who_comes_back_has_the_old_place(self) -> None:
        schedule = Schedule(1, None)
        first, second = join(schedule), join(schedule)
        assert turns(schedule) == [first]
        schedule.leave(first)
        schedule.rejoin(first)
        assert turns(schedule) == [first]
        assert second.is_waiting


class TestPace:
    def test_room_is_booked_behind_what_goes_out(self) -> None:
        schedule = Schedule(8, 10.0)
        first, second = join(schedule), join(schedule)
        assert schedule.next(0.0) is first
        assert schedule.next(9.0) is None, "nobody knows yet what goes out"
        schedule.book(first, 20, 9.0)
        assert [schedule.next(now) for now in (9.0, 10.9, 11.0)] == [None, None, second]

    @pytest.mark.parametrize("now", [0.0, 100.0])
    def test_idle_time_is_not_saved_up(self, now: float) -> None:
        schedule = Schedule(8, 10.0)
        first, second = join(schedule), join(schedule)
        assert schedule.next(now) is first
        schedule.book(first, 10, now)
        assert [schedule.next(now + 0.9), schedule.next(now + 1)] == [None, second]

    def test_what_carries_no_message_does_not_wait_for_it(self) -> None:
        schedule = Schedule(8, 0.1)
        message, other = join(schedule), join(schedule)
        schedule.next(0.0)
        schedule.book(message, 1, 0.0)
        call = join(schedule, paced=False)
        assert turns(schedule) == [call]
        assert other.is_waiting

    def test_whoever_leaves_before_anything_is_booked_holds_up_nobody(self) -> None:
        schedule = Schedule(8, 10.0)
        first, second = join(schedule), join(schedule)
        assert turns(schedule) == [first]
        schedule.leave(first)
        assert turns(schedule) == [second]

    def test_without_a_rate_nobody_waits(self) -> None:
        schedule = Schedule(8, None)
        tickets = [join(schedule) for _ in range(3)]
        assert turns(schedule) == tickets


class TestPause:
    def test_nobody_goes_before_it_ends_and_it_never_gets_shorter(self) -> None:
        schedule = Schedule(8, None)
        ticket = join(schedule)
        schedule.pause(6.0)
        schedule.pause(1.0)
        assert schedule.pause_left(2.0) == 4.0
        assert schedule.next(5.9) is None
        assert schedule.next(6.0) is ticket
        assert schedule.pause_left(7.0) == 0.0

    def test_only_the_first_of_each_kind_needs_to_watch_the_time(self) -> None:
        schedule = Schedule(8, 10.0)
        first = join(schedule)
        schedule.next(0.0)
        schedule.book(first, 50, 0.0)
        join(schedule, Rank.BULK)
        urgent = join(schedule, Rank.URGENT)
        call, _ = (join(schedule, paced=False) for _ in range(2))
        schedule.pause(2.0)
        assert schedule.held_by_time(0.0) == [(call, 2.0), (urgent, 5.0)]
        assert schedule.held_by_time(3.0) == [(urgent, 2.0)]

    def test_whoever_waits_for_a_slot_watches_nothing(self) -> None:
        schedule = Schedule(1, 10.0)
        first = join(schedule)
        schedule.next(0.0)
        schedule.book(first, 50, 0.0)
        join(schedule)
        assert schedule.held_by_time(0.0) == []


# Simulation --------------------------------------------------------------------------------------


class Turn(NamedTuple):
    at: float
    ticket: Ticket
    parts: int
    waiting: list[Ticket]


class World:
    """Random callers, requests of random length, pauses, and those who give up."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.slots = self.chance.choice([1, 2, 8])
        self.rate = self.chance.choice([None, 0.2, 5.0, 50.0])
        self.schedule = Schedule(self.slots, self.rate)
        self.limit = self.slots
        self.pauses: list[tuple[float, float]] = []
        self.turns: list[Turn] = []
        self.left: set[int] = set()
        self.waiting: dict[int, Ticket] = {}
        self.events: list[tuple[float, int, str, Ticket | None]] = []
        self.order = itertools.count()

    def at(self, time: float, what: str, ticket: Ticket | None = None) -> None:
        heapq.heappush(self.events, (time, next(self.order), what, ticket))

    def run(self, arrivals: int) -> None:
        span = arrivals / (self.rate or 20.0) / self.chance.choice([1, 3])
        for _ in range(arrivals):
            self.at(self.chance.uniform(0, span), "arrive")
        for _ in range(5):
            self.at(self.chance.uniform(0, span), "pause")
        while self.events:
            now, _, what, ticket = heapq.heappop(self.events)
            getattr(self, what)(now, ticket)
            self.give_turns(now)

    def arrive(self, now: float, _: object) -> None:
        ticket = self.schedule.join(
            self.chance.choice(list(Rank)), paced=self.chance.random() < 0.8, now=now
        )
        self.waiting[ticket.number] = ticket
        if self.chance.random() < 0.1:
            self.at(now + self.chance.expovariate(0.5), "give_up", ticket)

    def give_up(self, now: float, ticket: Ticket) -> None:
        if ticket.is_waiting:
            self.schedule.leave(ticket)
            del self.waiting[ticket.number]
            self.left.add(ticket.number)

    def pause(self, now: float, _: object) -> None:
        until = now + self.chance.uniform(0, 10)
        self.schedule.pause(until)
        self.schedule.put_off()
        self.limit = max(1, self.limit // 2)
        self.pauses.append((now, until))

    def watch(self, now: float, _: object) -> None:
        """Only time has passed."""

    def end(self, now: float, ticket: Ticket) -> None:
        self.schedule.leave(ticket)
        self.schedule.passed()
        self.limit = min(self.slots, self.limit + 1)

    def give_turns(self, now: float) -> None:
        while (ticket := self.schedule.next(now)) is not None:
            parts = self.chance.randint(1, int(max(1, self.rate or 5)))
            self.turns.append(Turn(now, ticket, parts, list(self.waiting.values())))
            assert self.schedule.under_way <= self.limit
            del self.waiting[ticket.number]
            self.schedule.book(ticket, parts, now)
            self.at(now + self.chance.expovariate(10.0), "end", ticket)
        self.check_that_nobody_could_go(now)
        for _, seconds in self.schedule.held_by_time(now):
            self.at(now + seconds, "watch")

    def check_that_nobody_could_go(self, now: float) -> None:
        paced = [turn for turn in self.turns if turn.ticket.paced][-1:]
        is_paused = any(now < until for _, until in self.pauses)
        pace_at = max([turn.at + turn.parts / (self.rate or 1.0) for turn in paced], default=0.0)
        if self.schedule.under_way < self.limit and not is_paused:
            assert not [t for t in self.waiting.values() if not t.paced or now >= pace_at + 1e-6]


@pytest.fixture(params=SEEDS, scope="module")
def world(request: pytest.FixtureRequest) -> World:
    world = World(request.param)
    world.run(ARRIVALS)
    return world


def test_everybody_goes_once_or_has_left(world: World) -> None:
    went = [turn.ticket.number for turn in world.turns]
    assert len(set(went)) == len(went)
    assert {*went, *world.left} == set(range(1, ARRIVALS + 1))
    assert world.schedule.under_way == 0


def test_nobody_goes_in_a_pause(world: World) -> None:
    for turn in world.turns:
        assert not any(begin < turn.at < end for begin, end in world.pauses)


def test_the_pace_is_kept_whatever_comes(world: World) -> None:
    paced = [turn for turn in world.turns if turn.ticket.paced]
    assert bool(paced) == (world.rate is not None)
    for before, after in itertools.pairwise(paced):
        assert world.rate is not None
        assert after.at - before.at >= before.parts / world.rate - 1e-6


def test_within_a_rank_it_is_first_come_first_served(world: World) -> None:
    for rank, paced in itertools.product(Rank, (True, False)):
        numbers = [
            turn.ticket.number
            for turn in world.turns
            if (turn.ticket.rank, turn.ticket.paced) == (rank, paced)
        ]
        assert numbers == sorted(numbers)


def test_a_lower_rank_goes_before_a_higher_only_by_its_age(world: World) -> None:
    """And only after others have gone before it three times."""
    for turn in world.turns:
        others = [each for each in turn.waiting if turn.ticket.paced or not each.paced]
        if any(each.rank < turn.ticket.rank for each in others):
            assert turn.ticket.number == min(each.number for each in others)
            assert turn.ticket.passed_over == FAIR


def test_nobody_starves(world: World) -> None:
    """Whoever has waited longest of all who may go is passed over three times, and no more."""
    passed_over: Counter[int] = Counter()
    for turn in world.turns:
        oldest = min(turn.waiting, key=lambda ticket: ticket.number)
        if oldest is not turn.ticket and (turn.ticket.paced or not oldest.paced):
            passed_over[oldest.number] += 1
    assert max(passed_over.values(), default=0) < FAIR


def test_turns_that_nobody_else_could_have_had_do_not_count() -> None:
    """A paced bulk call gets its turn, though a call without a message goes after each message."""
    schedule = Schedule(8, 1.0)
    bulk = join(schedule, Rank.BULK)
    seconds = 0
    while bulk.is_waiting:
        join(schedule, now=seconds)
        call = join(schedule, paced=False, now=seconds)
        for ticket in turns_booked(schedule, float(seconds)):
            schedule.leave(ticket)
        assert not call.is_waiting
        seconds += 1
        assert seconds <= FAIR


def turns_booked(schedule: Schedule, now: float) -> list[Ticket]:
    """Give all turns that are due, each for one part."""
    given = []
    while (ticket := schedule.next(now)) is not None:
        schedule.book(ticket, 1, now)
        given.append(ticket)
    return given


def test_an_urgent_one_waits_for_the_pace_of_two_requests_at_most() -> None:
    """That of the request before it, and of one whose turn it was by age (time goes by tenths)."""
    schedule = Schedule(8, 5.0)
    now, waits = 0.0, []
    bulk = join(schedule, Rank.BULK)
    for step in range(200):
        if step % 7 == 3:
            join(schedule, Rank.URGENT, now=now)
        while (ticket := schedule.next(now)) is not None:
            schedule.book(ticket, 5 if ticket.rank is Rank.BULK else 1, now)
            schedule.leave(ticket)
            if ticket.rank is Rank.BULK:
                bulk = join(schedule, Rank.BULK, now=now)
            else:
                waits.append(now - ticket.since)
        now += 0.1
    assert bulk.is_waiting
    assert len(waits) > 20
    assert max(waits) <= 2.0 + 2 * 0.1
