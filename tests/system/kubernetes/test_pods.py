"""Pods are as small a danger as they can be, have the files that their configuration names, and answer their probes."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import trustme
import yaml
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from rotator.cli.main import rotate
from rotator.cli.serving import GRACE
from rotator.clock import SystemClock
from rotator.service.election import RETRY
from rotator.service.health import Pulse
from rotator.service.lease import TIMEOUT
from rotator.service.probes import routes
from rotator.service.standing import Standing
from rotator.shards import Shard
from tests.system.kubernetes.cluster import configuration
from tests.system.kubernetes.manifests import OVERLAYS, STORES, WORKLOADS, Json, combined, overlay, pods
from tests.system.kubernetes.restricted import faults

PERIOD = 300
"""Seconds between two runs of the CronJob."""
API = "/var/run/secrets/kubernetes.io/serviceaccount"
TEMPLATES = [
    *((f"overlay {name}", template) for name in OVERLAYS for _, template in pods(overlay(name))),
    *(
        (f"{workload} {store}", template)
        for workload in WORKLOADS
        for store in STORES
        for _, template in pods(combined(workload, f"stores/{store}"))
    ),
]
EACH = pytest.mark.parametrize("template", [it for _, it in TEMPLATES], ids=[name for name, _ in TEMPLATES])


@EACH
def test_a_pod_keeps_the_standard_restricted(template: Json) -> None:
    """And what the standard does not ask for: a root that nobody writes to, a user with a number, limits."""
    assert list(faults(template)) == []
    (container,) = template["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert template["spec"]["securityContext"]["runAsUser"] == template["spec"]["securityContext"]["fsGroup"] > 0
    assert template["spec"]["automountServiceAccountToken"] is template["spec"]["enableServiceLinks"] is False
    assert container["resources"].keys() == {"requests", "limits"}
    assert all(mount["readOnly"] for mount in container["volumeMounts"])


CHANGES: Mapping[str, Callable[[Json], object]] = {
    "hostNetwork": lambda pod: pod.update(hostNetwork=True),
    "sysctls": lambda pod: pod["securityContext"].update(sysctls=[{"name": "kernel.shm_rmid_forced"}]),
    "volume hostPath": lambda pod: pod["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
    "privileged": lambda pod: pod["containers"][0]["securityContext"].update(privileged=True),
    "allowPrivilegeEscalation": lambda pod: pod["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
    "runAsNonRoot": lambda pod: pod["securityContext"].pop("runAsNonRoot"),
    "runAsUser": lambda pod: pod["securityContext"].update(runAsUser=0),
    "seccompProfile": lambda pod: pod["securityContext"].pop("seccompProfile"),
    "procMount": lambda pod: pod["containers"][0]["securityContext"].update(procMount="Unmasked"),
    "seLinuxOptions": lambda pod: pod["securityContext"].update(seLinuxOptions={"type": "spc_t"}),
    "capabilities": lambda pod: pod["containers"][0]["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]),
    "hostPort": lambda pod: pod["containers"][0].update(ports=[{"hostPort": 80}]),
}


@pytest.mark.parametrize("fault", CHANGES)
def test_what_the_standard_forbids_is_noticed(fault: str) -> None:
    """Each of its rules, broken once; a real API server refuses the same."""
    template = copy.deepcopy(TEMPLATES[0][1])
    CHANGES[fault](template["spec"])
    assert list(faults(template)) == [fault]


def test_the_namespace_enforces_the_standard() -> None:
    """For whatever else somebody puts there."""
    (labels,) = (one["metadata"]["labels"] for one in overlay("vault") if one["kind"] == "Namespace")
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def tokens(template: Json) -> Iterator[tuple[str, str]]:
    """Yield the tokens that a pod has: for whom each is good, empty for the API server, and where it is."""
    mounts = {it["name"]: it["mountPath"] for it in template["spec"]["containers"][0]["volumeMounts"]}
    for volume in template["spec"]["volumes"]:
        for source in volume.get("projected", {}).get("sources", ()):
            if found := source.get("serviceAccountToken"):
                yield found.get("audience", ""), mounts.get(volume["name"], "")


NEEDED = {
    "aws-irsa": set(),
    "aws-pod-identity": set(),
    "kubernetes-secret": {("", API)},
    "vault-agent": {("vault", "")},
    "vault-kubernetes": {("vault", "/var/run/secrets/vault")},
}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_token_is_where_it_is_needed_and_nowhere_else(workload: str, store: str) -> None:
    """The API server's for Secrets and the Lease, Vault's for Vault; of AWS's own EKS takes care."""
    ((_, template),) = pods(combined(workload, f"stores/{store}"))
    lease = {("", API)} if workload == "service" else set()
    found = list(tokens(template))
    assert len(found) == len(set(found))
    assert set(found) == NEEDED[store] | lease


