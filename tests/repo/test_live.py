"""The tests against real stores are run where there are some, and say so where there are none."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.live import STORES
from tests.repo.tree import ROOT, read

TOKEN, PROGRAM = "ROTATE_TEST_VAULT_TOKEN", "ROTATE_TEST_TERRAFORM"
VARIABLES = [name for store in STORES for group in store.variables for name in group]


def live(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run what ``make test-live`` runs, with these variables and no others that count."""
    environ = {**{name: value for name, value in os.environ.items() if name not in VARIABLES}, **variables}
    command = [sys.executable, "-m", "tests.live", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - ours


def test_without_a_store_nothing_is_run() -> None:
    """Exit code 2, and a line for each store with what is missing: green would be a lie."""
    done = live()
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "Vault or OpenBao: not tested, VAULT_ADDR or BAO_ADDR and ROTATE_TEST_VAULT_TOKEN not set",
        f"Terraform's module for Vault: not tested, VAULT_ADDR or BAO_ADDR and {TOKEN} and {PROGRAM} not set",
        "AWS Secrets Manager: not tested, ROTATE_TEST_AWS_ENDPOINT not set",
        "Kubernetes: not tested, ROTATE_TEST_KUBECONFIG not set",
    ]
    assert "no real store" in done.stderr


def test_an_address_without_a_token_is_not_enough() -> None:
    """What is half there is not tested, and the half that is missing is named."""
    done = live(BAO_ADDR="http://127.0.0.1:1")
    assert done.returncode == 2
    assert "Vault or OpenBao: not tested, ROTATE_TEST_VAULT_TOKEN not set\n" in done.stdout


def test_only_the_variants_with_a_real_store_are_run() -> None:
    """Of the store that is there; the simulated ones and the other stores are left to ``make test``."""
    endpoint = "http://127.0.0.1:1"
    done = live("--collect-only", ROTATE_TEST_AWS_ENDPOINT=endpoint)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "AWS Secrets Manager: tested\n" in done.stdout
    collected = [line for line in done.stdout.splitlines() if "::" in line]
    assert collected
    assert all(line.startswith("tests/contract/test_aws.py::") and endpoint in line for line in collected)


def test_a_token_is_not_shown() -> None:
    """A variable is told by its name alone."""
    done = live("--collect-only", VAULT_ADDR="http://127.0.0.1:1", ROTATE_TEST_VAULT_TOKEN="a-token-nobody-sees")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[live" in done.stdout
    assert "a-token-nobody-sees" not in done.stdout + done.stderr


def test_each_variable_is_explained() -> None:
    """Who wants to set them finds them in one table."""
    text = read("CONTRIBUTING.md")
    assert [name for name in VARIABLES if f"`{name}`" not in text] == []
