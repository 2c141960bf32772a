"""Replacing a file whole: readers see the old content or the new, after a power failure too.

The same steps are in atomicwrites (archived by its author) and boltons; none of them keeps the owner, access list and
group of what was there, clears the leftovers of a killed writer, or gives a replacement a time that was never there.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from rotator.errors import ConflictError, OutcomeUnknownError, RefusedError, UnavailableError
from rotator.model import Version
from rotator_backends.file_checks import MAX_SIZE, check_readable, version_of
from rotator_backends.file_lock import Lock
from rotator_backends.file_system import Folder, System, release

_READ = os.O_RDONLY | os.O_NONBLOCK
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_READ_TRIES = 3
_TIME_STEPS = (1, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000)
"""Nanoseconds; the last ones are those of ext3 and of FAT."""
_RANDOM_PART = re.compile(r"[0-9a-f]{16}\.tmp")
_KEPT_ATTRIBUTES = re.compile(r"system\.posix_acl_access|security\.selinux|user\..*")
"""Not the others: a signature (security.ima) is of the old content."""
_NOT_RENAMED = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EBUSY,
    errno.EISDIR,
    errno.ENAMETOOLONG,
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of one file, whole."""

    data: bytes = field(repr=False)
    status: os.stat_result
    attributes: Mapping[str, bytes] = field(repr=False)

    @property
    def version(self) -> Version:
        """What the state is called."""
        return version_of(self.status)


def take(folder: Folder, name: str, *, system: System) -> Snapshot | None:
    """Read a file whole with its status, or None where there is none.

    Raises: ``RefusedError`` for what is no file of ours; ``UnavailableError`` when it keeps changing; ``OSError``.
    """
    try:
        fd = system.open(folder.fd, name, _READ)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise RefusedError(
            f"{folder.path / name} is a symbolic link",
            hint="a link is never written through; name the file that it leads to",
        ) from error
    try:
        return _settled(fd, folder, name, system)
    finally:
        release(fd)


def _settled(fd: int, folder: Folder, name: str, system: System) -> Snapshot:
    """Read until nobody has changed the file meanwhile: an editor may write in place."""
    for _ in range(_READ_TRIES):
        before = os.fstat(fd)
        check_readable(before, folder.path / name, euid=os.geteuid())
        data = _all_of(fd, system)
        after = os.fstat(fd)
        if version_of(before) == version_of(after) and len(data) == after.st_size:
            kept = {key: value for key, value in system.attributes(fd).items() if _KEPT_ATTRIBUTES.fullmatch(key)}
            return Snapshot(data, after, kept)
    raise UnavailableError(f"{folder.path / name} keeps changing while it is read", hint="who else writes to it?")


def _all_of(fd: int, system: System) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    parts = b""
    while len(parts) <= MAX_SIZE and (part := system.read(fd, MAX_SIZE + 1)):
        parts += part
    return parts


def replace(lock: Lock, name: str, data: bytes, *, before: Snapshot | None, mode: int, system: System) -> Version:
    """Put the data in the place of what was there before, and return the version of the new state.

    Owner, group, mode and access list of what was there stay; ``mode`` is that of a file that was not there.

    Repeat: a ``ConflictError``, because what was there before is there no more.
    Crash: the old file or the new one, and perhaps a temporary file that the next writer removes.
    Raises: ``ConflictError``; ``RefusedError``; ``UnavailableError``; ``OSError`` - nothing has happened;
    ``OutcomeUnknownError``.
    """
    with _temporary(lock, name, system) as (temporary, fd):
        _write_all(fd, data, system)
        _stamp(fd, lock, before, system)
        _keep_access(fd, before, mode, system)
        system.fsync(fd)
        _check_unchanged(lock, name, before)
        _check_ours(lock.folder, temporary, fd)
        return _moved(fd, lock.folder, temporary, name, system)


def probe(lock: Lock, name: str, *, before: Snapshot | None, mode: int, system: System) -> None:
    """Return when a temporary file can be made there, for whom the record is; nothing of it stays.

    Raises: ``RefusedError``; ``OSError``.
    """
    with _temporary(lock, name, system) as (_, fd):
        _keep_access(fd, before, mode, system)


def remove_leftovers(lock: Lock, name: str) -> None:
    """Remove what writers of this record left behind when they were killed: it holds secrets.

    Under a lock that had holders before there is one name that it can have.

    Raises: ``OSError``.
    """
    left = _leftovers(lock.folder, name) if lock.is_new else [_temporary_name(lock, name)]
    for entry in left:
        with suppress(FileNotFoundError):
            os.unlink(entry, dir_fd=lock.folder.fd)


def _leftovers(folder: Folder, name: str) -> list[str]:
    start = f".{name}.rotate-"
    there = os.listdir(folder.fd)  # noqa: PTH208 - a folder that is open, whatever its path means by now
    return [it for it in there if it.startswith(start) and _RANDOM_PART.fullmatch(it, len(start))]


