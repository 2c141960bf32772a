"""A short part of the race explorer, and proof that it sees what it looks for."""

from __future__ import annotations

import pytest

from tests.explore import race_wild
from tests.explore.__main__ import main
from tests.explore.direct import Guard
from tests.explore.race import ANY, Dice, Part, Race, Scenery, Theatre
from tests.explore.race_all import Covered, all_schedules
from tests.explore.race_command import Task, sampled
from tests.explore.race_kinds import BY_NAME, RACES, A, delete_published, due
from tests.explore.schedule import Changes, Stage, alternatives, changes_of, following, read_back, spelled, story
from tests.explore.world import shown

LONG = {"dying", "dying-with-a-mirror"}


def found(covered: Covered) -> list[str]:
    """Tell what was seen going wrong, with the schedule that shows it."""
    return [f"{what}: {spelled(changes)}" for what, changes in covered.found]


@pytest.mark.parametrize("name", [race.name for race in RACES if race.name not in LONG])
def test_no_schedule_of_two_rotators_with_one_preemption_breaks_the_promise(name: str) -> None:
    """Every place at which one of two may be held up while the other, the clock or somebody else goes on."""
    covered = all_schedules(Theatre(BY_NAME[name]), 1)
    assert found(covered) == []
    assert (covered.schedules >= 10, covered.situations > 80) == (True, True)


def test_no_schedule_in_which_one_of_two_dies_breaks_the_promise() -> None:
    """At every call, whichever begins."""
    covered = all_schedules(Theatre(BY_NAME["dying"]), 0)
    assert (found(covered), covered.schedules >= 15) == ([], True)


@pytest.mark.parametrize("number", range(60))
def test_no_race_by_chance_breaks_the_promise(number: int) -> None:
    """Two or three rotators, deaths, pauses, outsiders, several configurations."""
    assert race_wild.play(number).violations == ()


def test_a_schedule_is_the_same_every_time_and_can_be_written_down() -> None:
    """The turns of a race by chance are those of the changes that it is told by."""
    theatre = Theatre(BY_NAME["alike"])
    first = theatre.play(Dice("some", 0))
    again = theatre.play(following(read_back(spelled(changes_of(first.turns)))))
    assert again.turns == first.turns
    assert read_back("3:1 7:x0") == {3: 1, 7: ~0}


def letters(changes: Changes) -> str:
    """Play two programs of two calls each, and tell who did the calls."""
    stage = Stage([lambda guard: [guard("call", str) for _ in "12"]] * 2, following(changes))
    stage.play()
    return "".join("AB"[turn.chosen] if turn.chosen >= 0 else "x" for turn in stage.turns)


@pytest.mark.parametrize(
    ("bound", "wanted"),
    [
        (0, ["AABB", "BBAA"]),
        (1, ["AABB", "ABBA", "BAAB", "BBAA"]),
        (2, ["AABB", "ABAB", "ABBA", "BAAB", "BABA", "BBAA"]),
    ],
)
def test_each_schedule_within_the_bound_is_played_once(bound: int, wanted: list[str]) -> None:
    """Of two programs with two calls each there are six, two of them without a preemption."""
    played: list[str] = []
    left: list[Changes] = [{}]
    while left:
        changes = left.pop()
        stage = Stage([lambda guard: [guard("call", str) for _ in "12"]] * 2, following(changes))
        stage.play()
        played.append(letters(changes))
        left += alternatives(changes, stage.turns, bound=bound, deaths=0)
    assert sorted(played) == wanted


def test_a_program_that_dies_does_no_further_call() -> None:
    """Neither the one at which it dies; the other goes on."""
    assert letters({1: ~0}) == "AxBB"


def test_a_story_tells_who_did_what() -> None:
    """A line for each time that somebody has the turn."""
    theatre = Theatre(BY_NAME["alike"])
    lines = story(theatre.play(following({1: 1, 2: 0, 4: ~0})).turns, "AB")
    assert lines[:3] == [
        "A: GET /access/users",
        "B: GET /access/users",
        "A: read ci.json, preflight ci.json, DIES before: POST /access/users/ci@pve/token/ci-9-20000",
    ]


def test_what_a_careless_rotator_breaks_is_seen() -> None:
    """One that deletes the published token, and one that writes what it read long ago over what is there."""

    def delete(scenery: Scenery, guard: Guard) -> None:
        scenery.watch.guard(guard)("deletes", lambda: delete_published(scenery))

    def overwrite(scenery: Scenery, guard: Guard) -> None:
        watched, store = scenery.watch.guard(guard), scenery.world.store
        content = watched("reads", lambda: shown(store.records["ci.json"]))
        watched("writes", lambda: store.put("ci.json", content))

    for careless, wanted in ((delete, "I1"), (overwrite, "I4")):
        race = Race("careless", due, (A, Part("careless", careless)), codes=ANY, most_published=None, leaves=True)
        seen = found(all_schedules(Theatre(race), 1))
        assert any(it.startswith(wanted) for it in seen), seen


def test_the_command_plays_a_schedule_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Its story, and what was covered; what is no schedule is a wrong use."""
    assert main(["race", "--replay", "alike 3:1"]) == 0
    assert "B: GET /access/users, read ci.json" in capsys.readouterr().out
    assert main(["race", "--replay", "random:7"]) == 0
    assert "random:7: A, B" in capsys.readouterr().out
    assert main(["race", "--replay", "no-such-race 3:1"]) == 2
    assert "this is no schedule" in capsys.readouterr().err


def test_the_command_says_what_it_covered(capsys: pytest.CaptureFixture[str]) -> None:
    """One row for each race; and, if asked, that playing each schedule comes to the same."""
    assert main(["race", "--race", "alike", "--preemptions", "0", "--jobs", "1", "--compare"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert lines[1] == ["kind", "schedules", "steps", "looks", "situations", "ends", "each", "violations"]
    assert lines[2] == ["alike", "1", "16", lines[2][3], "16", "1", "1", "0"]


def test_the_sample_is_the_same_for_the_same_number() -> None:
    """And another one for another."""
    assert sampled(Task("random", first=5, steps=300)) == sampled(Task("random", first=5, steps=300))
    assert sampled(Task("random", first=5, steps=300)) != sampled(Task("random", first=6, steps=300))
