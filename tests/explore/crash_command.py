"""``python -m tests.explore crash``: die at every call, at every two in a row, and, when asked for, at every three."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import chain
from typing import NamedTuple

import click

from tests.explore.crash import Played, Stage, calls, play, singles, successive
from tests.explore.crash_history import SCHEDULES, History, How, Point
from tests.explore.crash_kinds import KINDS
from tests.explore.report import Row, joined

SLOW_DEPTH = 2
"""Up to so many runs in a row everything is tried that can happen."""


class Task(NamedTuple):
    """A part of the exploration that one process does: all single points of a kind, or several in a row."""

    kind: str
    schedule: str
    hows: tuple[How, ...]
    depth: int = 1
    first: Point | None = None


@click.command("crash")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), help="Only this kind of rotation.")
@click.option("--schedule", "schedules", multiple=True, type=click.Choice(list(SCHEDULES)), help="Only this one.")
@click.option(
    "--how",
    "hows",
    multiple=True,
    type=click.Choice([how.value for how in How]),
    help="Let only this happen at a call.",
)
@click.option(
    "--depth", default=2, show_default=True, help="So many runs in a row to which something happens; 3 takes hours."
)
@click.option("--first", metavar="CALL", help="Let the first run die after the call that begins like this: 'POST'.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="Processes.")
@click.option("--replay", metavar="HISTORY", help="Play one history: 'normal 5:before 12:after soon'.")
def command(
    kinds: Sequence[str],
    schedules: Sequence[str],
    hows: Sequence[str],
    replay: str | None,
    first: str | None,
    *,
    depth: int,
    jobs: int,
) -> tuple[Row, ...]:
    """Die at every call of a rotation, or be held up or overtaken there, and run on until all is at rest."""
    if replay:
        return replayed(replay)
    chosen = tuple(map(How, hows)) or tuple(How)
    tasks = [
        task
        for kind in kinds or KINDS
        for schedule in KINDS[kind].schedules
        if schedule in (schedules or SCHEDULES)
        for task in tasks_of(kind, schedule, chosen, depth, first)
    ]
    rows = joined(chain(counted(kinds or tuple(KINDS)), done(tasks, jobs)))
    click.echo("\n".join(limits(kinds or KINDS)))
    return rows


def tasks_of(kind: str, schedule: str, hows: tuple[How, ...], depth: int, first: str | None) -> Iterator[Task]:
    """Divide the exploration of a kind. What takes time makes many situations: beyond two in a row it is left out."""
    if not first:
        yield Task(kind, schedule, hows)
    for number in range(2, depth + 1):
        chosen = hows if number == SLOW_DEPTH else tuple(how for how in hows if how not in {How.LATE, How.SLOW})
        yield Task(kind, schedule, chosen, number, after(kind, first) if first else None)


def after(kind: str, first: str) -> Point:
    """Find the call to die after. Raises: ``click.UsageError`` when there is no such call."""
    number = next((at for at, call in enumerate(calls(stage(kind)), 1) if call.startswith(first)), None)
    if number is None:
        raise click.UsageError(f"a run of {kind} has no call {first}")
    return Point(number, How.AFTER)


def limits(kinds: Iterable[str]) -> Iterator[str]:
    """Say of each kind what it cannot promise, or is not looked at, and why."""
    for kind in map(KINDS.__getitem__, kinds):
        for promise, reason in kind.excused.items():
            yield f"{kind.name}: not {promise}: {reason}"
        if kind.narrowed:
            yield f"{kind.name}: {kind.narrowed}"


def counted(kinds: Iterable[str]) -> Iterator[Row]:
    """Count the calls of each kind."""
    return (Row(kind, {"calls": len(calls(stage(kind)))}) for kind in kinds)


def done(tasks: Sequence[Task], jobs: int) -> Iterator[Row]:
    """Do all tasks, in several processes where that is wanted, and say on stderr how far it is."""
    if jobs == 1:
        yield from map(explored, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        for number, (task, row) in enumerate(zip(tasks, pool.map(explored, tasks), strict=True), 1):
            done_so_far = f"{number} of {len(tasks)}: {task.kind} {task.schedule}, {task.depth} in a row"
            click.echo(
                f"{done_so_far}: {row.counts['histories']:,} histories, {len(row.violations)} violations", err=True
            )
            yield row


@cache
def stage(kind: str) -> Stage:
    """Make the stage of a kind, once in each process."""
    return Stage.of(kind)


def explored(task: Task) -> Row:
    """Do a task."""
    made = stage(task.kind)
    runs, looks = made.runs, made.looks
    if task.depth == 1:
        found = singles(made, task.schedule, task.hows)
    else:
        found = successive(made, task.schedule, task.depth, task.hows, task.first)
    counts = {"histories": found.histories, "played": len(found.played)}
    counts |= {"runs": made.runs - runs, "looks": made.looks - looks}
    return Row(task.kind, counts, tuple(chain.from_iterable(map(told, found.played))))


def told(played: Played) -> Iterator[str]:
    """Say what was violated, and what replays it."""
    line = f"\n    python -m tests.explore crash --replay '{played.history}'"
    return (f"{violation}{line}" for violation in played.violations)


def replayed(text: str) -> tuple[Row, ...]:
    """Play one history and tell its calls. Raises: ``click.UsageError``."""
    try:
        history = History.parse(text)
        made = stage(history.kind)
    except (ValueError, KeyError) as error:
        raise click.UsageError(f"this is no history: {error}") from None
    violations = play(made, history, tell=click.echo)
    return (Row(history.kind, {"runs": made.runs, "looks": made.looks}, tuple(violations)),)
