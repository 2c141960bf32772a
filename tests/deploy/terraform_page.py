"""What the page on Terraform's module tells to type, at a real Vault or OpenBao: ``make test-live`` runs it.

Its name keeps it out of ``make test``, as that of ``terraform_module``, and for the same reason. The example gets what
its names stand for: the public key of a CI system, and Kubernetes' authority.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.deploy.terraform_module import PROGRAM, lab
from tests.deploy.vault_page import beginning, followed, rotates
from tests.system.guides.terminal import Terminal, sitting_at
from tests.vault.lab import Lab

__all__ = ["lab"]
DISCOVERY = 'discovery_url = "https://gitlab.example.com"'


@pytest.fixture
def terminal(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Terminal]:
    """Give a reader who has done at PVE what the README says, and has Terraform."""
    with sitting_at(tmp_path, watch) as made:
        program = made.home / "bin" / "terraform"
        program.write_text(f'#!/bin/sh\nexec {PROGRAM} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        settings = {name: value for name, value in os.environ.items() if name.startswith("TF_")}
        made.variables |= {**settings, "TF_CLI_ARGS_apply": "-auto-approve", "TF_CLI_ARGS_destroy": "-auto-approve"}
        yield made


def fill_in(example: Path) -> None:
    """Put into the example what is there."""
    key = generate_private_key(65537, 2048).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = example.read_text(encoding="utf-8")
    assert DISCOVERY in text
    example.write_text(
        text.replace(DISCOVERY, f"public_keys = [<<-EOT\n{key.decode()}EOT\n  ]").replace(
            "  jwt = {\n    public",
            f"  kubernetes = {{ ca_cert = <<-EOT\n{authority()}EOT\n  }}\n\n  jwt = {{\n    public",
        ),
        encoding="utf-8",
    )


def authority() -> str:
    """Return the certificate of an authority."""
    return trustme.CA().cert_pem.bytes().decode()


def test_the_rotator_rotates_with_what_the_module_leaves(
    terminal: Terminal, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the AppRole of the example, configured as the guide says; what was made goes again."""
    with beginning(terminal, lab, monkeypatch):
        terminal.where /= "example"
        fill_in(terminal.where / "main.tf")
        terminal.keep("vault/example/admin.header", f"X-Vault-Token: {lab.root}\n")
        terminal.variables["VAULT_TOKEN"] = lab.root
        try:
            wrong = [line for block in followed(by_terraform=True) for line in terminal.shell(block)]
            assert wrong == [], "\n".join(wrong)
            rotates(terminal, lab)
        finally:
            exit_code, said = terminal.bash("terraform destroy")
        assert exit_code == 0, said
