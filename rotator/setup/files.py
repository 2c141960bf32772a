"""The files that a set-up writes: whole or not at all, and never over what somebody else has put there meanwhile."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rotator.config_edit import replace_file
from rotator.errors import ConfigError

MODE = 0o644
"""There are no secrets in them."""


def create(path: Path, text: str) -> None:
    """Write a file that is not there yet. Crash: it is there, whole, or not. Raises: ``ConfigError``."""
    with _telling(path):
        _create(path, text)


def rewrite(path: Path, text: str) -> None:
    """Write a file anew, where it is and whose it is. Crash: the old one or the new one. Raises: ``ConfigError``."""
    with _telling(path):
        replace_file(path.resolve(), text.encode())


def remove(path: Path) -> None:
    """Take a file away. Repeat: nothing happens. Raises: ``ConfigError``."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be removed: {error.strerror}", hint=f"rm {path}") from None


def is_there(path: Path) -> bool:
    """Say whether there is such a file. Raises: ``ConfigError`` where that cannot be seen."""
    try:
        return path.exists()
    except OSError as error:
        hint = "name another place, or look who may enter its folder"
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint=hint) from None


def read(path: Path) -> str | None:
    """Read a file; None when there is none. Raises: ``ConfigError``."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {why}", hint="name another one with --config") from None


def _create(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, MODE)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        path.hardlink_to(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}", hint="make its folder, or name another file with --config"
        ) from None
