"""What users hold of an outbox, and the theory of it: what happens to a message, and when.

It is a campaign without a text of its own, without a list and without an end: the same rows,
states, claims and lock, in the same file if need be. A message is keyed by the caller's id, so that
a repeat is known for one. It is ``pending`` until a claim takes it, which is on disk before the
request may leave; what became of it is written down behind the answer. Of all processes that open a
worker the one sends that has the lock; it is the kernel's, and gone with its process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta, tzinfo
from functools import partial
from hashlib import blake2b
from pathlib import Path

import anyio
import msgspec
from msgspec.structs import replace

from insim_async import segments
from insim_async._sending import Rules, check_sms
from insim_async._settings import check_texts, zone_of
from insim_async.campaigns import STOP_WORDS, Delivery, Limits, MessageStatus, SendWindow
from insim_async.campaigns import _stop as stopping
from insim_async.campaigns._beginning import check_given_limits, seam_of
from insim_async.campaigns._kept import Kept
from insim_async.campaigns._ledger import Ledger
from insim_async.campaigns._plan import check_limits, instant_of, plan_of
from insim_async.campaigns._run import Run
from insim_async.client import AsyncInSim
from insim_async.errors import ConfigurationError, InvalidMessage, OutboxConflict
from insim_async.models import Sms
from insim_async.outbox import _parcels
from insim_async.outbox._parcels import Parcel, Policy
from insim_async.outbox._values import OutboxHealth, OutboxMessage
from insim_async.outbox._worker import OutboxWorker, Work, working
from insim_async.timing import Clock

__all__ = ["Outbox"]

LOOK_EVERY = 0.5
"""Seconds between two looks for what other processes have learned of a message."""
A_DAY = 86_400.0
_NEVER = frozenset(
    {
        MessageStatus.REFUSED,
        MessageStatus.NOT_SENT,
        MessageStatus.SUPPRESSED,
        MessageStatus.EXPIRED,
        MessageStatus.CANCELLED,
    }
)
_DELIVERIES = list(Delivery)


class Outbox(Kept[OutboxMessage]):
    """Keeps messages on disk until they are sent; ``Outbox.open`` returns one.

    It may be used in any task and event loop, before and after a fork, and by several processes at
    once: any of them puts, one of them sends.
    """

    def __init__(self, ledger: Ledger, words: frozenset[str], rules: Rules, policy: Policy) -> None:
        super().__init__(ledger, words, OutboxMessage)
        self._rules = rules
        self._policy = policy
        self._worker: OutboxWorker | None = None

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str = "",
        region: str | None = None,
        timezone: tzinfo | str | None = None,
        max_parts: int = 20,
        retry_for: timedelta = timedelta(days=1),
        keep: timedelta | None = timedelta(days=30),
        honour_stop: bool = True,
        stop_words: Iterable[str] | None = None,
        restored: bool = False,
        clock: Clock = Clock(),
    ) -> Outbox:
        """Make the file, or check the one that is there.

        It needs no event loop and no client, and keeps nothing open. What a process that crashed
        had under way becomes unknown.

        Args:
            path: On a local disk. The file is made so that only its owner can read it; a lock file
                stands beside it. Campaigns may be in the same file: one phone, one file.
            name: Of this outbox, where a file holds several: they share limits and opt-outs.
            region: Where numbers in national format are from, as for ``AsyncInSim``.
            timezone: Of a naive ``send_at`` or ``until``.
            max_parts: SMS parts that one text may take, as for ``AsyncInSim``.
            retry_for: For how long what does not get through is tried again; then it is not sent.
            keep: After how long numbers and texts of what has its end are blanked; None for never.
                Ids stay, so that a repeat is recognised for ever.
            honour_stop: Whether whoever has opted out gets nothing; False for what they asked for,
                such as the confirmation of a booking.
            stop_words: As for ``Campaign.open``.
            restored: As for ``Campaign.open``.
            clock: Time and chance, for tests.

        Raises:
            ConfigurationError: The file cannot be used, or is an older copy: it says why and what
                to do, and nothing was changed. Or an argument makes no sense.
            LedgerUnavailable: Another process holds the file.
        """
        check_texts(region, max_parts)
        zone = zone_of(timezone)
        policy = Policy(
            honour_stop=_checked_bool("honour_stop", honour_stop),
            retry_for=_checked_span("retry_for", retry_for),
            keep=None if keep is None else _checked_span("keep", keep),
        )
        words = STOP_WORDS if stop_words is None else stopping.stop_words(stop_words)
        absolute = Path(path).absolute()
        ledger = Ledger.open(absolute, kind="outbox", name=name, clock=clock, restored=restored)
        return cls(ledger, words, Rules(region, zone, max_parts, clock), policy)

    # What is to be sent -------------------------------------------------------------------------

    async def put(self, sms: Sms, *, until: datetime | None = None) -> bool:
        """Store a message: it is on disk when this returns, and may be if this is cancelled.

        Many at once share a transaction (group commit). It is sent by a worker: at once by one of
        this process, within a second by another's.

        Args:
            sms: With an ``sms_id`` of your own, by which it is known for ever. ``send_at`` is held
                here, so that ``cancel`` and opt-outs apply until then; naive: in the outbox's zone.
            until: When it is too late, so that it expires; a login code a day late is wrong. Naive:
                in the outbox's zone. A repeat may have another.

        Returns:
            Whether it is new; False if that id is there already with the same content.

        Raises:
            InvalidMessage: It cannot be sent as it is, or has no id.
            OutboxConflict: That id is there with another content.
            LedgerUnavailable: It was not stored; or not within ten seconds, and it may be.
            ConfigurationError: The outbox is closed, or ``until`` is none.
        """
        parcel = self._parcel(sms, until)
        known = self._ledger.known.campaign
        is_new = await self._ledger.do(partial(_parcels.put, campaign=known, parcel=parcel))
        if is_new is None:
            raise OutboxConflict(
                f"{parcel.key}: a message with that id is there, with another number, text, url, "
                "priority or send_at"
            )
        if is_new:
            self._wake()
        return is_new

    async def cancel(self, sms_id: str) -> bool:
        """Let a message not go; return False where that is too late, or there is none.

        Args:
            sms_id: Of the message.

        Raises:
            LedgerUnavailable: The file cannot be written.
        """
        cancel = partial(_parcels.cancel, key=_checked_id(sms_id), now=self._ledger.now)
        done = await self._do(cancel)
        self._ledger.tell()
        return done

    # Sending ------------------------------------------------------------------------------------

    def worker(
        self,
        insim: AsyncInSim,
        *,
        limits: Limits | None = None,
        window: SendWindow | None = None,
    ) -> AbstractAsyncContextManager[OutboxWorker]:
        """Send what is put, while the context is open.

        Of several workers one sends; the others stand by, and take over within seconds when it is
        gone. A message is marked on disk before its request may leave, and is handed over at most
        once, unless it is proven that nothing was sent. It waits outside the window and past a
        limit. Where nothing gets through, or login or access key are refused, it warns once, and
        goes on trying, ever more seldom.

        The context may be left in another task than it was entered. Requests under way have five
        seconds then; those without an answer are unknown.

        Args:
            insim: The client; the first that sends binds the file to its account. It has to be open
                for longer.
            limits: How fast, for all that sends from this file; stored. None leaves what is stored.
            window: The hours in which something may be sent; by default always.

        Raises:
            ConfigurationError: On entering: the client cannot be used here, is a dry run or another
                account's; no zone is known for window or limits; or there is a worker already.
            LedgerUnavailable: On entering: the file cannot be read.
        """
        if limits is not None:
            check_given_limits(limits)
        return working(partial(self._work, insim, limits, window))

    # Looking ------------------------------------------------------------------------------------

    async def get(self, sms_id: str) -> OutboxMessage | None:
        """Return the message with that id; None if there is none.

        Args:
            sms_id: The one that ``put`` was given.

        Raises:
            LedgerUnavailable: The file cannot be read.
        """
        key = _checked_id(sms_id)
        return await self._ledger.do(partial(_parcels.look, known=self._ledger.known, key=key))

    async def wait(
        self,
        sms_id: str,
        *,
        delivery: Delivery | str | None = None,
        timeout: float,  # noqa: ASYNC109 - it is about a message, and has words of its own
    ) -> OutboxMessage:
        """Wait until a message has its end, or was delivered, and return it.

        Whichever process learns of it. Never wait in a handler of webhooks: the report that would
        end the waiting may stand behind it.

        Args:
            sms_id: Of the message.
            delivery: ``"sent"`` or ``"received"``, for what its reports must say; needs ``record``
                registered somewhere. By default it is enough that its status is final.
            timeout: Seconds.

        Raises:
            TimeoutError: That did not happen in time; or cannot happen any more, and then at once.
            ConfigurationError: There is no such message, or no such delivery.
            LedgerUnavailable: The file cannot be read.
        """
        wanted = None if delivery is None else _delivery_of(delivery)
        until = anyio.current_time() + timeout
        while True:
            news = self._ledger.news()
            message = await self.get(sms_id)
            if message is None:
                raise ConfigurationError(f"{sms_id}: there is no such message")
            if _has_come(message, wanted):
                return message
            left = until - anyio.current_time()
            if left <= 0:
                raise TimeoutError(f"{sms_id}: is {message.status} until now")
            with anyio.move_on_after(min(left, LOOK_EVERY)):
                await news.wait()

    async def health(self) -> OutboxHealth:
        """Look whether messages go out, by any process.

        Raises:
            LedgerUnavailable: The file cannot be read.
        """
        is_held = self._ledger.lock.holder() is not None
        return await self._do(partial(_parcels.health, is_held=is_held, now=self._ledger.now))

    # Within -------------------------------------------------------------------------------------

    def _parcel(self, sms: Sms, until: datetime | None) -> Parcel:
        """Return a message as it is put.

        Raises:
            InvalidMessage: It cannot be sent.
            ConfigurationError: ``until`` is none.
        """
        held = sms.send_at if isinstance(sms, Sms) else None
        now = replace(sms, send_at=None) if isinstance(sms, Sms) else sms
        checked = check_sms(now, self._rules, "", None)
        if isinstance(checked, InvalidMessage):
            raise checked
        if not checked.id_sms_api:
            raise InvalidMessage("sms_id", "an outbox goes by it: give one, such as booking-4711")
        send_at = self._send_at(held)
        end = None if until is None else self._instant("until", until)
        if send_at is not None and end is not None and end <= send_at:
            raise ConfigurationError("until: it is over before send_at")
        url = checked.url if isinstance(checked.url, str) else ""
        content = [checked.phone_number, checked.message, url, int(sms.priority), send_at]
        key = self._ledger.known.prefix.encode()
        return Parcel(
            key=checked.id_sms_api,
            phone=int(checked.phone_number[1:]),
            text=checked.message,
            url=url,
            priority=int(sms.priority),
            parts=segments.count(checked.message).parts,
            digest=blake2b(msgspec.json.encode(content), digest_size=16, key=key).hexdigest(),
            due=self._ledger.now if send_at is None else send_at,
            until=end,
        )

    def _instant(self, name: str, moment: datetime) -> float:
        """Return the instant of a date.

        Raises:
            ConfigurationError: It is none.
        """
        zone = self._rules.timezone
        if zone is None and isinstance(moment, datetime) and moment.tzinfo is None:
            raise ConfigurationError(
                f'{name}: a time of which place? Give it a time zone, or Outbox.open timezone="..."'
            )
        return instant_of(name, moment, zone)

    def _send_at(self, moment: datetime | None) -> float | None:
        """Return from when on a message may go; None for at once.

        Raises:
            InvalidMessage: It is no date, or long past.
        """
        if moment is None:
            return None
        try:
            at = self._instant("send_at", moment)
        except ConfigurationError as error:
            words = str(error).removeprefix("send_at: ")
        else:
            if at > self._ledger.now - A_DAY:
                return at
            words = "it is more than a day in the past: leave send_at out to send at once"
        raise InvalidMessage("send_at", words)

    async def _work(
        self, insim: AsyncInSim, limits: Limits | None, window: SendWindow | None
    ) -> OutboxWorker:
        """Return a worker that has not started.

        Raises:
            ConfigurationError: It cannot work.
            LedgerUnavailable: The file cannot be read.
        """
        if self._worker is not None and self._worker.alive:
            raise ConfigurationError("the outbox has a worker in this process already")
        seam = seam_of(insim)
        plan = plan_of(window, None, seam.timezone)
        if limits is not None:
            check_limits(limits, plan)
        bound = await self._ledger.do(_parcels.account)
        if bound not in {"", seam.account}:
            raise ConfigurationError(
                f"{self._ledger.path}: belongs to another account, or to another base_url: take "
                "another file"
            )
        work = Work(seam, plan, limits, _parcels.Claims(self._policy))
        self._worker = OutboxWorker(self._ledger, work, self._has_run)
        return self._worker

    def _has_run(self, running: tuple[Run, object] | None) -> None:
        self._running = running


def _has_come(message: OutboxMessage, wanted: Delivery | None) -> bool:
    """Say whether what was waited for has come.

    Raises:
        TimeoutError: It will not.
    """
    if wanted is None:
        return message.status not in {MessageStatus.PENDING, MessageStatus.IN_FLIGHT}
    if _DELIVERIES.index(message.delivery) >= _DELIVERIES.index(wanted):
        return True
    if message.status in _NEVER:
        raise TimeoutError(f"{message.sms_id}: is {message.status}, and will not be {wanted}")
    return False


def _delivery_of(word: object) -> Delivery:
    try:
        found = Delivery(str(word))
    except ValueError:
        found = Delivery.NONE
    if found is Delivery.NONE:
        raise ConfigurationError('delivery: expected "sent" or "received"')
    return found


def _checked_id(sms_id: object) -> str:
    if not isinstance(sms_id, str):
        raise ConfigurationError(f"sms_id: expected text, got {type(sms_id).__name__}")
    return sms_id


def _checked_span(name: str, span: object) -> float:
    if not isinstance(span, timedelta) or span <= timedelta():
        raise ConfigurationError(f"{name}: expected a timedelta above 0")
    return span.total_seconds()


def _checked_bool(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name}: expected True or False, got {type(value).__name__}")
    return value
