"""Somebody who has read the README up to the operator at PVE, and goes on with a guide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rotator.testing.pve import SimulatedPve
from tests.cli.lab import Time
from tests.docs.bench import Bench
from tests.docs.pages import Command, blocks, commands


def in_the_readme() -> Iterator[Command]:
    """Yield what is typed as root to make the operator: its token is the last of it."""
    for block in blocks("README.md"):
        for command in commands(block) if block.language == "console" else ():
            if command.is_root:
                yield command
                if "token add" in command.line:
                    return


@pytest.fixture
def bench(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Bench]:
    """Set up two nodes as the README says; the rest is the page's."""
    time = Time()
    with SimulatedPve(nodes=2, clock=time.stamp) as pve:
        made = Bench(tmp_path, pve, time, watch)
        for command in in_the_readme():
            made.as_root(command.line)
        yield made
