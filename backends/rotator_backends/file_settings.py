"""The settings of the file backend and of its destinations; every fault is told at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from rotator.errors import ConfigError
from rotator_backends.file_formats import Format

_MODES = ("0600", "0640", "0660")
_NO_NAME = re.compile("[\0\ud800-\udfff]")
"""What no name of a file in UTF-8 has."""
_SUFFIXES = {
    ".json": Format.JSON,
    ".env": Format.ENV,
    ".yaml": Format.YAML,
    ".yml": Format.YAML,
    ".token": Format.TOKEN,
}


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BackendSettings(_Settings):
    """What all files of one backend have in common."""

    root: Path | None = None
    mode: str = "0600"

    @field_validator("root")
    @classmethod
    def _check_root(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_absolute():
            raise ValueError("must be an absolute folder, such as /run/secrets")
        return value

    @field_validator("mode", mode="before")
    @classmethod
    def _check_mode(cls, value: object) -> object:
        if value not in _MODES:
            quotes = "" if isinstance(value, str) else ", in quotes, because YAML makes another number of it"
            raise ValueError(f'must be "0600", "0640" or "0660"{quotes}; nobody else may read a secret')
        return value

    @property
    def permissions(self) -> int:
        """The mode as the system wants it."""
        return int(self.mode, 8)


class DestinationSettings(_Settings):
    """One record: where it is, and how it is written. ``path`` is absolute once it is checked."""

    path: Path
    format: Format = Field(default=None, validate_default=True)
    key: str = Field(default=None, validate_default=True)
    """What the text of a file of the format ``text`` is called; its name, as when it is mounted from a Secret."""

    @field_validator("path", mode="before")
    @classmethod
    def _check_path(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str | Path):
            raise ValueError("must be a path")  # noqa: TRY004 - pydantic collects ValueErrors
        text = str(value)
        if not text or text.endswith("/") or _NO_NAME.search(text) or {".", ".."} & set(text.split("/")):
            raise ValueError("must name a file, without '.' and '..' on the way")
        if text.startswith("~"):
            raise ValueError("must be written out: '~' depends on who runs rotate")
        return _below(info.context, text)

    @field_validator("format", mode="before")
    @classmethod
    def _check_format(cls, value: object, info: ValidationInfo) -> object:
        path = info.data.get("path")
        if value is not None or path is None:
            return value or Format.JSON
        if (found := format_of(path)) is None:
            known = f"json, env, yaml, token or text; {', '.join(_SUFFIXES)} at its end say it too"
            raise ValueError(f"cannot be told from the name {path.name}; say {known}")
        return found

    @field_validator("key", mode="before")
    @classmethod
    def _check_key(cls, value: object, info: ValidationInfo) -> object:
        path, kind = info.data.get("path"), info.data.get("format")
        if value is None:
            return path.name if path and kind is Format.TEXT else ""
        if not isinstance(value, str) or not value:
            raise ValueError("must be the name of a key")
        if kind is not Format.TEXT:
            raise ValueError("only a file of the format text has one key")
        return value


def _below(root: Path | None, path: str) -> Path:
    if root is None and not path.startswith("/"):
        raise ValueError("must be absolute, or the backend needs a root that it is below")
    return Path(root or "/", path)


def format_of(path: Path) -> Format | None:
    """Tell a format by a file's name, or None: a wrong guess would destroy what a consumer understands."""
    if re.fullmatch(r"\.env(\..+)?", path.name):
        return Format.ENV
    return _SUFFIXES.get(path.suffix.lower())


def backend_settings(settings: Mapping[str, Any]) -> BackendSettings:
    """Check the settings of a backend.

    Raises: ``ConfigError``, a line for each fault.
    """
    faults = ""
    try:
        return BackendSettings.model_validate(dict(settings))
    except ValidationError as error:
        faults = _faults(error)
    raise ConfigError(faults, hint="a file backend takes root and mode")


def destination_settings(settings: Mapping[str, Any], *, root: Path | None) -> DestinationSettings:
    """Check the settings of a destination below a root.

    Raises: ``ConfigError``, a line for each fault.
    """
    faults = ""
    try:
        return DestinationSettings.model_validate(dict(settings), context=root)
    except ValidationError as error:
        faults = _faults(error)
    raise ConfigError(faults, hint="a destination in a file takes path, format and key")


def _faults(error: ValidationError) -> str:
    return "\n".join(
        ": ".join([*map(str, fault["loc"]), _spoken(fault["msg"])])
        for fault in error.errors(include_url=False, include_input=False)
    )


def _spoken(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
