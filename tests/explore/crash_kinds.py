"""The kinds of rotation that are made to crash, and what each of them cannot promise, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from rotator.marker import Marker, Name
from rotator.model import TOKEN_ID_KEY, TOKEN_SECRET_KEY, Credential, Request, Secret, Stored, Version
from rotator.shape import Shape
from rotator.template import Template
from tests.explore.world import Ledger, World

Plant = Callable[[World], Credential]


@dataclass(frozen=True)
class Kind:
    """A situation, what the first run is asked for, and which promises do not hold in it, why."""

    name: str
    plant: Plant
    request: Request = field(default_factory=Request)
    excused: Mapping[str, str] = field(default_factory=dict)
    """Promises that it cannot keep, and why. That the record works when a run has ended is looked at in any case."""
    narrowed: str = ""
    """Where it is looked at less, and why."""
    schedules: tuple[str, ...] = ("soon", "later", "late")


def inherited(world: World) -> Credential:
    """Plant a token that is due and whose successor gets what it has."""
    return replace(world.due(), grants=None)


def unseparated(world: World) -> Credential:
    """Plant a token that is due and may do what its user may."""
    return world.due(privsep=False, grants=None)


def living(world: World) -> Credential:
    """Plant a token whose own end comes near."""
    credential = world.settled(lifetime=timedelta(days=40))
    world.clock.pass_by(timedelta(days=27))
    return credential


def shaped(world: World) -> Credential:
    """Plant a token that is due, shown in the words of its consumers."""
    fields = {"PM_API_TOKEN": "{userid}!{token_name}={secret}", "PM_URL": "https://pve.example:8006"}
    shape = Shape(tuple((key, Template.parse(text)) for key, text in fields.items()), is_canonical=False)
    plain = world.credential(mirrors=1)
    first, second = plain.destinations
    return world.due(mirrors=1, destinations=(replace(first, shape=shape), second))


NEXT_SERIAL = 9
"""What the first run issues: the others of that user have eight."""


class Spoiling(Ledger):
    """A store that spoils the secret of the first token that comes after what stands there, and keeps it so."""

    def __init__(self) -> None:
        super().__init__()
        self.spoilt: set[str] = set()

    def write(self, location: str, fields: Mapping[str, Secret], *, expected: Version | None) -> Version:
        """Compare and set; that one secret loses its last character."""
        name = Name.parse(fields[TOKEN_ID_KEY].reveal().rpartition("!")[2])
        if name and name.serial == NEXT_SERIAL:
            secret = fields[TOKEN_SECRET_KEY].reveal()[:-1]
            self.spoilt.add(secret)
            fields = {**fields, TOKEN_SECRET_KEY: Secret(secret)}
        return super().write(location, fields, expected=expected)


def spoiling(world: World) -> Credential:
    """Plant a token that is due, in a store that spoils what comes next."""
    credential, records = world.due(), world.store.records
    world.store = Spoiling()
    world.store.go_back(records)
    return credential


class Altering(Ledger):
    """A store that gives back another secret than it holds, at the instant at which the next token was issued."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def read(self, location: str) -> Stored | None:
        """Look; the last character of that one secret is missing then."""
        stored = super().read(location)
        if stored is None or not self._is_just_issued(stored):
            return stored
        secret = stored.fields[TOKEN_SECRET_KEY].reveal()[:-1]
        return replace(stored, fields={**stored.fields, TOKEN_SECRET_KEY: Secret(secret)})

    def _is_just_issued(self, stored: Stored) -> bool:
        token = stored.fields[TOKEN_ID_KEY].reveal() if TOKEN_ID_KEY in stored.fields else ""
        name = Name.parse(token.rpartition("!")[2])
        marker = Marker.parse(str((self._world.pve.token(token) or {}).get("comment", ""))) if name else None
        is_next = name is not None and name.serial == NEXT_SERIAL
        return is_next and marker is not None and marker.issued.timestamp() == int(self._world.pve.now())


def altering(world: World) -> Credential:
    """Plant a token that is due, in a store that gives back something else for a moment."""
    credential, records = world.due(), world.store.records
    world.store = Altering(world)
    world.store.go_back(records)
    return credential


def announced(world: World) -> Credential:
    """Plant a token that is due, whose consumers read their records only when they are started."""
    places = world.credential(mirrors=1).destinations
    return world.due(mirrors=1, destinations=tuple(replace(it, audience=("deployment web",)) for it in places))


TAKEN_BACK = {
    "I4": "what the store gives back does not log in, so the predecessor is published again, whose serial is lower"
}
REGENERATED = {
    "I1": "the old secret dies at the call that makes the new one, and what is published works again when the run ends",
    "I2": "there is no overlap: the old secret dies at that call",
}

KINDS: Mapping[str, Kind] = {
    it.name: it
    for it in (
        Kind("first", World.first, narrowed="until the first token is published, nobody reads any"),
        Kind("normal", World.due),
        Kind("forced", World.settled, Request(forced=True)),
        Kind("inherited", inherited),
        Kind("unseparated", unseparated),
        Kind("expiring", living),
        Kind("adopt", World.adopted),
        Kind(
            "compromised",
            World.due,
            Request(forced=True, compromised=True),
            {"I2": "what was leaked is revoked at once, and whoever still reads it fails"},
        ),
        Kind("operator", World.operators_own),
        Kind("mirrors", lambda world: world.due(mirrors=2)),
        Kind("shape", shaped),
        Kind("orphan", World.orphaned),
        Kind(
            "rolled-back",
            World.rolled_back,
            narrowed="not late, and I2 not for the token that somebody put back: it ends when it was to end anyway",
            schedules=("soon", "later"),
        ),
        Kind("spoilt", spoiling, narrowed="what the store itself has spoilt is there until confirm has seen it"),
        Kind("altered", altering, excused=TAKEN_BACK),
        Kind("announced", announced),
        Kind("regenerate", World.pinned, excused=REGENERATED),
    )
}
