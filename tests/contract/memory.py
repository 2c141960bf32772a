"""The smallest backend that keeps the contract, and ways to break it: what the suite itself is tested with."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from typing import Any, ClassVar

from rotator.backend import Traits
from rotator.errors import ConfigError, ConflictError
from rotator.model import Secret, Stored, Version


class MemoryBackend:
    """Records by name; each fault of a subclass is one method."""

    traits: ClassVar[Traits] = Traits()

    def __init__(self) -> None:
        self._records: dict[str, Stored] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    @classmethod
    def configure(cls, settings: Mapping[str, Any]) -> MemoryBackend:
        """Take no settings."""
        _no_other_settings(settings, known=set())
        return cls()

    def locate(self, settings: Mapping[str, Any]) -> tuple[Any, str]:
        """Take a name."""
        _no_other_settings(settings, known={"name"})
        return settings["name"], f"memory:{settings['name']}"

    def read(self, location: Any) -> Stored | None:  # noqa: ANN401 - as in the protocol
        """Look."""
        return self._records.get(location)

    def write(self, location: Any, fields: Mapping[str, Secret], *, expected: Version | None) -> Version:  # noqa: ANN401
        """Compare and set."""
        with self._lock:
            before = self._records.get(location)
            self.compare(before, expected)
            kept = before.fields if before else {}
            stored = Stored(self.merged(kept, fields), self.version(before))
            self._records[location] = stored
            return stored.version

    def compare(self, before: Stored | None, expected: Version | None) -> None:
        """Refuse another version."""
        if (before.version if before else None) != expected:
            raise ConflictError("somebody was faster")

    def merged(self, kept: Mapping[str, Secret], fields: Mapping[str, Secret]) -> Mapping[str, Secret]:
        """Keep what is not given."""
        return {**kept, **fields}

    def version(self, before: Stored | None) -> Version:  # noqa: ARG002 - for the backends that break this
        """Count."""
        return Version(str(next(self._numbers)))

    def preflight(self, location: Any) -> None:  # noqa: ANN401 - as in the protocol
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def _no_other_settings(settings: Mapping[str, Any], *, known: set[str]) -> None:
    if unknown := settings.keys() - known:
        raise ConfigError("\n".join(f"{key}: is no setting" for key in sorted(unknown)))


class PlainStore(MemoryBackend):
    """A store without compare-and-set: its version is the content, and it looks before it writes."""

    traits: ClassVar[Traits] = Traits(compare_and_set=False)

    def merged(self, kept: Mapping[str, Secret], fields: Mapping[str, Secret]) -> Mapping[str, Secret]:
        """Remember what the version will be made of."""
        self._next = super().merged(kept, fields)
        return self._next

    def version(self, before: Stored | None) -> Version:  # noqa: ARG002 - it comes of the content alone
        """Name the content."""
        return Version(str(hash(frozenset(self._next.items()))))


class Overwriting(MemoryBackend):
    """Compares nothing."""

    def compare(self, before: Stored | None, expected: Version | None) -> None:
        """Take everything."""


class Recreating(MemoryBackend):
    """Compares only where a version is expected."""

    def compare(self, before: Stored | None, expected: Version | None) -> None:
        """Take every create."""
        if expected is not None:
            super().compare(before, expected)


class Resurrecting(MemoryBackend):
    """Compares only where something is."""

    def compare(self, before: Stored | None, expected: Version | None) -> None:
        """Take every write into nothing."""
        if before is not None:
            super().compare(before, expected)


class Replacing(MemoryBackend):
    """Drops the keys that are not given."""

    def merged(self, kept: Mapping[str, Secret], fields: Mapping[str, Secret]) -> Mapping[str, Secret]:  # noqa: ARG002
        """Keep nothing."""
        return dict(fields)


class Stripping(MemoryBackend):
    """Takes white space off values."""

    def merged(self, kept: Mapping[str, Secret], fields: Mapping[str, Secret]) -> Mapping[str, Secret]:
        """Tidy up."""
        return {**kept, **{key: Secret(value.reveal().strip()) for key, value in fields.items()}}


class Hashing(PlainStore):
    """Makes its version of the content and still claims to compare and set."""

    traits: ClassVar[Traits] = Traits(compare_and_set=True)


class Losing(MemoryBackend):
    """Takes everything and has nothing."""

    def read(self, location: Any) -> Stored | None:  # noqa: ANN401, ARG002 - as in the protocol
        """Find nothing."""
        return None


class Lagging(MemoryBackend):
    """Gives versions of their own to reads."""

    def read(self, location: Any) -> Stored | None:  # noqa: ANN401 - as in the protocol
        """Count reads, too."""
        stored = super().read(location)
        return stored and Stored(stored.fields, self.version(None))


class Racing(MemoryBackend):
    """Compares before it takes the lock."""

    def __init__(self) -> None:
        super().__init__()
        self._both = threading.Barrier(2)

    def write(self, location: Any, fields: Mapping[str, Secret], *, expected: Version | None) -> Version:  # noqa: ANN401
        """Let the second writer in before the first is through."""
        super().compare(self.read(location), expected)
        if threading.current_thread() is not threading.main_thread():
            self._both.wait(10)
        return super().write(location, fields, expected=expected)

    def compare(self, before: Stored | None, expected: Version | None) -> None:
        """Trust the first look."""


class Halving(MemoryBackend):
    """Shows a new id beside the secret that was there before it."""

    _before: Stored | None = None

    def write(self, location: Any, fields: Mapping[str, Secret], *, expected: Version | None) -> Version:  # noqa: ANN401
        """Remember what was there."""
        self._before = super().read(location)
        return super().write(location, fields, expected=expected)

    def read(self, location: Any) -> Stored | None:  # noqa: ANN401 - as in the protocol
        """Mix both."""
        stored = super().read(location)
        if stored is None or self._before is None:
            return stored
        return Stored({**stored.fields, "token_secret": self._before.fields["token_secret"]}, stored.version)


class Preparing(MemoryBackend):
    """Writes an empty record to see whether it can."""

    def preflight(self, location: Any) -> None:  # noqa: ANN401 - as in the protocol
        """Try it out."""
        before = self.read(location)
        self.write(location, {}, expected=before.version if before else None)


class Talking(MemoryBackend):
    """Says what it has."""

    def compare(self, before: Stored | None, expected: Version | None) -> None:
        """Explain too much."""
        try:
            super().compare(before, expected)
        except ConflictError as error:
            shown = {key: value.reveal() for key, value in before.fields.items()} if before else {}
            raise ConflictError("somebody was faster") from ValueError(shown, error)


class Showing(MemoryBackend):
    """Shows what it has."""

    def __repr__(self) -> str:
        return str([value.reveal() for stored in self._records.values() for value in stored.fields.values()])


class Forgetful(MemoryBackend):
    """Calls every place the same."""

    def locate(self, settings: Mapping[str, Any]) -> tuple[Any, str]:
        """Forget the name."""
        return super().locate(settings)[0], "memory"


class Hasty(MemoryBackend):
    """Stops at the first fault."""

    def locate(self, settings: Mapping[str, Any]) -> tuple[Any, str]:
        """Look at one key only."""
        _no_other_settings(dict([*settings.items()][:1]), known={"name"})
        return super().locate(settings)


class CloseOnce(MemoryBackend):
    """Fails when it is closed again."""

    is_closed = False

    def close(self) -> None:
        """Insist."""
        if self.is_closed:
            raise ConflictError("closed already")
        self.is_closed = True


class Empty(MemoryBackend):
    """Reads nothing as a record without fields."""

    def read(self, location: Any) -> Stored | None:  # noqa: ANN401 - as in the protocol
        """Invent one."""
        return super().read(location) or Stored({}, Version("0"))
