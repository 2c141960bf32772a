"""What the failure of a hook means to those who count and tell: something to look at, and no failure of a rotation."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from rotator.errors import ExitCode
from rotator.events import Event, Outcome, Step
from rotator.logs.rotations import Line, Rotations
from rotator.rotate import Result
from rotator.service.tally import Stores, Tally

NOW = datetime(2026, 5, 9, tzinfo=UTC)
PUBLISHED = Event(NOW, "ci", "one", Step.PUBLISH, Outcome.DONE, "due", destination="main:ci", rotation="r")
BROKEN = Event(NOW, "ci", "one", Step.HOOK, Outcome.FAILED, "due", "ended with 3", destination="main:ci", rotation="r")


def test_a_rotation_whose_hook_failed_is_a_rotation_with_a_warning() -> None:
    """Its line says that it was rotated, and which step was not well."""
    lines: list[Line] = []
    rotations = Rotations(lines.append)
    rotations.hear(PUBLISHED)
    rotations.hear(BROKEN)
    rotations.end(Result("ci", "one", ExitCode.DONE, "up-to-date", ""))
    (line,) = lines
    assert (line.level, line.fields["outcome"]) == ("warning", "done")
    assert line.fields["steps"][-1]["message"] == "ended with 3"


def test_a_hook_says_nothing_of_the_store() -> None:
    """It is about a destination, and still none of the store's doing; the failed step is counted."""
    registry = CollectorRegistry()
    stores, tally = Stores(registry, lambda _: (("main:ci", "main"),)), Tally(registry)
    for event in (PUBLISHED, BROKEN):
        stores.hear(event)
        tally.hear(event)
    assert registry.get_sample_value("rotate_backend_reachable", {"backend": "main"}) == 1
    labels = {"cluster": "one", "step": "hook", "reason": "due"}
    assert registry.get_sample_value("rotate_step_failures_total", labels) == 1
