"""A witness of what must hold at every moment: called at each request and each store call, it looks at the world."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta

from rotator.marker import Name
from rotator.model import Credential, Permissions
from rotator.testing.faulty_backend import Before, Call
from rotator.testing.state import Token
from tests.world import World

SLACK = 2.0
"""Seconds: ends are whole ones, and PVE's clock is known to one."""


@dataclass
class Witness:
    """Looks at one credential's record and tokens. What it saw going wrong is in ``violations``."""

    world: World
    credential: Credential
    permissions: Permissions
    violations: list[str] = field(default_factory=list)
    looks: int = 0

    def __post_init__(self) -> None:
        """Look at every request to PVE and every call of the store."""
        self._lock = threading.Lock()
        self._current: dict[tuple[str, str], float] = {}
        self._ends: dict[str, int] = {}
        self._serial = 0
        self.world.traffic.watchers.append(lambda request: self.look(f"{request.method} {request.path}"))
        self.world.store.plan.append(Before(self.overlook, AssertionError()))

    def overlook(self, call: Call) -> bool:
        """Look where a fault of the store is chosen, and choose none."""
        self.look(call.operation)
        return False

    def look(self, where: str) -> None:
        """Look now."""
        with self._lock:
            self.looks += 1
            record, now = self.world.record(), self.world.pve.now()
            self._current[record] = now
            self._see_record(record, where)
            self._see_readers(now, where)
            self._see_ends(record[0], now, where)

    def _see_record(self, record: tuple[str, str], where: str) -> None:
        if not self.world.pve.accepts(*record):
            self.violations.append(f"I1: {record[0]} is published and refused at {where}")
        if self.world.pve.permissions(record[0]) != self.permissions:
            self.violations.append(f"I1: {record[0]} is published and lacks permissions at {where}")
        name = Name.parse(record[0].rpartition("!")[2])
        if name and name.serial < self._serial:
            self.violations.append(f"I4: {record[0]} was published after serial {self._serial}")
        self._serial = name.serial if name else 0

    def _see_readers(self, now: float, where: str) -> None:
        for (token, secret), last in self._current.items():
            in_overlap = now <= last + self.credential.overlap.total_seconds()
            if in_overlap and not self.world.pve.accepts(token, secret):
                self.violations.append(f"I2: {token}, read {timedelta(seconds=now - last)} ago, is refused at {where}")

    def _see_ends(self, current: str, now: float, where: str) -> None:
        tokens = self.world.pve.cluster.newest().users[self.world.userid].tokens
        latest = now + self.credential.overlap.total_seconds() + SLACK
        for name, token in tokens.items():
            before = self._ends.get(name, 0)
            if before and not 0 < token.expire <= before:
                self.violations.append(f"I5: the end of {name} was put off at {where}")
            is_new = token.expire != before and not current.endswith(f"!{name}")
            if is_new and token.expire > latest and not self.credential.lifetime:
                self.violations.append(f"I5: {name} ends later than the overlap allows at {where}")
            self._ends[name] = token.expire


def watched(world: World, credential: Credential) -> Witness:
    """Put a witness on a credential that is settled."""
    return Witness(world, credential, world.pve.permissions(world.read()["token_id"]))


def foreigners(world: World) -> dict[str, Token]:
    """Plant tokens that are nobody's business, most of them with names or markers that look like ours."""
    world.hand_made("hand", file="other.json", comment="do not touch")
    for name in ("ci", "ci-9", "ci-9-", "ci-9-abcde", "ci-9-ABCDE", "xci-9-abcde"):
        world.pve.add_token(world.userid, name, comment=f"looks like {name}")
    world.plant(8, owner="somebody", published=True)
    world.plant(8, credential="other", published=True)
    world.plant(8, base="other")
    mark = world.plant(8, ago=timedelta(days=9))
    comment = str((world.pve.token(str(mark.id)) or {})["comment"])
    world.pve.delete_token(str(mark.id))
    world.pve.add_token(world.userid, "ci-8-mangled", comment=comment)
    world.pve.add_token(world.userid, "ci-8-abcde", comment=f"{comment} and more")
    world.pve.add_user("other@pve")
    world.pve.add_token("other@pve", "ci-8-abcde", comment=comment)
    return foreign(world)


def foreign(world: World) -> dict[str, Token]:
    """Tell all that there is of the tokens that are there, secrets included."""
    users = world.pve.cluster.newest().users.items()
    return {f"{userid}!{name}": token for userid, user in users for name, token in user.tokens.items()}
