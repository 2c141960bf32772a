"""``python -m tests.explore fault``: every fault at every call of every kind of rotation."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import click

from tests.explore import fault_table
from tests.explore.fault_bench import Case, Ending, bench
from tests.explore.fault_disturb import all_cases, disturb, is_slow
from tests.explore.fault_plays import PLAYS, Play
from tests.explore.report import Row


@dataclass(frozen=True)
class Told:
    """What came of one case, in words, as it travels from one process to another."""

    call: str
    kind: str
    fault: str
    outcome: str
    message: str
    violations: tuple[str, ...]


def told(play: Play, ending: Ending) -> Told:
    """Put an ending into words."""
    case, result = ending.case, ending.result
    said = f"{result.message}\n  hint: {result.hint}\n  live: {result.live}" if result.exit_code else ""
    violations = tuple(f"{it}\n  {play.name}, {case.point} | {case}" for it in ending.violations)
    return Told(f"{play.name}, {case.point}", case.kind, str(case), str(ending), said, violations)


def tried(name: str, speed: str = "both", every: int = 1) -> list[Told]:
    """Try the cases of one play, those that are waited for or the others; or one of so many of them."""
    play = PLAYS[name]
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder), play, is_slow=speed != "fast") as made:
        cases = all_cases(made.survey(), play)
        wanted = [case for case in cases if speed == "both" or is_slow(case) == (speed == "slow")]
        return [told(play, made.tried(case, disturb, is_slow=is_slow(case))) for case in picked(wanted, every)]


def picked(cases: Sequence[Case], every: int) -> list[Case]:
    """Pick one of so many cases, and more where a call would meet no fault, or a kind of fault no call."""
    calls = list(dict.fromkeys(case.point for case in cases))
    faults = list(dict.fromkeys(str(case) for case in cases))
    chosen = {case for case in cases if (calls.index(case.point) + faults.index(str(case))) % every == 0}
    for key in (lambda case: str(case.point), lambda case: case.kind):
        for number, name in enumerate(sorted({key(case) for case in cases} - {key(case) for case in chosen})):
            same = [case for case in cases if key(case) == name]
            chosen.add(same[number % len(same)])
    return [case for case in cases if case in chosen]


def rows(found: Sequence[Told]) -> tuple[Row, ...]:
    """Count runs by the kind of their fault; an outcome that is not the expected one is a violation."""
    expected = fault_table.expected()
    by_kind: dict[str, list[Told]] = {}
    for it in found:
        by_kind.setdefault(it.kind, []).append(it)
    return tuple(
        Row(
            kind,
            {
                "runs": len(same),
                "survived": sum(it.outcome.startswith("0") for it in same),
                "told": sum(not it.outcome.startswith("0") for it in same),
            },
            tuple(
                [violation for it in same for violation in it.violations]
                + fault_table.differences({(it.call, it.fault): it.outcome for it in same}, expected)
            ),
        )
        for kind, same in by_kind.items()
    )


@click.command("fault")
@click.option("--play", "plays", multiple=True, type=click.Choice(list(PLAYS)), help="Only this kind of rotation.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="Processes.")
@click.option("--messages", is_flag=True, help="Print every message as well, to be read.")
@click.option("--write", is_flag=True, help="Take the outcomes for the expected ones, to be read as a difference.")
def command(plays: Sequence[str], *, jobs: int, messages: bool, write: bool) -> tuple[Row, ...]:
    """Let every fault come about at every call of a rotation, and compare what is said with what is so."""
    tasks = [(play, speed) for play in plays or PLAYS for speed in ("fast", "slow")]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        found = [it for some in pool.map(tried, *zip(*tasks, strict=True)) for it in some]
    if messages:
        for message in dict.fromkeys(it.message for it in found if it.message):
            click.echo(f"{message}\n")
    if write:
        before = {} if not plays else fault_table.expected()
        after = before | {(it.call, it.fault): it.outcome for it in found}
        fault_table.FILE.write_text(fault_table.written(after))
    return rows(found)
