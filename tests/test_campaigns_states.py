"""What may become of a message: the table, and the ledger's SQL against it."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from insim_async import Clock
from insim_async._sqlite import Connection
from insim_async.campaigns import (
    CampaignMessage,
    CampaignState,
    Delivery,
    MessageStatus,
    _adding,
    _claims,
    _enrolled,
    _optouts,
    _rows,
    _runs,
    _spending,
)
from insim_async.campaigns._claims import Ask, Claim, Hold, Over, Result
from insim_async.campaigns._ledger import Ledger
from insim_async.campaigns._plan import Plan
from insim_async.campaigns._standing import plan_to_json
from insim_async.campaigns._states import FINAL, MOVES, Move, after, higher

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where a commit takes no time."""
ALL = {"first": 1, "last": 99}  # rows
P, F, S = MessageStatus.PENDING, MessageStatus.IN_FLIGHT, MessageStatus.SENT
SENT_BY_SOMEBODY = {F, S, MessageStatus.UNKNOWN}


class TestTable:
    def test_nothing_that_may_have_been_sent_goes_again_but_on_purpose(self) -> None:
        back = {move for move, (sources, target) in MOVES.items() if target is P}
        assert back == {Move.RELEASE, Move.RETRY, Move.RESEND}
        assert MOVES[Move.RELEASE] == ((F,), P)
        assert MOVES[Move.LOSE][1] is MessageStatus.UNKNOWN

    def test_what_was_sent_stays_so(self) -> None:
        assert [move for move, (sources, _) in MOVES.items() if S in sources] == []

    def test_every_move_leads_somewhere_and_from_somewhere_else(self) -> None:
        assert set(MOVES) == set(Move)
        assert all(sources and target not in sources for sources, target in MOVES.values())

    def test_a_move_changes_only_what_it_is_for(self) -> None:
        assert after(P, Move.CLAIM) is F
        assert after(S, Move.CLAIM) is S

    def test_only_two_states_are_not_final(self) -> None:
        assert set(MessageStatus) - {P, F} == FINAL

    def test_deliveries_only_rise(self) -> None:
        assert higher(Delivery.RECEIVED, Delivery.SENT) is Delivery.RECEIVED
        assert higher(Delivery.NONE, Delivery.SENT) is Delivery.SENT


