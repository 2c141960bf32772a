"""A whole world for scenarios: a simulated PVE over TLS, the real adapter, a store, a clock that tests turn."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rotator.act import Ports
from rotator.backend import Backend
from rotator.durations import spell_duration
from rotator.errors import UnavailableError
from rotator.events import Event
from rotator.fleet import Fleet
from rotator.marker import Marker, Name
from rotator.model import Credential, Destination, Grant, Request, Secret, Token, TokenId, Version
from rotator.proxmox import ProxmoxCluster, TlsTrust
from rotator.pve import Pve
from rotator.rotate import Result, Run
from rotator.testing import exchange, faulty_backend
from rotator.testing.faulty_backend import Before, FaultyBackend, Operation
from rotator.testing.pve import SimulatedPve
from rotator.testing.state import Holder, State

if TYPE_CHECKING:  # the stores bring all their libraries along, and the worlds in memory need none
    from tests.stores import Records

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OVERLAP = timedelta(hours=24)
EVERY = timedelta(days=30)
FOR_GOOD = 3600.0
"""Seconds that an idle connection is kept: a disk that takes long must not decide whether the next call has one."""


class TurnedClock:
    """A clock that stands still until it is turned; waiting turns it."""

    def __init__(self) -> None:
        self.seconds = START.timestamp()
        self._lock = threading.Lock()

    def time(self) -> float:
        """Tell the seconds since 1970."""
        return self.seconds

    def now(self) -> datetime:
        """Tell the time."""
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        """Tell seconds that only go on."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Turn the clock."""
        with self._lock:
            self.seconds += seconds

    def pass_by(self, duration: timedelta) -> None:
        """Let time pass."""
        self.sleep(duration.total_seconds())


@dataclass
class Planned:
    """A fault for so many requests of a method whose path holds a text, after so many have gone through."""

    method: str
    text: str
    fault: exchange.Fault | None
    times: int
    after: int = 0

    def meets(self, request: exchange.Request) -> bool:
        """Count a request; say whether the fault is for it."""
        if request.method != self.method or self.text not in request.path or not self.times:
            return False
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        return True


@dataclass
class Traffic:
    """All that passes through the simulated PVE: who looks on, and what is planned to go wrong."""

    watchers: list[Callable[[exchange.Request], None]] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)

    def __call__(self, request: exchange.Request) -> exchange.Fault | None:
        """Let everybody look, then return the first fault that is due."""
        for watcher in self.watchers:
            watcher(request)
        return next((it.fault for it in self.planned if it.meets(request)), None)


