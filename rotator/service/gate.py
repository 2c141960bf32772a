"""The bearer token that whoever asks must show."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from hashlib import sha256
from threading import Lock

from rotator.clock import Clock
from rotator.errors import RotatorError
from rotator.model import Secret

MEMORY = 60.0
"""Seconds for which the bearer token is not asked for again."""


class Gate:
    """Knows the bearer token that must be shown. What ``read`` gets is kept for a minute: nobody can make us ask.

    While it cannot be read the one that was known holds on; where none was, or an empty one, nobody comes in.
    """

    def __init__(self, read: Callable[[], Secret], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._lock = Lock()
        self._known: Secret | None = None
        self._since: float | None = None
        self._key = secrets.token_bytes(32)

    def admits(self, header: str) -> bool:
        """Say whether an ``Authorization`` header shows the token; takes as long for a wrong one as for a right one."""
        scheme, _, shown = header.partition(" ")
        return scheme.lower() == "bearer" and self.knows(shown.strip().encode("latin-1", "replace"))

    def knows(self, shown: bytes) -> bool:
        """Say whether this is the token; takes as long for a wrong one as for a right one."""
        known = self._current()
        return bool(shown) and known is not None and hmac.compare_digest(shown, known.reveal().encode())

    def mark(self) -> str:
        """Return what stands for the token as it is now, and tells nothing of it; "" while there is none."""
        known = self._current()
        return hmac.new(self._key, known.reveal().encode(), sha256).hexdigest() if known else ""

    def _current(self) -> Secret | None:
        with self._lock:
            now = self._clock.monotonic()
            if self._since is None or now - self._since >= MEMORY:
                self._since = now
                try:
                    self._known = self._read()
                except RotatorError:
                    return self._known
            return self._known
