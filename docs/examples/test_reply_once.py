"""Tests of a reply by outbox, for anyio's plugin."""

from pathlib import Path

import pytest
from reply_once import create_router

from insim_async import AsyncInSim
from insim_async.outbox import Outbox
from insim_async.testing import InSimSandbox
from insim_async.webhooks import IncomingSms

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]
QUESTION = IncomingSms(phone_number="+33639980001", message="Vos horaires ?")


async def test_however_often_an_event_comes_there_is_one_answer(
    insim_client: AsyncInSim, insim_sandbox: InSimSandbox, tmp_path: Path
) -> None:
    outbox = Outbox.open(tmp_path / "outbox.db")
    router = create_router(outbox)
    for _ in range(2):  # a process that sends, and the one after it
        async with outbox.worker(insim_client):
            for _ in range(3):
                await router.dispatch(QUESTION)
            await outbox.wait(f"reply-{QUESTION.key}", timeout=10)
    outbox.close()
    insim_sandbox.assert_sent("+33639980001", "Ouvert du mardi au samedi, *")


async def test_what_is_no_question_has_no_answer(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "outbox.db")
    router = create_router(outbox)
    await router.dispatch(IncomingSms(phone_number="+33639980001", message="Merci"))
    await router.dispatch(IncomingSms(phone_number="BANQUE", message="horaires"))
    assert [message async for message in outbox.messages()] == []
    outbox.close()
