"""Half a simulated year with failures: each change for the worse or the better is told, once, and nothing else."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

from rotator.notify.notice import About
from rotator.notify.vigil import OF_CLUSTERS, Rules, Vigil
from rotator.service.board import Change
from rotator.service.standing import State
from rotator.settings import ServiceSettings
from rotator.settings_telling import Occasion
from tests.service.world import Outage, Street

DAY = timedelta(days=1)
TROUBLES = {State.FAILING, State.NEEDS_ATTENTION, State.LOCKED_OUT}
FAILS = 17
"""One call in so many fails."""


class Observer:
    """Counts, in a way of its own, what a person who looks at the board all the time would see change."""

    def __init__(self) -> None:
        self.seen = Counter[str]()
        self._in_trouble: set[str] = set()

    def __call__(self, change: Change) -> None:
        """Look at a change."""
        for name in change.credentials:
            standing = change.after.credentials[name]
            is_own = standing.state in TROUBLES and standing.reason not in OF_CLUSTERS
            self._note(name, is_own, standing.state is State.WELL)
        for name, cluster in change.after.clusters.items():
            if cluster.is_reachable is not None:
                self._note(f"cluster {name}", bool(cluster.reason), not cluster.reason)

    def _note(self, name: str, is_in_trouble: bool, is_well: bool) -> None:  # noqa: FBT001 - both are what is seen
        if is_in_trouble and name not in self._in_trouble:
            self.seen["failed"] += 1
            self._in_trouble.add(name)
        if is_well and name in self._in_trouble:
            self.seen["recovered"] += 1
            self._in_trouble.remove(name)


def test_in_half_a_year_each_change_is_told_once(tmp_path: Path) -> None:
    """Two clusters, one of them down for a night, and calls that fail: as many notices as changes, and no other."""
    street = Street(tmp_path, ("c0", "c1"), service_settings=ServiceSettings(look=14 * DAY))
    street.guard = Outage(lambda _, number: number % FAILS == FAILS - 1)
    for number in range(12):
        street.add(f"c{number}", f"c{number % 2}", every=(10 + number) * DAY)
    service, told, observer = street.serve(), list[About](), Observer()
    vigil = Vigil(Rules("lab", "host", 7 * DAY), street.clock.now)
    service.board.watch(lambda change: told.extend(vigil.see(change)))
    service.board.watch(observer)
    street.go_on(service, 90 * DAY)
    street.down("c1")
    street.go_on(service, timedelta(hours=8))
    street.down("c1", is_down=False)
    street.go_on(service, 90 * DAY)
    counted = Counter(str(it.occasion) for it in told)
    beginnings = counted["failed"] + counted["needs-attention"] + counted["locked-out"]
    graver = beginnings - observer.seen["failed"]
    assert observer.seen["failed"] > 10
    assert graver == sum(it.occasion in {Occasion.NEEDS_ATTENTION, Occasion.LOCKED_OUT} for it in told)
    assert counted["recovered"] == observer.seen["recovered"]
    assert [it.credential for it in told if it.reason in OF_CLUSTERS and it.credential] == []
    assert len([it for it in told if not it.credential and it.occasion == "failed"]) >= 1
    orphans = sum(it.reason == "orphan" and str(it.step) == "revoke" and it.outcome == "done" for it in street.events)
    assert (counted["orphan"] > 0) == (orphans > 0)
    assert not street.bugs
