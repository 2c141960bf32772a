"""Secrets Manager on loopback for each test, with nothing planned and nothing known of the machine's own AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rotator.testing.aws import SimulatedAws
from tests.aws.function import Function, made
from tests.aws.lab import Lab, calm, forget_aws, lab_at
from tests.world import World, world


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


@pytest.fixture
def w(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[World]:
    """Return a cluster of two nodes whose secrets the canary knows."""
    tmp_path.chmod(0o700)
    with world(tmp_path, nodes=2, watch=watch) as made:
        yield made


@pytest.fixture
def f(w: World, aws: SimulatedAws, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    """Return a function that rotates tokens of ci@pve, whose client finds the simulated Secrets Manager by itself."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.url)
    function = made(w, aws, lab.client())
    yield function
    w.watch_secrets()
