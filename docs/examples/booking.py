"""The code that the tests in test_booking.py are about."""

from insim_async import AsyncInSim, OutcomeUnknown


async def confirm(insim: AsyncInSim, phone_number: str, time: str) -> bool:
    """Say whether the guest surely got a confirmation."""
    try:
        await insim.send_sms(phone_number, f"Votre table est réservée pour {time}.")
    except OutcomeUnknown:
        return False
    return True
