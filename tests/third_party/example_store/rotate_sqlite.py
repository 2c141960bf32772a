"""Records in an SQLite database: the whole of a backend in one module, as an example to start from.

The write lock is taken before the version is compared, so nobody comes between (``BEGIN IMMEDIATE``). Versions are
counted by the database, with triggers, so an edit by hand makes one, too; and there is one count for all records, so a
record that was removed and made again does not begin anew. No method keeps a connection: several threads may call.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rotator.backend import Traits
from rotator.errors import (
    ConfigError,
    ConflictError,
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    RotatorError,
    UnavailableError,
)
from rotator.model import Secret, Stored, Version

PATIENCE = 10.0
"""Seconds to wait for somebody else's transaction."""

_TABLES = (
    "CREATE TABLE IF NOT EXISTS latest (number INTEGER NOT NULL)",
    "INSERT INTO latest SELECT 0 WHERE NOT EXISTS (SELECT * FROM latest)",
    "CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, version INTEGER NOT NULL)",
    """CREATE TABLE IF NOT EXISTS fields (
        record TEXT NOT NULL REFERENCES records (name), key TEXT NOT NULL, value NOT NULL,
        PRIMARY KEY (record, key)
    )""",
)
_TRIGGERS = tuple(
    f"CREATE TRIGGER IF NOT EXISTS count_{event} AFTER {event} ON fields BEGIN "  # noqa: S608 - constants
    "UPDATE latest SET number = number + 1; "
    f"UPDATE records SET version = (SELECT number FROM latest) WHERE name = {row}.record; END"
    for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))
)
_COUNT = "UPDATE latest SET number = number + 1"
_RECORD = """INSERT INTO records SELECT ?, number FROM latest WHERE true
    ON CONFLICT (name) DO UPDATE SET version = excluded.version"""
_FIELD = "INSERT INTO fields VALUES (?, ?, ?) ON CONFLICT (record, key) DO UPDATE SET value = excluded.value"

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record is: the name that it has in the database."""

    name: str


class SqliteBackend:
    """One database. Repeat, Crash and Raises are those of ``rotator.backend.Backend``."""

    traits: ClassVar[Traits] = Traits(compare_and_set=True)

    def __init__(self, database: Path) -> None:
        self._database = database

    @classmethod
    def configure(cls, settings: Mapping[str, Any]) -> SqliteBackend:
        """Take the setting ``database``: the absolute path of the file; the first write makes it."""
        database = _one_text(settings, "database")
        if not Path(database).is_absolute():
            raise ConfigError("database: not an absolute path", hint="write where the file is, beginning with /")
        return cls(Path(os.path.normpath(database)))

    def locate(self, settings: Mapping[str, Any]) -> tuple[Place, str]:
        """Take the setting ``record``: a name in the database."""
        name = _one_text(settings, "record")
        return Place(name), f"sqlite:{self._database}#{name}"

    def read(self, location: Place) -> Stored | None:
        """Read all fields and the version in one transaction, so that they belong together."""
        if not self._is_there():
            return None
        with self._opened() as database:
            database.execute("BEGIN")
            return self._stored(database, location) if _has_tables(database) else None

    def write(self, location: Place, fields: Mapping[str, Secret], *, expected: Version | None) -> Version:
        """Compare and set within the write lock."""
        self._make()
        with self._opened() as database:
            database.execute("PRAGMA journal_mode = WAL")  # readers need not wait
            database.execute("PRAGMA synchronous = FULL")  # on return it is durable
            database.execute("BEGIN IMMEDIATE")
            for statement in _TABLES + _TRIGGERS:
                database.execute(statement)
            stored = self._stored(database, location)
            if (stored.version if stored else None) != expected:
                raise ConflictError(f"{self._label(location)} was changed by somebody else")
            version = _put(database, location, fields)
            self._commit(database, location)
            return version

    def preflight(self, location: Place) -> None:
        """Take the write lock and give it back."""
        if self._is_there():
            with self._opened() as database:
                database.execute("BEGIN IMMEDIATE")
                if _has_tables(database):
                    self._stored(database, location)
        elif not os.access(self._database.parent, os.W_OK | os.X_OK):
            raise RefusedError(f"{self._database} cannot be made", hint=f"let rotate write to {self._database.parent}")

    def close(self) -> None:
        """Do nothing: no connection outlives its call."""

    def _label(self, location: Place) -> str:
        return f"sqlite:{self._database}#{location.name}"

    def _is_there(self) -> bool:
        """Look for the file; where its folder is missing, too, a mount may not have come up: not "no record"."""
        if not self._database.parent.is_dir():
            raise NotFoundError(f"the folder {self._database.parent} does not exist", hint="make it, or mount it")
        return self._database.exists()

    def _make(self) -> None:
        """Make the file, for us alone: SQLite gives the files beside it the same mode."""
        self._is_there()
        try:
            os.close(os.open(self._database, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise RefusedError(f"cannot write {self._database}: {error.strerror}; the record is unchanged") from error

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Connect for one transaction; what is not committed at the end did not happen."""
        try:
            with closing(sqlite3.connect(self._database, timeout=PATIENCE, isolation_level=None)) as database:
                database.execute("PRAGMA foreign_keys = ON")
                yield database
        except sqlite3.Error as error:  # SQLite names tables and causes in its messages, never a value
            raise self._translated(error) from error

    def _translated(self, error: sqlite3.Error) -> RotatorError:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says more of the same
        if primary in _BUSY:
            return UnavailableError(f"somebody else has held {self._database} for {PATIENCE:.0f} s; nothing happened")
        return RefusedError(f"SQLite refuses {self._database}: {error}; nothing happened", hint="look at the file")

    def _commit(self, database: sqlite3.Connection, location: Place) -> None:
        try:
            database.execute("COMMIT")
        except sqlite3.Error as error:
            message = f"{self._label(location)} may hold the new record or the old one: {error}"
            raise OutcomeUnknownError(message) from error

    def _stored(self, database: sqlite3.Connection, location: Place) -> Stored | None:
        found = database.execute("SELECT version FROM records WHERE name = ?", (location.name,)).fetchone()
        if found is None:
            return None
        rows = database.execute("SELECT key, value FROM fields WHERE record = ?", (location.name,)).fetchall()
        if not all(isinstance(value, str) for _, value in rows):
            raise RefusedError(f"{self._label(location)} is left as it is: it holds more than text")
        return Stored({key: Secret(value) for key, value in rows}, Version(str(found[0])))


def _one_text(settings: Mapping[str, Any], wanted: str) -> str:
    """Return the one setting that there is. Raises: ``ConfigError`` with all faults, a line each."""
    faults = [f"{key}: not a setting" for key in settings if key != wanted]
    value = settings.get(wanted)
    if not isinstance(value, str) or not value:
        faults.append(f"{wanted}: required, a text")
    if faults:
        raise ConfigError("\n".join(faults))
    return str(value)


def _has_tables(database: sqlite3.Connection) -> bool:
    return bool(database.execute("SELECT * FROM sqlite_schema WHERE name = 'records'").fetchone())


def _put(database: sqlite3.Connection, location: Place, fields: Mapping[str, Secret]) -> Version:
    """Set the given keys, leave all others, and return the version that the database has counted."""
    database.execute(_COUNT)
    database.execute(_RECORD, (location.name,))
    for key, value in fields.items():
        database.execute(_FIELD, (location.name, key, value.reveal()))
    (number,) = database.execute("SELECT version FROM records WHERE name = ?", (location.name,)).fetchone()
    return Version(str(number))
