"""A pseudo-terminal: somebody reads what a program asks and types the answers; echo is what the terminal does."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

PATIENCE = 30.0
IMPATIENCE = 2.0
"""Seconds after which somebody presses Ctrl-C again: between two system calls of a program it may go unnoticed."""
LONGEST = 120.0
"""Seconds after which a program that goes on writing is taken for one that does not end."""
MOST = 1_000_000
"""Characters that are read of one."""
SHOWN = 4000
CTRL_C = "\x03"


@dataclass
class Sitting:
    """How a program ended, and all that was on the screen."""

    exit_code: int
    screen: str


def sit(arguments: Sequence[str], answers: Sequence[tuple[str, str]], env: Mapping[str, str]) -> Sitting:
    """Run ``rotate`` on a terminal of its own; type each answer when what it belongs to has appeared.

    An answer of ``CTRL_C`` interrupts the program as the key does, and is the last one. Raises: ``AssertionError`` for
    a question that does not come, and for a program that does not end.
    """
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "tests.setup.on_terminal", *arguments]
    given = {**os.environ, "COLUMNS": "200", "TERM": "dumb", **env}
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen(command, env=given, start_new_session=True, **streams) as process:  # type: ignore[call-overload] # noqa: S603 - our own command
        os.close(theirs)
        try:
            screen = converse(ours, answers)
            screen += until_the_end(ours, again=CTRL_C if answers[-1][1] == CTRL_C else "")
            return Sitting(process.wait(PATIENCE), screen)
        finally:
            process.kill()  # which does nothing to one that has ended
            os.close(ours)


def converse(terminal: int, answers: Sequence[tuple[str, str]]) -> str:
    """Wait for each question and type its answer; returns what was on the screen."""
    screen, rest = "", ""
    for question, answer in answers:
        while question not in rest:
            assert len(rest) < MOST, f"not asked: {question!r} in {rest[-SHOWN:]!r}"
            more = read(terminal, PATIENCE)
            assert more, f"not asked: {question!r} in {screen!r}"
            screen, rest = screen + more, rest + more
        rest = rest.partition(question)[2]
        os.write(terminal, answer.encode() if answer == CTRL_C else f"{answer}\n".encode())
    return screen


def until_the_end(terminal: int, *, again: str, longest: float = LONGEST) -> str:
    """Read what comes until the program closes its terminal; ``again`` is pressed when nothing comes.

    Raises: ``AssertionError`` for one that says nothing for too long, and for one that never stops writing.
    """
    screen, silences, end = "", 0, monotonic() + longest
    while silences < PATIENCE / IMPATIENCE and len(screen) < MOST and monotonic() < end:
        more = read(terminal, IMPATIENCE)
        if more == "":
            return screen
        screen += more or ""
        if more is None:
            silences += 1
            os.write(terminal, again.encode())
    raise AssertionError(f"it does not end: {screen[-SHOWN:]!r}")


def read(terminal: int, patience: float) -> str | None:
    """Read what came; "" at the end, None when nothing comes."""
    ready, _, _ = select.select([terminal], [], [], patience)
    with suppress(OSError):  # Linux' end of a terminal
        return os.read(terminal, 65536).decode(errors="replace") if ready else None
    return ""
