"""Worlds to plant situations in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.world import World, world


@pytest.fixture
def w(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[World]:
    """Return a world of one node whose secrets the canary knows."""
    tmp_path.chmod(0o700)
    with world(tmp_path, watch=watch) as made:
        yield made


@pytest.fixture
def w3(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[World]:
    """Return a world of three nodes."""
    tmp_path.chmod(0o700)
    with world(tmp_path, nodes=3, watch=watch) as made:
        yield made
