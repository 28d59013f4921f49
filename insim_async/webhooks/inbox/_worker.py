"""Takes events from the inbox and hands them to a router, until none of its handlers raises or it is too often."""

from __future__ import annotations

import logging
from collections.abc import Iterator
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
from insim_async.webhooks.inbox._rows import Claim, Ending, Settings
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
    """A task that claims events, and one for each of them.

    Args:
        desk: Of the event loop in which it works.
        settings: Of the inbox.
        router: Has the handlers.
        concurrency: Events at a time.
    """

    def __init__(self, desk: Desk, settings: Settings, router: WebhookRouter, concurrency: int) -> None:
        self._desk = desk
        self._settings = settings
        self._router = router
        self._concurrency = concurrency
        self._owner = ""
        self._free = 0  # places for events
        self._claims: list[Claim] = []  # whose leases are to be renewed
        self._scope = anyio.CancelScope()
        self._gone = anyio.Event()
        self._stopping = False
        self._well = True
        self._retried = False  # whether what failed before had its turn the last time
        self._reached_at = settings.clock.now()  # when the file answered the last time
        self._blind_until = float("-inf")  # whose lease has ended by then may have had no way to renew it

    def start(self) -> None:
        """Begin to work; whoever starts it has to stop it, in whichever task."""
        _tasks.start(self._keep, self._ended)

    async def stop(self) -> None:
        """Claim nothing more; wait for what is running, then cancel it. Cancelled, it does not wait."""
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
                    await self._work()
                except Exception as error:  # noqa: BLE001 - a clock that raises, or a fault of ours: events must go on
                    logger.error("inbox: the worker failed and begins anew: %s", _named(error))  # noqa: TRY400 - its words may hold content
                    await anyio.sleep(POLL)

    async def _work(self) -> None:
        # Whoever has a name of its own takes over what it left behind under another, as if somebody else had crashed.
        self._owner, self._free, self._claims = token_hex(16), self._concurrency, []
        try:
            async with anyio.create_task_group() as renewing:
                renewing.start_soon(self._renew)
                async with anyio.create_task_group() as handling:
                    while not self._stopping:
                        await self._look(handling)
                renewing.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._try(partial(_rows.release, owner=self._owner))

    async def _look(self, handling: TaskGroup) -> None:
        """Claim what there is room for, and wait until there may be more, of either."""
        news = self._desk.news()
        claim = partial(
            _rows.claim,
            owner=self._owner,
            places=self._free,
            settings=self._settings,
            suspects=0 if any(claim.suspect for claim in self._claims) else 1,
            retries=0 if self._retried or any(map(_is_retry, self._claims)) else 1,
            take_over=self._sees(),
        )
        claims = await self._try(claim) if self._free else None
        if claims:
            self._retried = any(map(_is_retry, claims))
        for one in claims or ():
            self._free -= 1
            self._claims.append(one)
            handling.start_soon(self._handle, one)
        with anyio.move_on_after(POLL):
            await news.wait()

    async def _handle(self, claim: Claim) -> None:
        ending = await self._ending(claim)
        self._free += 1
        self._desk.wake()  # so early that the transaction that ends this claims the next
        _log(claim, ending)
        now = self._settings.clock.wall()
        await self._insist(partial(_rows.move, key=claim.key, owner=self._owner, ending=ending, now=now))
        self._claims.remove(claim)

    async def _ending(self, claim: Claim) -> Ending:
        try:
            event = parse_again(claim.query)
        except InvalidWebhook as error:  # nor will it be one next time
            return Ending("set_aside", reason=f"InvalidWebhook: {error}")
        crashed = claim.attempts > self._settings.retry.attempts
        failure = "its process ended each time" if crashed else await self._failure(event)
        return _rows.decide(claim.attempts, failure, self._settings)

    async def _failure(self, event: Event) -> str | None:
        try:
            with anyio.fail_after(self._settings.handler_timeout):
                await self._router.dispatch(event)
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - it is the user's: SystemExit and the like must not end the worker
            await checkpoint_if_cancelled()  # goes on if it is a cancellation that nobody but the handler asked for
            return _named(error)
        return None

    async def _renew(self) -> None:
        settings = self._settings
        while True:
            await anyio.sleep(settings.lease / 3)
            keys, until = [claim.key for claim in self._claims], settings.clock.now() + settings.lease
            await self._try(partial(_rows.renew, keys=keys, owner=self._owner, until=until))

    async def _insist(self, action: Action[T]) -> T:
        while True:
            if (result := await self._try(action)) is not None:
                return result
            await anyio.sleep(POLL)

    async def _try(self, action: Action[T]) -> T | None:
        """Do it, or return None; of failures in a row only the first is logged."""
        try:
            result = await self._desk.do(action)
        except InboxUnavailable as error:
            if self._well:
                logger.warning("inbox: %s; the worker goes on trying", error)
            self._well = False
            return None
        now = self._settings.clock.now()
        if now - self._reached_at > self._settings.lease / 2:
            self._blind_until = now + self._settings.lease
        self._reached_at, self._well = now, True
        return result

    def _sees(self) -> bool:
        """Say whether a lease that has ended tells of a crash: while nobody could write, nobody could renew one."""
        now = self._settings.clock.now()
        return now >= self._blind_until and now - self._reached_at <= self._settings.lease / 2


def _is_retry(claim: Claim) -> bool:
    return claim.attempts > 1 and not claim.suspect


def _log(claim: Claim, ending: Ending) -> None:
    facts = {"event_kind": claim.kind, "event_key": claim.key}
    match ending.state:
        case "done":
            logger.info("webhook %s: handled", claim.kind, extra=facts)
        case "waiting":
            logger.warning("webhook %s: %s; again in %.0f s", claim.kind, ending.reason, ending.wait, extra=facts)
        case "set_aside":
            logger.error("webhook %s: %s; set aside", claim.kind, ending.reason, extra=facts)
        case _:
            assert_never(ending.state)


def _named(error: BaseException) -> str:
    """Name the classes of what was raised; its words may hold a person's number or text."""
    return ", ".join(dict.fromkeys(_names(error)))


def _names(error: BaseException) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _names(inner)
    else:
        yield type(error).__name__
