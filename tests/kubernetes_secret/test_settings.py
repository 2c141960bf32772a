"""The settings of the Kubernetes backend and its destinations: what is wrong, each fault in a line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import ConfigError
from rotator_backends.kubernetes_client import Surroundings
from rotator_backends.kubernetes_secret import KubernetesBackend, SecretLocation
from rotator_backends.kubernetes_settings import Auth, Kind, Workload, backend_settings

NOWHERE = Surroundings({}, Path("/nonexistent"), Path("/nonexistent"))


def made(**settings: object) -> KubernetesBackend:
    """Make a backend that leads nowhere."""
    return KubernetesBackend.configure({"context": "lab", **settings}, surroundings=NOWHERE)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"auth": "magic"}, "auth: input should be 'in-cluster' or 'kubeconfig'"),
        ({"kubeconfig": "~/.kube/config"}, "kubeconfig: must be an absolute path; '~' depends on who runs rotate"),
        ({"auth": "in-cluster", "context": "lab"}, "context: does not go with auth: in-cluster"),
        ({"auth": "in-cluster", "kubeconfig": "/k"}, "kubeconfig: does not go with auth: in-cluster"),
        ({"context": ""}, "context: string should have at least 1 character"),
        (
            {"namespace": "a.b"},
            "namespace: must be a name of a namespace: lower case letters, digits and '-', at most 63",
        ),
        ({"timeout": 10}, "timeout: must be a duration from 1s to 5m, with its unit, such as 10s"),
        ({"timeout": "0s"}, "timeout: must be a duration from 1s to 5m, with its unit, such as 10s"),
        ({"timeout": "5m1s"}, "timeout: must be a duration from 1s to 5m, with its unit, such as 10s"),
        ({"timeout": ""}, "timeout: must be a duration from 1s to 5m, with its unit, such as 10s"),
        ({"tiemout": "1s"}, "tiemout: extra inputs are not permitted"),
    ],
)
def test_a_setting_that_is_wrong_is_told(settings: dict[str, object], fault: str) -> None:
    """With its name, and what would be right."""
    with pytest.raises(ConfigError) as caught:
        KubernetesBackend.configure(settings)
    assert caught.value.message == fault
    assert caught.value.hint == "a kubernetes backend takes auth, kubeconfig, context, namespace and timeout"


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"namespace": "pve"}, "name: field required"),
        ({"name": "ci"}, "namespace: is needed here, or in the settings of the backend"),
        (
            {"namespace": "pve", "name": "CI"},
            "name: must be a name of Kubernetes: lower case letters, digits, '-' and '.', at most 253",
        ),
        (
            {"namespace": "pve", "name": "a" * 64 + "." + "b" * 190},
            "name: must be a name of Kubernetes: lower case letters, digits, '-' and '.', at most 253",
        ),
        (
            {"namespace": "pve", "name": "ci", "restart": [{"kind": "Pod", "name": "web"}]},
            "restart.0.kind: input should be 'Deployment', 'StatefulSet' or 'DaemonSet'",
        ),
        ({"namespace": "pve", "name": "ci", "restart": [{"kind": "Deployment"}]}, "restart.0.name: field required"),
        ({"namespace": "pve", "name": "ci", "key": "x"}, "key: extra inputs are not permitted"),
    ],
)
def test_a_destination_that_is_wrong_is_told(settings: dict[str, object], fault: str) -> None:
    """With the place of the fault, down into lists."""
    with pytest.raises(ConfigError) as caught:
        made().locate(settings)
    assert caught.value.message == fault
    assert caught.value.hint == "a destination in Kubernetes takes namespace, name and restart"


def test_what_is_not_set_has_a_default() -> None:
    """Ten seconds; the login is found where there is one."""
    settings = backend_settings({})
    assert settings.timeout == timedelta(seconds=10)
    assert settings.auth_where(is_mounted=True) is Auth.IN_CLUSTER
    assert settings.auth_where(is_mounted=False) is Auth.KUBECONFIG
    assert backend_settings({"auth": "kubeconfig"}).auth_where(is_mounted=True) is Auth.KUBECONFIG
    assert backend_settings({"context": "lab"}).auth_where(is_mounted=True) is Auth.KUBECONFIG
    assert backend_settings({"kubeconfig": "/k"}).auth_where(is_mounted=True) is Auth.KUBECONFIG


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1), ("90s", 90), ("1m30s", 90), ("5m", 300)])
def test_a_timeout_has_a_unit(text: str, seconds: int) -> None:
    """As all durations in the configuration."""
    assert backend_settings({"timeout": text}).timeout == timedelta(seconds=seconds)


def test_the_namespace_of_the_backend_is_the_default_of_its_destinations() -> None:
    """A destination's own goes before it."""
    backend = made(namespace="pve")
    assert backend.locate({"name": "ci"}) == (SecretLocation("pve", "ci"), "kubernetes:lab/pve/ci")
    assert backend.locate({"name": "ci", "namespace": "other"})[1] == "kubernetes:lab/other/ci"


def test_what_is_restarted_does_not_make_another_place() -> None:
    """Two credentials with one secret are found by the label, whatever each restarts, in whatever order."""
    web, db = {"kind": "Deployment", "name": "web"}, {"kind": "StatefulSet", "name": "db"}
    backend = made(namespace="pve")
    one, label = backend.locate({"name": "ci", "restart": [web, db]})
    other, same = backend.locate({"name": "ci", "restart": [db, web, web]})
    assert label == same == backend.locate({"name": "ci"})[1]
    assert one == other
    assert one.restart == (Workload(Kind.DEPLOYMENT, "web"), Workload(Kind.STATEFUL_SET, "db"))


def test_keys_that_a_secret_cannot_hold_are_all_told() -> None:
    """While the configuration is checked, a line each."""
    backend = made(namespace="pve")
    location, _ = backend.locate({"name": "ci"})
    backend.check_keys(location, ["token_id", "PROXMOX_VE_API_TOKEN", "config.yaml", ".env", "k" * 253])
    with pytest.raises(ConfigError) as caught:
        backend.check_keys(location, ["good", "not good", "ключ"])
    rule = "a key of a secret has letters, digits, '-', '_' and '.', at most 253 of them"
    assert caught.value.message == f"not good: {rule}\nключ: {rule}"
