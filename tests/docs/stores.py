"""The stores that pages are about, set up as far as the page says: its policies and roles, and nothing beyond them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from rotator.model import Secret
from rotator.testing.aws import SimulatedAws
from rotator.testing.kubernetes import Rule, SimulatedKubernetes
from tests.aws.lab import forget_aws, lab_at
from tests.docs.bench import Bench
from tests.docs.pages import blocks
from tests.vault.lab import VARIABLES, Simulated, simulated

ROTATOR = "system:serviceaccount:pve:rotate"


def of_language(page: str, language: str) -> list[str]:
    """List the blocks of a page in one language."""
    return [block.text for block in blocks(page) if block.language == language]


def policies(page: str) -> list[list[dict[str, Any]]]:
    """List the statements of each policy of AWS on a page."""
    return [json.loads(text)["Statement"] for text in of_language(page, "json")]


def allowed(statements: list[dict[str, Any]]) -> set[str]:
    """List the actions that a policy names."""
    return {it for one in statements for it in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])}


def kind_of(whole: Mapping[str, Any]) -> str:
    """Return the type of the store that an operator is read from."""
    return str(whole["backends"][whole["backend"]]["type"]) if "backend" in whole else ""


@contextmanager
def vault(bench: Bench, page: str, patch: pytest.MonkeyPatch) -> Iterator[Simulated]:
    """Run a Vault in which the first policy of the page is the rotator's, with the AppRole of its configuration."""
    for variable in VARIABLES:
        patch.delenv(variable, raising=False)
    with simulated(bench.folder) as sim:
        admin = sim.admin()
        admin.sys.enable_auth_method("approle")
        role = admin.auth.approle
        role.create_or_update_approle("rotate", token_policies=[sim.policy(of_language(page, "hcl")[0])])
        known = {
            "role-id": role.read_role_id("rotate")["data"]["role_id"],
            "secret-id": role.generate_secret_id("rotate")["data"]["secret_id"],
        }
        for name, value in known.items():
            path = bench.path(f"/etc/rotate/vault-{name}")
            path.touch(mode=0o600)
            path.write_text(Secret(value).reveal())
        bench.path("/etc/rotate/vault-ca.pem").write_bytes(sim.ca.read_bytes() if sim.ca else b"")
        bench.names["https://vault.lan:8200"] = sim.address

        def seed(whole: Mapping[str, Any], operator: Mapping[str, str]) -> bool:
            if kind_of(whole) != "vault":
                return False
            admin.secrets.kv.v2.create_or_update_secret(whole["path"], operator, mount_point=whole["mount"])
            return True

        bench.seeds.append(seed)
        yield sim


@contextmanager
def aws(bench: Bench, page: str, patch: pytest.MonkeyPatch) -> Iterator[SimulatedAws]:
    """Run a Secrets Manager that allows what the policies of the page allow."""
    forget_aws(patch, bench.folder)
    with SimulatedAws() as server, lab_at(server.url) as lab:
        patch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.url)

        def seed(whole: Mapping[str, Any], operator: Mapping[str, str]) -> bool:
            if kind_of(whole) != "aws":
                return False
            client = lab.client(whole["backends"][whole["backend"]]["region"])
            client.create_secret(Name=whole["secret_id"], SecretString=json.dumps(operator))
            server.calls.clear()
            server.policy = policies(page)[0]
            return True

        bench.seeds.append(seed)
        yield server


@contextmanager
def kubernetes(bench: Bench, page: str, patch: pytest.MonkeyPatch) -> Iterator[SimulatedKubernetes]:
    """Run a cluster in which the Role of the page is the rotator's, with the workloads that it restarts."""
    manifests = [one for text in of_language(page, "yaml") for one in yaml.safe_load_all(text) if isinstance(one, dict)]
    role = next(one for one in manifests if one.get("kind") == "Role")
    namespace = role["metadata"]["namespace"]
    with SimulatedKubernetes() as cluster:
        cluster.add_namespace(namespace)
        cluster.bind(ROTATOR, [Rule.parse(rule) for rule in role["rules"]], namespace=namespace)
        for kind, name in re.findall(r"\{kind: (\w+), name: ([\w-]+)\}", "".join(of_language(page, "yaml"))):
            cluster.add_workload(kind, namespace, name)
        kubeconfig = cluster.write_kubeconfig(bench.folder, token=cluster.issue_token(ROTATOR))
        patch.setenv("KUBECONFIG", str(kubeconfig))
        bench.names["10.0.0.5:6443"] = cluster.url.removeprefix("https://")

        def seed(whole: Mapping[str, Any], operator: Mapping[str, str]) -> bool:
            if kind_of(whole) != "kubernetes":
                return False
            cluster.add_secret(namespace, whole["name"], {key: text.encode() for key, text in operator.items()})
            return True

        bench.seeds.append(seed)
        yield cluster
