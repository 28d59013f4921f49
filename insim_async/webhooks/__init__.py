"""What inSIM calls back: events, and the query strings that carry them.

::

    event = parse_webhook(raw_query)
    if isinstance(event, IncomingSms):
        print(event.phone_number, event.message)
"""

from __future__ import annotations

from insim_async.errors import InvalidWebhook
from insim_async.webhooks.events import (
    CallEvent,
    CallQualification,
    DeliveryStatus,
    Event,
    IncomingSms,
    LinkClick,
    UnknownEvent,
)
from insim_async.webhooks.parsing import build_webhook, parse_webhook

__all__ = [
    "CallEvent",
    "CallQualification",
    "DeliveryStatus",
    "Event",
    "IncomingSms",
    "InvalidWebhook",
    "LinkClick",
    "UnknownEvent",
    "build_webhook",
    "parse_webhook",
]
