"""Tests for those who mock HTTP: respx answers, and what inSIM would say is yours to know."""

import httpx
import pytest
import respx

from insim_async import AsyncInSim, NotSent, OutcomeUnknown, Retry

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]
HOST = "https://insim.test"  # the real one is refused in tests, even behind a mock


async def test_a_server_that_is_busy_leaves_it_unknown() -> None:
    with respx.mock(base_url=HOST) as mock:
        mock.post("/api/v1/sendsms").respond(503)
        async with AsyncInSim("me@example.com", "a-made-up-key", base_url=HOST) as insim:
            with pytest.raises(OutcomeUnknown):
                await insim.send_sms("+33639980001", "Bonjour !")


async def test_a_mock_that_raises_bare_proves_that_nothing_was_sent() -> None:
    with respx.mock(base_url=HOST) as mock:
        mock.post("/api/v1/sendsms").mock(side_effect=httpx.ConnectError)
        async with AsyncInSim(
            "me@example.com", "a-made-up-key", base_url=HOST, retry=Retry(attempts=1)
        ) as insim:
            with pytest.raises(NotSent):
                await insim.send_sms("+33639980001", "Bonjour !")
