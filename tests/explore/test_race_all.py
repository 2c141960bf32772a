"""What is left out of all schedules is nothing that could happen: what comes of them is what comes of playing each.

``python -m tests.explore race --compare --preemptions 2`` shows the same of all races, which takes longer.
"""

from __future__ import annotations

import re

import pytest

from tests.explore.race import Theatre
from tests.explore.race_all import all_schedules, seen
from tests.explore.race_kinds import BY_NAME, RACES

TWICE = ("orphaned", "in-place")
"""Races that are soon over with two preemptions."""
ONCE = ("mirrored", "compromised", "paused-first-issue", "rotated-by-hand")


@pytest.mark.parametrize(("name", "bound"), [*((it, 2) for it in TWICE), *((it, 1) for it in ONCE)])
def test_with_merging_comes_what_comes_of_playing_each(name: str, bound: int) -> None:
    """The same ends and the same violations, in fewer steps."""
    theatre = Theatre(BY_NAME[name])
    merged, each = all_schedules(theatre, bound), all_schedules(theatre, bound, is_merged=False)
    assert seen(merged) == seen(each)
    assert (merged.steps < each.steps, each.situations) == (True, 0)


def apart(end: str, others: dict[str, str]) -> tuple[str, ...]:
    """Take what came of a race apart, so that no order is left in it, with the names of one put for the other's."""
    swapped = re.sub(r"(?<=-)[23](?=\d{4})", lambda digit: others[digit[0]], end)
    return tuple(sorted(re.findall(r"[^\s,'()<>\[\]]+", swapped)))


@pytest.mark.parametrize(("name", "bound"), [("alike", 1), ("dying", 0)])
def test_which_of_two_that_are_alike_begins_does_not_matter(name: str, bound: int) -> None:
    """What comes of it when the second begins is what comes of it when the first does, but for the names."""
    theatre = Theatre(BY_NAME[name])
    fewer, all_of_them = all_schedules(theatre, bound), all_schedules(theatre, bound, has_twins=False)
    both = ({"2": "2", "3": "3"}, {"2": "3", "3": "2"})
    assert {apart(it, others) for it in fewer.ends for others in both} == {
        apart(it, others) for it in all_of_them.ends for others in both
    }
    assert fewer.schedules < all_of_them.schedules


def test_only_who_does_the_same_is_a_twin() -> None:
    """Neither one that was asked for by name, nor one with another overlap, nor the clock or an outsider."""
    twins = {race.name for race in RACES if race.are_twins(0, 1)}
    assert {"alike", "both-forced", "dying", "paused-minutes", "rotated-by-hand"} < twins
    assert not twins & {"one-forced", "retiring", "shorter-overlap", "compromised", "an-older-record-is-put-back"}
    assert not any(race.are_twins(1, 2) for race in RACES if len(race.parts) > 2)
