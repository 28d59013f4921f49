"""What an inbox has acknowledged is handled, whatever fails.

Its process, its disk and whoever waits for it may all fail.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import operator
import random
import select
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from insim_async import Retry, _tasks
from insim_async.errors import InboxUnavailable
from insim_async.webhooks import Event, WebhookRouter, new_secret
from insim_async.webhooks.inbox import Inbox, InboxCounts, _inbox, _run
from tests.inboxes import counted

from .gateway import PATIENCE
from .inbox_process import Life, event, number
from .stepping import (
    Ending,
    as_it_wakes,
    by_scope_on_asyncio,
    by_scope_on_trio,
    natively,
    while_it_waits,
)

SOON = 2.9  # seconds; who waits behind another's wait of 1.5 s, and then for as long, needs more
"""Seconds in which inSIM is told that an event could not be stored."""


class Lives:
    """The process that starts the others."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("inbox_process.py"))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def live(self, *lives: Life) -> list[int]:
        """Let them live at the same time; return how they ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(msgspec.json.encode(lives) + b"\n")
        self.process.stdin.flush()
        assert select.select([self.process.stdout], [], [], PATIENCE)[0], "a life does not end"
        endings: list[int] = json.loads(self.process.stdout.readline())
        return endings


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    lives = Lives()
    yield lives
    lives.process.communicate(timeout=PATIENCE)
    assert lives.process.returncode == 0


class Story:
    """An inbox through several lives, and what they wrote down."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "inbox.db"
        self.log = folder / "log"

    def life(self, **more: Any) -> Life:
        """Return a life in it."""
        return Life(path=str(self.path), log=str(self.log), **more)

    def said(self, what: str) -> list[str]:
        """Return what was said behind these words, in order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.removeprefix(f"{what} ") for line in lines if line.startswith(f"{what} ")]

    def rows(self) -> list[tuple[str, str]]:
        """Return key and state of each row."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute("SELECT key, state FROM events").fetchall()

    def faults(self) -> list[str]:
        """Return which promises were broken, when all is over."""
        rows, acknowledged = self.rows(), set(self.said("acknowledged"))
        keys = Counter(key for key, _ in rows)
        return [
            *(
                f"{each} was acknowledged and never handled"
                for each in acknowledged - set(self.said("handled"))
            ),
            *(
                f"{each} was acknowledged and is not there"
                for each in acknowledged
                if event(int(each)).key not in keys
            ),
            *(f"{key} is there {count} times" for key, count in keys.items() if count > 1),
            *(f"{key} is left {state}" for key, state in rows if state != "done"),
        ]


# Killed


def killed_everywhere(
    lives: Lives, folder: Path, point: str, fault: str = ""
) -> Iterator[list[str]]:
    """Kill it when it reaches a point for the first time, the second, until it does no more.

    Each time another life goes on with what is left; yield the promises that were broken.
    """
    ending, at = -9, 0
    while ending == -9:
        at += 1
        story = Story(folder / str(at))
        (ending,) = lives.live(story.life(events=[1, 2], killed_at=(point, at), fault=fault))
        assert lives.live(story.life(generation=1, fault=fault)) == [0]
        yield story.faults()
    assert ending == 0


@pytest.mark.parametrize(
    ("point", "times"),
    [
        ("statement", 40),
        ("before 200", 2),
        ("after 200", 2),
        ("in the handler", 2),
        ("before it is done", 2),
    ],
)
def test_what_was_acknowledged_is_handled_wherever_the_process_is_killed(
    lives: Lives, tmp_path: Path, point: str, times: int
) -> None:
    """At each statement of SQLite since the file was made; and between the program's steps."""
    faults = list(killed_everywhere(lives, tmp_path, point))
    assert [each for each in faults if each] == []
    assert len(faults) > times


@pytest.mark.parametrize(
    ("fault", "point"),
    [
        ("acknowledges before the commit", "statement"),
        ("is done before it is handled", "in the handler"),
    ],
)
def test_a_program_that_breaks_the_promise_is_caught(
    lives: Lives, tmp_path: Path, fault: str, point: str
) -> None:
    """So we know that the test above can fail: where nothing kills it, nobody would notice."""
    story = Story(tmp_path / "alive")
    assert lives.live(story.life(events=[1, 2, 3], fault=fault)) == [0]
    assert lives.live(story.life(generation=1, fault=fault)) == [0]
    assert story.faults() == []
    broken = next(each for each in killed_everywhere(lives, tmp_path, point, fault) if each)
    assert {line.partition(" ")[2] for line in broken} <= {
        "was acknowledged and never handled",
        "was acknowledged and is not there",
    }


