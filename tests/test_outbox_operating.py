"""An outbox is looked at and mended from a command line; nothing of people is shown unasked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import anyio.to_thread
import pytest

from insim_async import AsyncInSim, Clock
from insim_async.campaigns import Campaign
from insim_async.outbox import Outbox, OutboxHealth, __main__
from insim_async.outbox._operating import _status_lines

from .campaigns import lost
from .conftest import Gateway
from .outboxes import TEXT, becomes, number, sms


async def operate(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    """Run a command in a thread, since it has an event loop of its own."""
    code = await anyio.to_thread.run_sync(__main__.main, [str(each) for each in arguments])
    return code, capsys.readouterr().out.splitlines()


@pytest.fixture
async def used(open_outbox: Callable[..., Outbox], insim: AsyncInSim, gateway: Gateway) -> Outbox:
    """A message that was sent, one that may have been, and one that waits; by today's clock."""
    outbox = open_outbox(clock=Clock())
    gateway.answers = [gateway.take, lost]
    async with outbox.worker(insim):
        for sms_id, status in (("taken", "sent"), ("unsure", "unknown")):
            await outbox.put(sms(sms_id))
            await becomes(outbox, status, sms_id)
    await outbox.put(sms("later", 2))
    return outbox


class TestStatus:
    async def test_says_what_wants_attention(
        self, used: Outbox, path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, lines = await operate(capsys, "status", path)
        assert code == 1
        assert lines[0] == "due 1 · scheduled 0 · in flight 0 · not sent 0 · unknown 1"
        assert lines[1].startswith("the one that waited for longest is due for ")
        assert lines[2:] == ["no worker runs", "nothing is in the way"]
        code, [line] = await operate(capsys, "status", path, "--json")
        assert json.loads(line)["unknown"] == 1

    async def test_is_well_where_nothing_waits(
        self, outbox: Outbox, path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, lines = await operate(capsys, "status", path)
        assert (code, lines[1:]) == (0, ["no worker runs", "nothing is in the way"])

    def test_says_why_it_waits(self) -> None:
        health = OutboxHealth(
            is_running=True,
            reason="login or access key were refused",
            waiting_until=datetime(2027, 1, 1, tzinfo=UTC),
            failing_since=datetime(2026, 12, 31, tzinfo=UTC),
            problem="login or access key were refused",
        )
        assert list(_status_lines(health))[1:] == [
            "a worker sends",
            "it waits: login or access key were refused, until 2027-01-01 00:00:00 UTC",
            "nothing has got through since 2026-12-31 00:00:00 UTC",
            "login or access key were refused",
        ]


class TestLooking:
    async def test_lists_messages(
        self, used: Outbox, path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, lines = await operate(capsys, "list", path)
        assert (code, [line.split("  ")[:2] for line in lines]) == (
            0,
            [["taken", "sent"], ["unsure", "unknown"], ["later", "pending"]],
        )
        assert TEXT not in str(lines)
        assert number() not in str(lines)
        code, lines = await operate(capsys, "list", path, "--status", "unknown", "--content")
        assert (len(lines), TEXT in lines[0], number() in lines[0]) == (1, True, True)
        assert len((await operate(capsys, "list", path, "--limit", "2"))[1]) == 2
        code, lines = await operate(capsys, "list", path, "--all", "--json")
        assert [json.loads(line)["sms_id"] for line in lines] == ["taken", "unsure", "later"]

    async def test_shows_one(
        self, used: Outbox, path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, lines = await operate(capsys, "show", path, "taken")
        assert (code, lines[:2]) == (0, ["sms id: taken", "status: sent"])
        code, [line] = await operate(capsys, "show", path, "taken", "--json", "--content")
        assert json.loads(line)["text"] == TEXT
        code, lines = await operate(capsys, "show", path, "nobody")
        assert (code, lines) == (1, ["nobody: there is no such message"])


class TestMending:
    async def test_retries_and_cancels(
        self, used: Outbox, path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        await used.settle("unsure", "not_sent")
        assert await operate(capsys, "retry", path) == (0, ["tried again: 1"])
        assert await operate(capsys, "cancel", path, "later", "taken", "nobody") == (
            1,
            [
                "later is cancelled",
                "taken was not waiting: it is sent",
                "nobody: there is no such message",
            ],
        )

    async def test_has_words_for_what_is_wrong(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code = await anyio.to_thread.run_sync(__main__.main, ["status", str(tmp_path / "none.db")])
        assert (code, capsys.readouterr().err) == (
            2,
            f"{tmp_path / 'none.db'}: there is no such file\n",
        )
        for wrong in (["list", "a", "--limit", "0"], ["mend", "a"]):
            with pytest.raises(SystemExit) as caught:
                __main__.main(wrong)
            assert caught.value.code == 2


class TestAnotherName:
    """Whoever looks makes nothing, and is not told that all is well where nothing is."""

    async def test_is_said_to_be_wrong(
        self, open_outbox: Callable[..., Outbox], path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("bookings", "codes"):
            open_outbox(name=name)
        for asked in ("booking", ""):
            code = await anyio.to_thread.run_sync(
                __main__.main, ["status", str(path), "--name", asked]
            )
            words = f"named {asked}" if asked else "without a name"
            assert (code, capsys.readouterr().err) == (
                2,
                f"{path}: holds no outbox {words}: say --name bookings, or say --name codes\n",
            )
        open_outbox()
        code = await anyio.to_thread.run_sync(__main__.main, ["list", str(path), "--name", "code"])
        assert (code, capsys.readouterr().err.partition(": leave --name out, or ")[1]) == (
            2,
            ": leave --name out, or ",
        )

    async def test_makes_no_outbox_in_a_file_of_campaigns(
        self, path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Campaign.open(path).close()
        beside = sorted(path.parent.iterdir())
        code = await anyio.to_thread.run_sync(__main__.main, ["status", str(path)])
        assert (code, capsys.readouterr().err) == (2, f"{path}: holds no outbox\n")
        assert sorted(path.parent.iterdir()) == beside


async def test_it_runs_as_a_module_and_stops_where_nobody_reads_on(
    used: Outbox, path: Path
) -> None:
    command = f"{sys.executable} -m insim_async.outbox list {path} | head -0"
    run = await anyio.to_thread.run_sync(
        lambda: subprocess.run(command, shell=True, capture_output=True, text=True)
    )
    assert (run.returncode, run.stderr) == (0, "")
