"""References to secrets: what stands in the configuration where another tool would have the secret itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from rotator.backend import Backend
from rotator.errors import ConfigError, NotFoundError
from rotator.model import Secret

LONGEST = 65_536
"""No secret is longer; a file that is was named by mistake."""


@dataclass(frozen=True, slots=True)
class EnvReference:
    """The value of an environment variable."""

    variable: str


@dataclass(frozen=True, slots=True)
class FileReference:
    """The content of a file, without the newline at its end."""

    path: Path


@dataclass(frozen=True, slots=True)
class BackendReference:
    """One key of a record in a backend."""

    backend: str
    location: Any = field(repr=False)
    label: str
    key: str


SecretReference = EnvReference | FileReference | BackendReference


def resolve(reference: SecretReference, *, environ: Mapping[str, str], backends: Mapping[str, Backend]) -> Secret:
    """Get the secret that is referred to, anew each time: it may have been rotated since.

    Raises: ``ConfigError`` when a variable, a file or a key of a record does not hold one; ``NotFoundError`` when there
    is no such record or key; what the backend's ``read`` raises.
    """
    match reference:
        case EnvReference():
            return _from_environment(reference, environ)
        case FileReference():
            return _from_file(reference)
        case BackendReference():
            return _from_backend(reference, backends)
    assert_never(reference)


def check(reference: SecretReference, *, environ: Mapping[str, str]) -> None:
    """Look whether it can be resolved, as far as that goes without contacting anybody. Raises: ``ConfigError``."""
    if not isinstance(reference, BackendReference):
        resolve(reference, environ=environ, backends={})


def _from_environment(reference: EnvReference, environ: Mapping[str, str]) -> Secret:
    value = environ.get(reference.variable, "")
    if not value or not is_text(value):
        state = "not UTF-8" if value else "empty" if reference.variable in environ else "not set"
        raise ConfigError(
            f"the environment variable {reference.variable} is {state}", hint="set it where `rotate` is started"
        )
    return Secret(value)


def _from_file(reference: FileReference) -> Secret:
    try:
        content = _read(reference.path)
        text = content.decode()
    except OSError as error:
        message = f"the secret's file {reference.path} cannot be read: {error.strerror}"
        raise ConfigError(message, hint="check the path and who may read it") from None
    except UnicodeDecodeError:
        text = ""
    except ValueError:  # it has a zero byte, or half a character
        message = f"the secret's file {str(reference.path)!a} cannot be read: no file has such a name"
        raise ConfigError(message, hint="correct the path") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or len(text) > LONGEST:
        raise ConfigError(f"the secret's file {reference.path} holds no secret", hint="write the secret alone into it")
    return Secret(text)


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe without a writer must not block us
    try:
        return _content(descriptor, path)
    finally:
        os.close(descriptor)


def _content(descriptor: int, path: Path) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:  # it does not close what it refuses, a folder
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(f"{path} is not a regular file", hint="name a file that holds the secret alone")
        if mode & stat.S_IROTH:
            raise ConfigError(f"everybody may read the secret's file {path}", hint=f"chmod o-rwx {path}")
        return file.read(LONGEST + 2)


def _from_backend(reference: BackendReference, backends: Mapping[str, Backend]) -> Secret:
    if (backend := backends.get(reference.backend)) is None:  # the reference is of a configuration of before
        message = f"{reference.label} cannot be read: the backend {reference.backend} is configured no more"
        raise ConfigError(message, hint="start `rotate` anew, or put the backend back")
    stored = backend.read(reference.location)
    if stored is None or reference.key not in stored.fields:
        what = "no record" if stored is None else f"no key {reference.key}"
        raise NotFoundError(f"{reference.label} holds {what}", hint="store the secret there, or correct the reference")
    secret = stored.fields[reference.key]
    if not secret.reveal() or not is_text(secret.reveal()):  # what is empty would open a door to everybody
        state = "not UTF-8" if secret.reveal() else "empty"
        message = f"{reference.label} holds no secret: its key {reference.key} is {state}"
        raise ConfigError(message, hint="store the secret there")
    return secret


def is_text(value: str) -> bool:
    """Whether it could be sent: an environment may have any bytes, and JSON half a character."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
