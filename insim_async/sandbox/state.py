"""What the sandbox knows: what was sent, added and called, and the faults still to happen."""

from __future__ import annotations

import hmac
import secrets
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from insim_async.models import Contact, Sms

__all__ = ["ApiCall", "Fault", "Sandbox", "SentSms"]

ApiCall = Literal["sendsms", "contact", "clicTocall"]
"""The three calls, by the last part of their path."""


class SentSms(Sms, frozen=True, kw_only=True):
    """A message as the phone sent it: ``message`` holds the short link and the footer.

    Attributes:
        link: The short link that stands for ``url``; empty where nothing is tracked.
        parts: How many SMS it took.
        sent_at: When, in UTC.
    """

    _shown: ClassVar[frozenset[str]] = frozenset({"send_at", "sms_id", "parts", "sent_at"})

    link: str = ""
    parts: int
    sent_at: datetime


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong with the next request, once.

    A fault that replaces the answer (``status`` or ``body``) keeps the request from being
    processed; every other one lets it be processed first. ``process`` overrules that.

    Args:
        path: The call that it waits for; None takes whichever comes next.
        times: For how many requests, at least 1.
        delay: Seconds to wait between processing and answer.
        status: The HTTP status of the answer.
        body: The text of the answer, for example ``"<html>"``.
        retry_after: The answer's ``Retry-After`` header: seconds, a date or nonsense.
        lose_answer: Send half of the answer. Over a socket the connection is closed after it, in
            mid-answer.
        drop_receipts: How many rows the answer lacks at its end.
        permute: Whether the rows of the answer come in reverse order.
        process: Whether the request takes effect; False answers as if it had.
    """

    path: ApiCall | None = None
    times: Annotated[int, Meta(ge=1)] = 1
    delay: Annotated[float, Meta(ge=0)] = 0.0
    status: Annotated[int, Meta(ge=200, le=599)] | None = None
    body: str | None = None
    retry_after: int | str | None = None
    lose_answer: bool = False
    drop_receipts: Annotated[int, Meta(ge=0)] = 0
    permute: bool = False
    process: bool | None = None

    @property
    def processes(self) -> bool:
        """Whether a request that meets this fault takes effect."""
        return (self.status is None and self.body is None) if self.process is None else self.process


class Sandbox:
    """One account of a fake inSIM, with its phone. All attributes are there to be read.

    Attributes:
        messages: What the phone sent, in order.
        contacts: The phone book, by number.
        calls: The numbers that the phone called, in order.
        processed: How often each message id was really sent.
        tested: Messages that came with ``"mode": "test"``: answered, not sent.
        requests: How many API requests came, refused ones included.
        faults: Faults that are still to happen; ``clear()`` forgets them.
        phone_connected: Set it to False, and a click-to-call fails with ``#002``.

    Args:
        login: The account's e-mail.
        access_key: Its key; never shown.
        footer: What a free account appends to each text, for example ``Sent for free from PC``.
        clock: Gives the time in UTC.
        token: Makes random ids and link codes of the given number of bytes.
    """

    def __init__(
        self,
        login: str = "demo@example.com",
        access_key: str = "demo-key",
        *,
        footer: str = "",
        phone_connected: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        token: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        self.login = login
        self.footer = footer
        self.phone_connected = phone_connected
        self.clock = clock
        self.token = token
        self.messages: list[SentSms] = []
        self.contacts: dict[str, Contact] = {}
        self.calls: list[str] = []
        self.processed: Counter[str] = Counter()
        self.tested: list[SentSms] = []
        self.requests = 0
        self.faults: list[Fault] = []
        self._access_key = access_key

    def __repr__(self) -> str:
        return f"Sandbox({', '.join(f'{name}={count}' for name, count in self.counts().items())})"

    def counts(self) -> dict[str, int]:
        """Return how many of each there are by now."""
        kept = ("messages", "contacts", "calls", "tested", "faults")
        return {"requests": self.requests} | {name: len(getattr(self, name)) for name in kept}

    def order(self, fault: Fault) -> None:
        """Let ``fault`` happen to the next request that it fits, after those ordered before it."""
        self.faults.append(fault)

    def next_fault(self, path: ApiCall) -> Fault:
        """Take the fault that is due for a request to ``path``, or one without effect."""
        for position, fault in enumerate(self.faults):
            if fault.path in (None, path):
                rest = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                self.faults[position : position + 1] = rest
                return fault
        return Fault()

    def admits(self, login: str, access_key: str) -> bool:
        """Return whether these are the account's credentials."""
        given, known = f"{login}\n{access_key}", f"{self.login}\n{self._access_key}"
        return hmac.compare_digest(given.encode(), known.encode())

    def send(self, messages: list[SentSms]) -> None:
        """Let the phone send ``messages``."""
        self.messages += messages
        self.processed.update(str(sms.sms_id) for sms in messages)
