"""Our own time, as a port, so that tests wait for nothing. Tokens are judged by PVE's clock, not by this one."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


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
        """Tell seconds that only ever go on."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
