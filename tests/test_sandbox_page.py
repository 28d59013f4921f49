"""The page in the browser as it leaves the sandbox: what it holds, and under which policy.

How it behaves is seen in a real browser (``tests/browser``).
"""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Iterator
from importlib.resources import files

import httpx
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from insim_async.sandbox import Fault, Sandbox, Try, WebhookFault, WebhookState, sandbox_app
from insim_async.sandbox.acts import ACTS
from insim_async.sandbox.page import FILES

pytestmark = pytest.mark.extra("sandbox")

NUMBER = "+33639980001"
LOGIN = ("demo@example.com", "demo-key")
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ATTACK = "\"><script>alert(1)</script>'&"
PAGE = (files("insim_async.sandbox") / "static" / "page.html").read_text("utf-8")
SCRIPTS = {name: data.decode() for name, (data, _) in FILES.items() if name.endswith(".js")}
STYLES = {name: data.decode() for name, (data, _) in FILES.items() if name.endswith(".css")}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
async def web(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=sandbox_app(sandbox))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        yield client


def sends(text: str) -> dict[str, object]:
    header = {"login": LOGIN[0], "accessKey": LOGIN[1]}
    return {"header": header, "messages": [{"phone_number": NUMBER, "message": text}]}


class TestPage:
    async def test_is_for_what_takes_html_and_text_for_the_rest(
        self, web: httpx.AsyncClient
    ) -> None:
        page, text = await web.get("/", headers=HTML), await web.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.text.startswith("<!doctype html>")
        assert text.headers["content-type"] == "text/plain; charset=utf-8"
        assert text.text.startswith("inSIM sandbox\nrequests 0")

    async def test_says_how_to_reach_it_as_it_was_reached(self, web: httpx.AsyncClient) -> None:
        page = await web.get("/", headers={**HTML, "Host": "sandbox:8080"})
        assert ">http://sandbox:8080</span>" in page.text
        assert ">demo-key</span>" in page.text

    async def test_says_something_without_javascript(self, web: httpx.AsyncClient) -> None:
        await web.post("/api/v1/sendsms", json=sends("Bonjour"))
        page = (await web.get("/", headers=HTML)).text
        [without] = re.findall("<noscript>(.*)</noscript>", page, re.DOTALL)
        assert html.unescape(without).endswith(f"{NUMBER}  'Bonjour'\n</pre>")
        assert '<dd id="count-messages">1</dd>' in page

    async def test_sets_strangers_text_as_text(self) -> None:
        sandbox = Sandbox(login=ATTACK, access_key=ATTACK)
        sandbox.reply(NUMBER, ATTACK)
        transport = httpx.ASGITransport(app=sandbox_app(sandbox))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as web:
            page = await web.get("/", headers={**HTML, "Host": ATTACK.replace("/", "")})
        assert page.status_code == 200
        assert "<script>" not in page.text
        assert page.text.count(html.escape(ATTACK)) == 4

    async def test_runs_under_a_policy_that_lets_nothing_in(self, web: httpx.AsyncClient) -> None:
        answers = [await web.get(path, headers=HTML) for path in ("/", *files_named(PAGE))]
        assert {answer.status_code for answer in answers} == {200}
        [policy] = {answer.headers["content-security-policy"] for answer in answers}
        assert policy == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        )
        assert {answer.headers["x-content-type-options"] for answer in answers} == {"nosniff"}
        assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}

    def test_has_neither_handlers_nor_styles_nor_scripts_in_it(self) -> None:
        assert re.findall(r"\s(?:on\w+|style)=|<style|<script(?! type=\"module\" src=)", PAGE) == []
        assert re.findall(r"(?:src|href)=\"(?:https?:|//|data:)[^\"]*", PAGE) == []

    async def test_is_nobodys_by_a_foreign_name(self, web: httpx.AsyncClient) -> None:
        for path in ("/", "/_sandbox/static/page.js"):
            answer = await web.get(path, headers={**HTML, "Host": "evil.test"})
            assert answer.status_code == 403


def files_named(page: str) -> list[str]:
    return re.findall(r"(?:src|href)=\"(/_sandbox/static/[^\"]+)", page)


def quoted(pattern: str) -> Iterator[str]:
    for script in SCRIPTS.values():
        yield from re.findall(pattern, script)


