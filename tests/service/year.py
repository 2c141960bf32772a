"""A year of a fleet in seconds, with failures; ``python -m tests.service.year CREDENTIALS DAYS EVERY`` for another.

Calls fail by their number, one cluster is down for a night, and nobody helps.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from rotator.events import Event, Outcome, Step
from rotator.model import Credential
from rotator.settings import ServiceSettings
from rotator.view import due_at
from tests.service.world import Outage, Street

CLUSTERS = tuple(f"c{number}" for number in range(10))
FAILS = 97
"""One call in so many fails."""
NIGHT = timedelta(hours=8)
PROMPT = timedelta(seconds=5)
"""Whoever is rotated within that is on time."""
DAY = timedelta(days=1)


@dataclass
class Overlaps:
    """Watches for two runs of one credential at one time; a listener."""

    at_work: dict[str, str] = field(default_factory=dict)
    found: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Look at a step."""
        if event.outcome is Outcome.STARTED:
            if event.credential in self.at_work:
                self.found.append(event)
            self.at_work[event.credential] = event.step
        elif event.step is not Step.DECIDE:
            self.at_work.pop(event.credential, None)


@dataclass(frozen=True)
class Year:
    """What came of it: how late each rotation was, and how everything stood at the end."""

    late: tuple[timedelta, ...]
    overlaps: int
    failed: int
    """Steps that failed."""
    standing: Counter[str]
    tokens: int
    """The most that any credential had at the end."""
    broken: int
    """Credentials whose record does not work."""
    rounds: int
    bugs: int

    @property
    def prompt(self) -> float:
        """The share of the rotations that were on time."""
        return sum(it <= PROMPT for it in self.late) / len(self.late)


def live(folder: Path, credentials: int = 500, days: int = 365, every: timedelta = 120 * DAY) -> Year:
    """Let a service live through it. Every credential has an interval of its own, up to a quarter longer."""
    overlaps = Overlaps()
    settings = ServiceSettings(look=14 * DAY)
    street = Street(folder, CLUSTERS, service_settings=settings, listeners=[overlaps])
    street.guard = Outage(lambda _, number: number % FAILS == FAILS - 1)
    for number in range(credentials):
        own = every + (number % 4) * every / 16
        street.add(f"c{number}", CLUSTERS[number % len(CLUSTERS)], every=own)
    service, rounds = street.serve(), Counter[str]()
    third = timedelta(days=days / 3)
    street.go_on(service, third, lambda: rounds.update(["all"]))
    street.down("c3")
    street.go_on(service, NIGHT, lambda: rounds.update(["all"]))
    street.down("c3", is_down=False)
    street.go_on(service, 2 * third - NIGHT, lambda: rounds.update(["all"]))
    return Year(
        late=tuple(late for it in street.credentials for late in lateness(it, published(street, it))),
        overlaps=len(overlaps.found),
        failed=sum(it.outcome in {Outcome.FAILED, Outcome.UNKNOWN} for it in street.events),
        standing=Counter(str(it.state) for it in service.board.standing.credentials.values()),
        tokens=max(len(street.tokens(it)) for it in street.credentials),
        broken=sum(not street.works(it) for it in street.credentials),
        rounds=rounds["all"],
        bugs=len(street.bugs),
    )


def published(street: Street, credential: Credential) -> list[datetime]:
    """Tell when each token was published; a record that was written again, unchanged, is none."""
    seen: dict[str, datetime] = {}
    for at, stored in street.shop.written[credential.name]:
        seen.setdefault(stored.fields["token_id"].reveal(), at)
    return list(seen.values())


def lateness(credential: Credential, times: list[datetime]) -> list[timedelta]:
    """Tell how late each was, reckoned from the one before."""
    return [after - due_at(credential, before) for before, after in pairwise(times)]


if __name__ == "__main__":
    many, span, interval = (int(it) for it in (sys.argv[1:] + ["500", "365", "30"][len(sys.argv) - 1 :]))
    began = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        year = live(Path(place), many, span, interval * DAY)
    told = f"{len(year.late)} rotations, {year.prompt:.1%} on time, latest {max(year.late)}, {year.failed} failed steps"
    sys.stdout.write(f"{told}, {year.rounds} wakes, {dict(year.standing)}, {time.process_time() - began:.1f} s\n")
