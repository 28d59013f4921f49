"""Tests of code that sends SMS: no phone, no account, no socket, nothing mocked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from booking import confirm

from insim_async import AsyncInSim
from insim_async.sandbox import Fault, Sandbox, sandbox_app

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox("me@example.com", "a-made-up-key")


@asynccontextmanager
async def connected(sandbox: Sandbox) -> AsyncIterator[AsyncInSim]:
    transport = httpx.ASGITransport(app=sandbox_app(sandbox))
    async with (
        httpx.AsyncClient(transport=transport) as http_client,
        AsyncInSim(
            "me@example.com", "a-made-up-key", base_url="http://localhost", http_client=http_client
        ) as insim,
    ):
        yield insim


async def test_a_guest_is_told_the_time(sandbox: Sandbox) -> None:
    async with connected(sandbox) as insim:
        assert await confirm(insim, "+33639980001", "20 h")
    assert [sms.message for sms in sandbox.messages] == ["Votre table est réservée pour 20 h."]


async def test_a_lost_answer_is_not_sent_twice(sandbox: Sandbox) -> None:
    sandbox.order(Fault(lose_answer=True))
    async with connected(sandbox) as insim:
        assert not await confirm(insim, "+33639980001", "20 h")
    assert len(sandbox.messages) == 1
