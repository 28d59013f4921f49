"""The sandbox: one account with its phone, what happened, and what its people can do.

No I/O: it reads the clock that it was given, and webhooks wait in its ``postbox`` for somebody to
deliver them.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

from msgspec.structs import replace

from insim_async.models import Contact
from insim_async.sandbox.faults import ApiCall, Fault, Kind, WebhookFault
from insim_async.sandbox.handset import Handset
from insim_async.sandbox.journal import Impossible, Journal, plain_duration, plain_number
from insim_async.sandbox.orders import Orders
from insim_async.sandbox.postbox import Postbox
from insim_async.sandbox.records import (
    PhoneCall,
    PhoneCallState,
    ReceivedSms,
    SentSms,
    SmsState,
    Webhook,
)
from insim_async.sandbox.reports import Reporter
from insim_async.sandbox.settings import Settings
from insim_async.timing import Retry
from insim_async.webhooks.events import Event, IncomingSms

__all__ = ["Sandbox"]

_KEPT_WEBHOOKS = 10_000
_MOST_READY = 1000
_UNDER_WAY = {SmsState.SCHEDULED, SmsState.PENDING, SmsState.SENT}


class Sandbox:
    """One account of a fake inSIM, with its phone.

    Each act of its people returns the webhook that it leads to. Who runs the sandbox delivers that:
    the command does, and so does the app as long as its lifespan lasts. An act about an SMS or a
    call is about the newest that fits: with the ``phone_number`` and the ``sms_id`` that are given,
    or any. ``seconds`` is how long people talk.

    Attributes:
        settings: What can be set while it runs, by ``change()``.
        journal: What happened.
        postbox: The webhooks on their way.
        timezone, footer: As below; they may be changed.

    Args:
        login: The account's e-mail.
        access_key: Its key, a made-up one.
        footer: What a free account appends to each text, for example ``Sent for free from PC``.
        timezone: Of dates without one; None for this machine's.
        keep: How many messages, contacts, calls and ids are kept; the oldest go first, and counts
            go on. Of webhooks 10,000 at most.
        retry: How often a webhook is tried, and how long to wait between.
        clock: Gives the time in UTC.
        token: Makes random ids and link codes of the given number of bytes.
        settings: As for ``change()``.

    Raises:
        ValueError: A setting is none, or cannot have that value.
    """

    def __init__(
        self,
        login: str = "demo@example.com",
        access_key: str = "demo-key",
        *,
        footer: str = "",
        timezone: tzinfo | None = None,
        keep: int = 100_000,
        retry: Retry = Retry(attempts=8, base=2.0, cap=300.0),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        token: Callable[[int], str] = secrets.token_hex,
        **settings: Any,
    ) -> None:
        self.login = login
        self.footer = footer
        self.timezone = timezone
        self.token = token
        self.settings: Settings = Settings().changed(settings)
        self.journal: Journal = Journal(keep, clock)
        moment, new_key = self.journal.moment, self.journal.new_key
        kept = min(keep, _KEPT_WEBHOOKS)
        self.postbox: Postbox = Postbox(self.journal.feed, kept, retry, moment, new_key)
        self._access_key = access_key
        self._orders = Orders(self.journal.feed, new_key)
        self._reporter = Reporter(login, lambda: self.timezone)
        self._handset = Handset(
            self.journal, lambda: self.settings, self._report_status, lambda: self.timezone
        )

    def __repr__(self) -> str:
        return f"Sandbox({', '.join(f'{name}={count}' for name, count in self.counts().items())})"

    # What happened ------------------------------------------------------------------------------

    @property
    def messages(self) -> list[SentSms]:
        """What the phone was given to send, in order."""
        return [*self.journal.sent]

    @property
    def tested(self) -> list[SentSms]:
        """Messages that came with ``"mode": "test"``: answered, not sent."""
        return [*self.journal.tested]

    @property
    def refused(self) -> list[SentSms]:
        """Messages that were refused, with the reasons in ``errors``."""
        return [*self.journal.refused]

    @property
    def received(self) -> list[ReceivedSms]:
        """What people wrote to the phone, in order."""
        return [*self.journal.received]

    @property
    def calls(self) -> list[PhoneCall]:
        """The calls that the phone made or got, in order; those that failed, too."""
        return [*self.journal.calls]

    @property
    def contacts(self) -> dict[str, Contact]:
        """The phone book, by number."""
        return dict(self.journal.contacts.items())

    @property
    def webhooks(self) -> list[Webhook]:
        """The webhooks with all their tries, in order."""
        return [*self.postbox.kept]

    @property
    def faults(self) -> dict[int, Fault | WebhookFault]:
        """Faults that are still to happen, by number."""
        return {**self._orders.faults}

    @property
    def processed(self) -> dict[str, int]:
        """How often each message id was really sent."""
        return dict(self.journal.processed)

    @property
    def requests(self) -> int:
        """How many API requests came, refused ones included."""
        return self.journal.requests

    @property
    def access_key(self) -> str:
        """The account's key. It is made up, and the sandbox's page shows it."""
        return self._access_key

    @property
    def phone_connected(self) -> bool:
        """Whether the phone is online."""
        return self.settings.phone_connected

    def counts(self) -> dict[str, int]:
        """Return how many of each there were by now; of faults, how many are left."""
        others = {"faults": len(self._orders.faults), "webhooks": self.postbox.kept.total}
        return self.journal.counts() | others

    def forget_everything(self) -> None:
        """Start over: messages, contacts, calls, webhooks and faults go. Settings stay."""
        for room in (self.journal, self.postbox, self._handset, self._orders):
            room.clear()
        self.journal.feed.start_over()

    def change(self, **changes: Any) -> Settings:
        """Change settings, and return all of them.

        Raises:
            ValueError: There is no such setting, or it cannot have that value.
        """
        was, self.settings = self.settings, self.settings.changed(changes)
        if was.phone_connected and not self.phone_connected:
            self._hang_up()
        elif self.phone_connected and not was.phone_connected:
            self._handset.go_on()
        self.journal.feed.note("settings")
        return self.settings

    # What goes wrong ----------------------------------------------------------------------------

    def order(self, fault: Fault | WebhookFault) -> int:
        """Let a fault happen to the next request, or webhook, that it fits; return its number.

        Those that were ordered before it come first.

        Raises:
            ValueError: It has a value that its kind cannot have, such as ``times=0``.
        """
        return self._orders.add(fault)

    def take_back(self, fault: int) -> bool:
        """Take a fault back, by its number; return whether it was still to happen."""
        return self._orders.take_back(fault)

    def clear_faults(self) -> None:
        """Take all faults back."""
        self._orders.clear()

    def next_fault(self, path: ApiCall, *, in_process: bool = False) -> Fault:
        """Take the fault that is due for a request to ``path``, or one without effect."""
        return self._orders.for_request(path, self.requests, self.settings, in_process=in_process)

    # What an app asks for -----------------------------------------------------------------------

    def admits(self, login: str, access_key: str) -> bool:
        """Return whether these are the account's credentials."""
        given, known = f"{login}\n{access_key}", f"{self.login}\n{self._access_key}"
        return hmac.compare_digest(given.encode(), known.encode())

    def send(self, messages: list[SentSms]) -> None:
        """Let the phone send ``messages``, each when it is due."""
        for sms in messages:
            self._handset.take(sms)

    def test(self, messages: list[SentSms]) -> None:
        """Note messages that are answered and not sent."""
        for sms in messages:
            key = self.journal.new_key()
            self.journal.tested[key] = replace(sms, key=key)

    def refuse(self, messages: list[SentSms]) -> None:
        """Note messages that are refused."""
        for sms in messages:
            key = self.journal.new_key()
            self.journal.refused[key] = replace(sms, key=key, state=SmsState.REFUSED)

    def add(self, contacts: list[Contact]) -> None:
        """Add contacts to the phone book, or update them."""
        for contact in contacts:
            self.journal.contacts[contact.phone_number] = contact

    def ring(self, phone_number: str) -> None:
        """Let the phone call a number; offline, the call fails."""
        online = self.phone_connected
        state = PhoneCallState.RINGING if online else PhoneCallState.FAILED
        errors = () if online else ("#002",)
        self.journal.add_call(phone_number, "outgoing", state, errors=errors)
        self.journal.made_calls += online

    # What people do -----------------------------------------------------------------------------

    def reply(self, phone_number: str, message: str) -> Webhook:
        """Let somebody write to the phone."""
        now, number, key = self.journal.moment(), plain_number(phone_number), self.journal.new_key()
        event = IncomingSms(phone_number=number, message=message, at=now, account=self.login)
        webhook = self._report(event, key)
        self.journal.received[key] = ReceivedSms(
            key=key, phone_number=number, message=message, at=now, webhook=webhook.key
        )
        return webhook

    def click(self, phone_number: str = "", *, sms_id: str = "") -> Webhook:
        """Let the recipient of the newest tracked link follow it.

        Raises:
            Impossible: There is none.
        """
        found = self.journal.newest_sms(
            phone_number, sms_id, "No tracked link here", lambda sms: bool(sms.link)
        )
        return self._follow(found)

    def follow(self, code: str) -> str:
        """Follow a short link by its last part: note the click, and return where it leads.

        Raises:
            Impossible: No message holds it.
        """
        sms = self.journal.newest_sms(
            "", "", "No such link", lambda sms: sms.link.rpartition("/")[2] == code
        )
        self._follow(sms)
        return sms.url

    def call_in(self, phone_number: str, *, seconds: int = 60) -> Webhook:
        """Let somebody call the phone, and its owner answer.

        Raises:
            Impossible: A call cannot take so long.
        """
        number, duration = plain_number(phone_number), plain_duration(seconds)
        call = self.journal.add_call(number, "incoming", PhoneCallState.ANSWERED, duration=duration)
        return self._report_call(call)

    def miss_call(self, phone_number: str) -> Webhook:
        """Let somebody call the phone, and nobody answer."""
        number = plain_number(phone_number)
        return self._report_call(self.journal.add_call(number, "incoming", PhoneCallState.MISSED))

    def answer(self, phone_number: str = "", *, seconds: int = 60) -> Webhook:
        """Let whom a click-to-call rings answer it.

        Raises:
            Impossible: No phone rings, or a call cannot take so long.
        """
        call, duration = self._ringing(phone_number), plain_duration(seconds)
        return self._report_call(replace(call, state=PhoneCallState.ANSWERED, duration=duration))

    def let_ring(self, phone_number: str = "") -> Webhook:
        """Let whom a click-to-call rings not answer it.

        Raises:
            Impossible: No phone rings.
        """
        call = self._ringing(phone_number)
        return self._report_call(replace(call, state=PhoneCallState.UNANSWERED))

    def leave_note(
        self,
        text: str,
        phone_number: str = "",
        *,
        source: Literal["mobile", "interface"] = "mobile",
    ) -> Webhook:
        """Let the phone's owner write what the newest call was about.

        Raises:
            Impossible: There is no call.
        """
        call = self.journal.newest_call(phone_number, "No call to note", lambda _: True)
        noted = replace(call, note=text)
        self.journal.calls[call.key] = noted
        return self._report(self._reporter.of_note(noted, source, self.journal.moment()), call.key)

    def mark_delivered(self, phone_number: str = "", *, sms_id: str = "") -> Webhook:
        """Let the newest SMS that is under way be received, at once.

        Raises:
            Impossible: There is none.
        """
        self._handset.mark(self._under_way(phone_number, sms_id), SmsState.RECEIVED)
        return next(self.postbox.kept.newest_first())

    def leave_undelivered(self, phone_number: str = "", *, sms_id: str = "") -> Webhook | None:
        """Let the newest SMS that is under way be sent and never received.

        Raises:
            Impossible: There is none.
        """
        sms = self._under_way(phone_number, sms_id)
        self._handset.mark(sms, SmsState.UNDELIVERED)
        return None if sms.state is SmsState.SENT else next(self.postbox.kept.newest_first())

    def go_offline(self) -> None:
        """Let the phone lose its connection: it sends nothing, and a click-to-call fails."""
        self.change(phone_connected=False)

    def come_back(self) -> None:
        """Let the phone be online again, and send what waited."""
        self.change(phone_connected=True)

    def send_again(self, webhook: int) -> Webhook:
        """Send a webhook once more, to where its kind goes now.

        Raises:
            Impossible: It is not there, has nowhere to go, or is on its way.
        """
        kept = self.postbox.kept
        url = self.settings.callback_for(kept[webhook].kind) if webhook in kept else ""
        return self.postbox.send_again(webhook, url)

    def try_callback(self, kind: Kind = "delivery_status") -> Webhook:
        """Send a delivery report about an SMS that never was to where webhooks of a kind go.

        Raises:
            Impossible: They go nowhere.
        """
        url = self.settings.callback_for(kind)
        if not url:
            raise Impossible("No callback URL")
        event = self._reporter.of_nothing(self.journal.moment())
        return self.postbox.put(event, about=0, url=url, fault=WebhookFault())

    def clear_webhooks(self) -> None:
        """Take away the webhooks that are not on their way."""
        self.postbox.clear_settled()
        self.journal.feed.start_over()

    # What time does -----------------------------------------------------------------------------

    def tick(self) -> None:
        """Let happen what is due by now, as long as there is room for its webhooks."""
        self._handset.tick(lambda: self.postbox.backlog < _MOST_READY)

    def next_due(self) -> datetime | None:
        """Return when there is something to do next: a report, or a webhook's next try."""
        due = [self._handset.next_due(), self.postbox.next_due()]
        return min(filter(None, due), default=None)

    # How it leads to webhooks -------------------------------------------------------------------

    def _report(self, event: Event, about: int) -> Webhook:
        fault = self._orders.for_webhook(event.kind, self.postbox.kept.total, self.settings)
        url = self.settings.callback_for(event.kind)
        return self.postbox.put(event, about=about, url=url, fault=fault)

    def _report_status(self, sms: SentSms) -> Webhook:
        return self._report(self._reporter.of_status(sms, self.journal.moment()), sms.key)

    def _report_call(self, call: PhoneCall) -> Webhook:
        self.journal.calls[call.key] = call
        return self._report(self._reporter.of_call(call, self.journal.moment()), call.key)

    def _follow(self, sms: SentSms) -> Webhook:
        now = self.journal.moment()
        self.journal.sent[sms.key] = replace(sms, clicked_at=(*sms.clicked_at, now)[-100:])
        return self._report(self._reporter.of_click(sms, now), sms.key)

    def _under_way(self, phone_number: str, sms_id: str) -> SentSms:
        return self.journal.newest_sms(
            phone_number, sms_id, "No SMS under way", lambda sms: sms.state in _UNDER_WAY
        )

    def _ringing(self, phone_number: str) -> PhoneCall:
        return self.journal.newest_call(
            phone_number, "No phone rings", lambda call: call.state is PhoneCallState.RINGING
        )

    def _hang_up(self) -> None:
        for call in self.calls:
            if call.state is PhoneCallState.RINGING:
                self.journal.calls[call.key] = replace(call, state=PhoneCallState.FAILED)
