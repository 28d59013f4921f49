"""The life of a worker: it stands by, sends while it has the lock, and goes on until it is to stop.

What it does is a run as of a campaign, without an end. A run that fails gives the lock back, so
that another process may take over, and is begun anew.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from msgspec import Struct

from insim_async import _tasks
from insim_async._sending import Listener, Seam
from insim_async.campaigns import CampaignBusy, Limits
from insim_async.campaigns._beginning import begin
from insim_async.campaigns._ledger import Ledger
from insim_async.campaigns._plan import Plan
from insim_async.campaigns._progress import Progress
from insim_async.campaigns._run import POLL, Run
from insim_async.campaigns._spending import Pace
from insim_async.errors import CampaignStopped, InSimError
from insim_async.outbox._parcels import Claims

__all__ = ["OutboxWorker", "Work", "working"]

logger: logging.Logger = logging.getLogger("insim_async")

LONGEST_PAUSE = 60.0
"""Seconds before a run that failed begins anew, at most; ``POLL`` at first, then twice as long."""


class Work(Struct, frozen=True, eq=False):
    """What a worker has to do.

    Attributes:
        seam: The client.
        plan: When it may send.
        limits: Are stored when it begins to send; None leaves those that are.
        claims: Say what goes.
    """

    seam: Seam
    plan: Plan
    limits: Limits | None
    claims: Claims


class OutboxWorker:
    """A worker of an outbox; ``Outbox.worker`` gives one."""

    def __init__(
        self,
        ledger: Ledger,
        work: Work,
        has_run: Callable[[tuple[Run, object] | None], None],
    ) -> None:
        self._ledger = ledger
        self._work = work
        self._has_run = has_run
        self._failures = 0
        self._complaint = ""
        self._stopping = False
        self._is_sending = False
        self._scope: anyio.CancelScope | None = None
        self._gone = anyio.Event()
        self._gone.set()

    @property
    def alive(self) -> bool:
        """Whether it works, or stands by; False where its client was closed, for good."""
        return not self._gone.is_set()

    @property
    def is_sending(self) -> bool:
        """Whether it is the one that sends; the others stand by."""
        return self._is_sending

    def start(self) -> None:
        """Start the background task; whoever starts it must stop it, in this task or another."""
        self._gone = anyio.Event()
        _tasks.start(self._keep, self._ended)

    async def stop(self) -> None:
        """Claim nothing more, and wait for requests under way, for a few seconds."""
        self._stopping = True
        if self._scope is not None:
            self._scope.cancel()
        await _tasks.wait_whatever_comes(self._gone)

    def _ended(self) -> None:
        self._gone.set()
        if not self._stopping:
            pause = self._pause()
            logger.warning(
                "outbox: the worker was cancelled from outside; it begins anew in %.0f s", pause
            )
            _tasks.later(pause, self._start_again)

    def _start_again(self) -> None:
        if not self._stopping:
            self.start()

    async def _keep(self) -> None:
        with anyio.CancelScope() as self._scope:
            while not self._stopping:
                pause = await self._turn()
                if self._work.seam.misuse() is not None:
                    logger.error("outbox: the client was closed, and so its worker has ended")
                    self._stopping = True
                else:
                    await self._ledger.clock.sleep(pause)

    async def _turn(self) -> float:
        """Send for as long as that goes, if it is our turn; return the seconds until the next."""
        try:
            await self._ledger.acquire()
            try:
                await self._send()
            finally:
                self._is_sending = False
                self._has_run(None)
                self._ledger.lock.release()
        except CampaignBusy:
            return POLL
        except CampaignStopped as error:
            self._complain(error.cause)
        # A clock that raises, or a fault of ours: messages must go on.
        except BaseException as error:
            if _tasks.is_to_be_passed_on(error):
                raise
            self._complain(error)
        return self._pause()

    async def _send(self) -> None:
        ledger, work = self._ledger, self._work
        begun = await begin(ledger, work.seam, work.plan, work.limits)
        run = Run(
            ledger,
            work.seam,
            begun.campaign,
            Pace(work.plan, ledger.clock.random),
            Progress(begun.counts, ledger.clock, Listener(None)),
            claim=work.claims,
            is_endless=True,
        )
        self._has_run((run, _tasks.current_loop()))
        self._is_sending, self._failures, self._complaint = True, 0, ""
        await run.go()

    def _complain(self, error: BaseException) -> None:
        """Say what failed, unless that was said already."""
        words = str(error) if isinstance(error, InSimError) else type(error).__name__
        if words != self._complaint:
            logger.error("outbox: the worker cannot send, and goes on trying: %s", words)
        self._complaint = words

    def _pause(self) -> float:
        """Return how long to wait before it begins anew: longer each time in a row."""
        self._failures += 1
        return min(LONGEST_PAUSE, POLL * 2.0 ** min(self._failures - 1, 16))


@asynccontextmanager
async def working(make: Callable[[], Awaitable[OutboxWorker]]) -> AsyncIterator[OutboxWorker]:
    """Let a worker work while the context is open."""
    worker = await make()
    worker.start()
    try:
        yield worker
    finally:
        await worker.stop()
