"""The rotations that are disturbed: what stands there before each, and what must hold while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rotator.model import Credential, Request, Strategy
from rotator.testing.server import Front
from rotator.testing.state import State
from tests.scenario.witness import Witness
from tests.world import World

NOTE = "by hand"
RECORDS = ("ci.json", "mirror.json", "other.json")


@dataclass(frozen=True)
class Play:
    """One kind of rotation: how it is prepared, what is asked for, and whether every record works all the time."""

    name: str
    plant: Callable[[World], Credential]
    request: Request = field(default_factory=Request)
    is_seamless: bool = True
    """I1 and I2 are promised; in place they are not."""
    nodes: int = 1
    in_vault: bool = False


def rotation(w: World) -> Credential:
    """Plant a token that is due, in two places."""
    return w.due(destinations=(w.place("ci.json"), w.place("mirror.json")))


def first(w: World) -> Credential:
    """Plant nothing but a foreign key."""
    w.write({"note": NOTE})
    return w.credential()


def adoption(w: World) -> Credential:
    """Plant a token made by hand, whose grants are inherited."""
    hand = w.hand_made()
    w.pve.grant("/vms", "PVEVMUser", token=str(hand))
    return w.credential(adopt=True, grants=None)


def orphaned(w: World) -> Credential:
    """Plant an orphan, and a token whose overlap has passed."""
    ci = w.settled()
    w.run(ci, forced=True)
    w.plant(3)
    w.clock.pass_by(ci.overlap * 2)
    return ci


def pinned(w: World) -> Credential:
    """Plant a token that keeps its name, and is due."""
    return w.due(strategy=Strategy.REGENERATE)


PLAYS: Mapping[str, Play] = {
    play.name: play
    for play in (
        Play("rotation", rotation),
        Play("first issue", first),
        Play("adoption", adoption),
        Play("orphan", orphaned),
        Play("compromised", rotation, Request(forced=True, compromised=True), is_seamless=False),
        Play("regenerate", pinned, is_seamless=False),
        Play("three nodes", rotation, nodes=3),
        Play("in vault", rotation, in_vault=True),
    )
}
"""By name; ``three nodes`` is for what can be wrong with one of several, ``in vault`` for what Vault says."""


@dataclass(frozen=True)
class Moment:
    """All that a world is made of, to be put back."""

    state: State
    records: Mapping[str, Any]
    seconds: float


def kept(w: World) -> Moment:
    """Keep this moment."""
    return Moment(w.pve.cluster.newest(), {name: w.records.read(name) for name in RECORDS}, w.clock.seconds)


def go_back(w: World, moment: Moment) -> None:
    """Make the world what it was at that moment; nothing is wrong with it any more."""
    for node in w.pve.nodes:
        node.down, node.front, node.quorate = False, Front.ITSELF, True
    w.pve.lag = w.pve.clock_offset = 0.0
    w.pve.apply_late()
    w.clock.seconds = moment.seconds
    w.pve.cluster.plant(lambda _: moment.state)
    w.records.wipe()
    for name, content in moment.records.items():
        if content is not None:
            w.write(content, name)
    w.traffic.planned.clear()
    del w.traffic.watchers[1:]
    w.spoil()
    w.forget()


def planted(w: World, play: Play) -> Credential:
    """Prepare a play, beside tokens and a record that are nobody's business."""
    credential = play.plant(w)
    w.hand_made("theirs", file="other.json", comment="do not touch")
    w.plant(1, owner="somebody", published=True)
    w.plant(1, credential="other", published=True)
    w.forget()
    return credential


class LateWitness(Witness):
    """A witness that begins to look when there is a record with a token."""

    def look(self, where: str) -> None:
        """Look, if there is something to look at."""
        if "token_id" in (self.world.records.read("ci.json") or {}):
            super().look(where)
