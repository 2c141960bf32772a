"""I3: a rotation dies at every single call, before or after its effect, and further runs bring it all to rest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from rotator.model import Credential, Grant, Request, Strategy
from tests.scenario.killing import Killed, Reaper, mortal
from tests.scenario.witness import watched
from tests.world import World, comes_to_rest


def rotation(w: World) -> Credential:
    """Plant a token that is due."""
    return w.due()


def mirrored_rotation(w: World) -> Credential:
    """Plant a token that is due, in two places, with inherited grants."""
    w.due(destinations=(w.place("ci.json"), w.place("mirror.json")))
    return w.credential(destinations=(w.place("ci.json"), w.place("mirror.json")), grants=None)


def orphaned(w: World) -> Credential:
    """Plant an orphan, and a token whose overlap has passed."""
    ci = w.settled()
    w.run(ci, forced=True)
    w.plant(3, ago=timedelta(hours=1))
    w.clock.pass_by(ci.overlap + timedelta(minutes=1))
    return ci


def adoption(w: World) -> Credential:
    """Plant a token made by hand."""
    hand = w.hand_made()
    w.pve.grant("/vms", "PVEVMUser", token=str(hand))
    return w.credential(adopt=True)


def rolled_back(w: World) -> Credential:
    """Plant a record that was put back to an older state."""
    ci = w.settled()
    old = w.read()
    w.run(ci, forced=True)
    w.clock.pass_by(timedelta(minutes=11))
    w.write(old)
    w.plant(1, ago=timedelta(hours=1))
    return ci


def first(w: World) -> Credential:
    """Plant nothing but a foreign key."""
    w.write({"note": "by hand"})
    return w.credential()


def pinned(w: World) -> Credential:
    """Plant a token that keeps its name."""
    return w.due(strategy=Strategy.REGENERATE, overlap=timedelta())


def dies_everywhere(w: World, plant: Callable[[World], Credential], request: Request, *, after: bool = False) -> int:
    """Count the calls of a run; then, for each of them, plant the situation again, die at that call, come to rest.

    To die after a call leaves the same behind as to die before the next one, so one of the two is enough.
    """
    counter = Reaper()
    w.run(plant(w), request, ports=mortal(w, counter))
    for number in range(1, len(counter.calls) + 1):
        w.wipe()
        credential = plant(w)
        kept = w.read().get("note", "")
        has_witness = plant in {rotation, mirrored_rotation, orphaned, adoption} and not request.compromised
        witness = watched(w, credential) if has_witness else None
        with pytest.raises(Killed):
            w.run(credential, request, ports=mortal(w, Reaper(number, after)))
        comes_to_rest(w, credential, note=kept)
        assert witness is None or witness.violations == [], f"{number}: {counter.calls[number - 1]}"
    return len(counter.calls)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_i3_after_a_crash_at_any_call_further_runs_come_to_rest(w: World, *, after: bool) -> None:
    """One current token, the retiring ones until their deadline, nothing else; and I1, I2, I5 hold all the time."""
    assert dies_everywhere(w, rotation, Request(), after=after) >= 16


@pytest.mark.parametrize(("plant", "calls"), [(mirrored_rotation, 20), (orphaned, 12), (adoption, 16)])
def test_i3_holds_with_a_mirror_an_orphan_or_an_adoption(
    w: World, plant: Callable[[World], Credential], calls: int
) -> None:
    """Whatever stood around the rotation when it died."""
    assert dies_everywhere(w, plant, Request()) >= calls


@pytest.mark.parametrize("plant", [first, rolled_back, pinned])
def test_i3_holds_where_the_record_does_not_work_from_the_start(w: World, plant: Callable[[World], Credential]) -> None:
    """A first token, a record of the past, a secret that dies in place."""
    assert dies_everywhere(w, plant, Request()) > 8


def test_i3_holds_after_a_compromise(w: World) -> None:
    """What was not revoked before the crash is retired by the next run."""
    assert dies_everywhere(w, rotation, Request(forced=True, compromised=True)) > 8


def test_a_crash_in_a_run_that_cleans_up_after_a_crash_changes_nothing(w: World) -> None:
    """Two in a row, at each pair of calls around publishing."""
    counter = Reaper()
    w.run(rotation(w), ports=mortal(w, counter))
    writes = counter.calls.index("write") + 1
    for first_death in (writes - 1, writes, writes + 1):
        for second_death in range(1, 9):
            w.wipe()
            ci = w.due(grants=(Grant("/vms", "PVEVMUser"),))
            witness = watched(w, ci)
            for number in (first_death, second_death):
                with suppress(Killed):
                    w.run(ci, Request(overlap=ci.overlap), ports=mortal(w, Reaper(number, after=True)))
            comes_to_rest(w, ci)
            assert witness.violations == []