def files(template: Json) -> Iterator[tuple[str, int]]:
    """Yield what is mounted: the paths, and who may read them."""
    mounts = {it["name"]: it["mountPath"] for it in template["spec"]["containers"][0]["volumeMounts"]}
    for volume in template["spec"]["volumes"]:
        projected = volume["projected"]
        for source in projected["sources"] if volume["name"] in mounts else ():
            for found in source.values():
                for item in found.get("items", [found]):
                    yield str(PurePosixPath(mounts[volume["name"]]) / item["path"]), projected["defaultMode"]
    if template["metadata"].get("annotations", {}).get("vault.hashicorp.com/agent-inject-token") == "true":
        yield "/vault/secrets/token", 0o640  # what the agent's sink has by default


CONFIGURED = [name for name in OVERLAYS if any(one["kind"] == "ConfigMap" for one in overlay(name))]


@pytest.mark.parametrize("name", CONFIGURED)
def test_every_file_that_a_configuration_names_is_mounted(name: str) -> None:
    """So that not everybody may read it, which the product insists on; and nothing is mounted that nobody reads."""
    ((_, template),) = pods(overlay(name))
    mounted = dict(files(template))
    named = set(re.findall(r"(?<![\w/])/(?:etc|var|vault)/[\w./-]+", yaml.safe_dump(configuration(overlay(name)))))
    assert named <= mounted.keys()
    assert all(mode & 0o007 == 0 for mode in mounted.values())
    assert {path for path in mounted if not path.startswith(API)} - named == {"/etc/rotate/rotate.yaml"}


def written(folder: Path, paths: Iterable[str]) -> None:
    """Write what a pod has mounted: an authority, a certificate with its key, and tokens."""
    authority = trustme.CA()
    leaf = authority.issue_cert("rotate.rotate.svc")
    for path in paths:
        file = folder / path.removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        match file.suffix:
            case ".pem":
                file.write_bytes(authority.cert_pem.bytes())
            case ".crt":
                file.write_bytes(leaf.cert_chain_pems[0].bytes())
            case ".key":
                file.write_bytes(leaf.private_key_pem.bytes())
            case _:
                file.write_text("not-a-real-token", encoding="utf-8")


@pytest.mark.parametrize("name", CONFIGURED)
def test_the_configuration_of_an_overlay_is_valid(name: str, tmp_path: Path) -> None:
    """With the files that its pod has, and no others."""
    ((_, template),) = pods(overlay(name))
    paths = dict(files(template))
    written(tmp_path, paths)
    text = yaml.safe_dump(configuration(overlay(name)))
    for path in paths:
        text = text.replace(path, f"{tmp_path}{path}")
    found = tmp_path / "rotate.yaml"
    found.write_text(text, encoding="utf-8")
    result = CliRunner(env={"ROTATE_CONFIG": str(found)}).invoke(rotate, ["config", "check"])
    assert result.exit_code == 0, result.output


def only(name: str, kind: str) -> Json:
    """Return the one object of a kind in an overlay."""
    (found,) = (one for one in overlay(name) if one["kind"] == kind)
    return found


def endpoints() -> set[str]:
    """List the paths that the service answers."""

    def nothing() -> Standing:
        raise LookupError("nobody asks")

    clock = SystemClock()
    return set(routes(nothing, Pulse(clock), CollectorRegistry(), clock.now))


def test_the_probes_ask_what_the_service_answers() -> None:
    """At the port that the configuration has, over TLS as the configuration has it, by paths that need no token."""
    container = only("service", "Deployment")["spec"]["template"]["spec"]["containers"][0]
    service = configuration(overlay("service"))["service"]
    (port,) = container["ports"]
    assert service["listen"].endswith(f":{port['containerPort']}")
    assert "tls" in service
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {probe["path"] for probe in probes.values()} == {"/healthz", "/readyz"} < endpoints()
    assert {(probe["port"], probe["scheme"]) for probe in probes.values()} == {(port["name"], "HTTPS")}
    assert probes["liveness"]["path"] == "/healthz"


@pytest.mark.parametrize("kind", ["service-monitor", "pod-monitor"])
def test_prometheus_asks_what_the_service_answers(kind: str) -> None:
    """With the token and the authority of the Secrets that the pod mounts."""
    (monitor,) = (one for one in combined("service", f"monitoring/{kind}") if one["kind"].endswith("Monitor"))
    deployment = only("service", "Deployment")
    ((endpoint,),) = (found for key, found in monitor["spec"].items() if key.lower().endswith("endpoints"))
    assert endpoint["path"] in endpoints()
    assert (endpoint["scheme"], endpoint["port"]) == ("https", "metrics")
    mounted = {found["secret"]["name"] for found in _sources(deployment) if "secret" in found}
    named = {endpoint["authorization"]["credentials"]["name"], endpoint["tlsConfig"]["ca"]["secret"]["name"]}
    assert named == mounted
    assert endpoint["tlsConfig"]["serverName"] == "rotate.rotate.svc"
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()


def _sources(deployment: Json) -> list[Json]:
    found: list[Json] = deployment["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"]
    return found


