"""A whole rotation by the command line, from a simulated PVE into Vault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rotator.model import Secret
from rotator_backends.vault_kv import VaultLocation
from tests.cli.lab import Lab as CommandLab
from tests.cli.lab import Time
from tests.vault.lab import Lab, named

DOCUMENTED = 'path "{mount}/data/ci" {{ capabilities = ["create", "update", "read"] }}'


@pytest.fixture
def command(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[CommandLab]:
    """Give a simulated PVE and the command line."""
    made = CommandLab(tmp_path, Time(), watch)
    made.add_cluster("one")
    yield made
    made.pve.close()


def configured(command: CommandLab, lab: Lab, auth: dict[str, Any], **settings: Any) -> VaultLocation:  # noqa: ANN401 - any setting
    """Configure a credential whose record goes to a mount of its own."""
    mount = lab.mount(version=1 if settings.get("kv_version") == 1 else 2)
    policy = lab.policy(DOCUMENTED.format(mount=mount))
    lab.admin().auth.approle.create_or_update_approle("ci", token_policies=[policy], mount_point=auth["mount"])
    command.extra["backends"] = {"store": {"type": "vault", **lab.settings(auth=auth), **settings}}
    command.add("ci", destination={"backend": "store", "mount": mount, "path": "ci"})
    return VaultLocation(mount, "ci")


@pytest.fixture
def auth(lab: Lab) -> dict[str, Any]:
    """Enable AppRole, and return the settings of a login."""
    mount = named("approle")
    lab.admin().sys.enable_auth_method("approle", path=mount)
    role = lab.admin().auth.approle
    role.create_or_update_approle("ci", mount_point=mount)
    role_id = Secret(role.read_role_id("ci", mount_point=mount)["data"]["role_id"])
    secret_id = Secret(role.generate_secret_id("ci", mount_point=mount)["data"]["secret_id"])
    references = {"role_id": lab.written(role_id), "secret_id": lab.written(secret_id)}
    return {"method": "approle", "mount": mount, **references}


def test_a_token_is_issued_into_vault_and_rotated_there(
    command: CommandLab, lab: Lab, auth: dict[str, Any], watch: Callable[[str], None]
) -> None:
    """With the documented policy: what is stored logs in at PVE, before and after, and is the newest version."""
    place = configured(command, lab, auth)
    for number in (1, 2):
        result = command.call("now", "ci")
        assert result.exit_code == 0, result.output
        found = lab.raw(place)
        watch(found["data"]["token_secret"])
        assert command.pve.accepts(found["data"]["token_id"], found["data"]["token_secret"])
        assert found["data"]["token_id"].startswith(f"svc@pve!ci-{number}-")
    assert command.call("verify").exit_code == 0


def test_version_one_must_be_asked_for(command: CommandLab, lab: Lab, auth: dict[str, Any]) -> None:
    """It has no compare-and-set, which has to be accepted by name."""
    configured(command, lab, auth, kv_version=1)
    result = command.call("config", "check")
    assert result.exit_code == 3
    assert "this store has no compare-and-set" in result.output
    assert "single_writer: true" in result.output


def test_version_one_rotates_and_the_plan_says_what_that_costs(
    command: CommandLab, lab: Lab, auth: dict[str, Any], watch: Callable[[str], None]
) -> None:
    """Once it is accepted that nothing else writes there; what is stored logs in."""
    place = configured(command, lab, auth, kv_version=1, single_writer=True)
    policy = lab.policy(f'path "{place.mount}/ci" {{ capabilities = ["create", "update", "read"] }}')
    lab.admin().auth.approle.create_or_update_approle("ci", token_policies=[policy], mount_point=auth["mount"])
    told = " ".join(command.call("plan", "ci").output.split())
    assert f"{place.mount}/ci: its store has no compare-and-set; with `single_writer: true` you answer for it" in told
    for number in (1, 2):
        assert command.call("now", "ci").exit_code == 0
        found = lab.admin().secrets.kv.v1.read_secret("ci", mount_point=place.mount)["data"]
        watch(found["token_secret"])
        assert found["token_id"].startswith(f"svc@pve!ci-{number}-")
        assert command.pve.accepts(found["token_id"], found["token_secret"])


def test_what_is_missing_in_the_policy_is_told_before_pve_is_touched(
    command: CommandLab, lab: Lab, auth: dict[str, Any]
) -> None:
    """A rotation stops at its preflight, and no token was issued."""
    place = configured(command, lab, auth)
    denying = lab.policy(f'path "{place.mount}/data/ci" {{ capabilities = ["read"] }}')
    lab.admin().auth.approle.create_or_update_approle("ci", token_policies=[denying], mount_point=auth["mount"])
    result = command.call("now", "ci")
    assert result.exit_code == 4
    assert f"our token lacks create on {place.mount}/data/ci" in " ".join(result.output.split())
    assert command.pve.tokens("svc@pve") == []