@dataclass
class World:
    """One cluster, one user with its tokens, one operator, and a folder for records."""

    folder: Path
    pve: SimulatedPve
    clock: TurnedClock
    records: Records
    backends: dict[str, Backend] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    userid: str = "ci@pve"
    watch: Callable[[str], None] = lambda _: None
    """Takes every secret that comes into being."""
    operator: Token = field(init=False)

    def __post_init__(self) -> None:
        """Give everybody the rights that the documentation tells to give."""
        self.store = FaultyBackend(self.records.backend())
        self.backends.setdefault(self.records.kind, self.store)
        self.traffic = Traffic([lambda _: self.watch_secrets()])
        self.pve.intercept = self.traffic
        self.randoms = itertools.count(10000)
        self.operator = populate(self.pve, self.userid)
        self.ca = self.folder / "ca.pem"
        self.ca.write_bytes(self.pve.ca_pem)
        self.connections: list[ProxmoxCluster] = []
        self.cluster = self.connect()

    def connect(self, operator: Callable[[], Token] | None = None, name: str = "home") -> ProxmoxCluster:
        """Open the cluster the way the product does; each rotator of a race has a connection of its own."""
        made = ProxmoxCluster(
            name,
            [node.endpoint for node in self.pve.nodes],
            login=operator or (lambda: self.operator),
            trust=TlsTrust(ca_file=self.ca),
            monotonic=self.clock.monotonic,
        )
        self.connections.append(made)
        return made

    def place(self, name: str, backend: str = "") -> Destination:
        """Make a destination among the world's records."""
        backend = backend or self.records.kind
        location, label = self.backends[backend].locate(self.records.settings(name))
        return Destination(backend, location, label)

    def name_of(self, destination: Destination) -> str:
        """Tell what a destination is called among the world's records."""
        return destination.label.removeprefix(self.place("x.json").label.removesuffix("x.json"))

    def credential(self, name: str = "ci", **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
        """Configure a credential; privilege-separated with one grant unless changed."""
        plain = Credential(
            name=name,
            cluster="home",
            owner="tests",
            userid=self.userid,
            base=name,
            every=EVERY,
            overlap=OVERLAP,
            destinations=(self.place(f"{name}.json"),),
            grants=(Grant("/vms", "PVEVMUser"),),
        )
        return replace(plain, **changes)

    def ports(self, cluster: Pve | None = None, backends: Mapping[str, Backend] | None = None) -> Ports:
        """Give an executor all that it touches."""
        return Ports(cluster or self.cluster, backends or self.backends, self.clock, self.events.append, self.draw)

    def draw(self) -> str:
        """Draw the random part of a name."""
        return str(next(self.randoms))

    def run(
        self,
        credential: Credential,
        request: Request | None = None,
        *,
        ports: Ports | None = None,
        **wish: Any,  # noqa: ANN401 - fields of a request
    ) -> Result:
        """Run one credential until it rests."""
        used = ports or self.ports()
        user = used.pve.users().get(credential.userid)
        return Run(credential, used, request or Request(**wish), user).until_rest()

    def settled(self, **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
        """Issue the first token of a credential into records that hold a foreign key, and return the credential."""
        credential = self.credential(**changes)
        for destination in credential.destinations:
            if self.records.read(name := self.name_of(destination)) is None:
                self.write({"note": "by hand"}, name)
        result = self.run(credential)
        assert (result.reason, result.done) == ("up-to-date", ("first-issue",)), result
        self.forget()
        return credential

    def due(self, **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
        """Make a credential whose one token is due."""
        credential = self.settled(**changes)
        self.clock.pass_by(credential.every)
        return credential

    def forget(self) -> None:
        """Forget what was told and asked so far."""
        self.events.clear()
        self.pve.calls.clear()
        self.store.calls.clear()

    def fleet(self, open_cluster: Callable[[str], ProxmoxCluster] | None = None, parallel: int = 2) -> Fleet:
        """Make a fleet of this one cluster."""
        opener = open_cluster or (lambda _: self.cluster)
        return Fleet(opener, self.backends, self.clock, self.events.append, self.draw, parallel)

    # what goes wrong

    def disturb(self, method: str, text: str, fault: exchange.Fault | None, *, times: int = 1, after: int = 0) -> None:
        """Plan a fault for requests of that method whose path holds the text; None lets them through."""
        self.traffic.planned.append(Planned(method, text, fault, times, after))

    def spoil(self, *faults: faulty_backend.Fault) -> None:
        """Plan faults of the store; calls are counted from now on. Without any, all is well again."""
        self.store.calls.clear()
        self.store.plan[:] = faults

    def fail_store(self, operation: Operation, error: BaseException, *, name: str = "ci.json", times: int = 99) -> None:
        """Let the store fail so often, before the effect, for one record."""
        count = itertools.count()
        self.spoil(Before(lambda it: it.operation is operation and name in it.label and next(count) < times, error))

    def lock_up(self, name: str) -> None:
        """Let a record be read and not written."""
        self.fail_store(Operation.WRITE, UnavailableError(f"{name} is locked up"), name=name)

    def meanwhile(self, operation: Operation, action: Callable[[], object], number: int = 1) -> None:
        """Let somebody else do something just before such a call of the store, the next or a later one."""
        left = [action]

        def interrupt(call: faulty_backend.Call) -> bool:
            if call.operation is operation and call.number == number and left:
                left.pop()()
            return False

        self.spoil(Before(interrupt, AssertionError()))

    def set_user(self, **changes: Any) -> None:  # noqa: ANN401 - fields of a user
        """Change the user at PVE."""

        def edit(state: State) -> State:
            return state.with_user(self.userid, replace(state.users[self.userid], **changes))

        self.pve.cluster.plant(edit)

    def join(self, userid: str, group: str) -> None:
        """Make a user a member of a group."""

        def edit(state: State) -> State:
            user = state.users[userid]
            return state.with_user(userid, replace(user, groups=user.groups | {group}))

        self.pve.cluster.plant(edit)

    def set_token(self, full_id: str, **changes: Any) -> None:  # noqa: ANN401 - fields of a token
        """Change a token at PVE, as somebody else would."""
        userid, name = full_id.split("!")

        def edit(state: State) -> State:
            return state.with_token(userid, name, replace(state.users[userid].tokens[name], **changes))

        self.pve.cluster.plant(edit)

    def ungrant(self, path: str, role: str, *, user: str) -> None:
        """Take an entry of a user out of the access control list."""
        self.pve.cluster.plant(lambda state: state.without_grant(path, Holder("user", user), role))

    def wipe(self) -> None:
        """Begin again: no record, no token, no fault, nobody who looks on but the canary."""
        for name in self.tokens():
            self.pve.delete_token(f"{self.userid}!{name}")
        self.records.wipe()
        self.traffic.planned.clear()
        del self.traffic.watchers[1:]
        self.spoil()
        self.forget()

    # what is seen

    def read(self, name: str = "ci.json") -> Mapping[str, Any]:
        """Read a record as a consumer does."""
        content = self.records.read(name)
        assert content is not None, f"there is no {name}"
        return content

    def write(self, content: Mapping[str, Any], name: str = "ci.json") -> None:
        """Write a record as a person does."""
        self.records.write(content, name)

    def works(self, name: str = "ci.json") -> bool:
        """Say whether a consumer that reads the record now can log in."""
        return self.pve.accepts(*self.record(name))

    def record(self, name: str = "ci.json") -> tuple[str, str]:
        """Tell what a record holds, token id and secret."""
        content = self.read(name)
        return content["token_id"], content["token_secret"]

    def published(self, name: str = "ci.json") -> str:
        """Tell the name of the token that a record holds, without its random part."""
        return short(self.read(name)["token_id"].rpartition("!")[2])

    def standing(self) -> dict[str, str]:
        """Tell how the user's tokens stand: ``{"ci-1": "marked, ends in 1d", "ci-2": "marked"}``.

        The random part of a name is left out; two tokens that differ in nothing else are told with it.
        """
        names = self.tokens()
        count = [short(name) for name in names].count
        return {name if count(short(name)) > 1 else short(name): self._standing(name) for name in names}

    def _standing(self, name: str) -> str:
        state = self.pve.token(f"{self.userid}!{name}") or {}
        marker = Marker.parse(str(state.get("comment", "")))
        kind = "hand-made" if marker is None else "marked" if marker.published else "unmarked"
        expire = int(str(state["expire"]))
        left = timedelta(minutes=round((expire - self.pve.now()) / 60))
        return (
            kind
            if not expire
            else f"{kind}, over"
            if expire < self.pve.now()
            else f"{kind}, ends in {spell_duration(left)}"
        )

    def comment(self, wanted: str) -> str:
        """Tell the comment of the token with that name, without its random part."""
        name = next(name for name in self.tokens() if short(name) == wanted)
        return str((self.pve.token(f"{self.userid}!{name}") or {}).get("comment", ""))

    def changes(self) -> list[str]:
        """Tell the changing calls that PVE was asked for, in order."""
        return [f"{call.method} {call.path}" for call in self.pve.calls if call.method != "GET"]

    def lists(self) -> int:
        """Count the list calls of whole clusters."""
        return sum(call.path == "/access/users" for call in self.pve.calls)

    def watch_secrets(self) -> None:
        """Tell the canary of all secrets that there are."""
        for user in self.pve.cluster.newest().users.values():
            for token in user.tokens.values():
                self.watch(token.secret)

    def tokens(self) -> list[str]:
        """List the names of the user's tokens at PVE, sorted."""
        return sorted(self.pve.tokens(self.userid))

    def hand_made(self, name: str = "hand", *, file: str = "ci.json", **settings: Any) -> TokenId:  # noqa: ANN401 - settings of a token
        """Make a token the way people do, and store it the way they do."""
        secret = self.pve.add_token(self.userid, name, **settings)
        self.write({"token_id": f"{self.userid}!{name}", "token_secret": secret, "note": "by hand"}, file)
        return TokenId(self.userid, name)

    def plant(
        self,
        serial: int,
        *,
        ago: timedelta = timedelta(),
        published: bool = False,
        after: str = "",
        ends_in: timedelta | None = None,
        owner: str = "tests",
        credential: str = "ci",
        base: str = "ci",
    ) -> Token:
        """Leave a token behind, as a rotation would that was issued so long ago."""
        now = datetime.fromtimestamp(int(self.pve.now()), UTC)
        marker = Marker(owner, credential, "planted", now - ago, after, published=published)
        name = str(Name(base, serial, self.draw()))
        expire = 0 if ends_in is None else int((now + ends_in).timestamp())
        secret = self.pve.add_token(self.userid, name, expire=expire, comment=marker.comment())
        self.pve.grant("/vms", "PVEVMUser", token=f"{self.userid}!{name}")
        return Token(TokenId(self.userid, name), Secret(secret))

    def put(self, token: Token, name: str = "ci.json") -> None:
        """Write a token into a record, as a person does; foreign keys stay."""
        held = self.records.read(name) or {}
        self.write({**held, "token_id": str(token.id), "token_secret": token.secret.reveal()}, name)

    def replace_record(self, serial: int, *, published: bool = True) -> Token:
        """Put a successor into the record, as a rotation does that dies before it ends the old one."""
        old = self.read()["token_id"].rpartition("!")[2]
        token = self.plant(serial, published=published, after=old)
        self.put(token)
        return token

    def supplant(self, serial: int) -> None:
        """Let somebody else publish a successor and mark it."""
        self.replace_record(serial)

    def version(self, name: str = "ci.json") -> Version | None:
        """Tell the version of a record."""
        stored = self.store.read(self.place(name).location)
        return stored.version if stored else None

    def steps(self) -> list[str]:
        """Tell the steps that ended, in order, with their outcome where it is not ``done``."""
        ended = [event for event in self.events if event.outcome not in ("started", "nothing")]
        return [it.step + ("" if it.outcome == "done" else f"!{it.outcome}") for it in ended if it.step != "decide"]


def short(name: str) -> str:
    """Leave the random part of a token's name out."""
    parsed = Name.parse(name)
    return f"{parsed.base}-{parsed.serial}" if parsed else name


def populate(pve: SimulatedPve, userid: str) -> Token:
    """Make the user and an operator with the rights that the documentation tells to give; return the operator."""
    pve.add_group("rotated")
    pve.add_user(userid, groups=("rotated",))
    pve.grant("/vms", "PVEVMAdmin", user=userid)
    pve.add_role("TokenRotator", ["User.Modify"])
    pve.add_role("Granter", ["Permissions.Modify"])
    pve.add_role("Auditor", ["Sys.Audit"])
    pve.add_user("rotator@pve")
    pve.grant("/access/groups/rotated", "TokenRotator", user="rotator@pve")
    pve.grant("/vms", "Granter", user="rotator@pve")
    pve.grant("/access", "Auditor", user="rotator@pve")
    secret = pve.add_token("rotator@pve", "operator", privsep=False)
    return Token(TokenId("rotator@pve", "operator"), Secret(secret))


@contextmanager
def world(
    folder: Path,
    *,
    records: Records | None = None,
    nodes: int = 1,
    backends: Mapping[str, Backend] | None = None,
    watch: Callable[[str], None] = lambda _: None,
) -> Iterator[World]:
    """Make a world, with files unless told otherwise, and take it down."""
    from tests.stores import Files  # noqa: PLC0415 - see above

    clock = TurnedClock()
    with SimulatedPve(nodes=nodes, clock=clock.time, sleep=clock.sleep) as pve:
        pve.keep_alive = FOR_GOOD
        made = World(folder, pve, clock, records or Files(folder), dict(backends or {}), watch=watch)
        try:
            yield made
        finally:
            made.watch_secrets()
            for connection in made.connections:
                connection.close()


def comes_to_rest(world: World, credential: Credential, *, note: str = "by hand") -> str:
    """Run on past every deadline; one marked token must be left, and then nothing is to do. Returns its serial name."""
    for pause in (timedelta(), credential.in_flight, credential.overlap, timedelta(minutes=1)):
        world.clock.pass_by(pause + timedelta(seconds=5))
        result = world.run(credential)
    world.forget()
    result = world.run(credential)
    assert (result.reason, result.exit_code, result.done) == ("up-to-date", 0, ()), result
    assert world.changes() == []
    current = world.published()
    assert world.standing() == {current: "marked"}
    for destination in credential.destinations:
        name = world.name_of(destination)
        assert world.works(name)
        assert world.published(name) == current
        assert world.read(name).get("note", "") == note
    return current


def reasons(results: Sequence[Result]) -> list[str]:
    """Tell the reason of each result."""
    return [result.reason for result in results]
