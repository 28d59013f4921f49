"""What users hold of a campaign: what is added, sent, watched, settled and forgotten."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import aclosing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

from insim_async._sending import Listener, Rules, check_on_progress
from insim_async._settings import check_texts
from insim_async._tasks import current_loop
from insim_async.campaigns import _adding, _enrolled, _rows, _spending, _stop
from insim_async.campaigns._beginning import begin, seam_of
from insim_async.campaigns._kept import Kept
from insim_async.campaigns._ledger import Ledger
from insim_async.campaigns._plan import plan_of
from insim_async.campaigns._preview import previewed
from insim_async.campaigns._progress import Progress
from insim_async.campaigns._run import Run
from insim_async.campaigns._states import CampaignState, MessageStatus, Move
from insim_async.campaigns._stop import STOP_WORDS
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
from insim_async.errors import CampaignChanged, ConfigurationError
from insim_async.models import Priority, SmsReceipt
from insim_async.recipients import Recipients, Refusal
from insim_async.timing import Clock

__all__ = ["Campaign"]


class Campaign(Kept[CampaignMessage]):
    """A list of people and a text, kept in a file and sent once; ``Campaign.open`` returns one.

    It may be used in any task and event loop, and by several processes at once: one runs it, others
    record reports, look and steer.
    """

    def __init__(self, ledger: Ledger, words: frozenset[str], rules: Rules) -> None:
        super().__init__(ledger, words, CampaignMessage)
        self._rules = rules

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str = "",
        max_parts: int = 20,
        stop_words: Iterable[str] | None = None,
        restored: bool = False,
        clock: Clock = Clock(),
    ) -> Campaign:
        """Make the file, or check the one that is there.

        It needs no event loop and no client, and keeps nothing open. What a process that crashed
        had under way becomes unknown.

        Args:
            path: On a local disk. The file is made so that only its owner can read it; a lock file
                stands beside it.
            name: Of this campaign, where a file holds several: they share limits and opt-outs.
            max_parts: SMS parts that one text may take, as for ``AsyncInSim``; a longer one is
                refused when it is added.
            stop_words: What opts out if it is the whole message, by default ``STOP``, ``ARRET`` and
                the like. Case and accents do not matter.
            restored: Say so where a copy was put back: all that has no end becomes unknown, since
                it may have been sent after the copy was made.
            clock: Time and chance, for tests.

        Raises:
            ConfigurationError: The file cannot be used, or is an older copy: it says why and what
                to do, and nothing was changed. Or an argument makes no sense.
            LedgerUnavailable: Another process holds the file.
        """
        check_texts(None, max_parts)
        words = STOP_WORDS if stop_words is None else _stop.stop_words(stop_words)
        absolute = Path(path).absolute()
        ledger = Ledger.open(absolute, kind="campaign", name=name, clock=clock, restored=restored)
        return cls(ledger, words, Rules(max_parts=max_parts))

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
        """Add a message for each person who has none yet; the same list again adds nothing.

        ``{first_name}`` and the like stand for fields of the contact and columns of the list,
        ``{first_name|cher client}`` for a text where that is empty. Braces are doubled. The
        finished texts are stored.

        Killed, cancelled or failing in the middle it adds nothing.

        Args:
            recipients: From ``read_csv`` and the like; or any iterable or async iterable of
                contacts, or of mappings with a ``phone_number``, in E.164.
            text: The template of the text; the same for all of a campaign.
            url: The template of the link to track. ``{sms_id}`` in it says which message it was;
                the number may not stand in it.
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
        texts = Texts(text, url, _checked_priority(priority), self._rules)
        table = f"incoming_{secrets.token_hex(8)}"
        try:
            await self._ledger.do(partial(_adding.begin_gathering, table=table))
            async with aclosing(texts.slices(recipients)) as slices:
                async for slice_ in slices:
                    await self._ledger.do(partial(_adding.gather, table=table, slice_=slice_))
            added = await self._ledger.do(
                partial(
                    _adding.add,
                    campaign=self._ledger.known.campaign,
                    table=table,
                    template=texts.digest,
                    priority=int(priority),
                    keep=known == "keep",
                ),
                math.inf,  # it is one statement, and takes as long as the list is
            )
        finally:
            self._ledger.begin(partial(_adding.discard, table=table))
        self._wake()
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

        Each message is marked on disk before its request may leave, and is handed over at most
        once, unless it is proven that nothing was sent. It waits while it is paused, outside the
        window and past a limit. While the network is down it tries again, for an hour.

        Cancelled (Ctrl-C under ``asyncio.run`` does that), it claims nothing more; requests under
        way have five seconds to end, or until it is cancelled once more, and are unknown then. The
        next run goes on with the rest.

        Args:
            insim: The client; the first that runs it binds the file to its account.
            limits: How fast, for all that sends from this file; stored. None leaves what is stored.
            window: The hours in which something may be sent; by default always.
            until: When the rest is too late, and expires. Naive: in the zone of the window or of
                the client.
            on_progress: Called with the status when something has changed; a plain function. If it
                raises, that is logged, and it is not called again.

        Returns:
            The counts of all messages, and why it ended: it is finished, cancelled or expired.

        Raises:
            CampaignBusy: Another process or task runs it.
            CampaignStopped: It cannot go on; ``cause`` says why.
            ConfigurationError: The client cannot be used here, is a dry run or another account's;
                no zone is known for window or limits; the file is an older copy, or was forgotten.
            LedgerUnavailable: The file cannot be written.
        """
        check_on_progress(on_progress)
        seam = seam_of(insim)
        plan = plan_of(window, until, seam.timezone)
        await self._ledger.acquire()
        try:
            begun = await begin(self._ledger, seam, plan, limits)
            pace = _spending.Pace(plan, self._ledger.clock.random)
            progress = Progress(begun.counts, self._ledger.clock, Listener(on_progress))
            run = Run(self._ledger, seam, begun.campaign, pace, progress)
            self._running = run, current_loop()
            return await run.go()
        finally:
            self._running = None
            self._ledger.lock.release()

    async def pause(self) -> bool:
        """Let nothing more go until ``resume``, whoever runs it; what is under way ends.

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

        Killed, cancelled or failing in the middle nothing goes all the same; the next run, or
        another call, gives the rest its status.

        Returns:
            False where it was finished or cancelled before.

        Raises:
            LedgerUnavailable: The file cannot be written.
        """
        done = await self._set("cancelled", only=["open", "paused", "stopped"])
        if done or (await self._ledger.look()).state == CampaignState.CANCELLED:
            cancel = partial(_rows.move_between, move=Move.CANCEL, why="cancelled")
            await self._ledger.do_in_slices(partial(cancel, now=self._ledger.now))
        return done

    async def forget(self) -> None:
        """Blank the texts and numbers of all messages, and close the campaign for good.

        Counts, ids and what became of each stay; so do the numbers that opted out, since they must.
        Killed, cancelled or failing in the middle it is closed; call it again to blank the rest.

        Raises:
            ConfigurationError: Somebody runs it, or it has messages that have no end: run it to its
                end, or cancel it.
            LedgerUnavailable: The file cannot be written.
        """
        await self._ledger.acquire()
        try:
            if not await self._do(_rows.close_for_good):
                raise ConfigurationError(
                    "forget: some messages have no end yet: run it to its end, or cancel it"
                )
            await self._ledger.do_in_slices(_rows.forget)
        finally:
            self._ledger.lock.release()

    # Within -------------------------------------------------------------------------------------

    async def _set(self, state: str, *, only: list[str]) -> bool:
        done = await self._do(partial(_enrolled.set_state, state=state, only=only))
        self._wake()
        return done


def _told_of(added: _adding.Added | _adding.Differs | str, texts: Texts, given: Given) -> Added:
    if isinstance(added, str):
        raise ConfigurationError(f"add: {added}")
    if isinstance(added, _adding.Differs):
        if added.template:
            raise CampaignChanged(
                "the text, url or priority is another one than the campaign has, and nothing was "
                "added: take another name or file for another text",
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
