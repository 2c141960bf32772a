"""Which files and folders may hold a record, judged by their status alone: no I/O, every case is a plain test."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from rotator.errors import RefusedError
from rotator.model import Version

MAX_SIZE = 1024 * 1024
"""Bytes; a record has a few hundred, so what is larger is something else."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def version_of(status: os.stat_result) -> Version:
    """Name one state of one file.

    The modification time is ours to choose, and every write sets it above all earlier ones. The change time is the
    kernel's, so that a backup put back with its old times (``cp -p``) does not bring an old version back. No hash of
    the content: versions get logged, and a record that holds nothing but a foreign, weak password could be guessed
    from one.
    """
    return Version(f"{status.st_mtime_ns:x}.{status.st_ctime_ns:x}.{status.st_ino:x}.{status.st_size:x}")


def check_folder(status: os.stat_result, path: Path) -> None:
    """Refuse a folder in which everybody can replace everybody's files.

    Raises: ``RefusedError``.
    """
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        raise RefusedError(
            f"everybody may replace files in {path}: mode {_octal(status)}",
            hint=f"chmod o-w {path}, or use a folder of mode 0700 below it",
        )


def check_readable(status: os.stat_result, path: Path, *, euid: int) -> None:
    """Refuse to believe what is no plain file, is too large, or was put there by somebody else.

    Raises: ``RefusedError``.
    """
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError(f"{path} is not a regular file", hint="name a file, or remove what is there")
    if status.st_size > MAX_SIZE:
        raise RefusedError(f"{path} is larger than a record can be (1 MiB)", hint="is this the right path?")
    if euid != 0 and status.st_uid not in {0, euid}:
        raise _foreign(status, path, euid)


def check_writable(status: os.stat_result, path: Path, *, mode: int, euid: int) -> None:
    """Refuse to put a secret where others reach it, or in the place of what belongs to somebody else.

    Root may: it writes in the owner's name.

    Raises: ``RefusedError``.
    """
    check_readable(status, path, euid=euid)
    if euid not in {0, status.st_uid}:
        raise _foreign(status, path, euid)
    if status.st_nlink > 1:
        raise RefusedError(
            f"{path} has {status.st_nlink} names (hard links)",
            hint="the other names would keep the old secret; remove them, or make each a destination of its own",
        )
    if status.st_mode & _OTHERS & ~mode:
        raise RefusedError(
            f"{path} is open to others: its mode is {_octal(status)}, and {mode:04o} is the most that is accepted",
            hint=f"chmod {mode:04o} {path}; where its group is meant to read it, say so by the backend's mode",
        )


def check_size(data: bytes, path: Path) -> None:
    """Refuse to write what would not be read again.

    Raises: ``RefusedError``.
    """
    if len(data) > MAX_SIZE:
        raise RefusedError(
            f"{path} would be larger than a record can be (1 MiB); the record is unchanged",
            hint="what else is in it? let the record have a file of its own",
        )


def check_not_mounted(path: Path, mounts: str) -> None:
    """Refuse a file that is mounted by itself, as ``docker run -v FILE:FILE`` does: nothing can be put in its place.

    Raises: ``RefusedError``.
    """
    if any(_mount_point(line) == str(path) for line in mounts.splitlines()):
        raise RefusedError(
            f"{path} is a mount of its own, which nothing can replace",
            hint="mount the folder that it is in, not the file; its readers need that too, to see the new file",
        )


def _mount_point(line: str) -> str:
    """Read the fifth field of a line of mountinfo; blanks in it are written as octal numbers (proc(5))."""
    found = re.match(r"(?:\S+ ){4}(\S+)", line)
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), found[1]) if found else ""


def _foreign(status: os.stat_result, path: Path, euid: int) -> RefusedError:
    return RefusedError(
        f"{path} belongs to user id {status.st_uid}, and rotate runs as {euid}",
        hint="run rotate as its owner or as root, or give the file to the user that rotate runs as (chown)",
    )


def _octal(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"
