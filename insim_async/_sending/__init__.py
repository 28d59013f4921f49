"""Sending: what may be sent, one message or many, and how each of them ended.

``Delivery`` is the seam for whatever sends messages from a place of its own, such as a campaign
from its file: it is a ``Supply``, asked for a ``Batch`` at the moment when a request may leave.
"""

from insim_async._sending.batches import Batch, Cargo, Ending, Room, Supply
from insim_async._sending.breaker import Breaker
from insim_async._sending.bulk import Bulk
from insim_async._sending.checks import Rules, check_sms
from insim_async._sending.delivery import Delivery
from insim_async._sending.loads import Loads
from insim_async._sending.messages import Messages
from insim_async._sending.seam import Seam
from insim_async._sending.tally import Listener, check_on_progress

__all__ = [
    "Batch",
    "Breaker",
    "Bulk",
    "Cargo",
    "Delivery",
    "Ending",
    "Listener",
    "Loads",
    "Messages",
    "Room",
    "Rules",
    "Seam",
    "Supply",
    "check_on_progress",
    "check_sms",
]
