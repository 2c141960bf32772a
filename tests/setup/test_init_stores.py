"""``rotate init`` with other stores than files: the operator's token and the consumer's go there and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rotator.cli.init_draft import new_draft
from rotator.cli.init_questions import PLACES, Contact, Given, Questions
from rotator.errors import ConfigError
from rotator.model import Secret
from rotator.testing.aws import SimulatedAws
from rotator.testing.kubernetes import SECRETS, SimulatedKubernetes
from tests.aws.lab import REGION, forget_aws, lab_at
from tests.kubernetes_secret.lab import NAMESPACE, SimulatedLab
from tests.setup.lab import Lab, Scripted
from tests.vault.lab import VARIABLES, simulated


def set_up(new: Lab, store: str, **settings: str) -> None:
    """Set up with a store, and rotate."""
    given = [it for key, value in settings.items() for it in ("--store-setting", f"{key}={value}")]
    result = new.init("--store", store, *given)
    assert result.exit_code == 0, result.output
    assert new.rotate_now().exit_code == 0
    assert "nothing was changed" in new.init().stdout
    assert new.files() == ["rotate.schema.json", "rotate.yaml"]


def left(new: Lab, *more: str) -> dict[str, str]:
    """Take the set-up back; returns which records stay, and what is said of them."""
    found = new.json("init", "--undo", "--yes", *more, *new.login())["results"]
    return {it["thing"]: it["message"] for it in found if it["state"] == "left"}


def test_in_vault(new: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are given as they stand in the configuration; places have names that are usual there."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    with simulated(tmp_path) as vault:
        auth = json.dumps({"token": vault.written(Secret(vault.root))})
        set_up(new, "vault", address=vault.address, ca=str(vault.ca), auth=auth)
        stored = vault.admin("").secrets.kv.v2.read_secret_version("rotate/operator", raise_on_deleted_version=False)
        record = stored["data"]["data"]
        new.watch(record["token_secret"])
        assert new.pve.accepts(record["token_id"], record["token_secret"])
        before, after = left(new, "--dry-run"), left(new)
    place = f"record vault:{vault.address}/secret/rotate"
    assert before == after
    assert list(after) == [f"{place}/ci", f"{place}/operator"]
    assert "the operator's token was kept there, and ends" in after[f"{place}/operator"]
    assert all("remove it with `vault kv metadata delete`" in it for it in after.values())
    assert new.is_fresh()


def test_in_kubernetes(new: Lab, tmp_path: Path) -> None:
    """Secrets of the names that are usual there."""
    with SimulatedKubernetes() as cluster:
        lab = SimulatedLab(cluster, tmp_path)
        set_up(new, "kubernetes", kubeconfig=str(lab.kubeconfig), namespace=NAMESPACE)
        assert {"token_id", "token_secret"} <= set(lab.secret("rotate-ci")["data"])
        cluster.delete(SECRETS, NAMESPACE, "rotate-ci")
        (message,) = left(new).values()
    assert "the operator's token was kept there" in message
    assert "remove it with `kubectl delete secret`" in message
    assert new.is_fresh()


def test_what_cannot_be_looked_at_may_be_left(new: Lab, tmp_path: Path) -> None:
    """The store is away: PVE is as it was all the same, and both places are named."""
    with SimulatedKubernetes() as cluster:
        lab = SimulatedLab(cluster, tmp_path)
        set_up(new, "kubernetes", kubeconfig=str(lab.kubeconfig), namespace=NAMESPACE)
        cluster.down = True
        assert len(left(new)) == 2
    assert new.is_fresh()


def test_in_secrets_manager(new: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets of the names that are usual there, made by the set-up and by the first rotation."""
    forget_aws(monkeypatch, tmp_path)
    with SimulatedAws() as aws, lab_at(aws.url) as lab:
        set_up(new, "aws", region=REGION, endpoint_url=aws.url)
        record = json.loads(lab.client().get_secret_value(SecretId="rotate/operator")["SecretString"])
        new.watch(record["token_secret"])
        assert new.pve.accepts(record["token_id"], record["token_secret"])
        assert all("remove it with `aws secretsmanager delete-secret`" in it for it in left(new).values())


@pytest.mark.parametrize(
    ("store", "settings"),
    [
        ("file", ()),
        ("file", ("mode='0640'",)),
        ("vault", ("address=https://vault.example:8200",)),
        ("openbao", ("address=https://bao.example:8200",)),
        ("aws", ("region=eu-central-1",)),
        ("kubernetes", ("namespace=rotator", "auth=in-cluster")),
    ],
)
def test_every_store_has_usual_places(tmp_path: Path, store: str, settings: tuple[str, ...]) -> None:
    """What is written is a valid configuration, whatever the store."""
    given = Given(name="ci", grants=("/=PVEAuditor",), store=store, store_settings=settings, owner="lab")
    questions = Questions(given, Scripted(is_there=False), tmp_path)
    draft = new_draft(tmp_path / "rotate.yaml", questions.answers(Contact(("pve.example:8006",), {}), "operator-abcde"))
    draft.close()
    assert store in PLACES
    assert draft.settings.credentials[0].name == "ci"
    assert draft.operator.label != draft.settings.credentials[0].primary.label


def test_a_store_that_is_not_installed_is_told(tmp_path: Path) -> None:
    """With what is."""
    given = Given(
        name="ci", grants=("/=PVEAuditor",), store="etcd", owner="lab", place=("x=1",), operator_place=("x=2",)
    )
    questions = Questions(given, Scripted(is_there=False), tmp_path)
    with pytest.raises(ConfigError, match="no backend of the name 'etcd'"):
        new_draft(tmp_path / "rotate.yaml", questions.answers(Contact(("pve.example:8006",), {}), "operator-abcde"))
