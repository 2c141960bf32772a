"""Whoever follows a page and has its programs, too: what is in ``sh`` is typed in a bash that remembers.

Beside the names that ``tests.docs.bench`` puts in place of a page's, nothing of a line is changed: where a program is,
and whom it asks, is said to it by variables and files, as on any machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rotator.testing.pve import SimulatedPve
from tests.cli.lab import Time
from tests.docs.bench import Bench
from tests.docs.pages import Block

BASH = shutil.which("bash") or "/bin/bash"
OURS = Path(sys.executable).parent
SYSTEM = OURS.parent / "system"
PATH = os.pathsep.join((str(OURS), os.environ["PATH"]))
LIMIT = 300
"""Seconds after which a block hangs, on however busy a machine."""
REMEMBERED = "trap '{ export -p; declare -f; } > \"$HOME/.remembered\"' EXIT"
"""Bash writes down what the next block will find: variables for programs, and functions."""


def wrapped(name: str, folder: Path) -> None:
    """Put a program that ``make test-system`` has installed into a folder, with what it imports."""
    script = folder / name
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{SYSTEM}" exec "{OURS}/python" "{SYSTEM}/bin/{name}" "$@"\n')
    script.chmod(0o755)


@dataclass
class Terminal(Bench):
    """One reader of one page, with a home and a bash."""

    variables: dict[str, str] = field(default_factory=dict)
    """What the shell has beside a home."""
    before: Callable[[], None] = field(default=lambda: None)
    """What happens in the world before each block."""
    said: list[str] = field(default_factory=list)
    """What each block printed."""
    where: Path = field(init=False)
    """The folder in which the shell is."""

    @property
    def home(self) -> Path:
        """Where the shell begins."""
        return self.folder / "home"

    def __post_init__(self) -> None:
        """Give the reader a home with programs in it."""
        super().__post_init__()
        programs = self.home / "bin"
        programs.mkdir(parents=True)
        self.where = self.home
        for name in ("aws", "pipx"):
            wrapped(name, programs)
        (self.home / ".remembered").touch()
        self.variables |= {"HOME": str(self.home), "LC_ALL": "C.UTF-8"}
        self.variables["PATH"] = os.pathsep.join((str(programs), str(self.home / ".local/bin"), PATH))

    def shell(self, block: Block) -> list[str]:
        """Type a block; returns what it says when it does not end well."""
        self.before()
        exit_code, output = self.bash(self.here(block.text))
        self.said.append(self.there(output))
        return [] if exit_code == 0 else [f"{block.page}:{block.line}: exit code {exit_code}", self.said[-1]]

    def bash(self, text: str) -> tuple[int, str]:
        """Type a text that is put in place already; returns the exit code, and what it prints."""
        script = f'. "$HOME/.remembered"\n{REMEMBERED}\n{text}'
        done = subprocess.run(  # noqa: S603 - what a page says
            [BASH, "-eu", "-o", "pipefail", "-c", script],
            cwd=self.where,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def keep(self, name: str, text: str) -> Path:
        """Put a file where the page has one, for its owner alone; a name without a folder is one of the home."""
        path = self.path(name) if name.startswith("/") else self.home / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        return path


@contextmanager
def sitting_at(
    folder: Path, watch: Callable[[str], None], clock: Callable[[], float] | None = None
) -> Iterator[Terminal]:
    """Set up two nodes as the README says; the rest is the page's. Without a clock time passes as the page says."""
    time = Time()
    with SimulatedPve(nodes=2, clock=clock or time.stamp) as pve:
        terminal = Terminal(folder, pve, time, watch)
        terminal.set_up()
        yield terminal
