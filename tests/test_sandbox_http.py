"""The sandbox over HTTP: acts, faults, settings, state and stream, and whom it lets do what."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import anyio
import httpx
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from insim_async.sandbox import Fault, Sandbox, WebhookFault, WebhookState, sandbox_app
from insim_async.sandbox.acts import ACTS
from insim_async.sandbox.app import Changes

pytestmark = pytest.mark.extra("sandbox")

T = TypeVar("T")
LOGIN = ("demo@example.com", "demo-key")
HEADER = {"login": LOGIN[0], "accessKey": LOGIN[1]}
NUMBER = "+33639980001"
SMS = {"phone_number": NUMBER, "message": "See [link]", "url": "https://example.com/"}
SENDS = {"header": HEADER, "messages": [SMS]}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A client without the login."""
    transport = httpx.ASGITransport(app=sandbox_app(sandbox, hosts=["Sandbox.Corp.test."]))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        yield client


def run_apart(function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run in a thread of its own.

    Where a task is cancelled from within, Python 3.11 makes coverage lose its place in the thread.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, function).result()


class TestActs:
    async def test_do_what_the_methods_do(self, api: httpx.AsyncClient, sandbox: Sandbox) -> None:
        arguments = {"phone_number": NUMBER, "message": "OUI"}
        response = await api.post("/_sandbox/acts/reply", json=arguments, auth=LOGIN)
        assert response.status_code == 200
        assert response.json()["state"] == WebhookState.HELD
        assert [sms.message for sms in sandbox.received] == ["OUI"]
        response = await api.post("/_sandbox/acts/go_offline", auth=LOGIN)
        assert (response.json(), sandbox.phone_connected) == (None, False)

    def test_are_all_there(self) -> None:
        assert {
            "reply",
            "click",
            "call_in",
            "miss_call",
            "answer",
            "let_ring",
            "leave_note",
            "mark_delivered",
            "leave_undelivered",
            "go_offline",
            "come_back",
            "send_again",
            "take_back",
            "forget_everything",
        } <= ACTS.keys()

    @pytest.mark.parametrize(
        ("name", "body", "status", "words"),
        [
            ("reply", b'{"phone_number": "+33639980001"}', 400, "missing required field `message`"),
            ("reply", b'{"phone_number": 1, "message": "x"}', 400, "Expected `str`"),
            ("click", b'{"number": ""}', 400, "unknown field `number`"),
            ("leave_note", b'{"text": "x", "source": "paper"}', 400, "Invalid enum value"),
            ("click", b"[" * 100_000, 400, ""),
            ("click", b"{}", 409, "No tracked link here"),
            ("send", b"{}", 404, "no such act"),
            ("__init__", b"{}", 404, "no such act"),
        ],
    )
    async def test_that_cannot_be_done_say_why(
        self, api: httpx.AsyncClient, name: str, body: bytes, status: int, words: str
    ) -> None:
        response = await api.post(f"/_sandbox/acts/{name}", content=body, auth=LOGIN)
        assert (response.status_code, words in response.text) == (status, True)


class TestOrders:
    async def test_of_both_kinds(self, api: httpx.AsyncClient, sandbox: Sandbox) -> None:
        await api.post("/_sandbox/faults", json={"status": 503}, auth=LOGIN)
        response = await api.post(
            "/_sandbox/webhook-faults", json={"twice": True, "kind": "call"}, auth=LOGIN
        )
        assert response.status_code == 201
        assert sandbox.faults == {1: Fault(status=503), 2: WebhookFault(twice=True, kind="call")}
        state = (await api.get("/_sandbox/state")).json()
        assert [(fault["number"], fault["on"]) for fault in state["faults"]] == [
            (1, "answer"),
            (2, "webhook"),
        ]
        await api.post("/_sandbox/acts/take_back", json={"fault": 1}, auth=LOGIN)
        assert [*sandbox.faults] == [2]

    async def test_settings(self, api: httpx.AsyncClient, sandbox: Sandbox) -> None:
        changes = {"callback": "http://127.0.0.1:8000/hook", "sent_after": 0.5}
        response = await api.post("/_sandbox/settings", json=changes, auth=LOGIN)
        assert response.json().items() >= changes.items()
        assert sandbox.settings.sent_after == 0.5
        strange: list[Any] = [{"callback": "here"}, {"color": 1}, []]
        for bad in strange:
            response = await api.post("/_sandbox/settings", json=bad, auth=LOGIN)
            assert response.status_code == 400


