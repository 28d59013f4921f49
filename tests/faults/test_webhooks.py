"""Webhooks over real sockets, in each adapter: received byte for byte, or refused.

Whatever came, the next one is served.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import quote

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from insim_async.webhooks import (
    Event,
    IncomingSms,
    LinkClick,
    WebhookRouter,
    _reception,
    build_webhook,
)
from insim_async.webhooks._reception import SELFTEST_FIELD, Reception, Response
from insim_async.webhooks.inbox import Inbox
from tests.test_webhooks_parsing import NO_EVENT, TEXTS, query

from .adapters import (
    ADAPTERS,
    AIOHTTP,
    BY_DEFAULT,
    CLOSED,
    H11,
    HTTPTOOLS,
    PATH,
    PATIENCE,
    SECRET,
    Line,
    Reply,
    served,
)
from .leaks import NUMBER, TEXT
from .stepping import (
    Ending,
    as_it_wakes,
    by_scope_on_asyncio,
    by_scope_on_trio,
    natively,
    while_it_waits,
)

OK = Reply(200, b"ok\n")
SMS = {"title": "incoming_sms", "from": NUMBER, "message": TEXT}
QUERY = query(SMS).encode()


class House:
    """An adapter, and a router with one handler that keeps what it gets."""

    def __init__(self, adapter: str) -> None:
        self.adapter = adapter
        self.router = WebhookRouter(secret=SECRET)
        self.seen: list[Event] = []
        self.router.on(Event)(self.keep)

    async def keep(self, event: Event) -> None:
        """Handle an event."""
        self.seen.append(event)

    @contextmanager
    def open(self) -> Iterator[House]:
        """Serve."""
        with served(self.adapter, self.router) as self.served:
            yield self

    def get(self, query: bytes) -> Reply:
        """Call the webhook."""
        return self.served.get(query)

    def arrived(self) -> list[Any]:
        """Return the payloads that came since the last time."""
        payloads = [event.raw for event in self.seen]
        self.seen.clear()
        return payloads

    def works(self) -> None:
        """See that the next request is served."""
        assert (self.get(QUERY), self.arrived()) == (OK, [SMS])


@pytest.fixture(scope="module", params=BY_DEFAULT)
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """Each adapter, one server for all tests."""
    with House(request.param).open() as house:
        yield house
        house.works()


@pytest.fixture(params=BY_DEFAULT)
def adapter(request: pytest.FixtureRequest) -> str:
    """Each adapter, for a server of the test's own."""
    adapter: str = request.param
    return adapter


# Byte for byte


INJECTING = [
    '","message":"',
    '"}&message={"a":"',
    '\\","from":"',
    "\\",
    '\\u0022,"a":1',
    "&calls=%7B%7D",
    "}",
    "\u2028",
]
NASTY = [
    *TEXTS,
    *INJECTING,
    "%00",
    "%ff",
    "%FF%FE",
    "%257B",
    "a\tb",
    "\x7f\x80",
    "\U0010ffff",
    "?" * 50,
]


@pytest.mark.parametrize("text", NASTY)
def test_a_text_arrives_as_it_was_written(house: House, text: str) -> None:
    """Escaped once or twice; three times is refused."""
    payload = SMS | {"message": text, text: [text]}
    for times, expected in ((1, [payload]), (2, [payload]), (3, [])):
        reply = house.get(query(payload, times=times).encode())
        assert (reply.status, house.arrived()) == (200 if expected else 400, expected)


HOSTILE = {
    name: raw for name, raw in NO_EVENT.items() if len(raw) < 8_000 and name != "a surrogate"
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_event_is_refused(house: House, raw: str) -> None:
    """By us, or by the server where that is no HTTP."""
    reply = house.get(raw.encode())
    assert (reply.status, house.arrived()) == (400, [])


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(NASTY)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)
# Hypothesis reads the sources, and finds it.
PAYLOADS = st.builds(
    lambda more, **known: more | known,
    st.dictionaries(ANY_TEXT, ANY_JSON, max_size=3),
    title=st.sampled_from(["incoming_sms", "clicked link", "missed_call", "news"]),
    message=ANY_TEXT,
).filter(lambda payload: SELFTEST_FIELD not in payload)
NAMES = st.sampled_from(["message", "calls", "clics", "status", "news"])
AROUND = st.sampled_from(["{}", "a=1&{}", "{}&b=%7Dx", "token=t?{}", "&{}&"])


