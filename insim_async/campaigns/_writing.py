"""What a run writes behind the answers: queued at once, kept where it failed, and written again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from insim_async._sqlite import Operation
from insim_async.campaigns._ledger import Ledger

__all__ = ["AGAIN_AFTER", "UNWRITABLE", "Writer"]

AGAIN_AFTER = (0.1, 0.5, 2.0)
"""Seconds before each further try, where nothing else is left to be done."""
UNWRITABLE = "the ledger cannot be written"


class Writer:
    """Writes in order, and waits for nothing; the next commit takes along whatever waits.

    Args:
        ledger: What is written to.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._writes: deque[Operation[Any]] = deque()

    def write(self, action: Callable[[Any], Any]) -> None:
        """Have an action done with the next commit."""
        self._writes.append(self._ledger.begin(action))

    def again(self) -> None:
        """Begin again with what could not be written."""
        settled = [write for write in self._writes if write.settled.is_set()]
        if settled:
            self._writes = deque(write for write in self._writes if not write.settled.is_set())
        for failed in settled:
            if not failed.is_done:
                self.write(failed.action)

    async def finish(self) -> None:
        """Wait until all is written, with some patience.

        Raises:
            LedgerUnavailable: It could not be.
        """
        for wait in (0.0, *AGAIN_AFTER):
            await self._ledger.clock.sleep(wait)
            self.again()
            for write in list(self._writes):
                await write.settled.wait()
            if all(write.is_done for write in self._writes):
                return
        next(write for write in self._writes if not write.is_done).result()
