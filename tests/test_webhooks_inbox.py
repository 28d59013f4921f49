"""An event that was put is on disk, and is handed over until it is handled.

After that it is remembered without its content.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sqlite3
import stat
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import anyio
import msgspec
import pytest

from insim_async import ConfigurationError, Retry
from insim_async._sqlite import Layout, opening, prepare_database
from insim_async.errors import InboxUnavailable, InSimError
from insim_async.webhooks import (
    CallEvent,
    CallQualification,
    DeliveryStatus,
    Event,
    IncomingSms,
    LinkClick,
    UnknownEvent,
    build_webhook,
    parse_webhook,
)
from insim_async.webhooks.inbox import (
    Inbox,
    InboxCounts,
    SetAside,
    _inbox,
    _rows,
    _run,
    _tending,
    _worker,
)
from insim_async.webhooks.inbox._rows import Ending, ending_after
from insim_async.webhooks.inbox._schema import Policy
from insim_async.webhooks.parsing import MAX_QUERY_BYTES, payload_of, read_payload
from tests.inboxes import NOW, UPTIME, Shop, Wall, claim_due, counted, rows, settled
from tests.waiting import until

TEXT = "bluedoor"
SMS = IncomingSms(phone_number="+33639980001", message=TEXT, account="me@example.com")
AT_ONCE = Retry(attempts=3, base=0.0, cap=0.0)
EVENTS = [
    SMS,
    CallEvent(phone_number="+33639980001", direction="missed", duration=timedelta(seconds=3)),
    LinkClick(sms_id="id1", link="https://example.com/?a=1&b=2"),
    CallQualification(qualification="100 % + Grüße, 🚪", source="mobile"),
    DeliveryStatus(sms_id="id1", status="received", at=datetime(2026, 1, 2, tzinfo=UTC)),
    UnknownEvent(raw_json=b'{"title": "news", "list": [1, {"two": null}]}'),
]


pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture
def inbox(open_inbox: Callable[..., Inbox]) -> Inbox:
    return open_inbox(retry=AT_ONCE)


async def fail(event: Event) -> NoReturn:
    raise ValueError(TEXT)


async def hang(event: Event) -> None:
    await anyio.sleep_forever()


async def handled(
    inbox: Inbox,
    act: Callable[[Event], Awaitable[object]] | None = None,
    count: int = 1,
    concurrency: int = 8,
) -> Shop:
    """Work until a handler was called so often; then stop, which waits for what it is doing."""
    shop = Shop(act)
    async with inbox.worker(shop.router, concurrency=concurrency):
        await shop.had(count)
    return shop


async def told(caplog: pytest.LogCaptureFixture, count: int) -> None:
    """Wait until so much was logged."""
    await until(lambda: len(caplog.messages) >= count)


def move(path: Path, to: Path) -> None:
    path.rename(to)


def texts_in(folder: Path) -> list[str]:
    """Name the files that hold the text."""
    return [file.name for file in folder.iterdir() if TEXT.encode() in file.read_bytes()]


# Put


async def test_an_event_is_new_once(inbox: Inbox, open_inbox: Callable[..., Inbox]) -> None:
    """At once, again, in another inbox on the same file, and when it is done."""
    assert await inbox.put(SMS)
    assert not await inbox.put(SMS)
    assert not await open_inbox().put(SMS)
    await handled(inbox)
    assert not await inbox.put(SMS)
    assert await inbox.counts() == InboxCounts(done=1)


async def test_the_file_is_its_owners(inbox: Inbox, path: Path) -> None:
    await inbox.put(SMS)
    assert [stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()] == [0o600, 0o600]


async def test_an_event_is_there_as_it_came(inbox: Inbox, path: Path) -> None:
    for event in EVENTS:
        await inbox.put(event)
    found = rows(path, "key, kind, parameter, payload")
    assert found == [(event.key, event.kind, *payload_of(event)) for event in EVENTS]


async def test_a_handler_gets_what_was_put(inbox: Inbox) -> None:
    """Each event once, in the order in which they came."""
    for event in EVENTS:
        await inbox.put(event)
    shop = await handled(inbox, count=len(EVENTS))
    assert shop.seen == EVENTS
    assert await inbox.counts() == InboxCounts(done=len(EVENTS))


async def test_an_event_that_is_longer_escaped_than_it_came_is_handled(inbox: Inbox) -> None:
    event = parse_webhook(
        b"message="
        + msgspec.json.encode({"title": "incoming_sms", "message": "\U0001f600" * 40_000})
    )
    assert len(build_webhook(event)) > MAX_QUERY_BYTES
    await inbox.put(event)
    assert (await handled(inbox)).seen == [event]


async def test_many_share_a_transaction(inbox: Inbox, path: Path) -> None:
    """The first goes at once; all that come meanwhile go together."""
    statements: list[str] = []
    await inbox._do(lambda connection: connection.set_trace_callback(statements.append))
    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(inbox.put, IncomingSms(message=str(number)))
    assert statements.count("BEGIN IMMEDIATE") == statements.count("COMMIT") - 1 <= 2
    assert await inbox.counts() == InboxCounts(waiting=100)


async def test_a_request_that_cannot_be_read_is_set_aside_once(inbox: Inbox) -> None:
    """A worker does not see it."""
    query = b"message=%7Bbluedoor\xff"
    assert await inbox.put_unreadable(query, "no JSON")
    assert not await inbox.put_unreadable(query, "no JSON")
    await inbox.put(SMS)
    assert (await handled(inbox)).seen == [SMS]
    (found,) = await inbox.set_aside()
    expected = {"kind": "unreadable", "query": query, "attempts": 0, "reason": "no JSON"}
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.received_at == datetime.fromtimestamp(NOW, UTC)


# What fails


async def test_an_event_whose_handler_always_fails_is_set_aside(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    """After as many attempts as were asked for; nothing of its content is told."""
    await inbox.put(SMS)
    shop = Shop(fail)
    async with inbox.worker(shop.router):
        await settled(inbox, InboxCounts(set_aside=1))
    assert shop.seen == [SMS] * 3
    (found,) = await inbox.set_aside()
    assert found == SetAside(
        key=SMS.key,
        kind="incoming_sms",
        query=build_webhook(SMS).encode(),
        received_at=datetime.fromtimestamp(NOW, UTC),
        attempts=3,
        reason="ValueError",
    )
    assert TEXT not in repr(found)
    assert TEXT not in "".join(record.getMessage() for record in caplog.records)
    assert caplog.messages[-1] == "webhook incoming_sms: ValueError; set aside"


async def test_what_was_set_aside_can_be_handed_over_again(inbox: Inbox) -> None:
    await inbox.put(SMS)
    async with inbox.worker(Shop(fail).router):
        await settled(inbox, InboxCounts(set_aside=1))
    shop = Shop()
    async with inbox.worker(shop.router):
        assert await inbox.requeue(SMS.key)
        await shop.had(1)
    assert await inbox.counts() == InboxCounts(done=1)
    assert not await inbox.requeue(SMS.key)
    assert not await inbox.discard(SMS.key)


async def test_what_was_set_aside_is_listed_in_that_order_and_not_without_end(
    inbox: Inbox, wall: Wall
) -> None:
    await inbox.put(SMS)
    for each in range(3):
        wall.time += 1
        await inbox.put_unreadable(b"%d" % each, "no JSON")
    wall.time += 1
    async with inbox.worker(Shop(fail).router):
        await settled(inbox, InboxCounts(set_aside=4))
    shown = [found.query for found in await inbox.set_aside()]
    assert shown == [b"0", b"1", b"2", build_webhook(SMS).encode()]
    assert [found.query for found in await inbox.set_aside(limit=2)] == shown[:2]


async def test_what_was_set_aside_can_be_discarded(inbox: Inbox, path: Path) -> None:
    """Then it is erased, and the same event is still no new one."""
    query = build_webhook(SMS).encode() + b"&"
    await inbox.put_unreadable(query, "no JSON")
    assert texts_in(path.parent) == [path.name]
    (found,) = await inbox.set_aside()
    assert await inbox.discard(found.key)
    assert texts_in(path.parent) == []
    assert not await inbox.put_unreadable(query, "no JSON")
    assert await inbox.counts() == InboxCounts(done=1)


async def test_what_could_not_be_read_is_tried_once_when_handed_over_again(inbox: Inbox) -> None:
    """It may be that a newer version can."""
    for query in (b"nonsense", build_webhook(SMS).encode()):
        await inbox.put_unreadable(query, "who knows")
    told = [await inbox.requeue(found.key) for found in await inbox.set_aside()]
    assert told == [False, True]
    shop = Shop()
    async with inbox.worker(shop.router):
        await settled(inbox, InboxCounts(done=1, set_aside=1))
    assert shop.seen == [SMS]
    (left,) = await inbox.set_aside()
    assert (left.attempts, left.reason) == (1, "InvalidWebhook: no parameter holds a JSON object")


POLICY = Policy(
    retry=Retry(attempts=4, base=1.0, cap=3.0),
    retention=99.0,
    keep_set_aside=None,
    handler_timeout=1.0,
    lease=1.0,
    clock=Wall().clock,
)


@pytest.mark.parametrize(
    ("attempts", "failure", "ending"),
    [
        (1, None, Ending("done", 99.0)),
        (4, None, Ending("done", 99.0)),
        (1, "KeyError", Ending("failing", 0.5, "KeyError")),
        (2, "KeyError", Ending("failing", 1.0, "KeyError")),
        (3, "KeyError", Ending("failing", 1.5, "KeyError")),
        (4, "KeyError", Ending("set_aside", 0.0, "KeyError")),
        (5, "KeyError", Ending("set_aside", 0.0, "KeyError")),
    ],
)
def test_what_becomes_of_an_event(attempts: int, failure: str | None, ending: Ending) -> None:
    assert ending_after(attempts, failure, POLICY) == ending


async def test_a_failure_is_tried_again_when_its_time_has_come(
    open_inbox: Callable[..., Inbox], wall: Wall
) -> None:
    inbox = open_inbox(retry=Retry(attempts=3, base=60.0, cap=60.0))
    await inbox.put(SMS)
    shop = Shop(fail)
    async with inbox.worker(shop.router):
        await settled_after(inbox, shop, 1)
        wall.time += 29
        await inbox.put(EVENTS[1])  # is looked at, and the other is not
        await settled_after(inbox, shop, 2)
        wall.time += 2
        await settled_after(inbox, shop, 3)
    assert shop.seen == [SMS, EVENTS[1], SMS]


async def settled_after(inbox: Inbox, shop: Shop, count: int) -> None:
    """Wait until a handler was called that often and nothing is claimed any more."""
    await shop.had(count)
    await counted(inbox, lambda counts: counts.claimed == 0)


async def several(event: Event) -> None:
    raise ExceptionGroup(
        TEXT, [ValueError(TEXT), ExceptionGroup(TEXT, [KeyError(TEXT), ValueError(TEXT)])]
    )


async def cancel_itself(event: Event) -> None:
    raise asyncio.CancelledError


class Panic(BaseException):
    """As libraries raise it that want to be heard, such as those written in Rust."""


async def panic(event: Event) -> None:
    raise Panic(TEXT)


async def leave(event: Event) -> None:
    sys.exit(3)


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (fail, "ValueError"),
        (several, "ValueError, KeyError"),
        (cancel_itself, "CancelledError"),
        (panic, "Panic"),
        (leave, "SystemExit"),
        (hang, "TimeoutError"),
    ],
)
async def test_the_reason_names_what_was_raised(
    open_inbox: Callable[..., Inbox], act: Callable[[Event], Awaitable[object]], reason: str
) -> None:
    inbox = open_inbox(retry=Retry(attempts=1), handler_timeout=0.01)
    await inbox.put(SMS)
    async with inbox.worker(Shop(act).router):
        await settled(inbox, InboxCounts(set_aside=1))
    assert [found.reason for found in await inbox.set_aside()] == [reason]


async def test_an_event_that_ends_its_process_each_time_is_set_aside(
    open_inbox: Callable[..., Inbox], wall: Wall
) -> None:
    """Whoever claims it dies; after as many attempts as for any failure no handler gets it."""
    inbox = open_inbox(retry=AT_ONCE, lease=30.0)
    await inbox.put(SMS)
    policy = inbox._policy
    for each in range(3):
        crashed = functools.partial(claim_due, owner=f"crashed {each}", places=8, policy=policy)
        assert await inbox._do(crashed)
        assert not await inbox._do(lambda connection: claim_due(connection, "other", 8, policy))
        wall.uptime += 31
    shop = Shop()
    async with inbox.worker(shop.router):
        await settled(inbox, InboxCounts(set_aside=1))
    assert shop.seen == []
    assert [found.reason for found in await inbox.set_aside()] == ["its process ended each time"]


def test_an_interrupt_ends_the_program_and_is_not_the_events_fault(
    inbox: Inbox, path: Path
) -> None:
    async def interrupt(event: Event) -> None:
        raise KeyboardInterrupt

    async def scenario() -> None:
        await inbox.put(SMS)
        async with inbox.worker(Shop(interrupt).router):
            await anyio.sleep_forever()

    with pytest.raises((KeyboardInterrupt, BaseExceptionGroup)):
        anyio.run(scenario)
    assert rows(path, "state, attempts") == [("waiting", 0)]


async def test_a_suspect_is_claimed_alone_and_the_least_suspected_first(
    inbox: Inbox, wall: Wall
) -> None:
    """Others may be claimed beside it, as they came."""

    async def claim(places: int, suspects: int = 1) -> list[tuple[str, int, bool]]:
        claims = await inbox._do(
            lambda connection: claim_due(connection, "me", places, inbox._policy, suspects=suspects)
        )
        await inbox._do(functools.partial(_rows.release, owner="me"))
        return [(claimed.key, claimed.attempts, claimed.suspect) for claimed in claims]

    second, third, fourth = (event.key for event in EVENTS[1:4])
    for each in range(2):  # the first event goes down with a process twice, the second once
        await inbox.put(EVENTS[each])
        crashed = functools.partial(
            claim_due, owner=f"crashed {each}", places=8, policy=inbox._policy
        )
        await inbox._do(crashed)
        wall.uptime += 31
    for event in EVENTS[2:4]:
        await inbox.put(event)
    assert await claim(0) == []
    assert await claim(8, suspects=0) == [(third, 1, False), (fourth, 1, False)]
    assert await claim(2) == [(second, 2, True), (third, 1, False)]


# What is kept


async def test_the_content_is_erased_when_the_event_is_done(inbox: Inbox, path: Path) -> None:
    """From the bytes of the file and of its journal, too."""
    await inbox.put(SMS)
    assert texts_in(path.parent) == [path.name]
    await handled(inbox)
    assert texts_in(path.parent) == []
    assert rows(path, "key, kind, payload, state, owner") == [
        (SMS.key, "incoming_sms", None, "done", None)
    ]


async def test_the_key_is_kept_for_the_retention(
    open_inbox: Callable[..., Inbox], wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_tending, "SWEEP", 1)
    inbox = open_inbox(retention=timedelta(hours=1))
    for event in EVENTS[:3]:
        await inbox.put(event)
    await handled(inbox, count=3)
    wall.time += 3599
    async with inbox.worker(Shop().router):
        assert not await inbox.put(SMS)
        wall.time += 2
        await settled(inbox, InboxCounts())
    assert await inbox.put(SMS)


@pytest.mark.parametrize(
    ("state", "latest"),
    [("failing", NOW + 7.0), ("claimed", UPTIME + 30.0), ("done", NOW + 3600.0)],
)
async def test_nothing_is_stuck_where_a_clock_begins_anew(
    open_inbox: Callable[..., Inbox], path: Path, state: str, latest: float
) -> None:
    """Whatever is due years from now is due as soon as it would be if it had begun now."""
    inbox = open_inbox(
        retry=Retry(attempts=3, base=1.0, cap=60.0), retention=timedelta(hours=1), lease=30.0
    )
    await inbox.put(SMS)
    change = "UPDATE events SET state = ?, due_at = ?, wait = 7.0, owner = 'somebody'"
    await inbox._do(lambda connection: connection.execute(change, (state, NOW + 1e9)).rowcount)
    await inbox._do(lambda connection: claim_due(connection, "me", 8, inbox._policy))
    assert rows(path, "state, due_at") == [(state, latest)]


async def test_a_new_event_is_handled_at_once_whatever_the_clock_said(
    inbox: Inbox, wall: Wall
) -> None:
    await inbox.put(SMS)
    wall.time -= 1e9
    await handled(inbox)
    assert await inbox.counts() == InboxCounts(done=1)


# The worker


async def test_no_more_events_are_handled_at_a_time_than_asked_for(inbox: Inbox) -> None:
    """Nor claimed: other processes may have them."""
    resume = anyio.Event()
    shop = Shop(lambda event: resume.wait())
    async with inbox.worker(shop.router, concurrency=3):
        await inbox.put(SMS)
        await shop.had(1)
        async with anyio.create_task_group() as group:
            for number in range(19):
                group.start_soon(inbox.put, IncomingSms(message=str(number)))
        await settled(inbox, InboxCounts(waiting=17, claimed=3))
        assert len(shop.seen) == 3
        resume.set()
        await settled(inbox, InboxCounts(done=20))


async def test_a_worker_learns_at_once_of_what_happens_in_its_own_process(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a new event, a free place, a failure, an event that goes round again, and its end."""
    monkeypatch.setattr(_run, "POLL", 3600.0)
    failed = set[str]()

    async def fail_at_first(event: Event) -> None:
        if event.key not in failed:
            failed.add(event.key)
            await fail(event)

    shop = Shop(fail_at_first)
    async with inbox.worker(shop.router, concurrency=1):
        await settled(inbox, InboxCounts())
        async with anyio.create_task_group() as group:
            for event in EVENTS:
                group.start_soon(inbox.put, event)
        await shop.had(2 * len(EVENTS))
        await inbox.put_unreadable(build_webhook(SMS).encode() + b"#", "who knows")
        for found in await inbox.set_aside():
            await inbox.requeue(found.key)
        await settled(inbox, InboxCounts(done=len(EVENTS), set_aside=1))


