"""The life of a worker: a background task that goes on until it is told to stop, come what may."""

from __future__ import annotations

import logging
from typing import Final

import anyio

from insim_async import _tasks
from insim_async._sqlite import Desk
from insim_async.webhooks._attempt import class_names
from insim_async.webhooks.inbox import _run
from insim_async.webhooks.inbox._run import Reach, Run, Task
from insim_async.webhooks.inbox._schema import Policy

__all__ = ["GRACE", "InboxWorker"]

logger: logging.Logger = logging.getLogger("insim_async")

GRACE: Final = 5.0
"""Seconds that running handlers are left at the end."""
LONGEST_PAUSE: Final = 60.0
"""Seconds before it begins anew, at most; the first time it is ``POLL``, then twice as long."""


class InboxWorker:
    """A worker of an inbox; ``Inbox.worker`` gives one."""

    def __init__(self, desk: Desk, policy: Policy, task: Task) -> None:
        self._desk = desk
        self._policy = policy
        self._reach = Reach(desk, policy)
        self._task = task
        self._failures = 0
        self._began_at = 0.0
        self._stopping = False
        self._scope: anyio.CancelScope | None = None
        self._gone = anyio.Event()
        self._gone.set()

    @property
    def alive(self) -> bool:
        """Whether it works; false while it is about to begin anew after something has ended it."""
        return not self._gone.is_set()

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of events that it handles, as their ``kind`` says it; ``"*"`` for all."""
        return self._task.kinds

    def start(self) -> None:
        """Start the background task; whoever starts it must stop it, in this task or another."""
        self._gone = anyio.Event()
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
            if self._scope is not None:
                self._scope.cancel()
            await _tasks.wait_whatever_comes(self._gone)

    def _ended(self) -> None:
        self._gone.set()
        if not self._stopping:
            pause = self._pause()
            logger.warning(
                "inbox: the worker was cancelled from outside; it begins anew in %.0f s", pause
            )
            _tasks.later(pause, self._start_again)

    def _start_again(self) -> None:
        if not self._stopping:
            self.start()

    async def _keep(self) -> None:
        # Not sooner: whoever begins anew is in no task then.
        with anyio.CancelScope() as self._scope:
            while not self._stopping:
                self._began_at = self._policy.clock.now()
                try:
                    await Run(self._reach, self._policy, self._task).work(lambda: self._stopping)
                # A clock that raises, or a fault of ours: events must go on.
                except BaseException as error:
                    if _tasks.is_to_be_passed_on(error):
                        raise
                    pause = self._pause()
                    logger.error(
                        "inbox: the worker failed and begins anew in %.0f s: %s",
                        pause,
                        class_names(error),
                    )
                    with anyio.move_on_after(pause):
                        while not self._stopping:
                            await self._desk.news().wait()

    def _pause(self) -> float:
        """Return how long to wait before it begins anew: longer each time in a row."""
        lived_long = self._policy.clock.now() - self._began_at > LONGEST_PAUSE
        self._failures = 1 if lived_long else self._failures + 1
        return min(LONGEST_PAUSE, _run.POLL * 2.0 ** min(self._failures - 1, 16))
