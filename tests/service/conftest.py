"""The laboratory of the command line for ``rotate serve`` as a process, and a service in memory with real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.service.gauges import Metrics
from rotator.service.health import Pulse
from rotator.service.server import Server
from rotator.settings import ServiceSettings
from tests.cli.lab import Lab, Time
from tests.service.house import House
from tests.service.world import Street


@pytest.fixture
def lab(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Lab]:
    """Return a laboratory with one cluster of one node and no credentials."""
    made = Lab(tmp_path, Time(), watch)
    made.add_cluster("one")
    yield made
    for pve in made.clusters.values():
        pve.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    """Collect servers, and close all at once: each takes half a second."""
    made: list[Server] = []
    yield made
    with ThreadPoolExecutor(len(made) or 1) as pool:
        list(pool.map(Server.close, made))


@pytest.fixture
def house(tmp_path: Path, servers: list[Server]) -> Iterator[House]:
    """Return a service with one credential that has not looked at anything yet."""
    street = Street(tmp_path, service_settings=ServiceSettings(look=timedelta(hours=1)))
    street.add("ci")
    metrics = Metrics(street.clock.now)
    street.listeners.append(metrics.hear)
    service = street.serve()
    metrics.watch(service.board)
    with ExitStack() as closing:
        yield House(street, service, metrics, Pulse(street.clock), closing, servers)
