"""Counting what happens: steps by the event stream, runs by the board."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rotator.events import Event, Outcome, Step
from rotator.policy import Reason
from rotator.service import metrics
from rotator.service.board import Change
from rotator.service.metrics import Metric
from rotator.service.standing import Standing

Destinations = Callable[[str], tuple[tuple[str, str], ...]]
"""Tells the label and the backend of each destination of a credential, the primary first; nothing for an unknown one.
"""
FAILED = frozenset({Outcome.FAILED, Outcome.UNKNOWN})
TOLD = frozenset({Step.DECIDE, Step.OBSERVE})
"""Steps that are told in one event, and take no time there."""


class Tally:
    """Counts into a registry. ``hear`` is a listener, ``see`` a watcher of the board; any thread may call both."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rotations = Counted(metrics.ROTATIONS, registry)
        self._runs = Counted(metrics.RUNS, registry)
        self._decisions = Counted(metrics.DECISIONS, registry)
        self._steps = Counted(metrics.STEPS, registry)
        self._failures = Counted(metrics.STEP_FAILURES, registry)
        self._orphans = Counted(metrics.ORPHANS, registry)
        self._lost = Counter(metrics.LOST.name, metrics.LOST.help, registry=registry)
        duration = metrics.DURATION
        self._duration = Histogram(
            duration.name, duration.help, duration.labels, buckets=metrics.BUCKETS, registry=registry
        )

    def hear(self, event: Event) -> None:
        """Count an event."""
        if event.outcome is Outcome.STARTED:
            return
        self._steps.labels(event.cluster, event.step, event.outcome).inc()
        if event.step is Step.DECIDE:
            self._decisions.labels(event.cluster, event.reason).inc()
            return
        if event.outcome in FAILED:
            self._failures.labels(event.cluster, event.step, event.reason).inc()
        if event.step not in TOLD:
            self._count_step(event)

    def lose(self, many: int) -> None:
        """Count notifications that somebody did not get."""
        self._lost.inc(many)

    def see(self, change: Change) -> None:
        """Count the runs whose end a change wrote up, and forget what is not configured any more."""
        if change.before.configuration is not change.after.configuration:
            self._keep(change.after)
        for name in change.credentials:
            before, after = change.before.credentials.get(name), change.after.credentials.get(name)
            if after and after.last and (before is None or before.last is not after.last):
                result = after.last.result
                outcome = result.exit_code.name.lower().replace("_", "-")
                self._runs.labels(after.cluster, outcome, result.reason).inc()

    def _keep(self, standing: Standing) -> None:
        kept = {(it.name, it.cluster) for it in standing.credentials.values()}
        self._rotations.keep(lambda labels: labels[:2] in kept)
        for counted in (self._runs, self._decisions, self._steps, self._failures, self._orphans):
            counted.keep(lambda labels: labels[0] in standing.clusters)

    def _count_step(self, event: Event) -> None:
        self._duration.labels(event.step).observe(event.duration.total_seconds())
        is_done = event.outcome is Outcome.DONE
        if is_done and event.step is Step.PUBLISH:
            self._rotations.labels(event.credential, event.cluster, event.reason).inc()
        if is_done and event.step is Step.REVOKE and event.reason == Reason.ORPHAN:
            self._orphans.labels(event.cluster).inc()


class Stores:
    """Notes whether each store did what it should when something was done there last; a listener.

    A decision says that the primary was read, or that it could not be. Whoever was overtaken met a store that did what
    it should: it told so.
    """

    def __init__(self, registry: CollectorRegistry, destinations: Destinations) -> None:
        backend = metrics.BACKEND
        self._destinations = destinations
        self._backend = Gauge(backend.name, backend.help, backend.labels, registry=registry)
        self._blamed: dict[str, set[str]] = {}
        """The stores that steps failed at since the last decision about a credential."""
        self._told: set[str] = set()

    def hear(self, event: Event) -> None:
        """Take note of an event that tells of a store."""
        if event.outcome is Outcome.STARTED:
            return
        places = self._destinations(event.credential)
        blamed = self._blamed.pop(event.credential, set()) if event.step in TOLD else set()
        if event.step is Step.DECIDE and event.reason != Reason.PAUSED:
            self._tell({backend for _, backend in places[:1]}, works=event.reason != Reason.RECORD_UNREADABLE)
        elif event.step is Step.OBSERVE and event.outcome is Outcome.NOTHING:
            self._tell(blamed, works=True)
        elif event.step is not Step.HOOK:
            self._hear_step(event, {backend for label, backend in places if label == event.destination})

    def _hear_step(self, event: Event, backends: set[str]) -> None:
        if event.outcome in FAILED:
            self._blamed[event.credential] = self._blamed.get(event.credential, set()) | backends
        if event.outcome is not Outcome.NOTHING:
            self._tell(backends, works=event.outcome is Outcome.DONE)

    def see(self, change: Change) -> None:
        """Forget what is not configured any more; a watcher of the board."""
        if change.before.configuration is change.after.configuration:
            return
        credentials = change.after.credentials
        backends = {backend for it in credentials.values() for _, backend in it.destinations}
        for gone in self._told - backends:
            self._told.discard(gone)
            self._backend.remove(gone)
        for gone in self._blamed.keys() - credentials.keys():
            self._blamed.pop(gone, None)

    def _tell(self, backends: set[str], *, works: bool) -> None:
        self._told |= backends
        for backend in backends:
            self._backend.labels(backend).set(works)


class Counted:
    """A counter with labels, of which those that are about what is gone are taken out: it would grow for ever."""

    def __init__(self, metric: Metric, registry: CollectorRegistry) -> None:
        self._counter = Counter(metric.name, metric.help, metric.labels, registry=registry)
        self._seen: set[tuple[str, ...]] = set()

    def labels(self, *values: str) -> Counter:
        """Return the counter with these labels."""
        self._seen.add(values)
        return self._counter.labels(*values)

    def keep(self, is_kept: Callable[[tuple[str, ...]], bool]) -> None:
        """Take out the others."""
        for values in [it for it in tuple(self._seen) if not is_kept(it)]:
            self._seen.discard(values)
            self._counter.remove(*values)
