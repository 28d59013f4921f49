"""Run a small campaign against a sandbox that plays inSIM: no account needed.

It reads ``clients.csv``, a contact list as in real life, adds the contacts, sends each a tracked
link, starts one call, and compares what the client reported with what the sandbox counted. The exit
code is 0 only if every message was processed exactly once.
"""

import asyncio
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from insim_async import AsyncInSim
from insim_async.models import BulkReport, Contact, ContactResult, Sms, SmsReceipt
from insim_async.models import Progress as Done
from insim_async.recipients import Refusal, read_csv

CLIENTS = Path(__file__).with_name("clients.csv")
console = Console(highlight=False)


def main() -> int:
    """Run the demo and return its exit code."""
    with running_sandbox() as (url, login, access_key):
        console.print(f"A sandbox plays inSIM at {url}")
        return 0 if asyncio.run(campaign(url, login, access_key)) else 1


@contextmanager
def running_sandbox() -> Iterator[tuple[str, str, str]]:
    """Run a sandbox process on a free port; give its URL, login and key once it is ready.

    It stops when its standard input ends: at the end of the block, and also if this process is
    killed.
    """
    command = [sys.executable, "-m", "insim_async.sandbox", "--port", "0", "--until-eof"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603 - our own command
        assert process.stdout is not None
        ready = re.search(r"at (\S+) login=(\S+) access_key=(\S+)", process.stdout.readline())
        if ready is None:
            raise SystemExit("The sandbox did not start.")
        yield ready[1], ready[2], ready[3]


async def campaign(url: str, login: str, access_key: str) -> bool:
    """Play the campaign, print what happened, and say whether the sandbox counted the same."""
    recipients = read_csv(CLIENTS, region="FR")
    show_list(recipients.contacts, recipients.refused)
    started = time.monotonic()
    async with AsyncInSim(login, access_key, base_url=url, batch_size=20, max_rate=200) as insim:
        added = await insim.add_contacts(recipients.contacts)
        report = await send(insim, [tracked_link(contact) for contact in recipients.contacts])
        call = await insim.click_to_call("+33639980001")
    show_receipts([outcome.receipt for outcome in report.outcomes if outcome.receipt is not None])
    show_report(added, report, called=call.ok, seconds=time.monotonic() - started)
    return show_agreement(added, report, await sandbox_state(url))


def tracked_link(contact: Contact) -> Sms:
    """Write to one contact, with a link that is tracked.

    inSIM replaces the placeholder by a short link, and reports who follows it.
    """
    text = f"Bonjour {contact.first_name}, votre commande est arrivée : [Lien_Tracking]"
    return Sms(contact.phone_number, text, url="https://example.com/orders")


async def send(insim: AsyncInSim, messages: Sequence[Sms]) -> BulkReport:
    """Send all messages behind a progress bar."""
    columns = (
        TextColumn("Sending"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=len(messages))

        def advance(progress: Done) -> None:
            bar.update(task, completed=progress.done, description=f"{progress.rate:.0f} a second")

        return await insim.send_many(messages, on_progress=advance)


async def sandbox_state(url: str) -> dict[str, Any]:
    """Ask the sandbox what it really did."""
    async with httpx.AsyncClient() as client:
        state: dict[str, Any] = (await client.get(f"{url}/_sandbox/state")).json()
        return state


def show_list(contacts: Sequence[Contact], refused: Sequence[Refusal]) -> None:
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


def show_receipts(receipts: Sequence[SmsReceipt]) -> None:
    """Print the first receipts, numbers masked."""
    table = Table("Id", "To", "Parts", "Text as sent", title="Some receipts", title_justify="left")
    for receipt in receipts[:4]:
        table.add_row(
            f"…{receipt.sms_id[-8:]}",
            masked(receipt.phone_number),
            str(receipt.parts),
            receipt.message,
        )
    console.print("", table, "")


def masked(number: str) -> str:
    """Hide the end of a phone number."""
    return number[:-4] + "••••"


def show_report(
    added: Sequence[ContactResult], report: BulkReport, *, called: bool, seconds: float
) -> None:
    """Print how many of each there were."""
    parts = sum(outcome.receipt.parts for outcome in report.outcomes if outcome.receipt is not None)
    console.print(
        (
            f"Contacts: {sum(result.ok for result in added)} added, "
            f"of these {sum(map(has_warning, added))} with a warning"
        ),
        (
            f"Messages: {report.sent} sent, {report.refused} refused, "
            f"{report.not_sent} not sent, {report.unknown} unknown"
        ),
        f"Parts: {parts}",
        f"Call: {'started' if called else 'failed'}",
        f"Time: {seconds:.1f} s",
        sep="\n",
    )


def has_warning(result: ContactResult) -> bool:
    """Say whether a contact was added, but not all of it is right."""
    return result.ok and bool(result.warnings)


def show_agreement(
    added: Sequence[ContactResult], report: BulkReport, state: Mapping[str, Any]
) -> bool:
    """Print and return whether the sandbox counted what the client reported.

    That is, each message processed once.
    """
    sent = [outcome.receipt.sms_id for outcome in report.outcomes if outcome.receipt is not None]
    agreed: bool = (
        len(sent) == len(report.outcomes) == report.sent == state["counts"]["messages"]
        and state["processed"] == dict.fromkeys(sent, 1)
        and state["counts"]["contacts"] == sum(result.ok for result in added)
        and state["counts"]["calls"] == 1
    )
    console.print(
        "Sandbox: "
        f"{'every message processed exactly once' if agreed else 'IT COUNTED SOMETHING ELSE'}"
    )
    return agreed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped.")
