"""Who does the next call: programs whose calls are interleaved as a chooser says, each schedule the same every time.

Each program runs in a thread of its own, but one runs at a time: before each call it asks who is next, and waits until
it is. Threads and batons, because nothing else stops the product's own code in the middle without changing it; greenlet
would do the same faster, and hands are changed only a few times in a schedule.

A *preemption* takes the turn from a program that could have gone on. Most races need few of them, so that all schedules
with at most so many are enumerated (iterative context bounding: Musuvathi and Qadeer, PLDI 2007).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from tests.explore.direct import Guard
from tests.scenario.killing import Killed

T = TypeVar("T")

Program = Callable[[Guard], object]
"""Something that is done through a guard, such as a run of a credential."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One decision: who could have been next, who was before, who was chosen, and what that one was about to call."""

    able: tuple[int, ...]
    before: int | None
    chosen: int
    """The number of a program; ``~number`` ends that program where it stands."""
    label: str = ""

    @property
    def usual(self) -> int:
        """Who is next unless somebody says otherwise: whoever was before, or else the first."""
        return self.before if self.before in self.able and self.before is not None else self.able[0]

    def preempts(self, chosen: int) -> bool:
        """Say whether choosing that one takes the turn from one that could have gone on."""
        return self.before in self.able and chosen not in {self.before, ~self.usual}


class Chooser(Protocol):
    """Says who is next."""

    def __call__(self, step: int, turn: Turn, /) -> int:
        """Choose one of those that are able, or ``~number`` to end who was before; ``turn.chosen`` is the usual."""
        ...


class Witness:
    """Stands around what programs do, and may end it all; this one looks away."""

    def called(self, _number: int, _label: str, call: Callable[[], T], /) -> T:
        """Do a program's call."""
        return call()

    def died(self, number: int, /) -> None:
        """Hear that a program is ended before the call that it was about to do."""

    def goes_on(self, _step: int, _players: Sequence[Player], _before: int | None, /) -> bool:
        """Say whether this is worth going on with, before each turn."""
        return True


@dataclass
class Player:
    """One program and its thread."""

    number: int
    program: Program
    baton: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    is_ready: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    thread: threading.Thread = field(default_factory=threading.Thread)
    label: str = ""
    """What it is about to call; empty before its first call, which it goes to without being asked."""
    is_over: bool = False
    is_doomed: bool = False
    outcome: object = None
    """What the program returned, or the exception that ended it."""


