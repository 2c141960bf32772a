"""The real ``rotate due`` is killed with signal 9 at random instants, while a consumer process logs in all the time.

The simulated PVE serves over TLS from here, the record and its mirror are files, the operator's secret is in a third.
PVE's clock is turned by a month before each kill, so that the killed run has a token to replace and an old one to
revoke. Nobody holds a record over that month: the consumer is halted, and reads anew. Then runs that nobody kills must
bring all to rest, at once or once ``in_flight`` has passed.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rotator.errors import ExitCode
from rotator.marker import Marker
from rotator.testing.exchange import Request
from tests.cli.lab import OPERATOR, USER, Lab, Time
from tests.explore.report import Row

SAFETY = 120.0
"""Seconds that nothing of this takes."""
RECORDS = ("ci.json", "mirror.json")


class ConsumerProcess:
    """Whoever reads the records and logs in, in a process of its own."""

    def __init__(self, lab: Lab) -> None:
        ca = lab.folder / "ca.pem"
        ca.write_bytes(lab.pve.ca_pem)
        records = [str(lab.folder / name) for name in RECORDS]
        command = [sys.executable, "-m", "tests.explore.kill_consumer", lab.pve.nodes[0].url, str(ca), *records]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own

    def go(self) -> None:
        """Read, and log in all the time."""
        assert self._ask("go") == "going"

    def halt(self) -> dict[str, Any]:
        """Stop, and tell what came of it."""
        return dict(self._ask("halt"))

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=SAFETY)

    def _ask(self, word: str) -> Any:  # noqa: ANN401 - JSON
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@dataclass
class Site:
    """A cluster, a configuration with one credential in two places, and a consumer."""

    lab: Lab
    chance: random.Random
    consumer: ConsumerProcess = field(init=False)
    violations: list[str] = field(default_factory=list)
    kills: int = 0
    ended: int = 0
    """Runs that had ended before the kill came."""
    runs: int = 0
    logins: int = 0
    span: float = 0.0
    """Seconds from a run's first call to its last, as measured."""

    def __post_init__(self) -> None:
        """Publish the first token."""
        lab, folder = self.lab, self.lab.folder
        operator = folder / "operator"
        operator.touch(mode=0o600)
        operator.write_text(lab.environ.pop("ROTATE_TEST_OPERATOR_ONE"), encoding="utf-8")
        lab.operators["one"] = {"token_id": OPERATOR, "token_secret": {"file": str(operator)}}
        places = [{"path": str(folder / name)} for name in RECORDS]
        grants = [{"path": "/vms", "role": "PVEVMUser"}]
        lab.add("ci", destination=None, destinations=places, privsep=True, grants=grants, every="30d", overlap="24h")
        del lab.credentials[0]["destination"]
        lab.write()
        self.pve = lab.pve
        self.seen = threading.Event()
        self.last = 0.0
        self.pve.intercept = self._look
        self.rest()
        self.consumer = ConsumerProcess(lab)
        self.consumer.go()

    def _look(self, request: Request) -> None:
        if request.who == OPERATOR:
            self.last = time.monotonic()
            self.seen.set()

    def pass_month(self) -> None:
        """Make the token due and its predecessor's overlap end, while nobody holds either."""
        self.count_logins()
        self.lab.time.pass_by(days=31)
        self.consumer.go()

    def count_logins(self) -> None:
        """Halt the consumer and see how it went."""
        found = self.consumer.halt()
        self.logins += found["logins"]
        self.violations += [f"kill {self.kills}: a consumer's login failed: {it}" for it in found["failures"]]

    def measure(self) -> None:
        """See how long a run takes from its first call to its last."""
        self.pass_month()
        process = self.start()
        begun = time.monotonic()
        self.end(process)
        self.span = self.last - begun

    def start(self) -> subprocess.Popen[str]:
        """Start a run, and wait for its first call."""
        self.seen.clear()
        self.runs += 1
        process = self.lab.process("due", "--verbose")
        patience = time.monotonic() + SAFETY
        while not self.seen.wait(0.1):
            if process.poll() is not None or time.monotonic() > patience:
                raise RuntimeError(f"rotate due asked PVE for nothing: {process.communicate(timeout=SAFETY)[1]}")
        return process

    def end(self, process: subprocess.Popen[str], within: float = SAFETY) -> int:
        """Let a run end, by itself within so many seconds or else killed; what it printed holds no secret."""
        try:
            process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
        out, err = process.communicate(timeout=SAFETY)
        self.violations += [
            f"kill {self.kills}: a run printed a secret" for secret in self.secrets() if secret in out + err
        ]
        return process.returncode

    def kill_once(self) -> None:
        """Kill a run at a random instant, then let others bring all to rest."""
        self.pass_month()
        self.kills += 1
        code = self.end(self.start(), self.chance.uniform(0, 1.1 * self.span))
        self.ended += code >= 0
        self.rest()

    def rest(self) -> None:
        """Run until nothing is to do, past ``in_flight`` when something seems to be; then look at what is there."""
        code = self.end(self.start())
        if code == ExitCode.IN_FLIGHT:
            self.lab.time.pass_by(minutes=11)
            code = self.end(self.start())
        if code != ExitCode.DONE:
            self.violations.append(f"kill {self.kills}: a run after it exits with {code}")
        self.violations += [f"kill {self.kills}: {what}" for what in self.wrong()]

    def wrong(self) -> Iterator[str]:
        """Tell what should not be there once all is at rest."""
        records = [json.loads((self.lab.folder / name).read_text(encoding="utf-8")) for name in RECORDS]
        current = records[0]["token_id"].rpartition("!")[2]
        if records[0] != records[1]:
            yield "the mirror does not hold what the primary holds"
        if current not in self.pve.tokens(USER):
            yield f"{current} is published and does not exist"
        for name in self.pve.tokens(USER):
            shown = self.pve.token(f"{USER}!{name}") or {}
            marker = Marker.parse(str(shown.get("comment", "")))
            if name != current and not int(str(shown["expire"])):
                yield f"{name} is left without an end"
            if name == current and not (marker and marker.published):
                yield f"{name} is published and not marked"
        for path in self.lab.folder.glob(".*.tmp"):
            yield f"{path.name} is left"

    def secrets(self) -> set[str]:
        """Tell every secret that there is."""
        users = self.pve.cluster.newest().users.values()
        return {token.secret for user in users for token in user.tokens.values()}

    def row(self, kind: str) -> Row:
        """Tell what was covered."""
        counts = {"kills": self.kills, "in time": self.kills - self.ended, "runs": self.runs, "logins": self.logins}
        return Row(kind, counts, tuple(self.violations))


@contextmanager
def site(folder: Path, seed: int, watch: Callable[[str], None] = lambda _: None) -> Iterator[Site]:
    """Set a site up in an empty folder."""
    lab = Lab(folder, Time(), watch)
    lab.add_cluster("one")
    try:
        made = Site(lab, random.Random(seed))  # noqa: S311 - a chance that can be repeated
        try:
            yield made
            made.count_logins()
        finally:
            made.consumer.close()
    finally:
        lab.pve.close()


def killed(folder: Path, seed: int, times: int, watch: Callable[[str], None] = lambda _: None) -> Row:
    """Kill so many runs."""
    with site(folder, seed, watch) as it:
        it.measure()
        for _ in range(times):
            it.kill_once()
    return it.row("rotate due")
