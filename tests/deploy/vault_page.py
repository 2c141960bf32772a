"""Where the page on what is deployed at a Vault is followed: its folder, a PVE, and a Vault that was not set up yet."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

import hvac
import pytest

from tests.deploy.vault_policies import FOLDER
from tests.docs.pages import Block, blocks, commands
from tests.docs.stages import shells
from tests.system.guides.terminal import Terminal
from tests.vault.lab import VARIABLES, Lab, Simulated

PAGE = "deploy/vault/README.md"
GUIDE = "guides/vault.md"
POLICIES = ("rotate", "ci")
RECORDS = ("pve/ci", "pve/operator")


def followed(*, by_terraform: bool) -> list[Block]:
    """List the shells of the page: those with Terraform, or the others."""
    return [block for block in shells(PAGE) if ("terraform " in block.text) is by_terraform]


@contextlib.contextmanager
def beginning(terminal: Terminal, lab: Lab, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be in a copy of the folder, with an administrator's login; of what the page makes there nothing is left."""
    for variable in VARIABLES:
        patch.delenv(variable, raising=False)
    terminal.names["https://vault.lan:8200"] = lab.address
    terminal.keep("/etc/rotate/vault-ca.pem", lab.ca.read_text(encoding="utf-8") if lab.ca else "")
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*")
    terminal.where = shutil.copytree(FOLDER, terminal.home / "vault", ignore=ignored)
    yield
    if not isinstance(lab, Simulated):
        clean(lab)


def clean(lab: Lab) -> None:
    """Take away what the page has made."""
    admin = lab.admin()
    for policy in POLICIES:
        admin.sys.delete_policy(policy)
    for record in RECORDS:
        admin.secrets.kv.v2.delete_metadata_and_all_versions(record, mount_point="secret")
    admin.sys.disable_auth_method("approle")


def rotates(terminal: Terminal, lab: Lab) -> None:
    """Rotate with what the page has left, as the guide configures it; a consumer reads what was stored."""
    admin = lab.admin()
    admin.secrets.kv.v2.create_or_update_secret("pve/operator", terminal.operator, mount_point="secret")
    terminal.seeds.append(lambda *_: True)
    for block in blocks(GUIDE):
        for command in commands(block) if block.language == "console" else ():
            if command.is_root:
                terminal.as_root(command.line)
        if "\ncredentials:" in block.text:
            terminal.configure(block.text)
    for words in (["rotate", "now", "ci"], ["rotate", "verify"]):
        said, exit_code = terminal.run(words)
        assert exit_code == 0, said
    consumer = hvac.Client(url=lab.address, token=lab.token("ci").reveal(), verify=str(lab.ca) if lab.ca else True)
    read = consumer.secrets.kv.v2.read_secret_version("pve/ci", mount_point="secret", raise_on_deleted_version=False)
    record = read["data"]["data"]
    assert terminal.pve.accepts(record["token_id"], record["token_secret"])