@settings(max_examples=60)
@given(PAYLOADS, NAMES, AROUND, st.booleans(), st.sampled_from([None, 2]), st.sampled_from([1, 2]))
def test_any_payload_that_is_escaped_arrives(
    house: House,
    payload: dict[str, Any],
    name: str,
    around: str,
    plain: bool,
    indent: int | None,
    times: int,
) -> None:
    """However it is spelled."""
    value = json.dumps(payload, ensure_ascii=plain, indent=indent)
    for _ in range(times):
        value = quote(value, safe="!~*'()")
    reply = house.get(around.replace("{}", f"{name}={value}").encode())
    assert (reply, house.arrived()) == (OK, [payload])


def spelled(text: str, plain: str, upper: bool) -> bytes:
    """Escape every character but those that a sloppy sender leaves as they are.

    A ``%`` can never be one of those.
    """
    escapes = [
        c if c in plain else "".join(f"%{byte:02{'X' if upper else 'x'}}" for byte in c.encode())
        for c in text
    ]
    return "".join(escapes).encode()


@settings(max_examples=150)
@example({"message": "a b"}, ' "{}:,', False)
@example({"message": "#1"}, '"{}:,#', False)
@example({"message": "a&b=c"}, '"{}:,&=', False)
@example({"message": "é"}, '"{}:,é', False)
@example({"message": "a\r\nX: b\r\n\r\nGET / HTTP/1.1"}, '"{}:,\r\n /', False)
@given(
    PAYLOADS, st.text(' "{}[]:,#&=+;?\\/<>|^`\x00\x7f\r\n\té😀abcdef01', max_size=20), st.booleans()
)
def test_any_payload_that_is_half_escaped_arrives_or_is_refused(
    house: House, payload: dict[str, Any], plain: str, upper: bool
) -> None:
    """It is never altered."""
    value = spelled(json.dumps(payload, ensure_ascii=False, separators=(",", ":")), plain, upper)
    reply = house.get(b"message=" + value)
    arrived = house.arrived()
    assert arrived == ([payload] if reply == OK else [])
    assert reply.status in {200, 400, 0}


@settings(max_examples=100)
@example(b"/\r\n\r\n", b"")
@example(b"*", b"")
@example(b"/%", b"?")
@example(b"//", b"?#")
@example(b"http://[", b"")
@given(
    st.binary(max_size=30)
    | st.text("/%.?#:@[]*\\ahtp0", max_size=20).map(str.encode)
    | st.just(PATH),
    st.binary(max_size=30)
    | st.text('%={?&}#"a:1+ ', max_size=30).map(lambda text: b"?message={" + text.encode()),
)
def test_any_target_is_answered_and_costs_nothing(house: House, path: bytes, rest: bytes) -> None:
    """Or the connection is closed; and the next request is served."""
    reply = house.served.ask(path + rest)
    assert reply.status in {200, 400, 404, 0}
    assert reply.status == 200 or house.arrived() == []
    house.seen.clear()
    house.works()


# Requests of every kind


WHERE = {
    PATH: 200,
    b"/insim/%59" + SECRET[1:].encode(): 200,
    b"http://app.test" + PATH: 200,
    b"/insim/" + SECRET[:-1].encode(): 404,
    b"/insim/" + SECRET.lower().encode(): 404,
    b"/insim/%C3%A9": 404,
    b"/insim/%ff%00": 404,
    b"/insim/" + SECRET.encode() + b"%0d%0a": 404,
    b"/" + SECRET.encode() + b"/insim": 404,
    b"/insim/": 404,
    b"/": 404,
}


