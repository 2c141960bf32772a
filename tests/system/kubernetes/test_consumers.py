"""What consumers of Vault are given reads the record that an overlay writes, as one, and soon enough.

Its kinds are other projects'; ``test_custom`` holds each field to their definitions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache

import kubernetes_validate
import pytest

from rotator.durations import parse_duration
from tests.system.kubernetes.cluster import configuration
from tests.system.kubernetes.manifests import ROOT, VERSIONS, Json, overlay, render

FOLDERS = ("external-secrets", "vault-secrets-operator")
LOOKS = 10
"""So often at least a consumer looks within an overlap."""


@cache
def consumer(folder: str) -> Mapping[str, Json]:
    """Render what a consumer has: its objects by their kinds."""
    found = render(ROOT / "consumers" / folder)
    assert len({one["kind"] for one in found}) == len(found)
    return {one["kind"]: one for one in found}


def written() -> tuple[Json, Json]:
    """Return the store and the credential of the overlay that writes to Vault."""
    whole = configuration(overlay("vault"))
    ((_, store),), (credential,) = whole["backends"].items(), whole["credentials"]
    return store, credential


def test_external_secrets_reads_the_record_that_is_written() -> None:
    """At the same server, from the same mount and path, id and secret in one read."""
    store, credential = written()
    spec = consumer("external-secrets")["ExternalSecret"]["spec"]
    provider = consumer("external-secrets")["SecretStore"]["spec"]["provider"]["vault"]
    assert (provider["server"], provider["path"], provider["version"]) == (store["address"], "secret", "v2")
    assert provider["path"] == credential["destination"]["mount"]
    assert spec["dataFrom"] == [{"extract": {"key": credential["destination"]["path"]}}]
    assert "data" not in spec
    assert spec["secretStoreRef"] == {"kind": "SecretStore", "name": _name("external-secrets", "SecretStore")}


def test_the_operator_of_vault_reads_the_record_that_is_written() -> None:
    """And restarts what reads it at its start, which it does only where it sees that something changed."""
    store, credential = written()
    found = consumer("vault-secrets-operator")
    spec = found["VaultStaticSecret"]["spec"]
    place = {"mount": spec["mount"], "path": spec["path"], "backend": "vault"}
    assert (place, spec["type"]) == (credential["destination"], "kv-v2")
    assert found["VaultConnection"]["spec"]["address"] == store["address"]
    assert found["VaultConnection"]["spec"]["skipTLSVerify"] is False
    assert spec["vaultAuthRef"] == _name("vault-secrets-operator", "VaultAuth")
    assert found["VaultAuth"]["spec"]["vaultConnectionRef"] == _name("vault-secrets-operator", "VaultConnection")
    assert spec["rolloutRestartTargets"]
    assert spec["hmacSecretData"] is True


def _name(folder: str, kind: str) -> str:
    return str(consumer(folder)[kind]["metadata"]["name"])


@pytest.mark.parametrize(
    ("folder", "login"),
    [
        ("external-secrets", ("SecretStore", "provider", "vault", "auth", "kubernetes", "serviceAccountRef")),
        ("vault-secrets-operator", ("VaultAuth", "kubernetes")),
    ],
)
def test_a_consumer_logs_in_as_itself(folder: str, login: Sequence[str]) -> None:
    """With a token of its own service account that is good for Vault alone, and is mounted nowhere."""
    kind, *steps = login
    found = consumer(folder)[kind]["spec"]
    for step in steps:
        found = found[step]
    account = consumer(folder)["ServiceAccount"]
    assert found["audiences"] == ["vault"]
    assert found.get("serviceAccount", found.get("name")) == account["metadata"]["name"]
    assert account["automountServiceAccountToken"] is False
    for version in VERSIONS:
        kubernetes_validate.validate(account, version, strict=True)


@pytest.mark.parametrize(
    ("folder", "kind", "key"),
    [
        ("external-secrets", "ExternalSecret", "refreshInterval"),
        ("vault-secrets-operator", "VaultStaticSecret", "refreshAfter"),
    ],
)
def test_a_consumer_looks_often_in_each_overlap(folder: str, kind: str, key: str) -> None:
    """So that it never has a token that has ended, also when it misses some looks."""
    _, credential = written()
    looks: timedelta = parse_duration(consumer(folder)[kind]["spec"][key])
    assert looks * LOOKS < parse_duration(credential["overlap"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_consumer_is_no_part_of_the_rotator(folder: str) -> None:
    """It has a namespace of its own."""
    assert {one["metadata"]["namespace"] for one in consumer(folder).values()} == {"ci"}
