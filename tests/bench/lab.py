"""The world that is measured: clusters as slow as real ones, a store, a configuration, and what each of them did."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class Server:
    """A process that serves, and what it said where it is."""

    process: subprocess.Popen[str]
    told: Any

    def settle(self) -> Any:  # noqa: ANN401 - JSON
        """Ask what it has done since it was last asked."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    """Run a module of this package until the end of the block."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdin is not None
        assert process.stdout is not None
        yield Server(process, json.loads(process.stdout.readline()))
        process.stdin.close()
        process.wait()


@dataclass(frozen=True)
class Taken:
    """What something took: seconds of wall time and CPU, and what was asked of whom."""

    wall: float
    cpu: float
    """Of the program itself."""
    served: float
    """CPU seconds of the servers, which share the machine with it."""
    calls: Counter[str]
    stored: Counter[str]
    """Calls to the store."""
    own: tuple[float, ...]
    """For each cluster the seconds that its calls and connections take on a real PVE."""
    writing: tuple[float, ...]
    """For each cluster the seconds of these during which its one write lock is held."""
    memory: float = 0.0
    """The most that the program held, in MB; 0 where it was not measured."""


@dataclass
class Lab:
    """Clusters and a store; ``folder`` holds the configuration and what a store of files holds."""

    folder: Path
    farm: Server
    store: Server

    @property
    def clusters(self) -> list[dict[str, str]]:
        """Tell where each cluster is."""
        told: list[dict[str, str]] = self.farm.told
        return told

    def settle(self) -> tuple[Counter[str], Counter[str], list[float], list[float], float]:
        """Ask all servers what they did."""
        farm, store = self.farm.settle(), self.store.settle()
        each = farm["clusters"]
        calls: Counter[str] = sum((Counter(it["calls"]) for it in each), Counter())
        cpu = farm["cpu"] + store["cpu"]
        return calls, Counter(store["calls"]), [it["own"] for it in each], [it["writing"] for it in each], cpu

    @contextmanager
    def measured(self, into: list[Taken], *, is_child: bool = False) -> Iterator[None]:
        """Measure what the block does, in this process or in children that it waits for."""
        whose = resource.RUSAGE_CHILDREN if is_child else resource.RUSAGE_SELF
        *_, before = self.settle()
        cpu, wall = spent(whose), time.perf_counter()
        yield
        wall, cpu = time.perf_counter() - wall, spent(whose) - cpu
        calls, stored, own, writing, after = self.settle()
        into.append(Taken(wall, cpu, after - before, calls, stored, tuple(own), tuple(writing)))

    def configure(self, credentials: int, *, store: str, clusters: int | None = None, every: str = "30d") -> Path:
        """Write a configuration of so many credentials, spread over the clusters, each with a user of its own."""
        wide = clusters or len(self.clusters)
        path = self.folder / f"rotate-{store}-{credentials}-{wide}-{every}.yaml"
        lines = ["version: 1", "owner: bench", f"service: {{listen: '127.0.0.1:{free_port()}'}}"]
        lines += [*self._backends(), "clusters:"]
        lines += [line for number in range(wide) for line in self._cluster(number)]
        lines += ["credentials:", *(credential(number, wide, store, every) for number in range(credentials))]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def _backends(self) -> list[str]:
        (self.folder / "records").mkdir(mode=0o700, exist_ok=True)
        secret(self.folder / "vault-token", self.store.told["token"])
        secret(self.folder / "vault-ca.pem", self.store.told["ca"])
        vault = f"type: vault, address: '{self.store.told['address']}', ca: {self.folder}/vault-ca.pem"
        auth = f"auth: {{method: token, token: {{file: {self.folder}/vault-token}}}}"
        return [
            "backends:",
            f"  file: {{type: file, root: {self.folder}/records}}",
            f"  vault: {{{vault}, {auth}}}",
        ]

    def _cluster(self, number: int) -> list[str]:
        told = self.clusters[number]
        secret(self.folder / f"operator-{number}", told["secret"])
        secret(self.folder / f"ca-{number}.pem", told["ca"])
        operator = f"{{token_id: operator@pve!bench, token_secret: {{file: {self.folder}/operator-{number}}}}}"
        tls = f"{{ca: {self.folder}/ca-{number}.pem}}"
        return [f"  c{number}: {{endpoints: ['{told['endpoint']}'], tls: {tls}, operator: {operator}}}"]


def credential(number: int, clusters: int, store: str, every: str) -> str:
    """Write one credential: privilege-separated, with one entry in the access control list."""
    place = f"path: u{number}.json" if store == "file" else f"mount: secret, path: u{number}"
    where = f"cluster: c{number % clusters}, user: u{number // clusters}@pve, base: t{number}"
    grants = "grants: [{path: /vms, role: PVEAuditor}]"
    rest = f"every: {every}, overlap: 1h, {grants}, destination: {{backend: {store}, {place}}}"
    return f"  - {{name: t{number}, {where}, {rest}}}"


@contextmanager
def laboratory(
    folder: Path, *, clusters: int, users: int, refusal_delay: float = 0.0, planted: bool = False
) -> Iterator[Lab]:
    """Start servers: so many clusters in one process, and a store in another. ``planted`` users have a token each."""
    told = str(clusters), str(users), str(refusal_delay), "planted" if planted else "bare"
    with serving("tests.bench.farm", *told) as farm, serving("tests.bench.store") as store:
        yield Lab(folder, farm, store)


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def secret(path: Path, text: str) -> None:
    """Write a file that only we may read."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def spent(whose: int) -> float:
    """Tell the CPU seconds of this process, or of the children that it has waited for."""
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime
