"""What is measured: each scenario makes its world, lets the product work, and holds the result against its target."""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rotator.marker import Marker
from rotator.model import Credential, Destination, TokenId, TokenState, UserState
from rotator.policy import judge_at_a_glance
from tests.bench import bare
from tests.bench.lab import Lab, Taken, laboratory
from tests.bench.product import command, service, warm
from tests.bench.profile import parts
from tests.bench.rivals import compare

STORES = ("file", "vault")


@dataclass(frozen=True)
class Target:
    """What something must not exceed, or with ``at_least`` must reach."""

    what: str
    value: float
    bound: float
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it holds."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


@dataclass(frozen=True)
class Row:
    """One line of the result."""

    name: str
    taken: Taken
    rotations: int
    limit: float = 0.0
    """The seconds that it cannot be faster than; 0 where there is no such thing."""
    targets: tuple[Target, ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)
    """CPU milliseconds of a rotation by whose they are, where that was looked at."""


Scenario = Callable[[], Iterator[Row]]


@contextmanager
def world(clusters: int, users: int, *, planted: bool = False) -> Iterator[Lab]:
    """Make clusters and a folder for the configuration."""
    with (
        tempfile.TemporaryDirectory() as folder,
        laboratory(Path(folder), clusters=clusters, users=users, planted=planted) as lab,
    ):
        yield lab


def one() -> Iterator[Row]:
    """One credential with a predecessor, warm: at most 13 calls, at most 1.5 times the server's own time."""
    for store in STORES:
        with world(1, 1) as lab:
            taken = middle(warm(lab, lab.configure(1, store=store), 15))
        calls = sum(taken.calls.values()) + sum(taken.stored.values())
        targets = [Target("wall / own time", taken.wall / taken.own[0], 1.5)]
        targets += [Target("calls", calls, 13)] if store == "vault" else []
        yield Row(f"one, warm, {store}", taken, 1, taken.own[0], tuple(targets))


def where() -> Iterator[Row]:
    """Look with a profiler where the CPU of a rotation goes; it takes time itself, so only the shares count."""
    for store in STORES:
        with world(1, 20) as lab:
            taken = list[Taken]()
            with lab.measured(taken):
                found = parts(lab.configure(20, store=store), 3)
        yield Row(f"60 rotations in a row, profiled, {store}", taken[0], 80, parts=found)


def floor() -> Iterator[Row]:
    """Do nothing but the connections and exchanges of rotations: what they cost whoever does them."""
    with world(1, 1) as lab:
        taken = list[Taken]()
        with lab.measured(taken):
            bare.rotate(lab, 200)
    yield Row("200, connections and bytes alone", taken[0], 200, (taken[0].cpu + taken[0].served) / 2)


def twenty() -> Iterator[Row]:
    """Twenty on one cluster, warm and without a cold start: at most 1.2 times the time that its write lock is held."""
    for store in STORES:
        with world(1, 20) as lab:
            config = lab.configure(20, store=store)
            taken = middle(warm(lab, config, 7))
            cold = command(lab, "now", "--all", "--config", str(config))
            start = command(lab, "due", "--config", str(config))
        limit = taken.writing[0]
        targets = (Target("wall / limit", taken.wall / limit, 1.2),)
        yield Row(f"20 on one cluster, warm, {store}", taken, 20, limit, targets)
        targets = (Target("(wall - start) / limit", (cold.wall - start.wall) / limit, 1.2),)
        yield Row(f"20 on one cluster, cold, {store}", cold, 20, limit, targets)


def thousand() -> Iterator[Row]:
    """Rotate a thousand on fifty clusters: at most 1.3 times the slowest cluster's time, or CPU time on two cores."""
    for store in STORES:
        with world(50, 20) as lab:
            config = lab.configure(1000, store=store)
            command(lab, "now", "--all", "--parallel", "32", "--config", str(config))
            taken = command(lab, "now", "--all", "--parallel", "32", "--config", str(config))
        limit = max(*taken.own, (taken.cpu + taken.served) / 2)
        yield Row(
            f"1,000 on 50 clusters, {store}", taken, 1000, limit, (Target("wall / limit", taken.wall / limit, 1.3),)
        )


