"""What the main loop waits at: rung by other threads, and by signals, which may not take a lock.

Not taken: ``threading.Event``, whose ``set`` in a signal handler can meet the lock of the very ``wait`` that it
interrupted; and a wait that a signal does not end would let SIGTERM wait with it.
"""

from __future__ import annotations

import os
import select
from contextlib import suppress

LONGEST = 3600.0
"""Seconds; nobody waits longer without looking up."""
_ENOUGH = 4096


class Bell:
    """A pipe to oneself."""

    def __init__(self) -> None:
        self._hears, self._rings = os.pipe()
        os.set_blocking(self._hears, False)
        os.set_blocking(self._rings, False)

    def ring(self) -> None:
        """End the wait, or the next one. Repeat: nothing more happens."""
        with suppress(OSError):  # a full pipe rings already
            os.write(self._rings, b".")

    def wait(self, seconds: float) -> None:
        """Wait until it rings, or so long."""
        select.select([self._hears], [], [], min(max(seconds, 0.0), LONGEST))
        with suppress(OSError):
            os.read(self._hears, _ENOUGH)

    def close(self) -> None:
        """Let go of the pipe."""
        os.close(self._hears)
        os.close(self._rings)
