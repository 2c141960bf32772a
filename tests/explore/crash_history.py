"""What happens to a run at one of its calls, and the histories that are made of it, in words that replay them.

A history is ``normal 5:before 12:slow soon``: the first run of the kind ``normal`` dies before its fifth call takes
effect, at the twelfth call of the second an hour passes, and the further runs come soon after each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Self, TypeVar

from rotator.model import Credential
from tests.scenario.killing import Killed

T = TypeVar("T")
HOUR = timedelta(hours=1)
MOMENT = timedelta(seconds=5)


class How(StrEnum):
    """What happens at a call."""

    BEFORE = "before"
    """The process dies, the call never happened."""
    AFTER = "after"
    """It happens, and the process dies before it sees the answer."""
    LATE = "late"
    """An hour passes, it happens, and the process dies."""
    SLOW = "slow"
    """An hour passes, it happens, and the run goes on."""
    OVERTAKEN = "overtaken"
    """Another rotator does a whole run, after the pause of the schedule; then it happens, and the run goes on."""


DEATHS = (How.BEFORE, How.AFTER)
LONELY = (*DEATHS, How.LATE, How.SLOW)

SCHEDULES: Mapping[str, Callable[[Credential], tuple[timedelta, ...]]] = {
    "soon": lambda it: (MOMENT, it.in_flight + MOMENT, it.overlap + MOMENT, timedelta(minutes=1)),
    "later": lambda it: (it.in_flight + MOMENT, it.overlap + MOMENT, timedelta(minutes=1)),
    "late": lambda it: (it.overlap + MOMENT, it.in_flight + MOMENT, it.overlap + MOMENT, timedelta(minutes=1)),
}
"""How long after each other further runs come; the first pause is also the one between runs that die."""


@dataclass(frozen=True)
class Point:
    """A call of a run, counted from 1, and what happens there."""

    at: int
    how: How

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``5:before``. Raises: ``ValueError``."""
        at, _, how = text.partition(":")
        return cls(int(at), How(how))

    def __str__(self) -> str:
        return f"{self.at}:{self.how}"


@dataclass(frozen=True)
class History:
    """Runs of one kind that each meet something, and how further runs follow."""

    kind: str
    points: tuple[Point, ...]
    schedule: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str`` gives. Raises: ``ValueError``."""
        kind, *points, schedule = text.split()
        if schedule not in SCHEDULES:
            raise ValueError(f"a history ends with one of {', '.join(SCHEDULES)}")
        return cls(kind, tuple(Point.parse(it) for it in points), schedule)

    def __str__(self) -> str:
        return " ".join([self.kind, *map(str, self.points), self.schedule])


@dataclass
class Fate:
    """Stands around every call of a run, counts them, and lets happen what is to happen at one of them."""

    look: Callable[[str], None]
    """Called before and after each call."""
    pass_by: Callable[[timedelta], None]
    overtake: Callable[[], None]
    point: Point | None = None
    calls: list[str] = field(default_factory=list)

    def __call__(self, label: str, call: Callable[[], T]) -> T:
        """Do a call, or die at it."""
        self.calls.append(label)
        self.look(f"before {label}")
        how = self.point.how if self.point and self.point.at == len(self.calls) else None
        self._before(how)
        result = call()
        self.look(f"after {label}")
        if how in {How.AFTER, How.LATE}:
            raise Killed
        return result

    def _before(self, how: How | None) -> None:
        if how is How.BEFORE:
            raise Killed
        if how in {How.LATE, How.SLOW}:
            self.pass_by(HOUR)
        if how is How.OVERTAKEN:
            self.overtake()


def points(calls: int, *hows: How) -> Iterator[Point]:
    """Yield all points of a run with so many calls."""
    return (Point(at, how) for at in range(1, calls + 1) for how in hows)
