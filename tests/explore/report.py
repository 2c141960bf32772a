"""What an exploration covered and what it found: a row for each kind of thing explored, a table of them for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

MOST_SHOWN = 5
"""Violations of one kind that are printed; the others are counted."""


@dataclass(frozen=True)
class Row:
    """What was done for one kind, in numbers (``{"calls": 31, "runs": 620}``), and what was violated.

    A violation says what was seen and, on a line of its own, what replays it.
    """

    kind: str
    counts: Mapping[str, int] = field(default_factory=dict)
    violations: tuple[str, ...] = ()


def joined(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Add up the rows of the same kind, as several processes return them, in the order of their first coming."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.kind, []).append(row)
    return tuple(total(kind, same) for kind, same in found.items())


def total(kind: str, rows: Sequence[Row]) -> Row:
    """Add rows up."""
    names = dict.fromkeys(name for row in rows for name in row.counts)
    counts = {name: sum(row.counts.get(name, 0) for row in rows) for name in names}
    return Row(kind, counts, tuple(violation for row in rows for violation in row.violations))


def table(rows: Sequence[Row], name: str = "kind") -> list[str]:
    """Write the rows under a head, and their sum."""
    whole = total("total", rows)
    head = [name, *whole.counts, "violations"]
    lines = [head, *([line(row, whole.counts) for row in (*rows, whole)])]
    widths = [max(len(cells[at]) for cells in lines) for at in range(len(head))]
    return ["  ".join(justified(cells, widths)).rstrip() for cells in lines]


def line(row: Row, names: Iterable[str]) -> list[str]:
    """Write the cells of a row."""
    counts = [f"{row.counts[name]:,}" if name in row.counts else "" for name in names]
    return [row.kind, *counts, f"{len(row.violations):,}"]


def justified(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Put the first to the left, numbers to the right."""
    return [cells[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))]


def told(rows: Sequence[Row]) -> list[str]:
    """Write the violations, some of each kind."""
    lines: list[str] = []
    for row in rows:
        lines += [f"{row.kind}: {violation}" for violation in row.violations[:MOST_SHOWN]]
        left = len(row.violations) - MOST_SHOWN
        lines += [f"{row.kind}: and {left:,} more"] if left > 0 else []
    return lines


def spelled(seconds: float) -> str:
    """Write how long it took."""
    return str(timedelta(seconds=round(seconds)))
