"""Reading the audit trail: the file, those that logrotate made of it, and their lines."""

from __future__ import annotations

import errno
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from rotator.audit.chain import parsed

ROTATED = re.compile(r"(\.\d+|-\d{8,}(?:-\d+)?)(\.gz)?")
"""What logrotate puts behind the name: a number, or a date with ``dateext``."""
COMPRESSED = ".gz"
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
"""What gzip raises in the middle of a file."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it stands in a file; ``fields`` is None for one that we did not write."""

    path: Path
    number: int
    text: bytes
    fields: dict[str, Any] | None
    is_whole: bool = True
    """False for what comes after the last end of a line."""


def rotated(path: Path) -> list[Path]:
    """List what logrotate made of a file, the oldest first; what is being compressed just now counts as it was."""
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    found = {it for it in beside if it.name.startswith(path.name) and ROTATED.fullmatch(it.name[len(path.name) :])}
    doubled = {it.with_name(it.name + COMPRESSED) for it in found}
    return sorted(found - doubled, key=age)


def age(path: Path) -> tuple[bool, int | str]:
    """Sort by the number, the highest first, or by the date."""
    end = path.name.removesuffix(COMPRESSED)
    number = re.search(r"\.(\d+)$", end)
    return (True, -int(number[1])) if number else (False, end)


def lines(paths: Iterable[Path]) -> Iterator[Line]:
    """Yield all lines of some files. Raises: ``OSError``."""
    for path in paths:
        with opened(path) as file:
            for number, text in enumerate(file, 1):
                bare = text.removesuffix(b"\n")
                yield Line(path, number, bare, parsed(bare), is_whole=text.endswith(b"\n"))


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that may be compressed. Raises: ``OSError``, also while it is read."""
    try:
        with cast("IO[bytes]", gzip.open(path)) if path.suffix == COMPRESSED else path.open("rb") as file:
            yield file
    except DAMAGED:
        raise OSError(errno.EIO, f"{path.name} is damaged, or not compressed to its end") from None