class TestLink:
    async def test_notes_the_click_and_leads_on(
        self, api: httpx.AsyncClient, sandbox: Sandbox
    ) -> None:
        [row] = (await api.post("/api/v1/sendsms", json=SENDS)).json()
        code = row["message"].rpartition("/")[2]
        response = await api.get(f"/l/{code}")
        assert (response.status_code, response.headers["location"]) == (
            302,
            "https://example.com/",
        )
        assert [webhook.kind for webhook in sandbox.webhooks] == ["link_click"]
        assert (await api.get("/l/elsewhere")).status_code == 404

    async def test_leads_nowhere_but_to_the_web(self, api: httpx.AsyncClient) -> None:
        strange = {**SENDS, "messages": [{**SMS, "url": "javascript:alert(1)"}]}
        [row] = (await api.post("/api/v1/sendsms", json=strange)).json()
        response = await api.get(f"/l/{row['message'].rpartition('/')[2]}")
        assert (response.status_code, response.text) == (200, "clicked\n")


class TestState:
    async def test_or_what_changed_since(self, api: httpx.AsyncClient, sandbox: Sandbox) -> None:
        sandbox.reply(NUMBER, "1")
        state = (await api.get("/_sandbox/state")).json()
        sandbox.reply(NUMBER, "2")
        later = (await api.get(f"/_sandbox/state?since={state['number']}")).json()
        assert [sms["message"] for sms in later["received"]] == ["2"]
        for nonsense in ("-1", "x", "9" * 5000):
            again = (await api.get(f"/_sandbox/state?since={nonsense}")).json()
            assert again["whole"] is True

    async def test_never_has_the_key(self, api: httpx.AsyncClient) -> None:
        assert LOGIN[1] not in (await api.get("/_sandbox/state")).text

    async def test_refused_messages_are_in_it(self, api: httpx.AsyncClient) -> None:
        await api.post("/api/v1/sendsms", json={**SENDS, "messages": [{**SMS, "message": ""}]})
        [refused] = (await api.get("/_sandbox/state")).json()["refused"]
        assert (refused["state"], refused["errors"]) == ("refused", ["#006"])

    async def test_streams_what_changes(self, sandbox: Sandbox) -> None:
        sandbox.reply(NUMBER, "1")
        stream = Changes(sandbox, None)
        name, data = (await anext(stream)).decode().strip().split("\n")
        assert json.loads(data.removeprefix("data: "))["whole"] is True

        async def reply() -> None:
            await anyio.wait_all_tasks_blocked()
            sandbox.reply(NUMBER, "2")

        async with anyio.create_task_group() as group:
            group.start_soon(reply)
            name, data = (await anext(stream)).decode().strip().split("\n")
        shown = json.loads(data.removeprefix("data: "))
        assert [sms["message"] for sms in shown["received"]] == ["2"]
        assert name == f"id: {shown['number']}"
        assert sandbox.journal.feed.listeners == set()

    def test_says_that_it_is_still_there(self, sandbox: Sandbox) -> None:
        stream = Changes(sandbox, sandbox.journal.feed.number, 0.0)

        async def first() -> bytes:
            return await anext(stream)

        assert run_apart(first) == b": still here\n\n"
        assert sandbox.journal.feed.listeners == set()

    @pytest.mark.parametrize(
        ("query", "headers"), [("?since=2", {}), ("?since=0", {"Last-Event-ID": "2"}), ("", {})]
    )
    def test_is_streamed_to_whoever_asks(
        self,
        sandbox: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
        query: str,
        headers: dict[str, str],
    ) -> None:
        asked: list[int | None] = []

        class Once(Changes):
            async def __anext__(self) -> bytes:
                if asked:
                    raise StopAsyncIteration
                asked.append(self._since)
                return b"data: {}\n\n"

        monkeypatch.setattr("insim_async.sandbox.app.Changes", Once)
        transport = httpx.ASGITransport(app=sandbox_app(sandbox))
        url = f"http://localhost/_sandbox/changes{query}"

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport) as client:
                return await client.get(url, headers=headers)

        response = run_apart(ask)
        assert response.headers["content-type"].startswith("text/event-stream")
        assert (response.text, asked) == ("data: {}\n\n", [2 if query else None])


