"""``python -m tests.explore crash``: die at every call, and at every pair of calls, in every kind of rotation."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import chain
from typing import NamedTuple

import click

from tests.explore.crash import Played, Stage, calls, pairs, play, singles
from tests.explore.crash_history import DEATHS, SCHEDULES, History, How, Point, points
from tests.explore.crash_kinds import KINDS
from tests.explore.report import Row, joined


class Task(NamedTuple):
    """A part of the exploration that one process does: all single points of a kind, or all that follow on one."""

    kind: str
    schedule: str
    hows: tuple[How, ...]
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
@click.option("--pairs/--singles", "paired", default=True, help="Two in a row as well (the default), or one only.")
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
    paired: bool,
    jobs: int,
) -> tuple[Row, ...]:
    """Die at every call of a rotation, or be held up or overtaken there, and run on until all is at rest."""
    if replay:
        return replayed(replay)
    chosen = tuple(map(How, hows)) or tuple(How)
    for_pairs = tuple(how for how in chosen if how in {*DEATHS, How.OVERTAKEN})
    tasks = [
        task
        for kind in kinds or KINDS
        for schedule in KINDS[kind].schedules
        if schedule in (schedules or SCHEDULES)
        for task in (
            [after(kind, schedule, chosen, first)]
            if first
            else tasks_of(kind, schedule, chosen, for_pairs if paired else ())
        )
    ]
    return joined(chain(counted(kinds or tuple(KINDS)), done(tasks, jobs)))


def tasks_of(kind: str, schedule: str, hows: tuple[How, ...], for_pairs: tuple[How, ...]) -> Iterator[Task]:
    """Divide the exploration of a kind."""
    yield Task(kind, schedule, hows)
    if for_pairs:
        firsts = points(len(calls(stage(kind))), *(how for how in for_pairs if how in DEATHS))
        yield from (Task(kind, schedule, for_pairs, first) for first in firsts)


def after(kind: str, schedule: str, hows: tuple[How, ...], first: str) -> Task:
    """Explore what follows on one death. Raises: ``click.UsageError`` when there is no such call."""
    number = next((at for at, call in enumerate(calls(stage(kind)), 1) if call.startswith(first)), None)
    if number is None:
        raise click.UsageError(f"a run of {kind} has no call {first}")
    return Task(kind, schedule, hows, Point(number, How.AFTER))


def counted(kinds: Iterable[str]) -> Iterator[Row]:
    """Count the calls of each kind."""
    return (Row(kind, {"calls": len(calls(stage(kind)))}) for kind in kinds)


def done(tasks: Sequence[Task], jobs: int) -> Iterator[Row]:
    """Do all tasks, in several processes where that is wanted."""
    if jobs == 1:
        yield from map(explored, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(explored, tasks, chunksize=4)


@cache
def stage(kind: str) -> Stage:
    """Make the stage of a kind, once in each process."""
    return Stage.of(kind)


def explored(task: Task) -> Row:
    """Do a task."""
    made = stage(task.kind)
    runs, looks = made.runs, made.looks
    if task.first is None:
        played = list(singles(made, task.schedule, task.hows))
    else:
        played = list(pairs(made, task.schedule, task.first, task.hows))
    counts = {"histories": len(played), "runs": made.runs - runs, "looks": made.looks - looks}
    return Row(task.kind, counts, tuple(chain.from_iterable(map(told, played))))


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
