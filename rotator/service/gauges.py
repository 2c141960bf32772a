"""How everything stands, as samples: made of one standing when somebody asks, so that nothing is kept twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

import rotator
from rotator.events import Event
from rotator.service import metrics
from rotator.service.board import Board
from rotator.service.metrics import Metric
from rotator.service.standing import ClusterStanding, CredentialStanding, Role, Standing, State
from rotator.service.tally import Stores, Tally

Sample = tuple[Metric, tuple[str, ...], float]


class Gauges(Collector):
    """Hands out what a source yields at that time."""

    def __init__(self, source: Callable[[], Iterable[Sample]]) -> None:
        self._source = source

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Name nothing beforehand, so that nobody asks before there is anything."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Make a family of each metric that has samples, one after the other: all at once take 30 MB for 10,000."""
        found: dict[Metric, list[tuple[tuple[str, ...], float]]] = {}
        for metric, labels, value in self._source():
            found.setdefault(metric, []).append((labels, value))
        for metric, values in found.items():
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in values:
                family.add_metric(labels, value)
            yield family


class Metrics:
    """Everything that a service tells Prometheus. Give ``hear`` to the service, then let it watch the board."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.registry = CollectorRegistry()
        self._now = now
        self._board: Board | None = None
        self._tally = Tally(self.registry)
        self._stores = Stores(self.registry, self._destinations)

    def hear(self, event: Event) -> None:
        """Count an event; a listener."""
        self._tally.hear(event)
        self._stores.hear(event)

    def lose(self, many: int) -> None:
        """Count notifications that somebody did not get."""
        self._tally.lose(many)

    def watch(self, board: Board) -> None:
        """Tell from now on what stands there."""
        self._board = board
        board.watch(self._tally.see)
        board.watch(self._stores.see)
        self.registry.register(Gauges(lambda: of_service(board.standing, self._now())))

    def _destinations(self, name: str) -> tuple[tuple[str, str], ...]:
        known = self._board.standing.credentials.get(name) if self._board else None
        return known.destinations if known else ()


def of_service(standing: Standing, now: datetime) -> Iterator[Sample]:
    """Yield everything that a standing tells."""
    yield metrics.STARTED, (), standing.started.timestamp()
    yield metrics.LEADER, (), float(standing.leadership.leads)
    yield metrics.CONFIG_VALID, (), float(standing.configuration.refused is None)
    yield metrics.CONFIG_LOADED, (), standing.configuration.loaded.timestamp()
    yield from of_fleet(standing, now)


def of_fleet(standing: Standing, now: datetime) -> Iterator[Sample]:
    """Yield what a standing tells of credentials and clusters."""
    yield metrics.BUILD, (rotator.__version__,), 1.0
    states = Counter((it.cluster, it.state) for it in standing.credentials.values())
    for cluster in standing.clusters.values():
        yield from of_cluster(cluster)
        for state in State:
            yield metrics.CREDENTIALS, (cluster.name, state), float(states[cluster.name, state])
    theirs = {it.name: now + (it.clock_offset or timedelta()) for it in standing.clusters.values()}
    for credential in standing.credentials.values():
        yield from of_credential(credential, theirs.get(credential.cluster, now))


def of_cluster(cluster: ClusterStanding) -> Iterator[Sample]:
    """Yield what is known of a cluster; nothing of one that was not asked yet."""
    labels = (cluster.name,)
    if cluster.is_reachable is not None:
        yield metrics.REACHABLE, labels, float(cluster.is_reachable)
    if cluster.clock_offset is not None:
        yield metrics.CLOCK, labels, cluster.clock_offset.total_seconds()
    yield from _times(labels, (metrics.ANSWERED, cluster.answered), (metrics.OPERATOR_EXPIRE, cluster.operator_expire))


def of_credential(credential: CredentialStanding, now: datetime) -> Iterator[Sample]:
    """Yield what is known of a credential. ``now`` is by PVE's clock, as far as that is known."""
    labels = (credential.name, credential.cluster)
    yield metrics.STATE, (*labels, credential.state), 1.0
    yield metrics.INTERVAL, labels, credential.every.total_seconds()
    yield metrics.FAILURES, labels, float(credential.failures)
    yield from _times(
        labels,
        (metrics.WELL, credential.well),
        (metrics.NEXT_RUN, credential.next_wake),
        (metrics.NEXT_CHANGE, credential.next_change),
    )
    if credential.tokens:
        yield from of_tokens(credential, now)


def of_tokens(credential: CredentialStanding, now: datetime) -> Iterator[Sample]:
    """Yield what is known of a credential's tokens."""
    labels = (credential.name, credential.cluster)
    roles = Counter(token.role for token in credential.tokens)
    yield metrics.RETIRING, labels, float(roles[Role.RETIRING])
    yield metrics.UNPUBLISHED, labels, float(roles[Role.UNPUBLISHED])
    for token in credential.tokens:
        if token.role is Role.CURRENT:
            yield from _times(labels, (metrics.ISSUED, token.issued), (metrics.EXPIRE, token.expire))
            if token.issued:
                yield metrics.AGE, labels, (now - token.issued).total_seconds()
    ends = [token.expire for token in credential.tokens if token.role is Role.RETIRING]
    last = None if None in ends else max(filter(None, ends), default=None)  # the last to end may be one that does not
    yield from _times(labels, (metrics.RETIRING_EXPIRE, last))


def _times(labels: tuple[str, ...], *times: tuple[Metric, datetime | None]) -> Iterator[Sample]:
    for metric, when in times:
        if when is not None:
            yield metric, labels, when.timestamp()
