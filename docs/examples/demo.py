"""Run a campaign against a sandbox that plays inSIM, and kill it half-way: no account needed.

It reads ``clients.csv``, a contact list as in real life, previews the campaign and sends it in a
process of its own, which is killed by ``kill -9`` while requests are under way. Somebody answers
STOP; a second process goes on with the rest; delivery reports say what became of the messages that
were under way. The exit code is 0 only if by the sandbox's count nobody got it twice, nobody was
lost, and whoever opted out got nothing.
"""

import asyncio
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import uvicorn
from rich.console import Console
from rich.table import Table

from insim_async import AsyncInSim
from insim_async.campaigns import Campaign, MessageCounts, Preview
from insim_async.recipients import Refusal, read_csv
from insim_async.webhooks import DeliveryStatus, IncomingSms, LinkClick, WebhookRouter, new_secret
from insim_async.webhooks.asgi import webhook_app

CLIENTS = Path(__file__).with_name("clients.csv")
TEXT = "Bonjour {first_name|cher client}, votre commande est arrivée. STOP pour refuser."
BATCH, SLOTS = 20, 4
ANSWERED = 8
"""Requests that are answered before the sandbox keeps all further ones waiting."""
console = Console(highlight=False)


# The process that sends ---------------------------------------------------------------------------


async def send(path: str) -> None:
    """Send what is left of the campaign: the same program, however often it was killed."""
    with closing(Campaign.open(path)) as campaign:
        async with AsyncInSim(batch_size=BATCH, max_concurrency=SLOTS) as insim:
            await campaign.run(insim)


def end_with_parent() -> None:
    """End at once when standard input does, as when the parent process is killed."""
    while os.read(0, 4096):
        pass
    os._exit(1)


# The process that has the webhooks, and looks on --------------------------------------------------


def main() -> int:
    """Run the demo and return its exit code."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Campaign.open(f"{folder}/spring.db")) as campaign,
        running_webhooks(campaign) as callback,
        running_sandbox(callback) as (url, login, access_key),
    ):
        console.print(f"A sandbox plays inSIM at {url}")
        account = {"INSIM_BASE_URL": url, "INSIM_LOGIN": login, "INSIM_ACCESS_KEY": access_key}
        sender = Sender(f"{folder}/spring.db", account)
        return 0 if asyncio.run(play(campaign, sender, url, (login, access_key))) else 1


@contextmanager
def running_webhooks(campaign: Campaign) -> Iterator[str]:
    """Receive webhooks in a thread, and give their URL: the campaign learns from each."""
    router = WebhookRouter(secret=(secret := new_secret()))
    router.on(DeliveryStatus, LinkClick, IncomingSms)(campaign.record)
    config = uvicorn.Config(webhook_app(router), access_log=False, log_level="critical")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=[[listener]], daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/insim/{secret}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def running_sandbox(callback: str) -> Iterator[tuple[str, str, str]]:
    """Run a sandbox process on a free port; give its URL, login and key once it is ready.

    It stops when its standard input ends: at the end of the block, and also if this process is
    killed.
    """
    options = ("--callback", callback, "--sent-after", "0", "--received-after", "0.1")
    command = [sys.executable, "-m", "insim_async.sandbox", "--port", "0", "--until-eof", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603 - our own command
        assert process.stdout is not None
        ready = re.search(r"at (\S+) login=(\S+) access_key=(\S+)", process.stdout.readline())
        if ready is None:
            raise SystemExit("The sandbox did not start.")
        yield ready[1], ready[2], ready[3]


class Sender:
    """Runs this file once more, as the process that sends; it ends with its parent."""

    def __init__(self, path: str, account: Mapping[str, str]) -> None:
        self._command = [sys.executable, __file__, path]
        self._environment = {**os.environ, **account}

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start it; it is no more behind the block."""
        with subprocess.Popen(  # noqa: S603 - our own command
            self._command,
            stdin=subprocess.PIPE,
            env=self._environment,
            start_new_session=True,  # Ctrl-C is for the parent alone
        ) as process:
            yield process


