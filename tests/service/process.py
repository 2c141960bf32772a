"""``rotate serve`` as a process: reading what it says, and holding a cluster back in the middle of a rotation."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from rotator.testing.exchange import Fault, Request
from tests.cli.lab import Lab

PATIENCE = 20
DETAILS = ("--log-format", "text", "--log-level", "debug")


class Gate:
    """Holds back the first change of a cluster, or what comes after it, until a test lets it go."""

    def __init__(self, *, is_after: bool = False) -> None:
        self.reached, self.open = Event(), Event()
        self._is_after = is_after
        self._has_changed = False

    def __call__(self, request: Request) -> Fault | None:
        """Wait there."""
        if self._has_changed or (request.method == "POST" and not self._is_after):
            self.reached.set()
            self.open.wait(PATIENCE)
        self._has_changed |= request.method == "POST"
        return None


class Serving:
    """A process that serves. What it says is read as far as a test asks for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""

    def until(self, word: str) -> str:
        """Read on until a word comes, and return all before it. Raises: ``AssertionError`` when it does not come."""
        assert self.process.stderr
        while word not in self.said:
            assert select.select([self.process.stderr], [], [], PATIENCE)[0], f"no {word!r} in {self.said}"
            more = os.read(self.process.stderr.fileno(), 65536).decode()
            assert more, f"it ended without {word!r}, and said {self.said}"
            self.said += more
        before, _, self.said = self.said.partition(word)
        return before

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for its end; return its exit code."""
        return self.process.wait(PATIENCE)

    def stopped(self) -> int:
        """Tell it to stop, and wait for that."""
        self.signal(signal.SIGTERM)
        self.until("stopped")
        return self.ended()


@contextmanager
def serving(lab: Lab, *arguments: str) -> Iterator[Serving]:
    """Run it, and leave nothing of it behind."""
    with lab.process("serve", *DETAILS, *arguments) as process:
        try:
            yield Serving(process)
        finally:
            process.kill()
    lab.look_at_secrets()
