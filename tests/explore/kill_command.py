"""``python -m tests.explore kill``: kill the real ``rotate due`` again and again, on every core."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click

from tests.explore.kill import killed
from tests.explore.report import Row, joined


@click.command()
@click.option("--kills", default=200, show_default=True, help="How many runs are killed.")
@click.option("--seed", default=1, show_default=True, help="Which instants; what a process does by then may differ.")
def command(kills: int, seed: int) -> tuple[Row, ...]:
    """Kill real runs at random instants while a consumer logs in."""
    workers = os.cpu_count() or 1
    shares = [kills // workers + (number < kills % workers) for number in range(workers)]
    with ProcessPoolExecutor(workers) as pool:
        return joined(pool.map(share, shares, range(seed, seed + workers)))


def share(times: int, seed: int) -> Row:
    """Do one process's part."""
    with tempfile.TemporaryDirectory() as folder:
        return killed(Path(folder), seed, times)
