"""Whether events are being handled is seen, said, and mended; and the file is copied meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import anyio
import pytest

from insim_async import ConfigurationError, Retry, _sqlite, _tasks
from insim_async.errors import InboxUnavailable
from insim_async.webhooks import CallEvent, DeliveryStatus, Event, IncomingSms, build_webhook
from insim_async.webhooks.inbox import (
    Inbox,
    InboxCounts,
    InboxHealth,
    _inbox,
    _mending,
    _run,
    _tending,
    _watch,
    _worker,
)
from insim_async.webhooks.inbox._looking import Choice
from tests.inboxes import ANY, NOW, Shop, Wall, claim_due, rows, settled, worked
from tests.waiting import until

SMS = IncomingSms(phone_number="+33639980001", message="bluedoor", at=datetime(2026, 1, 2, 3, 4))  # noqa: DTZ001 - as inSIM writes it
CALL = CallEvent(direction="missed")
AT_ONCE = Retry(attempts=1, base=0.0, cap=0.0)


pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture
def inbox(path: Path, wall: Wall) -> Iterator[Inbox]:
    with closing(Inbox.open(path, clock=wall.clock, retry=AT_ONCE)) as inbox:
        yield inbox


async def fail(event: Event) -> None:
    raise ValueError


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOW + seconds, UTC)


class TestHealth:
    async def test_of_an_empty_inbox_is_good(self, inbox: Inbox) -> None:
        assert await inbox.health() == InboxHealth()

    async def test_tells_what_waits_what_fails_and_who_works(
        self, inbox: Inbox, wall: Wall
    ) -> None:
        await inbox.put(SMS)
        wall += 5
        await inbox.put(CALL)
        await inbox._do(lambda connection: claim_due(connection, "crashed", 1, inbox._policy))
        change = "UPDATE events SET state = 'failing', due_at = ? WHERE kind = 'call'"
        await inbox._do(lambda connection: connection.execute(change, (NOW + 65,)).rowcount)
        wall += 31
        await inbox._do(lambda connection: _tending.tend(connection, "me", ANY, inbox._policy))
        kinds = frozenset({"call", "link_click"})
        await inbox._do(
            lambda connection: _tending.register(connection, "me", kinds, inbox._policy)
        )
        expected = InboxHealth(
            oldest_waiting=36.0,
            waiting=1,
            failing=1,
            suspects=1,
            workers=1,
            kinds=("call", "link_click"),
            unhandled=("incoming_sms",),
            last_claim=at(5),
        )
        assert await inbox.health() == expected

    async def test_counts_what_was_handed_over_again_from_then_on(
        self, inbox: Inbox, wall: Wall
    ) -> None:
        await inbox.put_unreadable(build_webhook(SMS).encode(), "who knows")
        wall += 86_400
        (found,) = await inbox.set_aside()
        assert await inbox.requeue(found.key)
        wall += 3
        assert (await inbox.health()).oldest_waiting == 3.0

    async def test_is_not_better_for_what_was_handed_over_again(
        self, inbox: Inbox, wall: Wall
    ) -> None:
        await inbox.put_unreadable(build_webhook(SMS).encode(), "who knows")
        wall += 10
        for number in range(2):
            await inbox.put(IncomingSms(message=str(number)))
        wall += 5
        (found,) = await inbox.set_aside()
        assert await inbox.requeue(found.key)
        wall += 3
        assert (await inbox.health()).oldest_waiting == 8.0

    @pytest.mark.parametrize(
        ("kinds", "claimed_before", "waited", "problem"),
        [
            (None, 1000.0, 60.0, ""),
            (None, 1000.0, 61.0, "2 events wait, the oldest for 61 s, and no worker runs"),
            (
                "incoming_sms",
                0.0,
                61.0,
                "2 events wait, the oldest for 61 s; no worker handles call",
            ),
            ("*", 50.0, 61.0, ""),
            (
                "*",
                70.0,
                61.0,
                "2 events wait, the oldest for 61 s, and no worker has claimed one for 70 s",
            ),
        ],
    )
    async def test_says_what_is_wrong(
        self,
        inbox: Inbox,
        wall: Wall,
        kinds: str | None,
        claimed_before: float,
        waited: float,
        problem: str,
    ) -> None:
        for event in (SMS, CALL):
            await inbox.put(event)
        wall += waited
        claimed_at = wall.time - claimed_before
        await inbox._do(
            lambda connection: connection.execute("UPDATE last_claim SET at = ?", (claimed_at,))
        )
        if kinds is not None:
            policy = inbox._policy
            await inbox._do(
                lambda connection: _tending.register(connection, "me", frozenset({kinds}), policy)
            )
        assert (await inbox.health()).problem == problem

    async def test_forgets_a_worker_that_is_gone(self, inbox: Inbox, wall: Wall) -> None:
        async with inbox.worker(Shop().router):
            await settled(inbox, InboxCounts())
            await worked(inbox)
        assert (await inbox.health()).workers == 0
        register = _tending.register
        await inbox._do(lambda connection: register(connection, "crashed", ANY, inbox._policy))
        wall += 29
        assert (await inbox.health()).workers == 1
        wall += 2
        assert (await inbox.health()).workers == 0
        await inbox._do(lambda connection: _tending.tend(connection, "me", ANY, inbox._policy))
        assert await inbox._do(
            lambda connection: connection.execute("SELECT count(*) FROM workers").fetchall()
        ) == [(0,)]

    async def test_is_part_of_what_an_operator_asks(self, inbox: Inbox, wall: Wall) -> None:
        for number in range(3):
            await inbox.put(IncomingSms(message=str(number)))
        await inbox.put_unreadable(b"nonsense", "no JSON")
        async with inbox.worker(Shop(fail).router):
            await settled(inbox, InboxCounts(set_aside=4))
            await inbox.put(CALL, key="a")
            await worked(inbox)
            await settled(inbox, InboxCounts(set_aside=5))
            status = await inbox.status()
        assert status.counts == InboxCounts(set_aside=5)
        assert status.health.set_aside == 5
        assert [(worker.kinds[0], worker.since, worker.claimed) for worker in status.workers] == [
            ("*", at(0), 0)
        ]
        assert {(f.kind, f.state, f.reason, f.count, f.oldest) for f in status.failures} == {
            ("incoming_sms", "set_aside", "ValueError", 3, at(0)),
            ("call", "set_aside", "ValueError", 1, at(0)),
            ("unreadable", "set_aside", "no JSON", 1, at(0)),
        }


class Minutes:
    """Lets somebody sleep until a test says that it is over."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.begun, self.over = anyio.Event(), anyio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.begun.set()
        await self.over.wait()
        self.over = anyio.Event()

    async def end(self) -> None:
        await self.begun.wait()
        self.begun = anyio.Event()
        self.over.set()


