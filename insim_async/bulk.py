"""Many messages: split, send, say how each one ended.

Theory of operation. A bulk call has three parts. A *source* hands out batches of whatever the caller gave: an
iterable is read when a batch is wanted; an async iterable by a task of its own, so that a slow one delays nothing that
it has yielded already. *Workers*, as many as there are slots, each take a batch, send it, and hand over what became
of it before they take the next: nothing is read ahead of what can be sent, and a caller who is slow to take outcomes
slows down the reading. The *caller's loop* takes results from the workers.

The workers live in a task of their own, the keeper, and not in the generator that the caller loops over: a task group
must be left in the task that entered it, and a generator that is dropped in the middle is closed in whichever task
comes along. Closing the generator cancels the keeper and waits for it.

One batch is one request, unless its body would be too long. Messages that fail their checks never enter a request.
Each of the others ends by what the answer says of it (``_wire.match``), or all by the same error. Once the account was
refused, or the address turned out to be wrong, nothing more is sent and the rest is ``NOT_SENT``.
"""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sized
from contextlib import aclosing
from itertools import count, islice
from typing import Generic, Protocol, TypeVar

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from insim_async import _wire
from insim_async._calls import Call
from insim_async._checks import Ids, Rules, check_contact, check_sms, plain_messages
from insim_async._http import Connection
from insim_async._limits import Clock
from insim_async._tasks import start, wait_whatever_comes
from insim_async._wire import Account, Message
from insim_async.errors import (
    AuthenticationFailed,
    BulkInterrupted,
    ConfigurationError,
    InSimError,
    InvalidMessage,
    NotSent,
    OutcomeUnknown,
)
from insim_async.models import BulkReport, Contact, ContactResult, Outcome, Progress, Sms, SmsReceipt, Status

__all__ = ["Bulk"]

T = TypeVar("T")
R = TypeVar("R")
logger: logging.Logger = logging.getLogger("insim_async")

_NO_RECEIPT = "the answer has no receipt that is surely the message's: missing, for another number, or contradictory"

BODY_CAP = 512 * 1024
"""Bytes of one request, at most; nginx takes twice as much unless told otherwise."""


class Bulk:
    """The ways to send more than one, over one connection.

    Args:
        connection: Open, or refusing by itself.
        account: Makes the requests.
        rules: What may be sent.
        batch_size: Messages or contacts in a request, at most.
        workers: Requests under way at a time.
        clock: For the rate in ``Progress``.
    """

    def __init__(
        self, connection: Connection, account: Account, rules: Rules, *, batch_size: int, workers: int, clock: Clock
    ) -> None:
        self._connection = connection
        self._account = account
        self._rules = rules
        self._batch_size = batch_size
        self._workers = workers
        self._clock = clock

    async def send_one(self, sms: Sms) -> Outcome:
        """Send one message, within the deadline of one call."""
        (outcome,) = await self._delivery(patient=False).send([sms])
        return outcome

    async def stream(self, messages: Iterable[Sms] | AsyncIterable[Sms]) -> AsyncGenerator[Outcome, None]:
        """Send all, yielding outcomes as batches end; then raise what the input raised, if it did."""
        source = self._source(messages)
        async with aclosing(_Pipeline(source, self._delivery().send, self._workers).run()) as batches:
            async for _, outcomes in batches:
                outcomes.reverse()
                while outcomes:  # each can be forgotten as soon as the caller is done with it
                    yield outcomes.pop()
        if source.error is not None:
            raise source.error

    async def send_many(
        self, messages: Iterable[Sms] | AsyncIterable[Sms], on_progress: Callable[[Progress], object] | None
    ) -> BulkReport:
        """Send all and report, in the order of the input."""
        source = self._source(messages)
        tally = _Tally(len(messages) if isinstance(messages, Sized) else None, self._clock, on_progress)
        ended: dict[int, list[Outcome]] = {}
        async with aclosing(_Pipeline(source, self._delivery().send, self._workers).run()) as batches:
            async for number, outcomes in batches:
                ended[number] = outcomes
                tally.add(outcomes)
        report = tally.report([outcome for number in sorted(ended) for outcome in ended[number]])
        if source.error is not None:
            raise BulkInterrupted("the input failed; the outcomes up to there are in report", report=report) from (
                source.error
            )
        return report

    async def add_contacts(self, contacts: Iterable[Contact] | AsyncIterable[Contact]) -> list[ContactResult]:
        """Add all, with a result for each in the order of the input; raise if a request failed for good."""
        source = self._source(contacts)
        ended: dict[int, list[ContactResult]] = {}
        async with aclosing(_Pipeline(source, self._add, self._workers).run()) as batches:
            async for number, results in batches:
                ended[number] = results  # noqa: PERF403 - an async comprehension would not read better
        if source.error is not None:
            raise source.error
        return [result for number in sorted(ended) for result in ended[number]]

    def _source(self, items: Iterable[T] | AsyncIterable[T]) -> _Source[T]:
        if (misuse := self._connection.misuse()) is not None:
            raise misuse
        if isinstance(items, AsyncIterable):
            return _Arriving(items, self._batch_size)
        if isinstance(items, Iterable) and not isinstance(items, str | bytes | Mapping):
            return _AtHand(items, self._batch_size)
        raise ConfigurationError(
            f"expected a list, generator or other iterable, got {type(items).__name__}: put a single one into a list"
        )

    def _delivery(self, *, patient: bool = True) -> _Delivery:
        return _Delivery(self._connection, self._account, self._rules, patient=patient)

    async def _add(self, batch: list[Contact]) -> list[ContactResult]:
        checked = [check_contact(contact, self._rules) for contact in batch]
        good = [contact for contact in checked if isinstance(contact, Contact)]
        results = iter(await self._post(good) if good else [])
        return [
            _refused(given, contact) if isinstance(contact, InvalidMessage) else next(results)
            for given, contact in zip(batch, checked, strict=True)
        ]

    async def _post(self, contacts: list[Contact]) -> list[ContactResult]:
        def decode(body: bytes) -> list[ContactResult]:
            return _wire.match_contacts(contacts, _wire.decode_contacts(body))

        call = Call(_wire.CONTACTS, self._account.contacts(contacts), decode, repeatable=True, patient=True)
        if len(call.body) > BODY_CAP and len(contacts) > 1:
            middle = len(contacts) // 2
            return await self._post(contacts[:middle]) + await self._post(contacts[middle:])
        results = await self._connection.post(call)
        if isinstance(results, InSimError):
            raise results
        return results


