"""The laboratory of the command-line tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.lab import Lab, Time


@pytest.fixture
def empty_lab(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Lab]:
    """Return a laboratory without clusters."""
    made = Lab(tmp_path, Time(), watch)
    yield made
    for pve in made.clusters.values():
        pve.close()


@pytest.fixture
def lab(empty_lab: Lab) -> Lab:
    """Return a laboratory with one cluster of one node and no credentials."""
    empty_lab.add_cluster("one")
    return empty_lab
