"""The CronJob's own command, in the image, as its user and with its file system that cannot be written: a rotation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.testing.pve import SimulatedPve
from rotator.testing.vault_logins import Account, Kubernetes
from tests.system.container.daemon import Docker
from tests.system.container.image import NAME
from tests.system.container.pod import Pod
from tests.system.kubernetes.manifests import ROOT, overlay, pods
from tests.vault.lab import Simulated, simulated

OPERATOR, CI = "rotator@pve", "ci@pve"
POLICY = """
path "secret/data/pve/ci" { capabilities = ["create", "update", "read"] }
path "secret/data/pve/operator" { capabilities = ["read"] }
path "sys/capabilities-self" { capabilities = ["update"] }
"""
DAY = 86_400
JOB: dict[str, Any] = next(found for found in overlay("vault") if found["kind"] == "CronJob")
((_, TEMPLATE),) = pods([JOB])
PLANNED: dict[str, Any] = TEMPLATE["spec"]


@dataclass
class World:
    """What the pod reaches: a cluster of two nodes and a Vault, both over TLS; and the pod."""

    docker: Docker
    pve: SimulatedPve
    vault: Simulated
    pod: Pod

    def runs(self, days: float = 0) -> str:
        """Let so many days pass and run the pod; returns what it printed."""
        self.pve.clock_offset += days * DAY
        done = self.pod.run(self.docker, NAME)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def record(self) -> tuple[str, str]:
        """Return what a consumer reads from Vault: id and secret."""
        found = self.vault.admin().secrets.kv.v2.read_secret_version("pve/ci", raise_on_deleted_version=False)
        held: dict[str, str] = found["data"]["data"]
        return held["token_id"], held["token_secret"]


@pytest.fixture
def world(docker: Docker, tmp_path: Path, canary: str, watch: Callable[[str], None]) -> Iterator[World]:
    """Return a world in which nothing was rotated yet, configured as the overlay says."""
    with SimulatedPve(nodes=2) as pve, simulated(tmp_path) as vault:
        watch(secret := operated(pve))
        stored(vault, secret, jwt=canary)
        yield World(docker, pve, vault, Pod(PLANNED, tmp_path / "volumes", given(pve, vault, jwt=canary)))


def operated(pve: SimulatedPve) -> str:
    """Set PVE up as the README says, and return the operator's secret."""
    pve.add_group("rotated")
    pve.add_role("TokenRotator", ["User.Modify"])
    pve.add_user(OPERATOR)
    pve.grant("/access/groups/rotated", "TokenRotator", user=OPERATOR)
    pve.add_user(CI, groups=["rotated"])
    pve.grant("/vms", "PVEVMAdmin", user=CI)
    return pve.add_token(OPERATOR, "operator", privsep=False)


def stored(vault: Simulated, secret: str, *, jwt: str) -> None:
    """Set Vault up for the manifest's service account, with the operator's token in it."""
    admin = vault.admin()
    admin.sys.enable_auth_method("kubernetes")
    method = vault.server.core.namespaces[""].auths["kubernetes"]
    assert isinstance(method, Kubernetes)
    method.accounts[jwt] = Account(JOB["metadata"]["namespace"], PLANNED["serviceAccountName"])
    admin.auth.kubernetes.create_role("rotate", ["rotate"], ["rotate"], policies=[vault.policy(POLICY)])
    whole = {"token_id": f"{OPERATOR}!operator", "token_secret": secret}
    admin.secrets.kv.v2.create_or_update_secret("pve/operator", whole)


def given(pve: SimulatedPve, vault: Simulated, *, jwt: str) -> dict[str, dict[str, str] | str]:
    """Return what the manifest refers to: the overlay's configuration with the addresses of this world."""
    (config,) = [it["data"] for it in overlay("vault") if it["kind"] == "ConfigMap" and "rotate.yaml" in it["data"]]
    assert config["rotate.yaml"] == (ROOT / "overlays/vault/rotate.yaml").read_text(encoding="utf-8")
    whole = yaml.safe_load(config["rotate.yaml"])
    whole["backends"]["vault"]["address"] = vault.address
    (cluster,) = whole["clusters"].values()
    cluster["endpoints"] = [node.endpoint for node in pve.nodes]
    assert vault.ca
    return {
        "rotate": {"rotate.yaml": json.dumps(whole)},
        "pve-ca": {"pve-root-ca.pem": pve.ca_pem.decode()},
        "vault-ca": {"vault-ca.pem": vault.ca.read_text(encoding="utf-8")},
        "vault": jwt,
    }


def test_the_cronjob_does_a_whole_rotation(world: World, watch: Callable[[str], None]) -> None:
    """The first token, its successor a month later, and the end of the first one a day after that."""
    world.runs()
    first = world.record()
    watch(first[1])
    assert world.pve.accepts(*first)
    assert "up-to-date" in world.runs()
    world.runs(days=30)
    second = world.record()
    watch(second[1])
    assert second[0] != first[0]
    assert world.pve.accepts(*second)
    assert world.pve.accepts(*first)
    world.runs(days=1.1)
    assert world.pve.tokens(CI) == [second[0].partition("!")[2]]
    assert world.record() == second


def test_the_manifest_leaves_the_pod_nothing_to_gain(world: World) -> None:
    """What the rotation above went without is said by the manifest, and not by this test."""
    assert set(world.pod.options()) > {
        *("--user=65532:65532", "--read-only", "--security-opt=no-new-privileges", "--cap-drop=ALL"),
    }
