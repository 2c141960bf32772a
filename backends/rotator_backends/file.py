"""Records in files: one file for each, replaced whole, with compare-and-set under a lock.

The system calls are in ``file_system``, what is refused in ``file_checks``, one writer at a time in ``file_lock``, the
replacement in ``file_replace``, the formats in ``file_formats`` and ``file_yaml``. What is known of a file lives in
that file and in the lock file beside it: the backend itself has no state, so any number of threads may use it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from rotator.backend import Traits
from rotator.errors import ConflictError, RefusedError
from rotator.model import Secret, Stored, Version
from rotator_backends.file_checks import check_folder, check_not_mounted, check_size, check_writable
from rotator_backends.file_formats import ContentError, Format, codec, decoded, encoded
from rotator_backends.file_keys import check_keys
from rotator_backends.file_lock import Lock, held, keep_mark
from rotator_backends.file_replace import Snapshot, probe, remove_leftovers, replace, take
from rotator_backends.file_settings import BackendSettings, backend_settings, destination_settings
from rotator_backends.file_system import System, open_folder, translating

LOCK_WAIT = timedelta(seconds=10)
_UNCHANGED = "; the record is unchanged"


@dataclass(frozen=True, slots=True)
class FileLocation:
    """One record: the file's path, absolute, the format of its content, and what a text as a whole is called."""

    path: Path
    format: Format
    key: str = ""


class FileBackend:
    """The store of type ``file``."""

    traits: ClassVar[Traits] = Traits(compare_and_set=True)

    def __init__(
        self, settings: BackendSettings, *, system: System | None = None, lock_wait: timedelta = LOCK_WAIT
    ) -> None:
        self._settings = settings
        self._system = system or System()
        self._lock_wait = lock_wait

    @classmethod
    def configure(cls, settings: Mapping[str, Any]) -> FileBackend:
        """Make a backend of ``root`` and ``mode``.

        Raises: ``ConfigError``, a line for each fault.
        """
        return cls(backend_settings(settings))

    def locate(self, settings: Mapping[str, Any]) -> tuple[FileLocation, str]:
        """Make a location of ``path``, ``format`` and ``key``.

        The label is the real path, so that one file under two names is found; the location keeps the path as it was
        given, because a link among its folders may be meant to change.

        Raises: ``ConfigError``, a line for each fault.
        """
        found = destination_settings(settings, root=self._settings.root)
        return FileLocation(found.path, found.format, found.key), f"file:{os.path.realpath(found.path)}"

    def check_keys(self, location: FileLocation, keys: Collection[str]) -> None:
        """Return when a record of these keys fits the format.

        Raises: ``ConfigError``, a line for each fault.
        """
        check_keys(keys, location.format, key=location.key, name=location.path.name)

    def read(self, location: FileLocation) -> Stored | None:
        """Read the record; no lock is needed, since a file is only ever replaced whole.

        Raises: ``UnavailableError``; ``RefusedError``, also for a folder that is not there.
        """
        path = location.path
        with translating(f"read {path}"), open_folder(path.parent) as folder:
            seen = take(folder, path.name, system=self._system)
        if seen is None:
            return None
        fields = codec(location.format, location.key).fields
        with _judging(location):
            found = fields(decoded(seen.data))
        return Stored({key: Secret(value) for key, value in found.items()}, seen.version)

    def write(self, location: FileLocation, fields: Mapping[str, Secret], *, expected: Version | None) -> Version:
        """Replace the file by one with these fields changed, if it is still as expected.

        Repeat: a ``ConflictError``.
        Crash: the old file or the new one; a temporary file that may be left is removed by the next write.
        Raises: ``ConflictError``; ``OutcomeUnknownError``; ``UnavailableError``; ``RefusedError``.
        """
        with translating(f"write {location.path}", consequence=_UNCHANGED), self._locked(location) as lock:
            before = self._acceptable(location, lock)
            _check_expected(location, before, expected)
            with _judging(location):
                text = decoded(before.data) if before else ""
                values = {key: value.reveal() for key, value in fields.items()}
                data = encoded(location.format, text, values, location.key)
            check_size(data, location.path)
            mode = self._settings.permissions
            return replace(lock, location.path.name, data, before=before, mode=mode, system=self._system)

    def preflight(self, location: FileLocation) -> None:
        """Return when a write could begin now: folder, lock, room for a temporary file, an acceptable target.

        Raises: ``RefusedError``; ``UnavailableError``.
        """
        with translating(f"write {location.path}", consequence=_UNCHANGED), self._locked(location) as lock:
            before = self._acceptable(location, lock)
            check_not_mounted(Path(os.path.realpath(location.path)), self._system.mounts())
            with _judging(location):
                codec(location.format, location.key).fields(decoded(before.data) if before else "")
            mode = self._settings.permissions
            probe(lock, location.path.name, before=before, mode=mode, system=self._system)

    def close(self) -> None:
        """Do nothing: no file stays open. Repeat: the same."""

    @contextmanager
    def _locked(self, location: FileLocation) -> Iterator[Lock]:
        name = location.path.name
        with open_folder(location.path.parent) as folder:
            check_folder(os.fstat(folder.fd), folder.path)
            seen = take(folder, name, system=self._system)
            owner = seen.status if seen else None
            with held(folder, name, system=self._system, wait=self._lock_wait, owner=owner) as lock:
                remove_leftovers(lock, name)
                keep_mark(lock, system=self._system)
                yield lock

    def _acceptable(self, location: FileLocation, lock: Lock) -> Snapshot | None:
        seen = take(lock.folder, location.path.name, system=self._system)
        if seen is not None:
            check_writable(seen.status, location.path, mode=self._settings.permissions, euid=os.geteuid())
        return seen


def _check_expected(location: FileLocation, before: Snapshot | None, expected: Version | None) -> None:
    if before is None and expected is not None:
        raise ConflictError(f"{location.path} was removed by somebody else")
    if before is not None and before.version != expected:
        raise ConflictError(f"{location.path} was {'made' if expected is None else 'changed'} by somebody else")


@contextmanager
def _judging(location: FileLocation) -> Iterator[None]:
    """Turn what a format finds wrong with a text into a refusal."""
    try:
        yield
    except ContentError as error:
        raise RefusedError(
            f"{location.path} is left as it is: {error}",
            hint=f"it is read as {location.format}; repair or remove it by hand, or set another format",
        ) from error
