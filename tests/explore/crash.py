"""One rotator that dies at any call, once or twice, or is held up or overtaken there: then all must come to rest.

A stage holds the situation of one kind; histories are played on it, each from the same moment. A second death is played
from the moment of the first, and what follows on it once for all pairs that have come to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from rotator.marker import Marker
from rotator.model import Credential, Request
from rotator.policy import Reason
from rotator.rotate import Result
from rotator.testing.state import State, Token
from tests.explore.crash_history import SCHEDULES, Fate, History, How, Point, points
from tests.explore.crash_kinds import KINDS, Kind
from tests.explore.crash_watch import Strict
from tests.explore.world import Moment, World
from tests.scenario.killing import Killed

CHANGING = ("POST", "PUT", "DELETE", "write", "announce")
DONE = ("up-to-date", 0, ())


class Kept(NamedTuple):
    """A moment of a history, to go on from in several ways."""

    moment: Moment
    watch: Strict
    request: Request
    told: tuple[object, ...]
    secrets: frozenset[str]


@dataclass
class Stage:
    """One kind of rotation, to be begun again and again from the same moment."""

    kind: Kind
    runs: int = 0
    looks: int = 0
    told: list[object] = field(default_factory=list)
    """What the runs of a history gave out."""
    secrets: set[str] = field(default_factory=set, repr=False)
    """All that there were in a history."""
    tell: Callable[[str], object] = lambda _: None
    """Is told every call, and how every run ends."""

    def __post_init__(self) -> None:
        """Plant the situation, and what must not be touched."""
        self.world = World()
        self.credential: Credential = self.kind.plant(self.world)
        mine = {it for it in tokens_of(self.world.state) if it.startswith(f"{self.credential.userid}!")}
        self.foreign = self.world.foreigners() if self.credential.userid == self.world.userid else {}
        self.others = {name: it for name, it in tokens_of(self.world.state).items() if name not in mine}
        self.start = self.world.moment()
        self.begin()

    @classmethod
    def of(cls, kind: str) -> Stage:
        """Make the stage of a kind by its name. Raises: ``KeyError``."""
        return cls(KINDS[kind])

    # moments

    def begin(self, schedule: str = "soon") -> None:
        """Begin again."""
        self.world.go_back(self.start)
        self.request, self.told, self.secrets = self.kind.request, [], set()
        self.pauses = SCHEDULES[schedule](self.credential)
        self.watch = Strict(self.world, self.credential, foreign=self.foreign)
        self.watch.excused = self.kind.excused

    def keep(self) -> Kept:
        """Keep this moment."""
        told = (*self.told, *self.world.events)
        return Kept(self.world.moment(), self.watch.kept(), self.request, told, frozenset(self.secrets))

    def go_back(self, kept: Kept) -> None:
        """Go on from that moment."""
        self.world.go_back(kept.moment)
        self.watch, self.request, self.told = kept.watch.kept(), kept.request, list(kept.told)
        self.secrets = set(kept.secrets)

    # what happens

    def act(self, point: Point | None = None) -> Fate:
        """Do a run that meets something at one of its calls; then let the first pause of the schedule pass."""
        fate = self.fate(point)
        self.run(fate)
        self.pass_by(self.pauses[0])
        return fate

    def fate(self, point: Point | None = None) -> Fate:
        """Make what stands around the calls of a run."""
        return Fate(self.look, self.pass_by, self.overtake, point)

    def look(self, where: str) -> None:
        """Look at the world, and tell where we are."""
        self.watch.look(where)
        self.tell(where)

    def overtake(self) -> None:
        """Let another rotator do a whole run after the first pause of the schedule."""
        self.pass_by(self.pauses[0])
        self.run(self.fate())

    def pass_by(self, pause: timedelta) -> None:
        """Let time pass under the eyes of the watch."""
        begun = self.world.clock.seconds
        until = begun + pause.total_seconds()
        for moment in (*(it for it in self.watch.last_moments() if begun < it < until), until):
            self.world.clock.seconds = moment
            self.look(f"{pause} pass")

    def run(self, fate: Fate) -> Result | None:
        """Run once; None when it dies."""
        self.runs += 1
        request, self.request = self.request, Request()
        try:
            result = self.world.run(self.credential, request, guard=fate)
        except Killed:
            self.tell("the run dies")
            return None
        except Exception as error:  # noqa: BLE001 - whatever is raised is a violation
            self.watch.violations.append(f"I3: a run raised {error!r} at {fate.calls[-1]}")
            return None
        finally:
            self.secrets |= {token.secret for token in tokens_of(self.world.state).values()}
        self.told.append(result)
        self.tell(f"the run ends: {result.reason}, did {', '.join(result.done) or 'nothing'}: {result.message}")
        self.see_end(result)
        return result

    def see_end(self, result: Result) -> None:
        """See that what is published when a run has ended works, whatever was excused on the way."""
        held = self.watch.held()[0]
        if result.exit_code in {0, 6} and held and not self.world.pve.accepts(*held):
            self.watch.violations.append(f"I1: a run ended with {result.reason}, and what is published is refused")

    # how it ends

    def finish(self) -> list[str]:
        """Run on past every deadline until nothing is to do; return all violations."""
        for pause in (*self.pauses[1:], *SCHEDULES["late"](self.credential)):
            result = self.run(self.fate())
            if result and self.is_quiet(result):
                break
            self.pass_by(pause)
        last = self.fate()
        result = self.run(last)
        wrong = list(self.watch.violations)
        if result is None or (result.reason, int(result.exit_code), result.done) != DONE:
            wrong.append(f"I3: no rest: {result and (result.reason, result.done, result.message)}")
        if changing := [call for call in last.calls if call.startswith(CHANGING)]:
            wrong.append(f"I3: a run that found nothing to do did {changing}")
        self.looks += self.watch.looks
        return [*wrong, *self.unrestful(), *self.tattled()]

    def is_quiet(self, result: Result) -> bool:
        """Say whether nothing was to do, and one token is left that has no deadline to wait for."""
        is_idle = (result.reason, result.done) == (Reason.UP_TO_DATE, ())
        return is_idle and len(tokens_of(self.world.state)) == len(self.others) + 1

    def stand(self, before: Standing, point: Point, following: dict[str, Standing]) -> str:
        """Go on from a situation with a run that meets something, note where that leads, and return it in words."""
        self.go_back(before.kept)
        self.act(point)
        situation = f"{self.request} {self.watch.situation()}"
        if situation in following:
            following[situation].histories += before.histories
        else:
            following[situation] = Standing(self.keep(), (*before.points, point), before.histories)
        return situation

    def unrestful(self) -> Iterator[str]:
        """Say what is left that should not be, and what is not there that should."""
        held = self.watch.held()
        current = held[0]
        if set(held) != {current} or current is None or not self.world.pve.accepts(*current):
            yield f"I3: the destinations do not all hold one token that works: {[it and it[0] for it in held]}"
            return
        tokens = tokens_of(self.world.state)
        token, left = tokens.get(current[0]), {name: it for name, it in tokens.items() if name != current[0]}
        if left != self.others:
            yield f"I3: these are left, or gone: {sorted(set(left) ^ set(self.others)) or 'changed'}"
        marker = Marker.parse(token.comment) if token else None
        if not (token and marker and marker.published) or bool(token.expire) != bool(self.credential.lifetime):
            yield f"I3: {current[0]} is current and does not stand as it should: {token}"

    def tattled(self) -> Iterator[str]:
        """Say which secrets are in what the runs gave out (I7)."""
        text = repr((self.told, self.world.events))
        yield from ("I7: a run gave a secret out" for secret in self.secrets if secret in text)


def tokens_of(state: State) -> dict[str, Token]:
    """List all tokens of all users by their full ids."""
    return {f"{userid}!{name}": it for userid, user in state.users.items() for name, it in user.tokens.items()}


# histories


class Played(NamedTuple):
    """A history and what was violated in it."""

    history: History
    violations: list[str]


@dataclass
class Explored:
    """The histories that were played to their end, and how many come to the same as one of them or are one."""

    played: list[Played]
    histories: int


def calls(stage: Stage) -> list[str]:
    """List the calls of the first run."""
    stage.begin()
    return stage.act().calls


def play(stage: Stage, history: History, tell: Callable[[str], object] = lambda _: None) -> list[str]:
    """Play one history from its beginning, telling every call; return the violations."""
    stage.begin(history.schedule)
    stage.tell = tell
    for point in history.points:
        stage.act(point)
    return stage.finish()


def singles(stage: Stage, schedule: str, hows: Iterable[How] = tuple(How)) -> Explored:
    """Play every history in which something happens at one call of the first run, each to its end."""
    histories = [History(stage.kind.name, (it,), schedule) for it in points(len(calls(stage)), *hows)]
    return Explored([Played(history, play(stage, history)) for history in histories], len(histories))


@dataclass
class Standing:
    """A situation that histories have come to: the first of them, and how many."""

    kept: Kept
    points: tuple[Point, ...]
    histories: int


def successive(stage: Stage, schedule: str, depth: int, hows: Iterable[How], first: Point | None = None) -> Explored:
    """Play every history in which something happens at a call of each of so many runs, one after the other.

    Most calls change nothing, so most histories come to stand where another has stood: what follows is played once.
    Shorter histories are played on the way, and not counted.
    """
    stage.begin(schedule)
    found, met, chosen = Explored([], 0), set[str](), tuple(hows)
    level = [Standing(stage.keep(), (), 1)]
    for number in range(depth):
        following: dict[str, Standing] = {}
        for standing in level:
            stage.go_back(standing.kept)
            all_points = points(len(stage.act().calls), *chosen)
            for point in [first] if first and not number else all_points:
                found.histories += standing.histories * (number == depth - 1)
                situation = stage.stand(standing, point, following)
                if situation not in met:
                    met.add(situation)
                    history = History(stage.kind.name, following[situation].points, schedule)
                    found.played.append(Played(history, stage.finish()))
        level = list(following.values())
    return found
