"""The page on what can be deployed leads to every folder, and begins each with a command that stands there."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, read
from tests.docs.stages import shells

INDEX = "deploy/README.md"
ROWS = re.findall(r"^\| \[(\w+)\]\(\1/README\.md\) \|.*\| `(.+)` \|$", read(INDEX), re.MULTILINE)
FOLDERS = sorted(path.parent.name for path in ROOT.glob("deploy/*/README.md"))


def test_every_folder_is_on_the_page() -> None:
    """Once, and the README leads to the page."""
    assert sorted(name for name, _ in ROWS) == FOLDERS
    assert "(deploy/README.md)" in read("README.md")


@pytest.mark.parametrize(("folder", "command"), ROWS, ids=[name for name, _ in ROWS])
def test_the_command_to_begin_with_stands_on_its_page(folder: str, command: str) -> None:
    """Where a test types it."""
    lines = [line for block in shells(f"deploy/{folder}/README.md") for line in block.text.splitlines()]
    assert command.replace(r"\|", "|") in lines
