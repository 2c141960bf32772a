"""``python -m tests.explore race``: every schedule of two rotators with few preemptions, then a sample by chance."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import click

from tests.explore import race_wild
from tests.explore.race import Played, Race, Theatre
from tests.explore.race_all import all_schedules, seen
from tests.explore.race_kinds import BY_NAME, RACES
from tests.explore.report import Row, joined
from tests.explore.schedule import following, read_back, spelled, story

PREEMPTIONS = 3
STEPS = 1_000_000
AT_ONCE = 20_000
"""Steps by chance that one process does in one go."""
FAR = 1_000_000
"""What lies between the numbers of the first races of two goes."""
CHANCE = "random:"


class Task(NamedTuple):
    """A part of the exploration that one process does: all schedules of a race, or races by chance."""

    race: str
    preemptions: int = 0
    is_compared: bool = False
    first: int = 0
    steps: int = 0


@click.command("race")
@click.option("--preemptions", default=PREEMPTIONS, show_default=True, help="How often a rotator may be held up.")
@click.option("--steps", default=STEPS, show_default=True, help="Steps of the sample by chance.")
@click.option("--seed", default=1, show_default=True, help="Of the sample; the same seed does the same.")
@click.option("--race", "races", multiple=True, type=click.Choice(list(BY_NAME)), help="Only this race, no sample.")
@click.option("--compare", is_flag=True, help="Play each schedule, too, and see that nothing else comes of it.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="Processes.")
@click.option("--replay", metavar="SCHEDULE", help="Play one schedule: 'alike 5:1 12:0', or 'random:7'.")
def command(
    *, preemptions: int, steps: int, seed: int, races: Sequence[str], jobs: int, replay: str | None, compare: bool
) -> tuple[Row, ...]:
    """Interleave the calls of rotators that race, and of whoever comes in between."""
    if replay:
        return replayed(replay)
    chosen = [BY_NAME[name] for name in races] or RACES
    longest_first = sorted(chosen, key=lambda race: (len(race.parts), race.deaths), reverse=True)
    tasks = [Task(race.name, preemptions, compare) for race in longest_first]
    if not (races or compare):
        goes = range(0, steps, AT_ONCE)
        tasks += [Task("random", first=(seed * len(goes) + go // AT_ONCE) * FAR, steps=AT_ONCE) for go in goes]
    return joined(done(tasks, jobs))


def done(tasks: Sequence[Task], jobs: int) -> Iterator[Row]:
    """Do all tasks, in several processes where that is wanted."""
    if jobs == 1:
        yield from map(explored, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(explored, tasks)


def explored(task: Task) -> Row:
    """Do a task."""
    return sampled(task) if task.steps else enumerated(task)


def enumerated(task: Task) -> Row:
    """Play all schedules of a race."""
    theatre = Theatre(BY_NAME[task.race])
    covered = all_schedules(theatre, task.preemptions)
    counts = {name: getattr(covered, name) for name in ("schedules", "steps", "looks", "situations")}
    wrong = [told(what, task.race, spelled(changes)) for what, changes in covered.found]
    if task.is_compared:
        each = all_schedules(theatre, task.preemptions, is_merged=False)
        counts |= {"ends": len(covered.ends), "each": each.schedules}
        wrong += [] if seen(each) == seen(covered) else ["of each schedule by itself comes something else"]
    return Row(task.race, counts, tuple(wrong))


def sampled(task: Task) -> Row:
    """Play races by chance until enough steps are done."""
    schedules = steps = looks = 0
    found: list[str] = []
    while steps < task.steps:
        number = task.first + schedules
        played = race_wild.play(number)
        found += [told(what, f"{CHANCE}{number}") for what in played.violations]
        schedules, steps, looks = schedules + 1, steps + len(played.turns), looks + played.looks
    return Row("random", {"schedules": schedules, "steps": steps, "looks": looks}, tuple(found))


def told(what: str, *schedule: str) -> str:
    """Say what was seen, and how to see it again."""
    return f"{what}\n  python -m tests.explore race --replay '{' '.join(schedule).strip()}'"


def replayed(text: str) -> tuple[Row, ...]:
    """Play one schedule, and tell its story. Raises: ``click.UsageError``."""
    try:
        race, played = again(text)
    except (ValueError, LookupError) as error:
        raise click.UsageError(f"this is no schedule: {error}") from None
    click.echo("\n".join(lines(race, played)))
    counts = {"schedules": 1, "steps": len(played.turns), "looks": played.looks}
    return (Row(race.name, counts, played.violations),)


def again(text: str) -> tuple[Race, Played]:
    """Play what was written as a schedule. Raises: ``ValueError``, ``LookupError``."""
    name, _, changes = text.partition(" ")
    if name.startswith(CHANCE):
        number = int(name.removeprefix(CHANCE))
        return race_wild.wild(number), race_wild.play(number)
    return BY_NAME[name], Theatre(BY_NAME[name]).play(following(read_back(changes)))


def lines(race: Race, played: Played) -> Iterator[str]:
    """Tell who took part, and who did what in which order."""
    yield f"{race.name}: {', '.join(part.name for part in race.parts)}; {race.plant.__doc__}"
    yield from story(played.turns, [part.name for part in race.parts])
