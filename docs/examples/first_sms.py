"""Send one SMS and say what became of it."""

import asyncio

from insim_async import AsyncInSim


async def main() -> None:
    async with AsyncInSim() as insim:
        receipt = await insim.send_sms("+33 6 39 98 00 01", "Votre colis est en route.")
    print(f"sent: {receipt.sent}, to {receipt.phone_number}, in {receipt.parts} part")


if __name__ == "__main__":
    asyncio.run(main())
