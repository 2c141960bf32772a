"""Ten thousand rotations in a world where every tenth call goes wrong, and consumers that log in all the time.

``python -m tests.explore.soak`` (``make soak``). Fifty credentials on three clusters, in memory
(``tests.explore.world``), rotated by rotators that take turns and interrupt each other. At a call may happen: nothing,
and an error; the effect, and no answer; no answer, and the effect later; the end of the process; somebody's edit of the
record; a node that is down or lags behind. All chance comes from one seed. What must not happen is a failed login.
"""

from __future__ import annotations

import gc
import itertools
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import click

from rotator.errors import ExitCode, OutcomeUnknownError, RefusedError, RotatorError, UnavailableError, UnreachableError
from rotator.marker import Marker
from rotator.model import Credential, TokenId
from rotator.rotate import Result
from tests.explore.report import spelled
from tests.explore.world import NOTE, World
from tests.scenario.killing import Killed

T = TypeVar("T")

HOUR = timedelta(hours=1)
EVERY, OVERLAP = timedelta(days=1), HOUR
CLUSTERS = (17, 17, 16)
"""How many credentials each has."""
NODES = 3
MOST_GROWTH = 16.0
"""MiB by which the process may have grown between the first tenth of the rotations and the last."""
PATIENCE = 40
"""How often a credential is tried before it counts as stuck."""
DEPTH = 3
"""How many rotators may stand in the middle of a run, each interrupted by the next."""
INTERRUPTED = 0.004
"""The chance of a call that another rotator does a whole run before it."""


@dataclass
class Tally:
    """What happened, in numbers."""

    runs: int = 0
    calls: int = 0
    logins: int = 0
    late_nodes: int = 0
    """How often a node refused a login that another one took: it was away when the token was tried, and lags behind."""
    interruptions: int = 0
    helped: int = 0
    """How often a person had to delete orphans, because there were more than three."""
    faults: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """The logins that failed."""
        return sum(problem.startswith("login") for problem in self.problems)


@dataclass
class Readers:
    """The consumers of one record: one that reads it each time, and those that still use what they read before."""

    world: World
    name: str
    overlap: float
    last: dict[tuple[str, str], float] = field(default_factory=dict)
    """When each token was last what the record held."""
    published: set[str] = field(default_factory=set)

    def log_in(self, tally: Tally, where: str) -> None:
        """Let all of them log in, on one node or another."""
        now, content = self.world.pve.now(), self.world.read(self.name)
        if "token_id" in content:
            self.last[content["token_id"], content["token_secret"]] = now
        self.last = {token: at for token, at in self.last.items() if now <= at + self.overlap}
        tally.logins += len(self.last)
        for (token, secret), at in self.last.items():
            taken = [self.world.pve.accepts(token, secret, node=node.number) for node in self.world.pve.nodes]
            tally.late_nodes += taken.count(False) if any(taken) else 0
            if not any(taken):
                age = timedelta(seconds=now - at)
                tally.problems.append(f"login of {token} failed, read {age} ago from {self.name}, at {where}")


@dataclass
class Site:
    """One cluster, its credentials and their consumers."""

    world: World
    credentials: list[Credential]
    readers: dict[str, list[Readers]]
    late: list[Callable[[], object]] = field(default_factory=list)
    """What was asked for and will happen later."""


@dataclass
class Weather:
    """What goes wrong, by chance; a guard for each run."""

    chance: random.Random
    rate: float
    tally: Tally
    depth: int = 0

    def guard(self, site: Site, credential: Credential) -> Callable[[str, Callable[[], T]], T]:
        """Stand around each call of one run."""

        def call(label: str, do: Callable[[], T]) -> T:
            self.before(site, credential, label)
            try:
                return self.disturbed(site, credential, label, do)
            finally:
                for readers in site.readers[credential.name]:
                    readers.log_in(self.tally, label)

        return call

    def before(self, site: Site, credential: Credential, label: str) -> None:
        """Let others act first: what comes late, another rotator, and a consumer of something else."""
        self.tally.calls += 1
        if site.late and self.chance.random() < 0.1:
            happen(site.late.pop(self.chance.randrange(len(site.late))))
        other = self.chance.choice(site.credentials)
        for readers in site.readers[other.name]:
            readers.log_in(self.tally, label)
        if self.depth < DEPTH and self.chance.random() < INTERRUPTED:
            self.tally.interruptions += 1
            self.run(site, credential)

    def run(self, site: Site, credential: Credential) -> Result | None:
        """Run one credential, as a process that may die; None when it did, or its cluster did not answer at first."""
        self.depth += 1
        self.tally.runs += 1
        try:
            result = site.world.run(credential, guard=self.guard(site, credential))
        except Killed:
            self.tally.endings["died"] += 1
            return None
        except RotatorError:
            self.tally.endings["no list of users"] += 1
            return None
        finally:
            self.depth -= 1
        self.tally.endings[f"exit code {int(result.exit_code)}"] += 1
        return result

    def disturbed(self, site: Site, credential: Credential, label: str, do: Callable[[], T]) -> T:
        """Do a call, unless it goes wrong."""
        if label == "sleep" or self.chance.random() >= self.rate:
            return do()
        verb = label.partition(" ")[0]
        is_write = verb == "write"
        kind = self.chance.choice(KINDS["change" if is_write or verb in {"POST", "PUT", "DELETE"} else "read"])
        if kind == "edited by an outsider" and not is_write:
            kind = "node lags"
        place = "store" if verb in {"read", "write", "preflight"} else "PVE"
        if kind.startswith("node") and place == "store":
            kind = "unavailable"
        self.tally.faults[f"{place}: {kind}"] += 1
        return self.gone_wrong(kind, site, credential, label, do)

    def gone_wrong(self, kind: str, site: Site, credential: Credential, label: str, do: Callable[[], T]) -> T:  # noqa: C901 - one line for each kind
        """Let one thing go wrong at a call."""
        match kind:
            case "unavailable":
                raise UnavailableError(f"{label}: unavailable")
            case "refused":
                raise RefusedError(f"{label}: refused")
            case "unknown, not done":
                raise OutcomeUnknownError(f"{label}: no answer")
            case "unknown, done":
                do()
                raise OutcomeUnknownError(f"{label}: no answer")
            case "unknown, done later":
                site.late.append(do)
                raise OutcomeUnknownError(f"{label}: no answer")
            case "died before":
                raise Killed
            case "died after":
                do()
                raise Killed
            case "edited by an outsider":
                edit(site.world, credential, self.chance)
            case "node down":
                raise UnreachableError(f"{label}: connection refused")
            case _:
                site.world.pve.lag = self.chance.choice((0.0, 1.0, 3.0))
        return do()


