"""Asyncio client for inSIM, the phone gateway: SMS from your own number, contacts, calls.

::

    import asyncio
    from insim_async import AsyncInSim

    async def main() -> None:
        async with AsyncInSim() as insim:  # INSIM_LOGIN and INSIM_ACCESS_KEY, from the environment
            receipt = await insim.send_sms("+33639980001", "Your parcel is on its way")
            print(receipt.sms_id, receipt.parts)

    asyncio.run(main())
"""

from insim_async.client import AsyncInSim
from insim_async.errors import (
    AuthenticationFailed,
    BulkInterrupted,
    ConfigurationError,
    InSimError,
    InvalidMessage,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
)
from insim_async.models import (
    BulkReport,
    CallResult,
    Contact,
    ContactResult,
    Outcome,
    Priority,
    Progress,
    Sms,
    SmsReceipt,
    Status,
)
from insim_async.timing import Clock, Retry

__all__ = [
    "AsyncInSim",
    "AuthenticationFailed",
    "BulkInterrupted",
    "BulkReport",
    "CallResult",
    "Clock",
    "ConfigurationError",
    "Contact",
    "ContactResult",
    "InSimError",
    "InvalidMessage",
    "NotSent",
    "Outcome",
    "OutcomeUnknown",
    "Priority",
    "Progress",
    "RateLimited",
    "Refused",
    "Retry",
    "Sms",
    "SmsReceipt",
    "Status",
]
