"""Send many messages, show how far it is, and list what did not go out."""

import asyncio
from collections.abc import Iterator

from insim_async import AsyncInSim, Progress, Sms, Status


def reminders() -> Iterator[Sms]:
    for number in range(1_000):
        yield Sms(f"+3363998{number:04}", "Rendez-vous demain à 9 h.", sms_id=f"reminder-{number}")
    yield Sms("not a number", "Rendez-vous demain à 9 h.", sms_id="reminder-1000")


def show(progress: Progress) -> None:
    print(f"\r{progress.done} done, {progress.rate:.0f} a second", end="")


async def main() -> None:
    async with AsyncInSim() as insim:
        report = await insim.send_many(reminders(), on_progress=show)
    print()
    print(f"{report.sent} sent, {report.refused} refused")
    print(f"{report.not_sent} not sent, {report.unknown} unknown")
    for outcome in report.outcomes:
        if outcome.status is not Status.SENT:
            print(f"{outcome.sms.sms_id}: {outcome.status}: {outcome.error}")


if __name__ == "__main__":
    asyncio.run(main())
