"""Operating systems that fail, and what else the tests of the file backend share."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from rotator.model import Secret, Stored
from rotator.testing.backend_contract import pair
from rotator_backends.file import FileBackend, FileLocation
from rotator_backends.file_settings import backend_settings
from rotator_backends.file_system import System


class FailingSystem(System):
    """Raises at the nth call of one of its methods, before or after the effect."""

    def __init__(self, method: str, error: BaseException, *, nth: int = 1, after: bool = False) -> None:
        self._method = method
        self._error = error
        self._left = nth
        self._after = after

    def _guarded(self, method: str, effect: Callable[[], object]) -> None:
        self._left -= method == self._method
        is_due = method == self._method and self._left == 0
        if is_due and not self._after:
            raise self._error
        effect()
        if is_due:
            raise self._error

    def write(self, fd: int, data: bytes) -> int:
        """Write one byte, so that there is a second call; a real disk may do so, too."""
        self._guarded("write", lambda: os.write(fd, data[:1]))
        return 1

    def fsync(self, fd: int) -> None:
        """Sync."""
        self._guarded("fsync", lambda: super(FailingSystem, self).fsync(fd))

    def set_mtime(self, fd: int, nanoseconds: int) -> None:
        """Set the time."""
        self._guarded("set_mtime", lambda: super(FailingSystem, self).set_mtime(fd, nanoseconds))

    def rename(self, folder: int, source: str, target: str) -> None:
        """Rename."""
        self._guarded("rename", lambda: super(FailingSystem, self).rename(folder, source, target))


class MeddlingSystem(System):
    """Does something else when a file is synced for the first time: the last moment before the record is replaced."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        self._meddle: Callable[[], object] | None = meddle

    def fsync(self, fd: int) -> None:
        """Sync, after somebody was faster."""
        if self._meddle:
            self._meddle()
            self._meddle = None
        super().fsync(fd)


class FakeTime(System):
    """A clock that stands unless it is set, and goes on by as much as is slept."""

    def __init__(self, nanoseconds: int = 10**18) -> None:
        self.nanoseconds = nanoseconds
        self.seconds = 0.0

    def time_ns(self) -> int:
        """Tell what the test says."""
        return self.nanoseconds

    def monotonic(self) -> float:
        """Tell how long was slept."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.seconds += seconds


def backend_on(system: System, *, wait: timedelta = timedelta(seconds=10), mode: str = "0600") -> FileBackend:
    """Make a backend that runs on this system."""
    return FileBackend(backend_settings({"mode": mode}), system=system, lock_wait=wait)


def place(path: Path) -> FileLocation:
    """Locate a record."""
    return FileBackend.configure({}).locate({"path": str(path)})[0]


def stored(path: Path) -> Stored:
    """Read a record that is there."""
    found = FileBackend.configure({}).read(place(path))
    assert found is not None
    return found


def planted(path: Path, number: int = 1) -> Stored:
    """Create a record and read it."""
    FileBackend.configure({}).write(place(path), pair(number), expected=None)
    return stored(path)


def rewritten(path: Path, system: System, number: int = 2) -> Stored:
    """Replace the record that is there, on this system, and read it; without the result there is nothing to compare."""
    version = backend_on(system).write(place(path), pair(number), expected=stored(path).version)
    after = stored(path)
    assert after.version == version
    return after


def texts(fields: dict[str, str]) -> dict[str, Secret]:
    """Make secrets of plain texts."""
    return {key: Secret(value) for key, value in fields.items()}


def temporary_files(folder: Path) -> list[str]:
    """Name what writers have left in a folder."""
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(".tmp"))


def oserror(number: int) -> OSError:
    """Make the error that the system would raise."""
    return OSError(number, os.strerror(number))
