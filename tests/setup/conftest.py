"""A PVE after its installation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.lab import Time
from tests.setup.lab import Lab, fresh


@pytest.fixture
def new(tmp_path: Path, canary: str, watch: Callable[[str], None]) -> Iterator[Lab]:
    """Return a laboratory in which nothing was done yet."""
    folder = tmp_path / "etc"
    folder.mkdir()
    yield from fresh(folder, canary, watch, Time())
