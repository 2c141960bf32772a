"""Every schedule of a race with at most so many preemptions, what is the same played once.

Two things are left out, and neither leaves out anything that could happen. *Merging*: a schedule that comes to a
situation (``tests.explore.situation``) to which an earlier one has come goes no further, because what follows has been
seen; schedules are taken in the order of their preemptions, so the earlier one has left as many to go on with.
*Twins*: of two programs that do the same and have not begun, the first begins; the other way round is the same with
names changed. That both are so is shown in ``test_race_all.py``, by playing everything.

This is explicit-state search with sound pruning, on top of iterative context bounding (``tests.explore.schedule``).
Partial-order reduction would have to know which calls commute; the digest finds it out, call by call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.explore.race import Played, Race, Theatre
from tests.explore.schedule import Changes, Player, Turn, alternatives, following
from tests.explore.situation import Situation
from tests.explore.watch import Watch
from tests.explore.world import World


@dataclass(frozen=True)
class Covered:
    """How much was played, and what was found: a violation, and the schedule that shows it."""

    schedules: int = 0
    steps: int = 0
    looks: int = 0
    situations: int = 0
    """Different ones, from each of which all that may follow within the bound was played."""
    found: tuple[tuple[str, Changes], ...] = ()
    ends: frozenset[str] = frozenset()

    def __add__(self, played: Played) -> Covered:
        return replace(
            self,
            schedules=self.schedules + 1,
            steps=self.steps + len(played.turns),
            looks=self.looks + played.looks,
        )


class Known(Situation):
    """Goes on with a schedule as long as it comes to what was not met before."""

    def __init__(self, world: World, watch: Watch, programs: int, met: Met, changes: Changes) -> None:
        super().__init__(world, watch, programs)
        self._met, self._last = met, max(changes, default=-1)

    def goes_on(self, step: int, players: Sequence[Player], before: int | None, /) -> bool:
        """Say no once the schedule has left what it repeats, and stands where another one stood."""
        return step <= self._last or self._met.is_new(self.digest(players, before))


class Met:
    """The situations that were met, in rounds of one more preemption each."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._digests)

    def is_new(self, digest: bytes) -> bool:
        """Say whether a situation is met for the first time, and remember it."""
        before = len(self._digests)
        self._digests.add(digest)
        return len(self._digests) > before


def all_schedules(theatre: Theatre, bound: int, *, is_merged: bool = True, has_twins: bool = True) -> Covered:
    """Play every schedule with at most so many preemptions."""
    race, met, covered = theatre.race, Met(), Covered()
    ends: set[str] = set()
    found: list[tuple[str, Changes]] = []
    rounds: list[list[Changes]] = [[{}], *([] for _ in range(bound))]
    for used, left in enumerate(rounds):
        while left:
            changes = left.pop()
            attend = attending(race, met, changes) if is_merged else None
            played = theatre.play(following(changes), attend)
            covered += played
            found += [(it, changes) for it in played.violations]
            ends |= {played.end} if played.end else set()
            for more in alternatives(changes, played.turns, bound=bound, deaths=race.deaths):
                step = max(more)
                if not (has_twins and begins_for_its_twin(race, played.turns[:step], more[step])):
                    rounds[used + played.turns[step].preempts(more[step])].append(more)
    return replace(covered, situations=len(met), found=tuple(found), ends=frozenset(ends))


def attending(race: Race, met: Met, changes: Changes) -> Callable[[World, Watch], Known]:
    """Let somebody attend one schedule who knows what was met before."""
    return lambda world, watch: Known(world, watch, len(race.parts), met, changes)


def begins_for_its_twin(race: Race, turns: Sequence[Turn], chosen: int) -> bool:
    """Whether a program would begin although another one that does the same, and comes first, has not begun."""
    begun = {turn.chosen if turn.chosen >= 0 else ~turn.chosen for turn in turns}
    if chosen < 0 or chosen in begun:
        return False
    return any(race.are_twins(number, chosen) for number in range(chosen) if number not in begun)


def seen(covered: Covered) -> tuple[frozenset[str], frozenset[str]]:
    """Tell all that came of the schedules of a race: how they ended, and what was violated."""
    return covered.ends, frozenset(what.partition(" (at: ")[0] for what, _ in covered.found)