class TestAnInboxWithoutAWorker:
    async def test_says_so_each_minute_while_something_waits(
        self, inbox: Inbox, wall: Wall, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whoever takes events in does, since the worker that is not there cannot."""
        minutes = Minutes()
        wall.sleep = minutes.sleep
        await inbox.put(SMS)
        await inbox.put(CALL)
        for waits in (61, 122):
            wall += 61
            await minutes.end()
            await minutes.begun.wait()
            assert caplog.messages[-1] == (
                f"inbox: 2 events wait, the oldest for {waits} s, and no worker runs "
                "(is inbox.worker(...) entered? nobody runs the lifespan of a mounted app)"
            )
        assert minutes.slept == [_watch.MINUTE] * 3  # and not one for each event
        async with inbox.worker(Shop().router):
            await settled(inbox, InboxCounts(done=2))
        await minutes.end()
        await until(lambda: not inbox._watch._looked_from)
        await inbox.put(IncomingSms(message="b"))
        await minutes.begun.wait()
        assert (len(minutes.slept), len(caplog.messages)) == (4, 2)

    async def test_looks_again_where_the_file_does_not_answer(
        self, inbox: Inbox, wall: Wall, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        minutes = Minutes()
        wall.sleep = minutes.sleep
        await inbox.put(SMS)
        path.rename(path.with_name("away"))  # noqa: ASYNC240
        await minutes.end()
        await minutes.begun.wait()
        assert caplog.messages == [f"inbox: {path}: No such file or directory"]
        inbox.close()
        await minutes.end()
        await until(lambda: not inbox._watch._looked_from)

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_keeps_no_loop_from_ending(self, inbox: Inbox, backend: str) -> None:
        async def scenario() -> None:
            await inbox.put(SMS)

        anyio.run(scenario, backend=backend)
        assert inbox._watch._looked_from == set()


class TestAWorker:
    async def test_begins_anew_if_something_else_ends_it(
        self, inbox: Inbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with inbox.worker(Shop().router) as worker:
            for count in range(1, 4):
                await inbox.put(IncomingSms(message=str(count)))
                await settled(inbox, InboxCounts(done=count))  # and so it is alive again
                for task in list(_tasks._running):
                    task.cancel()
                await until(lambda: not worker.alive)
            await inbox.put(SMS)
            await settled(inbox, InboxCounts(done=4))
            assert worker.alive
        told = [message for message in caplog.messages if "cancelled" in message]
        assert told == ["inbox: the worker was cancelled from outside; it begins anew in 0 s"] * 3

    async def test_does_not_begin_anew_if_it_was_left_meanwhile(
        self, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        later: list[Callable[[], None]] = []
        monkeypatch.setattr("insim_async._tasks.later", lambda pause, start: later.append(start))
        async with inbox.worker(Shop().router) as worker:
            for task in list(_tasks._running):
                task.cancel()
            await until(lambda: not worker.alive)
        later[0]()
        assert not worker.alive

    async def test_waits_ever_longer_before_it_begins_anew(
        self, inbox: Inbox, wall: Wall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Unless it has lived for long."""
        monkeypatch.setattr(_run, "POLL", 1.0)
        worker = inbox.worker(Shop().router)
        async with worker as it:
            await until(lambda: it._began_at)
            pauses = [it._pause() for _ in range(9)]
            wall.uptime += 61
            assert [*pauses, it._pause()] == [1, 2, 4, 8, 16, 32, 60, 60, 60, 1]

    async def test_that_fails_can_be_left_while_it_waits(
        self,
        inbox: Inbox,
        wall: Wall,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(_run, "POLL", 3600.0)
        monkeypatch.setattr(_worker, "GRACE", 30.0)
        wall.chance = iter(()).__next__
        await inbox.put(SMS)
        with anyio.fail_after(10):
            async with inbox.worker(Shop(fail).router):
                await until(lambda: any("begins anew" in text for text in caplog.messages))
                await inbox.put(CALL)  # is no reason to begin sooner
                await anyio.lowlevel.checkpoint()


class TestWhatWasSetAside:
    async def filled(self, inbox: Inbox, wall: Wall, count: int = 5) -> list[str]:
        for number in range(count):
            wall += 1
            await inbox.put_unreadable(b"%d" % number, f"reason {number % 2}")
        return [found.key for found in await inbox.set_aside()]

    async def test_is_listed_page_by_page(self, inbox: Inbox, wall: Wall) -> None:
        """Though what was on the last page is gone meanwhile."""
        keys = await self.filled(inbox, wall)
        first = await inbox.set_aside(limit=2)
        await inbox.discard(first[-1].key)
        second = await inbox.set_aside(limit=2, after=first[-1].key)
        third = await inbox.set_aside(limit=2, after=second[-1].key)
        assert [found.key for found in [*first, *second, *third]] == keys
        assert await inbox.set_aside(after=keys[-1]) == []
        with pytest.raises(ConfigurationError, match="after: there is no such key"):
            await inbox.set_aside(after="nothing")

    @pytest.mark.parametrize(
        ("chosen", "expected"),
        [
            ({"kind": "unreadable"}, [0, 1, 2, 3, 4]),
            ({"kind": CallEvent}, [5]),
            ({"reason": "REASON 1"}, [1, 3]),
            ({"older_than": timedelta(seconds=3)}, [0, 1]),
            ({"kind": "unreadable", "reason": "0", "older_than": timedelta(0)}, [0, 2, 4]),
        ],
    )
    async def test_is_chosen_by_kind_reason_and_age(
        self, inbox: Inbox, wall: Wall, chosen: dict[str, Any], expected: list[int]
    ) -> None:
        await self.filled(inbox, wall)
        await inbox.put(CALL)
        async with inbox.worker(Shop(fail).router):
            await settled(inbox, InboxCounts(set_aside=6))
        wall += 0.5
        keys = [found.key for found in await inbox.set_aside()]
        assert [keys.index(found.key) for found in await inbox.set_aside(**chosen)] == expected
        assert await inbox.discard_all(**chosen) == len(expected)
        assert (await inbox.counts()).set_aside == 6 - len(expected)

    async def test_is_handed_over_again_all_at_once(
        self, inbox: Inbox, wall: Wall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_inbox, "SLICE", 2)
        for number in range(5):
            await inbox.put(IncomingSms(message=str(number)))
        await inbox.put_unreadable(b"nonsense", "no JSON")
        async with inbox.worker(Shop(fail).router):
            await settled(inbox, InboxCounts(set_aside=6))
        shop = Shop()
        async with inbox.worker(shop.router):
            assert await inbox.requeue_all(reason="valueerror") == 5
            await settled(inbox, InboxCounts(done=5, set_aside=1))
        assert await inbox.requeue_all() == 0

    async def test_is_handed_over_and_erased_by_an_index(self, inbox: Inbox) -> None:
        """In the order in which it was set aside: nobody sorts all of it for each slice."""
        await inbox.put_unreadable(b"nonsense", "no JSON")
        [last] = await inbox.set_aside()

        def plan(connection: sqlite3.Connection) -> str:
            where, values = Choice(after=last.key, limit=500).where(connection) or ("", {})
            explain = f"EXPLAIN QUERY PLAN SELECT key FROM events {where}"
            return " ".join(step for *_, step in connection.execute(explain, values))

        found = await inbox._do(plan)
        assert "events_aside" in found
        assert "ORDER BY" not in found

    async def test_that_waits_again_is_not_looked_at_one_by_one(
        self, inbox: Inbox, wall: Wall
    ) -> None:
        """A worker looks each second since when the first has waited."""
        for number in range(3):
            await inbox.put(IncomingSms(message=str(number)))
        many = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 5000)"
        copies = f"""{many}
            INSERT INTO events (key, kind, parameter, state, received_at, since)
            SELECT n, 'incoming_sms', '', 'waiting', {NOW}, {NOW} FROM n
        """
        await inbox._do(lambda connection: connection.execute(copies).rowcount)
        requeued = "UPDATE events SET since = received_at + {} WHERE id <= {}"
        wall += 100
        await inbox._do(lambda c: c.execute(requeued.format(50, 6000)).rowcount)
        await inbox._do(lambda c: c.execute(requeued.format(70, 2)).rowcount)
        steps: list[None] = []

        def look(connection: sqlite3.Connection) -> dict[str, float]:
            connection.set_progress_handler(lambda: steps.append(None), 100)
            return _tending.waiting_since(connection, NOW + 100)

        assert await inbox._do(look) == {"incoming_sms": NOW + 50}
        assert len(steps) < 300

    async def test_is_left_where_the_row_to_go_on_from_is_gone(self, inbox: Inbox) -> None:
        await inbox.put_unreadable(b"nonsense", "no JSON")
        choice = Choice(after="nothing")
        discard_all = partial(_mending.discard_all, choice=choice, until=NOW)
        assert await inbox._do(discard_all) == ("", 0)

    async def test_is_erased_when_nobody_has_looked_for_long(
        self, inbox: Inbox, wall: Wall, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With what people wrote; and somebody hears of it."""
        await inbox.put_unreadable(b"bluedoor", "no JSON")
        wall += 90 * 86_400 - 1
        async with inbox.worker(Shop().router):
            await inbox.put(CALL)
            await settled(inbox, InboxCounts(set_aside=1, done=1))
            wall += 2
            await settled(inbox, InboxCounts(done=2))
        assert b"bluedoor" not in path.read_bytes()  # noqa: ASYNC240
        assert caplog.messages == ["inbox: erased what had been set aside for too long: 1"]

    def test_is_kept_for_as_long_as_is_asked(self, path: Path, wall: Wall) -> None:
        async def scenario(inbox: Inbox) -> InboxCounts:
            await inbox.put_unreadable(b"a", "no JSON")
            wall.time += 1e9
            await inbox._do(lambda connection: claim_due(connection, "me", 8, inbox._policy))
            return await inbox.counts()

        with closing(Inbox.open(path, keep_set_aside=None, clock=wall.clock)) as inbox:
            assert asyncio.run(scenario(inbox)) == InboxCounts(set_aside=1)
        with pytest.raises(ConfigurationError, match="keep_set_aside must be 0 or more"):
            Inbox.open(path, keep_set_aside=timedelta(-1))

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"state": "lost"}, "state: expected one of waiting, failing, claimed"),
            ({"kind": 5}, "kind: expected a class of events, or its word"),
            ({"kind": str}, "kind: expected a class of events, or its word"),
            ({"older_than": 5}, "older_than: expected a timedelta"),
            ({"reason": "\ud800"}, "reason: expected a text"),
            ({"after": "\ud800"}, "key: expected that of an event"),
        ],
    )
    async def test_is_asked_for_in_words_that_make_sense(
        self, inbox: Inbox, wrong: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=words):
            await inbox.entries(**wrong)


async def test_entries_are_seen_in_any_state(inbox: Inbox, wall: Wall) -> None:
    await inbox.put(SMS)
    await inbox.put(DeliveryStatus(sms_id="1"))
    await inbox._do(lambda connection: claim_due(connection, "me", 1, inbox._policy))
    (claimed,), (waiting,) = [await inbox.entries(state) for state in ("claimed", "waiting")]
    assert (claimed.key, claimed.state, claimed.attempts) == (SMS.key, "claimed", 1)
    assert (waiting.kind, waiting.due_in) == ("delivery_status", None)
    assert await inbox.entries("waiting", after=waiting.key) == []
    assert await inbox.entry(SMS.key) == claimed
    assert claimed.query == build_webhook(SMS).encode()
    assert await inbox.entry("nothing") is None
    assert "bluedoor" not in repr(claimed)


async def test_counts_do_not_look_at_each_event(inbox: Inbox, path: Path) -> None:
    """They are kept with each change, whatever undoes it."""
    for number in range(20):
        await inbox.put(IncomingSms(message=str(number)))
    await inbox.rehearse(SMS)
    statements: list[str] = []
    await inbox._do(lambda connection: connection.set_trace_callback(statements.append))
    assert await inbox.counts() == InboxCounts(waiting=20)
    assert [statement for statement in statements if "FROM events" in statement] == []
    async with inbox.worker(Shop().router):
        await settled(inbox, InboxCounts(done=20))
    assert len(rows(path, "key")) == 20


class TestBackup:
    async def test_is_a_whole_inbox_for_its_owner_alone(
        self, inbox: Inbox, path: Path, tmp_path: Path
    ) -> None:
        await inbox.put(SMS)
        await inbox.backup(tmp_path / "copy.db")
        assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
        await inbox.put(CALL)
        left = [file.name for file in tmp_path.iterdir()]  # noqa: ASYNC240
        assert sorted(left) == ["copy.db", "inbox.db", "inbox.db-journal"]
        with closing(Inbox.open(tmp_path / "copy.db")) as copy:
            assert await copy.counts() == InboxCounts(waiting=1)
            assert not await copy.put(SMS)

    async def test_leaves_the_locks_of_this_process(self, inbox: Inbox, tmp_path: Path) -> None:
        """Whoever reads the file in another way here loses them."""
        begun, tried = anyio.Event(), anyio.Event()
        tell = asyncio.get_running_loop().call_soon_threadsafe

        def slow(connection: sqlite3.Connection) -> bool:
            tell(begun.set)
            while not tried.is_set():
                pass
            return True

        await inbox.put(SMS)
        await inbox.backup(tmp_path / "copy.db")
        program = "import sqlite3, sys; sqlite3.connect(sys.argv[1], 0).execute('BEGIN IMMEDIATE')"
        async with anyio.create_task_group() as group:
            group.start_soon(inbox._do, slow)
            await begun.wait()
            run = await anyio.run_process(
                ["python3", "-c", program, str(tmp_path / "inbox.db")], check=False
            )
            tried.set()
        assert b"database is locked" in run.stderr

    async def test_is_never_over_what_is_there(self, inbox: Inbox, tmp_path: Path) -> None:
        for to in (tmp_path / "inbox.db", tmp_path):
            with pytest.raises(ConfigurationError, match="File exists"):
                await inbox.backup(to)
        with pytest.raises(ConfigurationError, match="No such file or directory"):
            await inbox.backup(tmp_path / "nowhere" / "copy.db")

    async def test_lets_whoever_puts_wait(self, inbox: Inbox, tmp_path: Path) -> None:
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(inbox.put, IncomingSms(message=str(number)))
                group.start_soon(inbox.backup, tmp_path / f"{number}.db")
        assert await inbox.counts() == InboxCounts(waiting=20)

    async def test_says_what_is_wrong_with_the_file(
        self, inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> NoReturn:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(_sqlite.file, "_copy", fail)
        with pytest.raises(InboxUnavailable, match="disk I/O error"):
            await inbox.backup(tmp_path / "copy.db")
        assert not (tmp_path / "copy.db").exists()
        inbox.close()
        with pytest.raises(ConfigurationError, match="the inbox is closed"):
            await inbox.backup(tmp_path / "copy.db")
