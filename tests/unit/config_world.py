"""A valid configuration to change in one place, and stores in memory for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rotator.backend import Backend, Traits
from rotator.config import InvalidConfigError, Problem, Settings, load
from rotator.errors import ConfigError
from rotator.model import Secret, Stored, Version

SECTIONS = {
    "top": {"version": "1", "owner": "homelab"},
    "cluster": {"endpoints": "[pve1.lan]", "operator": "{path: op}"},
    "credential": {"name": "ci", "cluster": "home", "user": "ci@pve", "destination": "{path: ci}"},
}


class Shelf:
    """A store in memory: the setting ``room`` must be text, a destination is a ``path`` and perhaps a ``slot``."""

    traits: ClassVar[Traits] = Traits()

    def __init__(self, records: Mapping[str, Stored]) -> None:
        self.records = records
        self.closed = 0

    @classmethod
    def configure(cls, settings: Mapping[str, Any]) -> Shelf:
        """Check the settings."""
        faults = [f"{key}: unknown" for key in settings if key != "room"]
        if not isinstance(settings.get("room", ""), str):
            faults.append("room: must be text")
        if faults:
            raise ConfigError("\n".join(faults), hint="a shelf takes room")
        return cls({"ticket": Stored({"token_secret": Secret("from the shelf")}, Version("1"))})

    def locate(self, settings: Mapping[str, Any]) -> tuple[Any, str]:
        """Check the settings of a place."""
        path = settings.get("path")
        faults = [] if isinstance(path, str) else ["path: must be text"]
        faults += ["only path and slot go here"] if settings.keys() - {"path", "slot"} else []
        if faults:
            raise ConfigError("\n".join(faults), hint="write path: name")
        return path, f"shelf:{path}"

    def read(self, location: Any) -> Stored | None:  # noqa: ANN401 - as in the protocol
        """Return what is there."""
        return self.records.get(location)

    def write(self, location: Any, fields: Mapping[str, Secret], *, expected: Version | None) -> Version:  # noqa: ANN401
        """Refuse."""
        raise AssertionError(
            f"nothing is written while a configuration is read: {location} {sorted(fields)} {expected}"
        )

    def preflight(self, location: Any) -> None:  # noqa: ANN401 - as in the protocol
        """Refuse."""
        raise AssertionError(f"nothing is contacted while a configuration is read: {location}")

    def close(self) -> None:
        """Count how often."""
        self.closed += 1


class Ledger(Shelf):
    """A store that cannot compare and set."""

    traits: ClassVar[Traits] = Traits(compare_and_set=False)


def find(kind: str) -> type[Backend]:
    """Find one of the stores above."""
    if kind not in {"file", "shelf", "ledger"}:
        raise ConfigError(f"no backend of the name '{kind}' is installed", hint="did you mean 'shelf'?")
    return Ledger if kind == "ledger" else Shelf


def section(name: str, changes: Mapping[str, str | None], indent: str) -> str:
    """Write one section, a key on each line; None leaves a key out."""
    keys = {**SECTIONS[name], **changes}
    return "".join(f"{indent}{key}: {value}\n" for key, value in keys.items() if value is not None)


def config(
    top: Mapping[str, str | None] = {},
    cluster: Mapping[str, str | None] = {},
    credential: Mapping[str, str | None] = {},
    more: str = "",
) -> str:
    """Write a configuration that is valid but for the changes; ``more`` comes after the one credential."""
    item = section("credential", credential, "    ")
    return (
        f"{section('top', top, '')}clusters:\n  home:\n{section('cluster', cluster, '    ')}"
        f"credentials:\n  -{item[3:]}{more}"
    )


def read(folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> Settings:
    """Load a configuration of this text."""
    path = folder / "rotate.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(path, find_backend=find, environ=environ or {})


def problems(folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
    """Load a configuration that is wrong; returns what is wrong with it."""
    with pytest.raises(InvalidConfigError) as caught:
        read(folder, text, environ)
    return caught.value.problems
