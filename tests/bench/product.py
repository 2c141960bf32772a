"""The product as people run it: the command in a process of its own, and one rotation in a process that is warm."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

from rotator import events, fleet, registry
from rotator.config import load
from rotator.model import Request
from rotator.wiring import open_fleet
from tests.bench.lab import Lab, Taken

COMMAND = """
import atexit, os, sys
def tell():
    with open("/proc/self/status") as status, open(os.environ["BENCH_PEAK"], "w") as out:
        out.write(next(line for line in status if line.startswith("VmHWM")).split()[1])
atexit.register(tell)
from rotator.cli.main import main
sys.exit(main())
"""
"""The entry point, which tells its own peak at the end: what the kernel counts for a child begins with its parent's."""


PAUSE = Event()
"""Never set: a clock on the wall is what is measured here."""


class FailedRunError(Exception):
    """A command that is measured did not do what it should."""


def run(arguments: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
    """Run a command to its end, with an empty home directory. Raises: ``FailedRunError``."""
    with tempfile.TemporaryDirectory() as home:
        used = {**os.environ, "HOME": home, **(environment or {})}
        done = subprocess.run(  # noqa: S603 - ours
            arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=used, check=False, text=True
        )
    if done.returncode:
        raise FailedRunError(f"{' '.join(arguments[:6])} ended with {done.returncode}: {done.stdout[-2000:]}")


def command(lab: Lab, *arguments: str) -> Taken:
    """Measure ``rotate`` with these arguments, start and end included."""
    taken: list[Taken] = []
    peak = lab.folder / "peak"
    with lab.measured(taken, is_child=True):
        run([sys.executable, "-c", COMMAND, *arguments], environment={"BENCH_PEAK": str(peak)})
    return replace(taken[0], memory=int(peak.read_text(encoding="ascii")) / 1024)


def service(lab: Lab, config: Path, clusters: int) -> Taken:
    """Let ``rotate serve`` look at every cluster once, and measure what it holds then."""
    taken: list[Taken] = []
    arguments = [sys.executable, "-c", COMMAND, "serve", "--config", str(config)]
    environment = {**os.environ, "BENCH_PEAK": str(lab.folder / "peak")}
    with (
        lab.measured(taken),
        subprocess.Popen(  # noqa: S603 - ours
            arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
        ) as process,
    ):
        looked = 0
        while looked < clusters and process.poll() is None:
            PAUSE.wait(1)
            calls, *_ = lab.settle()
            looked += calls["GET /access/users 200"]
        if process.poll() is not None:
            raise FailedRunError(f"rotate serve ended with {process.returncode}")
        PAUSE.wait(2)  # it writes down what it has seen
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
        held = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        process.terminate()
    return replace(taken[0], memory=held / 1024)


def warm(lab: Lab, config: Path, times: int) -> list[Taken]:
    """Measure rotations of all credentials in a process that has done them before, as the service does them."""
    settings = load(config, find_backend=registry.find, environ=os.environ)
    heard: list[events.Event] = []
    taken: list[Taken] = []
    with open_fleet(settings, heard.append) as opened:
        fleet.rotate(opened, settings.credentials, Request(forced=True))
        for _ in range(times):
            PAUSE.wait(0.1)  # the servers tidy up
            with lab.measured(taken):
                results = fleet.rotate(opened, settings.credentials, Request(forced=True))
            if any(it.exit_code for it in results):
                raise FailedRunError(str(results))
    return taken
