"""The aiohttp handler on a socket of its own.

Hostile requests are in ``faults/test_webhooks.py``.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp")

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

import insim_async.webhooks.aiohttp
from insim_async.webhooks import Event, IncomingSms, WebhookRouter, build_webhook
from insim_async.webhooks.aiohttp import webhook_handler
from insim_async.webhooks.inbox import Inbox

pytestmark = pytest.mark.extra("aiohttp")

SECRET = "Yx1dJ0mFv3qTg7bKz9cRn5wPh2sLu8aE"
SMS = IncomingSms(phone_number="+33639980001", message="100% sure: a+b & %41 é 😀")
QUERY = build_webhook(SMS)


def test_without_the_extra_the_import_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(ImportError, match=re.escape('pip install "insim_async[aiohttp]"')):
        importlib.reload(insim_async.webhooks.aiohttp)


class House:
    """A router with one handler that keeps what it gets."""

    def __init__(self) -> None:
        self.router = WebhookRouter(secret=SECRET)
        self.seen: list[Event] = []
        self.router.on(Event)(self.keep)

    async def keep(self, event: Event) -> None:
        """Handle an event."""
        self.seen.append(event)


@asynccontextmanager
async def serving(app: web.Application, **settings: Any) -> AsyncIterator[int]:
    """Serve an app and yield its port."""
    runner = web.AppRunner(app, **settings)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def routed(
    house: House, path: str = "/insim/{secret}", inbox: Inbox | None = None
) -> web.Application:
    app = web.Application()
    app.router.add_get(path, webhook_handler(house.router, inbox=inbox))
    return app


async def ask(port: int, target: str, method: str = "GET") -> tuple[int, str, str]:
    """Send a request as it stands, and return the status, the lines of the head, and the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"{method} {target} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n".encode()
    )
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), head.lower(), body


@pytest.mark.parametrize(
    ("method", "target", "status", "body"),
    [
        ("GET", f"/insim/{SECRET}?{QUERY}", 200, "ok\n"),
        ("GET", f"/insim/{SECRET}?token=t?{QUERY}", 200, "ok\n"),
        ("GET", f"/insim/%59{SECRET[1:]}?{QUERY}", 200, "ok\n"),
        ("GET", f"http://app.test/insim/{SECRET}?{QUERY}", 200, "ok\n"),
        ("GET", f"/insim/{SECRET}", 400, "no event of inSIM\n"),
        ("GET", f"/insim/{SECRET}?message=%7B", 400, "no event of inSIM\n"),
        ("GET", f"/insim/wrong?{QUERY}", 404, "not found\n"),
        ("GET", f"/insim/{SECRET}x?{QUERY}", 404, "not found\n"),
        ("GET", f"/insim/%C3%A9?{QUERY}", 404, "not found\n"),
        ("GET", f"/insim/%ff?{QUERY}", 404, "not found\n"),
        ("GET", f"/insim/{SECRET}%00?{QUERY}", 404, "not found\n"),
        ("HEAD", f"/insim/{SECRET}?{QUERY}", 200, ""),
        ("HEAD", f"/insim/wrong?{QUERY}", 404, ""),
        ("POST", f"/insim/{SECRET}?{QUERY}", 405, "405: Method Not Allowed"),
        ("GET", f"/insim/{SECRET}/?{QUERY}", 404, "404: Not Found"),
    ],
)
async def test_a_request_is_answered_as_the_reception_says(
    method: str, target: str, status: int, body: str
) -> None:
    """Methods and paths that the route is not for are refused by aiohttp itself."""
    house = House()
    async with serving(routed(house)) as port:
        answer, _, text = await ask(port, target, method)
    assert (answer, text) == (status, body)
    assert house.seen == ([SMS] if body == "ok\n" else [])


