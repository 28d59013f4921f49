"""The outbox: "send this", answered at once, on disk, and sent once by whichever process may.

::

    outbox = Outbox.open("outbox.db")
    async with AsyncInSim() as insim, outbox.worker(insim):
        await outbox.put(Sms("+33639980001", "C'est réservé.", sms_id="booking-4711"))

Killed at any point and started again, it goes on: nothing is doubled, nothing is lost. It is the
twin of the inbox, which keeps what came in. ``_outbox`` is what users hold, ``_worker`` lives, and
``_parcels`` is what is done to rows, each in one transaction; states, claims, limits and the lock
are those of ``campaigns``.
"""

from insim_async.campaigns import Delivery, Limits, MessageStatus, SendWindow
from insim_async.errors import LedgerUnavailable, OutboxConflict
from insim_async.outbox._outbox import Outbox
from insim_async.outbox._values import OutboxHealth, OutboxMessage
from insim_async.outbox._worker import OutboxWorker

__all__ = [
    "Delivery",
    "LedgerUnavailable",
    "Limits",
    "MessageStatus",
    "Outbox",
    "OutboxConflict",
    "OutboxHealth",
    "OutboxMessage",
    "OutboxWorker",
    "SendWindow",
]
