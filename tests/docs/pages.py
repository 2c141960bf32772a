"""A page as what it tells to type: its fenced blocks, and the commands of its consoles with what they print.

A library for Markdown was not taken: fences are all that is looked at, and a pattern finds them.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rotator.durations import parse_duration

ROOT = Path(__file__).parents[2]
GUIDES = tuple(sorted(f"guides/{path.name}" for path in (ROOT / "guides").glob("*.md")))

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^##+ (.+)$", re.MULTILINE)
_COMMAND = re.compile(r"^([$#]) (.+)$")
_REMARK = re.compile(r"\s+# (?:(?P<later>\w+) later)?(?:, )?(?:exit code (?P<code>\d+))?$")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text without indentation, and the line that it begins in."""

    page: str
    line: int
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """One line that is typed, and what the page says about it."""

    place: str
    is_root: bool
    """Typed as root on a node of PVE."""
    line: str
    shown: tuple[str, ...] = ()
    later: timedelta = timedelta()
    """How much time has passed before it."""
    exit_code: int = 0


def read(page: str) -> str:
    """Read a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks of a page in order."""
    text = read(page)
    for found in _FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, found.start()) + 1, found[2], textwrap.dedent(found[3]))


def commands(block: Block) -> list[Command]:
    """List the commands of a console; what follows each, up to the next one, is what it prints."""
    made: list[Command] = []
    for number, line in enumerate(block.text.replace("\\\n", "").splitlines(), 1):
        if found := _COMMAND.match(line):
            made.append(_command(f"{block.page}:{block.line + number}", found[1] == "#", found[2]))
        elif made:
            last = made.pop()
            made.append(Command(last.place, last.is_root, last.line, (*last.shown, line), last.later, last.exit_code))
    return made


def sections(page: str) -> dict[str, list[Command]]:
    """Return what each section of a page tells to type, by its heading; those with nothing to type are left out."""
    text = read(page)
    headings = [(text.count("\n", 0, it.start()) + 1, it[1]) for it in _HEADING.finditer(text)]
    made: dict[str, list[Command]] = {}
    for block in blocks(page):
        heading = [title for line, title in headings if line < block.line][-1]
        if block.language == "console":
            made.setdefault(heading, []).extend(commands(block))
    return made


def _command(place: str, is_root: bool, line: str) -> Command:  # noqa: FBT001 - private, and read beside its meaning
    said = _REMARK.search(line)
    later = parse_duration(said["later"]) if said and said["later"] else timedelta()
    code = int(said["code"]) if said and said["code"] else 0
    return Command(place, is_root, re.split(r"\s+# ", line)[0], (), later, code)
