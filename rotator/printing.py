"""What may be written where people read, and writing it without ever failing."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TextIO

from rotator.durations import spell_duration

MILLISECOND = timedelta(milliseconds=1)


class Sturdy:
    """A stream that writes as much as it can, and does not fail: as much of ``TextIO`` as rich and we use."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:
        """The encoding of what is behind it."""
        return self._stream.encoding or "utf-8"

    def isatty(self) -> bool:
        """Say whether it is a terminal."""
        return self._stream.isatty()

    def write(self, text: str) -> int:
        """Write, with a question mark for what the encoding does not have."""
        with suppress(OSError, ValueError):  # a ValueError is a closed file
            self._stream.write(text.encode(self.encoding, "replace").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        """Flush."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def printable(text: str) -> str:
    """Return a text as one line, with nothing in it that a terminal would obey: some of it was written by others."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)


def brief(duration: timedelta) -> str:
    """Write how long a step took; nothing for what takes no time."""
    if not duration:
        return ""
    if duration < timedelta(seconds=1):
        return f"{duration // MILLISECOND} ms" if duration >= MILLISECOND else "<1 ms"
    return f"{duration.total_seconds():.1f} s" if duration < timedelta(minutes=1) else spell_duration(duration)