def test_what_was_acknowledged_is_handled_however_often_the_process_is_killed(
    lives: Lives, tmp_path: Path, seed: int
) -> None:
    """At random, one life after the other on the same file.

    Each has new events, and old ones that come again.
    """
    story, chance = Story(tmp_path), random.Random(seed)
    endings = Counter[int]()
    for generation in range(40):
        life = story.life(
            events=list(range(generation, generation + 5)),
            repeats=2,
            generation=generation,
            killed_at=("statement", chance.randrange(8, 90)),
        )
        endings.update(lives.live(life))
    assert endings[-9] > 10
    assert lives.live(story.life(generation=40)) == [0]
    assert story.faults() == []


def test_an_event_that_ends_its_process_is_set_aside_and_no_other(
    lives: Lives, tmp_path: Path
) -> None:
    """Though others are handled beside it and die with it, and new ones come in each time."""
    story, ending, generation = Story(tmp_path), [3], 0
    while ending == [3]:
        ending = lives.live(
            story.life(
                events=[0, generation * 2 + 1, generation * 2 + 2], poison=0, generation=generation
            )
        )
        generation += 1
    assert ending == [0]
    assert generation == 4  # three attempts; in the fourth life it is not tried again
    assert [state for key, state in story.rows() if key == event(0).key] == ["set_aside"]
    assert {state for key, state in story.rows() if key != event(0).key} == {"done"}
    assert (
        set(story.said("handled"))
        == set(story.said("acknowledged")) - {"0"}
        == set(map(str, range(1, 9)))
    )


def test_an_event_that_comes_ten_times_at_once_and_after_a_restart_is_handled_once(
    lives: Lives, tmp_path: Path
) -> None:
    """And acknowledged each time."""
    story = Story(tmp_path)
    for generation in range(2):
        assert lives.live(story.life(events=[1], repeats=10, generation=generation)) == [0]
    assert story.said("acknowledged") == ["1"] * 20
    assert story.said("handled") == ["1"]
    assert story.rows() == [(event(1).key, "done")]


# Several processes


def test_processes_on_one_file_never_handle_the_same_event(lives: Lives, tmp_path: Path) -> None:
    """Each takes in events of its own and events that the others get, too."""
    story = Story(tmp_path)
    together = [story.life(events=list(range(each * 30, each * 30 + 60))) for each in range(3)]
    assert lives.live(*together) == [0, 0, 0]
    assert sorted(map(int, story.said("handled"))) == list(range(120))
    assert Counter(map(int, story.said("acknowledged"))) == Counter(
        n for life in together for n in life.events
    )
    assert story.faults() == []


def test_an_inbox_goes_through_a_fork(lives: Lives, tmp_path: Path) -> None:
    """With a connection that is open, and a transaction under way, which the fork waits for."""
    story = Story(tmp_path)
    assert lives.live(story.life(does="fork")) == [0]
    assert story.said("waited for the transaction") == ["True", "True"]
    assert (story.said("child"), story.said("parent"), story.said("ended with")) == (
        ["True"],
        ["True"],
        ["0"],
    )
    assert len(story.rows()) == 3


# Disk full, file locked


def test_a_full_disk_is_told_at_once_and_forgotten_when_there_is_room(
    lives: Lives, tmp_path: Path
) -> None:
    story = Story(tmp_path)
    assert lives.live(story.life(does="fill the disk")) == [0]
    stored = len(story.said("acknowledged"))
    first, second = story.said("refused")
    assert first == f"{stored} 0 {story.path}: disk I/O error"
    assert second.startswith(f"{stored + 1} 0 {story.path}: ")
    assert story.said("room again") == [f"True {stored + 1}"]


BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    with closing(
        Inbox.open(tmp_path / "inbox.db", retry=Retry(attempts=3, base=0.0, cap=0.0))
    ) as inbox:
        yield inbox


