"""A pseudo-terminal: somebody reads what a program asks and types the answers; echo is what the terminal does."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

PATIENCE = 30.0
CTRL_C = "\x03"


@dataclass
class Sitting:
    """How a program ended, and all that was on the screen."""

    exit_code: int
    screen: str


def sit(arguments: Sequence[str], answers: Sequence[tuple[str, str]], env: Mapping[str, str]) -> Sitting:
    """Run ``rotate`` on a terminal of its own; type each answer when what it belongs to has appeared.

    An answer of ``CTRL_C`` interrupts the program as the key does. Raises: ``AssertionError`` for a question that does
    not come.
    """
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "tests.setup.on_terminal", *arguments]
    given = {**os.environ, **env, "COLUMNS": "200", "TERM": "dumb"}
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen(command, env=given, start_new_session=True, **streams) as process:  # type: ignore[call-overload] # noqa: S603 - our own command
        os.close(theirs)
        screen, rest = "", ""
        for question, answer in answers:
            while question not in rest:
                more = read(ours)
                assert more, f"not asked: {question!r} in {screen!r}"
                screen, rest = screen + more, rest + more
            rest = rest.partition(question)[2]
            os.write(ours, answer.encode() if answer == CTRL_C else f"{answer}\n".encode())
        while more := read(ours):
            screen += more
    os.close(ours)
    return Sitting(process.returncode, screen)


def read(terminal: int) -> str:
    """Read what came; "" at the end."""
    ready, _, _ = select.select([terminal], [], [], PATIENCE)
    with suppress(OSError):  # Linux' end of a terminal
        return os.read(terminal, 65536).decode(errors="replace") if ready else ""
    return ""
