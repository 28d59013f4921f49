"""The state of a sandbox for whoever looks at it: all of it, or what changed since they looked."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import asdict

from insim_async import segments
from insim_async.sandbox.faults import Fault, WebhookFault
from insim_async.sandbox.records import SentSms
from insim_async.sandbox.state import Sandbox

__all__ = ["view"]


def view(sandbox: Sandbox, since: int | None = None) -> dict[str, Any]:
    """Return the state, ready for JSON.

    Args:
        sandbox: Whose.
        since: The ``number`` of an earlier view: of messages, what was received, calls, contacts
            and webhooks only those come that changed after it, in the place of those with the same
            ``key``. None for all, and all (``whole``) also where too much has changed.
    """
    journal, feed = sandbox.journal, sandbox.journal.feed
    whole = since is None or not feed.whole_since <= since <= feed.number
    shelves: dict[str, tuple[str, Any]] = {
        "messages": ("message", journal.sent),
        "refused": ("refused", journal.refused),
        "tested": ("tested", journal.tested),
        "received": ("received", journal.received),
        "calls": ("call", journal.calls),
        "contacts": ("contact", journal.contacts),
        "webhooks": ("webhook", sandbox.postbox.kept),
    }
    changed = None if since is None or whole else _by_kind(feed.since(since))
    return {
        "number": feed.number,
        "whole": whole,
        "login": sandbox.login,
        "counts": sandbox.counts(),
        "settings": sandbox.settings,
        "faults": [_ordered(number, fault) for number, fault in sandbox.faults.items()],
        **({"processed": sandbox.processed} if whole else {}),
        **{
            name: [
                _shown(value)
                for value in (
                    shelf if changed is None else (shelf[key] for key in changed.get(kind, ()))
                )
            ]
            for name, (kind, shelf) in shelves.items()
        },
    }


def _by_kind(things: list[tuple[str, Any]]) -> dict[str, list[Any]]:
    """Return the keys of each kind, in the order in which they changed."""
    found: dict[str, list[Any]] = {}
    for kind, key in things:
        found.setdefault(kind, []).append(key)
    return found


def _ordered(number: int, fault: Fault | WebhookFault) -> dict[str, Any]:
    on = "webhook" if isinstance(fault, WebhookFault) else "answer"
    return {"number": number, "on": on} | asdict(fault)


def _shown(value: Any) -> object:
    if not isinstance(value, SentSms):
        return value
    cost = segments.count(value.message)
    facts: dict[str, object] = msgspec.to_builtins(value)
    return facts | {"encoding": cost.encoding, "non_gsm": cost.non_gsm}
