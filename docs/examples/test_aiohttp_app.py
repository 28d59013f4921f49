"""Tests of an aiohttp app, for anyio's plugin: what it sends, and what it does with webhooks."""

import aiohttp_app
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from insim_async import AsyncInSim
from insim_async.testing import InSimSandbox
from insim_async.webhooks import IncomingSms, WebhookRouter, new_secret
from insim_async.webhooks.aiohttp import webhook_handler

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]
SECRET = new_secret()


async def test_a_booking_is_confirmed(
    insim_client: AsyncInSim, insim_sandbox: InSimSandbox
) -> None:
    app = web.Application()
    app[aiohttp_app.INSIM] = insim_client
    app.router.add_post("/bookings", aiohttp_app.book)
    async with TestClient(TestServer(app)) as browser:
        booking = {"reference": "A1", "phone_number": "+33639980001"}
        response = await browser.post("/bookings", json=booking)
        assert await response.json() == {"sms": "sent"}
    insim_sandbox.assert_sent("+33639980001", "Réservation A1 confirmée.")


async def test_an_app_gets_webhooks(insim_sandbox: InSimSandbox) -> None:
    router, seen = WebhookRouter(secret=SECRET), []

    @router.on(IncomingSms)
    async def keep(sms: IncomingSms) -> None:
        seen.append(sms.message)

    app = web.Application()
    app.router.add_get("/insim/{secret}", webhook_handler(router))
    await insim_sandbox.reply("+33639980001", "OUI, 100% !", to=app, path=f"/insim/{SECRET}")
    assert seen == ["OUI, 100% !"]
