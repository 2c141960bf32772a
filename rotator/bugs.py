"""What is said of an exception that nobody thought of: its type and the way there, no words and values of it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

LIVE = "not known here; `rotate status` and `rotate verify` tell"
AGAIN = "run it again with --verbose, and report it with what it prints"
REPORT = "report it with what it printed"


def named(error: BaseException) -> str:
    """Say what it is and where it came up."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else "nowhere"
    return f"this is a bug: {type(error).__name__} at {place}"


def traced(error: BaseException) -> Iterator[str]:
    """Yield the frames of an error and of those that led to it, without messages and locals."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before:
        yield from traced(before)
    yield f"{type(error).__name__}, called from:"
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"    {frame.filename}:{frame.lineno} in {frame.name}"
