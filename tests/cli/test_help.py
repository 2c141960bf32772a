"""The list of commands, their help, and what is loaded for it."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from rotator import __version__
from rotator.cli.main import COMMANDS, rotate
from tests.cli.lab import Lab

NAMES = [name for section in COMMANDS.values() for name in section]
LOADED = """
import json, sys
from rotator.cli.main import rotate
try:
    rotate.main({arguments!r})
except SystemExit as end:
    assert end.code == 0, end.code
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def loaded_by(lab: Lab, *arguments: str) -> set[str]:
    """Return the modules that a command imports, in a process of its own."""
    script = LOADED.format(arguments=arguments)
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", script],
        env={"PATH": "", **lab.environ, "ROTATE_CONFIG": str(lab.config)},
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def commands(group: click.Group, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """List all commands with the words that they are called by."""
    found = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        found += commands(command, (*words, name)) if isinstance(command, click.Group) else [(*words, name)]
    return found


def test_help_lists_every_command_once() -> None:
    """Who types --help sees all that there is."""
    out = CliRunner().invoke(rotate, ["--help"]).stdout
    assert [line.split()[0] for line in out.splitlines() if line[:2] == "  " and line.split()[0] in NAMES] == NAMES


@pytest.mark.parametrize("words", commands(rotate), ids=" ".join)
def test_help_of_a_command_ends_with_an_example(words: tuple[str, ...]) -> None:
    """An example is understood faster than a list of options."""
    result = CliRunner().invoke(rotate, [*words, "--help"])
    assert result.exit_code == 0
    assert f"Example: rotate {' '.join(words)}" in result.stdout or words == ("sim",)


@pytest.mark.parametrize("words", commands(rotate), ids=" ".join)
def test_every_command_has_json(words: tuple[str, ...]) -> None:
    """A script never has to read a table; the simulator prints nothing but JSON, a service has no end to tell."""
    assert "--json" in CliRunner().invoke(rotate, [*words, "--help"]).stdout or words in {("sim",), ("serve",)}


def test_version_is_told() -> None:
    """A report of a bug begins with it."""
    assert CliRunner().invoke(rotate, ["--version"]).stdout == f"rotate, version {__version__}\n"


def test_help_loads_no_library_but_click(lab: Lab) -> None:
    """It answers at once: what the commands need is loaded when they are called."""
    loaded = loaded_by(lab, "--help")
    assert loaded.isdisjoint(
        {"requests", "pydantic", "yaml", "rich", "proxmoxer", "cryptography", "trustme", "cronsim"}
    )
    assert {name for name in loaded if name.startswith("rotator.")} == {
        "rotator.cli",
        "rotator.cli.main",
        "rotator.cli.memory",
        "rotator.cli.streams",
        "rotator.errors",
    }


def test_due_with_nothing_due_loads_no_store_that_is_not_configured(lab: Lab) -> None:
    """The libraries of the stores are large; who keeps records in files does not wait for them."""
    lab.add("ci")
    assert lab.call("due").exit_code == 0
    loaded = loaded_by(lab, "due")
    assert "rotator_backends.file" in loaded
    assert loaded.isdisjoint({"hvac", "boto3", "botocore", "kubernetes", "rich", "cryptography", "trustme"})


def test_a_command_that_is_not_there_is_a_wrong_usage() -> None:
    """A typing error is told as such."""
    result = CliRunner().invoke(rotate, ["nwo"])
    assert result.exit_code == 2
    assert "No such command 'nwo'" in result.stderr
