"""Our own time, as a port, so that tests wait for nothing. Tokens are judged by PVE's clock, not by this one."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine sleeps (Linux): PVE does, and what its clock shows is reckoned by this one."""


class Clock(Protocol):
    """Wall time for events, monotonic time for durations, and waiting."""

    def now(self) -> datetime:
        """Tell the time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Tell seconds that only ever go on."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's."""

    def now(self) -> datetime:
        """Tell the time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Tell seconds that only ever go on, also while the machine sleeps."""
        return time.clock_gettime(BOOT)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
