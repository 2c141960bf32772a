"""The cluster that real consumers speak to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rotator.testing.pve import SimulatedPve
from tests.consumers.lab import Lab


@pytest.fixture
def lab(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Lab]:
    """Return a cluster of one node whose secrets the canary knows."""
    tmp_path.chmod(0o700)
    with SimulatedPve() as pve:
        yield Lab(tmp_path, pve, watch)
