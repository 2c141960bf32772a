"""What was read a moment ago, so that a write that follows at once does not read it again."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace

from rotator.model import Secret, Version
from rotator_backends.vault_kv import State, VaultLocation
from rotator_backends.vault_login import Clock

MOMENT = 5.0
"""Seconds for which it counts, and for which what was read is kept in memory at most until something is read again."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A record as it was read, kept so that nothing shows it."""

    content: Secret
    number: int
    version: Version | None
    at: float
    is_promised: bool = False
    """A preflight has said that a write is to come."""

    @property
    def state(self) -> State:
        """What was there."""
        return State(json.loads(self.content.reveal()), self.number, self.version)


class Recent:
    """The records that were read within the last moment. Used from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._readings: dict[VaultLocation, Reading] = {}
        self._written: set[VaultLocation] = set()
        """Where a promise was kept: what is read there next is to confirm that."""
        self._lock = threading.Lock()

    def saw(self, location: VaultLocation, state: State) -> None:
        """Remember what was read, where the number of its version tells it from others.

        What confirms a write is followed by no other, and is not kept: a service may ask nothing more for hours.
        """
        with self._lock:
            self._tidy()
            self._readings.pop(location, None)
            if location in self._written:
                self._written.discard(location)
            elif state.data is not None and state.number:
                content = Secret(json.dumps(dict(state.data)))
                self._readings[location] = Reading(content, state.number, state.version, self._clock())

    def promise(self, location: VaultLocation) -> State | None:
        """Return what was read a moment ago, if anything, and keep it for the write that is to come."""
        with self._lock:
            self._tidy()
            if reading := self._readings.get(location):
                self._readings[location] = replace(reading, is_promised=True)
            return reading.state if reading else None

    def promised(self, location: VaultLocation, expected: Version | None) -> State | None:
        """Return what a promised write relies on, once, if that is what is expected to be there."""
        with self._lock:
            self._tidy()
            reading = self._readings.pop(location, None)
        is_good = reading and reading.is_promised and reading.version == expected
        return reading.state if reading and is_good else None

    def wrote(self, location: VaultLocation) -> None:
        """Note that a promised write is done."""
        with self._lock:
            self._written.add(location)

    def forget(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._readings.clear()
            self._written.clear()

    def _tidy(self) -> None:
        now = self._clock()
        self._readings = {place: it for place, it in self._readings.items() if now - it.at < MOMENT}
