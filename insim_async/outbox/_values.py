"""What users hold of an outbox: its messages, and whether they go out."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from insim_async.campaigns import CampaignMessage

__all__ = ["OutboxHealth", "OutboxMessage"]


class OutboxMessage(CampaignMessage, frozen=True, kw_only=True):
    """One message of an outbox, as it was when it was read; further fields as ``CampaignMessage``.

    Attributes:
        sms_id: Your own id.
        phone_number: In E.164; empty when the outbox has kept it for long enough.
        text: As it goes out; empty then, too.
    """


class OutboxHealth(Struct, frozen=True, kw_only=True):
    """Whether messages go out, for all processes; made for a health route.

    It counts by indexes, so that it is quick however much was sent before.

    Attributes:
        due: How many messages could go now.
        oldest_due: For how many seconds the one has waited that could go for longest.
        scheduled: How many wait for their ``send_at``.
        in_flight: How many are under way.
        not_sent: How many wait for you: to mend what is wrong, and ``retry``.
        unknown: How many wait for a report, or for you to ``settle`` them.
        is_running: Whether a worker of any process sends.
        reason: Why it waits, in words; empty where it does not.
        waiting_until: When it goes on, where that is known; aware.
        failing_since: Since when nothing gets through, in UTC; None as long as something does.
        problem: What is wrong, in words; empty if all is well.
    """

    due: int = 0
    oldest_due: float = 0.0
    scheduled: int = 0
    in_flight: int = 0
    not_sent: int = 0
    unknown: int = 0
    is_running: bool = False
    reason: str = ""
    waiting_until: datetime | None = None
    failing_since: datetime | None = None
    problem: str = ""
