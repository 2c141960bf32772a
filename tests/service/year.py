"""A year of a fleet in seconds, with failures; ``python -m tests.service.year CREDENTIALS DAYS EVERY`` for another.

Calls fail by their number, one cluster is down for a night, and nobody helps. At the end is looked whether what was
promised held: see ``Year.broken_promises``. The command ends with 1 if it did not.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from pathlib import Path
from statistics import fmean

from rotator.errors import ExitCode
from rotator.events import Event, Outcome, Step
from rotator.model import Credential
from rotator.service.gauges import Metrics
from rotator.service.standing import Ended, Standing
from rotator.service.timetable import share
from rotator.settings import ServiceSettings
from rotator.view import due_at
from tests.service.agreement import Account
from tests.service.world import Outage, Street

CLUSTERS = tuple(f"c{number}" for number in range(10))
FAILS = 97
"""One call in so many fails."""
NIGHT = timedelta(hours=8)
PROMPT = timedelta(seconds=5)
"""Whoever is rotated within that is on time."""
DAY = timedelta(days=1)
LOOK = 14 * DAY
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=6)
"""For the next try after one failure; doubled by each one more, up to the longest."""
STILL = timedelta(seconds=1)
"""By less than that the rotations of the last months are later than those of the first."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


@dataclass(frozen=True, slots=True)
class Rotation:
    """One that was due: when, how much later failures that were put in let it come, and how late it was."""

    credential: str
    due: datetime
    late: timedelta
    held: timedelta = timedelta()
    """From when it was due until the wait after the last failed try was over."""

    @property
    def is_disturbed(self) -> bool:
        """Whether a try had failed."""
        return bool(self.held)


@dataclass(frozen=True)
class Year:
    """What came of it."""

    rotations: tuple[Rotation, ...]
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
    disagreements: tuple[str, ...]
    """Of the metrics with the events."""
    astray: tuple[str, ...]
    """Clusters whose looks are not any more where they were in their interval."""

    @property
    def late(self) -> tuple[timedelta, ...]:
        """How late each rotation was."""
        return tuple(it.late for it in self.rotations)

    @property
    def prompt(self) -> float:
        """The share of the rotations that were on time."""
        return sum(it <= PROMPT for it in self.late) / len(self.late)

    @property
    def drift(self) -> timedelta:
        """By how much later the undisturbed rotations of the last third are than those of the first."""
        calm = sorted((it.due, it.late.total_seconds()) for it in self.rotations if not it.is_disturbed)
        third = len(calm) // 3
        first, last = ([late for _, late in some] for some in (calm[:third], calm[-third:]))
        return timedelta(seconds=fmean(last) - fmean(first))

    def broken_promises(self) -> Iterator[str]:
        """Tell what did not hold: on time, no drift, no overlap of runs, metrics that agree with the events."""
        for it in self.rotations:
            if it.late < -PROMPT:
                yield f"{it.credential} was rotated {-it.late} before it was due at {it.due}"
            if it.late > it.held + PROMPT:
                why = f"its tries failed, the next was to be {it.held} later" if it.held else "nothing had failed"
                yield f"{it.credential} was due at {it.due} and rotated {it.late} later, though {why}"
        if abs(self.drift) > STILL:
            yield f"rotations drift: by {self.drift}"
        yield from (f"the looks at {cluster} drift" for cluster in self.astray)
        yield from self.disagreements
        counts = {"runs overlap": self.overlaps, "records do not work": self.broken, "bugs came up": self.bugs}
        yield from (f"{count} {what}" for what, count in counts.items() if count)
        if self.tokens > len(("the current one", "one that retires")):
            yield f"somebody has {self.tokens} tokens"


