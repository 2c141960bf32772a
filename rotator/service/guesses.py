"""Wrong tokens that are shown: counted for the whole server, told once, answered with 429 when they do not stop.

The right token is let in all the while, since guesses of others must shut nobody out. So whoever guesses can go on, and
this bounds nothing; what does is the token's length, on which ``rotator.service.gate`` insists. It turns away clients
that show an old token and heed an answer, and tells the operator. Not taken: a limit for each address, which fills the
memory and, behind a proxy, is one for all; a delay, which holds threads that others need.
"""

from __future__ import annotations

import logging
from threading import Lock

from rotator.clock import Clock

MOST = 10
"""So many wrong ones are answered as such."""
REST = 60.0
"""Seconds without a wrong one that end a burst."""

log = logging.getLogger(__name__)


class Guesses:
    """The wrong tokens since the last time that none came for a minute. Any thread may call it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._count = 0
        self._last = 0.0

    def add(self) -> None:
        """Note one more; the first that is too many is told, without what was shown."""
        with self._lock:
            now = self._clock.monotonic()
            self._count = 1 if now - self._last >= REST else self._count + 1
            self._last = now
            is_first = self._count == MOST + 1
        if is_first:
            log.warning(
                "somebody guesses at service.token, or shows an old one again and again: more than %d wrong ones "
                "without a minute in between; the right one is let in as ever",
                MOST,
            )

    @property
    def are_many(self) -> bool:
        """Whether wrong ones are to wait ``REST`` seconds by now."""
        with self._lock:
            return self._count > MOST and self._clock.monotonic() - self._last < REST