class Phone:
    """What people and networks do to the sandbox, and what it counted."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def act(self, path: str, /, **what: object) -> None:
        """Have something happen."""
        (await self._client.post(path, json=what)).raise_for_status()

    async def got(self) -> Counter[str]:
        """Return how many messages each number got."""
        state = (await self._client.get("state")).json()
        return Counter(message["phone_number"] for message in state["messages"])


async def play(campaign: Campaign, sender: Sender, url: str, auth: tuple[str, str]) -> bool:
    """Play the campaign, print what happens, and say whether the sandbox counted the same."""
    people = read_csv(CLIENTS, region="FR")
    show_list(people.contacts, people.refused)
    await campaign.add(people, TEXT)
    show_preview(await campaign.preview())
    numbers = [contact.phone_number for contact in people.contacts]
    async with (
        asyncio.timeout(120),
        httpx.AsyncClient(base_url=f"{url}/_sandbox", auth=auth) as client,
    ):
        phone = Phone(client)
        await send_half(campaign, sender, phone)
        await opt_out(campaign, phone, numbers[-1])
        await send_the_rest(campaign, sender, phone)
        await settle(campaign, phone)
        counts = (await campaign.status()).counts
        return show_agreement(numbers, numbers[-1], counts, await phone.got())


async def send_half(campaign: Campaign, sender: Sender, phone: Phone) -> None:
    """Send until some messages have their answer and others wait for one; then comes the kill."""
    await phone.act("acts/go_offline")  # it sends and reports nothing until it comes back
    await phone.act("faults", path="sendsms", times=ANSWERED)
    await phone.act("faults", path="sendsms", times=1000, delay=600)
    half = (ANSWERED * BATCH, SLOTS * BATCH)
    with sender.running() as process:
        console.print(f"Sending, in process {process.pid} ...")
        await reached(campaign, lambda now: (now.sent, now.in_flight) == half)
        while (await phone.got()).total() < sum(half):  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.1)
        process.kill()
    counts = (await campaign.status()).counts
    console.print(f"Killed half-way, as by kill -9: {counts}")


async def opt_out(campaign: Campaign, phone: Phone, number: str) -> None:
    """Let somebody who has got nothing yet answer STOP to an earlier message."""
    await phone.act("acts/reply", phone_number=number, message="Stop !")
    while not await campaign.suppressed():  # noqa: ASYNC110 - it comes over HTTP
        await asyncio.sleep(0.1)
    console.print(f"Somebody answers STOP: {masked(number)}")


async def send_the_rest(campaign: Campaign, sender: Sender, phone: Phone) -> None:
    """Run the same program again: it goes on, and sends nothing for a second time."""
    await phone.act("acts/clear_faults")
    with sender.running() as process:
        await asyncio.to_thread(process.wait)
    console.print(f"Run again: {await campaign.status()}")


async def settle(campaign: Campaign, phone: Phone) -> None:
    """Let the phone be online again: its delivery reports say what became of the unknown ones."""
    await phone.act("acts/come_back")
    await reached(campaign, lambda now: now.delivered == now.sent and not now.unknown)
    console.print(f"Delivery reports came: {await campaign.status()}")


async def reached(campaign: Campaign, is_so: Callable[[MessageCounts], bool]) -> None:
    """Wait until the counts are as they should be; the file may be read beside who sends."""
    while not is_so((await campaign.status()).counts):  # noqa: ASYNC110 - in another process
        await asyncio.sleep(0.1)


# What is printed ----------------------------------------------------------------------------------


def show_list(contacts: Sequence[object], refused: Sequence[Refusal]) -> None:
    """Print what was read, and each refused row: its line in the file and why."""
    console.print(f"{CLIENTS.name}: {len(contacts)} contacts, {len(refused)} rows refused\n")
    lines: defaultdict[str, list[str]] = defaultdict(list)
    for refusal in refused:
        reason, _, earlier = refusal.reason.partition("same number as line ")
        lines[reason or "same number as an earlier line"].append(
            f"{refusal.line}{earlier and f'={earlier}'}"
        )
    table = Table("Rows", "Refused because", "Lines", title="Refused rows", title_justify="left")
    for reason, numbers in sorted(lines.items(), key=lambda item: -len(item[1])):
        table.add_row(str(len(numbers)), reason, ", ".join(numbers))
    console.print(table)


def show_preview(preview: Preview) -> None:
    """Print what will be sent, and what it will cost."""
    console.print(f"\nPreview: {preview.messages} messages, {preview.parts} SMS parts")
    console.print(*(f"  {sample.text}" for sample in preview.samples[:2]), "", sep="\n")


def masked(number: str) -> str:
    """Hide the end of a phone number."""
    return number[:-4] + "••••"


def show_agreement(
    people: Sequence[str], opted_out: str, counts: MessageCounts, got: Mapping[str, int]
) -> bool:
    """Print and return whether each got it once by the sandbox's count, but who opted out."""
    due = {number for number in people if number != opted_out}
    twice = sum(count > 1 for count in got.values())
    lost = len(due - got.keys())
    agreed = dict(got) == dict.fromkeys(due, 1) and counts.sent == len(due)
    console.print(f"Sandbox: {len(got)} people got it, {twice} of them twice, {lost} were lost")
    console.print(
        "Nobody got it twice, and nobody was lost." if agreed else "IT COUNTED SOMETHING ELSE."
    )
    return agreed


if __name__ == "__main__":
    if sys.argv[1:]:
        threading.Thread(target=end_with_parent, daemon=True).start()
        asyncio.run(send(sys.argv[1]))
        sys.exit()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped.")
