"""Where a file is to be: write it under another name, and give it its own when it is whole.

What is there already is never written over, and which file systems are no place is known here.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from insim_async.errors import ConfigurationError

__all__ = ["drafted", "network_filesystem", "require_posix"]

_MOUNTS = Path("/proc/self/mountinfo")
_OVER_A_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "drvfs", "glusterfs", "gpfs", "lustre", "ncpfs"}
    | {"nfs", "nfs4", "rclone", "s3fs", "smb2", "smb3", "smbfs", "sshfs"}
)


def require_posix(path: Path) -> None:
    """Refuse to place a file where others cannot be kept out of it, nor out of its locks.

    Raises:
        ConfigurationError: This is Windows.
    """
    if importlib.util.find_spec("fcntl") is None:
        raise ConfigurationError(
            f"{path}: cannot be kept on Windows, which lacks the owners, modes and locks of POSIX; "
            "use Linux (WSL and containers are Linux) or macOS"
        )


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Give a new and empty file to fill, for its owner alone, that is called so at the end.

    If the block raises there is no file.

    Raises:
        FileExistsError: Something has that name. It is left as it is.
        OSError: The folder is not there, or cannot be written.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    os.close(
        os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    )
    try:
        yield draft
        _sync(draft)
        _name(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _sync(path.parent)


def _name(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:
        _rename(draft, path)


def _rename(draft: Path, path: Path) -> None:
    """Rename it, where the volume has no hard links: of all that do so at a time one is first."""
    import fcntl  # not on Windows, which can import this module all the same

    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        draft.rename(path)
    finally:
        os.close(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def network_filesystem(path: Path) -> str | None:
    """Return the kind of file system under a path, if it is one over a network that is known.

    It can tell on Linux only.
    """
    with suppress(OSError):
        real, found = os.path.realpath(path.parent), ("", "")
        for line in _MOUNTS.read_text("utf-8", "replace").splitlines():
            mount, kind = _mounted(line)
            inside = mount == "/" or real == mount or real.startswith(f"{mount}/")
            if inside and len(mount) >= len(found[0]):  # of two at one place the later one holds
                found = mount, kind
        kind = found[1].removeprefix("fuse.")
        if kind in _OVER_A_NETWORK:
            return kind
    return None


def _mounted(line: str) -> tuple[str, str]:
    """Return where something is mounted, and of which kind it is."""
    before, _, behind = line.partition(" - ")
    place = before.split(" ")[4].encode().decode("unicode_escape")  # a space is \040 there
    return place, behind.split(" ")[0]
