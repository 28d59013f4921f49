"""Send to everyone on a contact list and print each outcome that is not a success, as it comes."""

import asyncio
from pathlib import Path

from insim_async import AsyncInSim, Sms, Status
from insim_async.recipients import read_csv

LIST = Path(__file__).with_name("clients.csv")


async def main() -> None:
    people = read_csv(LIST, region="FR").contacts
    messages = (Sms(person.phone_number, f"Bonjour {person.first_name} !") for person in people)
    sent = 0
    async with AsyncInSim() as insim:
        async for outcome in insim.stream(messages):
            if outcome.status is Status.SENT:
                sent += 1
            else:
                print(outcome.sms.phone_number, outcome.status, outcome.error)
    print(f"{sent} of {len(people)} sent")


if __name__ == "__main__":
    asyncio.run(main())
