"""The standard streams of the process: there, whoever started it, and never what a command fails for."""

from __future__ import annotations

import os
import sys
from typing import TextIO

_STREAMS = 3


def keep_streams() -> None:
    """Open on nothing what the caller has closed, and let what an encoding lacks be a question mark.

    Else the next file that is opened has the number of a stream, and what is written to the stream goes into it; git
    does the same. Programs that are run later inherit them, as ever. Repeat: nothing changes.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) < _STREAMS:
        os.set_inheritable(number, True)  # noqa: FBT003 - takes it by position alone
    os.close(number)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="replace")


def is_narrow(stream: TextIO) -> bool:
    """Say whether there are characters that a stream cannot write."""
    return not (stream.encoding or "utf-8").lower().startswith("utf")


def let_go(stream: TextIO) -> None:
    """Let nothing more be written to a stream that cannot be written, not even when the interpreter ends."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)


def let_go_where_full() -> None:
    """Let go of what takes nothing more: the interpreter would end with an exit code of its own, 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            let_go(stream)