@BACKENDS
def test_a_locked_file_is_told_within_two_seconds_and_forgotten_when_it_is_free(
    inbox: Inbox, tmp_path: Path, backend: str
) -> None:
    """Each of them, however many wait already; all that come again are stored once."""
    took: list[float] = []

    async def refused(each: int) -> None:
        began = time.monotonic()
        with pytest.raises(InboxUnavailable):
            await inbox.put(event(each))
        took.append(time.monotonic() - began)

    async def scenario() -> None:
        with closing(sqlite3.connect(tmp_path / "inbox.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as group:
                for each in range(5):
                    group.start_soon(refused, each)
                    await anyio.lowlevel.checkpoint()
                await anyio.sleep(0.2)  # the others are being tried by now
                group.start_soon(refused, 5)
        assert max(took) < SOON
        assert await inbox.put(event(6))
        for each in range(6):
            await inbox.put(event(each))
        assert (await inbox.counts()).waiting == 7

    anyio.run(scenario, backend=backend)


# Handlers


class Shop:
    """Handles events, in a way that may go wrong."""

    def __init__(self) -> None:
        self.router = WebhookRouter(secret=new_secret())
        self.router.on(Event)(self.handle)
        self.handled: list[str] = []
        self.news = anyio.Event()
        self.wrong: Callable[[], Awaitable[object]] = anyio.lowlevel.checkpoint

    async def handle(self, event: Event) -> None:
        """Note it, and go wrong."""
        self.handled.append(number(event))
        self.news.set()
        self.news = anyio.Event()
        await self.wrong()

    async def had(self, count: int) -> None:
        """Wait until that many came."""
        while len(self.handled) < count:
            await self.news.wait()


async def raising() -> None:
    """Fail, as handlers do."""
    raise KeyError


@BACKENDS
@pytest.mark.parametrize(
    ("wrong", "reason"), [(raising, "KeyError"), (anyio.sleep_forever, "TimeoutError")]
)
def test_a_handler_that_goes_wrong_costs_its_event_and_no_other(
    tmp_path: Path, backend: str, wrong: Callable[[], Awaitable[object]], reason: str
) -> None:
    """Each event is set aside after three attempts, can be looked at, and be handed over again."""

    async def scenario() -> None:
        shop = Shop()
        shop.wrong = wrong
        settings: dict[str, Any] = {
            "retry": Retry(attempts=3, base=0.01, cap=0.01),
            "handler_timeout": 0.01,
        }
        with closing(Inbox.open(tmp_path / "inbox.db", **settings)) as inbox:
            async with inbox.worker(shop.router, concurrency=2):
                for each in range(5):
                    await inbox.put(event(each))
                await counted(inbox, lambda counts: counts.set_aside == 5)
                assert Counter(shop.handled) == Counter(dict.fromkeys("01234", 3))
                found = await inbox.set_aside()
                assert [(each.attempts, each.reason) for each in found] == [(3, reason)] * 5
                shop.wrong = anyio.lowlevel.checkpoint
                assert [await inbox.requeue(each.key) for each in found] == [True] * 5
                await counted(inbox, lambda counts: counts == InboxCounts(done=5))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_run, "POLL", 0.01)
        anyio.run(scenario, backend=backend)


# Cancelled

MANNERS: dict[str, Callable[[int, Any], Awaitable[Ending]]] = {
    "while it waits": functools.partial(natively, manner=while_it_waits),
    "as it wakes": functools.partial(natively, manner=as_it_wakes),
    "twice": functools.partial(natively, manner=while_it_waits, times=2),
    "four times": functools.partial(natively, manner=while_it_waits, times=4),
    "by scope": by_scope_on_asyncio,
}
EVERYWHERE = pytest.mark.parametrize(
    ("backend", "cancelling"),
    [
        *(
            pytest.param("asyncio", manner, id=f"asyncio-{name}")
            for name, manner in MANNERS.items()
        ),
        pytest.param("trio", by_scope_on_trio, id="trio"),
    ],
)
Cancelling = Callable[..., Awaitable[Ending]]


@EVERYWHERE
def test_a_put_is_cancelled_at_each_await(
    inbox: Inbox, backend: str, cancelling: Cancelling
) -> None:
    """Those that go with it are stored, the next works; and what it called new is there."""
    numbers = itertools.count()

    async def scenario() -> None:
        reached, at = True, 0
        while reached:
            at += 1
            ours, before, behind = (event(next(numbers)) for _ in range(3))
            results: list[bool] = []

            async def put(each: Event, results: list[bool] = results) -> None:
                results.append(await inbox.put(each))

            group = anyio.create_task_group()
            await group.__aenter__()
            group.start_soon(put, before)
            ending = await cancelling(at, call=functools.partial(inbox.put, ours))
            group.start_soon(put, behind)
            await group.__aexit__(None, None, None)
            assert results == [True, True]
            assert isinstance(ending.result, bool | anyio.get_cancelled_exc_class() | str), ending
            assert await inbox.put(ours) is False or ending.result is not True
            reached = ending.reached
        assert at > 2

    anyio.run(scenario, backend=backend)


@EVERYWHERE
def test_a_worker_is_cancelled_at_each_await(
    inbox: Inbox, backend: str, cancelling: Cancelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves no task and nothing claimed; and the next handles what was put."""
    monkeypatch.setattr(_run, "POLL", 0.05)
    numbers = itertools.count()

    async def work(shop: Shop, put: list[str]) -> None:
        async with inbox.worker(shop.router, concurrency=1):
            for _ in range(2):
                each = next(numbers)
                await inbox.put(event(each))
                put.append(str(each))
            await shop.had(2)

    async def scenario() -> None:
        reached, at = True, 0
        while reached:
            at += 1
            shop, put = Shop(), list[str]()
            ending = await cancelling(at, call=functools.partial(work, shop, put))
            assert (await inbox.counts()).claimed == 0, at
            seen = len(shop.handled)
            next_shop = Shop()
            async with inbox.worker(next_shop.router):
                await counted(inbox, lambda counts: not counts.waiting and not counts.claimed)
            assert set(put) <= {*shop.handled, *next_shop.handled}
            assert len(shop.handled) == seen
            reached = ending.reached
        assert at > 5

    anyio.run(scenario, backend=backend)


@pytest.mark.parametrize("steps", range(10))
async def test_the_task_that_commits_for_others_is_cancelled(
    inbox: Inbox, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody is told at once, one thing or the other, and told right; the next works."""
    monkeypatch.setattr(_inbox, "STORE_TIMEOUT", 3600.0)
    puts = [asyncio.create_task(inbox.put(event(each))) for each in range(3)]
    for _ in range(steps):
        await asyncio.sleep(0)
    for task in list(_tasks._running):
        task.cancel()
    results = await asyncio.gather(*puts, return_exceptions=True)
    assert [
        each for each in results if each is not True and not isinstance(each, InboxUnavailable)
    ] == []
    again = [await inbox.put(event(each)) for each in range(3)]
    assert [
        (told, new) for told, new in zip(results, again, strict=True) if told is True and new
    ] == []


def test_a_loop_ends_wherever_its_puts_are(inbox: Inbox) -> None:
    """And leaves no thread behind, which would keep the process from ending."""

    async def scenario(steps: int) -> None:
        for group in range(3):
            puts.extend(
                asyncio.create_task(inbox.put(event(each)))
                for each in range(group * 3, group * 3 + 3)
            )
            for _ in range(steps):
                await asyncio.sleep(0)

    puts: list[asyncio.Task[bool]] = []
    for steps in range(10):
        asyncio.run(scenario(steps))
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("AnyIO")]
    list(map(operator.methodcaller("join", PATIENCE), threads))
    assert [thread for thread in threads if thread.is_alive()] == []
    assert [put for put in puts if not put.done()] == []


@BACKENDS
def test_a_loop_ends_though_a_worker_was_never_told_to(
    inbox: Inbox, backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What it had claimed is free; and it says that it was not left."""

    async def scenario() -> None:
        await inbox.put(event(1))
        await worker.__aenter__()
        await counted(inbox, lambda counts: counts.claimed == 1)

    shop = Shop()
    shop.wrong = anyio.sleep_forever
    worker = inbox.worker(shop.router)  # which nobody leaves
    anyio.run(scenario, backend=backend)
    assert anyio.run(inbox.counts) == InboxCounts(waiting=1)
    assert (
        caplog.messages[-1] == "inbox: the worker was cancelled from outside; it begins anew in 1 s"
    )


@BACKENDS
def test_a_thread_that_was_left_behind_ends_its_transaction(inbox: Inbox, backend: str) -> None:
    """The loop may end meanwhile; what was begun is committed."""
    begun, resume, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> bool:
        connection.execute(
            "INSERT INTO events (key, kind, parameter, state, received_at, since) "
            "VALUES ('k', 'k', 'k', 'done', 0, 0)"
        )
        begun.set()
        resume.wait(10)
        ended.set()
        return True

    async def scenario() -> None:
        with anyio.move_on_after(10) as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(inbox._do, slow)
                while not begun.is_set():  # noqa: ASYNC110 - it is another thread's
                    await anyio.sleep(0.001)
                scope.cancel()
        threading.Timer(0.02, resume.set).start()

    anyio.run(scenario, backend=backend)
    ended.wait(10)
    assert anyio.run(inbox.counts) == InboxCounts(done=1)
