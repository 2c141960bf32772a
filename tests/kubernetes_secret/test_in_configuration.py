"""The configuration knows whom a Kubernetes destination restarts."""

from __future__ import annotations

from pathlib import Path

from rotator.config import load
from rotator.registry import find

CONFIGURATION = """
version: 1
owner: tests
backends:
  cluster: {type: kubernetes, auth: kubeconfig, kubeconfig: %s, namespace: csi}
clusters:
  home:
    endpoints: [pve1.example.net]
    operator: {token_id: rotator@pve!operator, token_secret: {env: OPERATOR}}
credentials:
  - name: csi
    cluster: home
    user: csi@pve
    destination:
      backend: cluster
      name: proxmox-csi
      restart: [{kind: Deployment, name: controller}, {kind: DaemonSet, name: node}]
"""


def test_the_workloads_of_a_destination_are_its_audience(tmp_path: Path) -> None:
    """So that the plan names them and the executor tells them."""
    path = tmp_path / "rotate.yaml"
    path.write_text(CONFIGURATION % (tmp_path / "kubeconfig"))
    settings = load(path, find_backend=find, environ={"OPERATOR": "x"})
    assert settings.credentials[0].primary.audience == ("daemonset node", "deployment controller")
