"""A destination that a guide shows by itself works in the place of the one in its configuration."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.docs.bench import Bench
from tests.docs.pages import GUIDES, Block, blocks, commands

FRAGMENTS = [block for page in GUIDES for block in blocks(page) if block.text.startswith("destination:")]


def test_there_is_a_fragment() -> None:
    """The guide for Terraform shows a file of variables."""
    assert [block.page for block in FRAGMENTS] == ["guides/terraform.md"]


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda block: f"{block.page}:{block.line}")
def test_a_destination_that_is_shown_alone_works(bench: Bench, fragment: Block) -> None:
    """It is written, and shows each variable of the block of Terraform that follows it."""
    page = list(blocks(fragment.page))
    whole = next(yaml.safe_load(block.text) for block in page if "credentials:" in block.text)
    whole["credentials"][0] |= yaml.safe_load(fragment.text)
    for command in (it for block in page if block.language == "console" for it in commands(block) if it.is_root):
        bench.type(command)
    bench.configure(yaml.safe_dump(whole))
    said, exit_code = bench.run(["rotate", "now", whole["credentials"][0]["name"]])
    assert exit_code == 0, said
    written = bench.path(whole["credentials"][0]["destination"]["path"]).read_text(encoding="utf-8")
    reader = page[page.index(fragment) + 1]
    assert re.findall(r"(?m)^(\w+) += \"", written) == re.findall(r'variable "(\w+)"', reader.text)
