"""What the sandbox keeps: the SMS and calls of its phone, and the webhooks about them.

All are values; what changes is replaced. Each has a ``key``, which grows with time over all kinds.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import ClassVar

from msgspec import Struct

from insim_async._privacy import Private
from insim_async.models import Sms

__all__ = [
    "PhoneCall",
    "PhoneCallState",
    "ReceivedSms",
    "SentSms",
    "SmsState",
    "Try",
    "Webhook",
    "WebhookState",
]


class SmsState(enum.StrEnum):
    """The life of an SMS that an app sent.

    ::

        SCHEDULED ─▶ PENDING ─▶ SENT ─▶ RECEIVED
                                  └───▶ UNDELIVERED
        REFUSED
    """

    SCHEDULED = "scheduled"
    PENDING = "pending"
    SENT = "sent"
    RECEIVED = "received"
    UNDELIVERED = "undelivered"
    REFUSED = "refused"


class SentSms(Sms, frozen=True, kw_only=True):
    """A message as the phone sent it: ``message`` holds the short link and the footer.

    Attributes:
        link: The short link that stands for ``url``; empty where nothing is tracked.
        parts: How many SMS it took.
        sent_at: When the server took it, in UTC.
        key: Names it among all that the sandbox keeps.
        state: How far it has come.
        clicked_at: When its link was followed, first to last.
        errors: Why it was refused.
    """

    _shown: ClassVar[frozenset[str]] = frozenset(
        {"send_at", "sms_id", "parts", "sent_at", "key", "state", "clicked_at"}
    )

    link: str = ""
    parts: int
    sent_at: datetime
    key: int = 0
    state: SmsState = SmsState.PENDING
    clicked_at: tuple[datetime, ...] = ()
    errors: tuple[str, ...] = ()


class ReceivedSms(Private, frozen=True, kw_only=True):
    """An SMS that somebody sent to the phone; ``webhook`` is the key of the one about it."""

    _shown: ClassVar[frozenset[str]] = frozenset({"key", "at", "webhook"})

    key: int
    phone_number: str
    message: str
    at: datetime
    webhook: int


class PhoneCallState(enum.StrEnum):
    """The life of a call.

    ::

        RINGING ─▶ ANSWERED | UNANSWERED | FAILED   (one that the app asked for)
        ANSWERED | MISSED                           (one that came in)
    """

    RINGING = "ringing"
    ANSWERED = "answered"
    UNANSWERED = "unanswered"
    MISSED = "missed"
    FAILED = "failed"


class PhoneCall(Private, frozen=True, kw_only=True):
    """A call of the phone.

    Attributes:
        key: Names it among all that the sandbox keeps.
        phone_number: The other party.
        direction: ``"outgoing"`` where the app asked for it, else ``"incoming"``.
        state: How far it has come.
        at: When it began.
        duration: Seconds that they spoke.
        note: What was written about it.
        errors: Why it was not even begun.
    """

    _shown: ClassVar[frozenset[str]] = frozenset({"key", "direction", "state", "at", "duration"})

    key: int
    phone_number: str
    direction: str
    state: PhoneCallState
    at: datetime
    duration: int = 0
    note: str = ""
    errors: tuple[str, ...] = ()


class WebhookState(enum.StrEnum):
    """The life of a webhook.

    ::

        HELD ────┐                          (no callback URL then)
                 ▼
        LATE ─▶ READY ─▶ UNDER_WAY ─▶ DELIVERED          (200)
                 ▲           └──────▶ WAITING | GAVE_UP  (anything else)
                 └──────────────────────┘
    """

    HELD = "held"
    LATE = "late"
    READY = "ready"
    UNDER_WAY = "under_way"
    WAITING = "waiting"
    DELIVERED = "delivered"
    GAVE_UP = "gave_up"


class Try(Struct, frozen=True, kw_only=True):
    """One attempt to deliver a webhook.

    Attributes:
        at: When it began.
        status: The HTTP status of the answer; None where there was none.
        problem: Why there was none.
        seconds: How long it took.
    """

    at: datetime
    status: int | None = None
    problem: str = ""
    seconds: float = 0.0


class Webhook(Private, frozen=True, kw_only=True):
    """A webhook with all its tries.

    Attributes:
        key: Names it among all that the sandbox keeps.
        kind: The word for its event, such as ``"incoming_sms"``.
        phone_number: Whom the event is about.
        about: The key of the SMS or call that it is about.
        url: Where it goes; empty where there was no callback URL.
        query: What stands behind the ``?``, as sent.
        payload: The JSON, before any fault.
        made_at: When.
        state: How far it has come.
        again_at: When it is tried next.
        tries: What became of each attempt.
        by_hand: Whether somebody had it sent again.
        fault: What was ordered to be wrong with it, in words.
    """

    _shown: ClassVar[frozenset[str]] = frozenset(
        {"key", "kind", "about", "made_at", "state", "again_at", "by_hand", "fault"}
    )

    key: int
    kind: str
    phone_number: str
    about: int
    url: str
    query: str
    payload: str
    made_at: datetime
    state: WebhookState
    again_at: datetime | None = None
    tries: tuple[Try, ...] = ()
    by_hand: bool = False
    fault: str = ""

    @property
    def status(self) -> int | None:
        """The status of the last answer, if there was any."""
        return self.tries[-1].status if self.tries else None
