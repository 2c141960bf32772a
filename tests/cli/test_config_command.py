"""``rotate config check``, ``rotate config schema`` and ``rotate completion``."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from rotator import config
from tests.cli.lab import Lab, only


def test_check_counts_what_it_found_well(lab: Lab) -> None:
    """And contacts nobody."""
    lab.add("ci")
    lab.add("backup", paused=True)
    result = lab.call("config", "check")
    assert result.exit_code == 0
    assert result.stdout == f"{lab.config}: valid; 1 cluster, 2 credentials, 1 of them paused\n"
    assert lab.pve.calls == []
    checked = only(lab.json("config", "check")["results"])
    assert (checked["owner"], checked["clusters"], checked["credentials"], checked["paused"]) == ("lab", 1, 2, 1)


def test_check_tells_all_problems_with_their_places(lab: Lab) -> None:
    """As compilers do: file, line, column, key, what is wrong, what to write; exit code 3."""
    lab.add("ci", every="thirty days", overlp="1h")
    result = lab.call("config", "check")
    assert result.exit_code == 3
    heads = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    lines = lab.config.read_text(encoding="utf-8").splitlines()
    for head in heads:
        path, line, column, key, _ = head.split(":", 4)
        assert path == str(lab.config)
        assert key.rpartition(".")[2].strip() in {"every", "credentials[ci]"}
        assert lines[int(line) - 1][int(column) - 1 :].startswith(("every", "overlp"))
    assert len(heads) == 2
    assert "    did you mean 'overlap'?" in result.stdout


def test_check_tells_a_script_the_same(lab: Lab) -> None:
    """As errors of the document, which every command has."""
    lab.add("ci", every="thirty days")
    for command in (("config", "check"), ("due",), ("status",)):
        found = lab.json(*command)
        assert (found["exit_code"], found["results"]) == (3, [])
        fault = only(found["errors"])
        assert (fault["path"], fault["key"]) == (str(lab.config), "credentials[ci].every")
        assert fault["line"] > 0


def test_every_command_tells_people_of_a_faulty_configuration(lab: Lab) -> None:
    """On stderr, with nothing on stdout, and nobody was contacted."""
    lab.add("ci", every="thirty days")
    for command in (("due",), ("now", "ci"), ("plan",), ("status",), ("verify",), ("adopt", "ci", "--yes")):
        result = lab.call(*command)
        assert (result.exit_code, result.stdout) == (3, "")
        assert "nothing was contacted" in result.stderr
        assert "    do: " in result.stderr
    assert lab.pve.calls == []


def test_a_variable_that_is_not_set_is_told_by_its_name(lab: Lab) -> None:
    """The commonest mistake in a container."""
    lab.add("ci")
    lab.environ.clear()
    result = lab.call("due")
    assert result.exit_code == 3
    assert "ROTATE_TEST_OPERATOR_ONE is not set" in result.stderr


def test_schema_is_json_as_it_is(lab: Lab) -> None:
    """An editor takes it without anything around it."""
    assert json.loads(lab.call("config", "schema").stdout) == config.schema()
    assert only(lab.json("config", "schema")["results"])["json_schema"] == config.schema()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(lab: Lab, shell: str) -> None:
    """It asks rotate itself what can be completed."""
    script = lab.call("completion", shell).stdout
    assert "_ROTATE_COMPLETE" in script
    assert only(lab.json("completion", shell)["results"])["script"].strip() == script.strip()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("rotate now c", ["ci", "cron"]),
        ("rotate due cr", ["cron"]),
        ("rotate pl", ["plan"]),
        ("rotate config c", ["check"]),
        ("rotate pause x", []),
    ],
)
def test_names_complete_from_the_configuration(lab: Lab, typed: str, completed: list[str]) -> None:
    """Also while the rest of it is faulty: it is being edited, after all."""
    for name in ("ci", "cron", "backup"):
        lab.add(name, evry="7d")
    words = typed.split()
    environ = {
        **os.environ,
        "ROTATE_CONFIG": str(lab.config),
        "_ROTATE_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    command = [sys.executable, "-m", "rotator.cli.main"]
    done = subprocess.run(command, env=environ, capture_output=True, check=False, text=True, timeout=60)  # noqa: S603 - our own command
    assert [line.partition(",")[2] for line in done.stdout.split()] == completed


def test_completion_without_a_configuration_offers_no_names(lab: Lab) -> None:
    """It does not spill an error into somebody's prompt."""
    environ = {
        "_ROTATE_COMPLETE": "bash_complete",
        "COMP_WORDS": "rotate now c",
        "COMP_CWORD": "2",
        "ROTATE_CONFIG": str(lab.folder / "none.yaml"),
    }
    result = lab.call(env=environ)
    assert (result.stdout.strip(), result.stderr) == ("", "")
