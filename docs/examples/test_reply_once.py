"""Tests of a reply by outbox: the sandbox stands for inSIM."""

from pathlib import Path

import httpx
import pytest
from reply_once import create_router

from insim_async import AsyncInSim
from insim_async.outbox import Outbox
from insim_async.sandbox import Sandbox, sandbox_app
from insim_async.webhooks import IncomingSms

pytestmark = pytest.mark.anyio
QUESTION = IncomingSms(phone_number="+33639980001", message="Vos horaires ?")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_however_often_an_event_comes_there_is_one_answer(tmp_path: Path) -> None:
    sandbox = Sandbox("me@example.com", "a-made-up-key")
    outbox = Outbox.open(tmp_path / "outbox.db")
    router = create_router(outbox)
    transport = httpx.ASGITransport(app=sandbox_app(sandbox))
    async with (
        httpx.AsyncClient(transport=transport) as http_client,
        AsyncInSim(
            "me@example.com", "a-made-up-key", base_url="http://localhost", http_client=http_client
        ) as insim,
    ):
        for _ in range(2):  # a process that sends, and the one after it
            async with outbox.worker(insim):
                for _ in range(3):
                    await router.dispatch(QUESTION)
                await outbox.wait(f"reply-{QUESTION.key}", timeout=10)
    outbox.close()
    assert [sms.phone_number for sms in sandbox.messages] == ["+33639980001"]


async def test_what_is_no_question_has_no_answer(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "outbox.db")
    router = create_router(outbox)
    await router.dispatch(IncomingSms(phone_number="+33639980001", message="Merci"))
    await router.dispatch(IncomingSms(phone_number="BANQUE", message="horaires"))
    assert [message async for message in outbox.messages()] == []
    outbox.close()
