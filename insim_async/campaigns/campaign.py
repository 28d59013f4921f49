"""What users hold of a campaign: what is added, sent, watched, settled and forgotten."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from insim_async._sending import Listener, Seam, check_on_progress
from insim_async.campaigns import _rows, _spending, _standing, _stop
from insim_async.campaigns._export import export
from insim_async.campaigns._ledger import Ledger
from insim_async.campaigns._plan import Plan, check_limits, plan_of
from insim_async.campaigns._preview import previewed
from insim_async.campaigns._progress import Progress
from insim_async.campaigns._run import Run
from insim_async.campaigns._states import Delivery, MessageStatus, Move
from insim_async.campaigns._stop import STOP_WORDS, is_stop, number_key
from insim_async.campaigns._texts import Given, Texts
from insim_async.campaigns._values import (
    Added,
    CampaignMessage,
    CampaignReport,
    CampaignStatus,
    Preview,
)
from insim_async.campaigns.pacing import Limits, SendWindow
from insim_async.client import AsyncInSim
from insim_async.errors import CampaignChanged, ConfigurationError, InvalidMessage
from insim_async.models import Priority, SmsReceipt
from insim_async.recipients import Recipients, Refusal
from insim_async.timing import Clock
from insim_async.webhooks import DeliveryStatus, Event, IncomingSms, LinkClick

__all__ = ["Campaign"]

T = TypeVar("T")
logger: logging.Logger = logging.getLogger("insim_async")

PAGE = 500
_EXPORTED = ("row", "phone_number", "status", "delivery", "parts", "error", "at", "sms_id", "text")
_SETTLED = {
    MessageStatus.SENT: Move.SETTLE_SENT,
    MessageStatus.REFUSED: Move.SETTLE_REFUSED,
    MessageStatus.NOT_SENT: Move.SETTLE_NOT_SENT,
}


class Campaign:
    """A list of people and a text, kept in a file and sent once; ``Campaign.open`` returns one.

    It may be used in any task and event loop, and by several processes at once: one runs it, others
    record reports, look and steer.
    """

    def __init__(self, ledger: Ledger, words: frozenset[str]) -> None:
        self._ledger = ledger
        self._words = words
        self._running: Run | None = None

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str = "",
        stop_words: Iterable[str] | None = None,
        restored: bool = False,
        clock: Clock = Clock(),
    ) -> Campaign:
        """Make the file, or check the one that is there.

        It needs no event loop and no client, and keeps nothing open. What a process that crashed had
        under way becomes unknown.

        Args:
            path: On a local disk. The file is made so that only its owner can read it; a lock file
                stands beside it.
            name: Of this campaign, where a file holds several: they share limits and opt-outs.
            stop_words: What opts out if it is the whole message, by default ``STOP``, ``ARRET`` and
                the like. Case and accents do not matter.
            restored: Say so where a copy was put back: all that has no end becomes unknown, since it
                may have been sent after the copy was made.
            clock: Time and chance, for tests.

        Raises:
            ConfigurationError: The file cannot be used, or is an older copy: it says why and what to
                do, and nothing was changed. Or an argument makes no sense.
            LedgerUnavailable: Another process holds the file.
        """
        words = STOP_WORDS if stop_words is None else _stop.stop_words(stop_words)
        absolute = Path(path).absolute()
        ledger = Ledger.open(absolute, kind="campaign", name=name, clock=clock, restored=restored)
        return cls(ledger, words)

    def close(self) -> None:
        """Close the file; a run under way stops there."""
        self._ledger.close()

    # What is to be sent -------------------------------------------------------------------------

    async def add(
        self,
        recipients: Given,
        text: str,
        *,
        url: str = "",
        priority: Priority = Priority.NORMAL,
        known: Literal["refuse", "keep"] = "refuse",
    ) -> Added:
        """Add a message for each person who has none yet; adding the same list again adds nothing.

        ``{first_name}`` and the like stand for fields of the contact and columns of the list,
        ``{first_name|cher client}`` for a text where that is empty. Braces are doubled. The finished
        texts are stored.

        Killed, cancelled or failing in the middle it adds nothing.

        Args:
            recipients: From ``read_csv`` and the like; or any iterable or async iterable of
                contacts, or of mappings with a ``phone_number``, in E.164.
            text: The template of the text; the same for all of a campaign.
            url: The template of the link to track. ``{sms_id}`` in it says which message it was; the
                number may not stand in it.
            priority: How urgently the phone takes them.
            known: What to do where another text would come out for somebody who has one:
                ``"refuse"`` all, or ``"keep"`` what is there (a name was corrected).

        Returns:
            What became of each row.

        Raises:
            InvalidMessage: The text or the link cannot be read as a template.
            CampaignChanged: Another text for somebody known, or another template.
            ConfigurationError: An argument makes no sense; or the campaign was cancelled, or
                forgotten.
            LedgerUnavailable: The file cannot be written.
            Exception: Whatever ``recipients`` raises.
        """
        if known not in {"refuse", "keep"}:
            raise ConfigurationError('known: expected "refuse" or "keep"')
        texts = Texts(text, url, _checked_priority(priority))
        table = f"incoming_{secrets.token_hex(8)}"
        try:
            await self._ledger.do(partial(_rows.begin_gathering, table=table))
            async for slice_ in texts.slices(recipients):
                await self._ledger.do(partial(_rows.gather, table=table, slice_=slice_))
            added = await self._ledger.do(
                partial(
                    _rows.add,
                    campaign=self._ledger.known.campaign,
                    table=table,
                    template=texts.digest,
                    priority=int(priority),
                    keep=known == "keep",
                )
            )
        finally:
            self._ledger.begin(partial(_rows.discard, table=table))
        if self._running is not None:
            self._running.wake()
        return _told_of(added, texts, recipients)

    async def preview(self, limit: int = 5) -> Preview:
        """Return what would be sent, and what it would cost; nothing is sent.

        Args:
            limit: How many samples.

        Raises:
            LedgerUnavailable: The file cannot be read.
        """
        return await previewed(self.messages(MessageStatus.PENDING), limit)

    async def send_test(self, insim: AsyncInSim, phone_number: str) -> SmsReceipt:
        """Send the first person's message to a number of your own; it counts for nothing.

        Args:
            insim: The client.
            phone_number: Yours.

        Raises:
            ConfigurationError: The campaign is empty.
            InSimError: As ``send_sms``.
        """
        found = await self._do(_rows.sample)
        if found is None:
            raise ConfigurationError("the campaign is empty: add somebody first")
        text, url, priority = found
        sms_id = secrets.token_urlsafe(16)
        link = url.replace(_rows.SMS_ID, sms_id)
        return await insim.send_sms(
            phone_number, text, url=link, priority=Priority(priority), sms_id=sms_id
        )

    # Sending ------------------------------------------------------------------------------------

    async def run(
        self,
        insim: AsyncInSim,
        *,
        limits: Limits | None = None,
        window: SendWindow | None = None,
        until: datetime | None = None,
        on_progress: Callable[[CampaignStatus], object] | None = None,
    ) -> CampaignReport:
        """Send all that has not been sent, however often it was begun, and say how it ended.

        Each message is marked on disk before its request may leave, and is handed over at most once,
        unless it is proven that nothing was sent. It waits while it is paused, outside the window
        and past a limit. What cannot go because the network is down is tried again, for an hour.

        Cancelled (Ctrl-C under ``asyncio.run`` does that), it claims nothing more; requests under
        way have five seconds to end, or until it is cancelled once more, and are unknown then. The
        next run goes on with the rest.

        Args:
            insim: The client; the first that runs it binds the file to its account.
            limits: How fast, for all that sends from this file; stored. None leaves what is stored.
            window: The hours in which something may be sent; by default always.
            until: When the rest is too late, and expires. Naive: in the zone of the window or of the
                client.
            on_progress: Called with the status when something has changed; a plain function. If it
                raises, that is logged, and it is not called again.

        Returns:
            The counts of all messages, and why it ended: it is finished, cancelled or expired.

        Raises:
            CampaignBusy: Another process or task runs it.
            CampaignStopped: It cannot go on; ``cause`` says why.
            ConfigurationError: The client cannot be used here, is a dry run or another account's; no
                zone is known for window or limits; the file is an older copy, or was forgotten.
            LedgerUnavailable: The file cannot be written.
        """
        check_on_progress(on_progress)
        seam = _seam_of(insim)
        plan = plan_of(window, until, seam.timezone)
        await self._ledger.acquire()
        try:
            begun = await self._begin(seam, plan, limits)
            pace = _spending.Pace(plan, self._ledger.clock.random)
            progress = Progress(begun.counts, self._ledger.clock, Listener(on_progress))
            self._running = Run(self._ledger, seam, begun.campaign, pace, progress)
            return await self._running.go()
        finally:
            self._running = None
            self._ledger.lock.release()

    async def set_limits(self, limits: Limits) -> None:
        """Set how fast all may go that is sent from this file; a run takes it over at once.

        Raises:
            ConfigurationError: Those are no limits.
            LedgerUnavailable: The file cannot be written.
        """
        if not isinstance(limits, Limits):
            raise ConfigurationError(f"limits: expected Limits, got {type(limits).__name__}")
        await self._ledger.do(partial(_spending.set_limits, limits=limits))
        self._wake()

    async def pause(self) -> bool:
        """Let nothing more go until ``resume``, whoever runs it and whenever; what is under way ends.

        Returns:
            Whether it is paused now.

        Raises:
            LedgerUnavailable: The file cannot be written.
        """
        return await self._set("paused", only=["open", "stopped", "paused"])

    async def resume(self) -> bool:
        """Let a paused campaign go on; return whether it was paused.

        Raises:
            LedgerUnavailable: The file cannot be written.
        """
        return await self._set("open", only=["paused"])

    async def cancel(self) -> bool:
        """Let nothing more go, for good: what is pending is cancelled, what is under way ends.

        Returns:
            False where it was finished or cancelled before.

        Raises:
            LedgerUnavailable: The file cannot be written.
        """
        done = await self._do(partial(_rows.cancel, now=self._ledger.now))
        self._wake()
        return done

    # Looking ------------------------------------------------------------------------------------

    async def status(self) -> CampaignStatus:
        """Return how far it has come, and what it does now, whoever runs it.

        Raises:
            LedgerUnavailable: The file cannot be read.
        """
        known = self._ledger.known
        return await self._ledger.do(
            partial(
                _standing.standing,
                kind=known.kind,
                name=known.name,
                is_held=self._ledger.lock.holder() is not None,
                now=self._ledger.now,
            )
        )

    async def messages(
        self, status: MessageStatus | str | None = None
    ) -> AsyncIterator[CampaignMessage]:
        """Yield the messages, or those in a status, in the order in which they were added.

        The file is read in pages, and may change between two of them.

        Raises:
            ConfigurationError: There is no such status.
            LedgerUnavailable: The file cannot be read.
        """
        wanted = None if status is None else _status(status)
        known, after = self._ledger.known, 0
        while True:
            page = await self._do(
                partial(_rows.page, prefix=known.prefix, status=wanted, after=after, limit=PAGE)
            )
            for message in page:
                yield message
            if len(page) < PAGE:
                return
            after = page[-1].row

    async def export(
        self, path: str | os.PathLike[str], status: MessageStatus | str | None = None
    ) -> int:
        """Write the messages, or those in a status, to a new file; return how many.

        A spreadsheet opens it without running anything: what might be a formula has an apostrophe
        before it.

        Args:
            path: ``.csv``, or ``.ndjson`` for one JSON object a line.
            status: As for ``messages``.

        Raises:
            ConfigurationError: Another suffix, or there is no such status.
            FileExistsError: Something has that name.
            OSError: It cannot be written.
            LedgerUnavailable: The ledger cannot be read.
        """
        return await export(Path(path), self.messages(status), _EXPORTED)

    # What becomes of it -------------------------------------------------------------------------

    async def record(self, event: Event) -> bool:
        """Learn from a webhook: a delivery report, a click, or an SMS that opts out.

        Reports come in any order, twice, and before the answer: a message only ever becomes more
        certain. Register it with a router, ``router.on(DeliveryStatus, LinkClick,
        IncomingSms)(campaign.record)``, in whichever process has the webhooks.

        Returns:
            Whether it was about a message of this campaign, or an opt-out.

        Raises:
            LedgerUnavailable: The file cannot be written; let the webhook come again.
        """
        match event:
            case DeliveryStatus(status="sent" | "received" as word):
                return await self._report(event, Delivery(word))
            case LinkClick():
                return await self._report(event, Delivery.RECEIVED)
            case IncomingSms() if is_stop(event.message, self._words):
                await self._stop(event.phone_number)
                return True
            case _:
                return False

    async def suppress(self, numbers: Iterable[str]) -> int:
        """Let nothing more go to these numbers, from this file; return how many are new.

        Args:
            numbers: In any spelling; one that is no E.164 is compared by its last nine digits.

        Raises:
            InvalidMessage: One has too few digits; none was taken.
            LedgerUnavailable: The file cannot be written.
        """
        keys = _keys(numbers)
        return await self._ledger.do(partial(_rows.suppress, numbers=keys, now=self._ledger.now))

    async def unsuppress(self, numbers: Iterable[str]) -> int:
        """Take numbers off the list of those who opted out; return how many were on it.

        Raises:
            InvalidMessage: One has too few digits; none was taken.
            LedgerUnavailable: The file cannot be written.
        """
        return await self._ledger.do(partial(_rows.unsuppress, numbers=_keys(numbers)))

    async def suppressed(self) -> list[str]:
        """Return who has opted out, in a form that ``suppress`` takes.

        Numbers that could not be read stand at the end, as they came.

        Raises:
            LedgerUnavailable: The file cannot be read.
        """
        keys, unread = await self._ledger.do(_rows.suppressed)
        return [*(f"+{key}" if key > 0 else f"{-key:09}" for key in keys), *unread]

    async def retry(self) -> int:
        """Let messages that were not sent try again at the next run; return how many.

        Those of which a delivery report speaks are left alone.

        Raises:
            LedgerUnavailable: The file cannot be written.
        """
        return await self._do(partial(_rows.retry, now=self._ledger.now))

    async def resend(
        self,
        messages: Iterable[CampaignMessage | str] | AsyncIterable[CampaignMessage | str],
        *,
        allow_duplicates: bool = False,
    ) -> int:
        """Let unknown messages go once more, under a new id: their recipients may get them twice.

        Args:
            messages: Messages, or their ids; those that are not unknown any more are left out.
            allow_duplicates: Has to be True.

        Returns:
            How many will go.

        Raises:
            ConfigurationError: ``allow_duplicates`` is not True.
            LedgerUnavailable: The file cannot be written.
        """
        if allow_duplicates is not True:
            raise ConfigurationError(
                "resend: these may have been sent; say allow_duplicates=True where twice is better "
                "than not at all"
            )
        if isinstance(messages, AsyncIterable):
            ids = [_id_of(message) async for message in messages]
        else:
            ids = [_id_of(message) for message in messages]
        known, now = self._ledger.known, self._ledger.now
        return await self._ledger.do(partial(_rows.resend, known=known, ids=ids, now=now))

    async def settle(
        self,
        message: CampaignMessage | str,
        status: MessageStatus | Literal["sent", "refused", "not_sent"],
    ) -> bool:
        """Write down what you found out of an unknown message; return whether it was one.

        Args:
            message: The message, or its id.
            status: ``"sent"``, ``"refused"`` or ``"not_sent"``, which ``retry`` lets try again.

        Raises:
            ConfigurationError: Another status.
            LedgerUnavailable: The file cannot be written.
        """
        move = _SETTLED.get(_status(status))
        if move is None:
            raise ConfigurationError('settle: expected "sent", "refused" or "not_sent"')
        return await self._ledger.do(
            partial(
                _rows.settle,
                known=self._ledger.known,
                sms_id=_id_of(message),
                move=move,
                now=self._ledger.now,
            )
        )

    async def forget(self) -> None:
        """Blank the texts and numbers of all messages, and close the campaign for good.

        Counts, ids and what became of each stay; so do the numbers that opted out, since they must.

        Raises:
            ConfigurationError: Somebody runs it, or it has messages that have no end: run it to its
                end, or cancel it.
            LedgerUnavailable: The file cannot be written.
        """
        await self._ledger.acquire()
        try:
            if not await self._do(_rows.forget):
                raise ConfigurationError(
                    "forget: some messages have no end yet: run it to its end, or cancel it"
                )
        finally:
            self._ledger.lock.release()

    # Within -------------------------------------------------------------------------------------

    async def _begin(self, seam: Seam, plan: Plan, limits: Limits | None) -> _rows.Begun:
        if limits is not None:
            await self.set_limits(limits)
        ledger = self._ledger
        told, *_ = await ledger.do(_spending.limits_of)
        check_limits(told, plan, await self._do(_rows.longest))
        begun = await ledger.do(
            partial(
                _rows.begin_run,
                opened=ledger.known,
                account=seam.account,
                plan=_standing.plan_to_json(plan),
                now=ledger.now,
            )
        )
        if isinstance(begun, str):
            raise ConfigurationError(f"{ledger.path}: {begun}")
        ledger.lock.mark(begun.campaign.epoch)
        return begun

    async def _report(self, event: DeliveryStatus | LinkClick, delivery: Delivery) -> bool:
        key = number_key(event.phone_number)
        return await self._ledger.do(
            partial(
                _rows.report,
                known=self._ledger.known,
                sms_id=event.sms_id,
                delivery=delivery,
                is_its_number=key.matches if key is not None else lambda _: True,
                now=self._ledger.now,
            )
        )

    async def _stop(self, phone_number: str) -> None:
        key = number_key(phone_number)
        now = self._ledger.now
        if key is None:
            logger.warning("an SMS opts out from a number that cannot be read: see suppressed()")
            await self._ledger.do(partial(_rows.keep_unread_stop, phone=phone_number, now=now))
        else:
            await self.suppress([phone_number])

    async def _set(self, state: str, *, only: list[str]) -> bool:
        done = await self._do(partial(_rows.set_state, state=state, only=only))
        self._wake()
        return done

    async def _do(self, action: Callable[..., T]) -> T:
        """Do an action that is about this campaign."""
        return await self._ledger.do(partial(action, campaign=self._ledger.known.campaign))

    def _wake(self) -> None:
        if self._running is not None:
            self._running.wake()


def _seam_of(insim: AsyncInSim) -> Seam:
    """Return what a client lends to a campaign, if it may be run with that client.

    Raises:
        ConfigurationError: It may not.
    """
    if not isinstance(insim, AsyncInSim):
        raise ConfigurationError(f"insim: expected an AsyncInSim, got {type(insim).__name__}")
    seam = insim._seam()  # noqa: SLF001 - made for this
    if (misuse := seam.misuse()) is not None:
        raise misuse
    if seam.is_dry_run:
        raise ConfigurationError(
            "insim: with dry_run nothing is sent, and the campaign would take it for sent; rehearse "
            "against a sandbox, in another file"
        )
    return seam


def _told_of(added: _rows.Added | _rows.Differs | str, texts: Texts, given: Given) -> Added:
    if isinstance(added, str):
        raise ConfigurationError(f"add: {added}")
    if isinstance(added, _rows.Differs):
        if added.template:
            raise CampaignChanged(
                "the text, url or priority is another one than the campaign has; nothing was added: "
                "take another name or file for another text",
                template=True,
            )
        raise CampaignChanged(
            f"for {len(added.lines)} people or more who are known another text would come out; "
            'nothing was added: known="keep" keeps the texts that are there',
            lines=tuple(added.lines),
        )
    reason = "phone_number: an earlier line has the same number, with another text"
    repeated = [Refusal(line=line, reason=reason, row={}) for line in added.repeated]
    own = given.refused if isinstance(given, Recipients) else ()
    refused = sorted([*texts.refused, *repeated], key=lambda refusal: refusal.line)
    known = added.given - added.new - len(repeated)
    return Added(new=added.new, known=known, parts=added.parts, refused=(*own, *refused))


def _checked_priority(priority: object) -> Priority:
    if not isinstance(priority, Priority):
        raise ConfigurationError("priority: expected Priority.LOW, NORMAL or HIGH")
    return priority


def _status(word: object) -> MessageStatus:
    try:
        return MessageStatus(str(word))
    except ValueError:
        pass
    raise ConfigurationError(f"status: expected one of {', '.join(MessageStatus)}")


def _id_of(message: CampaignMessage | str) -> str:
    return message if isinstance(message, str) else message.sms_id


def _keys(numbers: Iterable[str]) -> list[int]:
    """Return numbers as the ledger compares them: negative where only nine digits are known."""
    if isinstance(numbers, str):
        raise ConfigurationError("numbers: expected several; put a single one into a list")
    keys = []
    for place, number in enumerate(numbers, 1):
        key = number_key(number)
        if key is None:
            raise InvalidMessage("phone_number", f"the one in place {place} has too few digits")
        keys.append(key.number if key.is_exact else -key.number)
    return keys
