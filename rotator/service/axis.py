"""The time that the scheduler goes by: it only ever goes on, whatever is done to the wall clock.

APScheduler asks for the time in one way only, ``datetime.now(timezone)``, and ``timezone`` is its public setting. A
zone may say what it likes: ``datetime.now`` hands it the machine's UTC and takes what ``fromutc`` makes of that for the
time. So the zone of an ``Axis`` answers with the axis, and one clock, injected, drives APScheduler in tests and in
service alike. Not taken: overriding ``_process_jobs``, which would be a copy of its body; wall times, which a clock
that is set turns into a storm or a silence; a scheduler of our own, which would have to learn what that one knows of
coalescing, of jobs that are still running, and of threads. The one thing to know is that a time on the axis has the
zone of the axis, so that nobody needs to convert it into that zone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

from rotator.clock import Clock


class AxisZone(tzinfo):
    """The zone of times on an axis; asked for the time it answers with the axis's, see above."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def utcoffset(self, _when: datetime | None) -> timedelta:
        """Return that an axis begins with the wall clock in UTC."""
        return timedelta()

    def dst(self, _when: datetime | None) -> timedelta:
        """Return that it knows no summer time."""
        return timedelta()

    def tzname(self, _when: datetime | None) -> str:
        """Return what it is called."""
        return "axis"

    def fromutc(self, _when: datetime) -> datetime:
        """Tell the time on the axis, whatever the machine takes for it."""
        return self._now()


class Axis:
    """A clock's monotonic time, written as the wall clock had it at the start."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.zone = AxisZone(self.now)
        self._start = clock.now().replace(tzinfo=self.zone)
        self._counted = clock.monotonic()

    def now(self) -> datetime:
        """Tell the time on the axis."""
        return self._start + timedelta(seconds=self._clock.monotonic() - self._counted)

    def wall(self, when: datetime) -> datetime:
        """Tell what the wall clock will probably show at a time on the axis."""
        return self._clock.now() + (when - self.now())

    def drift(self) -> timedelta:
        """Tell by how much the wall clock was set since the start."""
        return self._clock.now() - self.now()
