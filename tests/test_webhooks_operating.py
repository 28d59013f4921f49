"""An inbox is looked at and mended from a command line, and nothing of people is shown unasked."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from insim_async import Retry
from insim_async.webhooks import (
    CallEvent,
    DeliveryStatus,
    Event,
    GiveUp,
    IncomingSms,
    LinkClick,
    RetryLater,
    __main__,
)
from insim_async.webhooks.inbox import Inbox, InboxCounts, InboxHealth, InboxStatus, WorkerSeen
from insim_async.webhooks.operating import Selection, list_entries, run
from insim_async.webhooks.operating._printing import status_lines
from tests.inboxes import Shop, claim_due, settled

TEXT, NUMBER = "bluedoor", "+33639980001"


async def fail(event: Event) -> None:
    match event:
        case CallEvent():
            raise GiveUp("no such\x1b[31m customer")
        case LinkClick():
            raise RetryLater(3600)
        case _:
            raise KeyError(TEXT)


@pytest.fixture
async def inbox(path: Path) -> AsyncIterator[Inbox]:
    """Two SMS and a call that were set aside, a click that fails, and one that cannot be read."""
    with closing(Inbox.open(path, retry=Retry(attempts=2, base=0.0, cap=0.0))) as inbox:
        for number in range(2):
            await inbox.put(IncomingSms(message=f"{TEXT} {number}", phone_number=NUMBER))
        await inbox.put(CallEvent(direction="missed", phone_number=NUMBER))
        await inbox.put(LinkClick(sms_id="1"))
        await inbox.put_unreadable(b"message=%7Bbluedoor\xff", "no JSON")
        async with inbox.worker(Shop(fail).router):
            await settled(inbox, InboxCounts(waiting=1, set_aside=4))
        yield inbox


async def operate(*arguments: object) -> tuple[int, list[str]]:
    """Type a command, as in another process; return the exit code and what was printed."""
    lines: list[str] = []
    code = await asyncio.to_thread(run, [str(each) for each in arguments], lines.append)
    return code, lines


class TestStatus:
    async def test_says_what_fails_and_why(self, inbox: Inbox, path: Path) -> None:
        code, lines = await operate("status", path)
        assert (code, lines[0]) == (
            1,
            "waiting 0 · failing 1 · claimed 0 · set aside 4 · no handler 0 · done 0",
        )
        reasons = [(line.split()[1], line.rpartition("UTC: ")[2]) for line in lines[3:-1]]
        assert sorted(reasons) == [
            ("call", r"GiveUp: no such\x1b[31m customer"),
            ("incoming_sms", "KeyError"),
            ("link_click", "RetryLater"),
            ("unreadable", "no JSON"),
        ]
        assert lines[-1] == "no event has waited for too long"

    async def test_is_an_object_for_programs(self, inbox: Inbox, path: Path) -> None:
        code, (line,) = await operate("status", path, "--json")
        found = json.loads(line)
        assert (code, found["health"]["failing"], found["counts"]["set_aside"]) == (1, 1, 4)

    async def test_of_an_inbox_in_which_all_is_well_ends_with_0(self, path: Path) -> None:
        with closing(Inbox.open(path)) as inbox:
            await inbox.put(DeliveryStatus(sms_id="1"))
            code, lines = await operate("status", path)
        assert (code, lines[2]) == (0, "no worker runs")

    def test_says_who_works_and_what_waits(self) -> None:
        at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        health = InboxHealth(
            oldest_waiting=3661.0, waiting=2, suspects=1, workers=2, last_claim=at, problem="alas"
        )
        workers = (
            WorkerSeen(process=7, since=at, kinds=("call", "link_click"), claimed=1),
            WorkerSeen(process=8, since=at, kinds=(), claimed=0),
        )
        status = InboxStatus(health=health, counts=InboxCounts(), failures=(), workers=workers)
        assert [*status_lines(status)][1:] == [
            "the oldest waits for 1:01:01",
            "1 had a worker that crashed, and come one after the other",
            "the last claim was at 2026-01-02 03:04:05 UTC",
            "worker in process 7 since 2026-01-02 03:04:05 UTC: call link_click",
            "worker in process 8 since 2026-01-02 03:04:05 UTC: nothing, without a handler",
            "alas",
        ]


class TestList:
    async def test_shows_no_content_unless_it_is_asked_for(self, inbox: Inbox, path: Path) -> None:
        _, plain = await operate("list", path)
        assert (len(plain), TEXT in str(plain), NUMBER in str(plain)) == (4, False, False)
        _, with_content = await operate("list", path, "--content")
        assert [TEXT in line for line in with_content] == [
            True,
            *["call" not in line for line in with_content[1:]],
        ]
        assert r"\xff" in with_content[0]

    async def test_has_a_line_of_json_for_each(self, inbox: Inbox, path: Path) -> None:
        _, lines = await operate("list", path, "--state", "failing", "--json", "--content")
        (found,) = map(json.loads, lines)
        assert (found["kind"], found["reason"], found["attempts"]) == (
            "link_click",
            "RetryLater",
            1,
        )
        assert 3500 < found["due_in"] <= 3600
        assert json.loads(found["content"])["id_sms_api"] == "1"
        _, (line,) = await operate("list", path, "--state", "failing")
        assert "(again in 0:59:" in line or "(again in 1:00:00)" in line

    @pytest.mark.parametrize(
        ("chosen", "count"),
        [
            ([], 4),
            (["--kind", "incoming_sms"], 2),
            (["--reason", "keyerror"], 2),
            (["--older-than", "1h"], 0),
            (["--older-than", "0s", "--limit", "3"], 3),
            (["--limit", "1", "--all"], 4),
        ],
    )
    async def test_is_of_what_was_chosen(
        self, inbox: Inbox, path: Path, chosen: list[str], count: int
    ) -> None:
        code, lines = await operate("list", path, *chosen)
        assert (code, len(lines)) == (0, count)

    async def test_goes_page_by_page(
        self, inbox: Inbox, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("insim_async.webhooks.operating._commands.PAGE", 2)
        _, lines = await operate("list", path)
        assert len({line.split()[0] for line in lines}) == 4
        _, rest = await operate("list", path, "--after", lines[0].split()[0], "--limit", "2")
        assert rest == lines[1:3]
        found: list[str] = []
        assert (await list_entries(inbox, found.append, selection=Selection(limit=4))).ok
        assert found == lines


class TestShow:
    async def test_says_all_of_one(self, inbox: Inbox, path: Path) -> None:
        key = (await inbox.set_aside(kind=CallEvent))[0].key
        code, lines = await operate("show", path, key)
        assert (code, lines[:3]) == (0, [f"key: {key}", "kind: call", "state: set_aside"])
        assert lines[-1] == r"reason: GiveUp: no such\x1b[31m customer"
        _, lines = await operate("show", path, key, "--content")
        assert NUMBER in lines[-1]
        _, (line,) = await operate("show", path, key, "--json")
        assert json.loads(line)["attempts"] == 1

    async def test_ends_with_1_where_there_is_none(self, inbox: Inbox, path: Path) -> None:
        assert await operate("show", path, "nothing") == (1, ["nothing is not there"])
        assert await operate("show", path, "nothing", "--json") == (1, [])


class TestMending:
    async def test_hands_over_again_what_is_named(self, inbox: Inbox, path: Path) -> None:
        call = (await inbox.set_aside(kind=CallEvent))[0].key
        unreadable = (await inbox.set_aside(kind="unreadable"))[0].key
        code, lines = await operate("requeue", path, call, unreadable)
        assert (code, lines) == (
            1,
            [
                f"{call} waits for its handlers again",
                f"{unreadable} is not set aside, or cannot be read",
            ],
        )
        assert (await inbox.counts()).waiting == 2

    async def test_hands_over_again_all_of_a_kind(self, inbox: Inbox, path: Path) -> None:
        code, lines = await operate("requeue", path, "--kind", "incoming_sms")
        assert (code, lines) == (0, ["handed over again: 2"])

    async def test_erases(self, inbox: Inbox, path: Path) -> None:
        call = (await inbox.set_aside(kind=CallEvent))[0].key
        assert await operate("discard", path, call) == (0, [f"{call} is erased"])
        assert await operate("discard", path, "--all") == (0, ["erased: 3"])
        assert await inbox.counts() == InboxCounts(waiting=1, done=4)

    async def test_copies(self, inbox: Inbox, path: Path, tmp_path: Path) -> None:
        to = tmp_path / "copy.db"
        assert await operate("backup", path, to) == (0, [f"{to}: is a copy of it as it is now"])
        assert (await operate("backup", path, to))[0] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "nowhere.db"], "nowhere.db: there is no such file"),
        (["status", os.devnull], "is no regular file"),
        (["requeue", "inbox.db"], "name keys, or say which"),
        (["requeue", "inbox.db", "key", "--all"], "name keys, or say which"),
        (["list", "inbox.db", "--older-than", "soon"], "expected an age such as"),
        (["list", "inbox.db", "--limit", "0"], "expected a number of 1 or more"),
        (["list"], "required: FILE"),
        ([], "required: command"),
    ],
)
def test_what_cannot_be_done_ends_with_2(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And nothing is made."""
    monkeypatch.chdir(tmp_path)
    try:
        code: Any = __main__.main(["inbox", *arguments])
    except SystemExit as end:
        code = end.code
    assert (code, words in capsys.readouterr().err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_whoever_has_seen_enough_ends_it(path: Path, inbox_of_many: None) -> None:
    command = f"{sys.executable} -m insim_async.webhooks inbox list {path} --all | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


@pytest.fixture
async def inbox_of_many(path: Path) -> None:
    with closing(Inbox.open(path)) as inbox:
        async with asyncio.TaskGroup() as group:
            for number in range(2000):
                group.create_task(inbox.put_unreadable(b"%d" % number, "no JSON"))


async def test_an_event_that_is_claimed_is_seen(path: Path) -> None:
    with closing(Inbox.open(path)) as inbox:
        await inbox.put(DeliveryStatus(sms_id="1"))
        await inbox._do(lambda connection: claim_due(connection, "me", 1, inbox._policy))
        _, (line,) = await operate("list", path, "--state", "claimed")
    assert "delivery_status  attempts: 1" in line
