"""Webhooks of the sandbox: how they are written and spoilt, when they are tried, how they go."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote

import anyio
import httpx
import pytest
import trustme

from insim_async import Retry
from insim_async.sandbox import (
    Fault,
    Sandbox,
    SentSms,
    Try,
    Webhook,
    WebhookFault,
    WebhookState,
    network,
)
from insim_async.sandbox.courier import run_courier
from insim_async.sandbox.faults import chance_fault, chance_webhook_fault
from insim_async.sandbox.network import fetch
from insim_async.sandbox.queries import query_for, target_of
from insim_async.testing import TimeMachine
from insim_async.webhooks import (
    CallEvent,
    DeliveryStatus,
    IncomingSms,
    build_webhook,
    parse_webhook,
)

NOW = datetime(2025, 10, 29, 10, 16, 10, 541000, tzinfo=UTC)
NUMBER, OTHER = "+33639980001", "+33639980002"
URL = "http://127.0.0.1:8000/insim/s3cret"
SMS = IncomingSms(phone_number=NUMBER, message="100% sûre + & #1 ?", at=NOW, account="me@x.fr")
CALL = CallEvent(phone_number=NUMBER, direction="missed", at=NOW.replace(tzinfo=None))


@pytest.fixture
def time() -> TimeMachine:
    return TimeMachine(NOW)


@pytest.fixture
def sandbox(time: TimeMachine) -> Sandbox:
    return Sandbox(clock=time.now, timezone=UTC, callback=URL)


class TestQuery:
    def test_is_as_documented(self) -> None:
        query = query_for(SMS, WebhookFault())
        assert query == build_webhook(SMS)
        assert parse_webhook(query) == SMS

    def test_encoded_twice_is_decoded_twice(self) -> None:
        query = query_for(SMS, WebhookFault(encoded_twice=True))
        assert query.startswith("message=%257B%2522")
        assert unquote(query) == build_webhook(SMS)

    def test_as_a_form_has_pluses_for_spaces(self) -> None:
        query = query_for(SMS, WebhookFault(as_form=True))
        assert "%20" not in query
        assert parse_qs(query) == parse_qs(build_webhook(SMS))
        assert parse_webhook(query) == SMS

    @pytest.mark.parametrize("event", [SMS, CALL, DeliveryStatus(sms_id="a", at=NOW)])
    def test_without_its_time_lacks_the_field(self, event: Any) -> None:
        read = parse_webhook(query_for(event, WebhookFault(without_time=True)))
        assert (type(read), read.at) == (type(event), None)
        assert len(read.raw) == len(event.raw) - 1

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("http://a.test", ("http://a.test/", "/?q")),
            ("http://a.test:8000/in/s", ("http://a.test:8000/", "/in/s?q")),
            ("https://a.test/a%20b%2Fc", ("https://a.test/", "/a%20b/c?q")),
            ("https://a.test/%C3%A9", ("https://a.test/", "/%C3%A9?q")),
        ],
    )
    def test_target_is_the_decoded_url_and_the_query(
        self, url: str, expected: tuple[str, str]
    ) -> None:
        assert target_of(url, "q") == expected


def taken(sandbox: Sandbox) -> Webhook:
    webhook = sandbox.postbox.next_ready()
    assert webhook is not None
    return webhook


def try_all(sandbox: Sandbox, time: TimeMachine, status: int | None = 200) -> list[str]:
    """Try all webhooks that are ready; return their texts or kinds in order."""
    tried = []
    while (webhook := sandbox.postbox.next_ready()) is not None:
        sandbox.postbox.tried(webhook.key, Try(at=time.now(), status=status))
        tried.append(json.loads(webhook.payload).get("message", webhook.kind))
    return tried


class TestTries:
    def test_200_is_the_end(self, sandbox: Sandbox, time: TimeMachine) -> None:
        webhook = sandbox.reply(NUMBER, "x")
        assert taken(sandbox).state is WebhookState.UNDER_WAY
        sandbox.postbox.tried(webhook.key, Try(at=NOW, status=200, seconds=0.012))
        [done] = sandbox.webhooks
        assert (done.state, done.status, sandbox.next_due()) == (
            WebhookState.DELIVERED,
            200,
            None,
        )

    @pytest.mark.parametrize("status", [500, 404, 302, 201, None])
    def test_after_anything_else_it_is_tried_again_with_back_off(
        self, time: TimeMachine, status: int | None
    ) -> None:
        retry = Retry(attempts=4, base=2.0, cap=5.0)
        sandbox = Sandbox(clock=time.now, callback=URL, retry=retry)
        sandbox.reply(NUMBER, "x")
        waits = []
        for _ in range(3):
            assert try_all(sandbox, time, status) == ["x"]
            assert try_all(sandbox, time, status) == []
            due = sandbox.next_due()
            assert due is not None
            assert sandbox.webhooks[0].again_at == due
            assert sandbox.webhooks[0].state is WebhookState.WAITING
            waits.append((due - time.now()).total_seconds())
            time.go_to(due)
        assert try_all(sandbox, time, status) == ["x"]
        assert waits == [2.0, 4.0, 5.0]
        [done] = sandbox.webhooks
        assert (done.state, len(done.tries)) == (WebhookState.GAVE_UP, 4)
        assert sandbox.next_due() is None

    def test_without_a_url_it_is_held_until_somebody_sends_it(
        self, sandbox: Sandbox, time: TimeMachine
    ) -> None:
        sandbox.change(callback="")
        webhook = sandbox.reply(NUMBER, "x")
        assert (webhook.state, try_all(sandbox, time)) == (WebhookState.HELD, [])
        with pytest.raises(ValueError, match="No callback URL"):
            sandbox.send_again(webhook.key)
        sandbox.change(callback=URL)
        again = sandbox.send_again(webhook.key)
        assert (again.url, again.by_hand) == (URL, True)
        with pytest.raises(ValueError, match="It is on its way"):
            sandbox.send_again(webhook.key)
        assert try_all(sandbox, time) == ["x"]

    def test_what_was_delivered_can_be_sent_again(
        self, sandbox: Sandbox, time: TimeMachine
    ) -> None:
        webhook = sandbox.reply(NUMBER, "x")
        try_all(sandbox, time)
        sandbox.send_again(webhook.key)
        assert try_all(sandbox, time) == ["x"]
        assert len(sandbox.webhooks[0].tries) == 2

    def test_what_was_forgotten_is_not_tried(self, time: TimeMachine) -> None:
        sandbox = Sandbox(clock=time.now, callback=URL, keep=1)
        sandbox.reply(NUMBER, "1")
        sandbox.order(WebhookFault(delay=1))
        sandbox.reply(NUMBER, "2")
        assert sandbox.postbox.next_ready() is None

    def test_what_is_forgotten_meanwhile_is_nobody_s(self, time: TimeMachine) -> None:
        sandbox = Sandbox(clock=time.now, callback=URL, keep=1)
        sandbox.reply(NUMBER, "1")
        first = taken(sandbox)
        with_faults = [WebhookFault(delay=1), WebhookFault(after_next=True), WebhookFault()]
        for number, fault in enumerate(with_faults):
            sandbox.order(fault)
            sandbox.reply(NUMBER, str(number + 2))
        sandbox.reply(NUMBER, "5")
        sandbox.postbox.tried(first.key, Try(at=NOW, status=500))
        time.go_to(time.later(100))
        assert try_all(sandbox, time) == ["5"]


class TestFaults:
    def test_twice(self, sandbox: Sandbox, time: TimeMachine) -> None:
        sandbox.order(WebhookFault(twice=True))
        sandbox.reply(NUMBER, "x")
        sandbox.reply(NUMBER, "y")
        assert try_all(sandbox, time) == ["x", "x", "y"]
        assert [webhook.fault for webhook in sandbox.webhooks] == ["twice", "twice", ""]

    def test_late(self, sandbox: Sandbox, time: TimeMachine) -> None:
        sandbox.order(WebhookFault(delay=3))
        assert sandbox.reply(NUMBER, "x").state is WebhookState.LATE
        sandbox.reply(NUMBER, "y")
        assert try_all(sandbox, time) == ["y"]
        assert sandbox.next_due() == NOW + timedelta(seconds=3)
        time.go_to(time.later(3))
        assert try_all(sandbox, time) == ["x"]

    def test_behind_the_next(self, sandbox: Sandbox, time: TimeMachine) -> None:
        sandbox.order(WebhookFault(after_next=True))
        sandbox.reply(NUMBER, "x")
        assert try_all(sandbox, time) == []
        sandbox.reply(NUMBER, "y")
        assert taken(sandbox).payload.count('"y"')
        assert sandbox.postbox.next_ready() is None  # until the other has arrived
        sandbox.postbox.tried(sandbox.webhooks[1].key, Try(at=NOW, status=200))
        assert try_all(sandbox, time) == ["x"]

    def test_behind_one_that_never_comes(self, sandbox: Sandbox, time: TimeMachine) -> None:
        sandbox.order(WebhookFault(after_next=True))
        sandbox.reply(NUMBER, "x")
        time.go_to(time.later(60))
        assert try_all(sandbox, time) == ["x"]
        sandbox.reply(NUMBER, "y")
        assert try_all(sandbox, time) == ["y"]

    def test_come_in_order_and_only_where_they_fit(
        self, sandbox: Sandbox, time: TimeMachine
    ) -> None:
        sandbox.order(WebhookFault(kind="call", twice=True, times=2))
        sandbox.order(Fault(status=500))
        sandbox.reply(NUMBER, "x")
        sandbox.miss_call(NUMBER)
        sandbox.miss_call(NUMBER)
        sandbox.miss_call(NUMBER)
        assert try_all(sandbox, time) == ["x", *["call"] * 5]
        assert [*sandbox.faults.values()] == [Fault(status=500)]

    def test_can_be_taken_back(self, sandbox: Sandbox, time: TimeMachine) -> None:
        number = sandbox.order(WebhookFault(twice=True))
        assert (sandbox.take_back(number), sandbox.take_back(number)) == (True, False)
        sandbox.order(Fault(status=500))
        sandbox.clear_faults()
        assert sandbox.faults == {}

    def test_say_what_they_are(self) -> None:
        assert str(WebhookFault()) == ""
        every = WebhookFault(
            twice=True,
            delay=2.5,
            after_next=True,
            encoded_twice=True,
            as_form=True,
            without_time=True,
        )
        assert str(every) == (
            "twice, 2.5 s late, behind the next, encoded twice, as a form, without its time"
        )


class TestChance:
    @pytest.mark.parametrize("draw", [chance_fault, chance_webhook_fault])
    def test_the_same_seed_gives_the_same_faults(
        self, draw: Callable[[int, float, int], object]
    ) -> None:
        one, same, other = (
            [draw(seed, 0.3, number) for number in range(1000)] for seed in (7, 7, 8)
        )
        assert one == same != other
        assert 250 < sum(fault is not None for fault in one) < 350
        assert [draw(7, 0.0, number) for number in range(100)] == [None] * 100

    def test_orders_for_both_ways(self, sandbox: Sandbox) -> None:
        sandbox.change(fault_rate=1, webhook_fault_rate=1, seed=3)
        assert sandbox.next_fault("sendsms") == chance_fault(3, 1, 0)
        assert sandbox.reply(NUMBER, "x").fault == str(chance_webhook_fault(3, 1, 0))

    def test_comes_after_what_was_ordered(self, sandbox: Sandbox) -> None:
        sandbox.change(fault_rate=1)
        sandbox.order(Fault(status=418))
        assert sandbox.next_fault("contact") == Fault(status=418)


class Recorder:
    """A server on a socket that keeps each request line and answers as it is told."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.lines: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.read(65536)  # one packet on loopback; nothing from who gave up
        self.lines.append(head.partition(b"\r\n")[0].decode())
        writer.write(self.answer)
        await reader.read()  # until the other side hangs up
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def listening(serve: Recorder) -> AsyncIterator[str]:
    served: list[asyncio.Task[None]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.ensure_future(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*served)


@contextmanager
def shaking_hands() -> Iterator[str]:
    """A server that nobody trusts, for one connection; asyncio would leave that open."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    def accept() -> None:
        connection, _ = listener.accept()
        with pytest.raises(ssl.SSLError), connection:
            context.wrap_socket(connection, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


class TestOverTheNetwork:
    @pytest.mark.parametrize("fault", [WebhookFault(), WebhookFault(encoded_twice=True)])
    async def test_the_request_line_is_as_documented_byte_for_byte(
        self, sandbox: Sandbox, fault: WebhookFault
    ) -> None:
        recorder = Recorder()
        async with listening(recorder) as url:
            sandbox.change(callback=f"{url}/insim/s3cret")
            sandbox.order(fault)
            webhook = sandbox.reply(NUMBER, 'C\'est (très) ~bien~ ! 100% "sûr" * {}|\\^`[]')
            assert await fetch(webhook) == 200
        assert recorder.lines == [f"GET /insim/s3cret?{webhook.query} HTTP/1.1"]

    @pytest.mark.parametrize("status", [302, 500])
    async def test_no_redirect_is_followed(self, sandbox: Sandbox, status: int) -> None:
        recorder = Recorder()
        recorder.answer = b"HTTP/1.1 %d X\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n" % status
        async with listening(recorder) as url:
            sandbox.change(callback=url)
            assert await fetch(sandbox.reply(NUMBER, "x")) == status
        assert len(recorder.lines) == 1

    async def test_it_waits_no_longer_than_its_time(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(network, "TIMEOUT", 0.01)
        recorder = Recorder()
        recorder.answer = b""
        async with listening(recorder) as url:
            sandbox.change(callback=url)
            with pytest.raises(OSError, match=r"^no answer within 0\.01 s$"):
                await fetch(sandbox.reply(NUMBER, "x"))

    async def test_says_why_there_was_no_answer(self, sandbox: Sandbox) -> None:
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            port = nobody.getsockname()[1]
        recorder = Recorder()
        recorder.answer = b"220 mail.test ESMTP\r\n\r\n"
        with shaking_hands() as other:
            async with listening(recorder) as talker:
                for url, why in [
                    (f"http://127.0.0.1:{port}", "connection refused"),
                    (other, "certificate not trusted"),
                    (talker, "no answer: RemoteProtocolError"),
                ]:
                    sandbox.change(callback=url)
                    with pytest.raises(OSError, match=rf"^{why}$"):
                        await fetch(sandbox.reply(NUMBER, "x"))

    async def test_a_host_that_does_not_exist_is_said(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(*_: object) -> httpx.Response:
            raise httpx.ConnectError("all failed") from socket.gaierror(-2, "unknown")

        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", fail)
        with pytest.raises(OSError, match=r"^no such host$"):
            await fetch(sandbox.reply(NUMBER, "x"))

    @pytest.mark.parametrize("host", ["a\x01b", "\N{SNOWMAN}.test"])
    async def test_a_name_that_can_be_no_host_ends_no_courier(self, host: str) -> None:
        sandbox = Sandbox(callback=f"http://{host}/hook")
        with pytest.raises(OSError, match=r"^no answer: InvalidURL$"):
            await fetch(sandbox.reply(NUMBER, "x"))


@asynccontextmanager
async def couriered(
    sandbox: Sandbox, time: TimeMachine, call: Callable[[Webhook], Awaitable[int]]
) -> AsyncIterator[None]:
    """Let a courier deliver until the block ends."""

    async def run() -> None:
        await run_courier(sandbox, call, now=time.seconds, sleep=time.sleep)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        yield
        group.cancel_scope.cancel()
    assert sandbox.journal.feed.listeners == set()


class TestCourier:
    """It delivers what is due, and sleeps as long as nothing is."""

    async def test_delivers_by_itself_what_becomes_due_and_tries_again(
        self, sandbox: Sandbox, time: TimeMachine
    ) -> None:
        seen: list[str] = []
        third = anyio.Event()

        async def call(webhook: Webhook) -> int:
            seen.append(json.loads(webhook.payload)["status"])
            if len(seen) == 1:
                raise OSError("connection refused")
            if len(seen) == 3:
                third.set()
            return 200

        async with couriered(sandbox, time, call):
            await anyio.wait_all_tasks_blocked()
            sandbox.send([SentSms(NUMBER, "x", sms_id="a", parts=1, sent_at=NOW)])
            with anyio.fail_after(10):
                await third.wait()
            await anyio.wait_all_tasks_blocked()
        assert (seen[0], sorted(seen)) == ("sent", ["received", "sent", "sent"])
        first, second = sandbox.webhooks
        assert [(each.status, each.problem) for each in first.tries] == [
            (None, "connection refused"),
            (200, ""),
        ]
        assert [each.at for each in first.tries] == [NOW + timedelta(seconds=n) for n in (1, 3)]
        assert (second.status, sandbox.messages[0].state) == (200, "received")

    async def test_delivers_several_at_a_time_and_no_more(
        self, sandbox: Sandbox, time: TimeMachine
    ) -> None:
        go_on = anyio.Event()

        async def call(_: Webhook) -> int:
            await go_on.wait()
            return 200

        async with couriered(sandbox, time, call):
            for number in range(20):
                sandbox.reply(NUMBER, str(number))
            await anyio.wait_all_tasks_blocked()
            states = [webhook.state for webhook in sandbox.webhooks]
            assert states == [WebhookState.UNDER_WAY] * 8 + [WebhookState.READY] * 12
            go_on.set()
            await anyio.wait_all_tasks_blocked()
        assert {webhook.state for webhook in sandbox.webhooks} == {WebhookState.DELIVERED}
