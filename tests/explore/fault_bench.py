"""A world in which one rotation is given again and again, each time with one thing that goes wrong.

The rotation is the product's own, over real TLS, with the real adapter: ``tests.world``. A run without any fault tells
which calls there are; then each of them goes wrong in each way, once or until the run ends. Afterwards what it says is
compared with the world, and further runs without the fault must come to rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from rotator import fleet
from rotator.events import Event, Outcome, Step
from rotator.fleet import Fleet
from rotator.model import Request
from rotator.proxmox import READ_TIMEOUT, ProxmoxCluster, TlsTrust
from rotator.pve import Pve
from rotator.rotate import Result
from rotator.testing import exchange, faulty_backend
from rotator.testing.faulty_backend import FaultyBackend
from rotator.testing.server import Front
from rotator.testing.state import Token
from rotator.testing.vault import SimulatedVault
from tests.explore import fault_checks as checks
from tests.explore.direct import DirectPve
from tests.explore.fault_plays import RECORDS, LateWitness, Play, go_back, kept, planted
from tests.explore.fault_stores import Disk, opened
from tests.scenario.witness import foreign
from tests.world import World, world

T = TypeVar("T")

IMPATIENT = timedelta(seconds=0.8)
"""How long an answer is waited for where none will come."""


@dataclass(frozen=True)
class Point:
    """One call of a rotation to the outside: at PVE or in the store, the how many-th there, and in which step."""

    place: str
    number: int
    step: str
    call: str
    heard: int
    """How many events there were before it."""
    node: int = 0

    def __str__(self) -> str:
        return f"{self.place} {self.number}, {self.step}: {self.call}"


@dataclass(frozen=True)
class Case:
    """What goes wrong, where, and whether once or until the run ends."""

    point: Point
    kind: str
    lasts: bool

    def __str__(self) -> str:
        return f"{self.kind} for good" if self.lasts else self.kind


@dataclass(frozen=True)
class Ending:
    """What came of a case: the result, and what was violated."""

    case: Case
    result: Result
    published: str
    violations: tuple[str, ...]

    def __str__(self) -> str:
        """Write what no change of the product must change unseen: exit code, reason, failed step, what is out."""
        failed = f" at {self.result.step}" if self.result.step else ""
        return f"{int(self.result.exit_code)} {self.result.reason}{failed}, {self.published} is out"


Disturbance = Callable[[], bool]
"""Tells whether what was to go wrong has come about."""


@dataclass
class Bench:
    """A world, a play, and all that is needed to give it again."""

    w: World
    play: Play
    known: set[str]
    """Every secret that there was."""
    disk: Disk
    """What is below the files."""
    vault: SimulatedVault | None = None
    """The store instead of files, in some plays."""
    events: list[Event] = field(default_factory=list)
    step: str = ""
    on_event: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        """Prepare the play."""
        self.credential = planted(self.w, self.play)
        self.moment = kept(self.w)
        self.others: dict[str, Token] = {}
        self.points: list[Point] = []
        self.looks: list[faulty_backend.Fault] = []

    # one run

    def listen(self, event: Event) -> None:
        """Follow the steps."""
        self.events.append(event)
        if event.outcome is Outcome.STARTED:
            self.step = event.step
        elif event.step is Step.DECIDE:
            self.step = "act"
        else:
            self.step = "observe"
        self.on_event()

    def run(self, request: Request | None = None, *, patience: timedelta = READ_TIMEOUT) -> Result:
        """Run as ``rotate due`` does, in a process of its own."""
        nodes = [node.endpoint for node in self.w.pve.nodes]
        trust, time = TlsTrust(ca_file=self.w.ca), self.w.clock.monotonic
        cluster = ProxmoxCluster(
            "home",
            nodes,
            login=lambda: self.w.operator,
            trust=trust,
            connect_timeout=READ_TIMEOUT,  # nobody is waited for there in vain, but a busy machine
            read_timeout=patience,
            monotonic=time,
        )
        try:
            return self.rotated(cluster, request)
        finally:
            cluster.close()

    def rotated(self, cluster: Pve, request: Request | None = None) -> Result:
        """Rotate with a cluster."""
        self.step = "observe"
        made = Fleet(lambda _: cluster, self.w.backends, self.w.clock, self.listen, self.w.draw, 1)
        return fleet.rotate(made, [self.credential], request)[0]

    def begin(self) -> None:
        """Put everything back to where the play begins."""
        self.disk.ahead, self.disk.error = 0, None
        self.calm_vault()
        self.w.store = FaultyBackend(self.w.records.backend())
        self.w.backends[self.w.records.kind] = self.w.store
        for name in RECORDS:
            self.w.place(name)
        go_back(self.w, self.moment)
        self.w.randoms = itertools.count(20000)
        self.on_event = lambda: None
        self.events.clear()
        self.others = checks.others(foreign(self.w), self.credential)

    # the calls that there are

    def survey(self) -> list[Point]:
        """Give the play undisturbed and return its calls."""
        self.begin()
        self.points = []
        self.w.traffic.watchers.append(self.overhear)
        self.w.spoil(faulty_backend.Before(self.overlook, AssertionError()))
        if self.vault:
            self.vault.intercept = lambda asked: self.note("vault", f"{asked.method} {asked.path}")
        result = self.run(self.play.request)
        assert not result.exit_code, result
        return self.points

    def overhear(self, asked: exchange.Request) -> None:
        """Note a request to PVE."""
        node = next(node for node in self.w.pve.nodes if node.name == asked.node)
        as_whom = "" if asked.who == str(self.w.operator.id) else f" as {checks.readable(asked.who)}"
        self.note("pve", f"{asked.method} {checks.readable(asked.path)}{as_whom}", node.number)

    def overlook(self, call: faulty_backend.Call) -> bool:
        """Note a call of the store, and let it be done."""
        if len(self.w.store.calls) > sum(point.place == "store" for point in self.points):  # asked twice for a read
            self.note("store", f"{call.operation} {call.label.rpartition('/')[2]}")
        return False

    def note(self, place: str, call: str, node: int = 0) -> None:
        """Note a call."""
        number = 1 + sum(point.place == place for point in self.points)
        self.points.append(Point(place, number, self.step, call, len(self.events), node))

    # one case

    def tried(self, case: Case, disturb: Callable[[Bench, Case], Disturbance], *, is_slow: bool = False) -> Ending:
        """Let one thing go wrong, look what comes of it, and what further runs make of that."""
        self.begin()
        has_come = disturb(self, case)
        faults = len(self.w.store.plan)
        witness = self.witness()
        self.looks = self.w.store.plan[faults:]
        result = self.run(self.play.request, patience=IMPATIENT if is_slow else READ_TIMEOUT)
        violations = [] if has_come() else ["what was to go wrong did not come about"]
        violations += checks.of(result, self.w, self.credential)
        published = checks.published(self.w)
        self.heal()
        violations += self.rest(witness)
        violations += checks.leaks((result, self.events), self.known)
        violations += checks.touched(self.others, foreign(self.w))
        violations += self.seen_by(witness)
        return Ending(case, result, published, tuple(violations))

    def witness(self) -> LateWitness | None:
        """Put a witness on the record, where it works all the time."""
        if not self.play.is_seamless:
            return None
        return LateWitness(self.w, self.credential, checks.permissions(self.w, self.credential))

    def seen_by(self, witness: LateWitness | None) -> list[str]:
        """Return what a witness saw; that a predecessor was put back, and said to be, is no violation of I4."""
        was_put_back = any(event.step is Step.RESTORE for event in self.events)
        seen = dict.fromkeys(witness.violations) if witness else {}
        return [it for it in seen if not (was_put_back and it.startswith("I4"))]

    def heal(self) -> None:
        """End what is wrong; what was put off happens now. Whoever looks on goes on looking."""
        self.on_event = lambda: None
        self.w.traffic.planned.clear()
        self.w.store.plan[:] = self.looks
        self.disk.error = None
        self.calm_vault()
        self.open_doors()
        for node in self.w.pve.nodes:
            node.quorate = True
        self.w.pve.lag = 0.0
        self.w.pve.apply_late()

    def calm_vault(self) -> None:
        """Let Vault be well."""
        if self.vault:
            self.vault.intercept, self.vault.sealed, self.vault.standby = None, False, ""

    def open_doors(self) -> None:
        """Let every node answer for itself."""
        for node in self.w.pve.nodes:
            node.down, node.front = False, Front.ITSELF

    def rest(self, witness: LateWitness | None) -> list[str]:
        """Run on past every deadline: one marked token must be left, in every record, and then nothing is to do.

        Nothing is wrong any more, so it goes without TLS, which is most of the time that a run takes.
        """
        changes: list[str] = []

        def look(label: str, call: Callable[[], T]) -> T:
            changes.extend([label] if not label.startswith("GET") else [])
            if witness:
                witness.look(label)
            return call()

        cluster = DirectPve(self.w.pve, lambda: self.w.operator, self.w.clock.monotonic, look)
        for pause in (timedelta(), self.credential.in_flight, self.credential.overlap, timedelta(minutes=1)):
            self.w.clock.pass_by(pause + timedelta(seconds=5))
            self.rotated(cluster)
        changes.clear()
        result = self.rotated(cluster)
        found = (
            [f"I3: further runs end with {result}"] if (result.reason, result.exit_code) != ("up-to-date", 0) else []
        )
        if changes or result.done:
            found.append(f"I3: further runs go on changing: {changes}")
        return found + checks.unrested(self.w, self.credential, set(self.others))


@contextmanager
def bench(folder: Path, play: Play, *, is_slow: bool = True) -> Iterator[Bench]:
    """Make a world and prepare a play in it; unless it is slow, Vault answers in the end, be the machine ever so busy.

    How long Vault is waited for is decided with its connection, and so for all cases.
    """
    known: set[str] = set()
    disk, timeout = Disk(), IMPATIENT if is_slow else READ_TIMEOUT
    with (
        opened(folder, disk, in_vault=play.in_vault, timeout=timeout.total_seconds()) as (records, vault),
        world(folder, records=records, nodes=play.nodes, watch=known.add) as made,
    ):
        yield Bench(made, play, known, disk, vault)
