"""Two real ``rotate serve`` on one world, now and then a ``rotate now`` beside them, and sometimes one is killed.

As in ``tests.explore.kill`` the PVE is simulated here, the records are files, and a consumer process logs in all the
time. A month of PVE's clock makes the token due; a hang-up signal makes both daemons look at the same moment.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rotator.errors import ExitCode
from tests.cli.lab import USER
from tests.explore.kill import SAFETY, Site, site
from tests.explore.report import Row

IDLE = 1.0
"""Seconds without a call after which nobody is at work any more."""
LOSES_OR_WINS = (ExitCode.DONE, ExitCode.IN_FLIGHT)


@dataclass
class Pair:
    """Two daemons of a site."""

    site: Site
    stack: ExitStack
    daemons: list[subprocess.Popen[str]] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    rounds: int = 0
    kills: int = 0
    by_hand: int = 0

    def start(self) -> None:
        """Start one more daemon; what it prints goes to a file."""
        log = self.site.lab.folder / f"daemon-{len(self.logs)}.log"
        out = self.stack.enter_context(log.open("w", encoding="utf-8"))
        self.logs.append(log)
        self.site.seen.clear()
        self.daemons.append(self.site.lab.process("serve", "--verbose", stdout=out, stderr=subprocess.STDOUT))
        if not self.site.seen.wait(SAFETY):
            raise RuntimeError(f"rotate serve asked PVE for nothing: {log.read_text(encoding='utf-8')}")

    def due(self, *, by_hand: bool, kill: bool) -> None:
        """Make the token due and let both look, perhaps somebody by hand, and perhaps kill one on the way."""
        self.site.pass_month()
        self.rounds += 1
        forced = self.site.lab.process("now", "ci") if by_hand else None
        self.site.seen.clear()
        for daemon in self.daemons:
            daemon.send_signal(signal.SIGHUP)
        if kill:
            self.kill()
        if forced:
            self.by_hand += 1
            self.site.runs += 1
            code = self.site.end(forced)
            if code not in LOSES_OR_WINS:
                self.complain(f"rotate now beside two daemons exits with {code}")
        self.settle()
        left = set(self.site.pve.tokens(USER))
        if not by_hand and not kill and len(left) != len(("the current one", "its predecessor")):
            self.complain(f"one was due, and {len(left)} tokens are left: {sorted(left)}")

    def kill(self) -> None:
        """Kill the older daemon at a random instant, and start another."""
        self.site.seen.wait(SAFETY)
        victim = self.daemons.pop(0)
        try:
            victim.wait(self.site.chance.uniform(0, 2 * self.site.span))
        except subprocess.TimeoutExpired:
            victim.kill()
        victim.wait(SAFETY)
        self.kills += 1
        self.start()

    def settle(self) -> None:
        """Wait until the daemons have brought all to rest; turn PVE's clock past ``in_flight`` where that is needed."""
        for _ in range(3):
            if self.is_quiet() and not list(self.site.wrong()):
                return
            self.site.lab.time.pass_by(minutes=11)
            for daemon in self.daemons:
                daemon.send_signal(signal.SIGHUP)
        for what in self.site.wrong():
            self.complain(what)

    def is_quiet(self) -> bool:
        """Wait until nobody has asked anything for a while; whether that came about."""
        patience = time.monotonic() + SAFETY
        while time.monotonic() < patience:
            self.site.seen.clear()
            if not self.site.seen.wait(IDLE):
                return True
        return False

    def complain(self, what: str) -> None:
        """Note a violation."""
        self.site.violations.append(f"round {self.rounds}: {what}")

    def stop(self) -> None:
        """End the daemons by a signal; each exits by itself, and none has printed a secret."""
        for daemon in self.daemons:
            daemon.terminate()
        for daemon in self.daemons:
            daemon.wait(SAFETY)
        said = "".join(log.read_text(encoding="utf-8") for log in self.logs)
        self.site.violations += ["a daemon printed a secret" for secret in self.site.secrets() if secret in said]

    def row(self) -> Row:
        """Tell what was covered."""
        counts = {"kills": self.kills, "runs": self.rounds + self.by_hand, "logins": self.site.logins}
        return Row("two rotate serve and a now", counts, tuple(self.site.violations))


@contextmanager
def pair(folder: Path, seed: int, watch: Callable[[str], None] = lambda _: None) -> Iterator[Pair]:
    """Set a site with two daemons up."""
    with site(folder, seed, watch) as it, ExitStack() as stack:
        it.measure()
        made = Pair(it, stack)
        try:
            made.start()
            made.start()
            yield made
        finally:
            made.stop()


def together(folder: Path, seed: int, rounds: int, watch: Callable[[str], None] = lambda _: None) -> Row:
    """Let them rotate so many times; every third time by hand too, every fourth time one is killed."""
    with pair(folder, seed, watch) as it:
        it.is_quiet()
        for number in range(1, rounds + 1):
            it.due(by_hand=number % 3 == 0, kill=number % 4 == 0)
    return it.row()
