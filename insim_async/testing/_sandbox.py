"""The sandbox as tests use it: acts that deliver their webhooks, time on demand, assertions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypedDict, Unpack

import httpx

from insim_async._settings import zone_of
from insim_async.client import AsyncInSim
from insim_async.errors import ConfigurationError
from insim_async.models import Contact
from insim_async.sandbox import (
    Fault,
    PhoneCall,
    Sandbox,
    SandboxTransport,
    SentSms,
    Webhook,
    WebhookFault,
)
from insim_async.sandbox.courier import try_once
from insim_async.testing import _checks
from insim_async.testing._targets import Target
from insim_async.testing._time import TimeMachine

__all__ = ["InSimSandbox", "Where"]

_TIMEOUT = 30.0
_ALWAYS = 1_000_000_000
_NOWHERE = "to: say which app gets the webhook, or use deliver_to()"


class Where(TypedDict, total=False):
    """Where an act's webhook goes, and what the app is to answer."""

    to: object
    path: str
    status: int | None


class InSimSandbox:
    """A sandbox in the test's own process, under the test's control.

    Each act of people is awaited until its webhook was delivered ``to`` an ASGI app (with the
    ``path`` of its callback URL), an aiohttp app or a ``WebhookRouter``, or else to where
    ``deliver_to`` said. It fails the test unless the app answers with ``status`` (200); None takes
    any. An act about an SMS or a call is about the newest that fits: with the ``phone_number`` and
    the ``sms_id`` that are given, or any. ``seconds`` is how long people talk.

    Attributes:
        state: The ``Sandbox`` itself, with all that it knows.
        time: What it and its clients believe to be the time.
    """

    def __init__(self, time: TimeMachine | None = None) -> None:
        self.time: TimeMachine = time or TimeMachine()
        self.state: Sandbox = Sandbox("me@example.com", "a-made-up-key", clock=self.time.now)
        self._target: Target | None = None
        self._targets: dict[int, Target] = {}

    def __repr__(self) -> str:
        return f"InSim{self.state!r}"

    # Sending ------------------------------------------------------------------------------------

    def client(self, **options: Any) -> AsyncInSim:
        """Return a client of the sandbox, which opens itself in the event loop that uses it first.

        Args:
            options: As for ``AsyncInSim``; a ``timezone`` is the sandbox's from then on.
        """
        if (zone := zone_of(options.get("timezone"))) is not None:
            self.state.timezone = zone
        patience = options.get("timeout", _TIMEOUT)
        transport = SandboxTransport(self.state, patience=patience, sleep=self.time.sleep)
        http_client = httpx.AsyncClient(transport=transport, trust_env=False)
        told = {"clock": self.time.clock, "base_url": "http://localhost", **options}
        made = AsyncInSim(self.state.login, "a-made-up-key", http_client=http_client, **told)
        return made._opened_when_used()  # noqa: SLF001 - it is there for this

    @property
    def messages(self) -> list[SentSms]:
        """What the phone was given to send, in order."""
        return self.state.messages

    @property
    def calls(self) -> list[PhoneCall]:
        """The calls that the phone made or got, in order; those that failed, too."""
        return self.state.calls

    @property
    def contacts(self) -> dict[str, Contact]:
        """The phone book, by number."""
        return self.state.contacts

    @property
    def webhooks(self) -> list[Webhook]:
        """The webhooks with all their tries, in order."""
        return self.state.webhooks

    # What goes wrong ----------------------------------------------------------------------------

    @contextmanager
    def fault(self, *, times: int = _ALWAYS, **words: Any) -> Iterator[None]:
        """Let each request in the block meet a fault, or the first ``times`` of them.

        ::

            with insim_sandbox.fault(lose_answer=True):

        Args:
            times: As above.
            words: Of ``Fault``; ``unsent=True`` for what is proven unsent.

        Raises:
            AssertionError: No request met it.
        """
        with self._ordered(Fault(times=times, **words), "request"):
            yield

    @contextmanager
    def webhook_fault(self, *, times: int = _ALWAYS, **words: Any) -> Iterator[None]:
        """Let each webhook in the block meet a fault, or the first ``times`` of them.

        Args:
            times: As above.
            words: Of ``WebhookFault``.

        Raises:
            AssertionError: No webhook met it.
        """
        with self._ordered(WebhookFault(times=times, **words), "webhook"):
            yield

    @contextmanager
    def _ordered(self, fault: Fault | WebhookFault, what: str) -> Iterator[None]:
        number = self.state.order(fault)
        try:
            yield
        finally:
            left = self.state.faults.get(number)
            self.state.take_back(number)
        if left == fault:
            raise AssertionError(f"no {what} met the fault that was ordered")

    # What people do -----------------------------------------------------------------------------

    def deliver_to(self, to: object, path: str = "/") -> None:
        """Let all webhooks go to an app from now on, delivery reports too.

        Args:
            to: An ASGI app, an aiohttp app or a ``WebhookRouter``.
            path: The path of its callback URL; a router has none.
        """
        self._target = Target(to, path)
        self.state.change(callback=self._target.url)

    async def reply(self, phone_number: str, message: str, **where: Unpack[Where]) -> Webhook:
        """Let somebody write to the phone."""
        return await self._act(lambda: self.state.reply(phone_number, message), **where)

    async def click(
        self, phone_number: str = "", *, sms_id: str = "", **where: Unpack[Where]
    ) -> Webhook:
        """Let the recipient of the newest tracked link follow it."""
        return await self._act(lambda: self.state.click(phone_number, sms_id=sms_id), **where)

    async def call_in(
        self, phone_number: str, *, seconds: int = 60, **where: Unpack[Where]
    ) -> Webhook:
        """Let somebody call the phone, and its owner answer."""
        return await self._act(lambda: self.state.call_in(phone_number, seconds=seconds), **where)

    async def miss_call(self, phone_number: str, **where: Unpack[Where]) -> Webhook:
        """Let somebody call the phone, and nobody answer."""
        return await self._act(lambda: self.state.miss_call(phone_number), **where)

    async def answer(
        self, phone_number: str = "", *, seconds: int = 60, **where: Unpack[Where]
    ) -> Webhook:
        """Let whom a click-to-call rings answer it."""
        return await self._act(lambda: self.state.answer(phone_number, seconds=seconds), **where)

    async def let_ring(self, phone_number: str = "", **where: Unpack[Where]) -> Webhook:
        """Let whom a click-to-call rings not answer it."""
        return await self._act(lambda: self.state.let_ring(phone_number), **where)

    async def leave_note(
        self,
        text: str,
        phone_number: str = "",
        *,
        source: Literal["mobile", "interface"] = "mobile",
        **where: Unpack[Where],
    ) -> Webhook:
        """Let the phone's owner write what the newest call was about."""
        return await self._act(
            lambda: self.state.leave_note(text, phone_number, source=source), **where
        )

    async def mark_delivered(
        self, phone_number: str = "", *, sms_id: str = "", **where: Unpack[Where]
    ) -> Webhook:
        """Let the newest SMS that is under way be received, at once."""
        return await self._act(
            lambda: self.state.mark_delivered(phone_number, sms_id=sms_id), **where
        )

    async def leave_undelivered(self, phone_number: str = "", *, sms_id: str = "") -> None:
        """Let the newest SMS that is under way be sent, and never received."""
        self.state.leave_undelivered(phone_number, sms_id=sms_id)
        await self._deliver_due()

    def go_offline(self) -> None:
        """Let the phone lose its connection: a click-to-call fails with ``#002``."""
        self.state.go_offline()

    def come_back(self) -> None:
        """Let the phone be online again."""
        self.state.come_back()

    async def advance(self, seconds: float) -> None:
        """Let time pass, and all happen that is due in it: reports, scheduled SMS, second tries.

        What an app answers to these webhooks is in ``webhooks``.
        """
        end = self.time.later(seconds)
        await self._deliver_due()
        while (due := self.state.next_due()) is not None and due <= end:
            self.time.go_to(due)
            await self._deliver_due()
        self.time.go_to(end)

    async def _act(
        self,
        act: Callable[[], Webhook],
        to: object = None,
        path: str = "/",
        status: int | None = 200,
    ) -> Webhook:
        target = self._target if to is None else Target(to, path)
        if target is None:
            raise ConfigurationError(_NOWHERE)
        before, callback = self.state.journal.new_key(), self.state.settings.callback
        self.state.change(callback=target.url)
        try:
            webhook = act()
        finally:
            self.state.change(callback=callback)
        self._targets |= {each.key: target for each in self.webhooks if each.key > before}
        await self._deliver_due()
        done = self.state.postbox.kept[webhook.key]
        _checks.check_status(done, status, target.failure)
        return done

    async def _deliver_due(self) -> None:
        self.state.tick()
        while (webhook := self.state.postbox.next_ready()) is not None:
            target = self._targets.get(webhook.key, self._target)
            if target is None:  # somebody changed the callback URL of the sandbox itself
                raise ConfigurationError(_NOWHERE)
            await try_once(self.state, webhook, target.call, self.time.seconds)
            self.state.tick()

    # What is to have happened -------------------------------------------------------------------

    def assert_sent(self, phone_number: str, text: str = "*", *, times: int = 1) -> SentSms:
        """Check that the phone was given an SMS exactly once, or so many times; return the last.

        Args:
            phone_number: To whom.
            text: What it reads; ``*`` stands for anything.
            times: How many there are to be.
        """
        __tracebackhide__ = True
        return _checks.check_sent(self.messages, phone_number, text, times)

    def assert_not_sent(self, phone_number: str = "", text: str = "*") -> None:
        """Check that the phone was given no such SMS; none at all, without a number."""
        __tracebackhide__ = True
        _checks.check_not_sent(self.messages, phone_number, text)

    def assert_called(self, phone_number: str, *, times: int = 1) -> PhoneCall:
        """Check that the phone called a number exactly once, or so many times; return the last."""
        __tracebackhide__ = True
        return _checks.check_called(self.calls, phone_number, times)

    def assert_contact(self, phone_number: str, **fields: str) -> Contact:
        """Check that a number is in the phone book, with these fields; return the contact."""
        __tracebackhide__ = True
        return _checks.check_contact(self.contacts, phone_number, fields)
