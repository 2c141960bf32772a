"""One line for each rotation, put together from its events: what it was about, how it ended, what it took.

An *act* is what is done under one rotation id: a rotation, or the tidying up after one. It is over when the next thing
is decided for its credential, or when the run ends. Used from several threads; one credential's events come from one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from rotator.errors import ExitCode
from rotator.events import Event, Outcome, Step
from rotator.rotate import INTERRUPTED, Result

MAKES = frozenset({Step.ISSUE, Step.REGENERATE})
ENDS = frozenset({Step.RETIRE, Step.REVOKE})
FAILED = frozenset({Outcome.FAILED, Outcome.UNKNOWN})


class End(StrEnum):
    """How an act ended, in a word."""

    DONE = "done"
    LOST = "lost"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Act:
    """The ends of the steps of one act."""

    events: tuple[Event, ...]

    @property
    def end(self) -> End:
        """How it ended; whoever was overtaken did not fail."""
        if any(it.step is Step.OBSERVE for it in self.events):
            return End.LOST
        has_failed = any(it.outcome in FAILED and it.step is not Step.HOOK for it in self.events)
        return End.FAILED if has_failed else End.DONE

    @property
    def new(self) -> str:
        """The token that it made."""
        return next((it.token for it in self.events if it.step in MAKES), "")

    @property
    def old(self) -> tuple[str, ...]:
        """The tokens that it gave an end or deleted, but for the one that it made."""
        ended = (it.token for it in self.events if it.step in ENDS and it.outcome is Outcome.DONE)
        return tuple(dict.fromkeys(token for token in ended if token and token != self.new))

    @property
    def duration(self) -> timedelta:
        """How long its steps took."""
        return sum((it.duration for it in self.events), timedelta())


@dataclass(frozen=True, slots=True)
class Line:
    """What is written: at which level, what happened in a word or two, and all about it."""

    level: str
    event: str
    fields: dict[str, Any]


class Rotations:
    """Collects. ``hear`` is a listener; ``tell`` is called with each line."""

    def __init__(self, tell: Callable[[Line], None]) -> None:
        self._tell = tell
        self._open: dict[str, Act] = {}

    def hear(self, event: Event) -> None:
        """Take an event."""
        if event.outcome is Outcome.STARTED:
            return
        act = self._open.get(event.credential)
        if act and event.rotation != act.events[0].rotation:
            self._close(event.credential, None)
            act = None
        if event.rotation:
            self._open[event.credential] = replace(act, events=(*act.events, event)) if act else Act((event,))

    def end(self, result: Result, level: str | None = None, **more: str) -> None:
        """Take the end of a credential's run; ``more`` is told of it, a failure at that level."""
        if result.credential in self._open:
            self._close(result.credential, result, level, **more)
        elif result.exit_code not in {ExitCode.DONE, ExitCode.IN_FLIGHT} and result.reason != INTERRUPTED:
            self._tell(Line(level or level_of(result), "failed", about(result) | more))

    def keep(self, credentials: Collection[str]) -> None:
        """Forget those that are not configured any more; what they were at is told."""
        for gone in self._open.keys() - set(credentials):
            self._close(gone, None)

    def _close(self, credential: str, result: Result | None, level: str | None = None, **more: str) -> None:
        if act := self._open.pop(credential, None):
            self._tell(line(act, result, level, **more))


def line(act: Act, result: Result | None = None, level: str | None = None, **more: str) -> Line:
    """Write an act up; ``result`` is the run's, where the act was its last."""
    first = act.events[0]
    has_failed = act.end is End.FAILED
    fields: dict[str, Any] = {
        "credential": first.credential,
        "cluster": first.cluster,
        "reason": first.reason,
        "outcome": str(act.end),
        "old": ", ".join(act.old),
        "new": act.new,
        "duration": act.duration,
        "rotation": first.rotation,
        "trigger": str(first.trigger or ""),
        "steps": [told(it) for it in act.events if it.step is not Step.OBSERVE],
    }
    if not has_failed:
        misses = any(it.outcome in FAILED for it in act.events)  # a hook, whose failure fails nothing
        return Line("warning" if misses else "info", word(act), {**more, **fields})
    failure = about(result) if result else {}
    return Line(level or (level_of(result) if result else "warning"), word(act), {**failure, **more, **fields})


def word(act: Act) -> str:
    """Say what an act was, in a word or two."""
    match act.end:
        case End.LOST:
            return "overtaken"
        case End.FAILED:
            return "failed"
    return "rotated" if act.new else "tidied up"


def told(event: Event) -> dict[str, Any]:
    """Write up a step."""
    about_it = {"destination": event.destination, "token": event.token, "message": event.message, "hint": event.hint}
    return {"step": str(event.step), "outcome": str(event.outcome), "duration": event.duration} | {
        key: value for key, value in about_it.items() if value and (key == "destination" or event.outcome in FAILED)
    }


def about(result: Result) -> dict[str, Any]:
    """Write up what failed, what is live, and what to do."""
    return {
        "credential": result.credential,
        "cluster": result.cluster,
        "reason": str(result.reason),
        "outcome": str(End.FAILED),
        "step": str(result.step),
        "message": result.message,
        "live": result.live,
        "hint": result.hint,
    }


def level_of(result: Result) -> str:
    """Return how loud a failed run is told."""
    return "error" if result.exit_code in {ExitCode.LOCKED_OUT, ExitCode.BUG} else "warning"
