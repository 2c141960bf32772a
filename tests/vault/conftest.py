"""Each test has a Vault of its own, or mounts of its own in a real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vault.lab import PLACES, VARIABLES, Lab, Simulated, opened, simulated


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(params=PLACES)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """Open each Vault that there is."""
    with opened(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Simulated]:
    """Open a simulated Vault, to be disturbed."""
    with simulated(tmp_path) as made:
        yield made
