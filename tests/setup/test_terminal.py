"""The terminal of these tests: whatever a program does on it, a test ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.setup.terminal import LONGEST, converse, until_the_end

ENDLESS = "while True: print('and on')"
ENDING = "print('done')"


@contextmanager
def terminal_of(program: str) -> Iterator[int]:
    """Give the terminal on which a program runs."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:  # noqa: S603 - ours
        os.close(theirs)
        try:
            yield ours
        finally:
            process.kill()
            os.close(ours)


@pytest.mark.parametrize(("program", "longest"), [(ENDLESS, LONGEST), (ENDING, 0.0)], ids=["much", "long"])
def test_a_program_that_never_stops_writing_is_said_not_to_end(program: str, longest: float) -> None:
    """By how much it wrote, or by how long that took."""
    with terminal_of(program) as terminal, pytest.raises(AssertionError, match="it does not end"):
        until_the_end(terminal, again="", longest=longest)


def test_a_program_that_ends_has_its_screen_read_whole() -> None:
    """That is what the others are told apart from."""
    with terminal_of(ENDING) as terminal:
        assert until_the_end(terminal, again="") == "done\r\n"


def test_a_program_that_never_stops_writing_does_not_ask() -> None:
    """Whoever waits for its question does not wait for ever."""
    with terminal_of(ENDLESS) as terminal, pytest.raises(AssertionError, match="not asked: 'Go on\\?'"):
        converse(terminal, [("Go on?", "y")])
