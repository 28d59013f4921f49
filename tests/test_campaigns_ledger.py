"""The file of a campaign and its lock: who may run it, and what is refused."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from insim_async import AsyncInSim, ConfigurationError
from insim_async.campaigns import (
    Campaign,
    CampaignBusy,
    CampaignReport,
    CampaignStopped,
    LedgerUnavailable,
    _ledger,
)
from insim_async.campaigns._lock import Holder, RunLock, release_all
from insim_async.errors import NotSent

from .campaigns import TEXT, people, processed, rows, statuses, waits
from .conftest import BASE_URL, KEY, LOGIN, Gateway, Hours

Open = Callable[..., Campaign]


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no lock that somebody has."""
    monkeypatch.setattr(_ledger, "BUSY_FOR", 0.0)


def client(hours: Hours, **more: Any) -> AsyncInSim:
    return AsyncInSim(**{"login": LOGIN, "access_key": KEY, "base_url": BASE_URL, **more})


class TestOpening:
    def test_it_needs_no_event_loop_and_makes_a_file_for_its_owner_alone(self, path: Path) -> None:
        Campaign.open(path).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA application_id").fetchone() == (0x696E534C,)

    @pytest.mark.parametrize("name", ["a b", "é", "x" * 65, "../a", "-", 5])
    def test_a_name_is_a_plain_word(self, path: Path, name: Any) -> None:
        with pytest.raises(ConfigurationError, match="name"):
            Campaign.open(path, name=name)

    def test_one_file_holds_several(self, open_campaign: Open, path: Path) -> None:
        open_campaign(name="spring"), open_campaign(name="autumn"), open_campaign()
        names = rows(path, "SELECT name FROM campaign ORDER BY name")
        assert names == [("",), ("autumn",), ("spring",)]

    def test_another_kind_of_file_is_refused(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE t (x)")
        with pytest.raises(ConfigurationError, match="something else"):
            Campaign.open(path)

    def test_an_inbox_is_refused(self, path: Path) -> None:
        from insim_async.webhooks.inbox import Inbox

        Inbox.open(path).close()
        with pytest.raises(ConfigurationError, match="something else"):
            Campaign.open(path)

    @pytest.mark.parametrize("damage", ["cut", "newer", "readable", "link", "empty"])
    def test_a_file_that_cannot_be_used_says_why(
        self, path: Path, damage: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        Campaign.open(path).close()
        match damage:
            case "cut":
                os.truncate(path, 4096)
            case "empty":
                os.truncate(path, 0)
            case "newer":
                with closing(sqlite3.connect(path)) as connection:
                    connection.execute("PRAGMA user_version = 99")
            case "link":
                path.rename(path.with_suffix(".real"))
                path.symlink_to(path.with_suffix(".real"))
            case _:
                path.chmod(0o644)
        if damage == "readable":
            Campaign.open(path).close()
            assert "was open to others" in caplog.text
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        else:
            with pytest.raises(ConfigurationError, match=str(path)):
                Campaign.open(path)

    def test_a_lock_file_that_cannot_be_used_says_why(self, path: Path) -> None:
        path.with_name(f"{path.name}.campaign.lock").mkdir()
        with pytest.raises(ConfigurationError, match="lock"):
            Campaign.open(path)

    async def test_a_closed_one_is_closed(self, campaign: Campaign) -> None:
        campaign.close()
        with pytest.raises(ConfigurationError, match="the campaign is closed"):
            await campaign.status()


class TestAccount:
    async def test_the_first_client_binds_the_file(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway, hours: Hours
    ) -> None:
        await campaign.add(people(1), TEXT)
        await campaign.run(insim)
        async with client(hours, access_key="another") as again:
            assert (await campaign.run(again)).state == "finished"
        for more in [{"login": "you@example.com"}, {"base_url": "https://sandbox.test"}]:
            async with client(hours, **more) as other:
                with pytest.raises(ConfigurationError, match="another account"):
                    await campaign.run(other)
        assert processed(gateway) == 1

    async def test_a_dry_run_would_be_taken_for_sent(
        self, campaign: Campaign, hours: Hours, gateway: Gateway
    ) -> None:
        async with client(hours, dry_run=True) as insim:
            with pytest.raises(ConfigurationError, match="dry_run"):
                await campaign.run(insim)

    async def test_it_needs_a_client_that_is_open(self, campaign: Campaign, hours: Hours) -> None:
        with pytest.raises(ConfigurationError, match="not open"):
            await campaign.run(client(hours))
        with pytest.raises(ConfigurationError, match="AsyncInSim"):
            await campaign.run(object())  # type: ignore[arg-type]


class TestLock:
    async def test_a_second_run_is_refused_and_says_who_has_it(
        self, open_campaign: Open, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        mine, other = open_campaign(), open_campaign()
        await mine.add(people(3), TEXT)
        told: list[CampaignBusy] = []

        async with anyio.create_task_group() as group:
            await mine.pause()
            group.start_soon(mine.run, insim)
            await waits(other)
            for each in (mine, other):
                with pytest.raises(CampaignBusy) as caught:
                    await each.run(insim)
                told.append(caught.value)
            with pytest.raises(CampaignBusy):
                await other.forget()
            await mine.resume()
        assert {busy.pid for busy in told} == {os.getpid()}
        assert all(busy.host and busy.since is not None for busy in told)
        assert processed(gateway) == 3

    def test_a_forked_child_does_not_keep_it(self, tmp_path: Path) -> None:
        lock, other = RunLock(tmp_path / "lock"), RunLock(tmp_path / "lock")
        assert lock.acquire(0.0)
        here, there = os.pipe()
        lives, began = os.pipe()
        child = os.fork()
        if not child:  # pragma: no cover - it ends without telling what it did
            os.close(there)
            os.write(began, b".")
            os.read(here, 1)  # it outlives the lock of its parent
            os._exit(0 if not lock.is_held else 1)
        os.read(lives, 1)
        assert not other.acquire(0.0)
        lock.release()
        assert other.acquire(0.0)
        os.write(there, b".")
        assert os.waitpid(child, 0)[1] == 0
        other.release()
        for end in (here, there, lives, began):
            os.close(end)

    def test_what_a_child_does_leaves_all_locks_free(self, tmp_path: Path) -> None:
        lock, other = RunLock(tmp_path / "lock"), RunLock(tmp_path / "lock")
        assert lock.acquire(0.0)
        held = [lock.is_held]
        release_all()
        assert [*held, lock.is_held] == [True, False]
        lock.release()  # once more, which does nothing
        assert other.acquire(0.0)
        other.release()

    def test_it_is_gone_with_its_process_however_that_ends(self, tmp_path: Path) -> None:
        lives, began = os.pipe()
        child = os.fork()
        if not child:  # pragma: no cover - it ends without telling what it did
            os.write(began, b"%d" % RunLock(tmp_path / "lock").acquire(0.0))
            signal.pause()
        assert os.read(lives, 1) == b"1"
        lock = RunLock(tmp_path / "lock")
        assert not lock.acquire(0.0)
        holder = lock.holder()
        assert holder is not None
        assert holder.pid == child
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(lives)
        os.close(began)
        assert lock.holder() is None
        assert lock.acquire(0.0)
        lock.release()

    def test_a_lock_file_that_another_has_replaced_is_not_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lock = RunLock(tmp_path / "lock")
        monkeypatch.setattr(os.path, "samestat", lambda *_: False)
        assert not lock.acquire(0.0)

    def test_one_that_nobody_can_read_says_nothing(self, tmp_path: Path) -> None:
        lock = RunLock(tmp_path / "lock")
        assert (lock.epoch(), lock.holder()) == (0, None)
        assert lock.acquire(0.0)
        lock.path.write_bytes(b"nonsense")
        assert (lock.epoch(), lock.holder()) == (0, Holder())
        lock.path.unlink()
        assert not lock._is_there(0)
        lock.release()
        lock.mark(3)

    async def test_a_run_whose_place_was_taken_stops_and_changes_nothing(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway, path: Path
    ) -> None:
        """Somebody has removed the lock file, and another process runs it now."""
        await campaign.add(people(3), TEXT)
        await campaign.pause()

        async def take_over() -> None:
            await waits(campaign)
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("UPDATE campaign SET run = run + 1, state = 'open'")
                connection.commit()

        async with anyio.create_task_group() as group:
            group.start_soon(take_over)
            with pytest.raises(CampaignStopped, match="has taken its place"):
                await campaign.run(insim)
        assert rows(path, "SELECT state FROM campaign") == [("open",)]
        assert gateway.requests == []


class TestCopies:
    async def test_an_older_copy_is_refused(
        self, open_campaign: Open, insim: AsyncInSim, path: Path, gateway: Gateway
    ) -> None:
        campaign = open_campaign()
        await campaign.add(people(250), TEXT)
        copy = path.with_suffix(".copy")
        shutil.copy(path, copy)
        await campaign.run(insim)
        campaign.close()
        copy.rename(path)
        with pytest.raises(ConfigurationError, match="older copy"):
            open_campaign()
        restored = open_campaign(restored=True)
        assert set(await statuses(restored)) == {"unknown"}
        assert (await restored.run(insim)).unknown == 250
        open_campaign()
        assert processed(gateway) == 250

    async def test_one_that_is_put_back_in_the_middle_of_a_run_ends_it(
        self, campaign: Campaign, hours: Hours, gateway: Gateway, path: Path
    ) -> None:
        await campaign.add(people(30), TEXT)
        copy = path.with_suffix(".copy")

        def put_back(messages: list[dict[str, Any]]) -> httpx.Response:
            copy.replace(path)
            return gateway.take(messages)

        def make_it(messages: list[dict[str, Any]]) -> httpx.Response:
            shutil.copy(path, copy)
            return gateway.take(messages)

        gateway.answers = [make_it, gateway.take, put_back]
        async with client(hours, batch_size=5, max_concurrency=1) as insim:
            with pytest.raises(CampaignStopped, match="older copy"):
                await campaign.run(insim)
        assert processed(gateway) == 15

    async def test_nothing_is_restored_under_a_run(
        self, open_campaign: Open, insim: AsyncInSim
    ) -> None:
        campaign = open_campaign()
        await campaign.add(people(1), TEXT)
        assert campaign._ledger.lock.acquire(0.0)
        with pytest.raises(ConfigurationError, match="somebody runs it"):
            open_campaign(restored=True)
        campaign._ledger.lock.release()

    async def test_what_crashed_is_unknown_at_the_next_opening(
        self, open_campaign: Open, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        campaign = open_campaign()
        await campaign.add(people(3), TEXT)
        campaign.close()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE fate SET state = 1 WHERE row < 3")
            connection.commit()
        campaign = open_campaign()
        assert await statuses(campaign) == ["unknown", "unknown", "pending"]
        assert "2 messages may have been sent" in caplog.text


class TestFullDisk:
    async def test_while_claiming_nothing_is_sent_and_it_stops(
        self,
        campaign: Campaign,
        insim: AsyncInSim,
        gateway: Gateway,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        await campaign.add(people(3), TEXT)
        begin = campaign._ledger.begin

        def full(action: Any) -> Any:
            def fail(connection: sqlite3.Connection) -> Any:
                action(connection)
                raise sqlite3.OperationalError("database or disk is full")

            return begin(fail)

        monkeypatch.setattr(campaign._ledger, "begin", full)
        with pytest.raises(CampaignStopped, match="cannot be written") as caught:
            await campaign.run(insim)
        assert isinstance(caught.value.cause, LedgerUnavailable)
        assert gateway.requests == []
        assert await statuses(campaign) == ["pending"] * 3

    async def test_while_recording_the_answer_is_kept_and_written_when_there_is_room(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway, path: Path
    ) -> None:
        await campaign.add(people(3), TEXT)
        fails = 2

        def sometimes(statement: str) -> None:
            nonlocal fails
            if "SET state = 2" in statement and fails:
                fails -= 1
                connection = campaign._ledger.file._connection
                assert connection is not None
                connection.interrupt()

        await campaign.status()
        connect = campaign._ledger.file._connected

        def watched() -> sqlite3.Connection:
            connection = connect()
            connection.set_trace_callback(sometimes)
            return connection

        campaign._ledger.file._connected = watched  # type: ignore[method-assign]
        assert (await campaign.run(insim)).sent == 3
        assert (fails, processed(gateway)) == (0, 3)

    async def test_where_it_stays_full_the_rows_are_unknown_at_the_next_opening(
        self, open_campaign: Open, insim: AsyncInSim, gateway: Gateway, path: Path
    ) -> None:
        campaign = open_campaign()
        await campaign.add(people(3), TEXT)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE UPDATE ON fate WHEN new.state = 2 "
                "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
            )
        with pytest.raises(CampaignStopped, match="cannot be written") as caught:
            await campaign.run(insim)
        assert isinstance(caught.value.cause, LedgerUnavailable)
        campaign.close()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TRIGGER full")
        assert await statuses(open_campaign()) == ["unknown"] * 3
        assert processed(gateway) == 3


def test_errors_survive_a_pickle() -> None:
    report = CampaignReport(state="stopped", pending=3)  # type: ignore[arg-type]
    stopped = CampaignStopped("why", cause=NotSent("down"), report=report)
    again = pickle.loads(pickle.dumps(stopped))
    assert (str(again), str(again.cause), again.report) == ("why", "down", report)
    busy = pickle.loads(pickle.dumps(CampaignBusy("x", pid=1, host="a")))
    assert (busy.pid, busy.host, busy.since) == (1, "a", None)
