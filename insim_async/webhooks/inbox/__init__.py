"""Keep events on disk before inSIM is told 200; hand them to handlers until these succeed.

``_inbox`` is what users hold; ``_rows`` knows what a row can undergo; ``_worker`` runs the
handlers, and knows by ``_places`` how much it may claim, and by ``_sight`` whose leases it may take
over.
"""

from __future__ import annotations

from insim_async.webhooks.inbox._inbox import Inbox, InboxCounts, SetAside

__all__ = ["Inbox", "InboxCounts", "SetAside"]
