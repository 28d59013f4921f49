"""The ASGI app as servers and frameworks call it.

Over real sockets it is in ``faults/test_webhooks.py``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from insim_async.webhooks import Event, IncomingSms, WebhookRouter, build_webhook
from insim_async.webhooks.asgi import webhook_app
from insim_async.webhooks.inbox import Inbox

SECRET = "Yx1dJ0mFv3qTg7bKz9cRn5wPh2sLu8aE"
SMS = IncomingSms(phone_number="+33639980001", message="100% sure: a+b & %41 é 😀")
QUERY = build_webhook(SMS)
Message = dict[str, Any]


class House:
    """A router with one handler that keeps what it gets, and its app."""

    def __init__(self, inbox: Inbox | None = None) -> None:
        self.router = WebhookRouter(secret=SECRET)
        self.seen: list[Event] = []
        self.router.on(Event)(self.keep)
        self.app = webhook_app(self.router, inbox=inbox)

    async def keep(self, event: Event) -> None:
        """Handle an event."""
        self.seen.append(event)


async def run(app: Any, scope: Message, *received: Message) -> list[Message]:
    """Call an app as a server does, and return what it sends.

    It fails if the app waits for more than is there.
    """
    sent: list[Message] = []
    arriving = iter(received)

    async def receive() -> Message:
        return next(arriving)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def http(
    path: str = f"/{SECRET}", query: bytes = QUERY.encode(), method: str = "GET", **more: Any
) -> Message:
    return {"type": "http", "method": method, "path": path, "query_string": query, **more}


class TestHttp:
    async def test_is_answered_with_the_length_of_the_body(self) -> None:
        house = House()
        start, body = await run(house.app, http())
        assert start == {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"3")],
        }
        assert body == {"type": "http.response.body", "body": b"ok\n"}
        assert house.seen == [SMS]

    async def test_is_answered_alike_though_a_middleware_adds_headers_to_each_answer(self) -> None:
        house = House()
        for _ in range(2):
            start, _ = await run(house.app, http())
            assert [name for name, _ in start["headers"]] == [b"content-type", b"content-length"]
            start["headers"].append((b"vary", b"Origin"))  # as those of Starlette do

    @pytest.mark.parametrize(
        ("scope", "status", "body"),
        [
            (http(method="HEAD"), 200, b""),
            (http(method="HEAD", path="/wrong"), 404, b""),
            (http(method="POST"), 405, b"only GET\n"),
            (http(path="/wrong"), 404, b"not found\n"),
            (http(query=b""), 400, b"no event of inSIM\n"),
            (http(query=b"message=%ff"), 400, b"no event of inSIM\n"),
            (http(path=f"/hooks/insim/{SECRET}", root_path="/hooks/insim"), 200, b"ok\n"),
            (http(path=f"/insim/{SECRET}/", root_path="/hooks"), 200, b"ok\n"),
        ],
    )
    async def test_is_answered_as_the_reception_says(
        self, scope: Message, status: int, body: bytes
    ) -> None:
        start, sent = await run(House().app, scope)
        assert (start["status"], sent["body"]) == (status, body)

    async def test_names_the_methods_that_are_allowed(self) -> None:
        start, _ = await run(House().app, http(method="POST"))
        assert (b"allow", b"GET, HEAD") in start["headers"]

    async def test_goes_into_the_inbox_that_is_there(self, tmp_path: Path) -> None:
        with closing(Inbox.open(tmp_path / "inbox.sqlite")) as inbox:
            house = House(inbox)
            for _ in range(2):
                start, _ = await run(house.app, http())
                assert start["status"] == 200
            assert (house.seen, (await inbox.counts()).waiting) == ([], 1)


class TestOtherScopes:
    async def test_lifespan_has_nothing_to_begin_or_to_end(self) -> None:
        turns = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
        sent = await run(House().app, {"type": "lifespan"}, *turns)
        assert [message["type"] for message in sent] == [
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
        ]

    async def test_websockets_are_refused(self) -> None:
        scope = {"type": "websocket", "path": f"/{SECRET}", "query_string": QUERY.encode()}
        house = House()
        assert await run(house.app, scope, {"type": "websocket.connect"}) == [
            {"type": "websocket.close"}
        ]
        assert house.seen == []


REFUSED = [
    ("GET", f"/insim/{SECRET[:-1]}?{QUERY}", 404),
    ("GET", f"/insim/?{QUERY}", 404),
    ("GET", f"/insim/{SECRET}/more?{QUERY}", 404),
    ("GET", f"/insim/{SECRET}", 400),
    ("POST", f"/insim/{SECRET}?{QUERY}", 405),
    ("HEAD", f"/insim/{SECRET}?{QUERY}", 200),
]
ADMITTED = [
    f"/insim/{SECRET}",
    f"/insim/{SECRET}/",
    f"/insim/any/{SECRET}",
    f"/insim/%59{SECRET[1:]}",
]


@asynccontextmanager
async def client(app: Any, root_path: str = "") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, root_path=root_path)
    async with httpx.AsyncClient(transport=transport, base_url="http://app.test") as client:
        yield client


def starlette(app: Any) -> Any:
    """Mount it, behind a middleware of the old kind."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.routing import Mount

    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    return Starlette(
        routes=[Mount("/insim", app)], middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)]
    )


