"""Secrets Manager on loopback for each test, with nothing planned and nothing known of the machine's own AWS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.testing.aws import SimulatedAws
from tests.aws.lab import Lab, calm, forget_aws, lab_at


@pytest.fixture(scope="module")
def running() -> Iterator[SimulatedAws]:
    """Run it."""
    with SimulatedAws() as aws:
        yield aws


@pytest.fixture
def aws(running: SimulatedAws) -> Iterator[SimulatedAws]:
    """Give it without anything of another test."""
    with calm(running) as aws:
        yield aws


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Know nothing of the machine."""
    forget_aws(monkeypatch, tmp_path)


@pytest.fixture
def lab(aws: SimulatedAws) -> Iterator[Lab]:
    """Open a lab there."""
    with lab_at(aws.url) as lab:
        yield lab
