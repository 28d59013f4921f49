"""Tests of code that sends SMS: no phone, no account, no socket, nothing mocked."""

import pytest
from booking import confirm

from insim_async import AsyncInSim
from insim_async.testing import InSimSandbox

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


async def test_a_guest_is_told_the_time(
    insim_client: AsyncInSim, insim_sandbox: InSimSandbox
) -> None:
    assert await confirm(insim_client, "+33639980001", "20 h")
    insim_sandbox.assert_sent("+33639980001", "*réservée pour 20 h.")


async def test_a_lost_answer_is_not_sent_twice(
    insim_client: AsyncInSim, insim_sandbox: InSimSandbox
) -> None:
    with insim_sandbox.fault(lose_answer=True):
        assert not await confirm(insim_client, "+33639980001", "20 h")
    insim_sandbox.assert_sent("+33639980001")


async def test_what_was_proven_unsent_is_tried_again(
    insim_client: AsyncInSim, insim_sandbox: InSimSandbox
) -> None:
    with insim_sandbox.fault(unsent=True, times=2):
        assert await confirm(insim_client, "+33639980001", "20 h")
    insim_sandbox.assert_sent("+33639980001")
