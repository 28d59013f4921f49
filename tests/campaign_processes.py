"""Other processes at a campaign's file: one that is watched, and one that has the webhooks.

Run as a file: ``campaign_processes.py promise PATH``, ``campaign_processes.py report PATH``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import httpx

from insim_async import AsyncInSim
from insim_async.campaigns import Campaign, CampaignMessage
from insim_async.sandbox import Sandbox, SandboxTransport
from insim_async.webhooks import DeliveryStatus, IncomingSms

SANDBOX = Sandbox("me", "key")
NUMBERS = ["+33639980001", "+33639980002"]


def say(word: str) -> None:
    """Say something in one system call."""
    os.write(1, f"now: {word}\n".encode())


async def promise(path: str) -> None:
    """Do all that has to be on disk before something else happens, and say when it is."""

    async def leaving(_: httpx.Request) -> None:
        say("a request leaves")

    campaign = Campaign.open(path)
    say("opened")
    await campaign.add([{"phone_number": number} for number in NUMBERS], "Bonjour !")
    say("added")
    transport = SandboxTransport(SANDBOX)
    async with (
        httpx.AsyncClient(transport=transport, event_hooks={"request": [leaving]}) as http,
        AsyncInSim("me", "key", base_url="http://127.0.0.1", http_client=http) as insim,
    ):
        await campaign.run(insim)
    say("ended")
    [first, _] = [message async for message in campaign.messages()]
    await campaign.record(report_on(first))
    say("recorded")
    await campaign.record(IncomingSms(phone_number=NUMBERS[1], message="STOP"))
    say("opted out")
    await campaign.pause()
    say("paused")


def report_on(message: CampaignMessage) -> DeliveryStatus:
    """Say that a message was received."""
    return DeliveryStatus(
        phone_number=message.phone_number, sms_id=message.sms_id, status="received"
    )


async def report(path: str) -> None:
    """Opt some out, let the campaign go on, and report each message as soon as it was sent."""
    campaign = Campaign.open(path)
    for message in [message async for message in campaign.messages()][-20:]:
        await campaign.record(IncomingSms(phone_number=message.phone_number, message="Stop."))
    await campaign.resume()
    reported: set[str] = set()
    while (await campaign.status()).counts.done < 500 or len(reported) < 480:
        sent = [message async for message in campaign.messages("sent")]
        news = [message for message in sent if message.sms_id not in reported]
        assert all(await asyncio.gather(*(campaign.record(report_on(each)) for each in news)))
        reported.update(message.sms_id for message in news)
        if news and len(reported) == len(news):  # the first ones
            await campaign.pause()
            await campaign.resume()
    exported = await campaign.export(Path(path).with_suffix(".csv"))
    say(f"{len(reported)} reports, {exported} exported")


asyncio.run({"promise": promise, "report": report}[sys.argv[1]](sys.argv[2]))
