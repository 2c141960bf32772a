"""Two real ``rotate serve`` with one Kubernetes Lease between them; the leader is killed in the middle of its work.

PVE and Kubernetes are simulated here, over TLS; the records are files. PVE's clock makes all credentials due at once,
so that the leader is busy, and a random instant in that is the one at which it dies, by signal 9. The other one has to
lead soon, to finish what is left, and to leave alone what was rotated already.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rotator.marker import Marker, Name
from rotator.testing.exchange import Request
from rotator.testing.kubernetes import Rule, SimulatedKubernetes
from tests.cli.lab import OPERATOR, USER, Lab, Time
from tests.explore.report import Row

SAFETY = 120.0
"""Seconds that nothing of this takes."""
PROMISED = 30.0
"""Seconds after which another one leads."""
LEASE_RULE = Rule(("get", "create", "update"), ("leases",), ("coordination.k8s.io",))


class Log:
    """What one daemon writes, read while it does."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[dict[str, Any]] = []
        self.changed = threading.Condition()
        self._process = process
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            with self.changed:
                self.lines.append(json.loads(line))
                self.changed.notify_all()

    def until(self, is_there: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Wait for something to be written. Raises: ``RuntimeError`` when it is not."""
        with self.changed:
            if not self.changed.wait_for(lambda: is_there(self.lines), SAFETY):
                raise RuntimeError(f"it wrote nothing of the kind: {self.lines[-3:]}")

    def says(self, event: str) -> list[str]:
        """List the credentials of all lines about something."""
        return [str(line.get("credential")) for line in list(self.lines) if line["event"] == event]

    def close(self) -> None:
        """Read to the end of what was written, once the process is dead. Repeat: nothing happens."""
        self._thread.join(SAFETY)
        if self._process.stderr:
            self._process.stderr.close()


@dataclass
class Pair:
    """Two daemons, one of which leads."""

    lab: Lab
    names: list[str]
    lease: int
    stop_at: int
    """Which of the leader's changes is its last."""
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    calls: int = 0
    killed_at: float = 0.0
    is_armed: bool = False
    violations: list[str] = field(default_factory=list)

    def intercept(self, request: Request) -> None:
        """Count the changes of whoever leads, and kill it at one of them."""
        if not self.is_armed or request.who != OPERATOR or request.method == "GET":
            return
        self.calls += 1
        if self.calls == self.stop_at:
            self.is_armed = False
            self.processes[0].kill()
            self.killed_at = time.monotonic()

    def start(self) -> Log:
        """Start one more."""
        arguments = ("--leader", "kubernetes", "--lease-duration", str(self.lease), "--log-format", "json")
        self.processes.append(self.lab.process("serve", *arguments, stdout=subprocess.DEVNULL))
        self.logs.append(Log(self.processes[-1]))
        return self.logs[-1]

    def run(self) -> float:
        """Let it happen; returns after how many seconds the other one led."""
        first = self.start()
        first.until(lambda _: len(first.says("rotated")) == len(self.names))
        second = self.start()
        second.until(lambda lines: any(it["event"].startswith("serving") for it in lines))
        self.lab.time.pass_by(days=31)
        self.is_armed = True
        before = set(self.published())
        self.processes[0].send_signal(signal.SIGHUP)
        second.until(lambda lines: any(it["event"] == "leading" for it in lines))
        took = time.monotonic() - self.killed_at
        self.settle(second, before)
        self.processes[1].terminate()
        self.processes[1].wait(SAFETY)
        second.close()
        self.look(first, second, took)
        return took

    def settle(self, second: Log, before: set[str]) -> None:
        """Wait until nobody has the old token; what the dead one had in hand is due when ``in_flight`` has passed."""
        patience, pause = time.monotonic() + SAFETY, threading.Event()
        while set(self.published()) & before:
            if time.monotonic() > patience:
                raise RuntimeError(f"not rotated: {set(self.published()) & before}: {second.lines[-3:]}")
            if not self.is_busy(second):
                self.lab.time.pass_by(minutes=11)
                self.processes[1].send_signal(signal.SIGHUP)
            pause.wait(0.2)

    def is_busy(self, log: Log) -> bool:
        """Whether it has written anything within the last second."""
        with log.changed:
            return log.changed.wait(1.0)

    def published(self) -> list[str]:
        """Read which token each consumer gets."""
        return [self.lab.record(name)["token_id"] for name in self.names]

    def look(self, first: Log, second: Log, took: float) -> None:
        """See whether all holds."""
        if took > PROMISED:
            self.violations.append(f"the other one led after {took:.1f} s")
        done = Counter(first.says("rotated")) + Counter(second.says("rotated"))
        self.violations += [f"{name} was rotated {count - 1} times" for name, count in done.items() if count > 2]
        for name in self.names:
            self.violations += self.wrong(name)
        said = str(first.lines) + str(second.lines)
        users = self.lab.pve.cluster.newest().users.values()
        secrets = {token.secret for user in users for token in user.tokens.values()}
        self.violations += ["a daemon printed a secret" for secret in secrets if secret in said]

    def wrong(self, name: str) -> Iterator[str]:
        """Tell what should not be at PVE: of each credential one token more than before was published, and works."""
        if not self.lab.works(name):
            yield f"{name}: what consumers read does not work"
        names = (it for it in self.lab.pve.tokens(USER) if (read := Name.parse(it)) and read.base == name)
        shown = [str((self.lab.pve.token(f"{USER}!{it}") or {}).get("comment", "")) for it in names]
        published = [marker for it in shown if (marker := Marker.parse(it)) and marker.published]
        if len(published) != len(("its predecessor", "the current one")):
            yield f"{name}: {len(published)} tokens are published"


@contextmanager
def pair(folder: Path, seed: int, lease: int, many: int, watch: Callable[[str], None]) -> Iterator[Pair]:
    """Set it up in an empty folder."""
    chance = random.Random(seed)  # noqa: S311 - a chance that can be repeated
    lab = Lab(folder, Time(), watch)
    lab.add_cluster("one")
    lab.extra["service"] = {"lease": {"name": "rotate", "namespace": "default"}, "listen": "none", "look": "1h"}
    names = [f"c{number}" for number in range(many)]
    for name in names:
        lab.add(name, every="30d", overlap="7d")
    with SimulatedKubernetes() as kubernetes:
        kubernetes.bind("rotator", [LEASE_RULE], namespace="default")
        token = kubernetes.issue_token("rotator")
        watch(token)
        lab.environ["KUBECONFIG"] = str(kubernetes.write_kubeconfig(folder, token=token))
        made = Pair(lab, names, lease, chance.randint(many // 2, 3 * many))
        lab.pve.intercept = made.intercept
        try:
            yield made
        finally:
            for process, log in zip(made.processes, made.logs, strict=True):
                process.kill()
                process.wait(SAFETY)
                log.close()
            lab.pve.close()


def failover(folder: Path, seed: int, lease: int, many: int = 12, watch: Callable[[str], None] = lambda _: None) -> Row:
    """Kill the leader once; ``lease`` is in seconds."""
    with pair(folder, seed, lease, many, watch) as made:
        took = made.run()
    counts = {"kills": 1, "runs": 2 * many, "seconds": round(took)}
    return Row(f"a leader, with a lease of {lease} s", counts, tuple(made.violations))
