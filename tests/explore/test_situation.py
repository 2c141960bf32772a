"""Two schedules stand in the same situation when they differ in what was drawn alone, and in another for all else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from rotator.errors import UnauthenticatedError
from rotator.model import Secret, Stored, Version
from rotator.testing.state import Pool, State
from tests.explore.schedule import Player
from tests.explore.situation import Aliases, Situation, Texts, in_order, of_answer
from tests.explore.watch import Watch
from tests.explore.world import World, shown

ROUNDS = count(1)
Act = Callable[[World, Watch, Situation], object]


def digest(act: Act) -> bytes:
    """Tell the situation of a world in which something was done; no two worlds have the same versions."""
    world = World()
    for _ in range(next(ROUNDS)):
        world.store.version(None)
    watch = Watch(world, world.settled(mirrors=1))
    situation = Situation(world, watch, 2)
    act(world, watch, situation)
    return situation.digest([Player(number, lambda _: None, label="next") for number in range(2)], 0)


def nothing(*_: object) -> None:
    """Do nothing."""


def test_what_was_drawn_makes_no_difference() -> None:
    """Secrets, ids of rotations and versions are others in each world, and stand for the same."""
    assert digest(nothing) == digest(nothing)


def token(world: World, **changes: object) -> None:
    """Change the one token at PVE."""
    name, held = next(iter(world.state.users[world.userid].tokens.items()))
    world.pve.cluster.plant(lambda state: state.with_token(world.userid, name, replace(held, **changes)))  # type: ignore[arg-type] # fields of a token


DIFFERENCES: dict[str, Act] = {
    "the end of a token": lambda world, *_: token(world, expire=1_900_000_000),
    "the comment of a token": lambda world, *_: token(world, comment="other"),
    "the secret of a token, which the record does not hold": lambda world, *_: token(
        world, secret="aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
    ),
    "one more token": lambda world, *_: world.plant(8),
    "a privilege": lambda world, *_: world.pve.grant("/nodes", "PVEAuditor", user=world.userid),
    "a disabled user": lambda world, *_: world.set_user(world.userid, enable=False),
    "the content of a record": lambda world, *_: world.store.put("ci.json", {"note": "other"}),
    "another version of a record": lambda world, *_: world.store.put("ci.json", world.read()),
    "a mirror": lambda world, *_: world.store.put("mirror-1.json", {"note": "other"}),
    "the time": lambda world, *_: world.clock.sleep(1),
    "a name that was drawn": lambda world, *_: world.draw(),
    "an earlier state of a record": lambda world, *_: world.store.history.clear(),
    "what was published": lambda _, watch, __: watch.published.append("ci@pve!other"),
    "what is relied upon": lambda _, watch, __: watch.outside(lambda: watch.world.set_user("ci@pve", tokens={})),
    "what a program was told": lambda _, __, situation: situation.called(0, "GET /version", lambda: {"version": "9.2"}),
    "that it was told something else": lambda _, __, situation: situation.called(0, "GET /version", dict),
    "that another program was told it": lambda _, __, situation: situation.called(1, "GET /version", dict),
    "that it was told something later": lambda world, _, situation: situation.called(
        0, "GET /version", lambda: world.clock.sleep(1)
    ),
    "that it was told so twice": lambda _, __, situation: [situation.called(0, "GET /version", dict) for _ in range(2)],
    "that a program has died": lambda _, __, situation: situation.died(0),
}


def test_whatever_else_differs_makes_another_situation() -> None:
    """Each thing of the world, of the watch, and of what programs were told; no two of them are the same either."""
    digests = {what: digest(act) for what, act in {"nothing": nothing, **DIFFERENCES}.items()}
    same = {what: other for what, it in digests.items() for other, its in digests.items() if it == its and what < other}
    assert same == {}
    assert digests == {what: digest(act) for what, act in {"nothing": nothing, **DIFFERENCES}.items()}


def test_who_is_before_and_who_is_over_makes_another_situation() -> None:
    """And what each is about to call."""
    world = World()
    situation = Situation(world, Watch(world, world.settled()), 2)
    players = [Player(number, lambda _: None, label="next") for number in range(2)]
    found = {situation.digest(players, before) for before in (None, 0, 1)}
    players[1].label = "other"
    found.add(situation.digest(players, 0))
    players[1].is_over = True
    found.add(situation.digest(players, 0))
    assert len(found) == 5


def test_who_is_refused_may_look_at_its_own_record_without_a_call() -> None:
    """So the whole world counts among what it was told."""

    def refused(note: str) -> Act:
        def act(world: World, _watch: Watch, situation: Situation) -> None:
            before = dict(world.store.records)
            world.store.put("mirror-1.json", {"note": note})

            def call() -> None:
                raise UnauthenticatedError("no")

            with pytest.raises(UnauthenticatedError):
                situation.called(0, "GET /version", call)
            world.store.go_back(before)

        return act

    assert digest(refused("one")) == digest(refused("one")) != digest(refused("other"))


def test_an_alias_is_the_same_for_the_same_and_another_for_another() -> None:
    """Named after whose call it was first seen, and told apart by number."""
    aliases = Aliases()
    one, other = "'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee'", "rotation=0123456789ab"
    assert aliases(f"{one} {other}") == aliases(f"{one} {other}") == "<.1>' <.2>"
    aliases.after = "1"
    assert aliases(f"version=17 {other} version=18") == "<1.1> <.2> <1.2>"


def test_what_nobody_has_said_how_to_write_is_an_error() -> None:
    """It would be left out of the situation, and what differs in it alone would be taken for the same."""
    for wrong in (object(), Secret("x"), {1, 2}):
        with pytest.raises(TypeError):
            of_answer("GET /version", wrong)
    with pytest.raises(TypeError):
        in_order([object()])
    with pytest.raises(TypeError):
        Texts().state(State(pools={"pool": Pool()}))


def test_what_a_store_answers_is_written_with_its_version() -> None:
    """A version that a write returns is the one that the record has then, and no mere text."""
    stored = Stored({"key": Secret("value")}, Version("17"))
    assert shown(stored) == {"key": "value"}
    assert of_answer("read ci.json", stored) == "[('key', 'value')] version=17"
    assert of_answer("write ci.json", Version("17")) == "version=17"
    assert of_answer("GET /version", "17") == "'17'"
