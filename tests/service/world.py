"""A service in a world that lives in memory: clusters without a network, records in a dict, a clock that is turned."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.executors.debug import DebugExecutor

from rotator.config import InvalidConfigError
from rotator.errors import UnavailableError
from rotator.events import Event, Listener
from rotator.faults import Problem
from rotator.fleet import Fleet
from rotator.model import Credential, Destination, Secret, Stored, Token, TokenId, Version
from rotator.pve import Pve
from rotator.references import EnvReference
from rotator.service.leader import Everybody, Leader
from rotator.service.reload import Source
from rotator.service.service import House, Service
from rotator.service.standing import CredentialStanding
from rotator.settings import ClusterSettings, ServiceSettings, Settings, TokenOperator
from rotator.shards import ALL, Shard
from rotator.testing.pve import SimulatedPve
from tests.contract.memory import MemoryBackend
from tests.explore.direct import DirectPve, Guard, at_once
from tests.world import TurnedClock

EVERY, OVERLAP = timedelta(days=30), timedelta(hours=24)
OPERATOR = TokenId("rotator@pve", "operator")
KIND = "memory"


class Clock(TurnedClock):
    """A clock whose wall time can be set without its monotonic time."""

    def __init__(self) -> None:
        super().__init__()
        self.set_by = timedelta()

    def now(self) -> datetime:
        """Tell what the wall clock shows."""
        return super().now() + self.set_by


class Shop(MemoryBackend):
    """A store that knows when each record was written."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.written: dict[str, list[tuple[datetime, Stored]]] = {}

    def write(self, location: Any, fields: Any, *, expected: Version | None) -> Version:  # noqa: ANN401 - as in the protocol
        """Write, and note the time."""
        version = super().write(location, fields, expected=expected)
        at = datetime.fromtimestamp(self._clock.time(), UTC)
        self.written.setdefault(str(location), []).append((at, self._records[location]))
        return version