@pytest.mark.parametrize(("path", "status"), WHERE.items())
def test_the_secret_opens_and_nothing_else_does(house: House, path: bytes, status: int) -> None:
    reply = house.served.ask(path + b"?" + QUERY)
    assert (reply.status, len(house.arrived())) == (status, int(status == 200))


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_get_handles(house: House, method: str) -> None:
    reply = house.served.ask(PATH + b"?" + QUERY, method)
    assert (reply.status, house.arrived()) == (200 if method == "HEAD" else 405, [])


def test_a_connection_is_used_again_and_again(house: House) -> None:
    """Whatever is asked over it."""
    with house.served.line() as line:
        for target, status in [
            (PATH + b"?" + QUERY, 200),
            (PATH, 400),
            (b"/insim/wrong", 404),
        ] * 10:
            assert line.ask(target).status == status
    assert house.arrived() == [SMS] * 10


def test_requests_one_behind_the_other_are_answered_in_order(house: House) -> None:
    """Sent at once, and in pieces of a byte."""
    head = b" HTTP/1.1\r\nHost: app.test\r\n\r\n"
    requests = b"".join(
        b"GET " + target + head for target in (PATH + b"?" + QUERY, b"/insim/wrong", PATH)
    )
    for size in (len(requests), 1):
        with house.served.line() as line:
            line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in range(0, len(requests), size):
                line.send(requests[piece : piece + size])
            replies = [line.reply() for _ in range(3)]
        assert ([reply.status for reply in replies], house.arrived()) == ([200, 404, 400], [SMS])


