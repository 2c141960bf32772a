"""The standard streams of the process: there, whoever started it, and never what a command fails for."""

from __future__ import annotations

import os
import sys
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import Any, TextIO

_STREAMS = 3


class Output(FileIO):
    """Standard output: it remembers what could not be written, so that whoever wrote it need not tell of it."""

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - whatever has bytes
        """Write. Raises: ``OSError``."""
        try:
            return super().write(data)
        except OSError as error:
            self.failure = error
            raise


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
    if isinstance(sys.stdout, TextIOWrapper) and output_of(sys.stdout) is None:
        sys.stdout = watched(sys.stdout)


def watched(stream: TextIOWrapper) -> TextIO:
    """Return a stream that writes where another one does, and remembers what could not be written."""
    buffer = BufferedWriter(Output(stream.fileno(), "w", closefd=False))
    return TextIOWrapper(buffer, stream.encoding, stream.errors, line_buffering=stream.line_buffering)


def output_of(stream: TextIO) -> Output | None:
    """Return what remembers how writing to a stream went; None of one that is not watched."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, Output) else None


def failure_of(stream: TextIO) -> OSError | None:
    """Tell why a stream could not be written, if that has happened and the stream is watched."""
    output = output_of(stream)
    return output.failure if output else None


def flushed(stream: TextIO) -> OSError | None:
    """Write what is held back, and tell why not all could be written, if that is so."""
    try:
        stream.flush()
    except OSError as error:
        return error
    return failure_of(stream)


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