async def test_a_handler_that_is_soon_done_is_not_disturbed_at_the_end(inbox: Inbox) -> None:
    finish = anyio.Event()
    await inbox.put(SMS)
    shop = Shop(lambda event: finish.wait())
    async with anyio.create_task_group() as group, inbox.worker(shop.router):
        await shop.had(1)
        group.start_soon(finish_later, finish)
    assert await inbox.counts() == InboxCounts(done=1)


async def finish_later(finish: anyio.Event) -> None:
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
    finish.set()


async def test_a_handler_that_takes_long_is_cancelled_at_the_end_and_runs_again_at_the_next_start(
    inbox: Inbox, path: Path
) -> None:
    """At once, and the attempt does not count."""
    await inbox.put(SMS)
    await handled(inbox, hang)
    assert rows(path, "state, due_at, owner, attempts") == [("waiting", 0.0, None, 0)]
    assert (await handled(inbox)).seen == [SMS]


async def test_an_inbox_may_be_closed_as_soon_as_its_worker_is_gone(
    inbox: Inbox, path: Path
) -> None:
    """Whatever the worker had to write is written by then, even if it had to wait for the disk."""
    turn = threading.Event()
    await inbox.put(SMS)
    shop = Shop(hang)
    async with anyio.create_task_group() as group:
        async with inbox.worker(shop.router):
            await shop.had(1)
            group.start_soon(inbox._do, lambda connection: turn.wait(10))
            await anyio.lowlevel.checkpoint()
            threading.Timer(0.05, turn.set).start()
        inbox.close()
    assert rows(path, "state") == [("waiting",)]