class Stage:
    """Plays some programs once, as the chooser says; ``turns`` is what happened."""

    def __init__(self, programs: Sequence[Program], choose: Chooser, witness: Witness | None = None) -> None:
        self.turns: list[Turn] = []
        self.is_cut = False
        """Whether the witness has seen enough: then each program was ended where it stood."""
        self._players = [Player(number, program) for number, program in enumerate(programs)]
        self._choose = choose
        self._witness = witness or Witness()
        self._before: int | None = None

    def play(self) -> list[object]:
        """Let all programs run to their end; return what became of each."""
        for player in self._players:
            player.thread = threading.Thread(target=self._run, args=(player,), daemon=True)
            player.thread.start()
            player.is_ready.acquire()
        self._pass_on()
        for player in self._players:
            player.thread.join()
        return [player.outcome for player in self._players]

    def _run(self, player: Player) -> None:
        try:
            player.outcome = player.program(self._guard_of(player))
        except BaseException as error:  # noqa: BLE001 - a program that was ended, or a fault that the explorer reports
            player.outcome = error
        player.is_over = True
        if player.label:
            self._pass_on()
        else:
            player.is_ready.release()

    def _guard_of(self, player: Player) -> Guard:
        """Make what stops a program before each call until it has the turn."""

        def guard(label: str, call: Callable[[], T], /) -> T:
            is_first, player.label = not player.label, label
            if is_first:
                player.is_ready.release()
                player.baton.acquire()
            elif not self.is_cut and self._next() is not player:
                player.baton.acquire()
            if player.is_doomed or self.is_cut:
                self._witness.died(player.number)
                raise Killed
            return self._witness.called(player.number, label, call)

        return guard

    def _pass_on(self) -> None:
        """Give the turn to whoever is next, unless all is over; once all is cut, one after the other ends."""
        left = [player for player in self._players if not player.is_over]
        if left and not self.is_cut:
            self._next()
        elif left:
            left[0].baton.release()

    def _next(self) -> Player:
        """Choose, note it, and hand over the baton unless it stays where it is."""
        able = tuple(player.number for player in self._players if not player.is_over)
        if not self._witness.goes_on(len(self.turns), self._players, self._before):
            return self._cut(able)
        turn = Turn(able, self._before, 0)
        usual = Turn(able, self._before, turn.usual)
        chosen = self._choose(len(self.turns), usual)
        player = self._players[chosen if chosen >= 0 else ~chosen]
        player.is_doomed = chosen < 0
        self.turns.append(Turn(able, self._before, chosen, player.label))
        is_same, self._before = player.number == self._before, player.number
        if not is_same:
            player.baton.release()
        return player

    def _cut(self, able: Sequence[int]) -> Player:
        """End all programs where they stand, beginning with whoever was before, in whose thread this is."""
        self.is_cut = True
        player = self._players[self._before if self._before in able and self._before is not None else able[0]]
        if player.number != self._before:
            player.baton.release()
        return player


Changes = Mapping[int, int]
"""A schedule: at which steps somebody else than usual is chosen, and who."""


def following(changes: Changes) -> Chooser:
    """Choose as a schedule says."""
    return lambda step, turn: changes.get(step, turn.chosen)


def preemptions(turns: Sequence[Turn]) -> int:
    """Count the turns that were taken from one that could have gone on."""
    return sum(turn.preempts(turn.chosen) for turn in turns)


def alternatives(changes: Changes, turns: Sequence[Turn], *, bound: int, deaths: int) -> Iterator[Changes]:
    """Yield the schedules that do what this one did up to some step after its last change, and then something else.

    From the schedule without changes on, this leads to each schedule within the bounds exactly once.
    """
    used = preemptions(turns[: max(changes, default=-1) + 1])
    died = sum(chosen < 0 for chosen in changes.values())
    for step in range(max(changes, default=-1) + 1, len(turns)):
        turn = turns[step]
        for chosen in turn.able:
            if chosen != turn.chosen and used + turn.preempts(chosen) <= bound:
                yield {**changes, step: chosen}
        if died < deaths and turn.before is not None and turn.before in turn.able:
            yield {**changes, step: ~turn.before}


def spelled(changes: Changes) -> str:
    """Write a schedule so that it can be played again: ``7:1 12:x0``."""
    return " ".join(f"{step}:{chosen}" if chosen >= 0 else f"{step}:x{~chosen}" for step, chosen in changes.items())


def read_back(text: str) -> Changes:
    """Read a schedule as it was written."""
    pairs = [pair.split(":") for pair in text.split()]
    return {int(step): ~int(who[1:]) if who.startswith("x") else int(who) for step, who in pairs}


def changes_of(turns: Sequence[Turn]) -> Changes:
    """Tell the schedule that was played."""
    return {step: turn.chosen for step, turn in enumerate(turns) if turn.chosen != turn.usual}


def story(turns: Sequence[Turn], names: Sequence[str]) -> list[str]:
    """Tell what happened, a line for each time that somebody has the turn."""
    lines: list[str] = []
    last = None
    for turn in turns:
        number = turn.chosen if turn.chosen >= 0 else ~turn.chosen
        what = turn.label if turn.chosen >= 0 else f"DIES before: {turn.label}"
        if number == last:
            lines[-1] += f", {what}"
        else:
            lines.append(f"{names[number]}: {what}")
        last = number
    return lines