class TestFiles:
    async def test_come_as_what_they_are(self, web: httpx.AsyncClient) -> None:
        kinds = {}
        for name in FILES:
            answer = await web.get(f"/_sandbox/static/{name}")
            kinds[name.rpartition(".")[2]] = answer.headers["content-type"].partition(";")[0]
        assert kinds == {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

    @pytest.mark.parametrize("name", ["other.js", "page.html", "..%2Fpage.py", "%2Fetc%2Fpasswd"])
    async def test_are_all_that_comes(self, web: httpx.AsyncClient, name: str) -> None:
        assert (await web.get(f"/_sandbox/static/{name}")).status_code == 404

    def test_are_all_used(self) -> None:
        used = {name.rpartition("/")[2] for name in files_named(PAGE)} | {"icons.svg"}
        used |= set(quoted(r"from \"\./([\w-]+\.js)\""))
        assert used == FILES.keys()

    def test_have_no_way_from_text_to_html_and_ask_no_other_host(self) -> None:
        ways = r"(?:inner|outer)HTML|AdjacentHTML|document\.write|DOMParser|\beval\b|Function\("
        assert list(quoted(ways)) == []
        hosts = set(quoted(r"https?://[\w.]+")) - {"http://www.w3.org", "http://127.0.0.1"}
        assert hosts == set()
        assert not any("url(" in style or "@import" in style for style in STYLES.values())

    def test_keep_to_the_width_of_the_house(self) -> None:
        texts = (*SCRIPTS.values(), *STYLES.values())
        assert [line for text in texts for line in text.split("\n") if len(line) > 100] == []

    def test_name_what_is_there(self) -> None:
        """Ids of the page, symbols, and acts of the sandbox."""
        icons = set(re.findall(r"symbol id=\"i-([\w-]+)", FILES["icons.svg"][0].decode()))
        ids = set(re.findall(r"\sid=\"([\w-]+)\"", PAGE))
        assert set(quoted(r"byId\(\"([\w-]+)\"\)")) <= ids
        assert set(quoted(r"icon(?::|\()\s*\"([\w-]+)\"")) <= icons
        assert set(re.findall(r"href=\"#i-([\w-]+)", PAGE)) <= icons
        assert set(quoted(r"\bact\(\"(\w+)\"")) | set(quoted(r"\"act-[\w-]+\", \"(\w+)\"")) <= {
            *ACTS
        }


class TestWhatThePageAsksFor:
    def test_a_callback_is_tried_with_a_report_that_is_about_nobody(self) -> None:
        sandbox = Sandbox(callback="http://127.0.0.1:8000/hook")
        sandbox.order(WebhookFault(twice=True))
        webhook = sandbox.try_callback()
        assert (webhook.kind, webhook.about, webhook.url) == (
            "delivery_status",
            0,
            "http://127.0.0.1:8000/hook",
        )
        assert "sandbox-test" in webhook.payload
        assert len(sandbox.faults) == 1

    def test_that_of_one_kind_too(self) -> None:
        sandbox = Sandbox(callbacks={"call": "http://127.0.0.1:8000/calls"})
        assert sandbox.try_callback("call").url == "http://127.0.0.1:8000/calls"

    async def test_there_must_be_one(self, web: httpx.AsyncClient) -> None:
        answer = await web.post("/_sandbox/acts/try_callback", auth=LOGIN)
        assert (answer.status_code, answer.text) == (409, "No callback URL\n")

    async def test_webhooks_are_cleared_but_for_those_on_their_way(
        self, web: httpx.AsyncClient, sandbox: Sandbox
    ) -> None:
        sandbox.reply(NUMBER, "held")
        sandbox.change(callback="http://127.0.0.1:8000/hook")
        sandbox.reply(NUMBER, "waiting")
        waiting = sandbox.postbox.next_ready()
        assert waiting is not None
        sandbox.postbox.tried(waiting.key, Try(at=waiting.made_at, status=503))
        sandbox.order(Fault(status=503))
        before = (await web.get("/_sandbox/state")).json()["number"]
        await web.post("/_sandbox/acts/clear_webhooks", auth=LOGIN)
        assert [webhook.state for webhook in sandbox.webhooks] == [WebhookState.WAITING]
        assert sandbox.counts()["webhooks"] == 2
        state = (await web.get(f"/_sandbox/state?since={before}")).json()
        assert (state["whole"], len(state["webhooks"]), len(state["received"])) == (True, 1, 2)
