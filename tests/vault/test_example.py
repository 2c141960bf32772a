"""The configuration in ``backends/vault.md`` was run: from an empty mount to a token that rotates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.model import Secret
from rotator_backends.vault_kv import VaultLocation
from tests.cli.lab import Lab as CommandLab
from tests.cli.lab import Time
from tests.vault.lab import Simulated

DOCUMENT = (Path(__file__).parents[2] / "backends" / "vault.md").read_text()


def blocks(language: str) -> list[str]:
    """Return what the document has in a language."""
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture
def command(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[CommandLab]:
    """Give a simulated PVE and the command line."""
    made = CommandLab(tmp_path, Time(), watch)
    made.add_cluster("one")
    yield made
    made.pve.close()


def set_up(sim: Simulated, *policies: str) -> dict[str, Secret]:
    """Make the role of the example with these policies; returns what its files hold."""
    admin = sim.admin()
    admin.sys.enable_auth_method("approle")
    role = admin.auth.approle
    role.create_or_update_approle("rotate", token_policies=[sim.policy(text) for text in policies])
    return {
        "role_id": Secret(role.read_role_id("rotate")["data"]["role_id"]),
        "secret_id": Secret(role.generate_secret_id("rotate")["data"]["secret_id"]),
    }


@pytest.mark.parametrize("metadata", [False, True])
def test_the_example_runs(sim: Simulated, command: CommandLab, watch: Callable[[str], None], *, metadata: bool) -> None:
    """With the policy beside it; only the address, the certificate and the files with secrets are the test's."""
    store, place = (yaml.safe_load(block) for block in blocks("yaml"))
    policy, of_metadata = blocks("hcl")[:2]
    known = set_up(sim, policy, *([of_metadata] if metadata else []))
    settings: dict[str, Any] = store["backends"]["store"]
    settings |= {"address": sim.address, "ca": str(sim.ca), **({"metadata": True} if metadata else {})}
    settings["auth"] |= {key: sim.written(secret) for key, secret in known.items()}
    command.extra["backends"] = store["backends"]
    command.add("ci", destination=place["destination"])
    for number in (1, 2):
        result = command.call("now", "ci")
        assert result.exit_code == 0, result.output
        found = sim.raw(VaultLocation("secret", "ci"))
        watch(found["data"]["token_secret"])
        assert found["data"]["token_id"].startswith(f"svc@pve!ci-{number}-")
        assert command.pve.accepts(found["data"]["token_id"], found["data"]["token_secret"])
        assert bool(found["metadata"]["custom_metadata"]) is metadata
