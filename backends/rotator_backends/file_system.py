"""What the file backend asks of the operating system where it can fail or tells the time, and what its errors mean.

``System`` is the port; a test replaces one method of it to fill a disk or to stop a clock.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rotator.errors import NotFoundError, RefusedError, RotatorError, UnavailableError

_HINTS = {
    errno.EACCES: "run rotate as the user that the folder belongs to, or give that user the permission",
    errno.EPERM: "look for an immutable flag (lsattr) or a security module that forbids it",
    errno.EROFS: "the file system is mounted read-only; in a container, look at readOnlyRootFilesystem and the mount",
    errno.ENOSPC: "free some space or inodes there and run again",
    errno.EDQUOT: "the user's quota is used up; free some space and run again",
    errno.EFBIG: "a limit on file sizes is in force (ulimit -f)",
    errno.ENAMETOOLONG: "choose a shorter file name; rotate needs about 35 characters more beside it",
    errno.EBUSY: "the file is a mount of its own, which nothing can replace; mount the folder that it is in",
    errno.ENOENT: "the folder was removed meanwhile; create it again",
    errno.ENXIO: "the path names a socket or a device; name a regular file",
}
"""The errors that the system means: a repeat meets them again until somebody has changed something."""


class System:
    """The calls whose outcome a test wants to choose; each does what its namesake does."""

    mountinfo: ClassVar[Path] = Path("/proc/self/mountinfo")

    def time_ns(self) -> int:
        """Return the time since the epoch in nanoseconds."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Return seconds that only ever rise."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def open(self, folder: int, name: str, flags: int) -> int:
        """Open a file of a folder, closed to children; a new one is for its user alone."""
        return os.open(name, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=folder)

    def read(self, fd: int, size: int) -> bytes:
        """Read at most ``size`` bytes; none at the end."""
        return os.read(fd, size)

    def write(self, fd: int, data: bytes) -> int:
        """Write, and return how many bytes were taken."""
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        """Return when a power failure cannot undo what was written."""
        os.fsync(fd)

    def set_mtime(self, fd: int, nanoseconds: int) -> None:
        """Set the modification time, as exactly as the file system keeps it."""
        os.utime(fd, ns=(nanoseconds, nanoseconds))

    def mounts(self) -> str:
        """Return the mounts of this process as ``/proc/self/mountinfo`` lists them; empty where there is none."""
        with suppress(OSError):
            return self.mountinfo.read_text(errors="surrogateescape")
        return ""

    def chown(self, fd: int, owner: os.stat_result) -> None:
        """Give a file to the user and the group of another."""
        os.fchown(fd, owner.st_uid, owner.st_gid)

    def attributes(self, fd: int) -> dict[str, bytes]:
        """Return the extended attributes; none where the system or the file system has none."""
        with suppress(OSError, AttributeError):
            return {name: os.getxattr(fd, name) for name in os.listxattr(fd)}
        return {}

    def set_attribute(self, fd: int, name: str, value: bytes) -> None:
        """Set an extended attribute."""
        os.setxattr(fd, name, value)

    def rename(self, folder: int, source: str, target: str) -> None:
        """Put ``source`` in the place of ``target``, both in the folder; readers see the one or the other."""
        os.rename(source, target, src_dir_fd=folder, dst_dir_fd=folder)


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder: what is done by its descriptor cannot be led elsewhere by a path that changes meanwhile."""

    fd: int
    path: Path

    def has(self, name: str, fd: int) -> bool:
        """Say whether a name in it leads to an open file."""
        try:
            there = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(fd))


@contextmanager
def open_folder(path: Path) -> Iterator[Folder]:
    """Hold a folder open.

    A missing folder is an error and not "no record": it may be a mount that has not come up.

    Raises: ``NotFoundError``; ``OSError``.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(
            f"the folder {path} does not exist",
            hint=f"create it for the user that rotate runs as: install -d -m 0700 {path}; or mount what belongs there",
        ) from error
    try:
        yield Folder(fd, path)
    finally:
        release(fd)


def release(fd: int) -> None:
    """Close a descriptor. What mattered was synced before: an error of this call says nothing about the record."""
    with suppress(OSError):
        os.close(fd)


@contextmanager
def translating(doing: str, *, consequence: str = "") -> Iterator[None]:
    """Turn what the operating system raises into our errors; only for calls after which nothing has happened."""
    try:
        yield
    except OSError as error:
        raise _translated(error, doing, consequence) from error


def _translated(error: OSError, doing: str, consequence: str) -> RotatorError:
    number = error.errno or 0
    message = f"cannot {doing}: {os.strerror(number).lower()}{consequence}"
    if number in _HINTS:
        return RefusedError(message, hint=_HINTS[number])
    return UnavailableError(message, hint="the disk or the file server gave no answer; look at its log, then run again")
