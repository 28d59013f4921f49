"""What holds for a million rows as it does for three: nobody waits long for the file."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from insim_async import AsyncInSim, ConfigurationError
from insim_async._sending import Room
from insim_async._sqlite import Desk
from insim_async.campaigns import Campaign, Limits, _claims, _ledger, _rows, _runs, _statements
from insim_async.campaigns._claiming import Claiming
from insim_async.campaigns._claims import Claim
from insim_async.campaigns._states import Move
from insim_async.outbox import _statements as outbox_statements

from .campaigns import TEXT, changes, number, people, rows, statements_of, statuses
from .conftest import BASE_URL, KEY, LOGIN, Gateway

Open = Callable[..., Campaign]

LOOKS_AT_ALL = {
    "ADD",  # a list that is given, once
    "CHANGED",
    "GIVEN",
    "COUNTS",
    "LEFT",
    "REACHED_BEFORE",
    "UNDER_WAY",  # from the last row on, where it is found
}
"""Statements that may look at all rows, since they are asked for once a run or by whoever looks."""


def named_statements() -> Iterator[Any]:
    for module in (_statements, outbox_statements):
        for name, statement in vars(module).items():
            if isinstance(statement, str) and re.match(
                r"\s*(SELECT|INSERT|UPDATE|DELETE)", statement
            ):
                yield pytest.param(name, statement, id=f"{module.__name__.split('.')[1]}-{name}")


def plan(statement: str) -> str:
    """How a statement goes about it, in a file without rows."""
    statement = statement.format(table="incoming", states="1")
    values = dict.fromkeys(re.findall(r":(\w+)", statement), 1)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_statements.LAYOUT.schema)
        connection.execute(_statements.GATHERING.format(table="incoming"))
        found = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    return "\n".join(step for *_, step in found)


@pytest.mark.parametrize(("name", "statement"), [*named_statements()])
def test_rows_are_found_by_an_index(name: str, statement: str) -> None:
    """But for those that are to look at all of them."""
    scans = re.findall(r"SCAN (?:TABLE )?(fate|f|message|m|spent|reached|temp)\b", plan(statement))
    assert not scans or name in LOOKS_AT_ALL


@pytest.mark.parametrize("name", ["SPENT_SINCE", "SPENT_LATELY", "PRUNE"])
def test_what_was_spent_is_found_by_its_minute(name: str) -> None:
    assert "SEARCH spent USING INTEGER PRIMARY KEY" in plan(getattr(_statements, name))


def test_who_is_known_is_found_by_number() -> None:
    """Though the column of numbers has no type, since an outbox keeps its ids there."""
    assert "(campaign=? AND key=?)" in plan(_statements.CHANGED)
    assert plan(_statements.ROWS_OF).count("(campaign=? AND key=?)") == 2


def test_a_slice_that_is_blanked_is_found_by_its_rows() -> None:
    assert "INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in plan(_statements.FORGET_MESSAGES)


@pytest.fixture
async def one_by_one() -> AsyncIterator[AsyncInSim]:
    """Send each message in a request of its own, one at a time."""
    async with AsyncInSim(LOGIN, KEY, base_url=BASE_URL, batch_size=1, max_concurrency=1) as insim:
        yield insim


@pytest.fixture
def slices_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ledger, "SLICE", 2)
    monkeypatch.setattr(_ledger, "BREATH", 0.0)


@pytest.mark.usefixtures("slices_of_two")
class TestWhatChangesAllRows:
    """It does so a slice at a time, in transactions of their own."""

    async def test_cancel(self, campaign: Campaign) -> None:
        await campaign.add(people(7), TEXT)
        changed = changes(campaign._ledger.file)
        assert await campaign.cancel()
        assert await statuses(campaign) == ["cancelled"] * 7
        assert max(changed) == 2

    async def test_cancel_goes_on_where_it_was_killed(self, campaign: Campaign) -> None:
        await campaign.add(people(7), TEXT)
        await campaign._set("cancelled", only=["open"])
        assert await statuses(campaign) == ["pending"] * 7
        assert not await campaign.cancel()
        assert await statuses(campaign) == ["cancelled"] * 7

    async def test_cancel_comes_too_late(self, campaign: Campaign, insim: AsyncInSim) -> None:
        await campaign.add(people(3), TEXT)
        await campaign.run(insim)
        assert not await campaign.cancel()
        assert await statuses(campaign) == ["sent"] * 3

    async def test_a_run_goes_on_where_cancel_was_killed(
        self, campaign: Campaign, insim: AsyncInSim
    ) -> None:
        await campaign.add(people(7), TEXT)
        await campaign._set("cancelled", only=["open"])
        changed = changes(campaign._ledger.file)
        assert (await campaign.run(insim)).cancelled == 7
        assert max(changed) == 2

    async def test_retry(self, campaign: Campaign, path: Path) -> None:
        await campaign.add(people(7), TEXT)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE fate SET state = 4")
        changed = changes(campaign._ledger.file)
        assert await campaign.retry() == 7
        assert max(changed) == 2

    async def test_what_is_too_late(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await campaign.add(people(7), TEXT)
        changed = changes(campaign._ledger.file)
        report = await campaign.run(insim, until=datetime(2020, 1, 1, tzinfo=UTC))
        assert report.expired == 7
        assert max(changed) == 2
        assert not gateway.requests

    async def test_what_another_run_has_taken_over_is_its_own(self, campaign: Campaign) -> None:
        await campaign.add(people(3), TEXT)
        run = campaign._ledger.known.run
        drop = partial(_runs.drop, campaign=campaign._ledger.known.campaign, now=0.0, why="late")
        drop = partial(drop, move=Move.EXPIRE, first=1, last=9)
        assert await campaign._ledger.do(partial(drop, run=run + 1)) == 0
        assert await campaign._ledger.do(partial(drop, run=run)) == 3

    async def test_forget(self, campaign: Campaign, path: Path) -> None:
        await campaign.add(people(7), TEXT)
        await campaign.cancel()
        changed = changes(campaign._ledger.file)
        await campaign.forget()
        assert max(changed) == 2
        assert rows(path, "SELECT DISTINCT phone, text FROM message") == [(0, "")]

    async def test_forget_goes_on_where_it_was_killed(self, campaign: Campaign, path: Path) -> None:
        await campaign.add(people(7), TEXT)
        await campaign.cancel()
        await campaign._do(_rows.close_for_good)
        with pytest.raises(ConfigurationError, match="forgotten"):
            await campaign.add(people(9), TEXT)
        await campaign.forget()
        assert rows(path, "SELECT DISTINCT phone, text FROM message") == [(0, "")]


class TestMany:
    @pytest.mark.parametrize("name", ["suppress", "unsuppress"])
    async def test_numbers_take_no_more_statements_than_one(
        self, campaign: Campaign, name: str
    ) -> None:
        """Each step in a thread waits for the interpreter's lock."""
        said = await statements_of(campaign._ledger)
        await getattr(campaign, name)([number(0)])
        of_one = len(said)
        await getattr(campaign, name)([number(place) for place in range(1200)])
        assert len(said) == 2 * of_one

    async def test_unknown_messages_take_no_more_statements_than_one(
        self, campaign: Campaign, path: Path
    ) -> None:
        await campaign.add(people(50), TEXT)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE fate SET state = 5, receipt = 'theirs-' || row")
        said = await statements_of(campaign._ledger)
        assert await campaign.resend(["theirs-1"], allow_duplicates=True) == 1
        of_one = len(said)
        ids = [f"theirs-{row}" for row in range(2, 60)]
        assert await campaign.resend(ids, allow_duplicates=True) == 49
        assert len(said) == 2 * of_one

    async def test_a_list_is_waited_for_as_long_as_it_takes(
        self, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A million people are one statement."""
        do, timeouts = Desk.do, list[float]()

        async def watched(desk: Desk, action: Any, timeout: float = 0.0) -> Any:  # noqa: ASYNC109 - theirs
            timeouts.append(timeout)
            return await do(desk, action, timeout)

        monkeypatch.setattr(Desk, "do", watched)
        await campaign.add(people(2), TEXT)
        assert timeouts == [_ledger.TIMEOUT, _ledger.TIMEOUT, math.inf]

    async def test_another_process_is_waited_for(self, campaign: Campaign) -> None:
        """As long as it may take to add a list; but not so long that nobody says why."""
        assert campaign._ledger.file._patience == _ledger.PATIENCE < _ledger.TIMEOUT


class TestWhoHasOptedOutInARow:
    async def test_is_passed_over_in_few_looks(
        self, campaign: Campaign, one_by_one: AsyncInSim
    ) -> None:
        """However few go at a time."""
        await campaign.add(people(1200), TEXT)
        await campaign.suppress([number(place) for place in range(1200)])
        said = await statements_of(campaign._ledger)
        assert (await campaign.run(one_by_one)).suppressed == 1200
        assert len([each for each in said if "is_stopped" in each]) < 10

    @pytest.mark.usefixtures("gateway")
    async def test_is_passed_over_in_several_transactions(
        self, campaign: Campaign, one_by_one: AsyncInSim, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_claims, "MOST_AT_A_TIME", 4)
        monkeypatch.setattr(_claims, "LOOK", 2)
        await campaign.add(people(30), TEXT)
        await campaign.suppress([number(place) for place in range(29)])
        changed, told = changes(campaign._ledger.file), list[int]()
        report = await campaign.run(
            one_by_one, on_progress=lambda status: told.append(status.counts.suppressed)
        )
        assert (report.suppressed, report.sent) == (29, 1)
        assert told[0] == 29
        assert max(changed) < 12


class TestLooks:
    async def test_begin_where_something_is_pending(
        self, open_campaign: Open, insim: AsyncInSim
    ) -> None:
        """Not at the first row each second, while a limit holds it up."""
        first, second = open_campaign(), open_campaign(name="second")
        await first.add(people(1), TEXT)
        await second.add(people(1), TEXT)
        await first.run(insim, limits=Limits(per_minute=1))
        said = await statements_of(second._ledger)
        assert (await second.run(insim)).sent == 1
        looks = [each for each in said if "is_stopped" in each]
        assert len([each for each in looks if "f.row > 1 " in each]) > 50
        assert len([each for each in looks if "f.row > 0 " in each]) < 5

    async def test_are_not_repeated_where_nothing_has_changed(self, campaign: Campaign) -> None:
        """At the end all workers find nothing, one after the other."""
        await campaign.add(people(1), TEXT)
        looked: list[int] = []

        def nothing(connection: sqlite3.Connection, ask: _claims.Ask) -> Claim:
            del connection
            looked.append(ask.after)
            return Claim([], 0, ask.epoch, 0, 0, is_waiting=True)

        progress: Any = type("Progress", (), {"rate": 0.0, "pending": 0, "is_told": False})()
        progress.moved = lambda move, count: None
        pace: Any = type("Pace", (), {"plan": None})()
        claiming = Claiming(campaign._ledger, campaign._ledger.known, pace, progress, nothing)
        for _ in range(3):
            found = await claiming.claim(Room(1, 1.0), None)
            assert isinstance(found, Claim)
            assert found.is_waiting
        assert looked == [0]
        await campaign.pause()
        await claiming.claim(Room(1, 1.0), None)
        assert looked == [0, 0]

    def test_what_is_under_way_is_found_from_the_end(self) -> None:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(_statements.LAYOUT.schema)
            connection.execute("""
                WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 5000)
                INSERT INTO fate (campaign, state) SELECT 1, iif(n = 5000, 1, 2) FROM n
            """)
            steps: list[None] = []
            connection.set_progress_handler(lambda: steps.append(None), 100)
            assert connection.execute(_statements.UNDER_WAY, {"campaign": 1}).fetchone() == (1,)
            assert not steps
