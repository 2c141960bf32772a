"""A slice of the faults: every kind of fault at some calls, every call with some fault, and what is said of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from rotator.errors import ExitCode
from rotator.rotate import Result
from tests.explore import fault_checks, fault_table
from tests.explore.fault_bench import bench
from tests.explore.fault_command import Told, command, picked, rows, tried
from tests.explore.fault_disturb import all_cases
from tests.explore.fault_plays import PLAYS
from tests.explore.report import Row
from tests.world import World, world

EVERY = 24
"""One of so many cases is tried here; ``python -m tests.explore fault`` tries them all."""
SLOW_EVERY = 13


@pytest.mark.parametrize("name", PLAYS)
def test_whatever_goes_wrong_is_told_truly_and_come_over(name: str) -> None:
    """The outcome is the expected one, the message says where and what to do, and further runs come to rest."""
    found = tried(name, "fast", EVERY)
    assert [violation for row in rows(found) for violation in row.violations] == []
    assert len(found) >= 5


@pytest.mark.parametrize("name", ["rotation", "regenerate", "in vault"])
def test_what_takes_too_long_is_told_truly_and_come_over(name: str) -> None:
    """An answer that does not come in time is waited for once."""
    found = tried(name, "slow", SLOW_EVERY)
    assert [violation for row in rows(found) for violation in row.violations] == []
    assert found


@pytest.mark.parametrize("name", ["rotation", "in vault"])
def test_every_call_is_disturbed_and_every_outcome_is_expected(name: str, tmp_path: Path) -> None:
    """A call that is new, or a fault, has no outcome until somebody has read one."""
    expected = fault_table.expected()
    with bench(tmp_path, PLAYS[name]) as made:
        cases = all_cases(made.survey(), made.play)
    wanted = {(f"{name}, {case.point}", str(case)) for case in cases}
    assert {it for it in expected if it[0].startswith(f"{name}, ")} == wanted


def test_a_slice_leaves_out_no_call_and_no_kind_of_fault(tmp_path: Path) -> None:
    """However thin it is."""
    with bench(tmp_path, PLAYS["rotation"]) as made:
        cases = all_cases(made.survey(), made.play)
    thin = picked(cases, 1000)
    assert len(thin) < len(cases) / 5
    assert {case.point for case in thin} == {case.point for case in cases}
    assert {case.kind for case in thin} == {case.kind for case in cases}
    assert picked(cases, 1) == cases


def test_outcomes_are_read_as_they_were_written() -> None:
    """The file can be made anew, and a difference in it is one of the product."""
    text = fault_table.FILE.read_text()
    assert fault_table.written(fault_table.read(text)) == text


def test_another_outcome_is_a_violation() -> None:
    """Also one that nobody has expected yet."""
    (call, fault), outcome = next(iter(fault_table.expected().items()))
    told = Told(call, "kind", fault, outcome, "", ())
    assert rows([told]) == (
        Row("kind", {"runs": 1, "survived": int(outcome[0] == "0"), "told": int(outcome[0] != "0")}),
    )
    assert rows([replace(told, outcome="0 else")])[0].violations == (f"{call} | {fault}: 0 else, expected: {outcome}",)
    assert "nothing yet" in rows([replace(told, fault="new")])[0].violations[0]


@pytest.fixture
def told_of(tmp_path: Path) -> World:
    """Return a world with a token, whose servers have ended."""
    with world(tmp_path) as made:
        made.settled()
        return made


LIES = {
    "{old} is still published, with an end": "not true",
    "{old} is published; {new} is still live": "not true: '{new} is still live'",
    "{old} is still published and does not log in": "not true",
    "{old} was issued and may be live; a later run deletes it": "not true",
    "no token of this credential is published": "not true",
    "{new} or {new} is published, it is not known which; both are live": "not true",
    "something else": "not true",
}
TRUTHS = ("{old} is still published", "{old} is published; {old} is still live", "nothing was touched")


def failed(**said: str) -> Result:
    """Make a result that is as it should be, but for this."""
    usual = {"message": "PUT at 127.0.0.1:1 of ci.json", "hint": "look", "step": "grant", "live": "nothing was touched"}
    return Result("ci", "home", ExitCode.FAILED, "due", **(usual | said))  # type: ignore[arg-type]  # texts, all of them


@pytest.mark.parametrize("said", [*LIES, *TRUTHS])
def test_what_is_said_to_be_live_is_compared_with_the_world(told_of: World, said: str) -> None:
    """A message that is not true is seen."""
    tokens = {"old": told_of.read()["token_id"], "new": "ci@pve!ci-2-99999"}
    found = fault_checks.of(failed(live=said.format(**tokens)), told_of, told_of.credential())
    assert bool(found) == (said in LIES)
    assert all(it.startswith(LIES[said].format(**tokens)) for it in found)


@pytest.mark.parametrize("lacking", ["hint", "live", "step", "message"])
def test_a_message_that_helps_nobody_is_seen(told_of: World, lacking: str) -> None:
    """Where, at which step, what is live, what to do."""
    assert fault_checks.of(failed(), told_of, told_of.credential()) == []
    assert fault_checks.of(failed(**{lacking: ""}), told_of, told_of.credential())


def test_the_command_tells_runs_and_messages() -> None:
    """People read the messages once, and the numbers each time."""
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    assert "every fault" in result.stdout.lower()
