"""Races by chance: what stands there, who takes part, with what configuration, who dies, and whose turn it is.

Each is told by a number, which makes it the same again.
"""

from __future__ import annotations

import random
from datetime import timedelta

from rotator.model import Request
from tests.explore import race_kinds as kinds
from tests.explore.race import ANY, FAILED, Dice, Part, Played, Race, Theatre, outsider, pause, rotator
from tests.explore.world import World

PLANTS = (
    kinds.due,
    kinds.mirrored,
    kinds.brief,
    kinds.brief_and_mirrored,
    kinds.retiring,
    kinds.willing,
    World.first,
    World.orphaned,
    World.adopted,
    World.rolled_back,
)
REQUESTS = (None, None, None, kinds.FORCED, kinds.FORCED, kinds.COMPROMISED)
OVERLAPS = (None, None, None, kinds.HOUR, kinds.NOTHING)
"""None: what the credential says."""
PAUSES = (timedelta(seconds=1), timedelta(minutes=5), kinds.MINUTES, kinds.HOUR, kinds.DAY, timedelta(days=40))
ACTS = (
    kinds.put_back,
    kinds.add_key,
    kinds.add_key,
    kinds.delete_published,
    kinds.delete_newest,
    kinds.remove_record,
    kinds.rotate_by_hand,
)


def wild(seed: int) -> Race:
    """Make the race of a number."""
    dice = random.Random(f"race {seed}")  # noqa: S311 - to be repeated, not to be secret
    requests = [dice.choice(REQUESTS) for _ in range(dice.choice((2, 2, 3)))]
    overlaps = [dice.choice(OVERLAPS) for _ in requests]
    rotators = [
        configured(name, request, overlap, times=dice.choice((1, 1, 2)))
        for name, request, overlap in zip("ABC", requests, overlaps, strict=False)
    ]
    times = [pause(*dice.choices(PAUSES, k=dice.choice((1, 1, 2, 3))))] if dice.random() < 0.6 else []
    acts = [dice.choice(ACTS)] if dice.random() < 0.3 else []
    plant = kinds.willing if kinds.rotate_by_hand in acts else dice.choice(PLANTS)
    return Race(
        f"random:{seed}",
        plant,
        (*rotators, *times, *(outsider(act.__name__.replace("_", " "), act) for act in acts)),
        overlaps=left(requests, overlaps),
        codes=ANY if acts else FAILED,
        most_published=None,
        deaths=dice.choice((0, 0, 1, 2)),
        leaves=True,
    )


def configured(name: str, request: Request | None, overlap: timedelta | None, *, times: int) -> Part:
    """Make a rotator, with an overlap of its own or without."""
    return (
        rotator(name, request, times=times) if overlap is None else rotator(name, request, times=times, overlap=overlap)
    )


def left(requests: list[Request | None], overlaps: list[timedelta | None]) -> tuple[timedelta, ...]:
    """Tell what consumers are left by those who do not leave them what the credential says."""
    compromised = any(request and request.compromised for request in requests)
    return (*(overlap for overlap in overlaps if overlap is not None), *[kinds.NOTHING] * compromised)


def play(seed: int) -> Played:
    """Play the race of a number by chance."""
    race = wild(seed)
    return Theatre(race).play(Dice(seed, race.deaths))
