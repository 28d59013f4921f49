"""Tests of a campaign, for anyio's plugin: its pace takes no time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from spring_sale import send_all

from insim_async import AsyncInSim
from insim_async.campaigns import Campaign
from insim_async.recipients import read_rows
from insim_async.testing import InSimSandbox
from insim_async.webhooks import IncomingSms, WebhookRouter

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]
A_MONDAY = datetime(2031, 3, 10, 9, tzinfo=UTC)
PEOPLE = read_rows(
    [
        {"prénom": "Ana", "mobile": "+33639980001"},
        {"prénom": "", "mobile": "+33639980002"},
    ]
)


@pytest.fixture
def campaign(insim_sandbox: InSimSandbox, tmp_path: Path) -> Iterator[Campaign]:
    insim_sandbox.time.go_to(A_MONDAY)  # the window is open, whenever the test runs
    campaign = Campaign.open(tmp_path / "spring.db", clock=insim_sandbox.time.clock)
    yield campaign
    campaign.close()


async def test_everybody_gets_it_once(
    insim_client: AsyncInSim, insim_sandbox: InSimSandbox, campaign: Campaign
) -> None:
    for _ in range(2):
        report = await send_all(insim_client, campaign, PEOPLE)
        assert (report.state, report.sent) == ("finished", 2)
    insim_sandbox.assert_sent("+33639980001", "Bonjour Ana, *")
    insim_sandbox.assert_sent("+33639980002", "Bonjour cher client, *")


async def test_a_stop_holds(
    insim_client: AsyncInSim, insim_sandbox: InSimSandbox, campaign: Campaign
) -> None:
    router = WebhookRouter()
    router.on(IncomingSms)(campaign.record)
    await insim_sandbox.reply("+33639980001", "Stop !", to=router)
    report = await send_all(insim_client, campaign, PEOPLE)
    assert (report.sent, report.suppressed) == (1, 1)
    insim_sandbox.assert_not_sent("+33639980001")


async def test_an_answer_that_is_lost_is_sent_once(
    insim_client: AsyncInSim, insim_sandbox: InSimSandbox, campaign: Campaign
) -> None:
    with insim_sandbox.fault(lose_answer=True, times=1):
        report = await send_all(insim_client, campaign, PEOPLE)
    assert report.unknown >= 1
    insim_sandbox.assert_sent("+33639980001")