class Ledgers(RuleBasedStateMachine):
    """A real ledger beside a dictionary, whatever happens to both."""

    MOST = 12

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=IN_MEMORY)
        self.now = 1_800_000_000.0
        self.clock = Clock(wall=lambda: self.now, random=lambda: 0.5)
        self.path = Path(self.folder.name) / "ledger.db"
        self.ledger = self.opened()
        self.begun: Any = None
        self.pace = _spending.Pace(Plan(), lambda: 0.5)
        self.status: dict[int, MessageStatus] = {}
        self.delivery: dict[int, Delivery] = {}
        self.attempt: Counter[int] = Counter()
        self.stopped: set[int] = set()
        self.claims: list[Claim] = []
        self.went: Counter[tuple[int, int]] = Counter()
        self.campaign_state = "open"

    def opened(self) -> Ledger:
        return Ledger.open(self.path, kind="campaign", name="", clock=self.clock, restored=False)

    def do(self, action: Any, **more: Any) -> Any:
        [result] = self.ledger.file.transact([partial(action, **more)])
        return result

    @property
    def campaign(self) -> int:
        return self.ledger.known.campaign

    def moved(self, move: Move, rows: Sequence[int]) -> None:
        for row in rows:
            self.status[row] = after(self.status[row], move)

    @initialize()
    def begin(self) -> None:
        plan = {"opened": self.ledger.known, "account": "me", "plan": "", "now": self.now}
        self.begun = self.do(_runs.begin_run, **plan).campaign
        self.moved(Move.LOSE, list(self.status))
        self.claims.clear()

    @precondition(lambda self: len(self.status) < self.MOST)
    @rule(count=st.integers(1, 4))
    def add(self, count: int) -> None:
        first = len(self.status) + 1
        rows = [[n, 33639980000 + n, "Hi", "", 1] for n in range(first, first + count)]

        def add(connection: Connection) -> Any:
            import msgspec

            _adding.begin_gathering(connection, "some")
            _adding.gather(connection, "some", msgspec.json.encode(rows).decode())
            added = _adding.add(
                connection, self.campaign, "some", template="t", priority=1, keep=False
            )
            _adding.discard(connection, "some")
            return added

        added = self.do(add)
        if self.campaign_state == "cancelled":
            assert isinstance(added, str)
            return
        assert added.new == count
        for n in range(first, first + count):
            self.status[n], self.delivery[n] = P, Delivery.NONE

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        ask = Ask(
            campaign=self.campaign,
            run=self.begun.run,
            epoch=self.begun.epoch,
            after=0,
            limit=limit,
            parts=99,
            rate=0.0,
            now=self.now,
            pace=self.pace,
        )
        found = self.do(_claims.claim, ask=ask)
        if self.campaign_state == "cancelled":
            assert isinstance(found, Over)
            assert found.drops is Move.CANCEL
            self.drop()
        elif self.campaign_state == "paused":
            assert isinstance(found, Hold)
        else:
            self.claimed(found, limit)

    def drop(self) -> None:
        self.do(_rows.move_between, campaign=self.campaign, move=Move.CANCEL, now=self.now, **ALL)
        self.moved(Move.CANCEL, list(self.status))

    def claimed(self, found: Claim, limit: int) -> None:
        rows = [row.row for row in found.rows]
        waiting = [row for row in self.status if self.status[row] is P]
        assert rows == [row for row in waiting if row not in self.stopped][: len(rows)]
        assert bool(rows) == any(row not in self.stopped for row in waiting)
        passed = [row for row in waiting if row in self.stopped and (not rows or row < rows[-1])]
        self.moved(Move.SUPPRESS, passed)
        late = [row for row in waiting if row in self.stopped and self.status[row] is P]
        [actual] = self.do(lambda c: [self.read(c)])
        self.moved(Move.SUPPRESS, [row for row in late if actual[row] is MessageStatus.SUPPRESSED])
        self.moved(Move.CLAIM, rows)
        if rows:
            self.claims.append(found)
            self.went.update((row, self.attempt[row]) for row in rows)

    def taken(self, data: st.DataObject) -> Claim:
        return self.claims.pop(data.draw(st.integers(0, len(self.claims) - 1)))

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        move=st.sampled_from([Move.ANSWER_SENT, Move.ANSWER_REFUSED, Move.LOSE, Move.UNFIT]),
    )
    def answer(self, data: st.DataObject, move: Move) -> None:
        rows = [row.row for row in self.taken(data).rows]
        results = [Result(move, rows)]
        self.do(_claims.record, campaign=self.campaign, results=results, now=self.now)
        self.moved(move, rows)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        claim = self.taken(data)
        rows = [row.row for row in claim.rows]
        back = {"rows": rows, "minute": claim.minute, "parts": len(rows), "now": self.now}
        self.do(_claims.release, campaign=self.campaign, **back)
        for row in rows:  # it is proven that it did not go
            if self.status[row] is F:
                self.went[row, self.attempt[row]] -= 1
        self.moved(Move.RELEASE, rows)

    @precondition(lambda self: self.status)
    @rule(data=st.data(), delivery=st.sampled_from([Delivery.SENT, Delivery.RECEIVED]))
    def report(self, data: st.DataObject, delivery: Delivery) -> None:
        row = data.draw(st.sampled_from(sorted(self.status)))
        sms_id = _rows.sms_id(self.begun.prefix, row, 0)
        about = {"sms_id": sms_id, "delivery": delivery, "is_its_number": lambda _: True}
        assert self.do(_rows.report, known=self.begun, now=self.now, **about)
        self.moved(Move.REPORT, [row])
        self.delivery[row] = higher(self.delivery[row], delivery)

    @rule(row=st.integers(1, MOST))
    def stop(self, row: int) -> None:
        self.do(_optouts.suppress, numbers=[33639980000 + row], now=self.now)
        self.stopped.add(row)

    @rule()
    def retry(self) -> None:
        rows = [row for row in self.status if self.delivery[row] is Delivery.NONE]
        before = dict(self.status)
        self.moved(Move.RETRY, rows)
        changed = sum(before[row] is not self.status[row] for row in before)
        assert self.do(_rows.retry, campaign=self.campaign, now=self.now, **ALL) == changed

    @precondition(lambda self: self.status)
    @rule(data=st.data())
    def resend(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(sorted(self.status)))
        sms_id = _rows.sms_id(self.begun.prefix, row, self.attempt[row])
        count = self.do(_rows.resend, known=self.begun, ids=[sms_id], now=self.now)
        assert count == (self.status[row] is MessageStatus.UNKNOWN)
        self.attempt[row] += count
        self.moved(Move.RESEND, [row])

    @precondition(lambda self: self.status)
    @rule(
        data=st.data(),
        move=st.sampled_from([Move.SETTLE_SENT, Move.SETTLE_REFUSED, Move.SETTLE_NOT_SENT]),
    )
    def settle(self, data: st.DataObject, move: Move) -> None:
        row = data.draw(st.sampled_from(sorted(self.status)))
        sms_id = _rows.sms_id(self.begun.prefix, row, self.attempt[row])
        done = self.do(_rows.settle, known=self.begun, sms_id=sms_id, move=move, now=self.now)
        assert done == (self.status[row] is MessageStatus.UNKNOWN)
        if done and move is Move.SETTLE_NOT_SENT:  # somebody found out
            self.went[row, self.attempt[row]] -= 1
        self.moved(move, [row])

    @rule()
    def pause(self) -> None:
        if self.do(_enrolled.set_state, campaign=self.campaign, state="paused", only=["open"]):
            self.campaign_state = "paused"

    @rule()
    def resume(self) -> None:
        if self.do(_enrolled.set_state, campaign=self.campaign, state="open", only=["paused"]):
            self.campaign_state = "open"

    @precondition(lambda self: len(self.status) >= self.MOST)
    @rule()
    def cancel(self) -> None:
        only = ["open", "paused"]
        if self.do(_enrolled.set_state, campaign=self.campaign, state="cancelled", only=only):
            self.campaign_state = "cancelled"
            self.drop()

    @rule()
    def crash(self) -> None:
        """Its process dies, and the next one opens the file."""
        self.ledger.close()
        self.ledger = self.opened()
        self.moved(Move.LOSE, list(self.status))
        self.begin()

    def read(self, connection: Connection) -> dict[int, MessageStatus]:
        states = list(MessageStatus)
        found = connection.execute("SELECT row, state FROM fate ORDER BY row").fetchall()
        return {row: states[state] for row, state in found}

    @invariant()
    def the_ledger_says_what_the_model_says(self) -> None:
        [actual] = self.do(lambda c: [self.read(c)])
        assert actual == self.status
        found = self.do(
            _rows.page,
            campaign=self.campaign,
            prefix="",
            status=None,
            after=0,
            limit=99,
            kind=CampaignMessage,
        )
        assert [message.delivery for message in found] == list(self.delivery.values())

    @invariant()
    def nobody_got_it_twice_but_on_purpose(self) -> None:
        assert set(self.went.values()) <= {0, 1}

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()


