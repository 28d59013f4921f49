"""Messages on their way: checked, numbered, posted, and matched with what the answer says of them.

One batch is one request, unless its body would be too long. Messages that fail their checks never
enter a request. Each of the others ends by what the answer says of it, or all by the same error.
Once the account was refused, or the address turned out to be wrong, nothing more is sent and the
rest is ``NOT_SENT``.
"""

from __future__ import annotations

import functools
from itertools import repeat

from insim_async import _wire
from insim_async._http import Call, Connection
from insim_async._sending.checks import Ids, Rules, check_sms
from insim_async._sending.fast import plain_messages
from insim_async._wire import Account, Message
from insim_async.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InSimError,
    InvalidMessage,
    NotSent,
    OutcomeUnknown,
    Refused,
)
from insim_async.models import Outcome, Sms

__all__ = ["BODY_CAP", "Delivery", "is_too_large", "not_sent_after", "of_several"]

BODY_CAP = 512 * 1024
"""Bytes of one request, at most; nginx takes twice as much unless told otherwise."""


class Delivery:
    """One call's messages on their way: the ids given, and whether more may be sent.

    Attributes:
        stopped: What every later request would end in as well; None as long as there is hope.
    """

    def __init__(
        self, connection: Connection, account: Account, rules: Rules, *, waits_are_free: bool
    ) -> None:
        self.stopped: InSimError | None = None
        self._connection = connection
        self._account = account
        self._rules = rules
        self._waits_are_free = waits_are_free
        import secrets  # slow to import

        self._prefix = secrets.token_urlsafe(16)
        self._count = 0
        self._ids = Ids()

    async def send(self, batch: list[Sms]) -> list[Outcome]:
        """Send a batch; return an outcome for each of its messages, in order."""
        self._count += 1
        start = f"{self._prefix}.{self._count}."
        fresh = [f"{start}{place}" for place in range(len(batch))]
        plain = plain_messages(batch, self._rules, fresh)
        if plain is not None:
            return await self._deliver(batch, plain)
        checked = [
            check_sms(sms, self._rules, new, self._ids)
            for sms, new in zip(batch, fresh, strict=True)
        ]
        messages = [message for message in checked if type(message) is Message]
        sent = [
            sms for sms, message in zip(batch, checked, strict=True) if type(message) is Message
        ]
        outcomes = iter(await self._deliver(sent, messages) if sent else [])
        return [
            Outcome(sms, None, message) if isinstance(message, InvalidMessage) else next(outcomes)
            for sms, message in zip(batch, checked, strict=True)
        ]

    async def _deliver(self, batch: list[Sms], messages: list[Message]) -> list[Outcome]:
        if self.stopped is not None:
            return [Outcome(sms, None, not_sent_after(self.stopped)) for sms in batch]
        call = Call(
            path=_wire.MESSAGES,
            body=self._account.messages(messages),
            decode=functools.partial(_wire.read_receipts, messages),
            refusal_in=_wire.refused_account,
            count=len(messages),
            waits_are_free=self._waits_are_free,
        )
        if len(call.body) > BODY_CAP and len(batch) > 1:
            return await self._in_halves(batch, messages)
        result = await self._connection.post(call)
        if isinstance(result, InSimError):
            if is_too_large(result) and len(batch) > 1:
                return await self._in_halves(batch, messages)
            error = of_several(result, len(batch))
            self._stop_for(error)
            return [Outcome(sms, None, error) for sms in batch]
        for reason in filter(None, result.errors or ()):
            self._stop_for(reason)
        return list(map(Outcome, batch, result.receipts, result.errors or repeat(None)))

    async def _in_halves(self, batch: list[Sms], messages: list[Message]) -> list[Outcome]:
        middle = len(batch) // 2
        first = await self._deliver(batch[:middle], messages[:middle])
        return first + await self._deliver(batch[middle:], messages[middle:])

    def _stop_for(self, error: InSimError) -> None:
        if self.stopped is None and isinstance(error, AuthenticationFailed | ConfigurationError):
            self.stopped = error


def is_too_large(error: InSimError) -> bool:
    """Say whether a request was refused for its size, so that nothing was done.

    What stands in front of the application refuses it, before that has seen it.
    """
    return isinstance(error, Refused) and error.status_code == 413


def of_several(error: InSimError, count: int) -> InSimError:
    """Return what an error of a request says of each of the ``count`` that travelled in it.

    A 4xx about several proves nothing of any of them: a script may stop at its fifty-first row.
    """
    if count == 1 or not isinstance(error, Refused) or isinstance(error, AuthenticationFailed):
        return error
    words = f"{error} ({count} travelled together, and some may have been taken)"
    return OutcomeUnknown(words, status_code=error.status_code)


def not_sent_after(stopped: InSimError) -> InSimError:
    """Return the error of all that was to be sent after what stopped the call.

    Login or access key were refused, or the address was found wrong.
    """
    if not isinstance(stopped, AuthenticationFailed):
        return stopped
    error = NotSent(f"nothing was sent after login or access key had been refused: {stopped}")
    error.__cause__ = stopped
    return error
