"""The laboratory of the command line, for ``rotate serve`` as a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.lab import Lab, Time


@pytest.fixture
def lab(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Lab]:
    """Return a laboratory with one cluster of one node and no credentials."""
    made = Lab(tmp_path, Time(), watch)
    made.add_cluster("one")
    yield made
    for pve in made.clusters.values():
        pve.close()
