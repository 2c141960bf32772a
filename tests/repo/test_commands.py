"""The documents and the command line agree, and asking for help costs little."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from rotator.advice.exits import EXITS
from rotator.cli import main as entry
from tests.repo.tree import markdown, read

HEAVY = (
    *("boto3", "cryptography", "hvac", "kubernetes", "proxmoxer", "requests", "rotator_backends"),
    *("apscheduler", "cheroot", "prometheus_client", "structlog"),
)
STARTED = """
import contextlib, io, json, sys
from rotator.cli.main import main
sys.argv = ["rotate", *{arguments}]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main()
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""

ROOT_COMMAND: click.Group = entry.rotate


def told(document: str) -> Iterator[str]:
    """Yield each command line, from the word after ``rotate`` on, that a document tells to type."""
    text = read(document)
    blocks = "\n".join(re.findall(r"^ *```.*\n((?:.*\n)*?) *```", text, flags=re.MULTILINE))
    yield from re.findall(r"^\s*(?:\$ )?(?:\S+=\S+ )*rotate +([a-z-].*)$", blocks, flags=re.MULTILINE)
    yield from (" ".join(line.split()) for line in re.findall(r"`rotate\s+([a-z-][^`]*)`", text))


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield all commands below a group with the words that call them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        elif command:
            yield f"{path}{name}", command


COMMANDS = dict(commands(ROOT_COMMAND))


def option(command: click.Command, word: str) -> click.Parameter | None:
    """Find the option of a command that a word stands for."""
    known = (parameter for parameter in command.params if word in (*parameter.opts, *parameter.secondary_opts))
    return next(known, None)


def fault(line: str) -> str:
    """Say why a command line cannot be typed, '' when it can. What a shell does with its output is left out."""
    command: click.Command = ROOT_COMMAND
    words = iter(re.split(r"\s[|>#&]|;", f"{line} ")[0].replace("[", " ").replace("]", " ").split())
    for word in words:
        if word.startswith("--") and word != "--help":
            found = option(command, word.partition("=")[0])
            if found is None:
                return f"no such option: {word}"
            if isinstance(found, click.Option) and not found.is_flag and "=" not in word:
                next(words, None)
        elif isinstance(command, click.Group) and not word.startswith("-"):
            if (inner := command.get_command(click.Context(command), word)) is None:
                return f"no such command: {word}"
            command = inner
    return ""


@pytest.mark.parametrize("document", markdown())
def test_every_command_in_a_document_can_be_typed(document: str) -> None:
    """Commands and options that a document shows exist."""
    assert {line: why for line in told(document) if (why := fault(line))} == {}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("demo", ""),
        ("config check", ""),
        ("now ci --overlap 0", ""),
        ("--help", ""),
        ("demo --frobnicate", "no such option: --frobnicate"),
        ("frobnicate", "no such command: frobnicate"),
    ],
)
def test_a_wrong_command_is_noticed(line: str, why: str) -> None:
    """What is told apart here is told apart in the documents."""
    assert fault(line) == why


def test_the_readme_shows_every_command() -> None:
    """What can be done is found on the front page."""
    shown = [f"{line} " for line in told("README.md")]
    assert [name for name in COMMANDS if not any(line.startswith(f"{name} ") for line in shown)] == []


def test_the_readme_shows_every_exit_code() -> None:
    """A script's author finds on the front page what `rotate explain` knows, in the same order."""
    shown = re.findall(r"^\| (\d+) \|", read("README.md"), flags=re.MULTILINE)
    assert shown == [page.name for page in EXITS]


def test_the_changelog_names_every_command() -> None:
    """A command that is announced nowhere is not released."""
    announced = " ".join(read("CHANGELOG.md").split()).replace("`rotate ", "`")
    assert [name for name in COMMANDS if f"`{name}`" not in announced] == []


def test_every_command_is_called_what_the_list_calls_it() -> None:
    """The list is written without importing the commands, so it could go its own ways."""
    context = click.Context(ROOT_COMMAND)
    listed = ROOT_COMMAND.list_commands(context)
    found = (ROOT_COMMAND.get_command(context, name) for name in listed)
    assert [command.name if command else None for command in found] == listed


def imported(*arguments: str) -> set[str]:
    """Return the top-level packages that a run of the command imports."""
    program = STARTED.format(arguments=list(arguments))
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)  # noqa: S603 - constant
    return set(json.loads(run.stdout))


@pytest.mark.parametrize(
    "arguments", [["--help"], ["now", "--help"], ["due", "--help"], ["serve", "--help"]], ids=" ".join
)
def test_help_imports_no_backend_and_no_library_of_one(arguments: list[str]) -> None:
    """A CronJob starts often: what is not configured costs nothing."""
    assert imported(*arguments).isdisjoint(HEAVY)