@pytest.mark.parametrize(
    "more",
    [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"],
)
def test_a_body_is_ignored(house: House, more: bytes) -> None:
    """It cannot become the next request."""
    with house.served.line() as line:
        line.send(b"GET " + PATH + b"?" + QUERY + b" HTTP/1.1\r\nHost: app.test\r\n" + more)
        assert line.reply() == OK
    assert house.arrived() == [SMS]


@pytest.mark.parametrize(
    "sent", [b"", b"G", b"GET " + PATH, b"GET " + PATH + b"?" + QUERY + b" HTTP/1.1\r\nHost: a"]
)
def test_half_a_request_is_none(house: House, sent: bytes) -> None:
    with house.served.line() as line:
        line.send(sent)
    house.works()


# Long targets

KIB = 1024
EMOJI = 19_448  # an SMS of 1,600 emoji
LENGTHS = {
    H11: {4 * KIB: {200}, 16_000: {200}, EMOJI: {200, 400}, 65_536: {200, 400}},
    HTTPTOOLS: {4 * KIB: {200}, EMOJI: {200}, 65_535: {200}, 65_536: {400}, 131_072: {400}},
    AIOHTTP: {4 * KIB: {200}, 8_177: {200}, 8_191: {400}, EMOJI: {400}, 65_536: {400}},
    f"{H11}, raised": {4 * KIB: {200}, EMOJI: {200}, 65_536: {200}, 262_000: {200}},
    f"{AIOHTTP}, raised": {4 * KIB: {200}, EMOJI: {200}, 65_536: {200}, 262_131: {200}},
}
TOO_LONG = {length: {400, CLOSED.status} for length in (264_000, 512 * KIB, 1024 * KIB)}


def of_length(length: int) -> tuple[bytes, dict[str, str]]:
    """Make a target of so many bytes, and return the payload in it."""
    room = length - len(PATH) - 1 - len(query(SMS | {"message": ""}))
    payload = SMS | {"message": "😀" * (room // 12) + "x" * (room % 12)}
    return PATH + b"?" + query(payload).encode(), payload


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_long_targets_arrive_or_are_refused_as_documented(adapter: str) -> None:
    """With h11, between 16 KiB and the limit of sockets it depends on how much arrives at once.

    What aiohttp limits is the target where its parser is the one in C, else the first line, which
    is 13 bytes longer.
    """
    with House(adapter).open() as house:
        for length, statuses in (LENGTHS[adapter] | TOO_LONG).items():
            target, payload = of_length(length)
            assert len(target) == length
            reply = house.served.ask(target)
            assert reply.status in statuses, length
            assert house.arrived() == ([payload] if reply.status == 200 else [])
            house.works()


@pytest.mark.parametrize(("adapter", "length"), [(H11, 16_500), (AIOHTTP, 8_300)])
def test_targets_above_the_limit_are_refused_before_they_end(adapter: str, length: int) -> None:
    """So an SMS of 1,600 emoji that comes in several pieces is lost, until the limit is raised."""
    with House(adapter).open() as house:
        with house.served.line() as line:
            line.send(b"GET " + of_length(EMOJI)[0][:length])
            assert line.reply().status == 400
        house.works()


@contextmanager
def in_gunicorn(folder: Path, *arguments: str) -> Iterator[Callable[[bytes], int]]:
    """Serve in a process of its own, as gunicorn does; give what asks it for a target."""
    folder.joinpath("served.py").write_text(
        "from insim_async.webhooks import WebhookRouter\n"
        "from insim_async.webhooks.asgi import webhook_app\n"
        f"app = webhook_app(WebhookRouter(secret={SECRET!r}))\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number, port = listener.fileno(), listener.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--bind",
            f"fd://{number}",
            "--worker-class",
            "asgi",
            *arguments,
        ]
        with subprocess.Popen(
            [*command, "--log-level", "critical", "served:app"],
            cwd=folder,
            pass_fds=[number],
            env=os.environ,
        ) as server:
            try:
                yield lambda target: ask(port, target)
            finally:
                server.terminate()


def ask(port: int, target: bytes) -> int:
    """Return the status of the answer.

    Whoever connects before the server has started waits in the backlog.
    """
    with closing(Line(port)) as line:
        return line.ask(target).status


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), {4 * KIB - 15: {200}, 4 * KIB: {414}, EMOJI: {414}, 65_536: {414}}),
        (
            ("--limit-request-line", "0"),
            {4 * KIB: {200}, EMOJI: {200}, 65_536: {200}, 262_000: {200}},
        ),
    ],
    ids=["by default", "raised"],
)
def test_gunicorn_takes_long_targets_as_documented(
    tmp_path: Path, arguments: tuple[str, ...], expected: dict[int, set[int]]
) -> None:
    too_long = {length: {400, 414, CLOSED.status} for length in (264_000, 512 * KIB, 1024 * KIB)}
    with in_gunicorn(tmp_path, *arguments) as status_of:
        for length, statuses in (expected | too_long).items():
            assert status_of(of_length(length)[0]) in statuses, length
            assert status_of(of_length(1000)[0]) == 200


# Handlers


@contextmanager
def handling(adapter: str, handler: Callable[[Event], Any]) -> Iterator[House]:
    """Serve with one more handler."""
    house = House(adapter)
    house.router.on(Event)(handler)
    with house.open():
        yield house


def test_a_handler_that_raises_is_answered_500(adapter: str) -> None:
    fails = itertools.chain([True, True], itertools.repeat(False))

    async def careless(event: Event) -> None:
        if next(fails):
            raise ValueError(str(event.raw))

    with handling(adapter, careless) as house:
        with house.served.line() as line:
            replies = [line.ask(PATH + b"?" + QUERY) for _ in range(3)]
        assert replies == [Reply(500, b"not handled\n"), Reply(500, b"not handled\n"), OK]
        assert house.arrived() == [SMS] * 3


def test_a_handler_that_hangs_is_answered_500(
    adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reception, "HANDLER_TIMEOUT", 0.05)
    hang = iter([True])

    async def slow(event: Event) -> None:
        if next(hang, False):
            await anyio.sleep_forever()

    with handling(adapter, slow) as house:
        assert house.get(QUERY) == Reply(500, b"not handled\n")
        assert house.get(QUERY) == OK
        assert (house.router.statistics().failed, house.router.statistics().handled) == (1, 1)


