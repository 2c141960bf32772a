"""Does the service grow? ``python -m tests.service.memory RUNS``: rotations in memory, and what they leave behind.

Every run rotates a credential, or revokes what its overlap has left. Meanwhile calls fail, configurations change (one
credential goes, another one comes), Prometheus scrapes, and a log is written. What grows in the world around the
service, as the simulated PVE's users and the store's records, is taken away. Measured are the memory of the process
(``VmRSS``) and the blocks that Python has handed out of it, each time after a collection; with ``trace`` behind the
number, their size too (``tracemalloc``), in twice the time.
"""

from __future__ import annotations

import gc
import io
import itertools
import sys
import tempfile
import time
import tracemalloc
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from rotator.events import Event
from rotator.logs.lines import Level, Style, open_log
from rotator.model import Version
from rotator.service.board import Change
from rotator.service.diary import Diary
from rotator.service.gauges import Metrics
from rotator.service.service import Service
from rotator.settings import ServiceSettings
from tests.contract.memory import MemoryBackend
from tests.service.world import Outage, Shop, Street

CLUSTERS = tuple(f"c{number}" for number in range(4))
CREDENTIALS = 40
EVERY, OVERLAP, LOOK = timedelta(hours=12), timedelta(hours=1), timedelta(hours=24)
FAILS = 211
"""One call in so many fails."""
CHANGES = 200
"""After so many runs the configuration is another one."""
SCRAPES = 50
SAMPLES = 10
FLAT = 1.05
"""From the second sample to the last one memory grows by less than that, if it is flat."""


class Slate(Shop):
    """A store that keeps the newest record of each place alone."""

    def write(self, location: Any, fields: Any, *, expected: Version | None) -> Version:  # noqa: ANN401 - as in the protocol
        """Write."""
        return MemoryBackend.write(self, location, fields, expected=expected)

    def forget(self, location: str) -> None:
        """Let a record be gone, as whoever does not need it any more would."""
        self._records.pop(location, None)


@dataclass(frozen=True)
class Sample:
    """How much memory there was after so many runs, in MiB."""

    runs: int
    resident: float
    blocks: int
    traced: float

    def __str__(self) -> str:
        traced = f"  {self.traced:7.3f} MiB traced" if self.traced else ""
        return f"{self.runs:>9,} runs  {self.resident:7.2f} MiB resident  {self.blocks:>9,} blocks{traced}"


@dataclass
class Life:
    """A service that is driven through many runs."""

    street: Street
    shop: Slate
    runs: int = 0
    born: Iterator[int] = field(default_factory=itertools.count)

    def see(self, change: Change) -> None:
        """Count the ends of runs; a watcher of the board."""
        for name in change.credentials:
            before, after = change.before.credentials.get(name), change.after.credentials[name]
            self.runs += after.last is not (before.last if before else None)

    def come(self) -> None:
        """Configure one credential more."""
        number = next(self.born)
        self.street.add(f"n{number}", CLUSTERS[number % len(CLUSTERS)], every=EVERY, overlap=OVERLAP)

    def change(self, service: Service) -> None:
        """Let the oldest credential go, and one more come."""
        gone = self.street.credentials.pop(0)
        self.come()
        service.reload()
        self.street.path.write_text("0", encoding="utf-8")
        self.street.touch()
        self.street.pves[gone.cluster].cluster.plant(lambda state: state.without_user(gone.userid))
        self.shop.forget(gone.name)


def lived(folder: Path, runs: int, samples: int = SAMPLES) -> Iterator[Sample]:
    """Drive a service through so many runs, and yield how much memory there was meanwhile."""
    street = Street(folder, CLUSTERS, service_settings=ServiceSettings(look=LOOK), parallel=1)
    street.events = deque[Event](maxlen=1)  # type: ignore[assignment] # nobody reads them
    street.bugs = deque[Exception](maxlen=10)  # type: ignore[assignment] # the same
    street.guard = Outage(lambda _, number: number % FAILS == FAILS - 1)
    shop = street.shop = Slate(street.clock)
    life, metrics, stream = Life(street, shop), Metrics(street.clock.now), io.StringIO()
    for _ in range(CREDENTIALS):
        life.come()
    with open_log(stream, Style(as_json=True, level=Level.INFO), street.clock.now) as log:
        diary = Diary(log.put)
        street.listeners += [log.hear, diary.hear, metrics.hear]
        service = street.serve()
        for watch in (life.see, diary.see):
            service.board.watch(watch)
        metrics.watch(service.board)
        yield from driven(life, service, metrics, stream, [runs * it // samples for it in range(1, samples + 1)])
        service.close()


def driven(life: Life, service: Service, metrics: Metrics, stream: io.StringIO, marks: list[int]) -> Iterator[Sample]:
    """Let time pass until so many runs have ended; a sample at each mark."""
    changed = scraped = 0
    for mark in marks:
        while life.runs < mark:
            life.street.clock.sleep(service.begin_due())
            if life.runs // SCRAPES > scraped:
                scraped = life.runs // SCRAPES
                generate_latest(metrics.registry)
                stream.seek(0)
                stream.truncate()
            if life.runs // CHANGES > changed:
                changed = life.runs // CHANGES
                life.change(service)
        yield measured(life.runs)


def measured(runs: int) -> Sample:
    """Measure now."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    traced = tracemalloc.get_traced_memory()[0] / 1024**2
    return Sample(runs, resident / 1024, sys.getallocatedblocks(), traced)


def grown(samples: list[Sample]) -> list[str]:
    """Tell what has grown between the second sample and the last one: by the first one not everything is loaded."""
    second, last = samples[1], samples[-1]
    kinds = {
        "resident": (second.resident, last.resident),
        "blocks": (second.blocks, last.blocks),
        "traced": (second.traced, last.traced),
    }
    return [f"{kind}: from {a:,.2f} to {b:,.2f}" for kind, (a, b) in kinds.items() if b > FLAT * a]


def command(runs: int, *, traces: bool) -> int:
    """Print what was measured; return 1 if it grows."""
    if traces:
        tracemalloc.start()
    began = time.monotonic()
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory() as place:
        for sample in lived(Path(place), runs):
            samples.append(sample)
            sys.stdout.write(f"{sample}  {time.monotonic() - began:7.1f} s\n")
            sys.stdout.flush()
    found = grown(samples)
    sys.stdout.write("".join(f"grows: {it}\n" for it in found) or "flat\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(command(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, traces="trace" in sys.argv))
