"""The ledger of one campaign: its rows in a SQLite file, and the lock of whoever runs it.

Intent before effect: a row is marked as in flight, on disk, before its request may leave. After a
crash such a row is unknown, never pending. What came of it is written down behind that, by whoever
learns of it, and only ever towards what is more certain.

One file may hold several campaigns and an outbox. Several processes write it, hence a rollback
journal, as for the inbox.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio

from insim_async._sqlite import Action, Desks, File, Operation, prepare_database
from insim_async.campaigns import _enrolled, _rows, _runs
from insim_async.campaigns._enrolled import Enrolled
from insim_async.campaigns._lock import Holder, RunLock
from insim_async.campaigns._statements import LAYOUT
from insim_async.errors import CampaignBusy, ConfigurationError, LedgerUnavailable
from insim_async.timing import Clock

__all__ = ["Ledger"]

T = TypeVar("T")
logger: logging.Logger = logging.getLogger("insim_async")

TIMEOUT = 10.0
"""Seconds after which a file that does not answer is unavailable: an add of a million people holds
it for some of them."""
PATIENCE = 8.0
"""Seconds to wait for other processes: fewer than ``TIMEOUT``, so that the file says what it is."""
BUSY_FOR = 0.5
"""Seconds after which a lock that somebody has is taken for what it is: somebody may have had it
just to look."""
SLICE = 50_000
"""Rows that are changed at a time where all may be: others want to write, too."""
BREATH = 0.01
"""Seconds between two slices, in which another process sees that the file is free."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}|")


class Ledger:
    """One campaign in its file, for any task, thread and process.

    Args:
        path: Of the file.
        file: The same, prepared.
        lock: Of the run.
        known: The campaign as it was when it was opened; what does not change of it is good.
        clock: Time and chance.
    """

    def __init__(
        self, path: Path, file: File, lock: RunLock, known: Enrolled, clock: Clock
    ) -> None:
        self.path = path
        self.file = file
        self.lock = lock
        self.known = known
        self.clock = clock
        self._desks = Desks(file)

    @classmethod
    def open(cls, path: Path, *, kind: str, name: str, clock: Clock, restored: bool) -> Ledger:
        """Make the file, or check the one that is there; needs no event loop.

        Raises:
            ConfigurationError: It cannot be used; it says why.
            LedgerUnavailable: Another process holds it.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError("name: expected up to 64 of A-Z a-z 0-9 _ -")
        clock.check()
        prepare_database(path, LAYOUT)
        file = File(path, LAYOUT, name=kind, unavailable=LedgerUnavailable, patience=PATIENCE)
        lock = RunLock(path.with_name(f"{path.name}{name and f'-{name}'}.{kind}.lock"))
        marked = lock.epoch()  # before the file is read: it may only be behind that
        [known] = file.transact([partial(_enrolled.enrolled, kind=kind, name=name)])
        ledger = cls(path, file, lock, known, clock)
        try:
            with lock.taken_for_a_moment(clock.wall()) as is_free:
                ledger._check_copy(marked, is_free=is_free, restored=restored)
                if is_free:
                    ledger._give_up_what_crashed()
        except BaseException as error:
            file.close()
            if isinstance(error, OSError):
                raise ConfigurationError(f"{lock.path}: {error.strerror}") from error
            raise
        return ledger

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self.clock.wall()

    async def do(self, action: Action[T], timeout: float = TIMEOUT) -> T:  # noqa: ASYNC109 - what had begun goes on
        """Do an action in the next transaction; it is done even if this is cancelled.

        Args:
            action: What.
            timeout: Seconds to wait for it; infinite for what may take long by itself.

        Raises:
            LedgerUnavailable: It was not done.
            ConfigurationError: The ledger is closed.
        """
        return await self._desks.here().do(action, timeout)

    async def do_in_slices(self, action: Callable[..., int]) -> int:
        """Do an action to all rows, slice by slice, and return what it returns in all.

        What was done before it is cancelled, or fails, stays done.

        Args:
            action: Takes a connection, ``campaign``, and the ``first`` and ``last`` row to change.

        Raises:
            LedgerUnavailable: A slice was not done.
        """
        total, last = 0, await self.do(_rows.last_row)
        for first in range(1, last + 1, SLICE):
            slice_ = {"first": first, "last": first + SLICE - 1}
            total += await self.do(partial(action, campaign=self.known.campaign, **slice_))
            if slice_["last"] < last:
                await anyio.sleep(BREATH)
        return total

    def begin(self, action: Action[T]) -> Operation[T]:
        """Have an action done in the next transaction, and wait for nothing."""
        return self._desks.here().begin(action)

    def news(self) -> anyio.Event:
        """Return an event that is set when something has changed, by this event loop."""
        return self._desks.here().news()

    def tell(self) -> None:
        """Tell whoever waits in this event loop that something has changed."""
        self._desks.here().wake()

    async def look(self) -> Enrolled:
        """Return the campaign as it is now."""
        known = self.known
        return await self.do(partial(_enrolled.enrolled, kind=known.kind, name=known.name))

    async def acquire(self) -> None:
        """Take the run lock, and refuse a file that is older than it.

        Raises:
            CampaignBusy: Somebody has it.
            ConfigurationError: The lock file cannot be written, or the file is an older copy.
        """
        is_ours = False  # and no other task's of this process
        try:
            with anyio.move_on_after(BUSY_FOR):
                while not (is_ours := self.lock.acquire(self.now)):  # noqa: ASYNC110 - the kernel tells nobody
                    await anyio.sleep(0.02)
        except OSError as error:
            raise ConfigurationError(f"{self.lock.path}: {error.strerror}") from error
        if not is_ours:
            raise self._busy(self.lock.holder() or Holder())
        try:
            self._refuse_older((await self.look()).epoch, self.lock.epoch())
        except BaseException:
            self.lock.release()
            raise

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _busy(self, holder: Holder) -> CampaignBusy:
        since = f" since {holder.since:%F %T %Z}" if holder.since else ""
        return CampaignBusy(
            f"process {holder.pid} on {holder.host or 'this machine'} runs it{since}",
            pid=holder.pid,
            host=holder.host,
            since=holder.since,
        )

    def _check_copy(self, marked: int, *, is_free: bool, restored: bool) -> None:
        epoch = self.known.epoch
        if not restored:
            self._refuse_older(epoch, marked)
            return
        if not is_free:
            raise ConfigurationError("restored: somebody runs it; stop that first")
        self.file.transact(
            [
                partial(
                    _runs.restore,
                    campaign=self.known.campaign,
                    epoch=max(marked, epoch) + 1,
                    now=self.now,
                )
            ]
        )

    def _refuse_older(self, epoch: int, marked: int) -> None:
        if epoch < marked:
            raise ConfigurationError(
                f"{self.path}: is an older copy, and what was sent since would be sent again; put "
                "the newest in its place, or give open restored=True, which makes all that has no "
                "end unknown"
            )

    def _give_up_what_crashed(self) -> None:
        """Make unknown what a process left in flight that is no more."""
        [rows] = self.file.transact(
            [partial(_runs.give_up, campaign=self.known.campaign, now=self.now)]
        )
        if rows:
            logger.warning(
                "%d messages may have been sent by a process that ended before their answers came",
                rows,
            )
