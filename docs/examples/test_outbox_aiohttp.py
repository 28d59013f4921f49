"""Tests of an app with an outbox, for anyio's plugin."""

from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from outbox_aiohttp import OUTBOX, create_app

from insim_async import AsyncInSim
from insim_async.testing import InSimSandbox
from insim_async.webhooks import new_secret

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


async def test_a_booking_is_confirmed_once(
    insim_client: AsyncInSim,
    insim_sandbox: InSimSandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INSIM_WEBHOOK_SECRET", new_secret())
    app = create_app(insim_client, tmp_path / "outbox.db")
    async with TestClient(TestServer(app)) as browser:
        statuses = []
        for number in ("+33639980001", "+33639980001", "+33639980002", "12"):
            booking = {"reference": "A1", "phone_number": number}
            statuses.append((await browser.post("/bookings", json=booking)).status)
        assert statuses == [202, 202, 409, 422]
        assert (await app[OUTBOX].wait("booking-A1", timeout=10)).status == "sent"
    insim_sandbox.assert_sent("+33639980001", "Réservation A1 confirmée.")
    insim_sandbox.assert_not_sent("+33639980002")
