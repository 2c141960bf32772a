"""The laboratory of the wire tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from rotator.testing.pve import SimulatedPve
from tests.wire.lab import Lab, build


@pytest.fixture
def lab(watch: Callable[[str], None]) -> Iterator[Lab]:
    """Return a fresh simulated cluster of two nodes."""
    with SimulatedPve(nodes=2) as pve:
        made = build(pve)
        watch(made.operator.secret.reveal())
        watch(made.manager.secret.reveal())
        yield made
        for cluster in made.made:
            cluster.close()