OWN = {"Origin": "http://127.0.0.1:8080"}


class TestAdmission:
    """Any site in a browser can post to a local port, and knows the login made up by default."""

    @pytest.mark.parametrize(
        ("headers", "auth", "status"),
        [
            ({}, LOGIN, 200),
            (OWN, None, 200),
            (OWN, LOGIN, 200),
            ({"Host": "localhost:8080", "Origin": "http://localhost:8080"}, None, 200),
            ({"Host": "[::1]:8080", "Origin": "http://[::1]:8080"}, None, 200),
            ({"Host": "sandbox:8080"}, LOGIN, 200),
            ({"Host": "app.localhost"}, LOGIN, 200),
            ({"Host": "sandbox.corp.test"}, LOGIN, 200),
            ({"Host": "SANDBOX.corp.test."}, LOGIN, 200),
            ({"Host": "LocalHost:8080", "Origin": "http://localhost:8080"}, None, 200),
            ({"Host": "192.168.1.5:8080"}, LOGIN, 200),
            ({"Origin": "http://["}, LOGIN, 403),
            ({}, None, 403),
            ({}, ("demo@example.com", "other"), 403),
            ({"Authorization": "Bearer demo-key"}, None, 403),
            ({"Authorization": "Basic ?"}, None, 403),
            ({"Authorization": "Basic /w=="}, None, 403),
            ({"Origin": "https://evil.test"}, None, 403),
            ({"Origin": "https://evil.test"}, LOGIN, 403),
            ({"Origin": "http://127.0.0.1:3000"}, LOGIN, 403),
            ({"Origin": "null"}, LOGIN, 403),
            ({"Host": "evil.test:8080"}, LOGIN, 403),
            ({"Host": "evil.test", "Origin": "http://evil.test"}, LOGIN, 403),
            ({"Host": "127.0.0.1.evil.test"}, LOGIN, 403),
            ({"Host": ""}, LOGIN, 403),
            ({"Host": "[::1"}, LOGIN, 403),
        ],
    )
    async def test_what_changes_something(
        self,
        api: httpx.AsyncClient,
        sandbox: Sandbox,
        headers: Mapping[str, str],
        auth: Any,
        status: int,
    ) -> None:
        arguments = {"phone_number": NUMBER, "message": "OUI"}
        response = await api.post(
            "/_sandbox/acts/reply", json=arguments, headers=headers, auth=auth
        )
        assert (response.status_code, len(sandbox.received)) == (status, status == 200)

    @pytest.mark.parametrize("path", ["acts/reply", "faults", "webhook-faults", "settings"])
    async def test_is_guarded_wherever_it_is(self, api: httpx.AsyncClient, path: str) -> None:
        response = await api.post(f"/_sandbox/{path}", json={})
        assert response.status_code == 403
        assert "HTTP Basic" in response.text

    @pytest.mark.parametrize("path", ["/", "/_sandbox/state", "/_sandbox/changes", "/l/x"])
    async def test_nobody_looks_by_a_foreign_name(self, api: httpx.AsyncClient, path: str) -> None:
        response = await api.get(path, headers={"Host": "evil.test"}, auth=LOGIN)
        assert (response.status_code, response.text) == (403, "refused: a foreign host name\n")

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 200),
            ({"Host": "sandbox.other.test"}, 200),  # a client's, and it has the login
            (OWN, 200),
            ({"Origin": "https://evil.test"}, 403),
            ({"Host": "evil.test", "Origin": "http://evil.test"}, 403),
        ],
    )
    async def test_no_page_calls_the_api_with_the_login_that_all_know(
        self, api: httpx.AsyncClient, sandbox: Sandbox, headers: Mapping[str, str], status: int
    ) -> None:
        response = await api.post("/api/v1/sendsms", json=SENDS, headers=headers)
        assert (response.status_code, len(sandbox.messages)) == (status, status == 200)


async def test_webhooks_leave_while_the_app_lives(sandbox: Sandbox) -> None:
    app = sandbox_app(sandbox)
    async with app.router.lifespan_context(app):
        assert sandbox.journal.feed.listeners == set()
    assert sandbox.journal.feed.listeners == set()
