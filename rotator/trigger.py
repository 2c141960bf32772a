"""Who or what began a run. Decided once, where the work is begun; every event of that work bears it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class By(StrEnum):
    """What kind of caller it was."""

    COMMAND = "command"
    SCHEDULE = "schedule"
    PAGE = "page"
    LAMBDA = "lambda"


@dataclass(frozen=True, slots=True)
class TriggeredBy:
    """``what`` is the command as it was typed, without values, or why the service woke it: ``due``, ``retry``.

    ``who`` is the user of this machine who called the command, or whoever the page knows; empty where it was nobody.
    """

    by: By
    what: str
    who: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.by, self.what, self.who and f"({self.who})")))
