"""One credential in Vault, AWS, Kubernetes and a file at once, each in its own shape, from the configuration on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.testing.aws import HangUp, SimulatedAws
from rotator.testing.exchange import Request
from rotator.testing.kubernetes import SimulatedKubernetes
from rotator.testing.vault import SimulatedVault
from tests.aws.lab import Lab as AwsLab
from tests.aws.lab import forget_aws, lab_at
from tests.cli.lab import Lab, Time, only
from tests.kubernetes_secret.lab import SimulatedLab as KubernetesLab
from tests.vault.lab import Lab as VaultLab
from tests.vault.lab import simulated

REGION = "eu-west-1"
MIRRORS = ("aws", "kubernetes", "file")
EVERYWHERE = ("vault", *MIRRORS)
DAYS = {"every": "30d", "overlap": "24h"}

Shown = tuple[str, str]
"""What a consumer logs in with: the full token id and the secret."""


@dataclass
class Stores:
    """All stores, and the ways of their consumers to what is in them."""

    command: Lab
    vault: VaultLab
    vault_server: SimulatedVault
    aws: SimulatedAws
    aws_lab: AwsLab
    kubernetes: SimulatedKubernetes
    kubernetes_lab: KubernetesLab

    @property
    def secret_id(self) -> str:
        """The secret at AWS; all simulated ones of a process are one."""
        return f"{self.aws_lab.prefix}/ci"

    @property
    def file(self) -> Path:
        """The folder of the file."""
        return self.command.folder / "terraform"

    def shown(self, store: str) -> Shown:
        """Tell what the consumer of a store finds there, in the words of its own preset."""
        found: Callable[[], Shown] = getattr(self, f"_from_{store}")
        token, secret = found()
        self.command.watch(secret)
        return token, secret

    def _from_vault(self) -> Shown:
        fields = self.in_vault("ci")
        return fields["token_id"], fields["token_secret"]

    def _from_aws(self) -> Shown:
        fields = json.loads(self.aws_lab.client().get_secret_value(SecretId=self.secret_id)["SecretString"])
        return f"{fields['user']}!{fields['token_name']}", fields["token_value"]

    def _from_kubernetes(self) -> Shown:
        data = self.kubernetes.data(self.kubernetes_lab.namespace, "proxmox-csi")
        (cluster,) = yaml.safe_load(data["config.yaml"])["clusters"]
        return cluster["token_id"], cluster["token_secret"]

    def _from_file(self) -> Shown:
        lines = (self.file / "bpg.env").read_text(encoding="utf-8").splitlines()
        token, _, secret = (
            dict(line.split("=", 1) for line in lines)["PROXMOX_VE_API_TOKEN"].strip("'\"").partition("=")
        )
        return token, secret

    def in_vault(self, path: str) -> dict[str, str]:
        """Read a record of Vault."""
        found = self.vault.admin().secrets.kv.v2.read_secret_version(
            path, mount_point="kv", raise_on_deleted_version=True
        )
        return dict(found["data"]["data"])

    def keep(self, store: str, **fields: str) -> dict[str, str]:
        """Write a record of its own by hand, and return where it is, in the words of the configuration."""
        match store:
            case "vault":
                self.vault.admin().secrets.kv.v2.create_or_update_secret("kept", fields, mount_point="kv")
                return {"backend": store, "mount": "kv", "path": "kept"}
            case "aws":
                name = f"{self.secret_id}-kept"
                self.aws_lab.client().create_secret(Name=name, SecretString=json.dumps(fields))
                return {"backend": store, "secret_id": name}
            case "kubernetes":
                data = {key: value.encode() for key, value in fields.items()}
                self.kubernetes.add_secret(self.kubernetes_lab.namespace, "kept", data)
                return {"backend": store, "name": "kept"}
        path = self.file / "kept.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(fields), encoding="utf-8")
        return {"backend": store, "path": str(path)}

    def kept(self, store: str) -> dict[str, str]:
        """Read that record."""
        match store:
            case "vault":
                return self.in_vault("kept")
            case "aws":
                return dict(json.loads(self.aws.text(REGION, f"{self.secret_id}-kept") or "{}"))
            case "kubernetes":
                data = self.kubernetes.data(self.kubernetes_lab.namespace, "kept")
                return {key: value.decode() for key, value in data.items()}
        return dict(json.loads((self.file / "kept.json").read_text(encoding="utf-8")))

    def works(self, store: str) -> bool:
        """Say whether the consumers of a store can log in."""
        return self.command.pve.accepts(*self.shown(store))

    def take_down(self, store: str) -> None:
        """Let nobody reach a store."""
        match store:
            case "vault":
                self.vault_server.sealed = True
            case "aws":
                self.aws.intercept = lambda _: HangUp()
            case "kubernetes":
                self.kubernetes.down = True
                self.kubernetes.cut()
            case _:
                self.file.rename(self.file.with_name("away"))

    def take_down_at_the_issue(self, store: str) -> None:
        """Let nobody reach a store from the moment that PVE is asked for a token: the preflight found it well."""

        def look(request: Request) -> None:
            if request.method == "POST" and "/token/" in request.path:
                self.command.pve.intercept = None
                self.take_down(store)

        self.command.pve.intercept = look

    def bring_back(self, store: str) -> None:
        """Let everybody reach it again."""
        self.vault_server.sealed = False
        self.aws.intercept = None
        self.kubernetes.down = False
        if store == "file":
            self.file.with_name("away").rename(self.file)

    def issued(self) -> dict[str, Shown]:
        """Issue the first token everywhere, and return what each store shows."""
        result = self.command.call("due")
        assert result.exit_code == 0, result.output
        return {store: self.shown(store) for store in EVERYWHERE}


def settings(vault: VaultLab, aws: SimulatedAws, kubernetes: KubernetesLab) -> dict[str, Any]:
    """Configure the four stores."""
    asked_once = {"read_attempts": 1}
    cluster = {"kubeconfig": str(kubernetes.kubeconfig), "namespace": kubernetes.namespace}
    return {
        "vault": {"type": "vault", **vault.settings()},
        "aws": {"type": "aws", "region": REGION, "endpoint_url": aws.url, **asked_once},
        "kubernetes": {"type": "kubernetes", "auth": "kubeconfig", **cluster},
        "file": {"type": "file"},
    }


@pytest.fixture
def stores(tmp_path: Path, watch: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """Run a PVE and all stores, with one credential that goes to each of them."""
    forget_aws(monkeypatch, tmp_path)
    with ExitStack() as stack:
        vault = stack.enter_context(simulated(tmp_path))
        vault.mount(name="kv")
        aws = stack.enter_context(SimulatedAws())
        aws_lab = stack.enter_context(lab_at(aws.url))
        cluster = stack.enter_context(SimulatedKubernetes())
        kubernetes = KubernetesLab(cluster, tmp_path)
        command = Lab(tmp_path, Time(), watch)
        stack.callback(command.add_cluster("one").close)
        made = Stores(command, vault, vault.server, aws, aws_lab, cluster, kubernetes)
        made.file.mkdir(mode=0o700)
        command.extra["backends"] = settings(vault, aws, kubernetes)
        places = [
            {"backend": "vault", "mount": "kv", "path": "ci"},
            {"backend": "aws", "secret_id": made.secret_id, "preset": "proxmoxer"},
            {"backend": "kubernetes", "name": "proxmox-csi", "preset": "proxmox-csi"},
            {"backend": "file", "path": str(made.file / "bpg.env"), "preset": "bpg"},
        ]
        command.add("ci", destination=None, destinations=places, **DAYS)
        del command.credentials[0]["destination"]
        command.write()
        yield made


def test_one_token_is_shown_everywhere_to_each_in_its_own_words(stores: Stores) -> None:
    """Four stores, four shapes, one token, which logs in; and once everything is there, nothing is to do."""
    shown = stores.issued()
    assert len(set(shown.values())) == 1
    assert stores.works("vault")
    assert only(stores.command.json("due")["results"])["reason"] == "up-to-date"
    assert stores.command.call("verify").exit_code == 0


def test_a_rotation_reaches_all_stores_and_the_old_token_ends_after_its_overlap(stores: Stores) -> None:
    """Whoever read the old one may use it until then, and nobody after that."""
    old = stores.issued()["vault"]
    stores.command.time.pass_by(days=30)
    assert stores.command.call("due").exit_code == 0
    assert {stores.shown(store) for store in EVERYWHERE} == {stores.shown("vault")} != {old}
    assert all(stores.works(store) for store in EVERYWHERE)
    assert stores.command.pve.accepts(*old)
    stores.command.time.pass_by(hours=25)
    assert stores.command.call("due").exit_code == 0
    assert all(stores.works(store) for store in EVERYWHERE)
    assert not stores.command.pve.accepts(*old)
    assert stores.command.tokens() == ["ci-2"]


@pytest.mark.parametrize("down", MIRRORS)
def test_a_mirror_that_goes_down_delays_the_retirement_and_no_consumer(stores: Stores, down: str) -> None:
    """However long it takes: all consumers log in, those of the mirror with the old token, until it is back."""
    old = stores.issued()[down]
    stores.command.time.pass_by(days=30)
    stores.take_down_at_the_issue(down)
    reachable = [store for store in EVERYWHERE if store != down]
    for _ in range(3):
        assert stores.command.call("due").exit_code == 4
        assert stores.shown("vault") != old
        assert all(stores.works(store) for store in reachable)
        assert stores.command.pve.accepts(*old)
        stores.command.time.pass_by(hours=25)
    stores.bring_back(down)
    result = stores.command.call("due")
    assert result.exit_code == 0, result.output
    assert stores.shown(down) == stores.shown("vault")
    assert all(stores.works(store) for store in EVERYWHERE)
    stores.command.time.pass_by(hours=25)
    assert stores.command.call("due").exit_code == 0
    assert stores.command.tokens() == ["ci-2"]
    assert all(stores.works(store) for store in EVERYWHERE)


@pytest.mark.parametrize("down", MIRRORS)
def test_while_a_mirror_is_down_no_rotation_begins(stores: Stores, down: str) -> None:
    """It is noticed before PVE is touched; the consumers of all stores go on, and the run after it is back rotates."""
    shown = stores.issued()
    stores.command.time.pass_by(days=30)
    stores.take_down(down)
    assert stores.command.call("due").exit_code == 4
    assert stores.command.tokens() == ["ci-1"]
    assert stores.command.pve.accepts(*shown[down])
    stores.bring_back(down)
    assert stores.command.call("due").exit_code == 0
    assert stores.command.tokens() == ["ci-1", "ci-2"]
    assert all(stores.works(store) for store in EVERYWHERE)


def test_without_the_primary_nothing_is_issued(stores: Stores) -> None:
    """What it holds decides; the mirrors are not asked instead, and all consumers go on."""
    stores.issued()
    stores.command.time.pass_by(days=30)
    stores.take_down("vault")
    assert stores.command.call("due").exit_code == 4
    assert stores.command.tokens() == ["ci-1"]
    assert all(stores.works(store) for store in MIRRORS)
    stores.bring_back("vault")
    assert stores.command.call("due").exit_code == 0
    assert all(stores.works(store) for store in EVERYWHERE)


@pytest.mark.parametrize("down", MIRRORS)
def test_a_leak_ends_although_a_mirror_is_down_and_that_is_named(stores: Stores, down: str) -> None:
    """Exit code 5 until it is back, because its consumers are locked out; those of the primary are not."""
    old = stores.issued()[down]
    stores.take_down(down)
    result = stores.command.json("now", "ci", "--compromised")
    assert result["exit_code"] == 5
    place = {"aws": stores.secret_id, "kubernetes": "proxmox-csi", "file": "bpg.env"}[down]
    message = only(result["results"])["message"]
    assert place in message
    assert "revoked as compromised" in message
    assert not stores.command.pve.accepts(*old)
    assert all(stores.works(store) for store in EVERYWHERE if store != down)
    stores.bring_back(down)
    assert stores.command.call("due").exit_code == 0
    assert all(stores.works(store) for store in EVERYWHERE)


@pytest.mark.parametrize("store", EVERYWHERE)
def test_the_operator_is_read_from_any_store_and_rotated_there(stores: Stores, store: str) -> None:
    """Each run logs in with what the record holds at that time, also after its own rotation."""
    command = stores.command
    record = stores.keep(store, token_id="op@pve!rot", token_secret=command.environ.popitem()[1])
    command.operators["one"] = record
    command.add("operator", user="op@pve", destination=record, operator=True, adopt=True, **DAYS)
    result = command.call("now", "operator")
    assert result.exit_code == 0, result.output
    fields = stores.kept(store)
    command.watch(fields["token_secret"])
    assert fields["token_id"].startswith("op@pve!operator-1-")
    command.pve.delete_token("op@pve!rot")
    stores.issued()
    assert all(stores.works(it) for it in EVERYWHERE)


@pytest.mark.parametrize("store", EVERYWHERE)
def test_a_single_secret_is_read_from_any_store(stores: Stores, store: str) -> None:
    """Under any key of any record; nothing else of the record is looked at, and nothing is written there."""
    command = stores.command
    fields = {"it": command.environ.popitem()[1], "token_id": "not a token"}
    reference = {**stores.keep(store, **fields), "key": "it"}
    command.operators["one"] = {"token_id": "op@pve!rot", "token_secret": reference}
    command.write()
    stores.issued()
    assert stores.kept(store) == fields


def test_an_operator_whose_store_is_down_stops_the_run_and_no_consumer(stores: Stores) -> None:
    """Nobody can log in to PVE; that is said with the name of the store's record, and nothing changes."""
    command = stores.command
    reference = {**stores.keep("aws", it=command.environ.popitem()[1]), "key": "it"}
    command.operators["one"] = {"token_id": "op@pve!rot", "token_secret": reference}
    command.write()
    stores.issued()
    command.time.pass_by(days=30)
    stores.take_down("aws")
    result = command.call("due")
    assert result.exit_code == 4
    assert f"aws:{REGION}/{stores.secret_id}-kept" in "".join(result.output.split())
    stores.bring_back("aws")
    assert command.tokens() == ["ci-1"]
    assert all(stores.works(store) for store in EVERYWHERE)