@pytest.mark.parametrize(
    ("text", "status", "arrived"),
    [
        (b"\xc3\xa9", 200, ["é"]),
        (b"\xf0\x9f\x98\x80%F0%9F%98%80", 200, ["😀😀"]),
        (b"\xe9", 400, []),
        (b"\xff", 400, []),
    ],
)
async def test_bytes_stay_bytes_where_the_parser_lets_them_through(
    text: bytes, status: int, arrived: list[str]
) -> None:
    """The one in Python does, the one in C does not."""
    house = House()
    target = b'/insim/%s?message={%%22title":"incoming_sms","message":"%s"}' % (
        SECRET.encode(),
        text,
    )
    request = make_mocked_request("GET", target.decode("utf-8", "surrogateescape"))
    answer = await webhook_handler(house.router)(request)
    assert (answer.status, [event.raw["message"] for event in house.seen]) == (status, arrived)


async def test_a_route_for_everything_is_answered_by_the_reception_alone() -> None:
    house = House()
    app = web.Application()
    app.router.add_route("*", "/insim/{rest:.*}", webhook_handler(house.router))
    async with serving(app) as port:
        status, head, body = await ask(port, f"/insim/{SECRET}", "POST")
        assert (status, body, "\r\nallow: get, head" in head) == (405, "only GET\n", True)
        assert (await ask(port, "/insim/a/b", "POST"))[::2] == (404, "not found\n")
        assert (await ask(port, f"/insim/{SECRET}/?{QUERY}"))[::2] == (200, "ok\n")


async def test_an_app_within_an_app_gets_its_events() -> None:
    house = House()
    outer = web.Application()
    outer.add_subapp("/hooks", routed(house))
    async with serving(outer) as port:
        assert (await ask(port, f"/hooks/insim/{SECRET}?{QUERY}"))[0] == 200
    assert house.seen == [SMS]


async def test_the_inbox_keeps_the_event(tmp_path: Path) -> None:
    house = House()
    with closing(Inbox.open(tmp_path / "inbox.sqlite")) as inbox:
        async with serving(routed(house, inbox=inbox)) as port:
            assert [(await ask(port, f"/insim/{SECRET}?{QUERY}"))[0] for _ in range(2)] == [
                200,
                200,
            ]
        assert (house.seen, (await inbox.counts()).waiting) == ([], 1)
    assert (house.router.statistics().received, house.router.statistics().repeated) == (
        {"incoming_sms": 2},
        1,
    )


@pytest.mark.parametrize("cancelling", [False, True])
async def test_who_hangs_up_ends_a_handler_only_where_aiohttp_was_told_so(cancelling: bool) -> None:
    house = House()
    begun, leave = asyncio.Event(), asyncio.Event()
    endings: asyncio.Queue[str] = asyncio.Queue()

    @house.router.on(Event)
    async def slow(event: Event) -> None:
        begun.set()
        try:
            await leave.wait()
            endings.put_nowait("done")
        except asyncio.CancelledError:
            endings.put_nowait("cancelled")
            raise

    async with serving(routed(house), handler_cancellation=cancelling) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /insim/{SECRET}?{QUERY} HTTP/1.1\r\nHost: app.test\r\n\r\n".encode())
        await begun.wait()
        writer.transport.abort()
        if not cancelling:
            leave.set()
        assert await endings.get() == ("cancelled" if cancelling else "done")
        leave.set()
        assert (await ask(port, f"/insim/{SECRET}?{QUERY}"))[0] == 200
    counts = house.router.statistics()
    assert (counts.handled, counts.failed) == ((1, 1) if cancelling else (2, 0))


async def test_the_secret_is_in_the_access_log_of_aiohttp_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Which can be told to leave the path out, or be switched off."""
    caplog.set_level(logging.DEBUG)
    async with serving(routed(House()), access_log_format="%a %s") as port:
        await ask(port, f"/insim/{SECRET}?{QUERY}")
        await ask(port, f"/insim/{SECRET}?message=secret")
        await ask(port, "/insim/wrong")
    lines = [record.getMessage() for record in caplog.records if record.name == "aiohttp.access"]
    assert lines == ["127.0.0.1 200", "127.0.0.1 400", "127.0.0.1 404"]
    assert SECRET not in caplog.text