def idle() -> Iterator[Row]:
    """Nothing due: one call for each cluster and none to the store, whatever the number of credentials."""
    for number in (1_000, 10_000):
        with world(50, number // 50, planted=True) as lab:
            taken = command(lab, "due", "--config", str(lab.configure(number, store="vault")))
        calls, stored = sum(taken.calls.values()), sum(taken.stored.values())
        targets = (Target("calls for each cluster", calls / 50, 1), Target("calls to the store", stored, 0))
        yield Row(f"{number:,} on 50 clusters, nothing due", taken, 0, max(taken.own), targets)


def rivals() -> Iterator[Row]:
    """Let rivals do the same: as fast as the script for one, ten times as fast for the 1,000; ten times Ansible."""
    with world(1, 10) as lab:
        config = lab.configure(1, store="vault")
        ours = middle(warm(lab, config, 9))
        cold = best(lambda: command(lab, "now", "t0", "--config", str(config)))
        script = best(lambda: compare.sequential(lab, 1), 3)
        shell = best(lambda: compare.shell(lab, 10), 1)
        ansible = best(lambda: compare.ansible(lab, 10), 1)
    each = ansible.wall / 10
    yield Row("one, cold", cold, 1, cold.own[0], (Target("of the script's wall", cold.wall / script.wall, 1),))
    yield Row("one, the sequential script, cold", script, 1, script.own[0])
    yield Row("10, the shell script", shell, 10, shell.own[0])
    bounds = (Target("times our wall for one", each / ours.wall, 10, at_least=True),)
    yield Row("10, Ansible", ansible, 10, ansible.own[0], bounds)
    with world(50, 20) as lab:
        config = lab.configure(1000, store="vault")
        command(lab, "now", "--all", "--parallel", "32", "--config", str(config))
        ours = command(lab, "now", "--all", "--parallel", "32", "--config", str(config))
        script = compare.sequential(lab, 1000)
    bounds = (Target("times our wall for the 1,000", script.wall / ours.wall, 10, at_least=True),)
    yield Row("1,000, rotate", ours, 1000, max(ours.own))
    yield Row("1,000, the sequential script", script, 1000, sum(script.own), bounds)


def start() -> Iterator[Row]:
    """Cold starts: help within 0.25 s CPU, nothing due within 0.5 s CPU and 60 MB."""
    with world(1, 1) as lab:
        config = str(lab.configure(1, store="vault"))
        now = best(lambda: command(lab, "now", "t0", "--config", config))
        due = best(lambda: command(lab, "due", "--config", config))
        told = best(lambda: command(lab, "--help"))
    yield Row("rotate --help", told, 0, targets=(Target("CPU seconds", told.cpu, 0.25),))
    bounds = (Target("CPU seconds", due.cpu, 0.5), Target("MB", due.memory, 60))
    yield Row("rotate due, nothing due", due, 0, targets=bounds)
    yield Row("rotate now, one", now, 1, now.own[0])


def middle(every: Sequence[Taken]) -> Taken:
    """Take the one in the middle."""
    return sorted(every, key=lambda it: it.wall)[len(every) // 2]


def best(measure: Callable[[], Taken], times: int = 5) -> Taken:
    """Measure several times and take the one with the least CPU: what is above it is somebody else's."""
    return min((measure() for _ in range(times)), key=lambda it: it.cpu)


NOW = datetime(2026, 3, 1, tzinfo=UTC)


def fleet_of(number: int) -> Iterator[tuple[Credential, UserState]]:
    """Make credentials that are up to date, each with what PVE lists of its user."""
    place = (Destination("vault", "a", "vault:a"),)
    for each in range(number):
        userid = f"u{each}@pve"
        credential = Credential(
            name=f"t{each}",
            cluster=f"c{each % 50}",
            owner="bench",
            userid=userid,
            base=f"t{each}",
            every=timedelta(days=30),
            overlap=timedelta(hours=1),
            destinations=place,
        )
        marker = Marker("bench", f"t{each}", "r1", NOW - timedelta(days=1), published=True)
        token = TokenState(TokenId(userid, f"t{each}-1-aaaaa"), comment=marker.comment())
        yield credential, UserState(userid, tokens=(token,))


def serving() -> Iterator[Row]:
    """Hold 10,000 credentials in a service that has looked at each cluster once: at most 150 MB."""
    for number in (1_000, 10_000):
        with world(50, number // 50, planted=True) as lab:
            taken = service(lab, lab.configure(number, store="vault"), 50)
        bounds = (Target("MB", taken.memory, 150),) if number == 10_000 else ()
        yield Row(f"{number:,} held by the service", taken, 0, targets=bounds)


def day() -> Iterator[Row]:
    """Live through a day with 10,000 credentials by a turned clock, with a look each 15 minutes: no growth."""
    command = [sys.executable, "-m", "tests.bench.day", "10000"]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)  # noqa: S603 - ours
    taken = Taken(told["wall"], told["cpu"], 0, Counter(), Counter(), (), (), max(told["held"]))
    bounds = (
        Target("memory at its end / after an hour", told["held"][-1] / told["held"][0], 1.02),
        Target("MB at any hour", max(told["held"]), 150),
        Target("memory of its last hours / of earlier ones", told["growth"], 1.01),
        Target("credentials that are well", told["well"], 10_000, at_least=True),
    )
    yield Row(f"a day with 10,000, {told['rotations']} of them rotated", taken, 0, targets=bounds)


def planning() -> Iterator[Row]:
    """Plan a hundred thousand from memory: at most 5 s CPU and 300 MB, and time grows with their number only."""
    seconds: dict[int, float] = {}
    for number in (1_000, 10_000, 100_000):
        tracemalloc.start()
        known = list(fleet_of(number))
        judge_all(known)
        memory = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        judge_all(known)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        seconds[number] = cpu / number
        taken = Taken(wall, cpu, 0, Counter(), Counter(), (), (), memory)
        bounds: tuple[Target, ...] = ()
        if number == 100_000:
            growth = cpu / number / statistics.fmean([seconds[1_000], seconds[10_000]])
            bounds = (Target("CPU seconds", cpu, 5), Target("MB", memory, 300), Target("growth for each", growth, 1.5))
        yield Row(f"{number:,} planned from memory", taken, 0, targets=bounds)


def judge_all(known: list[tuple[Credential, UserState]]) -> None:
    """Judge each; all are up to date."""
    if not all(judge_at_a_glance(credential, user, NOW) for credential, user in known):
        raise AssertionError("all are up to date")


SCENARIOS: Mapping[str, Scenario] = {
    "one": one,
    "where": where,
    "floor": floor,
    "twenty": twenty,
    "thousand": thousand,
    "idle": idle,
    "start": start,
    "planning": planning,
    "serving": serving,
    "day": day,
    "rivals": rivals,
}
