"""Somebody who has read the README up to the operator at PVE, and goes on with a guide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rotator.testing.pve import SimulatedPve
from tests.cli.lab import Time
from tests.docs.bench import Bench


@pytest.fixture
def bench(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Bench]:
    """Set up two nodes as the README says; the rest is the page's."""
    time = Time()
    with SimulatedPve(nodes=2, clock=time.stamp) as pve:
        made = Bench(tmp_path, pve, time, watch)
        made.set_up()
        yield made
