"""Every guide is followed from the top: what it tells to type is typed, and prints what it shows."""

from __future__ import annotations

import json

import pytest

from rotator.errors import RefusedError
from rotator.testing.kubernetes_kinds import DEPLOYMENTS
from rotator.testing.refusal import RefusalError
from tests.aws.lab import lab_at
from tests.docs import stores
from tests.docs.bench import Bench
from tests.docs.pages import GUIDES, Command, blocks, commands

WITH_A_STORE = {"guides/vault.md", "guides/aws.md", "guides/kubernetes.md"}
WITH_FILES = sorted(
    page for page in GUIDES if page not in WITH_A_STORE and any(block.language == "console" for block in blocks(page))
)


@pytest.mark.parametrize("page", WITH_FILES)
def test_a_page_about_files_can_be_followed(bench: Bench, page: str) -> None:
    """From a PVE with the operator alone, line by line."""
    wrong = bench.follow(page)
    assert wrong == [], "\n".join(wrong)


def test_the_page_about_vault_can_be_followed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy of the rotator is enough for it; the consumer's lets it read its record, and no more."""
    page = "guides/vault.md"
    with stores.vault(bench, page, monkeypatch) as sim:
        wrong = bench.follow(page)
        assert wrong == [], "\n".join(wrong)
        consumer = sim.as_token(sim.token(sim.policy(stores.of_language(page, "hcl")[1])))
        place, other = (consumer.locate({"path": f"pve/{name}"})[0] for name in ("ci", "operator"))
        record = consumer.read(place)
        assert record
        assert bench.pve.accepts(*(record.fields[key].reveal() for key in ("token_id", "token_secret")))
        with pytest.raises(RefusedError):
            consumer.preflight(place)
        with pytest.raises(RefusedError):
            consumer.read(other)


def test_the_page_about_aws_can_be_followed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rotator's policy is enough, and each of its actions is used; the consumer reads with its own."""
    page = "guides/aws.md"
    with stores.aws(bench, page, monkeypatch) as server, lab_at(server.url) as lab:
        wrong = bench.follow(page)
        assert wrong == [], "\n".join(wrong)
        rotators, consumers = stores.policies(page)
        assert set(server.actions) == stores.allowed(rotators)
        server.policy = consumers
        client = lab.client("eu-central-1")
        record = json.loads(client.get_secret_value(SecretId="pve/ci")["SecretString"])
        assert bench.pve.accepts(record["token_id"], record["token_secret"])
        with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
            client.get_secret_value(SecretId="pve/operator")


def test_the_page_about_kubernetes_can_be_followed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Role is enough, and the workload was restarted once for each of the two rotations."""
    page = "guides/kubernetes.md"
    with stores.kubernetes(bench, page, monkeypatch) as cluster:
        wrong = bench.follow(page)
        assert wrong == [], "\n".join(wrong)
        (controller,) = cluster.store.list(DEPLOYMENTS, "pve")
        assert controller["metadata"]["generation"] == 3


def test_what_is_followed_shows_the_commands_for_looking() -> None:
    """Each guide for a consumer says how to see that it works."""
    looks = {"plan", "due", "verify", "doctor"}
    for page in (*WITH_A_STORE, *(f"guides/{name}.md" for name in ("ansible", "exporters", "terraform"))):
        typed = {it.line.split()[1] for block in blocks(page) for it in commands(block) if not it.is_root}
        assert looks - typed == set(), page


@pytest.mark.parametrize(
    ("line", "shown", "exit_code"),
    [
        ("rotate explain", ("other words",), 0),
        ("rotate explain 401", (), 4),
        ("rotate plan", (), 0),
        ("cat /etc/rotate/nothing", (), 0),
    ],
)
def test_what_does_not_come_as_a_page_says_is_noticed(
    bench: Bench, line: str, shown: tuple[str, ...], exit_code: int
) -> None:
    """Other words, another exit code, a command that fails, a file that is not there."""
    assert bench.type(Command("a page", is_root=False, line=line, shown=shown, exit_code=exit_code)) != []


@pytest.mark.parametrize(
    ("line", "is_root"),
    [("vault status", False), ("pveum frobnicate", True), ("pveum user token delete ci@pve nothing", True)],
)
def test_what_cannot_be_typed_here_does_not_pass_for_typed(bench: Bench, line: str, *, is_root: bool) -> None:
    """Another program, a command that PVE lacks, one that PVE refuses."""
    with pytest.raises((LookupError, RefusalError)):
        bench.type(Command("a page", is_root=is_root, line=line))
