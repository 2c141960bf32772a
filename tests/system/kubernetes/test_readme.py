"""The page is followed from the top with kubectl, and what is there afterwards rotates."""

from __future__ import annotations

import base64
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.testing.kubernetes import DEPLOYMENTS, EVERYTHING, SECRETS, SimulatedKubernetes
from rotator.testing.kubernetes_kinds import KEPT
from rotator.testing.kubernetes_status import Resource
from rotator.testing.kubernetes_store import Key
from tests.docs.pages import blocks, commands
from tests.system.guides.terminal import Terminal, sitting_at
from tests.system.kubernetes.cluster import ACCOUNT
from tests.system.kubernetes.manifests import ROOT, Json, is_aged, overlay

PAGE = "deploy/kubernetes/README.md"
CONTROLLER = "proxmox-csi-plugin-controller"
AGED = f'PYTHONPATH="{ROOT.parents[1]}" exec {sys.executable} -m tests.system.kubernetes.aged'


def kept(kind: str) -> Resource:
    """Return a kind that the simulated API server keeps."""
    return next(one for one in KEPT if one.kind == kind)


@contextmanager
def following(terminal: Terminal) -> Iterator[SimulatedKubernetes]:
    """Be the administrator of a cluster with the driver, in a copy of the folder, with what PVE has given."""
    with SimulatedKubernetes() as cluster:
        cluster.add_namespace("csi-proxmox")
        cluster.add_workload("Deployment", "csi-proxmox", CONTROLLER)
        cluster.bind("admin", [EVERYTHING])
        kubeconfig = cluster.write_kubeconfig(terminal.home, token=cluster.issue_token("admin"))
        terminal.variables["KUBECONFIG"] = str(kubeconfig)
        terminal.where = terminal.home / "kubernetes"
        shutil.copytree(ROOT, terminal.where)
        terminal.keep("kubernetes/operator.secret", f"{terminal.operator['token_secret']}\n")
        terminal.keep("kubernetes/pve-root-ca.pem", terminal.pve.ca_pem.decode())
        terminal.before = lambda: roll_out(cluster)
        if is_aged():
            script = terminal.home / "bin" / "kubectl"
            script.write_text(f'#!/bin/sh\n{AGED} {shutil.which("kubectl")} "$@"\n', encoding="utf-8")
            script.chmod(0o755)
        yield cluster


def roll_out(cluster: SimulatedKubernetes) -> None:
    """Do what the controller of Deployments does in a cluster that has one."""

    def rolled(workload: Json) -> Json:
        counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), 2)
        return {**workload, "status": {"observedGeneration": workload["metadata"]["generation"], **counts}}

    if cluster.store.list(DEPLOYMENTS, "rotate"):
        cluster.edit(DEPLOYMENTS, "rotate", "rotate", rolled)


def follow(terminal: Terminal) -> list[str]:
    """Do what the page says, from the top; returns what does not end well."""
    wrong: list[str] = []
    for block in blocks(PAGE):
        if block.language == "sh":
            wrong += terminal.shell(block)
        elif block.language == "console":
            wrong += [line for command in commands(block) for line in terminal.type(command)]
    return wrong


def login(terminal: Terminal, cluster: SimulatedKubernetes) -> None:
    """Do as the pod does with what was applied: log in as the service account, and read PVE's authority."""
    found = cluster.store.get(Key(kept("ConfigMap"), "rotate", "rotate"))
    whole: Any = yaml.safe_load(terminal.here(found["data"]["rotate.yaml"]))
    kubeconfig = cluster.write_kubeconfig(terminal.folder, token=cluster.issue_token(ACCOUNT))
    whole["backends"]["cluster"] = {"type": "kubernetes", "auth": "kubeconfig", "kubeconfig": str(kubeconfig)}
    del whole["service"]  # its files are those of a pod
    authority = cluster.store.get(Key(kept("ConfigMap"), "rotate", "pve-ca"))
    terminal.path("/etc/rotate/pve-root-ca.pem").write_text(authority["data"]["pve-root-ca.pem"], encoding="utf-8")
    terminal.config.write_text(yaml.safe_dump(whole), encoding="utf-8")


@pytest.fixture
def terminal(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Terminal]:
    """Give a reader who has done at PVE what the README says."""
    with sitting_at(tmp_path, watch) as made:
        yield made


def test_the_page_can_be_followed_and_leads_to_a_rotation(terminal: Terminal) -> None:
    """Every command ends well, and with the Roles, Secrets and files that are there then a token rotates."""
    with following(terminal) as cluster:
        wrong = follow(terminal)
        assert wrong == [], "\n".join(wrong)
        assert "successfully rolled out" in "".join(terminal.said)
        login(terminal, cluster)
        for command in (["rotate", "due"], ["rotate", "now", "csi"], ["rotate", "verify"]):
            said, exit_code = terminal.run(command)
            assert exit_code == 0, said
        assert b"token_secret" in cluster.data("csi-proxmox", "proxmox-csi-plugin")["config.yaml"]
        assert cluster.workload("Deployment", "csi-proxmox", CONTROLLER)["metadata"]["generation"] == 3


def test_what_the_page_makes_is_what_the_pods_mount(terminal: Terminal) -> None:
    """Each ConfigMap and each Secret, with each of its keys; a certificate comes from elsewhere."""
    with following(terminal) as cluster:
        wrong = follow(terminal)
        assert wrong == [], "\n".join(wrong)
        there = {
            (kind, one["metadata"]["name"], key)
            for kind, resource in (("configMap", kept("ConfigMap")), ("secret", SECRETS))
            for one in cluster.store.list(resource, "rotate")
            for key in one.get("data", {})
        }
        token = base64.b64decode(cluster.secret("rotate", "rotate-metrics")["data"]["token"])
    wanted = set(mounted("service")) | set(mounted("now"))
    elsewhere = {("secret", "rotate-tls", "tls.crt"), ("secret", "rotate-tls", "tls.key")}
    assert wanted - elsewhere - {("configMap", "kube-root-ca.crt", "ca.crt")} <= there
    assert b"\n" not in token


def mounted(name: str) -> Iterator[tuple[str, str, str]]:
    """Yield what the pods of an overlay mount: its kind, its name, the key."""
    for one in overlay(name):
        if one["kind"] in ("Deployment", "Job"):
            for volume in one["spec"]["template"]["spec"]["volumes"]:
                for source in volume["projected"]["sources"]:
                    for kind in {"configMap", "secret"} & source.keys():
                        yield from ((kind, source[kind]["name"], item["key"]) for item in source[kind]["items"])
