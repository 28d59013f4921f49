"""Messages as a cargo: checked, numbered, written, and matched with their receipts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count, repeat
from typing import Any

from insim_async import _wire, segments
from insim_async._http import Call
from insim_async._sending.batches import Batch, Ending
from insim_async._sending.checks import Ids, Rules, check_sms
from insim_async._sending.delivery import of_several
from insim_async._sending.fast import plain_messages
from insim_async._wire import Account, Message, Receipts
from insim_async.errors import InSimError, InvalidMessage
from insim_async.models import Outcome, Sms

__all__ = ["Messages"]


class Messages:
    """Messages to be sent.

    Args:
        account: Writes the requests.
        rules: What may be sent.
        ids: Those that were given before, for a caller whose messages must not have the same id.
    """

    def __init__(self, account: Account, rules: Rules, ids: Ids | None = None) -> None:
        self._account = account
        self._rules = rules
        self._fresh = _fresh_ids()
        self._prefix = next(self._fresh)
        self._numbers = count(1)
        self._ids = ids

    def check(self, given: Sequence[Sms], start: int = 0) -> Batch[Sms, Message]:
        """Check messages, and number those that bring no id."""
        first = f"{self._prefix}.{next(self._numbers)}."
        fresh = [f"{first}{place}" for place in range(len(given))]
        if (plain := plain_messages(given, self._rules, fresh, self._ids)) is not None:
            return Batch(start, given, plain, plain)
        checked = [
            check_sms(sms, self._rules, new, self._ids)
            for sms, new in zip(given, fresh, strict=True)
        ]
        good = [message for message in checked if type(message) is Message]
        return Batch(start, given, checked, good)

    def check_one(self, sms: Sms) -> Message | InvalidMessage:
        """Check the message of a caller of its own: its id tells nothing of another's."""
        return check_sms(sms, self._rules, next(self._fresh), None)

    @staticmethod
    def parts_of(good: Message) -> int:
        """Count the parts that a message takes, as it is written."""
        return segments.count(good.message).parts

    def call(self, good: list[Message], **more: Any) -> Call[Receipts]:
        """Make the request to send them."""
        return Call(
            path=_wire.MESSAGES,
            body=self._account.messages(good),
            decode=partial(_wire.read_receipts, good),
            refusal_in=_wire.refused_account,
            **more,
        )

    def ending(self, batch: Batch[Sms, Message], result: object) -> Ending[Sms, Message, Outcome]:
        """Say how each message ended."""
        receipts, errors = _of_each(len(batch.good), result)
        if batch.good is batch.checked:
            told = list(map(Outcome, batch.given, receipts, errors or repeat(None)))
            return Ending(batch, told, errors)
        ends = zip(receipts, errors or repeat(None), strict=False)
        told = [
            Outcome(sms, *((None, each) if isinstance(each, InvalidMessage) else next(ends)))
            for sms, each in zip(batch.given, batch.checked, strict=True)
        ]
        return Ending(batch, told, errors)


def _fresh_ids() -> Iterator[str]:
    """Yield ids that nobody can guess; none tells anything of another.

    They are drawn by the hundred, since each draw asks the operating system.
    """
    import secrets  # slow to import

    while True:
        drawn = secrets.token_urlsafe(18 * 100)
        yield from (drawn[start : start + 24] for start in range(0, len(drawn), 24))


def _of_each(count: int, result: object) -> tuple[Any, Sequence[InSimError | None] | None]:
    """Return the receipts and the errors of each, or one error for all."""
    if isinstance(result, Receipts):
        return result.receipts, result.errors
    errors = [of_several(result, count)] * count if isinstance(result, InSimError) else []
    return repeat(None), errors
