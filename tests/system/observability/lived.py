"""Some hours of a service as Prometheus would have seen them, each sample with its time.

What only comes to be with an operator that sees itself, or in a single run, is told by the same gauges of a standing
made for it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from rotator.errors import RefusedError
from rotator.model import Request, Version
from rotator.service import gauges, metrics
from rotator.service.gauges import Gauges, Metrics
from rotator.service.service import Service
from rotator.service.standing import ClusterStanding, ConfigurationStanding, Standing
from rotator.settings import ServiceSettings
from tests.service.world import Outage, Shop, Street

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SCRAPE = 5 * MINUTE


class Full(Shop):
    """A store that can be full."""

    is_full = False

    def write(self, location: Any, fields: Any, *, expected: Version | None) -> Version:  # noqa: ANN401 - as in the protocol
        """Write, unless it is full."""
        if self.is_full:
            raise RefusedError("memory is full")
        return super().write(location, fields, expected=expected)


class Scrapes:
    """What was scraped, by the name of each sample, as Prometheus takes it in."""

    def __init__(self) -> None:
        self._lines: defaultdict[str, list[str]] = defaultdict(list)

    def take(self, registry: CollectorRegistry, at: datetime, **target: str) -> None:
        """Take in what a registry tells, with the labels of its target."""
        for family in text_string_to_metric_families(generate_latest(registry).decode()):
            for sample in family.samples:
                self._lines[sample.name].append(_line(sample, at, target))

    @property
    def names(self) -> set[str]:
        """Return the names of all samples."""
        return set(self._lines)

    def openmetrics(self) -> str:
        """Write all down for ``promtool tsdb create-blocks-from openmetrics``."""
        return "\n".join([*(line for lines in self._lines.values() for line in lines), "# EOF", ""])


def _line(sample: Sample, at: datetime, target: dict[str, str]) -> str:
    labels = ",".join(f'{key}="{value}"' for key, value in {**target, **sample.labels}.items())
    return f"{sample.name}{{{labels}}} {sample.value} {int(at.timestamp())}"


class Life:
    """A service with four credentials at two clusters, some of whose calls fail."""

    def __init__(self, folder: Path) -> None:
        self.scrapes = Scrapes()
        self._street = Street(folder, ("home", "away"), service_settings=ServiceSettings(look=10 * MINUTE))
        self._shop = self._street.shop = Full(self._street.clock)
        self._street.guard = Outage(lambda label, _: self._shop.is_full and label.startswith("DELETE"))
        for number, cluster in enumerate(("home", "away", "home", "away")):
            self._street.add(f"c{number}", cluster, every=HOUR, overlap=10 * MINUTE, lifetime=6 * HOUR)
        self._told = Metrics(self._street.clock.now)
        self._street.listeners.append(self._told.hear)
        self.is_heard_twice = False
        """Whether it is a target by another name, too, as from a Prometheus that begins late."""
        self._service: Service = self._street.serve()
        self._told.watch(self._service.board)

    @property
    def now(self) -> datetime:
        """Tell the time there."""
        return self._street.clock.now()

    def go_on(self, duration: timedelta) -> None:
        """Let time pass, with a scrape now and then."""
        for _ in range(int(duration / SCRAPE)):
            self._street.go_on(self._service, SCRAPE)
            self.scrapes.take(self._told.registry, self.now, job="rotate", instance="a")
            if self.is_heard_twice:
                self.scrapes.take(self._told.registry, self.now, job="rotate", instance="late")
            self.scrapes.take(_single(self.now), self.now, job="node", instance="b")

    def leave_an_orphan(self) -> None:
        """Let the store be full, and nothing be deleted, while somebody asks for a rotation."""
        self._shop.is_full = True
        self._service.ask("c0", Request(forced=True), who="test")
        self.go_on(SCRAPE)
        self._shop.is_full = False

    def lose(self, cluster: str) -> None:
        """Take a cluster away."""
        self._street.down(cluster)


def _single(now: datetime) -> CollectorRegistry:
    """Return what a single run leaves, whose operator sees its own end."""
    cluster = ClusterStanding("home", ("pve1:8006",), is_reachable=True, operator_expire=now + timedelta(days=40))
    configuration = ConfigurationStanding("rotate.yaml", "", now)
    whole = Standing(now, configuration, MappingProxyType({}), MappingProxyType({"home": cluster}))
    samples = [*gauges.of_fleet(whole, now), (metrics.RAN, (), now.timestamp()), (metrics.EXIT_CODE, (), 0.0)]
    registry = CollectorRegistry()
    registry.register(Gauges(lambda: samples))
    return registry


def lived(folder: Path) -> tuple[Scrapes, datetime]:
    """Live through four hours; returns what was scraped, and the end."""
    life = Life(folder)
    life.go_on(2 * HOUR)
    life.is_heard_twice = True
    life.leave_an_orphan()
    life.go_on(HOUR)
    life.lose("away")
    life.go_on(HOUR)
    return life.scrapes, life.now
