"""A Kubernetes and a PVE in which an overlay is at work: its Roles and no others, its configuration, its account."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from rotator.testing.kubernetes import DEPLOYMENTS, SimulatedKubernetes
from rotator.testing.kubernetes_kinds import BINDINGS, ROLES
from rotator.testing.pve import SimulatedPve
from tests.system.kubernetes.manifests import Json

ACCOUNT = "system:serviceaccount:rotate:rotate"
OPERATOR = "rotator@pve"
GROUP = "rotated"


@dataclass(frozen=True)
class Site:
    """One overlay at work."""

    kubernetes: SimulatedKubernetes
    pve: SimulatedPve
    folder: Path
    names: Sequence[str]
    """The credentials."""

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
        return Election(KubernetesLease(lease, "rotate", pod), name, SystemClock())

    def calls(self) -> set[tuple[str, ...]]:
        """Tell what was asked: verb, resource, namespace, and name where there is one; not who asked for its rights."""
        found = {
            (verb, call.request.plural, call.request.namespace, call.request.name)
            for call in self.kubernetes.calls
            for verb in (call.request.verb, *(["create"] if call.status == HTTPStatus.CREATED else []))
        }
        return {it for it in found if it[1] != "selfsubjectaccessreviews"}


def configuration(objects: Sequence[Json]) -> Json:
    """Return the configuration that is mounted."""
    (found,) = (one for one in objects if one["kind"] == "ConfigMap")
    whole: Json = yaml.safe_load(found["data"]["rotate.yaml"])
    return whole


@contextmanager
def site(objects: Sequence[Json], folder: Path, watch: Callable[[str], None]) -> Iterator[Site]:
    """Make what the README says is there before, and bind the Roles."""
    with SimulatedKubernetes() as kubernetes:
        pve = SimulatedPve(nodes=2)
        pve.start()
        try:
            whole = configuration(objects)
            found = Site(kubernetes, pve, folder, [one["name"] for one in whole["credentials"]])
            _prepare(found, whole, watch)
            for one in objects:
                if one["kind"] in ("Role", "RoleBinding"):
                    resource = ROLES if one["kind"] == "Role" else BINDINGS
                    kubernetes.store.create(resource, one["metadata"]["namespace"], one)
            yield found
        finally:
            pve.close()


def _prepare(found: Site, whole: Json, watch: Callable[[str], None]) -> None:
    (cluster,) = whole["clusters"].values()
    operator = cluster["operator"]
    found.kubernetes.add_namespace(operator["namespace"])
    secret = _operator(found.pve)
    watch(secret)
    data = {"token_id": f"{OPERATOR}!operator".encode(), "token_secret": secret.encode()}
    found.kubernetes.add_secret(operator["namespace"], operator["name"], data)
    for credential in whole["credentials"]:
        _consumer(found, credential)
    found.kubernetes.write_kubeconfig(found.folder, token=found.kubernetes.issue_token(ACCOUNT), namespace="rotate")
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
    found.kubernetes.add_namespace(place["namespace"])
    found.kubernetes.add_secret(place["namespace"], place["name"], {})
    for workload in place.get("restart", ()):
        assert workload["kind"] == DEPLOYMENTS.kind
        found.kubernetes.add_workload(workload["kind"], place["namespace"], workload["name"])
