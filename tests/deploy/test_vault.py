"""The policies in ``deploy/vault`` are enough for rotations and for consumers, and nothing in them can be left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import hvac
import pytest

from rotator.errors import ExitCode, RotatorError
from rotator.model import Secret
from rotator_backends.vault_kv import VaultLocation
from tests.cli.lab import USER, Lab, Time
from tests.deploy.vault_policies import CONSUMER, METADATA, ROTATOR, Rules, adapted, rules, weaker, written
from tests.docs.pages import blocks
from tests.vault.lab import VARIABLES, Simulated, simulated

RECORDS = ("pve/ci", "pve/mirror")


class Office:
    """A PVE, a Vault that holds its operator, and a credential with a mirror."""

    def __init__(self, lab: Lab, sim: Simulated) -> None:
        self.lab, self.sim = lab, sim
        token = {"token_id": lab.operators["one"]["token_id"], "token_secret": next(iter(lab.environ.values()))}
        sim.admin().secrets.kv.v2.create_or_update_secret("pve/operator", token, mount_point="secret")
        lab.operators["one"] = {"backend": "vault", "mount": "secret", "path": "pve/operator"}

    def configure(self, policy: Rules, **settings: object) -> None:
        """Let the rotator log in as an AppRole with a policy, and with nothing else."""
        admin = self.sim.admin()
        admin.sys.enable_auth_method("approle")
        role = admin.auth.approle
        policies = [self.sim.policy(written(policy))]
        role.create_or_update_approle("rotate", token_policies=policies, token_no_default_policy=True)
        secret_id = Secret(role.generate_secret_id("rotate")["data"]["secret_id"])
        auth = {
            "method": "approle",
            "role_id": role.read_role_id("rotate")["data"]["role_id"],
            "secret_id": self.sim.written(secret_id),
        }
        backend = {"type": "vault", "address": self.sim.address, "ca": str(self.sim.ca), "auth": auth, **settings}
        self.lab.extra = {"backends": {"vault": backend}}
        places = [{"backend": "vault", "mount": "secret", "path": path} for path in RECORDS]
        usual = {"name": "ci", "cluster": "one", "user": USER, "privsep": False}
        self.lab.credentials.append({**usual, "every": "30d", "overlap": "1h", "destinations": places})
        self.lab.write()

    def rotate(self) -> list[int]:
        """Issue the first token, replace it when it is due, and revoke it; returns the exit codes."""
        codes = []
        for days in (0, 31, 1):
            self.lab.time.pass_by(days=days)
            codes.append(self.lab.call("due").exit_code)
        return codes

    def record(self, path: str) -> dict[str, str]:
        """Read a record as an administrator does."""
        found: dict[str, str] = self.sim.admin().secrets.kv.v2.read_secret_version(
            path, mount_point="secret", raise_on_deleted_version=False
        )["data"]["data"]
        self.lab.watch(found["token_secret"])
        return found


@pytest.fixture
def office(tmp_path: Path, watch: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """Open one."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    lab = Lab(tmp_path, Time(), watch)
    lab.add_cluster("one")
    with simulated(tmp_path) as sim:
        yield Office(lab, sim)
    for pve in lab.clusters.values():
        pve.close()


KINDS = {
    "plain": (ROTATOR, {}),
    "metadata": (ROTATOR + METADATA, {"metadata": True}),
}


