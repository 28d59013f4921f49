"""What users hold of a campaign: what was added, its messages one by one, how far it has come.

None shows a person's number or text in its ``repr``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from msgspec import Struct

from insim_async._privacy import Private
from insim_async.campaigns._states import CampaignState, Delivery, MessageStatus
from insim_async.recipients import Refusal

__all__ = [
    "Added",
    "CampaignMessage",
    "CampaignReport",
    "CampaignStatus",
    "MessageCounts",
    "Preview",
]


class Added(Struct, frozen=True, kw_only=True):
    """What became of a list that was added.

    Attributes:
        new: Messages that were added.
        known: Rows whose number the campaign has already.
        refused: Rows that got no message, each with its line and why; those that a ``Recipients``
            had refused stand first.
        parts: SMS parts that the new ones take together.
    """

    new: int
    known: int
    refused: tuple[Refusal, ...]
    parts: int

    def __str__(self) -> str:
        return (
            f"new: {self.new} ({self.parts} SMS parts), known: {self.known}, "
            f"refused: {len(self.refused)}"
        )


class CampaignMessage(Private, frozen=True, kw_only=True):
    """One message of a campaign, as it was when it was read.

    Attributes:
        row: Its number in the file.
        sms_id: What receipts, reports and clicks carry.
        phone_number: In E.164; empty after ``forget``.
        text: As it goes out.
        status: How far it has come.
        delivery: What reports and clicks say of it.
        parts: SMS parts that it takes.
        error: Why it was refused, not sent or unknown, or how it is known what became of it since.
        at: When it last changed, in UTC; None as long as nothing has happened to it.
    """

    _shown: ClassVar[frozenset[str]] = frozenset(
        {"row", "sms_id", "status", "delivery", "parts", "at"}
    )

    row: int
    sms_id: str
    phone_number: str
    text: str
    status: MessageStatus
    delivery: Delivery
    parts: int
    error: str
    at: datetime | None


class MessageCounts(Struct, frozen=True, kw_only=True):
    """How many messages there are in each status; ``delivered`` counts some of them once more.

    Attributes:
        pending: Not sent yet.
        in_flight: On their way at this moment.
        sent: The server took them.
        refused: The server refused them, and says why.
        not_sent: They could not go out as they are; ``retry`` takes them up again.
        unknown: They may have been sent, and nobody knows yet; see ``settle`` and ``resend``.
        suppressed: Their recipients had opted out.
        expired: It was too late for them.
        cancelled: Cancelled before they went out.
        delivered: Messages that reached their recipients, as reports and clicks say.
    """

    pending: int = 0
    in_flight: int = 0
    sent: int = 0
    refused: int = 0
    not_sent: int = 0
    unknown: int = 0
    suppressed: int = 0
    expired: int = 0
    cancelled: int = 0
    delivered: int = 0

    @property
    def total(self) -> int:
        """All messages."""
        return sum(getattr(self, status.value) for status in MessageStatus)

    @property
    def done(self) -> int:
        """Those that have an end; an unknown one has, until something settles it."""
        return self.total - self.pending - self.in_flight

    def __str__(self) -> str:
        told = {name: getattr(self, name) for name in MessageCounts.__struct_fields__}
        return ", ".join(f"{name} {count:,}" for name, count in told.items() if count) or "empty"


class CampaignReport(MessageCounts, frozen=True, kw_only=True):
    """How a run ended: the counts of all messages, and why it ended.

    Attributes:
        state: What the campaign is now.
        reason: Why it ended, in words.
    """

    state: CampaignState
    reason: str = ""

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.state}{why}: {super().__str__()}"


class CampaignStatus(Struct, frozen=True, kw_only=True):
    """How far a campaign has come, and what it does.

    Attributes:
        state: What it does now.
        reason: Why it waits or has stopped, in words.
        waiting_until: When it goes on, where that is known; aware.
        counts: How many messages are in each status.
        rate: Messages a second while its run was sending; 0 where nobody runs it.
        expected_end: When the rest will have been sent, with limits and window taken into account;
            aware. None where nobody can say.
        ignored_reports: Delivery reports and clicks that were about no message of it.
    """

    state: CampaignState
    reason: str = ""
    waiting_until: datetime | None = None
    counts: MessageCounts = MessageCounts()
    rate: float = 0.0
    expected_end: datetime | None = None
    ignored_reports: int = 0

    def __str__(self) -> str:
        facts = [self.reason, f"until {self.waiting_until:%F %T %Z}" if self.waiting_until else ""]
        why = f" ({', '.join(filter(None, facts))})" if any(facts) else ""
        return f"{self.state}{why}: {self.counts}"


class Preview(Private, frozen=True, kw_only=True):
    """What a campaign would send, and what it would cost.

    Attributes:
        messages: How many are pending.
        parts: SMS parts that they take together.
        by_encoding: How many messages there are in ``"GSM-7"``, and how many in ``"UCS-2"``, which
            holds less than half as much in a part.
        longest: SMS parts of the longest one.
        non_gsm: The characters that make them UCS-2, each with the number of messages that have it,
            the most frequent first.
        samples: The first of them, as they go out.
    """

    _shown: ClassVar[frozenset[str]] = frozenset(
        {"messages", "parts", "by_encoding", "longest", "non_gsm"}
    )

    messages: int
    parts: int
    by_encoding: Mapping[str, int]
    longest: int
    non_gsm: Mapping[str, int]
    samples: tuple[CampaignMessage, ...]