def live(folder: Path, credentials: int = 500, days: int = 365, every: timedelta = 120 * DAY) -> Year:
    """Let a service live through it. Every credential has an interval of its own, up to a quarter longer."""
    overlaps, account = Overlaps(), Account()
    street = Street(folder, CLUSTERS, service_settings=ServiceSettings(look=LOOK))
    metrics = Metrics(street.clock.now)
    street.listeners += [overlaps, account.hear, metrics.hear]
    street.guard = Outage(lambda _, number: number % FAILS == FAILS - 1)
    for number in range(credentials):
        own = every + (number % 4) * every / 16
        street.add(f"c{number}", CLUSTERS[number % len(CLUSTERS)], every=own)
    service, rounds = street.serve(), Counter[str]()
    service.board.watch(account.see)
    metrics.watch(service.board)
    third = timedelta(days=days / 3)
    street.go_on(service, third, lambda: rounds.update(["all"]))
    street.down("c3")
    street.go_on(service, NIGHT, lambda: rounds.update(["all"]))
    street.down("c3", is_down=False)
    street.go_on(service, 2 * third - NIGHT, lambda: rounds.update(["all"]))
    return Year(
        rotations=tuple(rotations(street, account)),
        overlaps=len(overlaps.found),
        failed=sum(it.outcome in {Outcome.FAILED, Outcome.UNKNOWN} for it in street.events),
        standing=Counter(str(it.state) for it in service.board.standing.credentials.values()),
        tokens=max(len(street.tokens(it)) for it in street.credentials),
        broken=sum(not street.works(it) for it in street.credentials),
        rounds=rounds["all"],
        bugs=len(street.bugs),
        disagreements=tuple(account.disagreements(metrics.registry)),
        astray=tuple(astray(service.board.standing)),
    )


def rotations(street: Street, account: Account) -> Iterator[Rotation]:
    """Tell of each rotation but the first how late it was."""
    runs: dict[str, list[Ended]] = {}
    for _, end in account.runs:
        runs.setdefault(end.result.credential, []).append(end)
    for credential in street.credentials:
        for before, after in pairwise(published(street, credential)):
            due = due_at(credential, before)
            held = held_until([it for it in runs[credential.name] if it.at < after])
            yield Rotation(credential.name, due, after - due, max(held - due, timedelta()))


def held_until(runs: list[Ended]) -> datetime:
    """Work out when the next try is to be; long ago where the last one was done."""
    failed = list(takewhile(lambda it: it.result.exit_code is not ExitCode.DONE, reversed(runs)))
    return failed[0].at + min(FIRST_WAIT * 2 ** (len(failed) - 1), LONGEST_WAIT) if failed else EPOCH


def astray(standing: Standing) -> Iterator[str]:
    """Name the clusters whose next look is not where their name puts it in the interval."""
    for cluster in standing.clusters.values():
        if cluster.next_look:
            beside = (cluster.next_look - EPOCH - LOOK * share(cluster.name)) % LOOK
            if min(beside, LOOK - beside) > timedelta(milliseconds=1):
                yield cluster.name


def published(street: Street, credential: Credential) -> list[datetime]:
    """Tell when each token was published; a record that was written again, unchanged, is none."""
    seen: dict[str, datetime] = {}
    for at, stored in street.shop.written[credential.name]:
        seen.setdefault(stored.fields["token_id"].reveal(), at)
    return list(seen.values())


def command(credentials: int, days: int, every: int) -> int:
    """Live through it, print what came of it, and return 1 if a promise was broken."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        year = live(Path(place), credentials, days, every * DAY)
    disturbed = sum(it.is_disturbed for it in year.rotations)
    calm = max(it.late for it in year.rotations if not it.is_disturbed)
    seconds, drift = time.process_time() - began, year.drift.total_seconds()
    sys.stdout.write(
        f"{days} days of {credentials} credentials in {seconds:.1f} s: {len(year.rotations)} rotations were due, "
        f"{year.failed} steps failed; undisturbed at most {calm} late, drift {drift:+.2f} s; {disturbed} disturbed, "
        f"at most {max(year.late)} late; {year.rounds} wakes; {dict(year.standing)}\n"
    )
    broken = list(year.broken_promises())
    sys.stdout.write("".join(f"broken: {it}\n" for it in broken) or "every promise held\n")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(command(*(int(it) for it in (sys.argv[1:] + ["500", "365", "30"][len(sys.argv) - 1 :]))))
