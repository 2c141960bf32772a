"""A single run writes a log instead of its progress, if it is asked to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.lab import Lab, Time


@pytest.fixture
def lab(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Lab]:
    """Return a laboratory with one cluster of one node and one credential."""
    made = Lab(tmp_path, Time(), watch)
    made.add_cluster("one")
    made.add("ci")
    yield made
    for pve in made.clusters.values():
        pve.close()


def lines(text: str) -> list[dict[str, Any]]:
    """Read a log."""
    return [json.loads(line) for line in text.splitlines()]


def test_a_run_writes_a_line_of_json_for_each_rotation_and_nothing_else(lab: Lab) -> None:
    """On stderr; what the run came to is on stdout as always."""
    found = lab.call("due", "--log-format", "json")
    (line,) = lines(found.stderr)
    assert (line["event"], line["credential"], line["reason"]) == ("rotated", "ci", "first-issue")
    assert line["new"].startswith("svc@pve!ci-1-")
    assert line["trigger"].startswith("command due")
    assert "done (first-issue)" in found.stdout
    assert lab.call("due", "--log-format", "json").stderr == ""


def test_what_failed_is_a_warning_with_what_to_do(lab: Lab) -> None:
    """For whoever looks at the logs alone."""
    lab.pve.nodes[0].down = True
    found = lab.call("now", "ci", "--log-format", "json")
    (line,) = lines(found.stderr)
    assert (line["level"], line["event"], line["reason"]) == ("warning", "failed", "cluster-unreachable")
    assert found.exit_code == 4


def test_a_line_is_written_as_soon_as_its_credential_is_done(lab: Lab) -> None:
    """Not at the end of them all: the next one's steps come after it."""
    lab.add("other")
    found = lines(lab.call("due", "--log-format", "json", "--verbose", "--parallel", "1").stderr)
    rotated = [number for number, it in enumerate(found) if it["event"] == "rotated"]
    first, second = (found[number]["credential"] for number in rotated)
    assert all(it["credential"] == first for it in found[: rotated[0]])
    assert {it["credential"] for it in found[rotated[0] + 1 :]} == {second}


@pytest.mark.parametrize("arguments", [["--log-level", "debug"], ["--verbose"]])
def test_details_are_every_step(lab: Lab, arguments: list[str]) -> None:
    """Its start, too; by either option."""
    found = lines(lab.call("due", "--log-format", "json", *arguments).stderr)
    steps = [(it["step"], it["outcome"]) for it in found if it["event"] == "step"]
    assert ("issue", "started") in steps
    assert ("issue", "done") in steps
    assert {it["level"] for it in found} == {"debug", "info"}


def test_the_environment_says_it_for_all_runs_and_the_option_for_one(lab: Lab) -> None:
    """As a CronJob would have it."""
    environ = {"ROTATE_LOG_FORMAT": "json", "ROTATE_LOG_LEVEL": "warning"}
    assert lab.call("now", "ci", env=environ).stderr == ""
    (line,) = lines(lab.call("now", "ci", "--log-level", "info", env=environ).stderr)
    assert line["event"] == "rotated"
    assert " rotated " in lab.call("now", "ci", "--log-format", "text", "--log-level", "info", env=environ).stderr


def test_what_a_run_says_besides_is_a_line_of_its_log(lab: Lab, tmp_path: Path) -> None:
    """No line is of another form than the others."""
    found = lines(lab.call("due", "--log-format", "json", "--metrics-file", str(tmp_path / "none" / "x")).stderr)
    assert [it["event"].partition(" written")[0] for it in found] == ["rotated", "the metrics were not"]


def test_without_structlog_it_says_what_to_install(lab: Lab) -> None:
    """Before anything is done; without the option nothing of it is needed."""
    program = "import sys; sys.modules['structlog'] = None; from rotator.cli.main import main; main()"
    command = [sys.executable, "-c", program, "due", "--config", str(lab.config), "--log-format", "json"]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=lab.environ)  # noqa: S603 - ours
    assert ran.returncode == 3
    assert "a log needs structlog" in ran.stderr
    assert "proxmox-token-rotator[serve]" in ran.stderr
    assert lab.tokens() == []