@dataclass
class Street:
    """Clusters with an operator each, and everything that a service on them is made of."""

    folder: Path
    clusters: tuple[str, ...] = ("one",)
    guard: Guard = at_once
    service_settings: ServiceSettings = field(default_factory=ServiceSettings)
    leader: Leader = field(default_factory=Everybody)
    shard: Shard = ALL
    executor: BaseExecutor = field(default_factory=DebugExecutor)
    parallel: int = 1
    nodes: int = 1
    listeners: list[Listener] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the clusters."""
        self.clock = Clock()
        self.shop = Shop(self.clock)
        self.randoms = itertools.count(10000)
        self.events: list[Event] = []
        self.bugs: list[Exception] = []
        self.rings = 0
        self.closed = 0
        self.credentials: list[Credential] = []
        self.error: Exception | None = None
        self.pves = {name: self.make_pve() for name in self.clusters}
        self.path = self.folder / "rotate.yaml"
        self.path.write_text("0", encoding="utf-8")

    def make_pve(self) -> SimulatedPve:
        """Make a cluster whose operator may manage the group's tokens."""
        pve = SimulatedPve(nodes=self.nodes, clock=self.clock.time, sleep=self.clock.sleep)
        pve.add_group("rotated")
        pve.add_role("TokenRotator", ["User.Modify"])
        pve.add_user(OPERATOR.userid)
        pve.grant("/access/groups/rotated", "TokenRotator", user=OPERATOR.userid)
        self.secrets: dict[int, Token] = getattr(self, "secrets", {})
        self.secrets[id(pve)] = Token(OPERATOR, Secret(pve.add_token(OPERATOR.userid, OPERATOR.name, privsep=False)))
        return pve

    # what is configured

    def add(self, name: str, cluster: str = "one", **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
        """Configure a credential with a user of its own; the file changes with it."""
        userid = f"{name}@pve"
        if name not in {it.name for it in self.credentials}:
            self.pves[cluster].add_user(userid, groups=("rotated",))
            self.pves[cluster].grant("/vms", "PVEVMUser", user=userid)
        place = Destination(KIND, name, f"{KIND}:{name}")
        plain = Credential(name, cluster, "tests", userid, name, EVERY, OVERLAP, (place,), privsep=False)
        made = replace(plain, **changes)
        self.credentials = [it for it in self.credentials if it.name != name] + [made]
        self.touch()
        return made

    def touch(self) -> None:
        """Make the file another one."""
        self.path.write_text(self.path.read_text(encoding="utf-8") + "0", encoding="utf-8")

    def spoil(self) -> None:
        """Make the file a wrong one."""
        self.error = InvalidConfigError(self.path, [Problem(3, 1, "owner", "missing")])
        self.touch()

    def mend(self) -> None:
        """Make the file a right one again."""
        self.error = None
        self.touch()

    def load(self) -> Settings:
        """Read the configuration, as it were."""
        if self.error:
            raise self.error
        operator = TokenOperator(OPERATOR, EnvReference("UNUSED"))
        clusters = {
            name: ClusterSettings(name, tuple(f"{name}:{8006 + number}" for number in range(self.nodes)), operator)
            for name in self.clusters
        }
        return Settings(
            self.path, "tests", {KIND: self.shop}, clusters, tuple(self.credentials), service=self.service_settings
        )

    # what is run

    def serve(self) -> Service:
        """Make the service."""
        return Service(
            House(
                source=Source(self.path, self.load),
                open_fleet=self.open_fleet,
                clock=self.clock,
                leader=self.leader,
                executor=self.executor,
                ring=self.ring,
                caught=self.bugs.append,
                listeners=[self.events.append, *self.listeners],
                shard=self.shard,
            )
        )

    def ring(self) -> None:
        """Count."""
        self.rings += 1

    @contextmanager
    def open_fleet(self, _settings: Settings, listen: Listener) -> Iterator[Fleet]:
        """Open a fleet on the clusters."""
        opened: dict[str, Pve] = {}

        def open_cluster(name: str) -> Pve:
            if name not in opened:
                opened[name] = self.connect(name)
            return opened[name]

        try:
            yield Fleet(open_cluster, {KIND: self.shop}, self.clock, listen, self.draw, self.parallel)
        finally:
            self.closed += 1

    def connect(self, name: str) -> Pve:
        """Connect to a cluster."""
        pve = self.pves[name]
        return DirectPve(pve, lambda: self.secrets[id(pve)], self.clock.monotonic, self.guard, name)

    def draw(self) -> str:
        """Draw the random part of a name."""
        return f"{next(self.randoms):05d}"

    def go_on(self, service: Service, duration: timedelta, step: Callable[[], None] = lambda: None) -> None:
        """Let time pass, and the service do what is due when it is due."""
        end = self.clock.seconds + duration.total_seconds()
        while True:
            wait = service.begin_due()
            step()
            if self.clock.seconds + wait > end:
                break
            self.clock.sleep(wait)
        self.clock.seconds = end

    # what is seen

    def down(self, cluster: str = "one", *, is_down: bool = True) -> None:
        """Take a cluster away, or give it back."""
        self.pves[cluster].nodes[0].down = is_down

    def stands(self, service: Service, name: str) -> CredentialStanding:
        """Tell how a credential stands."""
        return service.board.standing.credentials[name]

    def works(self, credential: Credential) -> bool:
        """Say whether a consumer that reads the record now can log in."""
        stored = self.shop.read(credential.name)
        if stored is None:
            return False
        fields = {key: value.reveal() for key, value in stored.fields.items()}
        return self.pves[credential.cluster].accepts(fields["token_id"], fields["token_secret"])

    def tokens(self, credential: Credential) -> list[str]:
        """List the names of a credential's tokens, without their random part."""
        return [name.rpartition("-")[0] for name in self.pves[credential.cluster].tokens(credential.userid)]


class Outage:
    """A guard that lets some calls fail, by their number."""

    def __init__(self, fails: Callable[[str, int], bool]) -> None:
        self._fails = fails
        self._numbers = itertools.count()

    def __call__(self, label: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the call returns
        """Do the call, or say that it cannot be done now."""
        if self._fails(label, next(self._numbers)):
            raise UnavailableError(f"{label}: not now")
        return call()
