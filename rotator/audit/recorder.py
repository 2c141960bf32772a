"""Writes what happens to the audit trail, and what becomes of it when that fails.

A rotation is not ended half way because a disk is full. It goes on, somebody is told at once, and the next line that
can be written says how many were lost. Where the trail is ``required``, nothing is begun that could not be written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from rotator import bugs
from rotator.audit import lines
from rotator.audit.trail import Trail
from rotator.clock import Clock
from rotator.errors import RotatorError, UnauditedError
from rotator.events import Event
from rotator.model import Credential
from rotator.trigger import TriggeredBy

LOG = logging.getLogger(__name__)
"""The standard library's: it reaches stderr where nothing else is set up, and the log of the service."""
_LOST: dict[Path, int] = {}
"""Lines that each trail lacks and does not say so yet; whoever writes there next does, with whatever configuration."""
_LOCK = Lock()
"""Of that."""


class Recorder:
    """Records events. Used from several threads."""

    def __init__(self, trail: Trail, clock: Clock, *, is_required: bool = False) -> None:
        self._trail = trail
        self._clock = clock
        self._is_required = is_required

    def hear(self, event: Event) -> None:
        """Record an event; a listener."""
        self.record(lines.of_event(event))

    def permit(self, credential: Credential, trigger: TriggeredBy | None) -> None:
        """Record that a credential is looked at closely, if that must be. Raises: ``UnauditedError``."""
        if not self._is_required:
            return
        about = {"credential": credential.name, "cluster": credential.cluster}
        fields = lines.line(lines.BEGUN, self._clock.now(), **lines.of_trigger(trigger), **about)
        if why := tried(lambda: self._write(fields)):
            message = f"the audit trail {self._trail.path} cannot be written, and the configuration requires it: {why}"
            raise UnauditedError(message, hint="make room or mend its permissions; or take audit.required away")

    def record(self, fields: Mapping[str, Any]) -> None:
        """Record a line; that it cannot be is told once, until one can be again."""
        if why := tried(lambda: self._write(fields)):
            with _LOCK:
                lost = _LOST[self._trail.path] = _LOST.get(self._trail.path, 0) + 1
            if lost == 1:
                LOG.error("the audit trail %s is NOT written: %s; the work goes on without it", self._trail.path, why)

    def obstacle(self) -> str:
        """Say why no line could be written now, "" where one could; none is."""
        return tried(self._trail.require_writable)

    def close(self) -> None:
        """Let go of the file; write or, if that cannot be, say how many lines are not in it."""
        tried(self._own_up)
        self._trail.close()
        if lost := _LOST.get(self._trail.path):
            LOG.error("the audit trail %s lacks %d lines", self._trail.path, lost)

    def _write(self, fields: Mapping[str, Any]) -> None:
        """Write a line, and before it how many were lost."""
        self._own_up()
        self._trail.append(fields)

    def _own_up(self) -> None:
        """Write how many lines were lost, if any were."""
        with _LOCK:
            if lost := _LOST.get(self._trail.path):
                self._trail.append(lines.line(lines.LOST, self._clock.now(), lines=lost))
                del _LOST[self._trail.path]


def tried(write: Callable[[], None]) -> str:
    """Write something; say why it could not be written, "" when it was."""
    try:
        write()
    except OSError as error:
        return error.strerror or type(error).__name__
    except RotatorError as error:  # the key
        return error.message
    except Exception as error:  # noqa: BLE001 - the key is in somebody else's store
        return bugs.named(error)
    return ""
