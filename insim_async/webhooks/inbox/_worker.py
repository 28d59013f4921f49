"""Claim events and hand them to a router, until no handler raises or their attempts are used up.

A ``Worker`` begins one ``_Run`` after the other, each with places and an owner id of its own, over
one ``_Reach`` to the file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Final, TypeVar, assert_never

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from insim_async import _tasks
from insim_async._sqlite import Action, Desk
from insim_async.errors import InboxUnavailable, InvalidWebhook
from insim_async.webhooks.events import Event
from insim_async.webhooks.inbox import _rows
from insim_async.webhooks.inbox._places import Places
from insim_async.webhooks.inbox._rows import Claim, Ending, Policy
from insim_async.webhooks.inbox._sight import Sight
from insim_async.webhooks.parsing import parse_again
from insim_async.webhooks.router import WebhookRouter

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

__all__ = ["GRACE", "POLL", "Worker"]

T = TypeVar("T")
logger: logging.Logger = logging.getLogger("insim_async")

POLL: Final = 1.0
"""Seconds between two looks for events of other processes, and for those that are due again."""
GRACE: Final = 5.0
"""Seconds that running handlers are left at the end."""


class Worker:
    """The life of a worker: a background task that goes on until it is told to stop.

    Args:
        desk: Of the event loop in which it works.
        policy: Of the inbox.
        router: Has the handlers.
        concurrency: Events at a time.
    """

    def __init__(self, desk: Desk, policy: Policy, router: WebhookRouter, concurrency: int) -> None:
        self._desk = desk
        self._begin = partial(_Run, _Reach(desk, policy), policy, router, concurrency)
        self._scope = anyio.CancelScope()
        self._gone = anyio.Event()
        self._stopping = False

    def start(self) -> None:
        """Start the background task; whoever starts it must stop it, in this task or another."""
        _tasks.start(self._keep, self._ended)

    async def stop(self) -> None:
        """Claim nothing more, wait for running handlers, then cancel them.

        If this is cancelled, they are cancelled at once.
        """
        self._stopping = True
        self._desk.wake()
        try:
            with anyio.move_on_after(GRACE):
                await self._gone.wait()
        finally:
            self._scope.cancel()
            await _tasks.wait_whatever_comes(self._gone)

    def _ended(self) -> None:
        self._gone.set()
        if not self._stopping:
            logger.warning("inbox: the worker was cancelled from outside; events wait for the next")

    async def _keep(self) -> None:
        with self._scope:
            while not self._stopping:
                try:
                    await self._begin().work(lambda: self._stopping)
                except Exception as error:  # noqa: BLE001 - a clock that raises, or a fault of ours: events must go on
                    logger.error(
                        "inbox: the worker failed and begins anew: %s", _class_names(error)
                    )
                    await anyio.sleep(POLL)


class _Reach:
    """Access to the file, which may be unavailable: it tries again, and remembers what it saw."""

    def __init__(self, desk: Desk, policy: Policy) -> None:
        self.desk = desk
        self._now = policy.clock.now
        self._sight = Sight(lease=policy.lease, answered_at=self._now())

    async def attempt(self, action: Action[T]) -> T | None:
        """Do an action and return its result, or None if the file is unavailable.

        Of failures in a row only the first is logged.
        """
        try:
            result = await self.desk.do(action)
        except InboxUnavailable as error:
            if self._sight.answers:
                logger.warning("inbox: %s; the worker goes on trying", error)
            self._sight = self._sight.unanswered()
            return None
        self._sight = self._sight.answered(self._now())
        return result

    async def insist(self, action: Action[T]) -> T:
        """Do an action and return its result, as soon as the file is available."""
        while True:
            if (result := await self.attempt(action)) is not None:
                return result
            await anyio.sleep(POLL)

    def may_take_over(self) -> bool:
        """Return whether a lease that has ended tells of a crash."""
        return self._sight.may_take_over(self._now())


class _Run:
    """One run of the work, under an owner id of its own; it ends if something of ours fails.

    A task claims events, another renews their leases, and each event has one for its handlers.
    """

    def __init__(
        self, reach: _Reach, policy: Policy, router: WebhookRouter, concurrency: int
    ) -> None:
        self._reach = reach
        self._policy = policy
        self._router = router
        self._places = Places(concurrency)
        # A fresh one for each run: rows left by one that failed look like another worker's.
        self._owner = token_hex(16)

    async def work(self, is_stopping: Callable[[], bool]) -> None:
        """Claim events and have them handled until it is to stop; then give back the rest."""
        try:
            async with anyio.create_task_group() as renewing:
                renewing.start_soon(self._renew)
                async with anyio.create_task_group() as handling:
                    while not is_stopping():
                        await self._look(handling)
                renewing.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._reach.attempt(partial(_rows.release, owner=self._owner))

    async def _look(self, handling: TaskGroup) -> None:
        """Claim as many events as there are places for, start their handlers, and wait for news."""
        news = self._reach.desk.news()
        quota = self._places.quota()
        claim_due = partial(
            _rows.claim_due,
            owner=self._owner,
            policy=self._policy,
            take_over=self._reach.may_take_over(),
            **quota._asdict(),
        )
        claims = (await self._reach.attempt(claim_due) if quota.places else None) or []
        self._places.take(claims)
        for claim in claims:
            handling.start_soon(self._handle, claim)
        with anyio.move_on_after(POLL):
            await news.wait()

    async def _handle(self, claim: Claim) -> None:
        ending = await self._ending(claim)
        self._places.leave()
        self._reach.desk.wake()  # so early that the transaction that ends this claims the next
        _log_ending(claim, ending)
        now = self._policy.clock.wall()
        await self._reach.insist(
            partial(_rows.move, key=claim.key, owner=self._owner, ending=ending, now=now)
        )
        self._places.forget(claim)

    async def _ending(self, claim: Claim) -> Ending:
        try:
            event = parse_again(claim.query)
        except InvalidWebhook as error:  # nor will it be one next time
            return Ending("set_aside", reason=f"InvalidWebhook: {error}")
        crashed = claim.attempts > self._policy.retry.attempts
        failure = "its process ended each time" if crashed else await self._failure(event)
        return _rows.ending_after(claim.attempts, failure, self._policy)

    async def _failure(self, event: Event) -> str | None:
        """Call the handlers, and return why they failed, if they did."""
        try:
            with anyio.fail_after(self._policy.handler_timeout):
                await self._router.dispatch(event)
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - it is the user's: SystemExit and the like must not end the worker
            # Goes on if it is a cancellation that nobody but the handler asked for.
            await checkpoint_if_cancelled()
            return _class_names(error)
        return None

    async def _renew(self) -> None:
        lease, now = self._policy.lease, self._policy.clock.now
        while True:
            await anyio.sleep(lease / 3)
            renew = partial(
                _rows.renew, keys=self._places.keys, owner=self._owner, until=now() + lease
            )
            await self._reach.attempt(renew)


def _log_ending(claim: Claim, ending: Ending) -> None:
    facts = {"event_kind": claim.kind, "event_key": claim.key}
    match ending.state:
        case "done":
            logger.info("webhook %s: handled", claim.kind, extra=facts)
        case "waiting":
            logger.warning(
                "webhook %s: %s; again in %.0f s",
                claim.kind,
                ending.reason,
                ending.wait,
                extra=facts,
            )
        case "set_aside":
            logger.error("webhook %s: %s; set aside", claim.kind, ending.reason, extra=facts)
        case _:
            assert_never(ending.state)


def _class_names(error: BaseException) -> str:
    """Name the classes of what was raised; its words may hold a person's number or text."""
    return ", ".join(dict.fromkeys(_each_name(error)))


def _each_name(error: BaseException) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _each_name(inner)
    else:
        yield type(error).__name__
