"""What is wrong with a chain of lines: which were changed, are gone, or stand elsewhere. Pure.

What no chain tells: whether its last lines were cut off, for what is left is a chain. That takes a hash which was kept
elsewhere. And whoever may write the file can make all of it anew where no key is in the hashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rotator.audit.chain import START, Link, Seal, link_of
from rotator.audit.lines import TORN
from rotator.audit.reading import Line

CHANGED, MISSING, MOVED, REPEATED, RESEALED, UNCHAINED, UNKNOWN_HASH = (
    "changed",
    "missing",
    "moved",
    "repeated",
    "resealed",
    "unchained",
    "not-found",
)
"""What can be wrong, in a word."""


CHAINED = frozenset({"seq", "prev", "hash"})
"""What only lines of a chain have."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that is wrong, and at which line of which file it shows."""

    path: Path
    number: int
    what: str
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it. ``first`` is what the first line says that it follows; ``last`` is what to keep elsewhere."""

    lines: int
    flaws: tuple[Flaw, ...]
    first: Link
    last: Link
    torn: int = 0
    """Lines that were torn, and are marked as such."""
    unchained: int = 0
    """Lines before the chain begins."""
    is_torn: bool = False
    """The last line is torn and not marked yet."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A line with the number that it says it has, or must have by its place."""

    line: Line
    seq: int
    is_sound: bool


def check(lines: Iterable[Line], seal: Seal, expected: str = "") -> Verdict:
    """Check lines, the oldest first. ``expected`` is a hash that must be among them."""
    found = list(lines)
    is_torn = bool(found) and not found[-1].is_whole
    found = found[:-1] if is_torn else found
    chained, before = without_start(found)
    sound, torn = without_torn(chained)
    placed = list(place(sound, seal))
    flaws = [*changed(placed), *displaced(placed), *gaps(placed), *resealed(placed)]
    if before and first_of(placed).seq:
        flaws.append(headless(placed[0]))
    links = [link for it in sound if (link := link_of(it.fields))]
    if expected and expected not in {it.hash for it in links}:
        flaws.append(lost(found, expected))
    order = {line.path: number for number, line in enumerate(found)}
    return Verdict(
        lines=len(found),
        flaws=tuple(sorted(flaws, key=lambda it: (order.get(it.path, 0), it.number))),
        first=first_of(placed),
        last=links[-1] if links else START,
        torn=torn,
        unchained=before,
        is_torn=is_torn,
    )


def without_start(lines: Sequence[Line]) -> tuple[list[Line], int]:
    """Leave out what was written before there was a chain; return how many lines that are."""
    start = next((at for at, it in enumerate(lines) if link_of(it.fields)), len(lines))
    is_ours = all(it.fields is not None and CHAINED.isdisjoint(it.fields) for it in lines[:start])
    start = start if is_ours else 0
    return list(lines[start:]), start


def without_torn(lines: Sequence[Line]) -> tuple[list[Line], int]:
    """Leave out what a crash tore, where the line that follows says so; return how many lines that are."""
    kept, torn = [], 0
    for it, after in zip(lines, [*lines, None][1:], strict=True):
        if it.fields is None and after and after.fields and is_mark(after.fields, it.text):
            torn += 1
        else:
            kept.append(it)
    return kept, torn


def is_mark(fields: dict[str, object], text: bytes) -> bool:
    """Say whether a line tells of these bytes."""
    return fields.get("kind") == TORN and fields.get("sha256") == hashlib.sha256(text).hexdigest()


def place(lines: Iterable[Line], seal: Seal) -> Iterator[Placed]:
    """Look at each line by itself; one that does not bear its own hash is given the number of its place."""
    seq = 0
    for it in lines:
        link = link_of(it.fields)
        is_sound = link is not None and it.fields is not None and seal.holds(it.fields)
        seq = link.seq if link and (is_sound or not seq) else seq + 1
        yield Placed(it, seq, is_sound)


def first_of(placed: Sequence[Placed]) -> Link:
    """Tell what the first line says that it follows."""
    first = placed[0] if placed and placed[0].is_sound else None
    return Link(first.seq - 1, prev_of(first)) if first else START


def prev_of(it: Placed) -> str:
    """Return the hash of the line before, as a line has it."""
    return str((it.line.fields or {}).get("prev", ""))


def hash_of(it: Placed) -> str:
    """Return the hash that a line bears."""
    return str((it.line.fields or {}).get("hash", ""))


def changed(placed: Iterable[Placed]) -> Iterator[Flaw]:
    """Find the lines that do not bear their own hash."""
    for it in placed:
        if not it.is_sound:
            is_chained = link_of(it.line.fields)
            what = CHANGED if is_chained or it.line.fields is None else UNCHAINED
            why = "it does not bear its own hash" if is_chained else "it is no line of the chain"
            yield Flaw(it.line.path, it.line.number, what, f"changed, or written by somebody else: {why}")


def displaced(placed: Iterable[Placed]) -> Iterator[Flaw]:
    """Find the lines that stand after a later one, or twice."""
    highest, seen = 0, set[int]()
    for it in placed:
        if it.is_sound and it.seq in seen:
            yield Flaw(it.line.path, it.line.number, REPEATED, f"line {it.seq} of the chain once more")
        elif it.is_sound and it.seq < highest:
            message = f"line {it.seq} of the chain stands after line {highest}"
            yield Flaw(it.line.path, it.line.number, MOVED, message)
        if it.is_sound:
            highest = max(highest, it.seq)
            seen.add(it.seq)


def gaps(placed: Sequence[Placed]) -> Iterator[Flaw]:
    """Find the numbers that are nowhere."""
    known = sorted({it.seq: it for it in reversed(placed)}.items())
    for (low, _), (high, after) in pairwise(known):
        if high > low + 1:
            many = f"line {low + 1}" if high == low + 2 else f"lines {low + 1} to {high - 1}"
            verb = "is" if high == low + 2 else "are"
            message = f"{many} of the chain {verb} gone, before line {high}"
            yield Flaw(after.line.path, after.line.number, MISSING, message)


def resealed(placed: Iterable[Placed]) -> Iterator[Flaw]:
    """Find the lines that bear their own hash and do not fit the one before."""
    known = {it.seq: it for it in placed}
    for seq, it in sorted(known.items()):
        before = known.get(seq - 1)
        if before and it.is_sound and before.is_sound and prev_of(it) != hash_of(before):
            message = f"line {seq} of the chain follows another line {seq - 1}: one of them was written anew"
            yield Flaw(it.line.path, it.line.number, RESEALED, message)
        if seq == 1 and it.is_sound and prev_of(it):
            yield Flaw(it.line.path, it.line.number, RESEALED, "the first line of a chain follows none, and says so")


def headless(it: Placed) -> Flaw:
    """Make the flaw of a chain that begins in its middle, after lines that are in none."""
    message = f"the chain begins with its line {it.seq}: those before are gone, or were taken out of it"
    return Flaw(it.line.path, it.line.number, MISSING, message)


def lost(lines: Sequence[Line], expected: str) -> Flaw:
    """Make the flaw of a hash that is not there."""
    path, number = (lines[-1].path, lines[-1].number) if lines else (Path(), 0)
    return Flaw(path, number, UNKNOWN_HASH, f"no line bears {expected}: lines were cut off at the end, or made anew")
