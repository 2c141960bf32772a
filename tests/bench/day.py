"""A day of the service with many credentials, by a turned clock: ``python -m tests.bench.day CREDENTIALS``.

All is in memory, clusters and store too, so that nothing but the service's own work is measured. Every credential has
a token that is due some time in the month to come: about a thirtieth of them on that day, to be revoked after the
overlap. Each hour Prometheus scrapes, and a log is written all the time. One line of JSON tells what came of it.
"""

from __future__ import annotations

import io
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from prometheus_client import generate_latest

from rotator.events import Event, Outcome, Step
from rotator.logs.lines import Level, Style, open_log
from rotator.marker import Marker
from rotator.model import Credential, Destination, Secret
from rotator.service.diary import Diary
from rotator.service.gauges import Metrics
from rotator.service.standing import State
from rotator.settings import ServiceSettings
from rotator.view import due_at
from tests.service.memory import Slate, measured
from tests.service.world import KIND, Street
from tests.world import START

CLUSTERS = tuple(f"c{number}" for number in range(50))
EVERY, OVERLAP, HOUR = timedelta(days=30), timedelta(hours=1), timedelta(hours=1)
HOURS = 24


@dataclass(frozen=True)
class Day:
    """What a day took. The memory is that of the process, in MB, after each hour."""

    cpu: float
    wall: float
    rotations: int
    wakes: int
    well: int
    held: tuple[float, ...]

    @property
    def growth(self) -> float:
        """Its last six hours to six before; not to the first three, in which the first revocations are met."""
        return statistics.fmean(self.held[-6:]) / statistics.fmean(self.held[3:9])


def plant(street: Street, number: int, of: int) -> None:
    """Configure a credential whose token is due some time in the month to come, each at another."""
    name, cluster = f"n{number}", CLUSTERS[number % len(CLUSTERS)]
    userid, pve = f"{name}@pve", street.pves[cluster]
    place = Destination(KIND, name, f"{KIND}:{name}")
    made = Credential(name, cluster, "tests", userid, name, EVERY, OVERLAP, (place,), privsep=False)
    street.credentials.append(made)
    pve.add_user(userid, groups=("rotated",))
    age = (due_at(made, START) - START) * (number / of)
    marker = Marker("tests", name, "planted", START - age, published=True)
    token = f"{name}-1-aaaaa"
    secret = pve.add_token(userid, token, privsep=False, comment=marker.comment())
    fields = {"token_id": Secret(f"{userid}!{token}"), "token_secret": Secret(secret)}
    street.shop.write(name, fields, expected=None)


def live(folder: Path, credentials: int) -> Day:
    """Let a service live through the day."""
    street = Street(folder, CLUSTERS, service_settings=ServiceSettings())
    street.shop = Slate(street.clock)
    for number in range(credentials):
        plant(street, number, credentials)
    metrics, stream, counts = Metrics(street.clock.now), io.StringIO(), Counter[str]()
    with open_log(stream, Style(as_json=True, level=Level.INFO), street.clock.now) as log:
        diary = Diary(log.put)
        street.listeners += [log.hear, diary.hear, metrics.hear]
        service = street.serve()
        service.board.watch(diary.see)
        metrics.watch(service.board)
        cpu, wall, held = time.process_time(), time.perf_counter(), list[float]()

        def count() -> None:
            counts["wakes"] += 1
            counts["rotations"] += sum(is_rotation(it) for it in street.events)
            street.events.clear()

        for _ in range(HOURS):
            street.go_on(service, HOUR, count)
            generate_latest(metrics.registry)
            stream.seek(0)
            stream.truncate()
            held.append(measured(0).resident * 1024**2 / 1e6)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        well = sum(it.state is State.WELL for it in service.board.standing.credentials.values())
        service.close()
    return Day(cpu, wall, counts["rotations"], counts["wakes"], well, tuple(held))


def is_rotation(event: Event) -> bool:
    """Whether a token was published."""
    return event.step is Step.PUBLISH and event.outcome is Outcome.DONE


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        made = live(Path(place), int(sys.argv[1]))
    sys.stdout.write(json.dumps({**asdict(made), "growth": made.growth}) + "\n")
