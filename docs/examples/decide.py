"""Confirm a booking by SMS, and decide what to do where nobody knows whether it was sent."""

import asyncio
import sys

from insim_async import AsyncInSim, InvalidMessage, NotSent, OutcomeUnknown, Refused


async def confirm(insim: AsyncInSim, phone_number: str) -> str:
    try:
        await insim.send_sms(phone_number, "Votre table est réservée.", sms_id="booking-4711")
    except InvalidMessage as error:
        return f"mend the {error.field}: {error.reason}"
    except NotSent as error:
        return f"put it back into the queue: {error}"
    except Refused as error:
        return f"inSIM said no, codes {error.codes}: {error}"
    except OutcomeUnknown as error:
        return f"show it to somebody, do not send it again: {error}"
    return "sent"


async def main() -> None:
    async with AsyncInSim() as insim:
        print(await confirm(insim, sys.argv[1]))


if __name__ == "__main__":
    asyncio.run(main())
