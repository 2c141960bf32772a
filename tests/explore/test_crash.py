"""I1 to I7 hold when a rotator dies at any call, is held up there, or is overtaken: the short part of the exploration.

All of it is ``python -m tests.explore crash``. That it would see a promise broken is shown in ``test_without.py``.
"""

from __future__ import annotations

import re

import click
import pytest

from tests.explore.__main__ import main
from tests.explore.crash import Stage, play, singles, successive
from tests.explore.crash_command import replayed, told
from tests.explore.crash_history import DEATHS, LONELY, History, How, Point
from tests.explore.crash_kinds import KINDS

FEWEST = {"first": 11, "normal": 13, "mirrors": 21}
"""Calls that the first run of a kind has at least, where that is more than ten: so many points to die at."""


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_happens_at_any_call_all_comes_to_rest_and_nobody_notices(kind: str) -> None:
    """Each thing that can happen, at each call of the first run of each kind; further runs come ten minutes later."""
    found = singles(Stage.of(kind), "later")
    assert [line for played in found.played for line in told(played)] == []
    assert found.histories == len(found.played) >= len(How) * FEWEST.get(kind, 10)


@pytest.mark.parametrize("schedule", ["soon", "late"])
@pytest.mark.parametrize("kind", ["first", "normal", "mirrors"])
def test_it_does_not_matter_when_the_next_run_comes(kind: str, schedule: str) -> None:
    """At once, while the dead one may still be in flight, or when the overlap has passed."""
    assert [line for played in singles(Stage.of(kind), schedule, DEATHS).played for line in told(played)] == []


@pytest.mark.parametrize("kind", ["normal", "mirrors", "adopt"])
def test_a_run_that_cleans_up_after_a_death_may_die_as_well(kind: str) -> None:
    """Every pair of deaths; what follows where another pair has come to the same is played once."""
    found = successive(Stage.of(kind), "later", 2, DEATHS)
    assert [line for played in found.played for line in told(played)] == []
    assert found.histories > 2 * FEWEST.get(kind, 10) * 2 * 10 > len(found.played) > 10


def test_what_comes_to_the_same_is_played_once_and_counted() -> None:
    """As many histories as are played when each is, and no more ends than are different."""
    stage = Stage.of("regenerate")
    each = singles(stage, "later", DEATHS)
    found = successive(stage, "later", 1, DEATHS)
    assert found.histories == each.histories == 20
    assert len(found.played) == 4, "as before, regenerated, published, marked"


def test_a_pair_that_goes_on_from_a_moment_is_the_pair_that_is_played_from_the_beginning() -> None:
    """What is kept after the first death is all that there is: world, watch, and what was given out."""
    stage, going_on, lines = Stage.of("normal"), list[str](), list[str]()
    found = successive(stage, "later", 2, [How.BEFORE], Point(5, How.AFTER))
    last = found.played[-1].history
    stage.begin("later")
    stage.act(last.points[0])
    kept = stage.keep()
    stage.act()
    stage.go_back(kept)
    stage.tell = going_on.append
    stage.act(last.points[1])
    assert stage.finish() == []
    looks = stage.watch.looks
    assert play(stage, last, lines.append) == []
    assert stage.watch.looks == looks
    assert after_the_last_death(going_on) == after_the_last_death(lines)


def after_the_last_death(lines: list[str]) -> list[str]:
    """Leave out what was before, and the random parts of names."""
    return [re.sub(r"-1\d{4}\b", "", line) for line in lines[len(lines) - lines[::-1].index("the run dies") :]]


def test_a_run_that_is_slow_or_overtaken_lives_on_and_one_that_dies_does_not() -> None:
    """What can happen is told apart: a death ends the run, a delay does not."""
    ends: dict[How, list[str]] = {}
    for how in (*LONELY, How.OVERTAKEN):
        lines: list[str] = []
        play(Stage.of("normal"), History("normal", (Point(10, how),), "soon"), lines.append)
        ends[how] = [line.partition(":")[0] for line in lines if line.startswith("the run ")]
    assert {how: found.count("the run dies") for how, found in ends.items()} == {
        How.BEFORE: 1,
        How.AFTER: 1,
        How.LATE: 1,
        How.SLOW: 0,
        How.OVERTAKEN: 0,
    }
    assert len(ends[How.OVERTAKEN]) == len(ends[How.SLOW]) + 1


def test_a_history_is_read_as_it_is_written() -> None:
    """What is printed with a violation replays it."""
    history = History("normal", (Point(5, How.BEFORE), Point(12, How.SLOW)), "soon")
    assert str(history) == "normal 5:before 12:slow soon"
    assert History.parse(str(history)) == history


@pytest.mark.parametrize(
    "text", ["", "normal", "frobnicate 1:before soon", "normal 1:never soon", "normal 1:after now"]
)
def test_what_is_no_history_is_refused(text: str) -> None:
    """A wrong word is a usage error, not a play of something else."""
    with pytest.raises(click.UsageError, match="this is no history"):
        replayed(text)


def test_the_command_tells_what_it_covered_and_what_it_did_not(capsys: pytest.CaptureFixture[str]) -> None:
    """What a kind cannot promise, a row for each kind, a sum, and exit code 0 when nothing was violated."""
    assert (
        main(["crash", "--kind", "regenerate", "--schedule", "soon", "--how", "before", "--depth", "1", "--jobs", "1"])
        == 0
    )
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert [line[:3] for line in lines[:2]] == [["regenerate:", "not", "I1:"], ["regenerate:", "not", "I2:"]]
    assert lines[3] == ["kind", "calls", "histories", "played", "runs", "looks", "violations"]
    assert [line[0] for line in lines[4:]] == ["regenerate", "total"]
    assert lines[4][1] == lines[4][2] == "10"


def test_the_command_replays_one_history(capsys: pytest.CaptureFixture[str]) -> None:
    """Every call is told, and how every run ended."""
    assert main(["crash", "--replay", "normal 5:after soon"]) == 0
    told_lines = capsys.readouterr().out.splitlines()
    assert "the run dies" in told_lines
    assert any(line.startswith("the run ends: up-to-date") for line in told_lines)
