"""What is wrong in a configuration, where it stands and what to write instead.

``InvalidValueError`` is one value that cannot be; ``Problem`` is that with its place in the file;
``InvalidConfigError`` is all of them at once. None of them repeats a value that could be a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from rotator.errors import ConfigError


class InvalidValueError(ValueError):
    """A value that is not what its place takes, and what to write instead."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One error in a file: lines and columns count from 1, 0 means the file as a whole."""

    line: int
    column: int
    where: str
    """The offending key with all that it stands in: ``credentials[ci].every``."""
    message: str
    advice: str = ""

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        return f"{where}{self.message}"


class InvalidConfigError(ConfigError):
    """The configuration file is wrong: everything that is wrong with it, in the order of its lines."""

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(set(problems)))
        count = f"{len(self.problems)} errors" if len(self.problems) != 1 else "1 error"
        lines = [f"the configuration has {count}; nothing was contacted", *map(self._line, self.problems)]
        super().__init__("\n".join(lines), hint="`rotate config schema` prints the schema for your editor")

    def _line(self, problem: Problem) -> str:
        place = f"{self.path}:{problem.line}:{problem.column}" if problem.line else f"{self.path}"
        advice = f"\n    {problem.advice}" if problem.advice else ""
        return f"  {place}: {problem}{advice}"


def suggestion(word: str, known: Iterable[str]) -> str:
    """Say what was probably meant: ``did you mean 'ci'?``, or what there is to choose from, or nothing."""
    choices = list(known)
    close = get_close_matches(word, choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"there is {', '.join(sorted(choices))}" if 0 < len(choices) <= _LISTED else ""


_LISTED = 20
