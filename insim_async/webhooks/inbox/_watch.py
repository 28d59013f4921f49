"""Look whether anybody handles what was put, a minute later, and say so if not.

A worker that is not there cannot say so: it is the process that takes events in which looks.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from insim_async import _tasks
from insim_async._sqlite import Desk
from insim_async.errors import InboxUnavailable
from insim_async.webhooks.inbox import _looking
from insim_async.webhooks.inbox._schema import Policy

__all__ = ["Watch"]

logger: logging.Logger = logging.getLogger("insim_async")

MINUTE: Final = 61.0
"""Seconds until it looks: a little longer than what waits may wait."""
_HINT = " (is inbox.worker(...) entered? nobody runs the lifespan of a mounted app)"


class Watch:
    """The looks of one inbox: one at a time in each event loop that puts.

    Args:
        policy: Of the inbox.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._looked_from: set[Desk] = set()

    def begin(self, desk: Desk) -> None:
        """Look in a minute, unless that is going to happen."""
        if desk not in self._looked_from:
            self._looked_from.add(desk)
            _tasks.start(partial(self._look, desk), lambda: self._looked_from.discard(desk))

    async def _look(self, desk: Desk) -> None:
        waiting = True
        while waiting:
            await self._policy.clock.sleep(MINUTE)
            if desk.is_closed:
                return
            try:
                health = await desk.do(partial(_looking.health, policy=self._policy))
            except InboxUnavailable as error:
                logger.warning("inbox: %s", error)
                continue
            if health.problem:
                hint = "" if health.workers else _HINT
                logger.warning("inbox: %s%s", health.problem, hint)
            waiting = health.waiting + health.failing + health.claimed > 0
