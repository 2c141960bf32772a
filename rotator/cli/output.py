"""How results and errors are put on stdout and stderr: JSON, tables, blocks for people.

rich draws tables on a terminal only, and is imported there only; ``NO_COLOR`` is its affair.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

import click

from rotator.cli.shapes import Document, Fault, Planned, Ran, Shape, Stands, Verified
from rotator.cli.streams import failure_of, is_narrow
from rotator.cli.voice import say
from rotator.errors import ExitCode
from rotator.printing import printable

OfOne = TypeVar("OfOne", Planned, Ran, Stands, Verified)
"""What is told of one credential."""
INDENT = "    "
EXPLAIN = "rotate explain"
WITHOUT_A_PERSON = frozenset({ExitCode.DONE, ExitCode.IN_FLIGHT})
"""How things end of which nobody has to know more."""
SAYING_NOTHING = frozenset({"bug", "failed", "interrupted"})
"""Reasons about which the message says all that there is to say."""
NOTHING = "-"
"""What a cell without content says."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under headers."""

    headers: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Report:
    """What a command has to say: results for machines, the same for people, and the exit code.

    ``errors`` are what kept it from its work; people read them on stderr, unless ``text`` tells them already.
    """

    results: Sequence[Shape] = ()
    text: Sequence[str | Table] = ()
    exit_code: int = 0
    errors: Sequence[Fault] = ()
    complaint: str = ""


def conclude(report: Report, command: str, *, as_json: bool) -> int:
    """Print a report and return the exit code; that it cannot be printed is told when the program ends."""
    try:
        write(report, command, as_json=as_json)
    except OSError:
        if failure_of(sys.stdout) is None:
            raise
    return int(report.exit_code)


def write(report: Report, command: str, *, as_json: bool) -> None:
    """Print a report. Raises: ``OSError``."""
    if as_json:
        document = Document(
            command=command,
            exit_code=int(report.exit_code),
            results=tuple(report.results),
            errors=tuple(report.errors),
        )
        click.echo(json.dumps(asdict(document), default=encoded, ensure_ascii=is_narrow(sys.stdout), indent=2))
        return
    for part in report.text:
        write_table(part) if isinstance(part, Table) else click.echo(part)
    if report.complaint:
        say(report.complaint)


def encoded(value: object) -> str:
    """Write a time; nothing else in the shapes is not JSON already."""
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} has no place in JSON output")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def without_empty(table: Table) -> Table:
    """Leave out the columns that have nothing in any row."""
    kept = [i for i in range(len(table.headers)) if any(row[i] != NOTHING for row in table.rows)]
    return Table(tuple(table.headers[i] for i in kept), [tuple(row[i] for i in kept) for row in table.rows])


def write_table(table: Table) -> None:
    """Print a table: drawn on a terminal, plain aligned text elsewhere."""
    if sys.stdout.isatty():
        draw(table)
        return
    rows = [tuple(printable(cell) for cell in row) for row in (table.headers, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def draw(table: Table) -> None:
    """Print a table on a terminal."""
    from rich.console import Console  # noqa: PLC0415 - rich takes longer to load than many a command to run
    from rich.table import Table as Drawn  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    drawn = Drawn(box=None, pad_edge=False, header_style="bold")
    for header in table.headers:
        drawn.add_column(header, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(printable(cell)) for cell in row))
    Console(file=sys.stdout).print(drawn)


def alike(results: Iterable[OfOne]) -> list[OfOne]:
    """Put together, under all names, what failed for several credentials alike: where the first one stood."""
    names: dict[OfOne, list[str]] = {}
    for it in results:
        names.setdefault(replace(it, credential="") if it.exit_code else it, []).append(it.credential)
    return [replace(it, credential=", ".join(dict.fromkeys(who))) for it, who in names.items()]


def block(
    head: str, *, live: str = "", hint: str = "", page: str = "", notes: Iterable[str] = (), indent: str = ""
) -> str:
    """Put together what failed, what is live now, what to do, and what ``rotate explain`` says more about."""
    lines = [head]
    lines += [f"{INDENT}live now: {live}"] if live else []
    lines += [f"{INDENT}do: {hint}"] if hint else []
    lines += [f"{INDENT}more: {EXPLAIN} {page}"] if page and EXPLAIN not in hint else []
    lines += [f"{INDENT}note: {note}" for note in notes]
    return "\n".join(f"{indent}{printable(line)}" for line in lines)


def page_of(reason: str, exit_code: int) -> str:
    """Name the page of ``rotate explain`` on a reason, where a person is needed; empty where nobody is."""
    return "" if exit_code in WITHOUT_A_PERSON or reason in SAYING_NOTHING else reason
