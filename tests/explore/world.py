"""A world that lives in memory and can be put back: thousands of rotations a second, each call in somebody's hands.

``tests.world`` has the same words over TLS. Here PVE's state and the records are immutable values, so that a moment is
kept and put back by a few assignments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from rotator.act import Ports
from rotator.backend import Traits
from rotator.events import Event
from rotator.marker import Marker, Name
from rotator.model import Credential, Destination, Grant, Request, Secret, Stored, Strategy, Token, TokenId, Version
from rotator.rotate import Result, Run
from rotator.testing.cluster import Cluster
from rotator.testing.pve import SimulatedPve
from rotator.testing.state import State, User
from rotator.testing.state import Token as PveToken
from tests.contract.memory import MemoryBackend
from tests.explore.direct import DirectPve, Guard, at_once
from tests.world import EVERY, OVERLAP, TurnedClock, populate

MINUTE = timedelta(minutes=1)
KIND = "memory"
NOTE = {"note": "by hand"}


class Ledger(MemoryBackend):
    """Records in memory, with every state that there was of them."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[tuple[str, Stored]] = []

    @property
    def records(self) -> Mapping[str, Stored]:
        """All records as they are now."""
        return self._records

    def write(self, location: str, fields: Mapping[str, Secret], *, expected: Version | None) -> Version:
        """Compare and set, and keep what there was."""
        version = super().write(location, fields, expected=expected)
        self.history.append((location, self._records[location]))
        return version

    def put(self, name: str, content: Mapping[str, str]) -> None:
        """Write a record as a person does: it holds this and nothing else."""
        fields = {key: Secret(value) for key, value in content.items()}
        self._records[name] = Stored(fields, self.version(None))
        self.history.append((name, self._records[name]))

    def announce(self, name: str, rotation: str) -> None:
        """Start the consumers of a record anew, once for a rotation: what they show from now on is a record, too."""
        started = self._records.get(started_by(name))
        if started is None or started.fields["rotation"].reveal() != rotation:
            fields = {**self._records[name].fields, "rotation": Secret(rotation)}
            self._records[started_by(name)] = Stored(fields, self.version(None))

    def go_back(self, records: Mapping[str, Stored]) -> None:
        """Hold these and no others, without a history."""
        self._records = dict(records)
        self.history.clear()


class Guarded:
    """A store whose every call is in a guard's hands."""

    traits: ClassVar[Traits] = Traits()

    def __init__(self, inner: Ledger, guard: Guard) -> None:
        self._inner = inner
        self._guard = guard

    @classmethod
    def configure(cls, settings: Mapping[str, Any]) -> Guarded:
        """Guard a new store, and let everything through."""
        inner = Ledger.configure(settings)
        assert isinstance(inner, Ledger)
        return cls(inner, at_once)

    def locate(self, settings: Mapping[str, Any]) -> tuple[Any, str]:
        """Take a name."""
        return self._inner.locate(settings)

    def read(self, location: str) -> Stored | None:
        """Look."""
        return self._guard(f"read {location}", lambda: self._inner.read(location))

    def write(self, location: str, fields: Mapping[str, Secret], *, expected: Version | None) -> Version:
        """Compare and set."""
        return self._guard(f"write {location}", lambda: self._inner.write(location, fields, expected=expected))

    def audience(self, _location: str) -> tuple[str, ...]:
        """Name nobody: who is told stands in the credential."""
        return ()

    def announce(self, location: str, *, rotation: str) -> None:
        """Start the consumers anew."""
        self._guard(f"announce {location}", lambda: self._inner.announce(location, rotation))

    def preflight(self, location: str) -> None:
        """Say yes."""
        self._guard(f"preflight {location}", lambda: self._inner.preflight(location))

    def close(self) -> None:
        """Do nothing."""


class Watched:
    """The world's clock in the hands of one rotator, whose waiting is a call like any other."""

    def __init__(self, clock: TurnedClock, guard: Guard) -> None:
        self._clock = clock
        self._guard = guard
        self.now = clock.now
        self.monotonic = clock.monotonic

    def sleep(self, seconds: float) -> None:
        """Turn the clock."""
        self._guard("sleep", lambda: self._clock.sleep(seconds))


@dataclass(frozen=True)
class Moment:
    """All that a world is made of, to be put back."""

    state: State
    records: Mapping[str, Stored]
    seconds: float
    drawn: int


