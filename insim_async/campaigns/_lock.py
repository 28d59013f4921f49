"""The run lock: a file beside the ledger that says who runs it, and how far it had come.

The lock is the kernel's (``flock``), so that it is gone with the process, however that ends. The
file keeps the number of the last claim as well, written before what was claimed may leave: a ledger
that knows of fewer claims is an older copy, and would send again what was sent since.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakSet

import msgspec
from msgspec import Struct

__all__ = ["Holder", "RunLock", "release_all"]

_DIGITS = 20
_held: WeakSet[RunLock] = WeakSet()
"""The locks that this process holds. A child that is forked must not keep them: it may live on."""


class Holder(Struct, frozen=True):
    """Who runs it.

    Attributes:
        pid: The process.
        host: The machine, as it calls itself.
        since: When it began.
    """

    pid: int = 0
    host: str = ""
    since: datetime | None = None


class RunLock:
    """The lock of one campaign or outbox.

    Args:
        path: Of the lock file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether it is held by this one."""
        return self._descriptor is not None

    def acquire(self, now: float) -> bool:
        """Take the lock, and write down who has it; return False if somebody else has.

        Raises:
            OSError: The file cannot be made or written.
        """
        descriptor = self._open(os.O_CREAT)
        if not _locked(descriptor) or not self._is_there(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        _held.add(self)
        here = Holder(os.getpid(), socket.gethostname(), datetime.fromtimestamp(now, UTC))
        line = f"{self.epoch():0{_DIGITS}}\n".encode() + msgspec.json.encode(here)
        os.ftruncate(descriptor, len(line))
        os.pwrite(descriptor, line, 0)
        return True

    def release(self) -> None:
        """Give the lock back; where it is not held this does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        _held.discard(self)
        if descriptor is not None:
            os.close(descriptor)

    def mark(self, epoch: int) -> None:
        """Write down the number of a claim, before what was claimed may leave.

        It outlives the process. It is not synced: where the machine fails as well it may be older
        than the ledger, and then only less is noticed.
        """
        if self._descriptor is not None:
            with suppress(OSError):  # a full disk, where the ledger cannot be written either
                os.pwrite(self._descriptor, f"{epoch:0{_DIGITS}}".encode(), 0)

    def epoch(self) -> int:
        """Return the highest number that was written down; 0 where there is none."""
        with suppress(ValueError):
            return int(self._content()[:_DIGITS])
        return 0

    def holder(self) -> Holder | None:
        """Return who has the lock; None if nobody has."""
        if self._descriptor is None:
            try:
                descriptor = self._open(0)
            except OSError:
                return None
            try:
                # Shared: two that look do not disturb each other.
                if _locked(descriptor, shared=True):
                    return None
            finally:
                os.close(descriptor)
        try:
            return msgspec.json.decode(self._content()[_DIGITS:], type=Holder)
        except msgspec.DecodeError:
            return Holder()

    @contextmanager
    def taken_for_a_moment(self, now: float) -> Iterator[bool]:
        """Take the lock for a block of code if it is free; say whether it was."""
        taken = self._descriptor is None and self.acquire(now)
        try:
            yield taken
        finally:
            if taken:
                self.release()

    def _open(self, more: int) -> int:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | more
        return os.open(self.path, flags, 0o600)

    def _is_there(self, descriptor: int) -> bool:
        """Say whether the file that was locked still has this name; another may have been made."""
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.lstat())
        except OSError:
            return False

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError:
            return b""


def _locked(descriptor: int, *, shared: bool = False) -> bool:
    import fcntl  # not on Windows, which can import this module all the same

    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def release_all() -> None:
    """Close what came through a fork: the locks stay the parent's alone."""
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=release_all)
