"""What doctor says of a Vault: one whose engine cannot compare and set, that is sealed, that refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doctor.clinic import Clinic, codes_of
from tests.vault.lab import VARIABLES, Simulated, simulated

ONE = 'path "old/pve/ci" { capabilities = ["create", "update", "read"] }'
SELF = 'path "sys/capabilities-self" { capabilities = ["update"] }'


@pytest.fixture
def vault(clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulated]:
    """Move the record of the healthy credential into a Vault, in an engine of version 1."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    with simulated(tmp_path) as sim:
        sim.mount(version=1, name="old")
        sim.admin().secrets.kv.v1.create_or_update_secret("pve/ci", clinic.record("ci"), mount_point="old")
        (clinic.folder / "ci.json").unlink()
        keep_in(clinic, sim, sim.policy(f"{ONE}\n{SELF}"))
        yield sim


def keep_in(clinic: Clinic, sim: Simulated, policy: str) -> None:
    """Configure the Vault as the store of the credential, with a login that may do what a policy says."""
    token: dict[str, Any] = {"token": sim.written(sim.token(policy))}
    backend = {"type": "vault", "address": sim.address, "ca": str(sim.ca), "auth": token}
    clinic.extra["backends"] = {"old": {**backend, "kv_version": 1, "single_writer": True}}
    clinic.credentials[0]["destination"] = {"backend": "old", "mount": "old", "path": "pve/ci"}
    clinic.write()


@pytest.mark.usefixtures("vault")
def test_a_store_that_cannot_compare_and_set_is_a_note(clinic: Clinic) -> None:
    """It was configured on purpose, so it is no failure; what it means is told, and nothing else is found."""
    results = clinic.doctor()
    assert codes_of(results) == ["store: store-without-compare-and-set"]
    assert [it["exit_code"] for it in results] == [0] * len(results)
    (finding,) = results[2]["findings"]
    assert finding["severity"] == "note"


def test_a_sealed_store_is_unavailable(clinic: Clinic, vault: Simulated) -> None:
    """It is not taken for one that refuses; the credential is not examined, which is said."""
    vault.server.sealed = True
    results = clinic.doctor()
    assert "store: store-unavailable" in codes_of(results)
    assert not any(it in codes_of(results) for it in ("store: store-unreadable", "store: store-not-writable"))
    assert "the record was not read" in results[-1]["unknown"][0]


def test_a_sealed_store_that_holds_the_operators_secret_is_no_node_that_is_down(
    clinic: Clinic, vault: Simulated
) -> None:
    """The node answers; it is the store that does not."""
    secret = {"backend": "old", "mount": "old", "path": "pve/operator", "key": "secret"}
    clinic.operators["one"]["token_secret"] = secret
    clinic.write()
    vault.server.sealed = True
    causes = codes_of(clinic.doctor())
    assert "operator: operator-unreadable" in causes
    assert not any(it.startswith("cluster") for it in causes)


def test_a_policy_that_only_reads_is_named(clinic: Clinic, vault: Simulated) -> None:
    """Before a rotation needs more; what is published works."""
    keep_in(clinic, vault, vault.policy(f'path "old/pve/ci" {{ capabilities = ["read"] }}\n{SELF}'))
    assert "store: store-not-writable" in codes_of(clinic.doctor())


def test_a_policy_that_does_not_read_is_named(clinic: Clinic, vault: Simulated) -> None:
    """The consumer's is another one: of it nothing is known."""
    keep_in(clinic, vault, vault.policy(SELF))
    assert "store: store-unreadable" in codes_of(clinic.doctor())
