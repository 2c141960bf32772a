"""A Kubernetes and a PVE in which an overlay is at work: its Roles and no others, its configuration, its account."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from rotator.cli.main import rotate
from rotator.clock import SystemClock
from rotator.service.election import Election
from rotator.service.lease import KubernetesLease
from rotator.service.pod import Pod
from rotator.testing.kubernetes import DEPLOYMENTS, Call, SimulatedKubernetes
from rotator.testing.kubernetes_kinds import BINDINGS, ROLES
from rotator.testing.pve import SimulatedPve
from tests.system.kubernetes.manifests import Json
from tests.system.kubernetes.real import RealCluster

Cluster = SimulatedKubernetes | RealCluster
ACCOUNT = "system:serviceaccount:rotate:rotate"
OPERATOR = "rotator@pve"
GROUP = "rotated"


@dataclass(frozen=True)
class Site:
    """One overlay at work."""

    cluster: Cluster
    pve: SimulatedPve
    folder: Path
    names: Sequence[str]
    """The credentials."""
    namespace: str
    """The rotator's."""

    @property
    def kubeconfig(self) -> Path:
        """Return the login of the service account."""
        return self.folder / "kubeconfig"

    def call(self, *arguments: str) -> Result:
        """Run a command as the service account."""
        return CliRunner(env={"ROTATE_CONFIG": str(self.folder / "rotate.yaml")}).invoke(rotate, list(arguments))

    def candidate(self, name: str, lease: str) -> Election:
        """Stand for election as the service account."""
        pod = Pod({"KUBECONFIG": str(self.kubeconfig)}, self.folder)
        return Election(KubernetesLease(lease, self.namespace, pod), name, SystemClock())

    def log_in(self) -> None:
        """Log in as the service account."""
        if isinstance(self.cluster, SimulatedKubernetes):
            token = self.cluster.issue_token(f"system:serviceaccount:{self.namespace}:rotate")
            self.cluster.write_kubeconfig(self.folder, token=token)
        else:
            self.cluster.write_login(self.kubeconfig, self.namespace, "rotate")

    def calls(self) -> list[Call]:
        """List what was asked; nothing of a real cluster, which does not tell."""
        return self.cluster.calls if isinstance(self.cluster, SimulatedKubernetes) else []

    def asked(self) -> set[tuple[str, ...]]:
        """Tell what was asked: verb, resource, namespace, and name where there is one; not who asked for its rights."""
        found = {
            (verb, call.request.plural, call.request.namespace, call.request.name)
            for call in self.calls()
            for verb in (call.request.verb, *(["create"] if call.status == HTTPStatus.CREATED else []))
        }
        return {it for it in found if it[1] != "selfsubjectaccessreviews"}


def configuration(objects: Sequence[Json]) -> Json:
    """Return the configuration that is mounted."""
    (found,) = (one for one in objects if one["kind"] == "ConfigMap")
    whole: Json = yaml.safe_load(found["data"]["rotate.yaml"])
    return whole


@contextmanager
def simulated(objects: Sequence[Json]) -> Iterator[tuple[SimulatedKubernetes, Sequence[Json]]]:
    """Run a cluster with the Roles of an overlay, and their bindings."""
    with SimulatedKubernetes() as kubernetes:
        for one in objects:
            if one["kind"] in ("Role", "RoleBinding"):
                kubernetes.add_namespace(one["metadata"]["namespace"])
                resource = ROLES if one["kind"] == "Role" else BINDINGS
                kubernetes.store.create(resource, one["metadata"]["namespace"], one)
        yield kubernetes, objects


@contextmanager
def real(objects: Sequence[Json]) -> Iterator[tuple[RealCluster, Sequence[Json]]]:
    """Put an overlay into namespaces of its own on the real API server."""
    cluster = RealCluster()
    moved = cluster.moved(objects)
    try:
        cluster.take(moved)
        yield cluster, moved
    finally:
        cluster.tidy()


@contextmanager
def site(kind: str, objects: Sequence[Json], folder: Path, watch: Callable[[str], None]) -> Iterator[Site]:
    """Make what the README says is there before, and bind the Roles; on a cluster of one of the ``KINDS``."""
    opened: AbstractContextManager[tuple[Cluster, Sequence[Json]]]
    opened = real(objects) if kind == "live" else simulated(objects)
    with opened as (cluster, there), SimulatedPve(nodes=2) as pve:
        whole = configuration(there)
        (account,) = (one["metadata"] for one in there if one["kind"] == "ServiceAccount")
        names = [one["name"] for one in whole["credentials"]]
        found = Site(cluster, pve, folder, names, account["namespace"])
        _prepare(found, whole, watch)
        yield found


def _prepare(found: Site, whole: Json, watch: Callable[[str], None]) -> None:
    (cluster,) = whole["clusters"].values()
    operator = cluster["operator"]
    found.cluster.add_namespace(operator["namespace"])
    secret = _operator(found.pve)
    watch(secret)
    data = {"token_id": f"{OPERATOR}!operator".encode(), "token_secret": secret.encode()}
    found.cluster.add_secret(operator["namespace"], operator["name"], data)
    for credential in whole["credentials"]:
        _consumer(found, credential)
    found.log_in()
    (backend,) = whole["backends"].values()
    assert backend.pop("auth") == "in-cluster"
    backend |= {"auth": "kubeconfig", "kubeconfig": str(found.kubeconfig)}
    cluster["endpoints"] = [node.endpoint for node in found.pve.nodes]
    cluster["tls"] = {"fingerprint": found.pve.fingerprint}
    whole.pop("service", None)  # its files are those of a pod
    (found.folder / "rotate.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")


def _operator(pve: SimulatedPve) -> str:
    pve.add_group(GROUP)
    pve.add_role("TokenRotator", ["User.Modify"])
    pve.add_user(OPERATOR)
    pve.grant(f"/access/groups/{GROUP}", "TokenRotator", user=OPERATOR)
    return pve.add_token(OPERATOR, "operator", privsep=False)


def _consumer(found: Site, credential: Json) -> None:
    found.pve.add_user(credential["user"], groups=[GROUP])
    found.pve.grant("/vms", "PVEVMUser", user=credential["user"])
    place: Any = credential["destination"]
    found.cluster.add_namespace(place["namespace"])
    found.cluster.add_secret(place["namespace"], place["name"], {})
    for workload in place.get("restart", ()):
        assert workload["kind"] == DEPLOYMENTS.kind
        found.cluster.add_workload(workload["kind"], place["namespace"], workload["name"])