def needed(policy: Rules) -> Rules:
    """Adapt a policy to the records of the office."""
    return adapted(policy, mount="secret", records=RECORDS, operators=["pve/operator"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_rotator_s_policy_is_enough(office: Office, kind: str) -> None:
    """For the first token, its replacement and its end, with a mirror, and with the operator in Vault."""
    policy, settings = KINDS[kind]
    office.configure(needed(policy), **settings)
    assert office.rotate() == [0, 0, 0]
    records = [office.record(path) for path in RECORDS]
    assert records[0] == records[1]
    assert office.lab.tokens() == ["ci-2"]
    assert office.lab.pve.accepts(records[0]["token_id"], records[0]["token_secret"])


WEAKER = [
    pytest.param(policy, KINDS[kind][1], id=f"{kind} without {what}")
    for kind, whole in (("plain", needed(ROTATOR)), ("metadata", needed(ROTATOR + METADATA)))
    for what, policy in weaker(whole)
    if kind == "plain" or "metadata" in what
]


@pytest.mark.parametrize(("policy", "settings"), WEAKER)
def test_nothing_of_the_rotator_s_policy_can_be_left_out(
    office: Office, policy: Rules, settings: dict[str, object]
) -> None:
    """Whatever is taken away is missed at the latest when the first token is replaced."""
    office.configure(policy, **settings)
    codes = office.rotate()
    assert ExitCode.FAILED in codes[:2]
    assert set(codes) <= {ExitCode.DONE, ExitCode.FAILED}


def consumer(sim: Simulated, policy: Rules) -> hvac.Client:
    """Log in as a consumer who has a policy and nothing else."""
    token = sim.token(sim.policy(written(policy)), no_default_policy=True)
    return hvac.Client(url=sim.address, token=token.reveal(), verify=str(sim.ca))


def test_the_consumer_s_policy_is_enough_and_no_more(office: Office) -> None:
    """It reads its own record, and neither changes it nor reads another one, its versions or its neighbours' names."""
    office.configure(needed(ROTATOR))
    assert office.rotate()[0] == 0
    kv = consumer(office.sim, CONSUMER).secrets.kv.v2
    read = kv.read_secret_version("pve/ci", mount_point="secret", raise_on_deleted_version=False)
    assert read["data"]["data"] == office.record("pve/ci")
    forbidden: list[Callable[[], object]] = [
        lambda: kv.read_secret_version("pve/operator", mount_point="secret", raise_on_deleted_version=False),
        lambda: kv.read_secret_version("pve/mirror", mount_point="secret", raise_on_deleted_version=False),
        lambda: kv.create_or_update_secret("pve/ci", {"token_id": "x"}, mount_point="secret"),
        lambda: kv.list_secrets("pve", mount_point="secret"),
        lambda: kv.read_secret_metadata("pve/ci", mount_point="secret"),
    ]
    for attempt in forbidden:
        with pytest.raises(hvac.exceptions.Forbidden):
            attempt()


def test_nothing_of_the_consumer_s_policy_can_be_left_out(office: Office) -> None:
    """Without its one line it reads nothing."""
    office.configure(needed(ROTATOR))
    assert office.rotate()[0] == 0
    (left,) = [policy for _, policy in weaker(CONSUMER)]
    with pytest.raises(hvac.exceptions.Forbidden):
        consumer(office.sim, (*left, ("secret/data/other", ("read",)))).secrets.kv.v2.read_secret_version(
            "pve/ci", mount_point="secret", raise_on_deleted_version=False
        )


def test_the_rotator_touches_nothing_else(office: Office) -> None:
    """Neither another record nor the operator's, not to delete one, and no policy."""
    office.configure(needed(ROTATOR))
    backend = office.sim.as_token(office.sim.token(office.sim.policy(written(needed(ROTATOR)))))
    fields = {"token_id": Secret("ci@pve!ci-1-abcde"), "token_secret": Secret("a-secret-of-the-record")}
    for path in ("pve/operator", "pve/other"):
        with pytest.raises(RotatorError):
            backend.write(VaultLocation("secret", path), fields, expected=None)
    client = consumer(office.sim, needed(ROTATOR))
    with pytest.raises(hvac.exceptions.Forbidden):
        client.secrets.kv.v2.delete_metadata_and_all_versions("pve/ci", mount_point="secret")
    with pytest.raises(hvac.exceptions.Forbidden):
        client.sys.create_or_update_acl_policy("rotate", 'path "*" { capabilities = ["read"] }')


def hcl(page: str) -> list[Rules]:
    """List the policies of a page."""
    return [found for block in blocks(page) if block.language == "hcl" and (found := rules(block.text))]


def test_the_pages_show_the_same_policies() -> None:
    """The guide to the letter, the page of the backend for a record of another name."""
    assert hcl("guides/vault.md")[:2] == [ROTATOR, CONSUMER]

    def of_the_page(policy: Rules) -> Rules:
        return tuple((re.sub("/pve/ci$", "/ci", path), held) for path, held in policy if "operator" not in path)

    assert hcl("backends/vault.md")[:2] == [of_the_page(ROTATOR), of_the_page(METADATA)]
