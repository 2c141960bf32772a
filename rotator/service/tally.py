"""Counting what happens: steps by the event stream, runs by the board."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rotator.events import Event, Outcome, Step
from rotator.policy import Reason
from rotator.service import metrics
from rotator.service.board import Change
from rotator.service.metrics import Metric

Destinations = Callable[[str], tuple[tuple[str, str], ...]]
"""Tells the label and the backend of each destination of a credential, the primary first; nothing for an unknown one.
"""
FAILED = frozenset({Outcome.FAILED, Outcome.UNKNOWN})
TOLD = frozenset({Step.DECIDE, Step.OBSERVE})
"""Steps that are told in one event, and take no time there."""


class Tally:
    """Counts into a registry. ``hear`` is a listener, ``see`` a watcher of the board; any thread may call both."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rotations = _counter(metrics.ROTATIONS, registry)
        self._runs = _counter(metrics.RUNS, registry)
        self._decisions = _counter(metrics.DECISIONS, registry)
        self._steps = _counter(metrics.STEPS, registry)
        self._failures = _counter(metrics.STEP_FAILURES, registry)
        self._orphans = _counter(metrics.ORPHANS, registry)
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

    def see(self, change: Change) -> None:
        """Count the runs whose end a change wrote up."""
        for name in change.credentials:
            before, after = change.before.credentials.get(name), change.after.credentials.get(name)
            if after and after.last and (before is None or before.last is not after.last):
                result = after.last.result
                outcome = result.exit_code.name.lower().replace("_", "-")
                self._runs.labels(after.cluster, outcome, result.reason).inc()

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

    def _tell(self, backends: set[str], *, works: bool) -> None:
        for backend in backends:
            self._backend.labels(backend).set(works)


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.name, metric.help, metric.labels, registry=registry)
