"""The public protocol of a secrets store: what the rotation asks of it, and what it may rely on.

A backend is found by entry point (group ``rotator.backends``); its name there is what the configuration calls it.
Writing one is described in ``backends/README.md``; ``rotator.testing.backend_contract`` is the suite that every
backend passes.

Errors: a backend translates everything that its library raises. ``UnavailableError`` when nobody answered and nothing
happened, ``OutcomeUnknownError`` when a write was sent and no answer came, ``RefusedError`` when the store said no
(with a hint that names the missing permission), ``ConflictError`` when the version is not the expected one. No message
and no log line carries a value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from rotator.model import Secret, Stored, Version


@dataclass(frozen=True, slots=True)
class Traits:
    """What a store can and cannot do; what it cannot, the plan says and what that costs."""

    compare_and_set: bool = True


@runtime_checkable
class Backend(Protocol):
    """One configured store. It is used from several threads at once."""

    traits: ClassVar[Traits]

    @classmethod
    def configure(cls, settings: Mapping[str, Any]) -> Backend:
        """Make a backend of the user's settings, contacting nobody.

        Raises: ``ConfigError`` whose message lists every fault, a line each.
        """
        ...

    def locate(self, settings: Mapping[str, Any]) -> tuple[Any, str]:
        """Turn the settings of one destination into a location (hashable, opaque to the core) and its label for people.

        Two settings that mean the same place give the same label: that is how two credentials with one destination are
        found. Contacts nobody.

        Raises: ``ConfigError`` whose message lists every fault, a line each.
        """
        ...

    def read(self, location: Any) -> Stored | None:  # noqa: ANN401 - each backend has its own kind of location
        """Read a record with its version, or None where there is none.

        Raises: ``UnavailableError``, ``RefusedError``.
        """
        ...

    def write(self, location: Any, fields: Mapping[str, Secret], *, expected: Version | None) -> Version:  # noqa: ANN401
        """Compare-and-set: put these keys there if the version is still the expected one (None: if nothing is there).

        Only the given keys change; all others, and what else the store keeps beside them, stay. Writing what is there
        already still makes a new version (the protocol's fence relies on it). All or nothing, and durable on return.

        Repeat: the same call again is a ``ConflictError``, because the version has changed.
        Crash: the old record or the new one, never a part.
        Raises: ``ConflictError``; ``OutcomeUnknownError``; ``UnavailableError``; ``RefusedError``.
        """
        ...

    def preflight(self, location: Any) -> None:  # noqa: ANN401
        """Return when the location could be written now, changing nothing.

        Raises: ``RefusedError`` that says what is missing; ``UnavailableError``.
        """
        ...

    def close(self) -> None:
        """Let go of connections. Repeat: nothing happens."""
        ...


@runtime_checkable
class Announces(Protocol):
    """What a backend may do beyond the protocol, if it can make consumers read a record anew."""

    def audience(self, location: Any) -> tuple[str, ...]:  # noqa: ANN401
        """Name whom an announcement reaches, for people (``deployment web``); () where nobody is to be told.

        Contacts nobody.
        """
        ...

    def announce(self, location: Any, *, rotation: str) -> None:  # noqa: ANN401
        """Make the consumers of a record read it anew; called when it was read back and found to work.

        Repeat: nothing happens twice for one rotation.
        Crash: some are told; a repeat tells the others.
        Raises: ``UnavailableError``, ``OutcomeUnknownError``, ``RefusedError``.
        """
        ...


@runtime_checkable
class ChecksKeys(Protocol):
    """What a backend may do beyond the protocol, if some of its places cannot hold every key."""

    def check_keys(self, location: Any, keys: Collection[str]) -> None:  # noqa: ANN401
        """Return when a record of these keys has room there; it is asked while the configuration is checked.

        Contacts nobody.

        Raises: ``ConfigError`` whose message lists every fault, a line each that begins with the key: ``a.b: not the
        name of a variable``.
        """
        ...