def test_a_handler_that_cancels_itself_is_not_answered_200(adapter: str) -> None:
    cancelled = iter([True])

    async def odd(event: Event) -> None:
        if next(cancelled, False):
            raise asyncio.CancelledError

    with handling(adapter, odd) as house:
        assert house.get(QUERY).status in {500, CLOSED.status}
        assert house.get(QUERY) == OK


@pytest.mark.parametrize("manner", ["close", "reset"])
def test_who_hangs_up_does_not_end_the_handler(adapter: str, manner: str) -> None:
    """It is done with the event before the next one comes."""
    begun, ended = threading.Event(), threading.Event()
    leave = anyio.Event()

    async def slow(event: Event) -> None:
        begun.set()
        await leave.wait()
        ended.set()

    with handling(adapter, slow) as house:
        with house.served.line() as line:
            line.send(b"GET " + PATH + b"?" + QUERY + b" HTTP/1.1\r\nHost: app.test\r\n\r\n")
            assert begun.wait(PATIENCE)
            if manner == "reset":
                line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        house.served.portal.call(leave.set)
        assert ended.wait(PATIENCE)
        house.arrived()
        house.works()
        assert house.router.statistics().handled == 2


@pytest.mark.parametrize("kept", [False, True])
def test_a_link_is_never_followed(adapter: str, kept: bool, tmp_path: Path) -> None:
    """Whoever knows the secret could make us call what only we can reach."""
    handled: SimpleQueue[Event] = SimpleQueue()
    router = WebhookRouter(secret=SECRET)

    @router.on(Event)
    async def read(event: Event) -> None:
        handled.put(event)

    with (
        socket.create_server(("127.0.0.1", 0)) as internal,
        closing(Inbox.open(tmp_path / "inbox")) as inbox,
    ):
        link = f"http://127.0.0.1:{internal.getsockname()[1]}/admin?delete=all"
        event = LinkClick(phone_number=NUMBER, link=link)
        with (
            served(adapter, router, inbox if kept else None) as receiving,
            receiving.portal.wrap_async_context_manager(inbox.worker(router))
            if kept
            else nullcontext(),
        ):
            assert receiving.get(build_webhook(event).encode()) == OK
            assert handled.get(timeout=PATIENCE) == event
        internal.setblocking(False)
        with pytest.raises(BlockingIOError):
            internal.accept()


# Cancellation


MANNERS: dict[str, Callable[..., Awaitable[Ending]]] = {
    "while it waits": functools.partial(natively, manner=while_it_waits),
    "as it wakes": functools.partial(natively, manner=as_it_wakes),
    "twice": functools.partial(natively, manner=while_it_waits, times=2),
    "by scope": by_scope_on_asyncio,
    "trio": by_scope_on_trio,
}


@pytest.mark.parametrize("kept", [False, True], ids=["handled", "kept"])
@pytest.mark.parametrize("manner", MANNERS)
def test_a_request_is_cancelled_at_each_await(tmp_path: Path, manner: str, kept: bool) -> None:
    """From the first to the last; sent again, the event is handled or stored, once."""
    router = WebhookRouter(secret=SECRET)

    @router.on(Event)
    async def handle(event: Event) -> None:
        for _ in range(3):
            await anyio.sleep(0.0001)

    async def scenario() -> None:
        reception = Reception(router, inbox if kept else None)
        at, reached = 0, True
        while reached:
            at += 1
            raw = build_webhook(IncomingSms(message=f"{at}")).encode()
            call = functools.partial(reception.respond, "GET", f"/{SECRET}", raw)
            ending = await MANNERS[manner](at, call=call)
            cancelled = isinstance(ending.result, anyio.get_cancelled_exc_class())
            assert cancelled or (ending.result == ANSWERED and (kept or not ending.reached)), ending
            assert await call() == ANSWERED
            reached = ending.reached
        assert at > 2
        counts = router.statistics()
        received = counts.received["incoming_sms"]
        assert at < received <= 2 * at
        if kept:
            assert ((await inbox.counts()).waiting, counts.handled) == (at, 0)
        else:
            assert (counts.handled + counts.failed, counts.handled >= at) == (received, True)

    with closing(Inbox.open(tmp_path / "inbox")) as inbox:
        anyio.run(scenario, backend="trio" if manner == "trio" else "asyncio")