def test_a_real_ledger_does_what_the_table_says() -> None:
    run_state_machine_as_test(
        Ledgers, settings=settings(max_examples=25, stateful_step_count=30, deadline=None)
    )


class Drawn:
    """Stands for hypothesis where it is known what is to be drawn."""

    def __init__(self, value: int) -> None:
        self._value = value

    def draw(self, strategy: object) -> int:
        del strategy
        return self._value


def test_what_is_seldom_drawn_happens_too() -> None:
    """One is put back; a person finds out that one did not go; one is reported, then put back."""
    it: Any = Ledgers()
    it.begin()
    it.add(count=2)
    it.claim(limit=1)
    it.put_back(data=Drawn(0))
    it.claim(limit=2)
    it.answer(data=Drawn(0), move=Move.LOSE)
    it.settle(data=Drawn(1), move=Move.SETTLE_NOT_SENT)
    it.add(count=1)
    it.claim(limit=1)
    it.report(data=Drawn(3), delivery=Delivery.SENT)
    it.put_back(data=Drawn(0))
    it.cancel()
    it.add(count=1)
    it.claim(limit=1)
    it.the_ledger_says_what_the_model_says()
    it.nobody_got_it_twice_but_on_purpose()
    it.teardown()


def test_a_run_is_not_finished_where_somebody_was_added_at_the_last_moment() -> None:
    it: Any = Ledgers()
    it.begin()
    it.add(count=2)
    ended = {"begun": it.begun, "state": CampaignState.FINISHED, "reason": "", "now": it.now}
    state, counted = it.do(_runs.end_run, **ended)
    assert (state, counted["pending"]) == (CampaignState.OPEN, 2)
    it.teardown()


def test_a_plan_in_a_zone_without_a_name_is_not_kept() -> None:
    """Nobody could say later when its days begin."""
    assert plan_to_json(Plan(zone=timezone(timedelta(hours=1)))) == ""
    assert plan_to_json(Plan()) != ""
