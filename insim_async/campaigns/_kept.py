"""What campaigns and outboxes have in common for their users: messages that a ledger keeps."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Generic, Literal, TypeVar

from anyio.lowlevel import checkpoint

from insim_async._tasks import current_loop
from insim_async.campaigns import _optouts, _rows, _spending, _standing
from insim_async.campaigns._beginning import check_given_limits
from insim_async.campaigns._export import export
from insim_async.campaigns._ledger import Ledger
from insim_async.campaigns._run import Run
from insim_async.campaigns._states import Delivery, MessageStatus, Move
from insim_async.campaigns._stop import is_stop, number_key
from insim_async.campaigns._values import CampaignMessage, CampaignStatus
from insim_async.campaigns.pacing import Limits
from insim_async.errors import ConfigurationError, InvalidMessage
from insim_async.webhooks import DeliveryStatus, Event, IncomingSms, LinkClick

__all__ = ["Kept", "status_of"]

M = TypeVar("M", bound=CampaignMessage)
T = TypeVar("T")
logger: logging.Logger = logging.getLogger("insim_async")

PAGE = 500
_EXPORTED = ("row", "phone_number", "status", "delivery", "parts", "error", "at", "sms_id", "text")
_SETTLED = {
    MessageStatus.SENT: Move.SETTLE_SENT,
    MessageStatus.REFUSED: Move.SETTLE_REFUSED,
    MessageStatus.NOT_SENT: Move.SETTLE_NOT_SENT,
}


class Kept(Generic[M]):
    """Messages in a file: looked at, reported, settled, and held back from whoever opted out.

    Args:
        ledger: Has them.
        words: What opts out.
        kind: Of the messages, as users see them.
    """

    def __init__(self, ledger: Ledger, words: frozenset[str], kind: type[M]) -> None:
        self._ledger = ledger
        self._words = words
        self._kind = kind
        self._running: tuple[Run, object] | None = None  # and the event loop in which it runs

    def close(self) -> None:
        """Close the file; a run under way stops there."""
        self._ledger.close()

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

    async def messages(self, status: MessageStatus | str | None = None) -> AsyncGenerator[M, None]:
        """Yield the messages, or those in a status, in the order in which they were added.

        The file is read in pages, and may change between two of them.

        Args:
            status: Only those; by default all.

        Raises:
            ConfigurationError: There is no such status.
            LedgerUnavailable: The file cannot be read.
        """
        wanted = None if status is None else status_of(status)
        known, after = self._ledger.known, 0
        while True:
            page = await self._do(
                partial(
                    _rows.page,
                    prefix=known.prefix,
                    status=wanted,
                    after=after,
                    limit=PAGE,
                    kind=self._kind,
                )
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
        async with aclosing(self.messages(status)) as rows:
            return await export(Path(path), rows, _EXPORTED)

    # What becomes of it -------------------------------------------------------------------------

    async def record(self, event: Event) -> bool:
        """Learn from a webhook: a delivery report, a click, or an SMS that opts out.

        Reports come in any order, twice, and before the answer: a message only ever becomes more
        certain. Register it with a router, ``router.on(DeliveryStatus, LinkClick,
        IncomingSms)(campaign.record)``, in whichever process has the webhooks.

        Args:
            event: Any event; those that say nothing here change nothing.

        Returns:
            Whether it was about a message of this one, or an opt-out.

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
        keys = await _keys(numbers)
        return await self._ledger.do(partial(_optouts.suppress, numbers=keys, now=self._ledger.now))

    async def unsuppress(self, numbers: Iterable[str]) -> int:
        """Take numbers off the list of those who opted out; return how many were on it.

        Args:
            numbers: In any form that ``suppress`` takes.

        Raises:
            InvalidMessage: One has too few digits; none was taken.
            LedgerUnavailable: The file cannot be written.
        """
        keys = await _keys(numbers)
        return await self._ledger.do(partial(_optouts.unsuppress, numbers=keys))

    async def suppressed(self) -> list[str]:
        """Return who has opted out, in a form that ``suppress`` takes.

        Numbers that could not be read stand at the end, as they came.

        Raises:
            LedgerUnavailable: The file cannot be read.
        """
        keys, unread = await self._ledger.do(_optouts.suppressed)
        return [*(f"+{key}" if key > 0 else f"{-key:09}" for key in keys), *unread]

    async def retry(self) -> int:
        """Let messages that were not sent try again at the next run; return how many.

        Those of which a delivery report speaks are left alone.

        Raises:
            LedgerUnavailable: The file cannot be written.
        """
        return await self._ledger.do_in_slices(partial(_rows.retry, now=self._ledger.now))

    async def resend(
        self,
        messages: Iterable[M | str] | AsyncIterable[M | str],
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
        message: M | str,
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
        move = _SETTLED.get(status_of(status))
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

    async def set_limits(self, limits: Limits) -> None:
        """Set how fast all may go that is sent from this file; a run takes it over at once.

        Args:
            limits: In place of all that were set before; ``Limits()`` ends them.

        Raises:
            ConfigurationError: Those are no limits.
            LedgerUnavailable: The file cannot be written.
        """
        limits = check_given_limits(limits)
        await self._ledger.do(partial(_spending.set_limits, limits=limits))
        self._wake()

    # Within -------------------------------------------------------------------------------------

    async def _report(self, event: DeliveryStatus | LinkClick, delivery: Delivery) -> bool:
        key = number_key(event.phone_number)
        known = await self._ledger.do(
            partial(
                _rows.report,
                known=self._ledger.known,
                sms_id=event.sms_id,
                delivery=delivery,
                is_its_number=key.matches if key is not None else lambda _: True,
                now=self._ledger.now,
            )
        )
        self._ledger.tell()
        return known

    async def _stop(self, phone_number: str) -> None:
        key = number_key(phone_number)
        now = self._ledger.now
        if key is None:
            logger.warning("an SMS opts out from a number that cannot be read: see suppressed()")
            await self._ledger.do(partial(_optouts.keep_unread_stop, phone=phone_number, now=now))
        else:
            await self.suppress([phone_number])

    async def _do(self, action: Callable[..., T]) -> T:
        """Do an action that is about this campaign."""
        return await self._ledger.do(partial(action, campaign=self._ledger.known.campaign))

    def _wake(self) -> None:
        if self._running is not None and self._running[1] is current_loop():
            self._running[0].wake()


def status_of(word: object) -> MessageStatus:
    """Return the status that a word stands for.

    Raises:
        ConfigurationError: There is none.
    """
    try:
        return MessageStatus(str(word))
    except ValueError:
        pass
    raise ConfigurationError(f"status: expected one of {', '.join(MessageStatus)}")


def _id_of(message: CampaignMessage | str) -> str:
    return message if isinstance(message, str) else message.sms_id


async def _keys(numbers: Iterable[str]) -> list[int]:
    """Return numbers as the ledger compares them: negative where only nine digits are known.

    Others have their turn now and then: there may be very many.
    """
    if isinstance(numbers, str):
        raise ConfigurationError("numbers: expected several; put a single one into a list")
    keys = []
    for place, number in enumerate(numbers, 1):
        key = number_key(number)
        if key is None:
            raise InvalidMessage("phone_number", f"the one in place {place} has too few digits")
        keys.append(key.number if key.is_exact else -key.number)
        if not place % PAGE:
            await checkpoint()
    return keys
