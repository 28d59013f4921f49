"""Tests of webhook handlers: somebody writes to the phone, and the app replies."""

from pathlib import Path

import pytest
from opening_hours import create_router
from sms_log import SmsLog

from insim_async import AsyncInSim
from insim_async.testing import InSimSandbox
from insim_async.webhooks import WebhookRouter

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


@pytest.fixture
def log(tmp_path: Path) -> SmsLog:
    return SmsLog(str(tmp_path / "sms.db"))


@pytest.fixture
def router(insim_client: AsyncInSim, log: SmsLog) -> WebhookRouter:
    return create_router(insim_client, log)


async def test_whoever_asks_is_told(insim_sandbox: InSimSandbox, router: WebhookRouter) -> None:
    await insim_sandbox.reply("+33639980001", "Vos horaires ?", to=router)
    insim_sandbox.assert_sent("+33639980001", "Ouvert du mardi au samedi*")


async def test_an_event_that_is_repeated_is_answered_once(
    insim_sandbox: InSimSandbox, router: WebhookRouter
) -> None:
    with insim_sandbox.webhook_fault(twice=True):
        await insim_sandbox.reply("+33639980001", "Vos horaires ?", to=router)
    insim_sandbox.assert_sent("+33639980001")


async def test_a_reply_that_may_have_left_is_not_sent_again(
    insim_sandbox: InSimSandbox, router: WebhookRouter
) -> None:
    with insim_sandbox.fault(lose_answer=True), insim_sandbox.webhook_fault(twice=True):
        await insim_sandbox.reply("+33639980001", "Vos horaires ?", to=router)
    insim_sandbox.assert_sent("+33639980001")


async def test_a_reply_that_did_not_leave_is_sent_when_the_event_comes_again(
    insim_sandbox: InSimSandbox, router: WebhookRouter
) -> None:
    with insim_sandbox.fault(unsent=True):
        await insim_sandbox.reply("+33639980001", "Vos horaires ?", to=router, status=500)
    insim_sandbox.assert_not_sent()
    await insim_sandbox.advance(seconds=2)  # the webhook is tried again
    insim_sandbox.assert_sent("+33639980001")


async def test_delivery_reports_are_kept_in_whatever_order_they_come(
    insim_client: AsyncInSim, insim_sandbox: InSimSandbox, router: WebhookRouter, log: SmsLog
) -> None:
    insim_sandbox.deliver_to(router)
    await insim_client.send_sms("+33639980001", "Bonjour !", sms_id="booking-4711")
    with insim_sandbox.webhook_fault(after_next=True, times=1):
        await insim_sandbox.advance(seconds=60)
    assert log.statuses() == {"booking-4711": "received"}
