"""What ``rotate init`` does once it knows what is wanted: show each step, ask, do it, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from rotator.cli.asking import ALL, NO, Asker
from rotator.cli.invocation import faults_of
from rotator.cli.output import INDENT, Report, block
from rotator.cli.shapes import SetUp
from rotator.errors import RotatorError

AGAIN = "run `rotate init` again to go on; `rotate init --undo` takes back what was made"
AGAIN_UNDO = "run `rotate init --undo` again to go on"


@dataclass(frozen=True)
class Action:
    """One thing to do: what it is called, the command that does the same, why, and what does it."""

    thing: str
    command: str
    message: str
    do: Callable[[], None]
    detail: str = ""
    """What is shown before it is asked for: the text of a file."""


@dataclass
class Course:
    """A list of actions on its way. ``done`` is the word for one that was done, ``open`` for one that was not."""

    asker: Asker
    actions: Sequence[Action]
    done: str
    open: str
    again: str = AGAIN
    yes: bool = False
    results: list[SetUp] = field(default_factory=list)

    def foresee(self) -> list[SetUp]:
        """Say what would be done."""
        return [self._result(action, self.open) for action in self.actions]

    def run(self) -> bool:
        """Do one after the other, asked for each; returns whether all were done.

        Raises: what an action raises, ``Abort`` and ``KeyboardInterrupt``, after it was said what is done so far.
        """
        for number, action in enumerate(self.actions, 1):
            with self._telling(number - 1):
                if not self._is_wanted(number, action):
                    self.results += [self._result(it, self.open) for it in self.actions[number - 1 :]]
                    return False
                action.do()
            self.results.append(self._result(action, self.done))
        return True

    def _is_wanted(self, number: int, action: Action) -> bool:
        detail = "".join(f"\n{INDENT}| {line}".rstrip() for line in action.detail.splitlines())
        self.asker.say(f"{number}/{len(self.actions)}  {action.command}{detail}\n{INDENT}{action.message}")
        if self.yes:
            return True
        answer = self.asker.choose("Do it?")
        self.yes = answer == ALL
        return answer != NO

    @contextmanager
    def _telling(self, number: int) -> Iterator[None]:
        try:
            yield
        except (KeyboardInterrupt, click.Abort):
            self.asker.say(f"\n{self.so_far(number)}; {self.again}")
            raise

    def so_far(self, number: int) -> str:
        """Say how far it came."""
        return f"{number} of {len(self.actions)} steps are done"

    def failed(self, error: RotatorError) -> Report:
        """Report an error in the middle: what failed, what is there now, what to do."""
        count = len(self.results)
        results = [*self.results, *(self._result(it, self.open) for it in self.actions[count:])]
        hint = f"{error.hint}; then {self.again}" if error.hint else self.again
        faults = [replace(fault, hint=hint) for fault in faults_of(error)]
        complaint = block(f"rotate: {error}", live=self.so_far(count), hint=hint)
        return Report(results, [], error.exit_code, faults, complaint)

    def _result(self, action: Action, state: str) -> SetUp:
        return SetUp(thing=action.thing, command=action.command, message=action.message, state=state, exit_code=0)


def require_an_answer(asker: Asker, *, yes: bool) -> None:
    """Refuse before anything is done when nobody could be asked. Raises: ``UsageError``."""
    if not (yes or asker.is_there):
        raise click.UsageError("nobody is there to be asked; look with --dry-run, then say --yes")


def told(results: Sequence[SetUp]) -> list[str]:
    """Write results for people."""
    width = max((len(it.state) for it in results), default=0)
    return [f"{it.state:<{width}}  {it.command or it.thing}" for it in results]


def in_words(path: Path) -> str:
    """Say in a command which configuration is meant, where it is not found by itself."""
    return "" if path.name == "rotate.yaml" and path.parent == Path.cwd() else f" --config {path}"
