"""Do the metrics agree with the event stream? Everything that is counted, worked out a second time from the events."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from rotator.events import Event, Outcome, Step
from rotator.service import metrics
from rotator.service.board import Change
from rotator.service.metrics import BUCKETS, Metric
from rotator.service.standing import Ended

ENDS = frozenset({Outcome.DONE, Outcome.FAILED, Outcome.UNKNOWN, Outcome.NOTHING})
FAILURES = frozenset({Outcome.FAILED, Outcome.UNKNOWN})
UNTIMED = frozenset({Step.DECIDE, Step.OBSERVE})
Labels = tuple[str, ...]


@dataclass
class Account:
    """Keeps the ends of all steps, and of all runs by where they happened."""

    events: list[Event] = field(default_factory=list)
    runs: list[tuple[str, Ended]] = field(default_factory=list)

    def hear(self, event: Event) -> None:
        """Take an event; a listener."""
        if event.outcome in ENDS:
            self.events.append(event)

    def see(self, change: Change) -> None:
        """Take the ends of runs; a watcher of the board."""
        for name in change.credentials:
            before, after = change.before.credentials.get(name), change.after.credentials[name]
            if after.last and (before is None or before.last is not after.last):
                self.runs.append((after.cluster, after.last))

    def disagreements(self, registry: CollectorRegistry) -> list[str]:
        """Tell each sample that is not what it should be, that is missing, or that should not be there."""
        found: list[str] = []
        for metric, expected in self._counts():
            told = samples(registry, metric, "_total")
            found += differences(metric.name, {key: float(count) for key, count in expected.items()}, told)
        return found + [line for kind in ("_count", "_sum", "_bucket") for line in self._of_durations(registry, kind)]

    def _counts(self) -> Iterator[tuple[Metric, Counter[Labels]]]:
        failed = [it for it in self.events if it.outcome in FAILURES and it.step is not Step.DECIDE]
        done = [it for it in self.events if it.outcome is Outcome.DONE]
        published = [it for it in done if it.step is Step.PUBLISH]
        orphans = [it for it in done if it.step is Step.REVOKE and it.reason == "orphan"]
        decided = [it for it in self.events if it.step is Step.DECIDE]
        yield metrics.ROTATIONS, counted(published, lambda it: (it.credential, it.cluster, it.reason))
        yield metrics.DECISIONS, counted(decided, lambda it: (it.cluster, it.reason))
        yield metrics.STEPS, counted(self.events, lambda it: (it.cluster, it.step, it.outcome))
        yield metrics.STEP_FAILURES, counted(failed, lambda it: (it.cluster, it.step, it.reason))
        yield metrics.ORPHANS, counted(orphans, lambda it: (it.cluster,))
        ends = ((cluster, end.result) for cluster, end in self.runs)
        words = ((cluster, it.exit_code.name.lower().replace("_", "-"), str(it.reason)) for cluster, it in ends)
        yield metrics.RUNS, Counter(words)

    def _of_durations(self, registry: CollectorRegistry, kind: str) -> list[str]:
        expected: dict[Labels, float] = {}
        for event in self.events:
            if event.step in UNTIMED:
                continue
            seconds = event.duration.total_seconds()
            if kind == "_bucket":
                for bound in (*BUCKETS, math.inf):
                    labels: Labels = ("+Inf" if bound == math.inf else str(bound), str(event.step))
                    expected[labels] = expected.get(labels, 0.0) + (seconds <= bound)
            else:
                labels = (str(event.step),)
                expected[labels] = expected.get(labels, 0.0) + (1.0 if kind == "_count" else seconds)
        return differences(metrics.DURATION.name + kind, expected, samples(registry, metrics.DURATION, kind))


def counted(events: Iterable[Event], labels: Callable[[Event], Labels]) -> Counter[Labels]:
    """Count events by their labels."""
    return Counter(tuple(str(it) for it in labels(event)) for event in events)


def samples(registry: CollectorRegistry, metric: Metric, kind: str) -> dict[Labels, float]:
    """Read a metric's samples of a kind: each value by its labels, ``le`` first, in the order of the declaration."""
    name = metric.name.removesuffix("_total") + kind
    found = (sample for family in registry.collect() for sample in family.samples if sample.name == name)
    return {tuple(it.labels[key] for key in sorted(it.labels, key=order(metric))): it.value for it in found}


def order(metric: Metric) -> Callable[[str], int]:
    """Return the place of a label."""
    return lambda label: metric.labels.index(label) if label in metric.labels else -1


def differences(name: str, expected: dict[Labels, float], told: dict[Labels, float]) -> list[str]:
    """Compare."""
    return [
        f"{name}{labels}: {told.get(labels)} is told, {expected.get(labels)} happened"
        for labels in sorted(expected.keys() | told.keys())
        if not math.isclose(expected.get(labels, -1.0), told.get(labels, -1.0), rel_tol=1e-9, abs_tol=1e-6)
    ]
