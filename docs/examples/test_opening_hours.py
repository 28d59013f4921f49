"""Tests of webhook handlers: events as inSIM sends them, and the sandbox to send the replies to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from opening_hours import create_router
from sms_log import SmsLog

from insim_async import AsyncInSim
from insim_async.sandbox import Fault, Sandbox, sandbox_app
from insim_async.webhooks import (
    DeliveryStatus,
    IncomingSms,
    WebhookRouter,
    build_webhook,
    new_secret,
)
from insim_async.webhooks.asgi import webhook_app

pytestmark = pytest.mark.anyio
SECRET = new_secret()
QUESTION = IncomingSms(phone_number="+33639980001", message="Vos horaires ?")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox("me@example.com", "a-made-up-key")


@pytest.fixture
def log(tmp_path: Path) -> SmsLog:
    return SmsLog(str(tmp_path / "sms.db"))


@asynccontextmanager
async def listening(sandbox: Sandbox, log: SmsLog) -> AsyncIterator[WebhookRouter]:
    transport = httpx.ASGITransport(app=sandbox_app(sandbox))
    async with (
        httpx.AsyncClient(transport=transport) as http_client,
        AsyncInSim(
            "me@example.com", "a-made-up-key", base_url="http://localhost", http_client=http_client
        ) as insim,
    ):
        yield create_router(insim, log)


async def test_whoever_asks_twice_is_told_twice_but_an_event_that_is_repeated_is_not(
    sandbox: Sandbox, log: SmsLog
) -> None:
    async with listening(sandbox, log) as router:
        for question in (
            QUESTION,
            QUESTION,
            IncomingSms(phone_number="+33639980001", message="HORAIRES"),
        ):
            await router.dispatch(question)
    assert len(sandbox.messages) == 2


async def test_a_reply_that_may_have_left_is_not_sent_again(sandbox: Sandbox, log: SmsLog) -> None:
    sandbox.order(Fault(lose_answer=True))
    async with listening(sandbox, log) as router:
        await router.dispatch(QUESTION)
        await router.dispatch(QUESTION)
    assert len(sandbox.messages) == 1


async def test_a_reply_that_did_not_leave_is_sent_when_the_event_comes_again(
    sandbox: Sandbox, log: SmsLog
) -> None:
    sandbox.order(Fault(status=401))
    async with listening(sandbox, log) as router:
        with pytest.raises(ExceptionGroup):
            await router.dispatch(QUESTION)
        await router.dispatch(QUESTION)
    assert len(sandbox.messages) == 1


@pytest.mark.parametrize(
    "order", [("sent", "received"), ("received", "sent"), ("received", "failed", "received")]
)
async def test_of_all_reports_the_one_that_says_most_is_kept(
    order: tuple[str, ...], sandbox: Sandbox, log: SmsLog
) -> None:
    async with listening(sandbox, log) as router:
        for status in order:
            await router.dispatch(DeliveryStatus(sms_id="booking-4711", status=status))
    assert log.statuses() == {"booking-4711": "received"}


async def test_an_event_comes_in_by_http(sandbox: Sandbox, log: SmsLog) -> None:
    async with (
        listening(sandbox, log) as router,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=webhook_app(router, secret=SECRET)),
            base_url="http://localhost",
        ) as inside,
    ):
        answer = await inside.get(f"/{SECRET}?{build_webhook(QUESTION)}")
    assert answer.status_code == 200
    assert [sms.phone_number for sms in sandbox.messages] == ["+33639980001"]