class _Delivery:
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


class _Tally:
    """The counts of a bulk call under way, and who is told of them."""

    def __init__(self, total: int | None, clock: Clock, on_progress: Callable[[Progress], object] | None) -> None:
        self._total = total
        self._now = clock.now
        self._began = clock.now()
        self._on_progress = on_progress
        self._counts = dict.fromkeys((status.value for status in Status), 0)

    def add(self, outcomes: list[Outcome]) -> None:
        """Count a batch and say so. A callback that raises is dropped: it must not cost a report."""
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        self._counts["sent"] += len(outcomes) - len(failed)
        for outcome in failed:
            self._counts[outcome.status.value] += 1
        if self._on_progress is None:
            return
        try:
            self._on_progress(self._progress())
        except Exception as error:  # noqa: BLE001 - it is the caller's, and may raise anything
            self._on_progress = None
            logger.warning("on_progress raised %s and is not called again", type(error).__name__)

    def report(self, outcomes: list[Outcome]) -> BulkReport:
        """Return the counts with what they count."""
        return BulkReport(outcomes, **self._counts)

    def _progress(self) -> Progress:
        done, seconds = sum(self._counts.values()), self._now() - self._began
        return Progress(done=done, total=self._total, rate=done / seconds if seconds > 0 else 0.0, **self._counts)


class _Source(Protocol[T]):
    """Where batches come from."""

    error: Exception | None

    async def fill(self) -> None:
        """Read ahead, if need be, until there is no more."""
        ...

    async def take(self) -> list[T]:
        """Return the next batch; an empty one is the end."""
        ...


class _AtHand(Generic[T]):
    """Batches of an iterable, read when they are wanted."""

    def __init__(self, items: Iterable[T], size: int) -> None:
        self.error: Exception | None = None
        self._items = iter(items)
        self._size = size

    async def fill(self) -> None:
        pass

    async def take(self) -> list[T]:
        batch: list[T] = []
        try:
            batch.extend(islice(self._items, self._size))  # what came before an exception stays in the list
        except Exception as error:  # noqa: BLE001 - it is the caller's, and may raise anything
            self.error = error
            self._items = iter(())
        return batch


