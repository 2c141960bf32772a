"""One writer per record: ``flock`` on the file ``.NAME.lock`` beside it.

Not on the record, which every write replaces; not on the folder, which everybody who can read it could lock, and which
NFS cannot lock at all. The lock file stays for ever: removing it would let two writers hold two locks of one name. Its
modification time is the highest that a version of the record ever had, so that versions rise even across a record that
was removed and made again. The kernel lets go of the lock when its holder dies.

What is in it names the temporary file of its holder, so that the next one finds what a killed one left without looking
through the folder, which may hold thousands of records. It is drawn at random when the lock file is made, so that a
holder whose lock file somebody has removed has another temporary file than the holder of the new one.

filelock was not taken: it opens by path, where everything here goes through one open folder, and keeps no such mark.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from rotator.errors import RefusedError, UnavailableError
from rotator_backends.file_system import Folder, System, release

_OPEN = os.O_RDWR | os.O_NONBLOCK
_UNFIT = {errno.EACCES, errno.ELOOP, errno.EISDIR, errno.ENXIO}
"""Somebody else's, a link, a folder, a device."""
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05
_MARK = re.compile(rb"[0-9a-f]{16}")
_LONGER = 17
"""Bytes: one more than a mark has."""


@dataclass(frozen=True, slots=True)
class Lock:
    """The right to replace one record, for as long as it is held."""

    fd: int
    folder: Folder
    name: str
    mark: str = ""
    """What is in the lock file: no other of this name ever had it."""
    is_new: bool = False
    """Whether nobody has held it with this mark before, so that holders before may have had others."""

    @property
    def highest(self) -> int:
        """The highest modification time that any version of the record had, in nanoseconds."""
        return os.fstat(self.fd).st_mtime_ns

    def is_current(self) -> bool:
        """Say whether the name still leads to what we have locked."""
        return self.folder.has(self.name, self.fd)


@contextmanager
def held(
    folder: Folder, record: str, *, system: System, wait: timedelta, owner: os.stat_result | None
) -> Iterator[Lock]:
    """Hold the lock of a record; ``owner`` is the record's status, whose owner root gives a new lock file to.

    Where there is no record yet, root gives it to the owner of the folder, who may be the one that writes the first.

    Repeat: a second holder waits, in another thread as in another process.
    Crash: the lock is free again; the lock file stays.
    Raises: ``UnavailableError`` when the wait is over; ``RefusedError``; ``OSError``.
    """
    lock = _acquired(folder, f".{record}.lock", system=system, wait=wait, owner=owner)
    try:
        yield _marked(lock, system.read(lock.fd, _LONGER))
    finally:
        release(lock.fd)


def _marked(lock: Lock, found: bytes) -> Lock:
    """Take the mark; draw one where there is none, as in a new lock file, or after a power failure in an old one."""
    if _MARK.fullmatch(found):
        return replace(lock, mark=found.decode())
    return replace(lock, mark=secrets.token_hex(8), is_new=True)


def keep_mark(lock: Lock, *, system: System) -> None:
    """Write the mark of a new lock down, before a temporary file is called by it.

    Not before what holders with other marks have left is removed: from then on nobody looks for that.

    Crash: the next holder finds the mark, or none.
    Raises: ``OSError``.
    """
    if not lock.is_new:
        return
    highest = lock.highest
    os.ftruncate(lock.fd, 0)
    os.lseek(lock.fd, 0, os.SEEK_SET)
    system.write(lock.fd, lock.mark.encode())
    system.set_mtime(lock.fd, highest)


def _acquired(folder: Folder, name: str, *, system: System, wait: timedelta, owner: os.stat_result | None) -> Lock:
    deadline = system.monotonic() + wait.total_seconds()
    pause = _FIRST_PAUSE
    while True:
        lock = Lock(_opened(folder, name, owner, system), folder, name)
        if _is_taken(lock):
            return lock
        if system.monotonic() >= deadline:
            raise _busy(folder.path / name, wait)
        system.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _is_taken(lock: Lock) -> bool:
    """Take the lock, or let go of its file: one that stayed open might be a lock that nobody ever gives back."""
    is_taken = False
    try:
        fcntl.flock(lock.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_taken = lock.is_current()
    except BlockingIOError:
        return False
    finally:
        if not is_taken:
            release(lock.fd)
    return is_taken


def _opened(folder: Folder, name: str, owner: os.stat_result | None, system: System) -> int:
    try:
        fd = system.open(folder.fd, name, _OPEN | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        return _opened_existing(folder, name, owner, system)
    try:
        if os.geteuid() == 0:
            _give_away(fd, folder, owner, system)
    except OSError:
        release(fd)
        raise
    return fd


def _give_away(fd: int, folder: Folder, owner: os.stat_result | None, system: System) -> None:
    if owner is not None:
        system.chown(fd, owner)
        return
    with suppress(OSError):  # root in a container may not; then it is root who writes there
        system.chown(fd, os.fstat(folder.fd))


def _opened_existing(folder: Folder, name: str, owner: os.stat_result | None, system: System) -> int:
    try:
        fd = system.open(folder.fd, name, _OPEN)
    except FileNotFoundError:
        return _opened(folder, name, owner, system)
    except OSError as error:
        if error.errno not in _UNFIT:
            raise
        raise _unfit(folder.path / name) from error
    status = os.fstat(fd)
    if not is_fit(status, euid=os.geteuid()):
        release(fd)
        raise _unfit(folder.path / name)
    return fd


def is_fit(status: os.stat_result, *, euid: int) -> bool:
    """Say whether a lock file can be ours: a plain file with one name, and the user's own unless we are root."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and euid in {0, status.st_uid}


def _unfit(path: Path) -> RefusedError:
    return RefusedError(
        f"the lock file {path} is not one that this user made",
        hint=f"run rotate as one user; to change it, chown {path} while no rotate runs",
    )


def _busy(path: Path, wait: timedelta) -> UnavailableError:
    return UnavailableError(
        f"somebody else has held the lock {path} for {wait.total_seconds():g} s; the record is unchanged",
        hint=f"another rotate writes there, hangs or was suspended; fuser -v {path} names the process",
    )
