"""Messages on their way: checked, numbered, posted, and matched with what the answer says of them.

One batch is one request, unless its body would be too long. Messages that fail their checks never enter a request.
Each of the others ends by what the answer says of it (``_wire.match``), or all by the same error. Once the account was
refused, or the address turned out to be wrong, nothing more is sent and the rest is ``NOT_SENT``.
"""

from __future__ import annotations

import functools

from insim_async import _wire
from insim_async._http import Call, Connection
from insim_async._sending.checks import Ids, Rules, check_sms, plain_messages
from insim_async._wire import Account, Message
from insim_async.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InSimError,
    InvalidMessage,
    NotSent,
    OutcomeUnknown,
)
from insim_async.models import Outcome, Sms, SmsReceipt

__all__ = ["BODY_CAP", "Delivery"]

_NO_RECEIPT = "the answer has no receipt that is surely the message's: missing, for another number, or contradictory"

BODY_CAP = 512 * 1024
"""Bytes of one request, at most; nginx takes twice as much unless told otherwise."""


class Delivery:
    """One call's messages on their way: which ids were given, and whether anything more may be sent."""

    def __init__(self, connection: Connection, account: Account, rules: Rules, *, patient: bool) -> None:
        self._connection = connection
        self._account = account
        self._rules = rules
        self._patient = patient
        import secrets  # slow to import

        self._prefix = secrets.token_urlsafe(16)
        self._count = 0
        self._ids = Ids()
        self._stop: InSimError | None = None

    async def send(self, batch: list[Sms]) -> list[Outcome]:
        """Send a batch; return an outcome for each of its messages, in order."""
        self._count += 1
        fresh = list(map(f"{self._prefix}.{self._count}".__add__, _places(len(batch))))
        plain = plain_messages(batch, self._rules, fresh)
        if plain is not None:
            return await self._deliver(batch, plain)
        checked = [check_sms(sms, self._rules, new, self._ids) for sms, new in zip(batch, fresh, strict=True)]
        messages = [message for message in checked if type(message) is Message]
        sent = [sms for sms, message in zip(batch, checked, strict=True) if type(message) is Message]
        outcomes = iter(await self._deliver(sent, messages) if sent else [])
        return [
            Outcome(sms, None, message) if isinstance(message, InvalidMessage) else next(outcomes)
            for sms, message in zip(batch, checked, strict=True)
        ]

    async def _deliver(self, batch: list[Sms], messages: list[Message]) -> list[Outcome]:
        if self._stop is not None:
            return [Outcome(sms, None, self._stop) for sms in batch]
        call = Call(
            _wire.MESSAGES,
            self._account.messages(messages),
            _wire.decode_receipts,
            count=len(messages),
            patient=self._patient,
        )
        if len(call.body) > BODY_CAP and len(batch) > 1:
            middle = len(batch) // 2
            first = await self._deliver(batch[:middle], messages[:middle])
            return first + await self._deliver(batch[middle:], messages[middle:])
        result = await self._connection.post(call)
        if isinstance(result, InSimError):
            self._stop = self._stop or _reason_to_stop(result)
            return [Outcome(sms, None, result) for sms in batch]
        if _wire.all_sent(messages, result):
            return list(map(Outcome, batch, result))
        outcomes = [_outcome(sms, receipt) for sms, receipt in zip(batch, _wire.match(messages, result), strict=True)]
        reasons = (_reason_to_stop(outcome.error) for outcome in outcomes if outcome.error is not None)
        self._stop = next(filter(None, [self._stop, *reasons]), None)
        return outcomes


@functools.lru_cache(maxsize=8)
def _places(count: int) -> tuple[str, ...]:
    """Return what tells the ids of one batch apart."""
    return tuple(f".{place}" for place in range(count))


def _reason_to_stop(error: InSimError) -> InSimError | None:
    """Return what every later message ends with, if the next request can only end as this one did."""
    if isinstance(error, AuthenticationFailed):
        stop = NotSent(f"nothing was sent after login or access key had been refused: {error}")
        stop.__cause__ = error
        return stop
    return error if isinstance(error, ConfigurationError) else None


def _outcome(sms: Sms, receipt: SmsReceipt | None) -> Outcome:
    if receipt is None:
        return Outcome(sms, None, OutcomeUnknown(_NO_RECEIPT))
    return Outcome(sms, receipt, _wire.fault_of(receipt))
