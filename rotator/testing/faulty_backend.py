"""A backend around another one that fails as planned: before or after the effect, with old or changed reads.

It keeps the inner backend's promises wherever the plan says nothing, so a scenario needs one fault and no double.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from rotator.backend import Backend, Traits
from rotator.errors import ConfigError
from rotator.model import Secret, Stored, Version

_Result = TypeVar("_Result")

Location = Any
"""Each backend has its own kind."""


class Operation(StrEnum):
    """What a backend is asked."""

    READ = "read"
    WRITE = "write"
    PREFLIGHT = "preflight"


@dataclass(frozen=True, slots=True)
class Call:
    """One call: of which operation, for which destination, and the how many-th of its operation, from 1."""

    operation: Operation
    label: str
    number: int


When = Callable[[Call], bool]
"""Says which calls a fault is for."""


def nth(operation: Operation, first: int, last: int | None = None) -> When:
    """Pick the calls of an operation by number, from 1, both ends included."""
    return lambda call: call.operation is operation and first <= call.number <= (last or first)


def every(operation: Operation) -> When:
    """Pick all calls of an operation."""
    return lambda call: call.operation is operation


@dataclass(frozen=True, slots=True)
class Before:
    """Raise instead of asking the store: nothing has happened. A ``BaseException`` is a crash."""

    when: When
    error: BaseException


@dataclass(frozen=True, slots=True)
class After:
    """Raise once the store has done it: the answer is lost. A ``BaseException`` is a crash."""

    when: When
    error: BaseException


@dataclass(frozen=True, slots=True)
class Stale:
    """Read what was there before the last write: a replica that lags."""

    when: When


@dataclass(frozen=True, slots=True)
class Altered:
    """Read something else than is there."""

    when: When
    change: Callable[[Stored | None], Stored | None]


Fault = Before | After | Stale | Altered


class FaultyBackend:
    """The inner backend with a plan of faults; ``calls`` lists what it was asked, with labels, in order.

    A destination that was not located by this object is called by the ``repr`` of its location.
    """

    traits: ClassVar[Traits] = Traits()

    def __init__(self, inner: Backend, plan: Iterable[Fault] = ()) -> None:
        vars(self)["traits"] = inner.traits  # a wrapper has the traits of what it wraps, not those of its class
        self.plan = list(plan)
        self.calls: list[tuple[str, str]] = []
        self._inner = inner
        self._labels: dict[Location, str] = {}
        self._earlier: dict[Location, Stored | None] = {}
        self._lock = threading.Lock()

    @classmethod
    def configure(cls, settings: Mapping[str, Any]) -> FaultyBackend:
        """Refuse.

        Raises: ``ConfigError``, always.
        """
        raise ConfigError(f"a faulty backend is made around another one, not of settings ({', '.join(settings)})")

    def locate(self, settings: Mapping[str, Any]) -> tuple[Location, str]:
        """Locate as the inner backend does, and remember the label."""
        location, label = self._inner.locate(settings)
        self._labels[location] = label
        return location, label

    def read(self, location: Location) -> Stored | None:
        """Read, unless the plan says otherwise."""
        call = self._noted(Operation.READ, location)
        stored = self._done(call, lambda: self._inner.read(location))
        planned = self._planned(call)
        if any(isinstance(fault, Stale) for fault in planned):
            stored = self._earlier.get(location, stored)
        for change in [fault.change for fault in planned if isinstance(fault, Altered)]:
            stored = change(stored)
        return stored

    def write(self, location: Location, fields: Mapping[str, Secret], *, expected: Version | None) -> Version:
        """Write, unless the plan says otherwise."""
        call = self._noted(Operation.WRITE, location)
        return self._done(call, lambda: self._written(location, fields, expected))

    def preflight(self, location: Location) -> None:
        """Look, unless the plan says otherwise."""
        self._done(self._noted(Operation.PREFLIGHT, location), lambda: self._inner.preflight(location))

    def close(self) -> None:
        """Close the inner backend. Repeat: as the inner one does."""
        self._inner.close()

    def _written(self, location: Location, fields: Mapping[str, Secret], expected: Version | None) -> Version:
        if not any(isinstance(fault, Stale) for fault in self.plan):
            return self._inner.write(location, fields, expected=expected)
        earlier = self._inner.read(location)
        version = self._inner.write(location, fields, expected=expected)
        self._earlier[location] = earlier
        return version

    def _noted(self, operation: Operation, location: Location) -> Call:
        label = self._labels.get(location, repr(location))
        with self._lock:
            self.calls.append((operation.value, label))
            number = sum(name == operation for name, _ in self.calls)
        return Call(operation, label, number)

    def _planned(self, call: Call) -> list[Fault]:
        return [fault for fault in self.plan if fault.when(call)]

    def _done(self, call: Call, effect: Callable[[], _Result]) -> _Result:
        faults = self._planned(call)
        for fault in faults:
            if isinstance(fault, Before):
                raise fault.error
        result = effect()
        for fault in faults:
            if isinstance(fault, After):
                raise fault.error
        return result
