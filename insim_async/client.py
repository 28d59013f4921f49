"""The client: its lifetime, its settings, and the calls it makes."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection, Iterable
from datetime import datetime, tzinfo
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import anyio

from insim_async import _wire, numbers
from insim_async._http import Call, Connection, Gate, HttpClient, Rank, Transport
from insim_async._sending import Bulk, Loads, Messages, Room, Rules, Seam
from insim_async._settings import Settings, account_of, base_url_of, zone_of
from insim_async.errors import ConfigurationError, InSimError, InvalidMessage
from insim_async.models import (
    BulkReport,
    CallResult,
    Contact,
    ContactResult,
    Outcome,
    Priority,
    Progress,
    Sms,
    SmsReceipt,
)
from insim_async.timing import Clock, Retry

if TYPE_CHECKING:
    import ssl  # slow to import

    import httpx

__all__ = ["AsyncInSim"]


class AsyncInSim:
    """A client for one inSIM account, to be opened once and shared by all tasks of one event loop.

    ::

        async with AsyncInSim() as insim:
            receipt = await insim.send_sms("+33639980001", "Your parcel is on its way")

    Args:
        login: The account's e-mail; by default the environment's ``INSIM_LOGIN``.
        access_key: Its access key; by default ``INSIM_ACCESS_KEY``. Never shown, logged or pickled.
        base_url: The host; by default ``INSIM_BASE_URL``, else ``https://www.insim.app``. Plain
            ``http://`` only to this machine, and to ``http_hosts``.
        http_client: An ``httpx.AsyncClient`` or ``httpx2.AsyncClient`` of your own, which you
            close. By default the client has a connection for each of its slots, and honours the
            usual proxy variables.
        ssl_context: For the client's own connections; certificates are checked in any case.
        timeout: Seconds for a whole call: its wait for a turn, all attempts and the waits between.
            No attempt begins in the second half of it. In a bulk call it is for each attempt, from
            when that may leave.
        batch_size: Messages or contacts in one request, at most: of a bulk call, or of single
            messages that travel together. 1 gives each a request of its own. A million at most.
        max_concurrency: Requests under way at a time, for all callers together; fewer for a while
            after a 429. A million at most.
        max_rate: SMS parts a second, for all callers together, without bursts; a request then holds
            no more than a second's worth. Contacts and calls do not wait for it. None for no limit.
        retry: How often to try again where it is proven that nothing was sent.
        max_parts: SMS parts that one text may take, at most; each costs as much as an SMS. A text
            that needs more is refused before anything is sent. 255 is the most that the standard
            knows.
        region: Where numbers in national format are from (``"FR"``); needs the extra ``phone``. By
            default they are refused.
        timezone: The account's own zone (a name or a ``tzinfo``), to which aware ``send_at`` are
            converted.
        dry_run: Ask the server to answer and do nothing (``"mode": "test"``). The vendor's older
            pages say so of sending; of contacts and calls nothing is known.
        clock: Time and chance, for tests.

    Raises:
        ConfigurationError: Something of this cannot work; nothing was sent.
    """

    def __init__(
        self,
        login: str | None = None,
        access_key: str | None = None,
        *,
        base_url: str | None = None,
        http_client: HttpClient | None = None,
        ssl_context: ssl.SSLContext | None = None,
        timeout: float = 30.0,
        batch_size: int = 100,
        max_concurrency: int = 8,
        max_rate: float | None = None,
        retry: Retry = Retry(),
        max_parts: int = 20,
        region: str | None = None,
        timezone: tzinfo | str | None = None,
        dry_run: bool = False,
        http_hosts: Collection[str] = (),
        clock: Clock = Clock(),
    ) -> None:
        account = account_of(login, access_key, dry_run=dry_run)
        del access_key  # a traceback with locals would show it
        if isinstance(account, ConfigurationError):
            raise account
        told = Settings(
            base_url=base_url_of(base_url, http_hosts),
            http_client=http_client,
            ssl_context=ssl_context,
            timeout=timeout,
            batch_size=batch_size,
            max_concurrency=max_concurrency,
            max_rate=max_rate,
            retry=retry,
            max_parts=max_parts,
            region=region,
            timezone=zone_of(timezone),
            clock=clock,
        )
        self._account = account
        self._slots = told.max_concurrency
        self._rules = Rules(told.region, told.timezone, told.max_parts, told.clock)
        self._transport = _transport(told)
        self._connection = Connection(
            self._transport,
            timeout=told.timeout,
            gate=Gate(told.max_concurrency, told.max_rate, told.clock),
            retry=told.retry,
            clock=told.clock,
        )
        room = Room(told.batch_size, math.inf if told.max_rate is None else told.max_rate)
        self._loads = Loads(
            self._connection, Messages(account, self._rules), room, clock=told.clock
        )
        self._bulk = Bulk(
            self._connection,
            account,
            self._rules,
            room,
            workers=told.max_concurrency,
            clock=told.clock,
        )

    @property
    def http_client(self) -> httpx.AsyncClient:
        """The ``httpx.AsyncClient`` behind this client, the one that was given or its own.

        The one that was given may be of httpx2, too. Event hooks, headers, parameters and
        instrumentation that are put on it hold for all calls. Its own is for the host of
        ``base_url`` alone, has a connection for each request under way, takes no cookies, and is
        closed with this client.
        """
        return cast("httpx.AsyncClient", self._transport.client)

    async def __aenter__(self) -> Self:
        self._connection.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client, as the end of ``async with`` does; a second time does nothing.

        Calls that wait for a slot end as ``NotSent``. Those under way have five seconds, then they
        end as ``OutcomeUnknown``. Cancelled, it ends them at once. No task of a ``stream`` is left,
        even if nobody goes on with it; whoever goes on all the same gets the outcomes of what was
        read, then a ``ConfigurationError``.

        Raises:
            ConfigurationError: It was opened in another event loop, thread or process.
        """
        try:
            await self._connection.aclose()
        except anyio.get_cancelled_exc_class():
            await self._loads.aclose()
            await self._bulk.aclose()
            raise
        await self._loads.aclose()
        await self._bulk.aclose()

    def _seam(self) -> Seam:
        """Return what a campaign or an outbox asks of this client: nobody else calls this."""
        return Seam(
            delivery=self._bulk.delivery(),
            account=self._account.digest(self._transport.base_url),
            is_dry_run=self._account.is_dry_run,
            rules=self._rules,
            slots=self._slots,
            misuse=self._connection.misuse,
        )

    def _opened_when_used(self) -> Self:
        """Let the first call open it, in whichever event loop that is: for the fixture of tests."""
        self._connection.open_when_used()
        return self

    async def send_sms(
        self,
        phone_number: str,
        message: str,
        *,
        url: str = "",
        priority: Priority = Priority.NORMAL,
        send_at: datetime | None = None,
        sms_id: str | None = None,
    ) -> SmsReceipt:
        """Send one SMS; return the server's receipt for it.

        It is handed to the server at most once, unless it is proven that nothing was sent before.
        Calls that begin in the same turn of the event loop, or wait for a slot, share one request
        (group commit), and each gets its own receipt or error. A lone one goes alone, at once.

        Cancelled (or under a caller's own time-out) while it waits, it is never sent. Under way it
        may have been, and those that it travels with go on.

        Args:
            phone_number: With ``+`` and country code; in national format where the client has a
                ``region``. This and all that follows: see ``Sms``.
            message: The text.
            url: The link to track.
            priority: How urgently the phone takes it; ``HIGH`` leaves this client first, too.
            send_at: When the phone is to send it.
            sms_id: An id of your own; by default a random one.

        Raises:
            InvalidMessage: It cannot be sent as it is; nothing was sent.
            NotSent: It never left: no attempt got through, or its turn did not come within half the
                ``timeout``; ``RateLimited`` where the server asked to wait too long.
            Refused: The server said no; ``AuthenticationFailed`` to login or access key.
            OutcomeUnknown: It left, maybe with others, and nobody knows; it is not tried again.
            ConfigurationError: The client is not usable here, or ``base_url`` is wrong; nothing was
                sent.
        """
        sms = Sms(phone_number, message, url=url, priority=priority, send_at=send_at, sms_id=sms_id)
        del phone_number, message, url  # a traceback with locals would show them; an Sms does not
        outcome = await self._loads.send(sms)
        if outcome.error is not None:
            raise outcome.error
        return cast(SmsReceipt, outcome.receipt)

    def stream(self, messages: Iterable[Sms] | AsyncIterable[Sms]) -> AsyncGenerator[Outcome, None]:
        """Send all messages, yielding an outcome for each as its request ends.

        Memory is constant: an iterable is read when a request can leave, and no further. Leaving
        the loop, or cancelling it, cancels what is under way: those messages may have been sent,
        and are not reported. An id may not be given twice (among the last 100,000).

        After three requests in a row of which nothing is known (a captive portal, a dying server)
        only single messages go, as probes after 1, 5 and 25 seconds, until one is answered. If none
        is, the sending ends (circuit breaker).

        Args:
            messages: Any iterable or async iterable, even an endless one. What an async one yields
                is sent as it comes, a slow one's in smaller requests; while it cannot be sent, up
                to ``batch_size`` are read ahead. A generator is closed when the stream ends,
                however it ends. An async one that is suspended at a ``yield`` has five seconds to
                clean up. One that waits for something is cancelled there, as anyio cancels: what
                its ``finally`` awaits is cancelled too, unless it stands in an
                ``anyio.CancelScope(shield=True)``.

        Raises:
            AuthenticationFailed: Login or access key were refused, after the outcomes of all that
                was read. If ``messages`` raised as well, that is its ``__cause__``.
            NotSent: The circuit breaker gave up, after those outcomes.
            ConfigurationError: The client is not usable here; or, after those outcomes,
                ``base_url`` is wrong or the client was closed. For a message nothing is ever
                raised.
            Exception: Whatever ``messages`` raises, after the outcomes of all that came before.
                What is no ``Exception`` comes as the ``__cause__`` of a ``RuntimeError``.
        """
        return self._bulk.stream(messages)

    async def send_many(
        self,
        messages: Iterable[Sms] | AsyncIterable[Sms],
        *,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> BulkReport:
        """Send all messages; return how each ended, in the order of the input.

        Where no more would pass (see what ``stream`` raises), all the rest is reported as not sent.
        Cancelled, the outcomes so far are lost: where that matters, loop over ``stream``.

        Args:
            messages: As for ``stream``, but not endless.
            on_progress: Called with each batch that ends; a plain function, neither async nor a
                generator. If it raises, or returns a coroutine, a generator or anything else that
                waits for somebody, that is logged and it is not called again.

        Raises:
            BulkInterrupted: ``messages`` raised, or kept the client waiting when it was closed;
                ``report`` has the outcomes of all that came before.
            ConfigurationError: The client is not usable here, or ``on_progress`` is no plain
                function. For a message nothing is ever raised.
        """
        return await self._bulk.send_many(messages, on_progress)

    async def add_contacts(
        self, contacts: Iterable[Contact] | AsyncIterable[Contact]
    ) -> list[ContactResult]:
        """Add contacts, or update those known by number; return a result for each, in order.

        Adding is safe to repeat, so requests that fail are tried again whatever became of them, and
        so may you, after an error or a cancellation. A contact whose request failed for good has
        that as its ``error``; where the circuit breaker of ``stream`` gave up, that is ``NotSent``
        for all the rest.

        Args:
            contacts: As the messages for ``send_many``.

        Raises:
            AuthenticationFailed, ConfigurationError: Login or access key were refused, or
                ``base_url`` is wrong: no more was read, and ``results`` has a result for each
                contact that was.
            BulkInterrupted: ``contacts`` raised; ``results`` has those of all that came before.
        """
        return await self._bulk.add_contacts(contacts)

    async def click_to_call(self, phone_number: str) -> CallResult:
        """Let the phone call a number; return whether the servers took the request.

        It rings a phone, so it is handed over at most once. Cancelled, it may have been.

        Args:
            phone_number: As for ``send_sms``.

        Raises:
            InvalidMessage: Not a phone number; nothing was sent.
            NotSent, Refused, OutcomeUnknown, ConfigurationError: As for ``send_sms``.
        """
        number = numbers.check(phone_number, self._rules.region)
        del phone_number
        if isinstance(number, InvalidMessage):
            raise number
        call = Call(path=_wire.CALL, body=self._account.call(number), decode=_wire.read_call)
        del number
        ticket = self._connection.join(Rank.SINGLE, paced=False)
        if isinstance(ticket, InSimError):
            raise ticket

        async def make() -> Call[CallResult]:
            return call

        result = await self._connection.post(make, ticket)
        if isinstance(result, InSimError):
            raise result
        return cast(CallResult, result)


def _transport(told: Settings) -> Transport:
    if told.http_client is not None:
        return Transport(told.http_client, told.base_url, own=False)
    # It brings httpx, which is slow to import and not always needed.
    from insim_async._http.own import own_transport

    return own_transport(told.base_url, told.ssl_context)
