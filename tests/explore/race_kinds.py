"""The races whose schedules are enumerated: two rotators, and what may come in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from rotator.marker import Name
from rotator.model import Credential, Request
from rotator.policy import Reason
from tests.explore.race import ANY, FAILED, Part, Race, Scenery, outsider, pause, rotator
from tests.explore.watch import token_in
from tests.explore.world import World, shown

NOTHING = timedelta()
MINUTES = timedelta(minutes=11)
HOUR = timedelta(hours=1)
DAY = timedelta(hours=25)
BRIEF = timedelta(minutes=10)
"""An overlap that is over as soon as a rotation is no longer taken to be in flight."""

A, B = rotator("A"), rotator("B")
FORCED = Request(forced=True)
FORCED_A = rotator("A", FORCED)
COMPROMISED = Request(forced=True, compromised=True)


def due(world: World) -> Credential:
    """Plant a token that is due."""
    return world.due()


def mirrored(world: World) -> Credential:
    """Plant a token that is due, in two places."""
    return world.due(mirrors=1)


def brief(world: World) -> Credential:
    """Plant a token that is due, whose overlap is brief."""
    return world.due(overlap=BRIEF)


def brief_and_mirrored(world: World) -> Credential:
    """Plant a token that is due, in two places, whose overlap is brief."""
    return world.due(overlap=BRIEF, mirrors=1)


def living_briefly(world: World) -> Credential:
    """Plant a token that nears its own end."""
    return world.due(lifetime=timedelta(days=40))


def retiring(world: World) -> Credential:
    """Plant a token whose predecessor still lives."""
    credential = world.settled()
    world.run(credential, Request(forced=True))
    world.clock.pass_by(HOUR)
    return credential


def willing(world: World) -> Credential:
    """Plant a token that is due, of a credential that takes over what is made by hand."""
    return world.due(adopt=True)


# what outsiders do


def put_back(scenery: Scenery) -> None:
    """Put back the oldest state of the record whose token still lives."""
    world, name = scenery.world, scenery.credential.primary.location
    states = [stored for place, stored in world.store.history if place == name]
    alive = [it for it in states if (held := token_in(shown(it))) and world.pve.token(held[0])]
    if alive:
        world.store.put(name, shown(alive[0]))


def add_key(scenery: Scenery) -> None:
    """Change a key that is not ours."""
    name = scenery.credential.primary.location
    scenery.world.store.put(name, scenery.world.read(name) | {"note": "changed by hand"})


def delete_published(scenery: Scenery) -> None:
    """Delete the token that the record names."""
    if held := token_in(scenery.world.read(scenery.credential.primary.location)):
        scenery.world.pve.delete_token(held[0])


def delete_newest(scenery: Scenery) -> None:
    """Delete the token of ours with the highest serial, published or not."""
    names = [it for it in scenery.world.standing(scenery.credential) if Name.parse(it)]
    if newest := max(names, key=lambda it: getattr(Name.parse(it), "serial", 0), default=None):
        scenery.world.pve.delete_token(f"{scenery.credential.userid}!{newest}")


def remove_record(scenery: Scenery) -> None:
    """Remove the token from the record."""
    scenery.world.store.put(scenery.credential.primary.location, {"note": "by hand"})


def rotate_by_hand(scenery: Scenery) -> None:
    """Make a token by hand and put it everywhere."""
    scenery.world.by_hand(scenery.credential)


def with_outsider(
    name: str, act: Callable[[Scenery], None], plant: Callable[[World], Credential] = due, first: Part = A
) -> Race:
    """Let two rotators race while an outsider does something."""
    part = outsider(name.replace("-", " "), act)
    return Race(name, plant, (first, B, part), codes=ANY, most_published=None, leaves=True)


def shorter(overlap: timedelta) -> Part:
    """Run with less overlap than the other."""
    return rotator("B", overlap=overlap)


RACES: tuple[Race, ...] = (
    Race("alike", due, (A, B)),
    Race("mirrored", mirrored, (A, B)),
    Race("first-issue", World.first, (A, B), most_published=2, leaves=True),
    Race("orphaned", World.orphaned, (A, B), most_published=0),
    Race("adoption", World.adopted, (A, B)),
    Race("rolled-back", World.rolled_back, (A, B), leaves=True),
    Race("expiring", living_briefly, (A, B)),
    Race("retiring", retiring, (FORCED_A, B)),
    Race("one-forced", due, (A, rotator("B", FORCED)), most_published=2),
    Race("both-forced", due, (FORCED_A, rotator("B", FORCED)), most_published=2),
    Race("compromised", due, (A, rotator("B", COMPROMISED)), overlaps=(NOTHING,), most_published=2, codes=FAILED),
    Race("shorter-overlap", due, (A, shorter(HOUR)), overlaps=(HOUR,)),
    Race("no-overlap", due, (A, shorter(NOTHING)), overlaps=(NOTHING,)),
    Race("paused-minutes", due, (A, B, pause(MINUTES)), codes=FAILED, most_published=2),
    Race("paused-a-day", due, (A, B, pause(DAY)), codes=FAILED, most_published=2),
    Race("paused-past-both", brief, (A, B, pause(MINUTES)), codes=FAILED, most_published=2),
    Race("paused-with-a-mirror", brief_and_mirrored, (A, B, pause(MINUTES)), codes=FAILED, most_published=2),
    Race("paused-forced", World.settled, (FORCED_A, B, pause(MINUTES)), codes=FAILED),
    Race("paused-first-issue", World.first, (A, B, pause(MINUTES)), codes=FAILED, most_published=2, leaves=True),
    Race(
        "paused-no-overlap",
        due,
        (A, shorter(NOTHING), pause(MINUTES)),
        codes=FAILED,
        overlaps=(NOTHING,),
        most_published=2,
    ),
    Race("dying", due, (A, B), deaths=1, most_published=2),
    Race("dying-with-a-mirror", mirrored, (A, B), deaths=1, most_published=2),
    with_outsider("an-older-record-is-put-back", put_back, retiring, FORCED_A),
    with_outsider("a-foreign-key-changes", add_key),
    with_outsider("the-published-token-is-deleted", delete_published),
    with_outsider("the-newest-token-is-deleted", delete_newest),
    with_outsider("the-record-is-emptied", remove_record),
    with_outsider("rotated-by-hand-and-adopted", rotate_by_hand, willing),
    replace(with_outsider("rotated-by-hand", rotate_by_hand), stops=frozenset({Reason.NOT_ADOPTED})),
    Race("in-place", World.pinned, (A, B), codes=ANY, most_published=None, leaves=True),
    Race("the-operators-own", World.operators_own, (A, B)),
)
"""What is raced, by name."""

BY_NAME = {race.name: race for race in RACES}
