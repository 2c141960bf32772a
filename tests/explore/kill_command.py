"""``python -m tests.explore kill``: kill runs and leaders at random instants, and let daemons race; on every core."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click

from rotator.service.election import LEASE
from tests.explore.daemons import together
from tests.explore.failover import failover
from tests.explore.kill import killed
from tests.explore.report import Row, joined


@click.command()
@click.option("--kills", default=200, show_default=True, help="How many runs are killed.")
@click.option("--rounds", default=48, show_default=True, help="How often two daemons find the token due.")
@click.option("--leaders", default=4, show_default=True, help="How often a leader is killed, with the usual lease.")
@click.option("--seed", default=1, show_default=True, help="Which instants; what a process does by then may differ.")
def command(kills: int, rounds: int, leaders: int, seed: int) -> tuple[Row, ...]:
    """Kill real runs at random instants, let real daemons race while a consumer logs in, and kill their leaders."""
    workers = os.cpu_count() or 1
    seeds = range(seed, seed + workers)
    with ProcessPoolExecutor(workers) as pool:
        rows = [
            *pool.map(kill_some, shares(kills, workers), seeds),
            *pool.map(race_some, shares(rounds, workers), seeds),
            *pool.map(kill_leader, range(seed, seed + leaders)),
        ]
        return joined(rows)


def shares(number: int, workers: int) -> list[int]:
    """Divide a number."""
    return [number // workers + (it < number % workers) for it in range(workers)]


def kill_some(times: int, seed: int) -> Row:
    """Do one process's part of the kills."""
    with tempfile.TemporaryDirectory() as folder:
        return killed(Path(folder), seed, times)


def race_some(rounds: int, seed: int) -> Row:
    """Do one process's part of the races."""
    with tempfile.TemporaryDirectory() as folder:
        return together(Path(folder), seed, rounds)


def kill_leader(seed: int) -> Row:
    """Kill one leader."""
    with tempfile.TemporaryDirectory() as folder:
        return failover(Path(folder), seed, int(LEASE.total_seconds()))
