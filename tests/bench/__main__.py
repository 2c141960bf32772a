"""Measure: ``python -m tests.bench [SCENARIO ...] [--json FILE]``; exit code 1 when a target is missed."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.bench.scenarios import SCENARIOS, Row, Target


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(SCENARIOS)))
@click.option("--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Write all numbers there.")
def main(names: Sequence[str], out: Path | None) -> None:
    """Measure the scenarios, all unless some are named, and hold them against their targets."""
    console, rows = Console(width=150), list[Row]()
    for name in names or SCENARIOS:
        console.print(f"{name}: {' '.join((SCENARIOS[name].__doc__ or '').split())}")
        rows += SCENARIOS[name]()
    console.print(costs(rows), *(shares(row) for row in rows if row.parts), targets(rows))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"machine": machine(), "rows": [shown(row) for row in rows]}, indent=1))
    missed = [it for row in rows for it in row.targets if not it.is_met]
    sys.exit(1 if missed else 0)


def machine() -> dict[str, str]:
    """Say what it was measured on."""
    return {"python": platform.python_version(), "system": platform.platform(), "processor": platform.machine()}


def shown(row: Row) -> dict[str, object]:
    """Make a row readable for machines."""
    taken = {name: getattr(row.taken, name) for name in ("wall", "cpu", "served", "calls", "stored", "own", "memory")}
    told = {"name": row.name, "rotations": row.rotations, "limit": row.limit, **taken}
    return {
        **told,
        "parts": dict(row.parts),
        "targets": [{**dataclasses.asdict(it), "is_met": it.is_met} for it in row.targets],
    }


def costs(rows: Sequence[Row]) -> Table:
    """Draw what each took."""
    table = Table(title="what it takes")
    for name in ("", "wall s", "CPU s", "servers' CPU s", "limit s", "wall/limit", "PVE calls", "store calls", "MB"):
        table.add_column(name, justify="right" if name else "left")
    for row in rows:
        each = row.rotations or 1
        it = row.taken
        numbers = [
            f"{it.wall:.3f}",
            f"{it.cpu:.3f}",
            f"{it.served:.3f}",
            f"{row.limit:.3f}" if row.limit else "",
            f"{it.wall / row.limit:.2f}" if row.limit else "",
            f"{sum(it.calls.values()) / each:g}" if it.calls else "",
            f"{sum(it.stored.values()) / each:g}" if it.stored else "",
            f"{it.memory:.0f}" if it.memory else "",
        ]
        table.add_row(row.name, *numbers)
    table.caption = "calls: for each rotation, where there is one"
    return table


def shares(row: Row) -> Table:
    """Draw whose the CPU of a rotation is."""
    table = Table("whose", title=f"where the CPU goes: {row.name}")
    for name in ("ms", "%"):
        table.add_column(name, justify="right")
    whole = sum(row.parts.values())
    for name, spent in row.parts.items():
        table.add_row(name, f"{spent:.2f}", f"{100 * spent / whole:.0f}")
    return table


def targets(rows: Sequence[Row]) -> Table:
    """Draw which targets are met."""
    table = Table("", "what", "measured", "target", "", title="targets")
    for row in rows:
        for it in row.targets:
            table.add_row(row.name, it.what, f"{it.value:.3g}", bound(it), "met" if it.is_met else "MISSED")
    return table


def bound(target: Target) -> str:
    """Say what a target asks for."""
    return f"{'at least' if target.at_least else 'at most'} {target.bound:g}"


if __name__ == "__main__":
    main()
