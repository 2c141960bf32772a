"""I3 over TLS and on each store: a rotation dies at every call, and further runs bring it all to rest.

What deaths do to every kind of rotation, one and several in a row, is explored in memory (``tests/explore``). Here it
is about what memory has not: connections, the adapters, and what each store calls a version.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rotator.model import Credential
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


@pytest.mark.parametrize(("plant", "calls"), [(rotation, 13), (mirrored_rotation, 18)])
def test_i3_after_a_crash_at_any_call_further_runs_come_to_rest(
    w: World, plant: Callable[[World], Credential], calls: int
) -> None:
    """One current token, the retiring ones until their deadline, nothing else; and I1, I2, I5 hold all the time."""
    counter = Reaper()
    w.run(plant(w), ports=mortal(w, counter))
    assert len(counter.calls) >= calls
    for number, call in enumerate(counter.calls, 1):
        w.wipe()
        credential = plant(w)
        witness = watched(w, credential)
        with pytest.raises(Killed):
            w.run(credential, ports=mortal(w, Reaper(number)))
        comes_to_rest(w, credential)
        assert witness.violations == [], f"{number}: {call}"