class World:
    """One cluster, one user with its tokens, one operator, and a store, all in memory."""

    userid = "ci@pve"

    def __init__(self, nodes: int = 1) -> None:
        self.clock = TurnedClock()
        self.pve = SimulatedPve(nodes=nodes, clock=self.clock.time, sleep=self.clock.sleep)
        self.store = Ledger()
        self.operator = populate(self.pve, self.userid)
        self.source: Callable[[], Token] = lambda: self.operator
        self.events: list[Event] = []
        self.drawn = 9999
        self.empty = self.moment()

    # moments

    def moment(self) -> Moment:
        """Keep this moment."""
        return Moment(self.state, dict(self.store.records), self.clock.seconds, self.drawn)

    def go_back(self, moment: Moment) -> None:
        """Make the world what it was at that moment; the same names are drawn again."""
        self.clock.seconds, self.drawn = moment.seconds, moment.drawn
        lag, self.pve.cluster = self.pve.cluster.lag, Cluster(self.clock.time)
        self.pve.cluster.plant(lambda _: moment.state)
        self.pve.cluster.lag = lag
        self.store.go_back(moment.records)
        self.events.clear()

    @property
    def state(self) -> State:
        """What PVE knows now; the same object until something changes."""
        return self.pve.cluster.newest()

    # what rotators are given

    def ports(self, guard: Guard = at_once, draw: Callable[[], str] | None = None) -> Ports:
        """Give an executor all that it touches, each with a cluster and a memory of its own."""
        pve = DirectPve(self.pve, self.source, self.clock.monotonic, guard)
        store = {KIND: Guarded(self.store, guard)}
        return Ports(pve, store, Watched(self.clock, guard), self.events.append, draw or self.draw)

    def draw(self) -> str:
        """Draw the random part of a name."""
        self.drawn += 1
        return str(self.drawn)

    def run(
        self,
        credential: Credential,
        request: Request | None = None,
        *,
        guard: Guard = at_once,
        draw: Callable[[], str] | None = None,
        **wish: Any,  # noqa: ANN401 - fields of a request
    ) -> Result:
        """Run one credential until it rests."""
        ports = self.ports(guard, draw)
        user = ports.pve.users().get(credential.userid)
        return Run(credential, ports, request or Request(**wish), user).until_rest()

    # what is configured

    def place(self, name: str) -> Destination:
        """Make a destination."""
        return Destination(KIND, name, f"{KIND}:{name}")

    def credential(self, name: str = "ci", *, mirrors: int = 0, **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
        """Configure a credential; privilege-separated with one grant unless changed."""
        places = [f"{name}.json", *(f"mirror-{number}.json" for number in range(1, mirrors + 1))]
        plain = Credential(
            name=name,
            cluster="home",
            owner="tests",
            userid=self.userid,
            base=name,
            every=EVERY,
            overlap=OVERLAP,
            destinations=tuple(self.place(it) for it in places),
            grants=(Grant("/vms", "PVEVMUser"),),
        )
        return replace(plain, **changes)

    # what stands there

    def first(self, **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
        """Make a credential that has no token yet; its records hold a foreign key."""
        credential = self.credential(**changes)
        for destination in credential.destinations:
            self.store.put(destination.location, NOTE)
        return credential

    def settled(self, **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
        """Make a credential whose first token was issued just now."""
        credential = self.first(**changes)
        result = self.run(credential)
        assert (result.reason, result.done) == ("up-to-date", ("first-issue",)), result
        return credential

    def due(self, **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
        """Make a credential whose one token is due."""
        credential = self.settled(**changes)
        self.clock.pass_by(credential.every)
        return credential

    def adopted(self, **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
        """Make a credential that may take over the token that its records hold, which was made by hand."""
        credential = self.first(adopt=True, **changes)
        self.by_hand(credential)
        return credential

    def orphaned(self, **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
        """Make a credential with an orphan, and a token whose overlap has passed."""
        credential = self.settled(**changes)
        self.run(credential, forced=True)
        self.plant(3, ago=timedelta(hours=1))
        self.clock.pass_by(credential.overlap + MINUTE)
        return credential

    def rolled_back(self, **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
        """Make a credential whose record somebody put back to what it was before the last rotation."""
        credential = self.settled(**changes)
        before = self.store.records[credential.primary.location]
        self.run(credential, forced=True)
        self.clock.pass_by(11 * MINUTE)
        self.store.put(credential.primary.location, shown(before))
        self.plant(1, ago=timedelta(hours=1))
        return credential

    def pinned(self, **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
        """Make a credential that is due and replaces its secret in place."""
        return self.due(strategy=Strategy.REGENERATE, overlap=timedelta(), **changes)

    def operators_own(self, **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
        """Let the operator manage itself, its token in a record, due; the token is read from there."""
        self.pve.grant("/access/groups/rotated", "TokenRotator", group="rotated")
        userid = self.operator.id.userid
        self.set_user(userid, groups=frozenset({"rotated"}))
        about: dict[str, Any] = {"userid": userid, "privsep": False, "grants": None, "adopt": True, "is_operator": True}
        credential = self.credential("op", **about | changes)
        self.put(self.operator, "op.json")
        self.source = lambda: self.token("op.json")
        self.run(credential)
        self.clock.pass_by(credential.every)
        return credential

    def by_hand(self, credential: Credential, name: str = "hand") -> TokenId:
        """Make a token the way people do, and put it into every record of a credential the way they do."""
        token = TokenId(credential.userid, name)
        secret = Secret(self.pve.add_token(token.userid, name))
        for grant in credential.grants or ():
            self.pve.grant(grant.path, grant.role, token=str(token))
        for destination in credential.destinations:
            self.put(Token(token, secret), destination.location)
        return token

    def plant(
        self,
        serial: int,
        *,
        ago: timedelta = timedelta(),
        published: bool = False,
        after: str = "",
        owner: str = "tests",
        credential: str = "ci",
        base: str = "ci",
        userid: str = userid,
    ) -> Token:
        """Leave a token behind, as a rotation would that was issued so long ago."""
        now = datetime.fromtimestamp(int(self.pve.now()), UTC)
        comment = Marker(owner, credential, "planted", now - ago, after, published=published).comment()
        token = TokenId(userid, str(Name(base, serial, self.draw())))
        secret = Secret(self.pve.add_token(userid, token.name, comment=comment))
        self.pve.grant("/vms", "PVEVMUser", token=str(token))
        return Token(token, secret)

    def foreigners(self, userid: str = userid) -> Mapping[str, PveToken]:
        """Plant tokens that are nobody's business, with names or markers that look like ours; return them."""
        before = set(self.state.users[userid].tokens)
        for name in ("other-hand", "ci-9-", "ci-9-ABCDE", "ci-7-abcde"):
            self.pve.add_token(userid, name, comment=f"looks like {name}")
        self.plant(8, owner="somebody", published=True, userid=userid)
        self.plant(8, credential="other", userid=userid)
        return {name: it for name, it in self.state.users[userid].tokens.items() if name not in before}

    def put(self, token: Token, name: str = "ci.json") -> None:
        """Write a token into a record, as a person does; foreign keys stay."""
        ours = {"token_id": str(token.id), "token_secret": token.secret.reveal()}
        self.store.put(name, self.read(name) | ours)

    def set_user(self, userid: str, **changes: Any) -> None:  # noqa: ANN401 - fields of a user
        """Change a user at PVE."""
        self.pve.cluster.plant(lambda state: state.with_user(userid, replace(state.users[userid], **changes)))

    # what is seen

    def read(self, name: str = "ci.json") -> dict[str, str]:
        """Read a record as a consumer does; {} where there is none."""
        stored = self.store.records.get(name)
        return shown(stored) if stored else {}

    def token(self, name: str = "ci.json") -> Token:
        """Read the token that a record holds."""
        content = self.read(name)
        return Token(TokenId.parse(content["token_id"]), Secret(content["token_secret"]))

    def works(self, name: str = "ci.json") -> bool:
        """Say whether a consumer that reads the record now can log in."""
        content = self.read(name)
        return self.pve.accepts(content["token_id"], content["token_secret"])

    def user(self, credential: Credential) -> User:
        """Show a credential's user as PVE has it."""
        return self.state.users[credential.userid]

    def standing(self, credential: Credential) -> dict[str, str]:
        """Tell how the tokens with a credential's marker stand, by their names."""
        return {
            name: "marked" if marker.published else "unmarked"
            for name, token in self.user(credential).tokens.items()
            if (marker := Marker.parse(token.comment))
            and (marker.owner, marker.credential) == (credential.owner, credential.name)
        }


def started_by(name: str) -> str:
    """Name the record of what consumers show that read another one at their start alone."""
    return f"{name}, when its consumers started"


def shown(stored: Stored) -> dict[str, str]:
    """Show what a record holds."""
    return {key: value.reveal() for key, value in stored.fields.items()}
