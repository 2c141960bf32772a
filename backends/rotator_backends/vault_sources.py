"""The secrets of a login, read from where the settings say, anew each time: they may have been replaced since.

The core's own references are not for backends; these are the two kinds that need nobody else.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from rotator.errors import ConfigError
from rotator.model import Secret
from rotator_backends.vault_settings import TOKEN_VARIABLES, EnvSource, Source

_LONGEST = 65_536
_HALF = re.compile("[\ud800-\udfff]")
"""What Python makes of bytes in the environment that are not UTF-8."""
_SENDABLE = re.compile(r"[\x21-\x7e]+")


def secret_of(source: Source, *, public_file: bool = False) -> Secret:
    """Read a secret. ``public_file``: the file may be open to all, as the token of a service account is in a pod.

    Raises: ``ConfigError``.
    """
    if isinstance(source, EnvSource):
        return _from_environment(source.variable)
    return _from_file(source.path, public=public_file)


def default_token() -> Secret:
    """Read the token that the environment gives.

    Raises: ``ConfigError``.
    """
    found = {os.environ[name] for name in TOKEN_VARIABLES if os.environ.get(name)}
    if len(found) == 1:
        return Secret(found.pop().strip())
    names = " and ".join(TOKEN_VARIABLES)
    state = "are set and differ" if found else "are not set"
    raise ConfigError(f"auth: {names} {state}", hint="set one where `rotate` is started, or another `auth`")


def sendable(token: Secret) -> Secret:
    """Return a token that fits into a header.

    Raises: ``ConfigError`` when it is none; an HTTP library would say so with the token in its message.
    """
    if not _SENDABLE.fullmatch(token.reveal()):
        raise ConfigError("auth: what was found is no token", hint="a token is one word of plain characters")
    return token


def _from_environment(variable: str) -> Secret:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(f"auth: {variable} is not set", hint="set it where `rotate` is started")
    if _HALF.search(value):
        raise ConfigError(f"auth: {variable} is no text in UTF-8", hint="set it to the secret alone, as it was given")
    return Secret(value)


def _from_file(path: Path, *, public: bool) -> Secret:
    reason = ""
    try:
        text = _content(path, public=public).decode().strip()
    except OSError as error:
        text, reason = "", f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        text = ""
    if not text or len(text) > _LONGEST:
        raise ConfigError(f"auth: {path} {reason or 'holds no secret'}", hint="check the path and who may read it")
    return Secret(text)


def _content(path: Path, *, public: bool) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe without a writer must not block us
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(f"auth: {path} is not a regular file", hint="name a file that holds the secret alone")
        if mode & stat.S_IROTH and not public:
            raise ConfigError(f"auth: everybody may read {path}", hint=f"chmod o-rwx {path}")
        return os.read(descriptor, _LONGEST + 2)
    finally:
        os.close(descriptor)
