"""Backends by entry point (group ``rotator.backends``): the built-in ones come in by the door that everybody's use.

Only what is asked for is imported, so that a store's library need not be there unless it is configured.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from rotator.backend import Backend, Traits
from rotator.errors import ConfigError

GROUP = "rotator.backends"


def names() -> list[str]:
    """List the backends that are installed, without importing any."""
    return sorted(entry_points(group=GROUP).names)


def find(type_name: str) -> type[Backend]:
    """Import the backend of this name.

    Raises: ``ConfigError`` when there is none or more than one, it cannot be imported, or it is no backend.
    """
    entry = _entry(type_name)
    found = _imported(entry)
    if faults := _faults(found):
        raise ConfigError(
            f"what {_origin(entry)} installs as backend '{type_name}' is no backend: {'; '.join(faults)}",
            hint="update it, or tell its author to run rotator.testing.backend_contract",
        )
    return cast("type[Backend]", found)


def _entry(type_name: str) -> EntryPoint:
    entries = {entry.value: entry for entry in entry_points(group=GROUP, name=type_name)}
    if len(entries) > 1:
        offers = ", ".join(sorted(f"{_origin(entry)} ({entry.value})" for entry in entries.values()))
        raise ConfigError(f"more than one backend is called '{type_name}': {offers}", hint="uninstall all but one")
    if not entries:
        raise _unknown(type_name)
    return next(iter(entries.values()))


def _unknown(type_name: str) -> ConfigError:
    installed = names()
    close = get_close_matches(type_name, installed, n=1)
    return ConfigError(
        f"no backend of the name '{type_name}' is installed; installed: {', '.join(installed) or 'none'}",
        hint=f"did you mean '{close[0]}'?" if close else "install the package that brings it where rotate is installed",
    )


def _imported(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except Exception as error:  # somebody else's code runs here: anything may come out
        raise ConfigError(
            f"backend '{entry.name}' of {_origin(entry)} cannot be imported: {type(error).__name__}: {error}",
            hint=_import_hint(entry, error),
        ) from error


def _import_hint(entry: EntryPoint, error: Exception) -> str:
    extras = (entry.dist.metadata.get_all("Provides-Extra") or []) if entry.dist else []
    if entry.dist and entry.name in extras and isinstance(error, ModuleNotFoundError):
        return f"its library is not installed: pip install '{entry.dist.name}[{entry.name}]'"
    return f"reinstall {_origin(entry)}"


def _origin(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _faults(found: object) -> list[str]:
    if not isinstance(found, type):
        return ["it is not a class"]
    required = sorted(name for name in vars(Backend) if not name.startswith("_"))
    missing = [name for name in required if not callable(getattr(found, name, None))]
    faults = [f"it lacks {', '.join(missing)}"] if missing else []
    if not isinstance(getattr(found, "traits", None), Traits):
        faults.append("its traits are no Traits")
    return faults