KINDS = {
    "read": ("unavailable", "refused", "died before", "died after", "node down", "node lags"),
    "change": (
        "unavailable",
        "refused",
        "unknown, not done",
        "unknown, done",
        "unknown, done later",
        "died before",
        "died after",
        "edited by an outsider",
    ),
}
"""What may go wrong at a call."""


def happen(late: Callable[[], object]) -> None:
    """Let something happen that nobody waits for any more."""
    try:
        late()
    except RotatorError:
        return


def edit(world: World, credential: Credential, chance: random.Random) -> None:
    """Edit a record as a person does, beside what is ours."""
    name = chance.choice(credential.destinations).location
    world.store.put(name, {**world.read(name), "edited": str(chance.random())})


def site(number: int, count: int) -> Site:
    """Make a cluster with so many credentials, each with its first token; every third has a mirror."""
    world, credentials = World(NODES), list[Credential]()
    for which in range(count):
        name = f"c{number}x{which:02}"
        places = (f"{name}.json", f"{name}-mirror.json")[: 2 if which % 3 == 0 else 1]
        destinations = tuple(world.place(it) for it in places)
        credential = world.credential(name, destinations=destinations, every=EVERY, overlap=OVERLAP)
        for place in places:
            world.store.put(place, NOTE)
        assert world.run(credential).done == ("first-issue",)
        credentials.append(credential)
    readers = {
        it.name: [Readers(world, place.location, OVERLAP.total_seconds()) for place in it.destinations]
        for it in credentials
    }
    return Site(world, credentials, readers)


@dataclass
class Soak:
    """The whole: sites, weather, and how far it has come."""

    seed: int
    clusters: tuple[int, ...] = CLUSTERS
    rate: float = 0.1
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        """Issue all first tokens in good weather."""
        self.sites = [site(number, count) for number, count in enumerate(self.clusters, 1)]
        chance = random.Random(f"soak {self.seed}")  # noqa: S311 - to be repeated, not to be secret
        self.weather = Weather(chance, self.rate, self.tally)
        self.serials = self.published()

    def published(self) -> int:
        """Count the serials of all that is published."""
        return sum(
            serial(place.world.token(it.primary.location).id) for place in self.sites for it in place.credentials
        )

    @property
    def rotations(self) -> int:
        """How many tokens have taken the place of another."""
        return self.published() - self.serials

    def go(self) -> Iterator[None]:
        """Bring one credential after the other to its next rotation, for ever."""
        everything = [(place, it) for place in self.sites for it in place.credentials]
        while True:
            place, credential = self.weather.chance.choice(everything)
            self.settle(place, credential)
            step = EVERY / len(everything) * 2 * self.weather.chance.random()
            for each in self.sites:
                each.world.clock.pass_by(step)
            yield

    def settle(self, place: Site, credential: Credential) -> None:
        """Run a credential again and again, as a timetable does, until it rests."""
        result: Result | None = None
        for _ in range(PATIENCE):
            result = self.weather.run(place, credential)
            if result and result.exit_code is ExitCode.DONE:
                break
            if result and result.reason == "too-many-orphans":
                self.tally.helped += 1
                delete_orphans(place.world, credential)
            place.world.clock.pass_by(timedelta(minutes=self.weather.chance.randrange(1, 8)))
        else:
            self.tally.problems.append(f"{credential.name} does not come to rest: {result}")
        place.world.events.clear()
        place.world.store.history.clear()

    def calm(self) -> None:
        """End all faults, let happen what is late, and run everybody past every deadline."""
        self.weather.rate = 0.0
        for place in self.sites:
            place.world.pve.lag = 0.0
            for late in place.late:
                happen(late)
            for pause in (timedelta(), timedelta(minutes=11), OVERLAP, timedelta(minutes=1)):
                place.world.clock.pass_by(pause + timedelta(seconds=5))
                for credential in place.credentials:  # nothing becomes due any more
                    self.weather.run(place, replace(credential, every=timedelta(days=999)))
            self.tally.problems += itertools.chain.from_iterable(left(place.world, it) for it in place.credentials)


