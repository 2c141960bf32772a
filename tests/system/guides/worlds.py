"""What is there before somebody begins to follow a page: the store, an administrator's login, files that it names.

Nothing that the page tells to make is made here, but for the PVE that the README sets up.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import yaml

from rotator.testing.aws import SimulatedAws
from rotator.testing.kubernetes import DEPLOYMENTS, EVERYTHING, SimulatedKubernetes
from rotator.testing.kubernetes_kinds import KEPT
from tests.aws.lab import forget_aws
from tests.docs.pages import ROOT
from tests.docs.stores import ROTATOR, kind_of, of_language
from tests.system.guides.exporter import exporting
from tests.system.guides.terminal import Terminal
from tests.system.guides.wheelhouse import check_out, offer
from tests.vault.lab import VARIABLES, simulated

World = Callable[[Terminal, str, pytest.MonkeyPatch], AbstractContextManager[object]]

EXTERNAL_SECRETS = next(one for one in KEPT if one.kind == "ExternalSecret")


def leave_to_the_page(terminal: Terminal, kind: str) -> None:
    """Let the page itself put the operator's token into the store."""

    def is_there(whole: Mapping[str, Any], _: Mapping[str, str]) -> bool:
        return kind_of(whole) == kind

    terminal.seeds.append(is_there)


@contextmanager
def files(terminal: Terminal, _: str, __: pytest.MonkeyPatch) -> Iterator[None]:
    """Have nothing more."""
    yield
    assert terminal.said == ["https://pve1.lan:8006\n"]


@contextmanager
def vault(terminal: Terminal, page: str, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a Vault with a KV engine; have an administrator's token, the consumer's, and the policies in files."""
    for variable in VARIABLES:
        patch.delenv(variable, raising=False)
    with simulated(terminal.folder) as sim:
        terminal.names["https://vault.lan:8200"] = sim.address
        terminal.keep("/etc/rotate/vault-ca.pem", sim.ca.read_text() if sim.ca else "")
        for name, text in zip(("rotate.hcl", "ci.hcl"), of_language(page, "hcl"), strict=False):
            terminal.keep(name, text)
        terminal.keep("admin.header", f"X-Vault-Token: {sim.root}\n")
        terminal.keep("ci.header", f"X-Vault-Token: {sim.token('ci').reveal()}\n")
        terminal.keep("operator.secret", terminal.operator["token_secret"] + "\n")
        leave_to_the_page(terminal, "vault")
        yield
        assert "ci@pve!ci-1-" in terminal.said[-1]


@contextmanager
def aws(terminal: Terminal, _: str, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a Secrets Manager, and log in there by variables."""
    forget_aws(patch, terminal.folder)
    with SimulatedAws() as server:
        patch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.url)
        login = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-real-access-key"}
        terminal.variables |= {**login, "AWS_ENDPOINT_URL": server.url, "AWS_PAGER": ""}
        terminal.keep("operator.json", json.dumps(terminal.operator))
        leave_to_the_page(terminal, "aws")
        yield
        assert "AWSCURRENT" in terminal.said[-1]


@contextmanager
def kubernetes(terminal: Terminal, page: str, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a cluster with the driver's Deployment; the shell is its administrator's, ``rotate`` a service account."""
    with SimulatedKubernetes() as cluster:
        cluster.add_namespace("pve")
        cluster.add_workload("Deployment", "pve", "proxmox-csi-plugin-controller")
        cluster.bind("admin", [EVERYTHING])
        terminal.names["10.0.0.5:6443"] = cluster.url.removeprefix("https://")
        patch.setenv("KUBECONFIG", str(cluster.write_kubeconfig(terminal.folder, token=cluster.issue_token(ROTATOR))))
        kubeconfig = cluster.write_kubeconfig(terminal.home, token=cluster.issue_token("admin"))
        terminal.variables["KUBECONFIG"] = str(kubeconfig)
        cluster.store.create(EXTERNAL_SECRETS, "pve", manifest("guides/vault.md", EXTERNAL_SECRETS.kind))
        terminal.keep("rotate-role.yaml", next(text for text in of_language(page, "yaml") if "kind: Role\n" in text))
        terminal.keep("operator.secret", terminal.operator["token_secret"] + "\n")
        leave_to_the_page(terminal, "kubernetes")
        terminal.before = lambda: roll_out(cluster)
        yield
        assert "successfully rolled out" in "".join(terminal.said)


def manifest(page: str, kind: str) -> dict[str, Any]:
    """Return what a page shows of a kind."""
    found = (one for text in of_language(page, "yaml") for one in yaml.safe_load_all(text))
    return next(dict(one) for one in found if isinstance(one, dict) and one.get("kind") == kind)


def roll_out(cluster: SimulatedKubernetes) -> None:
    """Do what the controller of Deployments does in a cluster that has one."""

    def rolled(workload: dict[str, Any]) -> dict[str, Any]:
        counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), 1)
        return {**workload, "status": {"observedGeneration": workload["metadata"]["generation"], **counts}}

    cluster.edit(DEPLOYMENTS, "pve", "proxmox-csi-plugin-controller", rolled)


@contextmanager
def exporter(terminal: Terminal, page: str, _: pytest.MonkeyPatch) -> Iterator[None]:
    """Run the exporter as the unit on the page does, whenever something is typed."""
    unit = next(text for text in of_language(page, "ini") if "pve_exporter" in text)
    with exporting(terminal, unit):
        yield
        assert 'pve_up{id="node/pve1"} 1.0' in terminal.said[-1]


@contextmanager
def checkout(terminal: Terminal, _: str, __: pytest.MonkeyPatch) -> Iterator[None]:
    """Be in a checkout, from which pip can install; the stores of the page's examples are nowhere."""
    offer(terminal, "aws")
    terminal.where = terminal.home / "checkout"
    check_out(terminal.where)
    terminal.keep("checkout/pve-root-ca.pem", terminal.pve.ca_pem.decode())
    terminal.seeds.append(lambda *_: True)
    yield
    with zipfile.ZipFile(terminal.where / "rotate.zip") as archive:
        assert {"rotator/aws_lambda.py", "boto3/__init__.py", "pve-root-ca.pem"} <= set(archive.namelist())


@contextmanager
def its_folder(terminal: Terminal, page: str, _: pytest.MonkeyPatch) -> Iterator[None]:
    """Be in a copy of the folder of the page."""
    terminal.where = terminal.home / "here"
    shutil.copytree((ROOT / page).parent, terminal.where)
    yield


WORLDS: Mapping[str, World] = {
    one.__name__: one for one in (aws, checkout, exporter, files, its_folder, kubernetes, vault)
}