async def test_the_end_may_come_in_another_task(inbox: Inbox) -> None:
    await inbox.put(SMS)
    shop = Shop()
    worker = inbox.worker(shop.router)
    await asyncio.create_task(worker.__aenter__())
    await shop.had(1)
    await asyncio.create_task(worker.__aexit__(None, None, None))
    assert await inbox.counts() == InboxCounts(done=1)


async def test_an_end_that_is_cancelled_does_not_wait_for_handlers(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_worker, "GRACE", 60.0)
    await inbox.put(SMS)
    with anyio.move_on_after(10) as scope:
        shop = Shop(hang)
        async with inbox.worker(shop.router):
            await shop.had(1)
            scope.cancel()
    assert await inbox.counts() == InboxCounts(waiting=1)


async def test_an_error_in_the_context_comes_out_of_it(inbox: Inbox) -> None:
    with pytest.raises(KeyError):
        async with inbox.worker(Shop().router):
            raise KeyError


async def test_a_lease_is_renewed_while_a_handler_runs(
    open_inbox: Callable[..., Inbox], wall: Wall, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no longer; nobody else can claim the event meanwhile."""
    renewed: list[list[str]] = []
    renew = _rows.renew

    def noted(connection: sqlite3.Connection, keys: list[str], owner: str, until: float) -> bool:
        renewed.append(keys)
        return renew(connection, keys, owner, until)

    async def renewals(keys: list[str]) -> None:
        renewed.clear()
        await until(lambda: keys in renewed)

    monkeypatch.setattr(_rows, "renew", noted)
    inbox, finish = open_inbox(lease=0.03), anyio.Event()
    await inbox.put(SMS)
    shop = Shop(lambda event: finish.wait())
    async with inbox.worker(shop.router):
        await shop.had(1)
        for _ in range(3):
            wall.uptime += 0.02
            await renewals([SMS.key])
            claim = functools.partial(claim_due, owner="other", places=8, policy=inbox._policy)
            assert await inbox._do(claim) == []
        assert rows(path, "due_at") == [(wall.uptime + 0.03,)]
        finish.set()
        await renewals([])


async def test_a_worker_never_takes_over_what_it_is_doing(
    open_inbox: Callable[..., Inbox], wall: Wall
) -> None:
    """Even if its event loop stood still for longer than a lease.

    Nor does a clock that was put forward end a lease.
    """
    inbox, finish = open_inbox(lease=30.0), anyio.Event()
    shop = Shop(lambda event: finish.wait())
    await inbox.put(SMS)
    async with inbox.worker(shop.router):
        await shop.had(1)
        wall.time += 1e6
        other = functools.partial(claim_due, owner="other", places=8, policy=inbox._policy)
        assert await inbox._do(other) == []
        wall.uptime += 31
        await inbox.put(EVENTS[1])
        await shop.had(2)
        finish.set()
    assert shop.seen == [SMS, EVENTS[1]]


async def test_what_a_worker_that_crashed_had_claimed_is_free_when_its_lease_ends(
    open_inbox: Callable[..., Inbox], wall: Wall
) -> None:
    inbox = open_inbox(lease=30.0)
    await inbox.put(SMS)
    claim = functools.partial(claim_due, owner="other", places=8, policy=inbox._policy)
    assert [claimed.key for claimed in await inbox._do(claim)] == [SMS.key]
    wall.uptime += 29
    assert await inbox._do(claim) == []
    wall.uptime += 2
    assert (await handled(inbox)).seen == [SMS]


async def test_nothing_is_taken_over_for_the_time_in_which_nobody_could_renew_a_lease(
    open_inbox: Callable[..., Inbox],
    wall: Wall,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Another program that holds the file is no crash of whoever handles an event meanwhile."""
    monkeypatch.setattr(opening, "BUSY_TIMEOUT", 0.01)
    inbox = open_inbox(lease=30.0)
    await inbox.put(SMS)
    await inbox._do(lambda connection: claim_due(connection, "other", 8, inbox._policy))
    shop = Shop()
    async with inbox.worker(shop.router):
        await inbox.put(EVENTS[1])
        await settled(inbox, InboxCounts(claimed=1, done=1))
        with closing(sqlite3.connect(path, isolation_level=None)) as program:
            program.execute("BEGIN IMMEDIATE")
            await told(caplog, 1)
            wall.uptime += 31
            program.execute("ROLLBACK")
        for each in EVENTS[2:5]:
            await inbox.put(each)
            await shop.had(EVENTS.index(each))
            assert SMS not in shop.seen
            wall.uptime += 10
        wall.uptime += 1
        await settled(inbox, InboxCounts(done=5))
    assert shop.seen[-1] == SMS


async def test_some_places_are_for_what_failed_and_the_others_for_what_is_new(
    open_inbox: Callable[..., Inbox], wall: Wall
) -> None:
    """However much there is of either."""
    inbox = open_inbox(retry=Retry(attempts=3, base=1.0, cap=1.0))

    async def claim(places: int, **more: Any) -> list[Event]:
        claims = await inbox._do(
            lambda connection: claim_due(connection, "me", places, inbox._policy, **more)
        )
        return [read_payload(claimed.parameter, claimed.payload) for claimed in claims]

    failed, new = EVENTS[:3], EVENTS[3:]
    for event in failed:
        await inbox.put(event)
    assert await claim(8) == failed
    for event in failed:
        move = functools.partial(
            _rows.move, key=event.key, owner="me", ending=Ending("failing", 1.0), now=wall.time
        )
        await inbox._do(move)
    for event in new:
        await inbox.put(event)
    assert await claim(1, retries=0) == [new[0]]
    wall.time += 1.0
    assert await claim(2) == [failed[0], new[1]]
    assert await claim(3, retries=0) == [new[2], *failed[1:]]


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_what_failed_and_what_is_new_take_turns(
    open_inbox: Callable[..., Inbox], wall: Wall, concurrency: int
) -> None:
    inbox = open_inbox(retry=Retry(attempts=9, base=1.0, cap=1.0))
    old = [IncomingSms(message=f"old {number}") for number in range(6)]
    for event in old:
        await inbox.put(event)

    def fail_all(connection: sqlite3.Connection) -> bool:
        claims = claim_due(connection, "me", 8, inbox._policy)
        ending = Ending("failing", 1.0)
        return all(_rows.move(connection, claim.key, "me", ending, wall.time) for claim in claims)

    assert await inbox._do(fail_all)
    wall.time += 2.0
    for number in range(6):
        await inbox.put(IncomingSms(message=f"new {number}"))
    shop = await handled(inbox, count=12, concurrency=concurrency)
    kinds = [event.raw["message"].split()[0] for event in shop.seen]
    assert set(kinds[:5]) == set(kinds[-7:]) == {"old", "new"}


async def test_what_is_done_is_done_whoever_claimed_it_meanwhile(
    open_inbox: Callable[..., Inbox],
) -> None:
    """All else is up to whoever has the lease."""
    inbox = open_inbox()
    await inbox.put(SMS)
    await inbox._do(lambda connection: claim_due(connection, "now", 8, inbox._policy))
    endings = [Ending("waiting"), Ending("set_aside"), Ending("done")]
    move = functools.partial(_rows.move, key=SMS.key, owner="before", now=NOW)
    assert [await inbox._do(functools.partial(move, ending=ending)) for ending in endings] == [
        False,
        False,
        True,
    ]
    assert await inbox.counts() == InboxCounts(done=1)


async def test_a_worker_that_fails_says_so_and_begins_anew(
    inbox: Inbox, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    """Here its source of chance fails; what it had claimed is free again."""
    chances = iter([0.5])
    wall.chance = lambda: next(chances)
    await inbox.put(SMS)
    shop = Shop(fail)
    async with inbox.worker(shop.router, concurrency=1):
        await shop.had(2)
        wall.chance = lambda: 0.5
        await settled(inbox, InboxCounts(set_aside=1))
    assert "inbox: the worker failed and begins anew in 0 s: RuntimeError" in caplog.messages


# Trouble with the file


async def test_a_worker_outlasts_trouble_with_the_file_and_tells_of_it_once(
    inbox: Inbox, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Before it claims, and when it has to note that an event is done.

    The handler does not run again.
    """
    away = path.with_name("away.db")
    resume = anyio.Event()
    await inbox.put(SMS)
    move(path, away)
    shop = Shop(lambda event: resume.wait())
    async with inbox.worker(shop.router):
        await told(caplog, 1)
        move(away, path)
        await shop.had(1)
        move(path, away)
        resume.set()
        await told(caplog, 2)
        move(away, path)
        await settled(inbox, InboxCounts(done=1))
    assert shop.seen == [SMS]
    assert (
        caplog.messages
        == [f"inbox: {path}: No such file or directory; the worker goes on trying"] * 2
    )
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


async def test_a_file_that_was_moved_away_is_not_written_to(inbox: Inbox, path: Path) -> None:
    """SQLite would; and nothing would be left of it after a restart."""
    away = path.with_name("away.db")
    await inbox.put(SMS)
    move(path, away)
    with pytest.raises(InboxUnavailable, match="No such file"):
        await inbox.put(EVENTS[1])
    assert [file.name for file in path.parent.iterdir() if file == path] == []
    move(away, path)
    assert await inbox.put(EVENTS[1])


async def test_a_file_that_others_may_read_meanwhile_is_closed_to_them(
    inbox: Inbox, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.chmod(path, 0o644)  # noqa: PTH101 - a method of Path looks like one that blocks
    assert await inbox.put(SMS)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600  # noqa: PTH116 - as above
    assert caplog.messages == [
        f"{path}: was open to others, and holds people's data: chmod 600 was done"
    ]


async def test_a_failure_undoes_all_that_was_done_together_and_all_are_told(inbox: Inbox) -> None:
    """Even if it is a fault of one of them; the next transaction is not touched."""

    def faulty(connection: sqlite3.Connection) -> NoReturn:
        raise KeyError(TEXT)

    results: list[object] = []

    async def kept(call: Awaitable[object]) -> None:
        try:
            results.append(await call)
        except InboxUnavailable as error:
            results.append(str(error).rpartition(": ")[2])

    async with anyio.create_task_group() as group:
        for call in (inbox.put(SMS), inbox._do(faulty), inbox.put(EVENTS[1])):
            group.start_soon(kept, call)
    assert results == ["KeyError"] * 3
    assert await inbox.counts() == InboxCounts()
    assert await inbox.put(SMS)


async def test_a_call_does_not_wait_for_a_file_that_hangs(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had not begun by then never will; what had begun is done."""
    monkeypatch.setattr(_inbox, "STORE_TIMEOUT", 0.02)
    resume, begun = threading.Event(), anyio.Event()
    tell = asyncio.get_running_loop().call_soon_threadsafe

    def hanging(connection: sqlite3.Connection) -> bool:
        tell(begun.set)
        return resume.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(refused, inbox._do(hanging))
        await begun.wait()
        group.start_soon(refused, inbox.put(SMS))
    resume.set()
    monkeypatch.undo()
    assert await inbox.counts() == InboxCounts()


async def refused(call: Awaitable[object]) -> None:
    with pytest.raises(InboxUnavailable, match="the inbox's file does not answer"):
        await call


async def test_a_file_that_is_locked_is_said_to_be(
    inbox: Inbox, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_TIMEOUT", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(InboxUnavailable, match="database is locked"):
            await inbox.put(SMS)
    assert await inbox.put(SMS)


# Lifetime


async def test_an_inbox_that_is_closed_says_so(inbox: Inbox) -> None:
    """Closing it twice does no harm; whatever is on its way then is told."""
    await inbox.put(SMS)
    late = asyncio.create_task(inbox.put(EVENTS[1]))
    await anyio.lowlevel.checkpoint()
    inbox.close()
    inbox.close()
    with pytest.raises(InSimError, match="closed"):
        await late
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: inbox.put(SMS),
        lambda: inbox.put_unreadable(b"query", "reason"),
        inbox.set_aside,
        lambda: inbox.requeue("key"),
        lambda: inbox.discard("key"),
        inbox.counts,
        inbox.worker(Shop().router).__aenter__,
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match="the inbox is closed"):
            await call()


def test_an_inbox_serves_one_event_loop_after_the_other(inbox: Inbox) -> None:
    assert [asyncio.run(inbox.put(event)) for event in (SMS, SMS, EVENTS[1])] == [True, False, True]


def test_an_inbox_serves_event_loops_in_several_threads(inbox: Inbox) -> None:
    async def put_all() -> None:
        results.extend([await inbox.put(IncomingSms(message=str(number))) for number in range(20)])

    results: list[bool] = []
    threads = [threading.Thread(target=asyncio.run, args=[put_all()]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(results), sum(results)) == (80, 20)


@pytest.mark.parametrize(
    "settings",
    [
        {"retry": Retry(attempts=0)},
        {"retention": timedelta(-1)},
        {"handler_timeout": 0.0},
        {"lease": 0.0},
        {"lease": float("nan")},
    ],
)
def test_settings_that_make_no_sense_are_refused(path: Path, settings: dict[str, Any]) -> None:
    """Before a file is made."""
    with pytest.raises(ConfigurationError):
        Inbox.open(path, **settings)
    assert not path.exists()


@pytest.mark.parametrize("key", ["\ud800", None, 5])
async def test_a_key_that_is_none_spoils_nothing_for_others(inbox: Inbox, key: Any) -> None:
    for ask in (inbox.requeue, inbox.discard):
        with pytest.raises(ConfigurationError, match="key: expected that of an event"):
            await ask(key)


@pytest.mark.parametrize("limit", [0, -1, 2**70, "x"])
async def test_a_limit_that_is_none_is_refused(inbox: Inbox, limit: Any) -> None:
    with pytest.raises(ConfigurationError, match="limit: expected a whole number of 1 or more"):
        await inbox.set_aside(limit=limit)


def test_a_worker_without_a_place_is_refused(inbox: Inbox) -> None:
    with pytest.raises(ConfigurationError, match="concurrency: must be 1 or more"):
        inbox.worker(Shop().router, concurrency=0)


def test_a_file_that_is_no_inbox_is_refused(path: Path) -> None:
    prepare_database(path, Layout(application_id=1, version=1, schema=""))
    with pytest.raises(ConfigurationError, match="holds something else"):
        Inbox.open(path)


def test_a_relative_path_means_the_folder_of_the_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(Inbox.open("inbox.db")) as inbox:
        monkeypatch.chdir("/")
        assert asyncio.run(inbox.put(parse_webhook(build_webhook(SMS))))
    assert (tmp_path / "inbox.db").exists()