class _Arriving(Generic[T]):
    """Batches of what an async iterable has yielded so far: full ones from a fast one, small ones from a slow one."""

    def __init__(self, items: AsyncIterable[T], size: int) -> None:
        self.error: Exception | None = None
        self._items = items
        self._size = size
        self._waiting: deque[T] = deque()
        self._ended = False
        self._news = anyio.Event()
        self._room = anyio.Event()

    async def fill(self) -> None:
        try:
            async for item in self._items:
                self._waiting.append(item)
                self._news.set()
                while len(self._waiting) >= self._size:
                    self._room = anyio.Event()
                    await self._room.wait()
        except anyio.get_cancelled_exc_class() as error:
            await checkpoint_if_cancelled()  # goes on if not this was cancelled, but what the input waits for
            self.error = RuntimeError("the input was cancelled")
            self.error.__cause__ = error
        except Exception as error:  # noqa: BLE001 - it is the caller's, and may raise anything
            self.error = error
        self._ended = True
        self._news.set()

    async def take(self) -> list[T]:
        while not self._waiting and not self._ended:
            if self._news.is_set():
                self._news = anyio.Event()
            await self._news.wait()
        batch = [self._waiting.popleft() for _ in range(min(self._size, len(self._waiting)))]
        self._room.set()
        return batch


class _Handover(Generic[T]):
    """One place where many give, one takes, and each giver waits until its gift was taken.

    A memory stream of anyio would do, but for one thing: it forgets a native cancellation that comes together with an
    item, and a caller who is cancelled would go on sending.
    """

    def __init__(self) -> None:
        self._gifts: deque[tuple[T, anyio.Event]] = deque()
        self._news = anyio.Event()
        self._ended = False

    async def give(self, gift: T) -> None:
        """Offer something; return when it was taken."""
        taken = anyio.Event()
        self._gifts.append((gift, taken))
        self._news.set()
        await taken.wait()

    async def take(self) -> T | None:
        """Wait for something; None is the end."""
        while not self._gifts:
            if self._ended:
                return None
            self._news = anyio.Event()
            await self._news.wait()
        gift, taken = self._gifts.popleft()
        taken.set()
        return gift

    def end(self) -> None:
        """Say that nothing more will be given."""
        self._ended = True
        self._news.set()


class _Pipeline(Generic[T, R]):
    """The workers of one call, the task that keeps them, and what comes out of them.

    Args:
        source: Hands out the batches.
        handle: Makes something of each.
        workers: How many batches at a time.
    """

    def __init__(self, source: _Source[T], handle: Callable[[list[T]], Awaitable[list[R]]], workers: int) -> None:
        self._source = source
        self._handle = handle
        self._workers = workers
        self._numbers = count()
        self._results = _Handover[tuple[int, list[R]]]()
        self._failures: list[BaseException] = []
        self._scope = anyio.CancelScope()
        self._finished = False
        self._end = anyio.Event()

    async def run(self) -> AsyncGenerator[tuple[int, list[R]], None]:
        """Yield what becomes of each batch as it ends, with the batch's number; raise what ``handle`` raises.

        Closing it cancels what is under way, and waits for that.
        """
        start(self._keep, self._ended)
        try:
            while (result := await self._results.take()) is not None:
                yield result
        finally:
            self._scope.cancel()
            await wait_whatever_comes(self._end)
        if self._failures:
            raise self._failures[0]
        if not self._finished:
            raise OutcomeUnknown("the sending was cancelled from outside; what was under way may have been sent")

    async def _keep(self) -> None:
        try:
            with self._scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._source.fill)
                    for _ in range(self._workers):
                        group.start_soon(self._work)
                self._finished = not group.cancel_scope.cancel_called  # as it is where one of them was cancelled
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - raised where somebody awaits it
            self._failures.append(error)

    async def _work(self) -> None:
        while batch := await self._source.take():
            number = next(self._numbers)
            try:
                await self._results.give((number, await self._handle(batch)))
            except Exception as error:  # noqa: BLE001 - raised where somebody awaits it
                self._failures.append(error)
                self._scope.cancel()

    def _ended(self) -> None:
        self._end.set()
        self._results.end()


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


def _refused(contact: object, fault: InvalidMessage) -> ContactResult:
    given = contact if isinstance(contact, Contact) else Contact("")
    return ContactResult(
        given.phone_number, given.first_name, given.last_name, given.address, given.email, errors=(str(fault),)
    )
