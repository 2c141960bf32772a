"""What the tests of single runs share: somebody who stands around the calls of a run, and the words for its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from rotator.errors import ExitCode, UnavailableError
from rotator.rotate import Result
from tests.explore.world import World

T = TypeVar("T")
FIRST, SECOND = "ci@pve!ci-1-10000", "ci@pve!ci-2-10001"
FIRST_PUT, SECOND_PUT = (f"PUT /access/users/ci@pve/token/{it.partition('!')[2]}" for it in (FIRST, SECOND))
LIST = "GET /access/users/ci@pve/token"
STILL = f"{FIRST} is still published"
AWAY = UnavailableError("the store is away", hint="wait")


class Calls:
    """What stands around the calls of a run: it keeps their labels, and does something before some of them."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self._before: list[tuple[str, int, int, Callable[[], object]]] = []

    def before(self, label: str, action: Callable[[], object], *, number: int = 1, times: int = 10**6) -> Calls:
        """Do something before the so-manieth call of this name, and before some more of them."""
        self._before.append((label, number, number + times, action))
        return self

    def fail(self, label: str, error: BaseException, *, number: int = 1, times: int = 10**6) -> Calls:
        """Let calls of this name fail, without an effect."""

        def action() -> None:
            raise error

        return self.before(label, action, number=number, times=times)

    def __call__(self, label: str, call: Callable[[], T], /) -> T:
        """Do a call."""
        self.labels.append(label)
        for name, first, end, action in self._before:
            if label == name and first <= self.labels.count(label) < end:
                action()
        return call()

    @property
    def changes(self) -> list[str]:
        """What was changed, in order."""
        return [it for it in self.labels if not it.startswith(("GET", "read", "preflight", "sleep"))]


def told(world: World) -> list[tuple[str, str, str, str, str]]:
    """Show the events: step, outcome, reason, message, hint."""
    return [(it.step, it.outcome, it.reason, it.message, it.hint) for it in world.events]


def failed(reason: str, message: str, **more: object) -> Result:
    """Make the result of a run that failed."""
    plain = Result("ci", "home", ExitCode.FAILED, reason, message)
    return replace(plain, **more)  # type: ignore[arg-type] # fields of a result
