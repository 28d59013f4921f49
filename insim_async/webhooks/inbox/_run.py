"""Claim events and hand them to a router, until no handler raises or their attempts are used up.

Of a ``Run`` a task claims events, another renews their leases, and each event has one for its
handlers. It works over a ``Reach`` to the file, which outlives it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Final, TypeVar, assert_never

import anyio
from msgspec.structs import replace

from insim_async._sqlite import Action, Connection, Desk
from insim_async.errors import InboxUnavailable, InvalidWebhook
from insim_async.webhooks.inbox import _rows, _tending
from insim_async.webhooks.inbox._calling import call_handlers
from insim_async.webhooks.inbox._places import Places
from insim_async.webhooks.inbox._rows import Claim, Ending
from insim_async.webhooks.inbox._schema import Policy
from insim_async.webhooks.inbox._sight import Sight
from insim_async.webhooks.inbox._tending import Tended
from insim_async.webhooks.parsing import read_payload
from insim_async.webhooks.router import ANY_KIND, WebhookRouter

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

__all__ = ["POLL", "Reach", "Run", "Task"]

T = TypeVar("T")
logger: logging.Logger = logging.getLogger("insim_async")

POLL: Final = 1.0
"""Seconds between two looks for events of other processes, and for those that are due again."""


class Reach:
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


class Task:
    """What a worker has to do.

    Args:
        router: Has the handlers.
        kinds: Of events, if not all that the router handles.
        concurrency: Events at a time.
    """

    def __init__(
        self, router: WebhookRouter, kinds: frozenset[str] | None, concurrency: int
    ) -> None:
        self.router = router
        self.concurrency = concurrency
        self.said: set[str] = set()
        self._only = kinds

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of events to be claimed, as the router stands now."""
        handled, only = self.router.kinds(), self._only
        if only is None:
            return handled
        if ANY_KIND in handled:
            return only
        return handled if ANY_KIND in only else handled & only


class Run:
    """One run of the work, under an owner id of its own; it ends if something of ours fails."""

    def __init__(self, reach: Reach, policy: Policy, task: Task) -> None:
        self._reach = reach
        self._policy = policy
        self._task = task
        self._places = Places(task.concurrency)
        # A fresh one for each run: rows left by one that failed look like another worker's.
        self._owner = token_hex(16)
        self._to_tend = True
        self._tended_at = 0.0

    async def work(self, is_stopping: Callable[[], bool]) -> None:
        """Claim events and have them handled until it is to stop; then give back the rest."""
        try:
            async with anyio.create_task_group() as renewing:
                renewing.start_soon(self._renew)
                async with anyio.create_task_group() as handling:
                    while not is_stopping():
                        await self._look(handling)
                    self._places.stop()
                renewing.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._reach.attempt(self._sign_off)

    async def _look(self, handling: TaskGroup) -> None:
        """Claim as many events as there are places for, start their handlers, and wait for news."""
        news = self._reach.desk.news()
        if self._to_tend or self._policy.clock.now() - self._tended_at >= POLL:
            await self._tend()
        quota = self._places.quota()
        claim = partial(
            _rows.claim_due,
            owner=self._owner,
            quota=quota,
            policy=self._policy,
            kinds=self._task.kinds,
        )
        claimed = await self._reach.attempt(claim) if quota.places > 0 else None
        self._places.take(claimed or [])
        self._begin(handling)
        with anyio.move_on_after(POLL) as waiting:
            await news.wait()
        self._to_tend = waiting.cancelled_caught

    async def _tend(self) -> None:
        tend = partial(
            _tending.tend,
            owner=self._owner,
            kinds=self._task.kinds,
            policy=self._policy,
            take_over=self._reach.may_take_over(),
        )
        tended = await self._reach.attempt(tend)
        if tended is not None:
            _say_what_was_tended(tended, self._task.said)
            self._to_tend, self._tended_at = False, self._policy.clock.now()

    def _begin(self, handling: TaskGroup) -> None:
        while (claim := self._places.begin()) is not None:
            handling.start_soon(self._handle, claim, handling)

    async def _handle(self, claim: Claim, handling: TaskGroup) -> None:
        began = self._policy.clock.now()
        ending = await self._ending(claim)
        self._places.leave(self._policy.clock.now() - began)
        self._begin(handling)
        self._reach.desk.wake()  # so early that the transaction that ends this claims the next
        _log_ending(claim, ending)
        now = self._policy.clock.wall()
        await self._reach.insist(
            partial(_rows.move, key=claim.key, owner=self._owner, ending=ending, now=now)
        )
        if self._places.forget(claim):
            self._reach.desk.wake()  # there may be others that were not claimed beside it

    async def _ending(self, claim: Claim) -> Ending:
        try:
            event = read_payload(claim.parameter, claim.payload)
        except InvalidWebhook as error:  # nor will it be one next time
            return Ending("set_aside", reason=f"InvalidWebhook: {error}")
        event = replace(event, _key=claim.key)
        if claim.attempts > self._policy.retry.attempts:
            return Ending("set_aside", reason="its process ended each time", uncounted=1)
        if not self._task.router.handles(event):
            return Ending("waiting", kind=event.kind, uncounted=1)
        failure = await call_handlers(self._task.router, event, claim, self._policy.handler_timeout)
        reason, wish = failure or (None, None)
        return _rows.ending_after(claim.attempts, reason, self._policy, wish)

    async def _renew(self) -> None:
        lease, now = self._policy.lease, self._policy.clock.now
        while True:
            register = partial(
                _tending.register, owner=self._owner, kinds=self._task.kinds, policy=self._policy
            )
            await self._reach.attempt(register)
            renew = partial(
                _rows.renew, keys=self._places.keys, owner=self._owner, until=now() + lease
            )
            await self._reach.attempt(renew)
            await anyio.sleep(lease / 3)

    def _sign_off(self, connection: Connection) -> bool:
        return _tending.sign_off(connection, self._owner) | _rows.release(connection, self._owner)


def _say_what_was_tended(tended: Tended, said: set[str]) -> None:
    """Log what somebody should hear of; of a kind that nobody handles once."""
    if tended.erased:
        logger.warning("inbox: erased what had been set aside for too long: %d", tended.erased)
    for kind in [kind for kind in tended.unhandled if kind not in said]:
        said.add(kind)
        logger.warning(
            "webhook %s: no worker handles it; such events wait for a day, then they are set aside",
            kind,
        )
    for kind in [kind for kind in tended.put_away if f"{kind} put away" not in said]:
        said.add(f"{kind} put away")
        logger.warning("webhook %s: no handler for a day; set aside", kind)


def _log_ending(claim: Claim, ending: Ending) -> None:
    facts = {"event_kind": claim.kind, "event_key": claim.key}
    reason = (
        ending.reason.partition(":")[0] if ending.reason.startswith("GiveUp") else ending.reason
    )
    match ending.state:
        case "done":
            logger.info("webhook %s: handled", claim.kind, extra=facts)
        case "waiting":
            logger.info("webhook %s: left to another worker", claim.kind, extra=facts)
        case "failing":
            logger.warning(
                "webhook %s: %s; again in %.0f s", claim.kind, reason, ending.wait, extra=facts
            )
        case "set_aside":
            logger.error("webhook %s: %s; set aside", claim.kind, reason, extra=facts)
        case _:
            assert_never(ending.state)
