"""The configuration in ``backends/kubernetes.md`` was run: from an empty namespace to a token that rotates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from rotator.cli.main import rotate
from tests.kubernetes_secret.lab import NAMESPACE, ROTATOR, SimulatedLab
from tests.kubernetes_secret.test_role import RULES, blocks
from tests.world import World, world


@pytest.fixture
def w(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[World]:
    """Return a cluster of two nodes whose secrets the canary knows."""
    tmp_path.chmod(0o700)
    with world(tmp_path, nodes=2, watch=watch) as made:
        yield made


def test_the_example_runs(w: World, lab: SimulatedLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the Role below it; only the cluster's address and certificate, and the operator's file, are the test's."""
    operator = tmp_path / "operator.json"
    operator.touch(mode=0o600)
    operator.write_text(json.dumps({"token_id": str(w.operator.id), "token_secret": w.operator.secret.reveal()}))
    shown = next(found for found in blocks() if "backends" in found)
    shown["clusters"]["home"] = {
        "endpoints": [node.endpoint for node in w.pve.nodes],
        "tls": {"ca": str(w.ca)},
        "operator": {"path": str(operator)},
    }
    config = tmp_path / "rotate.yaml"
    config.write_text(yaml.safe_dump(shown))
    lab.cluster.bindings.clear()
    lab.cluster.bind(ROTATOR, RULES, namespace=NAMESPACE)
    lab.cluster.add_workload("Deployment", NAMESPACE, "web")
    monkeypatch.setenv("KUBECONFIG", str(lab.kubeconfig))
    for number in (1, 2):
        done = CliRunner(env={"ROTATE_CONFIG": str(config)}).invoke(rotate, ["now", "ci"], obj=w.clock)
        w.watch_secrets()
        assert done.exit_code == 0, done.output
        data = {key: value.decode() for key, value in lab.cluster.data(NAMESPACE, "ci").items()}
        assert data["token_id"].startswith(f"ci@pve!ci-{number}-")
        assert w.pve.accepts(data["token_id"], data["token_secret"])
        assert lab.cluster.workload("Deployment", NAMESPACE, "web")["metadata"]["generation"] == number + 1
