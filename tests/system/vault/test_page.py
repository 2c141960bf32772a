"""What the page tells to type without Terraform is typed; ``tests/deploy/terraform_page.py`` types the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.vault_page import beginning, followed, rotates
from tests.docs.stages import ELSEWHERE, shells
from tests.system.guides.terminal import Terminal, sitting_at
from tests.vault.lab import PLACES, Lab, opened

PAGE = "deploy/vault/README.md"


@pytest.fixture
def terminal(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Terminal]:
    """Give a reader who has done at PVE what the README says."""
    with sitting_at(tmp_path, watch) as made:
        yield made


@pytest.fixture(params=PLACES)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """Open a Vault."""
    with opened(request.param, tmp_path) as made:
        yield made


def test_the_rotator_rotates_with_what_the_commands_leave(
    terminal: Terminal, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the AppRole and with the policies that they make, configured as the guide says."""
    with beginning(terminal, lab, monkeypatch):
        terminal.keep("vault/admin.header", f"X-Vault-Token: {lab.root}\n")
        wrong = [line for block in followed(by_terraform=False) for line in terminal.shell(block)]
        assert wrong == [], "\n".join(wrong)
        rotates(terminal, lab)


def test_every_command_of_the_page_is_typed_by_one_of_the_two() -> None:
    """A block is one for Terraform or one without it."""
    typed = [*followed(by_terraform=False), *followed(by_terraform=True)]
    assert [block.line for block in typed] == [block.line for block in shells(PAGE)]
    assert PAGE in ELSEWHERE