def test_what_selects_pods_selects_them() -> None:
    """The Deployment, the Service, the budget and the policies mean the pods that there are."""
    labels = only("service", "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert only("service", kind)["spec"]["selector"]["matchLabels"].items() <= labels
    assert only("service", "Service")["spec"]["selector"].items() <= labels
    assert only("service", "Deployment")["spec"]["replicas"] == 2


@EACH
def test_every_pod_is_held_by_the_policy_of_the_network(template: Json) -> None:
    """Also the pods of Jobs."""
    selected = only("vault", "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert selected.items() <= template["metadata"]["labels"].items()


def ports(rules: list[Json]) -> set[Any]:
    """List the ports of a policy."""
    return {port["port"] for rule in rules for port in rule["ports"]}


REACHED = {
    "aws-irsa": {443},
    "aws-pod-identity": {443, 80},
    "kubernetes-secret": {443, 6443},
    "vault-agent": {8200},
    "vault-kubernetes": {8200},
}


@pytest.mark.parametrize("workload", ["cronjob", "service", "sharded"])
@pytest.mark.parametrize("store", STORES)
def test_only_what_is_needed_is_reached(workload: str, store: str) -> None:
    """Names, PVE, the store and, for the Lease, the API server; and nobody comes in but for the metrics."""
    policies = [one["spec"] for one in combined(workload, f"stores/{store}") if one["kind"] == "NetworkPolicy"]
    api = {443, 6443} if workload == "service" else set()
    outgoing = [rule for policy in policies for rule in policy.get("egress", ())]
    assert ports(outgoing) == {53, 8006} | REACHED[store] | api
    incoming = [rule for policy in policies for rule in policy["ingress"]]
    assert [rule["ports"] for rule in incoming] == ([[{"protocol": "TCP", "port": "metrics"}]] if api else [])
    assert all(rule["from"] for rule in incoming)
    assert sorted(kind for policy in policies for kind in policy["policyTypes"])[:2] == ["Egress", "Ingress"]


def test_the_agent_that_gives_the_credentials_is_reached_in_a_cluster_of_either_protocol() -> None:
    """At the addresses that EKS gives to pods, of which a cluster has one; and nowhere else by plain HTTP."""
    (policy,) = (one for one in combined("cronjob", "stores/aws-pod-identity") if one["kind"] == "NetworkPolicy")
    (rule,) = (rule for rule in policy["spec"]["egress"] if ports([rule]) == {80})
    assert [to["ipBlock"]["cidr"] for to in rule["to"]] == ["169.254.170.23/32", "fd00:ec2::23/128"]


def test_a_run_of_the_cronjob_neither_overlaps_nor_hangs() -> None:
    """Its deadlines go with its schedule."""
    spec = only("vault", "CronJob")["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == (f"*/{PERIOD // 60} * * * *", "Forbid")
    assert 10 <= spec["startingDeadlineSeconds"] < PERIOD
    job = spec["jobTemplate"]["spec"]
    assert (job["backoffLimit"], job["template"]["spec"]["restartPolicy"]) == (0, "Never")
    assert job["activeDeadlineSeconds"] > PERIOD
    assert spec["failedJobsHistoryLimit"] > spec["successfulJobsHistoryLimit"] > 0


def test_a_pod_of_the_service_has_the_time_that_it_takes_to_end() -> None:
    """What is under way is finished, and the lease given back by two calls, before Kubernetes kills it."""
    longest = GRACE + RETRY.total_seconds() + 2 * TIMEOUT
    assert only("service", "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > longest


def test_the_shares_of_an_indexed_job_are_the_whole_fleet() -> None:
    """Each cluster is in one share, and no share ends another."""
    job = only("sharded", "CronJob")["spec"]["jobTemplate"]["spec"]
    command, option, count = job["template"]["spec"]["containers"][0]["args"]
    assert (command, option, job["completionMode"]) == ("due", "--shard", "Indexed")
    assert job["completions"] == job["parallelism"] == int(count)
    assert (job["backoffLimitPerIndex"], "backoffLimit" in job) == (0, False)
    shares = [Shard.parse(count, index=str(index)) for index in range(job["completions"])]
    for cluster in configuration(overlay("sharded"))["clusters"]:
        assert sum(share.holds(cluster) for share in shares) == 1


def test_nothing_secret_stands_in_what_is_deployed() -> None:
    """There is no Secret, and no value in the environment; a configuration could not hold one."""
    for name in OVERLAYS:
        assert "Secret" not in {one["kind"] for one in overlay(name)}
        for _, template in pods(overlay(name)):
            assert not {"env", "envFrom"} & template["spec"]["containers"][0].keys()


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_image_is_named_in_one_place(name: str) -> None:
    """By ``images`` of the overlay, for every workload."""
    for _, template in pods(overlay(name)):
        image = template["spec"]["containers"][0]["image"]
        assert re.fullmatch(r"registry\.example\.net/proxmox-token-rotator:\d+\.\d+\.\d+", image)