def _temporary_name(lock: Lock, name: str) -> str:
    return f".{name}.rotate-{lock.mark}.tmp"


@contextmanager
def _temporary(lock: Lock, name: str, system: System) -> Iterator[tuple[str, int]]:
    temporary = _temporary_name(lock, name)
    fd = system.open(lock.folder.fd, temporary, _CREATE)
    try:
        yield temporary, fd
    finally:
        with suppress(OSError):  # it cannot be removed, and the next writer tries again
            if lock.folder.has(temporary, fd):  # not renamed
                os.unlink(temporary, dir_fd=lock.folder.fd)
        release(fd)


def _keep_access(fd: int, before: Snapshot | None, mode: int, system: System) -> None:
    if before is None:
        os.fchmod(fd, mode)
        return
    keep_owner(fd, before.status, system)
    for name, value in before.attributes.items():
        _keep_attribute(fd, name, value, system)
    os.fchmod(fd, stat.S_IMODE(before.status.st_mode) & 0o777)


def keep_owner(fd: int, old: os.stat_result, system: System) -> None:
    """Give a new file to the owner and the group that the old one had.

    Raises: ``RefusedError`` when that cannot be, and somebody would lose the record by it.
    """
    new = os.fstat(fd)
    if (old.st_uid, old.st_gid) == (new.st_uid, new.st_gid):
        return
    try:
        system.chown(fd, old)
    except PermissionError as error:
        if old.st_uid != new.st_uid or old.st_mode & stat.S_IRWXG:
            raise RefusedError(
                f"a new file cannot be given to user id {old.st_uid}, group id {old.st_gid}; the record is unchanged",
                hint="its readers would lose it; let the folder give its group (chmod g+s, and that group), "
                "make rotate's user a member of it, or grant CAP_CHOWN",
            ) from error


def _keep_attribute(fd: int, name: str, value: bytes, system: System) -> None:
    try:
        system.set_attribute(fd, name, value)
    except PermissionError:
        if not name.startswith("security."):  # a label is the policy's to give
            raise


def _write_all(fd: int, data: bytes, system: System) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[system.write(fd, bytes(rest)) :]


def _stamp(fd: int, lock: Lock, before: Snapshot | None, system: System) -> None:
    """Give the new file a time above all that the record ever had, and let the lock remember it.

    The clock may stand or go back, and the file system may keep whole seconds only: what counts is what is read back.
    """
    floor = max(lock.highest, before.status.st_mtime_ns if before else 0)
    for step in _TIME_STEPS:
        system.set_mtime(fd, max(system.time_ns(), floor + step))
        reached = os.fstat(fd).st_mtime_ns
        if reached > floor:
            system.set_mtime(lock.fd, reached)
            return
    raise RefusedError(
        f"the file system of {lock.folder.path} keeps no modification times that versions could be told by",
        hint="use a folder on a local disk or on NFS",
    )


def _check_unchanged(lock: Lock, name: str, before: Snapshot | None) -> None:
    """Look once more, just before the rename: editors know nothing of our lock."""
    if not lock.is_current():
        raise UnavailableError(
            f"the lock {lock.folder.path / lock.name} was removed while it was held; the record is unchanged",
            hint="leave lock files alone: they cost nothing and are never in the way",
        )
    try:
        now = version_of(os.stat(name, dir_fd=lock.folder.fd, follow_symlinks=False))
    except FileNotFoundError:
        now = None
    if now != (before.version if before else None):
        raise ConflictError(f"{lock.folder.path / name} was changed by somebody else just now")


def _check_ours(folder: Folder, temporary: str, fd: int) -> None:
    """Look whether what will be renamed is what we wrote: where locks do not reach, another holder has our mark."""
    if not folder.has(temporary, fd):
        raise UnavailableError(
            f"{folder.path / temporary} was replaced while the lock was held; the record is unchanged",
            hint="do several machines write there, and does its file system keep locks for each of them alone? "
            "NFS must be mounted without nolock and local_lock",
        )


def _moved(fd: int, folder: Folder, temporary: str, name: str, system: System) -> Version:
    try:
        system.rename(folder.fd, temporary, name)
    except OSError as error:
        if error.errno in _NOT_RENAMED:
            raise
        raise _unknown(folder, name, error) from error
    try:
        _sync_folder(folder, system)
        return version_of(os.fstat(fd))
    except OSError as error:
        raise _unknown(folder, name, error) from error


def _sync_folder(folder: Folder, system: System) -> None:
    try:
        system.fsync(folder.fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # the file system has no such call, and its renames are as durable as they get
            raise


def _unknown(folder: Folder, name: str, error: OSError) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"{folder.path / name} may hold the new record or the old one: {os.strerror(error.errno or 0).lower()}",
        hint="one of the two is there, whole; look at the disk's or the file server's log",
    )