def fastapi(app: Any) -> Any:
    from fastapi import FastAPI

    api = FastAPI()
    api.mount("/insim", app)
    return api


def mounted_twice(app: Any) -> Any:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    return starlette(Starlette(routes=[Mount("/", app)]))


@pytest.mark.extra("sandbox")
@pytest.mark.parametrize("framework", [starlette, fastapi, mounted_twice])
class TestMounted:
    @pytest.mark.parametrize("path", ADMITTED)
    @pytest.mark.parametrize("root_path", ["", "/behind/a/proxy"])
    async def test_gets_its_events(self, framework: Any, path: str, root_path: str) -> None:
        house = House()
        async with client(framework(house.app), root_path) as http:
            answer = await http.get(f"{root_path}{path}?{QUERY}")
        assert (answer.status_code, answer.text) == (200, "ok\n")
        assert house.seen == [SMS]

    @pytest.mark.parametrize(("method", "target", "status"), REFUSED)
    async def test_refuses_what_is_none(
        self, framework: Any, method: str, target: str, status: int
    ) -> None:
        house = House()
        async with client(framework(house.app)) as http:
            answer = await http.request(method, target)
        assert answer.status_code == status
        assert house.seen == []

    async def test_answers_alike_whatever_is_wrong_with_the_secret(self, framework: Any) -> None:
        targets = [
            "/insim/",
            "/insim/wrong",
            f"/insim/{SECRET}x",
            "/insim/%ff",
            "/insim/%00",
            "/insim/%C3%A9",
        ]
        async with client(framework(House().app)) as http:
            answers = [await http.get(target) for target in targets]
        assert (
            len({(answer.status_code, answer.text, str(answer.headers)) for answer in answers}) == 1
        )

    async def test_tells_of_a_websocket_that_it_is_refused(self, framework: Any) -> None:
        path = f"/insim/{SECRET}"
        scope: Message = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "headers": [],
        }
        scope |= {
            "query_string": QUERY.encode(),
            "scheme": "ws",
            "subprotocols": [],
            "extensions": {},
        }
        house = House()
        sent = await run(framework(house.app), scope, {"type": "websocket.connect"})
        assert [message["type"] for message in sent] == ["websocket.close"]
        assert house.seen == []


def test_the_text_has_what_servers_spoil() -> None:
    """It differs wherever a query is decoded once too often, or as a form."""
    assert isinstance(SMS, IncomingSms)
    assert SMS.message not in {unquote(SMS.message), SMS.message.replace("+", " ")}
