"""Keep events on disk before inSIM is told 200; hand them to handlers until these succeed.

``_inbox`` is what users hold. ``_schema`` has the picture of what a row can undergo; ``_rows``,
``_tending``, ``_looking`` and ``_mending`` are what is done to rows, each in one transaction.
``_worker`` lives, ``_run`` does its work and ``_calling`` calls handlers; a worker knows by
``_places`` how much it may claim, and by ``_sight`` whose leases it may take over. ``_watch`` looks
whether there is one.
"""

from __future__ import annotations

from insim_async.webhooks.inbox._inbox import Inbox
from insim_async.webhooks.inbox._looking import (
    Entry,
    Failures,
    InboxCounts,
    InboxHealth,
    InboxStatus,
    SetAside,
    WorkerSeen,
)
from insim_async.webhooks.inbox._worker import InboxWorker

__all__ = [
    "Entry",
    "Failures",
    "Inbox",
    "InboxCounts",
    "InboxHealth",
    "InboxStatus",
    "InboxWorker",
    "SetAside",
    "WorkerSeen",
]