ANSWERED = Response(200, b"ok\n")


# Many

SERVER = """
    import socket, sys
    from contextlib import nullcontext

    import anyio, uvicorn
    from insim_async.webhooks import Event, WebhookRouter
    from insim_async.webhooks.asgi import webhook_app
    from insim_async.webhooks.inbox import Inbox

    SECRET, FILE, PATH = sys.argv[1:]
    router = WebhookRouter(secret=SECRET)

    @router.on(Event)
    async def handle(event: Event) -> None:
        assert event.phone_number

    async def main() -> None:
        inbox = Inbox.open(PATH) if PATH else None
        config = uvicorn.Config(
            webhook_app(router, inbox=inbox), access_log=False, lifespan="off", log_config=None
        )
        server = uvicorn.Server(config)
        working = inbox.worker(router) if inbox else nullcontext()
        async with working, anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [socket.socket(fileno=int(FILE))])
            await anyio.to_thread.run_sync(sys.stdin.read)
            server.should_exit = True
        print(router.statistics().handled)

    anyio.run(main)
"""
CALLERS = 16


@pytest.mark.parametrize("kept", [False, True], ids=["handled", "kept"])
def test_many_are_answered_in_time_and_memory_stays_flat(kept: bool, tmp_path: Path) -> None:
    """Set INSIM_TEST_WEBHOOKS=60000 for the long version."""
    count = int(os.environ.get("INSIM_TEST_WEBHOOKS", "3000"))
    path = tmp_path / "inbox" if kept else ""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [
            sys.executable,
            "-c",
            textwrap.dedent(SERVER),
            SECRET,
            str(listener.fileno()),
            str(path),
        ]
        server = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[listener.fileno()],
        )
        port = listener.getsockname()[1]
        begun = time.monotonic()
        warm = asyncio.run(calls(port, range(count // 3)))
        early = resident_mib(server.pid)
        delays = sorted(warm + asyncio.run(calls(port, range(count // 3, count))))
        seconds = time.monotonic() - begun
        late = resident_mib(server.pid)
    handled, _ = server.communicate(timeout=PATIENCE)
    p99 = delays[len(delays) * 99 // 100]
    print(
        f"{count / seconds:.0f} a second; "
        f"p99 {p99 * 1000:.1f} ms, at most {delays[-1] * 1000:.1f} ms"
    )
    print(f"{early:.1f} MiB after a third, {late:.1f} MiB at the end")
    assert len(delays) == count
    assert p99 < 1.0
    assert late - early < 10
    if kept:
        with closing(Inbox.open(path)) as inbox:
            counts = asyncio.run(inbox.counts())
        assert (counts.done + counts.waiting, counts.done) == (count, int(handled))
    else:
        assert int(handled) == count


async def calls(port: int, numbers: range) -> list[float]:
    """Call the webhook so often, over kept connections; return how long each call took."""
    delays: list[float] = []
    left = iter(numbers)

    async def caller() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in left:
            target = PATH + b"?" + query(SMS | {"message": f"Message {number}"}).encode()
            begun = time.monotonic()
            writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: app.test\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert (head[:15], await reader.readexactly(3)) == (b"HTTP/1.1 200 OK", b"ok\n")
            delays.append(time.monotonic() - begun)
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as callers:
        for _ in range(CALLERS):
            callers.create_task(caller())
    return delays


def resident_mib(pid: int) -> float:
    """Return how much memory a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 2**20
