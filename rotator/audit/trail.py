"""The file of the audit trail: whole lines, one write each, by any number of processes at once.

Whoever appends holds the file's lock (``flock``) while reading how the chain stands and writing the next line. A file
that was renamed away (logrotate) is noticed, and the new one's first line goes on with the chain of the old one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from rotator.audit.chain import START, Link, Seal, link_of, parsed, text_of
from rotator.audit.lines import TORN, line
from rotator.audit.reading import COMPRESSED, lines, rotated
from rotator.clock import Clock, SystemClock

MODE = 0o600
BLOCK = 65_536
PATIENCE = 5.0
"""Seconds that somebody else may hold the lock: a line is written in a thousandth of one."""
PAUSE = 0.005
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass
class Trail:
    """Appends lines. Without a seal they are not chained. Used from several threads."""

    path: Path
    seal: Seal | None = None
    sync: bool = True
    """Whether a line is on the disk before the work goes on."""
    clock: Clock = field(default_factory=SystemClock)
    _file: int = field(default=-1, init=False)
    _known: tuple[int, Link] | None = field(default=None, init=False)
    """How long the file was after our last line, and where the chain stood."""
    _lock: Lock = field(default_factory=Lock, init=False)

    def append(self, fields: Mapping[str, Any]) -> None:
        """Append a line.

        Crash: the line is there, or not, or a part of it, which the next one marks. Raises: ``OSError``; then the line
        is not there.
        """
        with self._lock:
            try:
                self._take()
                self._append(fields)
            finally:
                self._release()

    def close(self) -> None:
        """Let go of the file. Repeat: nothing happens."""
        with self._lock:
            self._close()

    def require_writable(self) -> None:
        """Look whether a line could be appended now: at all that appending goes by, but for the lock; nothing changes.

        Raises: ``OSError``, as appending would; what the key raises.
        """
        try:
            file = os.open(self.path, _FLAGS)
        except FileNotFoundError:
            require_place(self.path.parent)
            link = self._inherited()
        else:
            try:
                os.write(file, b"")  # what is no plain file says here that it takes nothing
                require_room(os.fstatvfs(file))
                size = os.fstat(file).st_size
                link = ending(file, size, is_chained=self.seal is not None)[0] if size else self._inherited()
            finally:
                os.close(file)
        if self.seal:
            self.seal.sealed({}, link)

    def _take(self) -> None:
        """Open the file that is under the name now, and lock it. Raises: ``OSError``."""
        while True:
            if self._file < 0:
                self._file = os.open(self.path, _FLAGS | os.O_CREAT, MODE)
            self._wait()
            if self._is_current():
                return
            link = self._stands(os.fstat(self._file).st_size)[0]  # somebody may have written after us
            self._close()
            self._known = (0, link)

    def _wait(self) -> None:
        end = self.clock.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self.clock.monotonic() >= end:
                    raise OSError(errno.EWOULDBLOCK, "somebody else holds its lock") from None
                self.clock.sleep(PAUSE)
            else:
                return

    def _is_current(self) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(self._file), self.path.stat(follow_symlinks=False))
        return False

    def _release(self) -> None:
        """Let others write, whatever became of our line; without the lock this does nothing."""
        if self._file >= 0:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _append(self, fields: Mapping[str, Any]) -> None:
        size = os.fstat(self._file).st_size
        link, torn = self._stands(size)
        texts = [""] if torn else []
        for each in [*self._mark(torn), fields]:
            text, link = self.seal.sealed(each, link) if self.seal else (text_of(each), link)
            texts.append(text)
        self._write("\n".join([*texts, ""]).encode(), size)
        self._known = (os.fstat(self._file).st_size, link)

    def _mark(self, torn: bytes) -> list[dict[str, Any]]:
        """Make the line that says what the bytes before it are."""
        if not torn:
            return []
        return [line(TORN, self.clock.now(), bytes=len(torn), sha256=hashlib.sha256(torn).hexdigest())]

    def _write(self, data: bytes, size: int) -> None:
        """Write all of it, or nothing. Raises: ``OSError``."""
        is_whole = False
        try:
            is_whole = os.write(self._file, data) == len(data)
            if is_whole and self.sync:
                os.fdatasync(self._file)
        except OSError:
            self._take_back(size)
            raise
        if not is_whole:
            self._take_back(size)
            raise failed(errno.ENOSPC)

    def _take_back(self, size: int) -> None:
        """Leave the file as it was; under our lock nobody has written after us."""
        with suppress(OSError):
            os.ftruncate(self._file, size)

    def _stands(self, size: int) -> tuple[Link, bytes]:
        """Tell where the chain stands, and what there is of a line that was torn."""
        if size == 0:
            return self._newest(), b""
        if self._known and self._known[0] == size:
            return self._known[1], b""
        return ending(self._file, size, is_chained=self.seal is not None)

    def _newest(self) -> Link:
        """Tell what an empty file follows: others may have written, and put whole files aside, since we wrote last."""
        known = self._known[1] if self._known else START
        try:
            return max(known, self._inherited(), key=lambda it: it.seq)
        except OSError:
            if known is START:
                raise
            return known

    def _inherited(self) -> Link:
        """Tell where the chain of the file stood that was renamed away last, if it is still there to be read."""
        found = rotated(self.path) if self.seal else []
        last = START
        for path in found[-1:]:
            if path.suffix != COMPRESSED:
                return end_of(path)
            for it in lines([path]):
                last = link_of(it.fields) or last
        return last


def end_of(path: Path) -> Link:
    """Tell where the chain of a file stands; no more of it is read than that takes. Raises: ``OSError``."""
    with path.open("rb") as file:
        return ending(file.fileno(), os.fstat(file.fileno()).st_size)[0]


def require_place(folder: Path) -> None:
    """Look whether a file could be made in a folder. Raises: ``OSError``."""
    found = os.statvfs(folder)
    if found.f_flag & os.ST_RDONLY:
        raise failed(errno.EROFS)
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise failed(errno.EACCES)
    require_room(found)


def require_room(found: os.statvfs_result) -> None:
    """Look whether there is any room on a file system; one without blocks has no such bound. Raises: ``OSError``."""
    free = found.f_bfree if os.geteuid() == 0 else found.f_bavail
    if found.f_blocks and not free:
        raise failed(errno.ENOSPC)


def failed(number: int) -> OSError:
    """Make the error that a system call would end with."""
    return OSError(number, os.strerror(number))


def ending(descriptor: int, size: int, *, is_chained: bool = True) -> tuple[Link, bytes]:
    """Read a file from its end: the last link of its chain, and what comes after the last end of a line."""
    length = BLOCK
    while True:
        start = max(0, size - length)
        *whole, torn = os.pread(descriptor, size - start, start).split(b"\n")
        for text in reversed(whole[1:] if start else whole):
            if link := link_of(parsed(text)):
                return link, torn
        if not start or (whole and not is_chained):
            return START, torn
        length *= 4
