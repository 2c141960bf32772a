"""What the tests of the Kubernetes backend share: clusters, and a backend that writes to the simulated one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.testing.kubernetes import SimulatedKubernetes
from rotator_backends.kubernetes_secret import KubernetesBackend
from tests.kubernetes_secret.lab import KINDS, Lab, SimulatedLab, opened


@pytest.fixture(params=KINDS)
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """Open the simulated cluster and, where there is one, a real one."""
    with opened(request.param, tmp_path) as lab:
        yield lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[SimulatedLab]:
    """Open the simulated cluster, for what nobody can do to a real one."""
    with SimulatedKubernetes() as cluster:
        yield SimulatedLab(cluster, tmp_path)


@pytest.fixture
def backend(lab: SimulatedLab) -> Iterator[KubernetesBackend]:
    """Give a backend that writes to the simulated cluster, and waits for a busy machine."""
    found = lab.backend(timeout="30s")
    yield found
    found.close()
