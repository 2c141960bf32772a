"""The example passes the suite that is shipped for backends; run where it is installed: ``pytest contract.py``."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from rotator.registry import find
from rotator.testing.backend_contract import Subject, TamperContract, Tampering


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Name a database that is not there."""
    return tmp_path / "records.db"


class TestSqlite(TamperContract):
    """A database holds every text."""

    @pytest.fixture
    def subject(self, database: Path) -> Subject:
        """Give the backend as it is found, and new names."""
        backend = find("sqlite").configure({"database": str(database)})
        return Subject(backend, fresh=lambda: {"record": f"test/{uuid4()}"})

    @pytest.fixture
    def tampering(self, database: Path) -> Tampering:
        """Reach the tables the way a person does."""

        def run(statement: str, *values: Any) -> list[Any]:  # noqa: ANN401 - what SQLite takes
            with closing(sqlite3.connect(database)) as connection, connection:
                return connection.execute(statement, values).fetchall()

        whole = "SELECT version, key, value FROM records JOIN fields ON record = name WHERE name = ? ORDER BY key"
        garbled = "UPDATE fields SET value = CAST(value AS BLOB) WHERE record = ? AND key = 'token_secret'"
        return Tampering(
            raw=lambda place: repr(run(whole, place.name)).encode(),
            garble=lambda place: [run(garbled, place.name)].clear(),
            edit=lambda place: [run("INSERT INTO fields VALUES (?, 'port', '8006')", place.name)].clear(),
        )
