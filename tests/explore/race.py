"""Races: rotators, the clock and outsiders on one stage, each schedule played in the same world and judged.

What is judged after each single call stands in ``tests.explore.watch``; here, what must have come of it in the end.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache, partial
from itertools import count

from rotator.model import Credential, Request
from rotator.policy import Reason
from rotator.rotate import Result
from rotator.testing.state import Token
from tests.explore.direct import Guard
from tests.explore.schedule import Chooser, Program, Stage, Turn, Witness
from tests.explore.situation import Aliases
from tests.explore.watch import Watch, comes_to_rest
from tests.explore.world import Moment, World
from tests.scenario.killing import Killed

QUIET = frozenset({0, 6})
"""Exit codes of a race in which nothing went wrong: done, or somebody else is at it."""
FAILED = QUIET | {4}
"""... in which somebody came too late with something."""
ANY = FAILED | {5}
"""... in which somebody else broke something."""


@dataclass(frozen=True)
class Scenery:
    """Where a race takes place: a world in which something stands."""

    world: World
    watch: Watch
    credential: Credential


@dataclass(frozen=True)
class Part:
    """Somebody on the stage."""

    name: str
    play: Callable[[Scenery, Guard], object]
    does: Hashable = None
    """What it does, if somebody else may do the very same; None for what nobody else does."""


@dataclass(frozen=True)
class Race:
    """What stands there, who takes part, and what may come of it."""

    name: str
    plant: Callable[[World], Credential]
    parts: tuple[Part, ...]
    overlaps: tuple[timedelta, ...] = ()
    """What somebody leaves consumers who is configured otherwise than the credential says."""
    codes: frozenset[int] = QUIET
    most_published: int | None = 1
    """How many tokens may be published at most before further runs; None where anybody may."""
    deaths: int = 0
    leaves: bool = False
    """Whether something may be left behind for further runs."""
    stops: frozenset[Reason] = frozenset()
    """For what further runs may have to ask a person, instead of coming to rest."""

    def are_twins(self, one: int, other: int) -> bool:
        """Whether two of those who take part, by their numbers, do the same."""
        return self.parts[one].does is not None and self.parts[one].does == self.parts[other].does


@dataclass(frozen=True)
class Played:
    """One schedule, played and judged."""

    turns: Sequence[Turn]
    violations: tuple[str, ...]
    looks: int
    end: str = ""
    """What came of it, before further runs; empty when it was not played to its end."""


def rotator(name: str, request: Request | None = None, *, times: int = 1, **changes: object) -> Part:
    """Run the credential, with some of its configuration changed; so many times. Its names are drawn apart."""

    def play(scenery: Scenery, guard: Guard) -> Result:
        mine = replace(scenery.credential, **changes)  # type: ignore[arg-type] # fields of a credential
        drawn = partial(lambda numbers: str(next(numbers)), count(10_000 * (ord(name) - ord("A") + 2)))
        watched = scenery.watch.guard(guard)
        results = [scenery.world.run(mine, request, guard=watched, draw=drawn) for _ in range(times)]
        return max(results, key=lambda it: it.exit_code)

    return Part(name, play, (request, times, tuple(sorted(changes.items()))))


def pause(*durations: timedelta) -> Part:
    """Let time pass, at one point after the other."""

    def play(scenery: Scenery, guard: Guard) -> None:
        watched = scenery.watch.guard(guard)
        for duration in durations:
            watched(f"{duration} pass", partial(scenery.world.clock.pass_by, duration))

    return Part("time", play)


def outsider(what: str, act: Callable[[Scenery], object]) -> Part:
    """Let somebody else do something once."""

    def play(scenery: Scenery, guard: Guard) -> None:
        guard(what, lambda: scenery.watch.outside(lambda: act(scenery)))

    return Part("outsider", play)


@cache
def planted(plant: Callable[[World], Credential]) -> tuple[World, Credential, Mapping[str, Token], Moment]:
    """Plant what stands there and foreigners around it, once in each process."""
    world = World()
    credential = plant(world)
    foreign = world.foreigners(credential.userid)
    return world, credential, foreign, world.moment()


class Theatre:
    """Plays one race over and over, each time in the same world."""

    def __init__(self, race: Race) -> None:
        self.race = race
        self.world, self._credential, self._foreign, self._moment = planted(race.plant)
        self._restful: set[Hashable] = set()
        """What schedules have left behind that came to rest."""

    def play(self, choose: Chooser, attend: Callable[[World, Watch], Witness] | None = None) -> Played:
        """Play once, and judge, unless somebody who attends has seen what follows already."""
        self.world.go_back(self._moment)
        watch = Watch(self.world, self._credential, self.race.overlaps, self._foreign)
        scenery = Scenery(self.world, watch, self._credential)
        programs = [self._program(part, scenery) for part in self.race.parts]
        stage = Stage(programs, choose, attend(self.world, watch) if attend else None)
        outcomes = stage.play()
        if stage.is_cut:
            return Played(stage.turns, (), watch.looks)
        wrong = [*self._of_outcomes(outcomes), *self._of_the_round(scenery, outcomes)]
        end = ended(outcomes, watch)
        wrong += self._of_rest(scenery)
        return Played(stage.turns, (*watch.violations, *wrong), watch.looks, end)

    @staticmethod
    def _program(part: Part, scenery: Scenery) -> Program:
        return lambda guard: part.play(scenery, guard)

    def _of_outcomes(self, outcomes: Sequence[object]) -> Iterator[str]:
        for part, outcome in zip(self.race.parts, outcomes, strict=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, Killed):
                yield f"{part.name} ended with {type(outcome).__name__}: {outcome}"
            if isinstance(outcome, Result) and outcome.exit_code not in self.race.codes:
                yield f"{part.name} ended with exit code {int(outcome.exit_code)}: {outcome.message}"
            if isinstance(outcome, Result) and "come to rest" in outcome.message:
                yield f"I3: {part.name} did not come to rest"

    def _of_the_round(self, scenery: Scenery, outcomes: Sequence[object]) -> Iterator[str]:
        """Judge what there is before anybody tidies up: how many have published, and what losers left."""
        most = self.race.most_published
        published = scenery.watch.published[scenery.watch.held_first :]
        if most is not None and len(published) > most:
            yield f"I4: {len(published)} were published: {', '.join(published)}"
        if self.race.leaves or any(isinstance(outcome, Killed) for outcome in outcomes):
            return
        tokens, standing = self.world.user(self._credential).tokens, self.world.standing(self._credential)
        left = [name for name, state in standing.items() if state == "unmarked" and not tokens[name].expire]
        if left:
            yield f"I4: losers left {', '.join(left)} behind"

    def _of_rest(self, scenery: Scenery) -> list[str]:
        """Judge what further runs come to, unless that is known: many schedules leave the very same behind."""
        left = scenery.watch.fingerprint()
        if left in self._restful:
            return []
        wrong = self._of_new_rest(scenery)
        if not wrong and not scenery.watch.violations:
            self._restful.add(left)
        return wrong

    def _of_new_rest(self, scenery: Scenery) -> list[str]:
        """Judge what further runs come to: rest or, after some acts of an outsider, a stop that asks for a person."""
        wrong = comes_to_rest(scenery.watch)
        if not (wrong and self.race.stops):
            return wrong
        before = self.world.moment()
        result = self.world.run(self._credential, guard=scenery.watch.guard())
        is_untouched = before.state is self.world.state and before.records == self.world.store.records
        is_fine = is_untouched and self.world.works(self._credential.primary.location)
        return [] if result.reason in self.race.stops and is_fine else wrong


def ended(outcomes: Sequence[object], watch: Watch) -> str:
    """Tell what came of a race: how each ended, and all that is there and still matters."""
    told = [(int(it.exit_code), it.reason, it.done) if isinstance(it, Result) else type(it).__name__ for it in outcomes]
    return Aliases()(repr((told, watch.fingerprint(), len(watch.published))))


class Dice:
    """Chooses by chance, the same for the same seed: now and then somebody else, now and then a death."""

    def __init__(self, seed: int | str, deaths: int) -> None:
        self._random = random.Random(f"turns {seed}")  # noqa: S311 - to be repeated, not to be secret
        self._often = self._random.choice((0.05, 0.15, 0.4))
        self._deaths = deaths

    def __call__(self, _step: int, turn: Turn, /) -> int:
        """Choose."""
        if turn.before in turn.able and self._random.random() > self._often:
            return turn.usual
        if self._deaths and turn.before in turn.able and self._random.random() < 0.1:
            self._deaths -= 1
            return ~turn.usual
        return self._random.choice(turn.able)
