"""Consumers that read only at their start are restarted: after the record works, once for each rotation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from rotator.backend import Backend
from rotator.errors import ExitCode, LockedOutError, RefusedError, RotatorError
from rotator.model import Credential, Destination
from rotator.testing.faulty_backend import FaultyBackend, Location
from tests.world import World


class Telling(FaultyBackend):
    """A store that tells its consumers, and remembers for which rotation; or fails to."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.names: dict[Location, str] = {}
        self.told: list[tuple[str, str]] = []
        self.failure: RotatorError | None = None
        self.failures: dict[str, RotatorError] = {}
        """By the name of a record."""
        self.when_told: Callable[[], object] = lambda: None

    def locate(self, settings: Mapping[str, Any]) -> tuple[Location, str]:
        """Keep what a record is called, without its suffix."""
        location, label = super().locate(settings)
        self.names[location] = label.rpartition("/")[2].removesuffix(".json")
        return location, label

    def audience(self, location: Location) -> tuple[str, ...]:
        """Name a workload after the record."""
        return (f"deployment {self.names[location]}",)

    def announce(self, location: Location, *, rotation: str) -> None:
        """Remember it, unless it fails."""
        self.when_told()
        if failure := self.failure or self.failures.get(self.names[location]):
            raise failure
        self.told.append((self.names[location], rotation))


def with_audience(w: World, store: Telling, *names: str) -> Credential:
    """Configure a credential whose destinations are read at start-up only."""
    w.backends["telling"] = store
    places = [w.place(name, "telling") for name in names]
    destinations: list[Destination] = [replace(it, audience=store.audience(it.location)) for it in places]
    return w.credential(destinations=tuple(destinations))


def test_consumers_are_restarted_when_what_they_will_read_works(w: World) -> None:
    """After confirm, each after its own destination, and before anything is retired."""
    store = Telling(w.records.backend())
    ci = with_audience(w, store, "ci.json", "mirror.json")
    seen: list[str] = []
    store.when_told = lambda: seen.append(w.read()["token_id"])
    w.run(ci)
    rotation = w.events[-1].rotation or next(event.rotation for event in w.events if event.rotation)
    assert store.told == [("ci", rotation), ("mirror", rotation)]
    assert seen == [w.read()["token_id"]] * 2
    steps = [step for step in w.steps() if step in {"confirm", "mirror", "announce", "mark"}]
    assert steps == ["confirm", "announce", "mirror", "announce", "mark"]


def test_at_rest_nobody_is_restarted(w: World) -> None:
    """Only a new token is news."""
    store = Telling(w.records.backend())
    ci = with_audience(w, store, "ci.json")
    for _ in range(3):
        w.run(ci)
    assert len(store.told) == 1


def test_who_cannot_be_restarted_keeps_the_old_token(w: World) -> None:
    """It is not retired until a later run has told them, for the same rotation."""
    store = Telling(w.records.backend())
    ci = with_audience(w, store, "ci.json")
    w.run(ci)
    old = w.read()["token_id"]
    store.failure = RefusedError("deployments web is forbidden", hint="add the verb patch")
    result = w.run(ci, forced=True)
    assert (result.exit_code, result.message, result.hint) == (4, "deployments web is forbidden", "add the verb patch")
    assert (w.pve.token(old) or {})["expire"] == 0
    rotation = next(event.rotation for event in reversed(w.events) if event.rotation)
    store.failure = None
    assert w.run(ci).done == ("unfinished", "not-retired")
    assert store.told[1:] == [("ci", rotation)]
    assert (w.pve.token(old) or {})["expire"] != 0


class RolloutError(LockedOutError):
    """What a backend of somebody else's raises: it is made of a workload and a number."""

    def __init__(self, workload: str, *, attempts: int) -> None:
        super().__init__(f"{workload} does not start, tried {attempts} times", hint=f"look at {workload}")
        self.attempts = attempts


def test_failures_of_a_kind_of_their_own_at_two_places_are_told_as_one(w: World) -> None:
    """However the backend makes its errors; both are in words, and the old token is not retired."""
    store = Telling(w.records.backend())
    ci = with_audience(w, store, "ci.json", "mirror.json")
    w.run(ci)
    old = w.read()["token_id"]
    store.failures = {"ci": RolloutError("web", attempts=3), "mirror": RolloutError("api", attempts=2)}
    result = w.run(ci, forced=True)
    assert result.message == "web does not start, tried 3 times; api does not start, tried 2 times"
    assert (result.exit_code, result.hint, result.step) == (ExitCode.LOCKED_OUT, "look at web", "announce")
    assert store.failures["ci"].message == "web does not start, tried 3 times"
    assert (w.pve.token(old) or {})["expire"] == 0


def test_after_a_crash_consumers_are_told_of_the_same_rotation(w: World) -> None:
    """So that a backend which knows it has told them does not restart them twice."""
    store = Telling(w.records.backend())
    ci = with_audience(w, store, "ci.json")

    class KilledError(BaseException):
        """The process ends."""

    def die() -> None:
        store.when_told = lambda: None
        store.told.append(("ci", next(event.rotation for event in w.events if event.rotation)))
        raise KilledError

    store.when_told = die
    with pytest.raises(KilledError):
        w.run(ci)
    w.run(ci)
    first, second = store.told
    assert first == second


def test_a_compromised_token_ends_after_consumers_were_told(w: World) -> None:
    """They start again with the new one while the old one dies."""
    store = Telling(w.records.backend())
    ci = with_audience(w, store, "ci.json")
    w.run(ci)
    w.forget()
    w.run(ci, forced=True, compromised=True)
    steps = [step for step in w.steps() if step in {"confirm", "announce", "revoke", "mark"}]
    assert steps == ["confirm", "announce", "revoke", "mark"]


def test_a_compromised_token_ends_also_when_its_consumers_cannot_be_told(w: World) -> None:
    """The leak first; that they were not restarted is said, and that they fail until they are."""
    store = Telling(w.records.backend())
    ci = with_audience(w, store, "ci.json")
    w.run(ci)
    old = w.read()["token_id"]
    store.failure = RefusedError("deployments web is forbidden")
    result = w.run(ci, forced=True, compromised=True)
    assert (result.exit_code, result.message) == (
        5,
        "deployments web is forbidden; who still uses the old secret is locked out until restarted",
    )
    assert w.pve.token(old) is None
