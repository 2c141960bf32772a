"""The laboratory of the tests of doctor: a cluster whose operator has the least that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.doctor.clinic import Clinic


@pytest.fixture
def clinic(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Clinic]:
    """Return a healthy configuration: one cluster of one node, one credential that was rotated."""
    with Clinic.opened(tmp_path, watch) as made:
        made.heal()
        yield made


@pytest.fixture
def trio(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Clinic]:
    """Return the same with three nodes."""
    with Clinic.opened(tmp_path, watch, nodes=3) as made:
        made.heal()
        yield made
