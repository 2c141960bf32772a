"""What time it is at PVE, from the ``Date`` of its answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_SECOND = 1.0
_MOST_DOUBT = 10.0
"""Seconds within which the time must be known. An answer that was long on its way, or a process that was stopped while
it waited for one, leaves more."""
_TIMES_ASKED = 3
_BELIEVED = range(int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()), int(datetime(9000, 1, 1, tzinfo=UTC).timestamp()))
"""Seconds of the epoch; a node that tells another time has none, and an end after it could not be said."""


def date_of(date: str | None) -> datetime | None:
    """Read the ``Date`` of an answer; None when it is none. HTTP's dates are in UTC, also those that do not say so."""
    try:
        told = parsedate_to_datetime(date or "")
        return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


class PveClock:
    """PVE's clock, as far as answers tell it: our monotonic clock plus an offset between two bounds.

    ``Date`` has whole seconds, so one answer leaves a second of doubt, and the time on the way. Every further answer
    narrows the bounds; one that contradicts them (PVE's clock was set, another node's differs, ours slept) starts anew.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.monotonic = monotonic
        self._bounds: tuple[float, float] | None = None
        self._is_best = False
        """Asking has not made it surer; what starts anew may."""
        self._lock = threading.Lock()

    def saw(self, date: str | None, *, sent: float) -> None:
        """Take in the ``Date`` of an answer that has just come to a request sent at that monotonic time."""
        moment = date_of(date)
        told = moment.timestamp() if moment else 0.0
        if int(told) not in _BELIEVED:
            return
        with self._lock:
            seen = (told - self.monotonic(), told + _SECOND - sent)
            low, high = self._bounds or seen
            narrowed = (max(low, seen[0]), min(high, seen[1]))
            is_contradicted = narrowed[0] > narrowed[1]
            self._is_best = self._is_best and not is_contradicted
            self._bounds = seen if is_contradicted else narrowed

    def settled(self, ask: Callable[[], object]) -> datetime | None:
        """Tell the time like ``now``, once an answer has come so soon after its request that it is known well enough.

        ``ask`` sends a request that changes nothing. After three the best that is known counts, until an answer
        contradicts it: a cluster that is always slow is not asked each time.
        """
        for _ in range(_TIMES_ASKED):
            if self._is_settled():
                break
            ask()
        else:
            self._is_best = True
        return self.now()

    def _is_settled(self) -> bool:
        with self._lock:
            if self._bounds is None:
                return False
            return self._is_best or self._bounds[1] - self._bounds[0] <= _MOST_DOUBT

    def now(self) -> datetime | None:
        """Tell the time in the middle of the bounds; None before the first answer."""
        with self._lock:
            if self._bounds is None:
                return None
            seconds = self.monotonic() + sum(self._bounds) / 2
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
