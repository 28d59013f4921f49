"""The plugin for pytest: fixtures, acts, faults, time, assertions, and the guard before inSIM."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import httpx
import pytest

from insim_async import (
    AsyncInSim,
    ConfigurationError,
    Contact,
    InSimError,
    NotSent,
    OutcomeUnknown,
    testing,
)
from insim_async.sandbox import Sandbox, SandboxTransport, WebhookState
from insim_async.testing import InSimSandbox, TimeMachine, _targets, plugin
from insim_async.webhooks import (
    DeliveryStatus,
    Event,
    GiveUp,
    IncomingSms,
    RetryLater,
    WebhookRouter,
    new_secret,
)
from insim_async.webhooks.asgi import webhook_app

NUMBER, OTHER = "+33639980001", "+33639980002"
SECRET = new_secret()


@pytest.fixture
def seen() -> list[Event]:
    return []


@pytest.fixture
def router(seen: list[Event]) -> WebhookRouter:
    router = WebhookRouter(secret=SECRET)

    @router.on(Event)
    async def keep(event: Event) -> None:
        seen.append(event)

    return router


def failing(error: BaseException) -> WebhookRouter:
    router = WebhookRouter(secret=SECRET)

    @router.on(Event)
    async def fail(event: Event) -> None:
        raise error

    return router


class TestClient:
    async def test_opens_itself_where_it_is_used(
        self, insim_client: AsyncInSim, insim_sandbox: InSimSandbox
    ) -> None:
        assert (await insim_client.send_sms(NUMBER, "Hello")).sent
        assert (await insim_client.send_many([])).outcomes == []
        assert insim_sandbox.messages[0].message == "Hello"

    async def test_can_be_opened_like_any_other(self, insim_client: AsyncInSim) -> None:
        async with insim_client as insim:
            await insim.send_sms(NUMBER, "Hello")
        with pytest.raises(ConfigurationError, match="closed"):
            await insim_client.send_sms(NUMBER, "Hello")

    def test_stays_in_the_event_loop_of_its_first_call(
        self, insim_client: AsyncInSim, insim_sandbox: InSimSandbox
    ) -> None:
        anyio.run(insim_client.send_sms, NUMBER, "Hello")
        with pytest.raises(ConfigurationError, match="another event loop"):
            anyio.run(insim_client.send_sms, NUMBER, "Hello")

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_works_on_either_loop(self, insim_client: AsyncInSim, backend: str) -> None:
        async def main() -> None:
            assert (await insim_client.send_sms(NUMBER, "Hello")).sent
            with pytest.raises(StopAsyncIteration):
                await anext(insim_client.stream([]))

        anyio.run(main, backend=backend)

    async def test_others_have_other_settings(self, insim_sandbox: InSimSandbox) -> None:
        insim = insim_sandbox.client(dry_run=True)
        await insim.send_sms(NUMBER, "Hello")
        insim_sandbox.assert_not_sent()
        assert len(insim_sandbox.state.tested) == 1


class TestFaults:
    @pytest.mark.parametrize(
        ("words", "error", "processed"),
        [({"unsent": True}, NotSent, 0), ({"lose_answer": True}, OutcomeUnknown, 1)],
    )
    async def test_hold_for_a_block(
        self,
        insim_client: AsyncInSim,
        insim_sandbox: InSimSandbox,
        words: dict[str, Any],
        error: type[InSimError],
        processed: int,
    ) -> None:
        with insim_sandbox.fault(**words), pytest.raises(error):
            await insim_client.send_sms(NUMBER, "Hello")
        assert len(insim_sandbox.messages) == processed
        assert (await insim_client.send_sms(NUMBER, "Hello")).sent

    async def test_what_was_proven_unsent_is_tried_again_without_waiting(
        self, insim_client: AsyncInSim, insim_sandbox: InSimSandbox
    ) -> None:
        with insim_sandbox.fault(unsent=True, times=2):
            await insim_client.send_sms(NUMBER, "Hello")
        insim_sandbox.assert_sent(NUMBER)
        assert insim_sandbox.time.slept == [0.25, 0.5]

    async def test_a_late_answer_comes_at_once(
        self, insim_client: AsyncInSim, insim_sandbox: InSimSandbox
    ) -> None:
        with insim_sandbox.fault(delay=29):
            assert (await insim_client.send_sms(NUMBER, "Hello")).sent
        assert insim_sandbox.time.slept == [29]

    async def test_the_older_spelling_is_understood(
        self, insim_client: AsyncInSim, insim_sandbox: InSimSandbox
    ) -> None:
        with insim_sandbox.fault(older=True):
            assert (await insim_client.send_sms(NUMBER, "Hello")).sent
            assert (await insim_client.click_to_call(NUMBER)).ok
            [result] = await insim_client.add_contacts([Contact(NUMBER, first_name="Zoé")])
        assert (result.ok, result.first_name) == (True, "Zoé")

    async def test_that_nothing_met_are_a_mistake(self, insim_sandbox: InSimSandbox) -> None:
        with (
            pytest.raises(AssertionError, match=r"^no request met the fault that was ordered$"),
            insim_sandbox.fault(path="contact", status=500),
        ):
            pass
        with (
            pytest.raises(AssertionError, match=r"^no webhook met"),
            insim_sandbox.webhook_fault(twice=True),
        ):
            pass
        assert insim_sandbox.state.faults == {}

    async def test_hide_no_other_failure(self, insim_sandbox: InSimSandbox) -> None:
        with pytest.raises(LookupError), insim_sandbox.fault(status=500):
            raise LookupError
        assert insim_sandbox.state.faults == {}

    async def test_of_webhooks(
        self, insim_sandbox: InSimSandbox, router: WebhookRouter, seen: list[Event]
    ) -> None:
        with insim_sandbox.webhook_fault(twice=True, encoded_twice=True):
            await insim_sandbox.reply(NUMBER, "100% + 1", to=router)
        first, second = seen
        assert first == second
        assert isinstance(first, IncomingSms)
        assert first.message == "100% + 1"


def asgi(router: WebhookRouter) -> tuple[object, str]:
    return webhook_app(router), f"/{SECRET}"


def aiohttp(router: WebhookRouter) -> tuple[object, str]:
    web = pytest.importorskip("aiohttp.web")
    from insim_async.webhooks.aiohttp import webhook_handler

    app = web.Application()
    app.router.add_get("/insim/{secret}", webhook_handler(router))
    return app, f"/insim/{SECRET}"


TARGETS = [
    pytest.param(lambda router: (router, "/"), id="router"),
    pytest.param(asgi, id="asgi"),
    pytest.param(aiohttp, id="aiohttp", marks=pytest.mark.extra("aiohttp")),
]
Targeted = Callable[[WebhookRouter], tuple[object, str]]


class TestActs:
    @pytest.mark.parametrize("targeted", TARGETS)
    async def test_deliver_their_webhooks(
        self,
        insim_client: AsyncInSim,
        insim_sandbox: InSimSandbox,
        router: WebhookRouter,
        seen: list[Event],
        targeted: Targeted,
    ) -> None:
        to, path = targeted(router)
        insim_sandbox.deliver_to(to, path)
        await insim_client.send_sms(NUMBER, "See [Lien_Tracking]", url="https://example.com/")
        await insim_client.click_to_call(OTHER)
        await insim_client.click_to_call(NUMBER)
        await insim_sandbox.reply(NUMBER, "100% sûre ? C'est + & # ;")
        await insim_sandbox.click(NUMBER)
        await insim_sandbox.mark_delivered(NUMBER)
        await insim_sandbox.answer(NUMBER, seconds=3)
        await insim_sandbox.let_ring(OTHER)
        await insim_sandbox.call_in(OTHER, seconds=4)
        await insim_sandbox.miss_call(NUMBER)
        webhook = await insim_sandbox.leave_note("rappeler", OTHER, source="interface")
        kinds = "incoming_sms link_click delivery_status delivery_status call call call call"
        assert [event.kind for event in seen] == [*kinds.split(), "call_qualification"]
        assert (webhook.state, webhook.status) == (WebhookState.DELIVERED, 200)
        assert isinstance(seen[0], IncomingSms)
        assert seen[0].message == "100% sûre ? C'est + & # ;"

    @pytest.mark.parametrize("targeted", TARGETS)
    async def test_fail_where_the_app_does(
        self, insim_sandbox: InSimSandbox, targeted: Targeted
    ) -> None:
        to, path = targeted(failing(LookupError("no such booking")))
        words = "^webhook incoming_sms: expected 200, the app answered 500$"
        with pytest.raises(AssertionError, match=words):
            await insim_sandbox.reply(NUMBER, "x", to=to, path=path)
        done = await insim_sandbox.reply(NUMBER, "x", to=to, path=path, status=500)
        assert done.state is WebhookState.WAITING
        await insim_sandbox.reply(NUMBER, "x", to=to, path=path, status=None)

    async def test_show_what_a_handler_raised(self, insim_sandbox: InSimSandbox) -> None:
        error = LookupError("no such booking")
        with pytest.raises(AssertionError) as caught:
            await insim_sandbox.reply(NUMBER, "x", to=failing(error))
        assert isinstance(caught.value.__cause__, ExceptionGroup)
        assert caught.value.__cause__.exceptions == (error,)

    @pytest.mark.parametrize(("wish", "status"), [(RetryLater(5), 503), (GiveUp("old"), 200)])
    async def test_know_what_handlers_wish(
        self, insim_sandbox: InSimSandbox, wish: Exception, status: int
    ) -> None:
        await insim_sandbox.reply(NUMBER, "x", to=failing(wish), status=status)

    async def test_are_tried_again_as_time_goes_on(
        self, insim_sandbox: InSimSandbox, seen: list[Event]
    ) -> None:
        router = WebhookRouter()
        attempts = iter([LookupError(), None])

        @router.on(IncomingSms)
        async def second_time_lucky(event: IncomingSms) -> None:
            if (error := next(attempts)) is not None:
                raise error
            seen.append(event)

        await insim_sandbox.reply(NUMBER, "x", to=router, status=500)
        await insim_sandbox.advance(1.9)
        assert seen == []
        await insim_sandbox.advance(0.1)
        assert len(seen) == 1

    async def test_need_somewhere_to_go(self, insim_sandbox: InSimSandbox) -> None:
        with pytest.raises(ConfigurationError, match=r"^to: say which app"):
            await insim_sandbox.reply(NUMBER, "x")
        insim_sandbox.state.change(callback="http://127.0.0.1/")
        insim_sandbox.state.reply(NUMBER, "x")
        with pytest.raises(ConfigurationError, match=r"^to: say which app"):
            await insim_sandbox.advance(1)

    @pytest.mark.parametrize(
        ("where", "words"),
        [
            ({"to": "app"}, "to: expected a WebhookRouter, an ASGI app or an aiohttp app, got str"),
            ({"to": WebhookRouter(), "path": "x"}, "path: it begins with a slash, as in '/x'"),
        ],
    )
    async def test_go_to_apps_only(
        self, insim_sandbox: InSimSandbox, where: Any, words: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=re.escape(words)):
            await insim_sandbox.reply(NUMBER, "x", **where)

    async def test_leave_it_alone_where_nothing_is_reported(
        self, insim_client: AsyncInSim, insim_sandbox: InSimSandbox
    ) -> None:
        await insim_client.send_sms(NUMBER, "Hello")
        await insim_sandbox.leave_undelivered(NUMBER)
        insim_sandbox.go_offline()
        assert (await insim_client.click_to_call(NUMBER)).errors == ("#002",)
        insim_sandbox.come_back()
        assert (await insim_client.click_to_call(NUMBER)).ok
        assert [webhook.state for webhook in insim_sandbox.webhooks] == [WebhookState.HELD]


class TestApps:
    async def test_get_what_a_server_would_give_them(self, insim_sandbox: InSimSandbox) -> None:
        scopes: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scopes.append(scope)
            assert (await receive())["type"] == "http.request"
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"o", "more_body": True})
            await send({"type": "http.response.body", "body": b"k"})
            assert (await receive())["type"] == "http.disconnect"

        webhook = await insim_sandbox.reply(NUMBER, "é", to=app, path="/a%C3%A9")
        [scope] = scopes
        assert (scope["path"], scope["raw_path"]) == ("/aé", b"/a%C3%A9")
        assert scope["query_string"].decode() == webhook.query

    async def test_that_say_nothing_or_raise_have_failed(self, insim_sandbox: InSimSandbox) -> None:
        async def silent(scope: Any, receive: Any, send: Any) -> None:
            pass

        async def broken(scope: Any, receive: Any, send: Any) -> None:
            raise LookupError("no such booking")

        await insim_sandbox.reply(NUMBER, "x", to=silent, status=500)
        with pytest.raises(AssertionError, match="the app answered 500") as caught:
            await insim_sandbox.reply(NUMBER, "x", to=broken)
        assert isinstance(caught.value.__cause__, LookupError)

    async def test_that_hang_are_left(
        self, insim_sandbox: InSimSandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_targets, "TIMEOUT", 0.01)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await anyio.sleep_forever()

        with pytest.raises(AssertionError, match=r"the app answered no answer within 0\.01 s$"):
            await insim_sandbox.reply(NUMBER, "x", to=app)

    @pytest.mark.extra("aiohttp")
    async def test_of_aiohttp_are_started_and_stopped(self, insim_sandbox: InSimSandbox) -> None:
        web = pytest.importorskip("aiohttp.web")
        log: list[str] = []

        async def context(_: Any) -> AsyncIterator[None]:
            log.append("started")
            yield
            log.append("stopped")

        async def hang_up(request: Any) -> None:
            log.append(request.raw_path.partition("=")[0])
            request.transport.abort()

        app = web.Application()
        app.cleanup_ctx.append(context)
        app.router.add_get("/hook", hang_up)
        await insim_sandbox.reply(NUMBER, "x", to=app, path="/hook", status=500)
        assert log == ["started", "/hook?message", "stopped"]


class TestTime:
    async def test_brings_delivery_reports(
        self,
        insim_client: AsyncInSim,
        insim_sandbox: InSimSandbox,
        router: WebhookRouter,
        seen: list[Event],
    ) -> None:
        insim_sandbox.deliver_to(router)
        await insim_client.send_sms(NUMBER, "Hello", sms_id="a")
        await insim_sandbox.advance(60)
        assert [event.status for event in seen if isinstance(event, DeliveryStatus)] == [
            "sent",
            "received",
        ]
        began = insim_sandbox.messages[0].sent_at
        assert seen[0].at is not None
        assert seen[0].at - began < timedelta(seconds=2)
        assert insim_sandbox.time.now() - began == timedelta(seconds=60)
        assert insim_sandbox.time.slept == []

    @pytest.mark.parametrize("zone", ["Europe/Paris", "Pacific/Kiritimati"])
    async def test_brings_what_was_scheduled_in_any_zone(
        self, insim_sandbox: InSimSandbox, zone: str
    ) -> None:
        insim = insim_sandbox.client(timezone=zone)
        soon = insim_sandbox.time.now().replace(microsecond=0) + timedelta(hours=1)
        await insim.send_sms(NUMBER, "Hello", send_at=soon)
        assert insim_sandbox.messages[0].state == "scheduled"
        await insim_sandbox.advance(3600)
        assert insim_sandbox.messages[0].state == "pending"

    async def test_lets_others_have_their_turn(self) -> None:
        time, turns = TimeMachine(), []

        async def other() -> None:
            turns.append(time.seconds())

        async with anyio.create_task_group() as group:
            group.start_soon(other)
            while not turns:
                await time.sleep(1)
                assert time.seconds() < 10

    def test_begins_at_an_aware_time(self) -> None:
        with pytest.raises(ConfigurationError, match=r"^start: expected an aware time"):
            TimeMachine(datetime(2025, 10, 29, 12))  # noqa: DTZ001 - on purpose

    def test_goes_on_over_the_change_of_clocks(self) -> None:
        zone = ZoneInfo("Europe/Paris")
        time = TimeMachine(datetime(2025, 10, 26, 1, tzinfo=zone))
        time.go_to(datetime(2025, 10, 26, 4, tzinfo=zone))
        assert time.seconds() == 4 * 3600

    def test_never_goes_back(self) -> None:
        start = datetime(2025, 10, 29, 12, tzinfo=UTC)
        time = TimeMachine(start)
        time.go_to(start + timedelta(seconds=5))
        time.go_to(start)
        assert (time.seconds(), time.clock.wall()) == (5, start.timestamp() + 5)
        assert time.clock.random() == 0.5


class TestAssertions:
    @pytest.fixture
    async def used(self, insim_client: AsyncInSim, insim_sandbox: InSimSandbox) -> InSimSandbox:
        await insim_client.send_sms(NUMBER, "Hello\n[you] *")
        await insim_client.send_sms(OTHER, "Hi")
        await insim_client.click_to_call(NUMBER)
        insim_sandbox.go_offline()
        await insim_client.click_to_call(OTHER)
        await insim_client.add_contacts([Contact(NUMBER, first_name="Zoé")])
        return insim_sandbox

    def test_hold(self, used: InSimSandbox) -> None:
        assert used.assert_sent(NUMBER, "Hello*").phone_number == NUMBER
        used.assert_sent("+33 6 39 98 00 01", "*[you] *")
        used.assert_sent(OTHER)
        used.assert_not_sent(OTHER, "Hello*")
        used.assert_not_sent("+33639980003")
        assert used.assert_called(NUMBER).phone_number == NUMBER
        assert used.assert_contact(NUMBER, first_name="Zoé").last_name == ""
        assert "a-made-up-key" not in repr(used)
        assert "messages=2" in repr(used)

    @pytest.mark.parametrize(
        ("claim", "words"),
        [
            (
                lambda used: used.assert_sent(NUMBER, "Hi*"),
                (
                    "expected 1 SMS to +33639980001 that read 'Hi*', found 0. The phone was given:"
                    "\n  +33639980001  'Hello\\n[you] *'\n  +33639980002  'Hi'"
                ),
            ),
            (lambda used: used.assert_sent(NUMBER, times=2), "expected 2 SMS to"),
            (lambda used: used.assert_sent("+33639980003", times=0), "expected 0 SMS to"),
            (
                lambda used: used.assert_not_sent(),
                "expected no SMS to anybody that reads '*', found 2. The phone was given:",
            ),
            (
                lambda used: used.assert_called(OTHER),
                ("expected 1 call(s) to +33639980002, found 0. The phone called:\n  +33639980001"),
            ),
            (
                lambda used: used.assert_contact(OTHER),
                "+33639980002 is not in the phone book, which has:\n  +33639980001",
            ),
            (
                lambda used: used.assert_contact(NUMBER, first_name="Zoe", last_name=""),
                "the contact +33639980001 has:\n  first_name='Zoé'",
            ),
        ],
    )
    def test_fail_with_what_there_is(
        self, used: InSimSandbox, claim: Callable[[InSimSandbox], object], words: str
    ) -> None:
        with pytest.raises(AssertionError, match=f"^{re.escape(words)}"):
            claim(used)

    def test_ask_for_fields_that_there_are(self, insim_sandbox: InSimSandbox) -> None:
        words = "^a contact has no firstname; it has phone_number, first_name, last_name, "
        with pytest.raises(ConfigurationError, match=words):
            insim_sandbox.assert_contact(NUMBER, firstname="Zoé")

    async def test_show_no_more_than_can_be_read(
        self, insim_client: AsyncInSim, insim_sandbox: InSimSandbox
    ) -> None:
        with pytest.raises(AssertionError, match=r"The phone was given: nothing$"):
            insim_sandbox.assert_sent(NUMBER)
        for number in range(25):
            await insim_client.send_sms(NUMBER, f"{number}")
        with pytest.raises(AssertionError, match=r"'19'\n  and 5 more$"):
            insim_sandbox.assert_sent(NUMBER)


def test_the_room_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Sandbox'"):
        testing.__getattr__("Sandbox")


class TestTransport:
    async def test_has_nothing_but_the_three_calls(self) -> None:
        async with httpx.AsyncClient(transport=SandboxTransport(Sandbox())) as client:
            assert (await client.post("http://localhost/api/v2/sendsms")).status_code == 404
            assert (await client.get("http://localhost/api/v1/sendsms")).status_code == 405
            assert (await client.post("http://localhost/api/v1/sendsms")).status_code == 400


class TestGuard:
    REAL = "this is the real inSIM, and a test is running: use the fixture insim_client"

    @pytest.mark.parametrize(
        "base_url",
        [
            "https://www.insim.app",
            "https://insim.app:443/api/v1",
            "https://WWW.inSIM.app./",
            "https://www.insim\u3002app",
            "https://www.insim\uff0eapp\uff61",
        ],
    )
    async def test_no_client_of_the_real_host_is_opened(self, base_url: str) -> None:
        with pytest.raises(ConfigurationError, match=self.REAL):
            await AsyncInSim("me@example.com", "key", base_url=base_url).__aenter__()

    async def test_nor_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        insim = AsyncInSim("me@example.com", "key", base_url="https://www.insim.app")
        with pytest.raises(ConfigurationError, match=self.REAL):
            await insim._opened_when_used().send_sms(NUMBER, "Hello")

    @pytest.mark.insim_live
    async def test_but_where_a_test_is_marked(self) -> None:
        async with AsyncInSim("me@example.com", "key", base_url="https://www.insim.app"):
            pass

    async def test_outlasts_a_test_run_within_this_one(self, pytestconfig: pytest.Config) -> None:
        plugin.pytest_configure(pytestconfig)
        plugin.pytest_unconfigure()
        with pytest.raises(ConfigurationError, match=self.REAL):
            await AsyncInSim("me@example.com", "key").__aenter__()
        plugin.pytest_unconfigure()
        try:
            plugin.pytest_unconfigure()
            async with AsyncInSim("me@example.com", "key"):
                pass
        finally:
            plugin.pytest_configure(pytestconfig)

    async def test_other_hosts_are_free(self) -> None:
        for host in ("myinsim.app", "insim.app.test"):
            async with AsyncInSim("me@example.com", "key", base_url=f"https://{host}"):
                pass
