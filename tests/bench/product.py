"""The product as people run it: the command in a process of its own, and one rotation in a process that is warm."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rotator import fleet, registry
from rotator.config import load
from rotator.events import Event
from rotator.model import Request
from rotator.wiring import open_fleet
from tests.bench.lab import Lab, Taken

COMMAND = "import sys; from rotator.cli.main import main; sys.exit(main())"


@dataclass(frozen=True)
class Ran:
    """What a command said, and the most memory that it held, in MB."""

    output: str
    memory: float


class FailedRunError(Exception):
    """A command that is measured did not do what it should."""


def run(arguments: Sequence[str], *, environment: dict[str, str] | None = None) -> Ran:
    """Run a command to its end, with an empty home directory. Raises: ``FailedRunError``."""
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as said:
        used = {**os.environ, "HOME": home, **(environment or {})}
        process = subprocess.Popen(arguments, stdout=said, stderr=said, env=used)  # noqa: S603 - ours
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        output = said.read().decode("utf-8", "replace")
    if process.returncode:
        raise FailedRunError(f"{' '.join(arguments[:6])} ended with {process.returncode}: {output[-2000:]}")
    return Ran(output, usage.ru_maxrss / 1024)


def command(lab: Lab, *arguments: str) -> Taken:
    """Measure ``rotate`` with these arguments, start and end included."""
    taken: list[Taken] = []
    with lab.measured(taken, is_child=True):
        ran = run([sys.executable, "-c", COMMAND, *arguments])
    return replace(taken[0], memory=ran.memory)


def warm(lab: Lab, config: Path, times: int) -> list[Taken]:
    """Measure single rotations in a process that has done one before, as the service does them."""
    settings = load(config, find_backend=registry.find, environ=os.environ)
    heard: list[Event] = []
    taken: list[Taken] = []
    with open_fleet(settings, heard.append) as opened:
        fleet.rotate(opened, settings.credentials, Request(forced=True))
        for _ in range(times):
            time.sleep(0.1)  # the servers tidy up
            with lab.measured(taken):
                results = fleet.rotate(opened, settings.credentials, Request(forced=True))
            if any(it.exit_code for it in results):
                raise FailedRunError(str(results))
    return taken
