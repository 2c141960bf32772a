"""Run the tests that can be run against real stores, against those that the environment names: ``make test-live``.

What is given behind it goes to pytest. Only the live variants are run; ``make test`` runs the simulated ones.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click
import pytest

NOTHING_TO_DO = 2


@dataclass(frozen=True, slots=True)
class Store:
    """A kind of store, the variables that lead to a real one (of each group one is enough), and its tests."""

    name: str
    variables: tuple[tuple[str, ...], ...]
    tests: tuple[str, ...]

    def missing(self, environ: Mapping[str, str]) -> list[str]:
        """List what is not set, for people."""
        return [" or ".join(group) for group in self.variables if not any(environ.get(name) for name in group)]


STORES = (
    Store(
        "Vault or OpenBao",
        (("VAULT_ADDR", "BAO_ADDR"), ("ROTATE_TEST_VAULT_TOKEN",)),
        ("tests/contract/test_vault.py", "tests/vault"),
    ),
    Store(
        "Terraform's module for Vault",
        (("VAULT_ADDR", "BAO_ADDR"), ("ROTATE_TEST_VAULT_TOKEN",), ("ROTATE_TEST_TERRAFORM",)),
        ("tests/deploy/terraform_module.py", "tests/deploy/terraform_page.py", "tests/system/vault/test_page.py"),
    ),
    Store("AWS Secrets Manager", (("ROTATE_TEST_AWS_ENDPOINT",),), ("tests/contract/test_aws.py",)),
    Store(
        "Kubernetes",
        (("ROTATE_TEST_KUBECONFIG",),),
        ("tests/contract/test_kubernetes.py", "tests/kubernetes_secret", "tests/system/kubernetes/test_rbac.py"),
    ),
)


class OnlyLive:
    """Leaves the variants out that need no real store."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._live = {"live", environ.get("ROTATE_TEST_AWS_ENDPOINT")}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep what has a parameter that stands for a real store."""
        left_out = [item for item in items if not self._is_live(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if self._is_live(item)]

    def _is_live(self, item: pytest.Item) -> bool:
        parameters = (
            item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
        )
        return any(isinstance(it, str) and it in self._live for it in parameters)


def main(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Say which stores are there, and test those; returns pytest's exit code, or 2 where there is none."""
    there = [store for store in STORES if not store.missing(environ)]
    for store in STORES:
        missing = store.missing(environ)
        click.echo(f"{store.name}: " + (f"not tested, {' and '.join(missing)} not set" if missing else "tested"))
    if not there:
        click.echo("there is no real store to test; CONTRIBUTING.md says what the variables mean", err=True)
        return NOTHING_TO_DO
    paths = [path for store in there for path in store.tests]
    return int(pytest.main(["-q", *arguments, *paths], plugins=[OnlyLive(environ)]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
