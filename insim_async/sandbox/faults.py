"""What can be ordered to go wrong, with answers and with webhooks, and what chance orders."""

from __future__ import annotations

import random
from typing import Annotated, Literal

from msgspec import Meta, Struct

__all__ = [
    "ApiCall",
    "Fault",
    "Kind",
    "Seconds",
    "WebhookFault",
    "chance_fault",
    "chance_webhook_fault",
]

ApiCall = Literal["sendsms", "contact", "clicTocall"]
"""The three calls, by the last part of their path."""
Kind = Literal["incoming_sms", "call", "link_click", "call_qualification", "delivery_status"]
"""The five kinds of webhooks, by the word for their event."""
Seconds = Annotated[float, Meta(ge=0, le=1_000_000)]
"""A wait that ends before the calendar does."""


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong with the next request, once.

    A fault that replaces the answer (``status``, ``body``, ``refuse_login``) keeps the request from
    being processed; every other one lets it be processed first. ``process`` overrules that.

    Args:
        path: The call that it waits for; None takes whichever comes next.
        times: For how many requests, at least 1.
        delay: Seconds to wait between processing and answer (latency).
        status: The HTTP status of the answer.
        body: The text of the answer, for example ``"<html>"``.
        retry_after: The answer's ``Retry-After`` header: seconds, a date or nonsense.
        lose_answer: Send half of the answer. Over a socket the connection is closed after it, in
            mid-answer.
        drop_receipts: How many rows the answer lacks at its end.
        permute: Whether the rows of the answer come in reverse order.
        refuse_login: Answer as if login or access key were wrong.
        older: Answer in the spelling of the vendor's older pages.
        unsent: No connection is made, so that it is proven that nothing was sent. Only for clients
            on a ``SandboxTransport``: a request that comes over a socket has been sent.
        process: Whether the request takes effect; False answers as if it had.
    """

    path: ApiCall | None = None
    times: Annotated[int, Meta(ge=1)] = 1
    delay: Seconds = 0.0
    status: Annotated[int, Meta(ge=200, le=599)] | None = None
    body: str | None = None
    retry_after: int | str | None = None
    lose_answer: bool = False
    drop_receipts: Annotated[int, Meta(ge=0)] = 0
    permute: bool = False
    refuse_login: bool = False
    older: bool = False
    unsent: bool = False
    process: bool | None = None

    @property
    def processes(self) -> bool:
        """Whether a request that meets this fault takes effect."""
        replaced = self.status is not None or self.body is not None or self.refuse_login
        return not (replaced or self.unsent) if self.process is None else self.process


class WebhookFault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong with the next webhook, once.

    Args:
        kind: The kind that it waits for; None takes whichever comes next.
        times: For how many webhooks, at least 1.
        twice: Send it a second time.
        delay: Seconds by which it is late.
        after_next: Send it behind the next webhook: ``received`` before ``sent``. It waits for one
            a minute at most.
        encoded_twice: Write it with ``encodeURIComponent`` twice.
        as_form: Write it as a form would: decoded, and encoded with ``+`` for a space.
        without_time: Leave its date out.
    """

    kind: Kind | None = None
    times: Annotated[int, Meta(ge=1)] = 1
    twice: bool = False
    delay: Seconds = 0.0
    after_next: bool = False
    encoded_twice: bool = False
    as_form: bool = False
    without_time: bool = False

    def __str__(self) -> str:
        words = {
            "twice": self.twice,
            f"{self.delay:g} s late": self.delay > 0,
            "behind the next": self.after_next,
            "encoded twice": self.encoded_twice,
            "as a form": self.as_form,
            "without its time": self.without_time,
        }
        return ", ".join(word for word, holds in words.items() if holds)


_BY_CHANCE = (
    Fault(delay=0.5),
    Fault(status=429, retry_after=1),
    Fault(status=503, body="busy"),
    Fault(status=500, body="", process=True),
    Fault(lose_answer=True),
    Fault(drop_receipts=1),
    Fault(permute=True),
)
_WEBHOOKS_BY_CHANCE = (
    WebhookFault(twice=True),
    WebhookFault(delay=2.0),
    WebhookFault(after_next=True),
    WebhookFault(encoded_twice=True),
    WebhookFault(as_form=True),
    WebhookFault(without_time=True),
)


def chance_fault(seed: int, rate: float, number: int) -> Fault | None:
    """Return the fault that chance orders for a request, for so great a share of them.

    The same seed and the same requests give the same faults, however they are spread in time.

    Args:
        seed: Of the run.
        rate: From 0 to 1.
        number: Which request it is.
    """
    chance = random.Random(f"{seed} request {number}")  # noqa: S311 - to be repeated, not guarded
    return chance.choice(_BY_CHANCE) if chance.random() < rate else None


def chance_webhook_fault(seed: int, rate: float, number: int) -> WebhookFault | None:
    """Return the fault that chance orders for a webhook, as ``chance_fault`` does."""
    chance = random.Random(f"{seed} webhook {number}")  # noqa: S311 - to be repeated, not guarded
    return chance.choice(_WEBHOOKS_BY_CHANCE) if chance.random() < rate else None
