"""The shapes of ``--json``: what is checked in is what the program prints."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from rotator.cli.output import Report, encoded
from rotator.cli.planning import NAMES
from rotator.cli.shapes import SHAPES
from rotator.steps import Step
from tests.cli.lab import Lab
from tests.cli.shape import CHECKED_IN, schemas


def test_the_checked_in_schemas_are_those_of_the_shapes() -> None:
    """A change of the output shows in the review; ``python -m tests.cli.shape`` writes the file anew."""
    assert CHECKED_IN.read_text(encoding="utf-8") == schemas()


def test_every_result_has_an_exit_code_or_comes_without_work() -> None:
    """What became of each credential can be told without reading sentences."""
    definitions = json.loads(schemas())["$defs"]
    without = {"Checked", "Explained", "Recorded", "Schema", "Script", "Unrotated"}
    for shape in SHAPES.values():
        assert shape.__name__ in without or "exit_code" in definitions[shape.__name__]["required"]


def test_every_kind_of_step_has_its_name() -> None:
    """A new kind of step is not forgotten in the plan."""
    assert set(NAMES) == set(Step.__args__)


def test_times_are_utc() -> None:
    """Whatever zone they come in."""
    local = datetime(2026, 5, 9, 9, 30, tzinfo=timezone(timedelta(hours=2)))
    assert encoded(local) == "2026-05-09T07:30:00Z"


def test_what_is_no_time_is_no_output() -> None:
    """A secret that found its way into a result ends the program instead of being printed."""
    with pytest.raises(TypeError, match="Report has no place"):
        encoded(Report())


def test_the_command_is_told_without_its_options(lab: Lab) -> None:
    """It says which shape the results have."""
    lab.add("ci")
    assert lab.json("now", "ci", "--dry-run")["command"] == "now"
    assert lab.json("config", "check")["command"] == "config check"
