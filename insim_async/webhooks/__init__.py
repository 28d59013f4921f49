"""What inSIM calls back: events, how they are read from queries, and the router to handlers.

::

    router = WebhookRouter(secret=os.environ.get("INSIM_WEBHOOK_SECRET", ""))

    @router.on(IncomingSms)
    async def reply(event: IncomingSms) -> None: ...

    app.mount("/insim", webhook_app(router))  # of .asgi; .aiohttp has webhook_handler
"""

from __future__ import annotations

from insim_async.errors import InboxUnavailable, InvalidWebhook
from insim_async.webhooks._attempt import Attempt, GiveUp, RetryLater, current_attempt
from insim_async.webhooks._counts import WebhookStatistics
from insim_async.webhooks._secrets import new_secret
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
from insim_async.webhooks.router import WebhookRouter

__all__ = [
    "Attempt",
    "CallEvent",
    "CallQualification",
    "DeliveryStatus",
    "Event",
    "GiveUp",
    "InboxUnavailable",
    "IncomingSms",
    "InvalidWebhook",
    "LinkClick",
    "RetryLater",
    "UnknownEvent",
    "WebhookRouter",
    "WebhookStatistics",
    "build_webhook",
    "current_attempt",
    "new_secret",
    "parse_webhook",
]
