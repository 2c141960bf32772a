"""Writes what happens to the audit trail, and what becomes of it when that fails.

A rotation is not ended half way because a disk is full. It goes on, somebody is told at once, and the next line that
can be written says how many were lost. Where the trail is ``required``, nothing is begun that could not be written.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from threading import Lock
from typing import Any

from rotator.audit import lines
from rotator.audit.trail import Trail
from rotator.clock import Clock
from rotator.errors import RotatorError, UnauditedError
from rotator.events import Event
from rotator.model import Credential
from rotator.trigger import TriggeredBy

LOG = logging.getLogger(__name__)
"""The standard library's: it reaches stderr where nothing else is set up, and the log of the service."""


class Recorder:
    """Records events. Used from several threads."""

    def __init__(self, trail: Trail, clock: Clock, *, is_required: bool = False) -> None:
        self._trail = trail
        self._clock = clock
        self._is_required = is_required
        self._lost = 0
        self._lock = Lock()

    def hear(self, event: Event) -> None:
        """Record an event; a listener."""
        self.record(lines.of_event(event))

    def permit(self, credential: Credential, trigger: TriggeredBy | None) -> None:
        """Record that a credential is looked at closely, if that must be. Raises: ``UnauditedError``."""
        if not self._is_required:
            return
        about = {"credential": credential.name, "cluster": credential.cluster}
        fields = lines.line(lines.BEGUN, self._clock.now(), **lines.of_trigger(trigger), **about)
        if why := self._written(fields):
            message = f"the audit trail {self._trail.path} cannot be written, and the configuration requires it: {why}"
            raise UnauditedError(message, hint="make room or mend its permissions; or take audit.required away")

    def record(self, fields: Mapping[str, Any]) -> None:
        """Record a line; that it cannot be is told once, until one can be again."""
        if why := self._written(fields):
            with self._lock:
                self._lost += 1
                is_first = self._lost == 1
            if is_first:
                LOG.error("the audit trail %s is NOT written: %s; the work goes on without it", self._trail.path, why)

    def close(self) -> None:
        """Let go of the file; say how many lines are not in it."""
        self._trail.close()
        if self._lost:
            LOG.error("the audit trail %s lacks %d lines", self._trail.path, self._lost)

    def _written(self, fields: Mapping[str, Any]) -> str:
        """Write a line, and before it how many were lost; say why not, '' when it was written."""
        try:
            with self._lock:
                if self._lost:
                    self._trail.append(lines.line(lines.LOST, self._clock.now(), lines=self._lost))
                    self._lost = 0
            self._trail.append(fields)
        except OSError as error:
            return error.strerror or type(error).__name__
        except RotatorError as error:  # the key
            return error.message
        return ""