def serial(token: TokenId) -> int:
    """Read the serial in a token's name."""
    return int(token.name.split("-")[-2])


def ours(world: World, credential: Credential) -> dict[str, Marker]:
    """Find the tokens of a credential."""
    found = ((name, Marker.parse(token.comment)) for name, token in world.user(credential).tokens.items())
    return {name: marker for name, marker in found if marker and marker.credential == credential.name}


def delete_orphans(world: World, credential: Credential) -> None:
    """Do what the hint says: delete the tokens that were issued and are not published."""
    current = serial(world.token(credential.primary.location).id)
    for name, marker in ours(world, credential).items():
        if serial(TokenId(credential.userid, name)) > current and not marker.published:
            world.pve.delete_token(f"{credential.userid}!{name}")


def left(world: World, credential: Credential) -> Iterator[str]:
    """Tell what is left of a credential besides the one token that its records hold."""
    current = world.token(credential.primary.location).id
    for name in sorted(set(ours(world, credential)) - {current.name}):
        yield f"left: {name} beside {current}"
    for destination in credential.destinations:
        content = world.read(destination.location)
        if content["token_id"] != str(current) or content["note"] != NOTE["note"]:
            yield f"left: {destination.label} does not hold {current}, or lost what was beside it"


def megabytes() -> float:
    """Tell how much memory this process has now; where that cannot be read, the most that it had."""
    gc.collect()
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


@dataclass(frozen=True)
class Report:
    """What a soak has shown."""

    soak: Soak
    rotations: int
    growth: float
    seconds: float

    @property
    def is_well(self) -> bool:
        """Whether nothing happened that must not."""
        return not self.soak.tally.problems and self.growth <= MOST_GROWTH

    def lines(self) -> Iterator[str]:
        """Write it for people."""
        tally, credentials = self.soak.tally, sum(self.soak.clusters)
        tokens = sum(len(ours(place.world, it)) for place in self.soak.sites for it in place.credentials)
        yield f"seed                {self.soak.seed}"
        yield f"credentials         {credentials} on {len(self.soak.clusters)} clusters of {NODES} nodes"
        yield f"rotations           {self.rotations:,}"
        yield f"runs                {tally.runs:,}, {tally.interruptions:,} of them in the middle of others"
        yield f"calls               {tally.calls:,}"
        yield f"faults              {tally.faults.total():,}"
        yield from (f"  {kind:<32}{count:>8,}" for kind, count in sorted(tally.faults.items()))
        yield "runs that ended with"
        yield from (f"  {kind:<32}{count:>8,}" for kind, count in sorted(tally.endings.items()))
        yield f"consumer logins     {tally.logins:,}"
        yield f"failed logins       {tally.failed:,}"
        yield f"  refused by a node that lags behind, taken by another: {tally.late_nodes:,}"
        yield f"helped by a person  {tally.helped:,}"
        yield f"tokens left         {tokens:,}, orphans {tokens - credentials:,}"
        yield f"memory growth       {self.growth:.1f} MiB"
        yield f"time                {spelled(self.seconds)}"
        yield from (f"PROBLEM {problem}" for problem in tally.problems[:20])


def soaked(rotations: int, seed: int, clusters: tuple[int, ...] = CLUSTERS, rate: float = 0.1) -> Report:
    """Rotate so often, and report."""
    begun, soak, sizes = time.monotonic(), Soak(seed, clusters, rate), dict[int, float]()
    for turn, _ in enumerate(soak.go()):
        done = soak.rotations
        tenth = done * 10 // rotations
        if turn % 10 == 0 and tenth not in sizes and tenth:
            sizes[tenth] = megabytes()
        if done >= rotations or len(soak.tally.problems) > 100:
            break
    soak.calm()
    growth = max(0.0, max(sizes.values()) - sizes[min(sizes)]) if sizes else 0.0
    return Report(soak, soak.rotations, growth, time.monotonic() - begun)


@click.command()
@click.option("--rotations", default=10_000, show_default=True, help="How many.")
@click.option("--seed", default=1, show_default=True, help="Where all chance comes from.")
def main(*, rotations: int, seed: int) -> None:
    """Rotate thousands of times in bad weather; exit with 1 when anything is wrong."""
    report = soaked(rotations, seed)
    click.echo("\n".join(report.lines()))
    sys.exit(0 if report.is_well else 1)


if __name__ == "__main__":
    main()
