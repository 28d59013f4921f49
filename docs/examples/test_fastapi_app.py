"""Tests of a FastAPI app, for pytest-asyncio: what it sends, and what it does with webhooks."""

from collections.abc import AsyncIterator

import fastapi_app
import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from insim_async import AsyncInSim
from insim_async.testing import InSimSandbox
from insim_async.webhooks import IncomingSms, WebhookRouter, new_secret
from insim_async.webhooks.asgi import webhook_app

BOOKING = {"reference": "A1", "phone_number": "+33639980001"}
SECRET = new_secret()


@pytest.fixture
def app(insim_client: AsyncInSim) -> FastAPI:
    """Return the app with the sandbox in place of the client that its lifespan would open."""
    app = fastapi_app.app
    app.dependency_overrides[fastapi_app.client] = lambda: insim_client
    return app


@pytest_asyncio.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.asyncio
async def test_a_booking_is_confirmed(
    browser: httpx.AsyncClient, insim_sandbox: InSimSandbox
) -> None:
    response = await browser.post("/bookings", json=BOOKING)
    assert response.json() == {"sms": "sent"}
    insim_sandbox.assert_sent("+33639980001", "Réservation A1 confirmée.")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "said"), [({"unsent": True}, "not sent"), ({"lose_answer": True}, "perhaps sent")]
)
async def test_the_guest_is_told_the_truth(
    browser: httpx.AsyncClient, insim_sandbox: InSimSandbox, fault: dict[str, bool], said: str
) -> None:
    with insim_sandbox.fault(**fault):
        response = await browser.post("/bookings", json=BOOKING)
    assert response.json() == {"sms": said}


@pytest.mark.asyncio
async def test_a_mounted_app_gets_webhooks(insim_sandbox: InSimSandbox) -> None:
    router, seen = WebhookRouter(secret=SECRET), []

    @router.on(IncomingSms)
    async def keep(sms: IncomingSms) -> None:
        seen.append(sms.message)

    app = FastAPI()
    app.mount("/insim", webhook_app(router))
    await insim_sandbox.reply("+33639980001", "OUI, 100% !", to=app, path=f"/insim/{SECRET}")
    assert seen == ["OUI, 100% !"]
