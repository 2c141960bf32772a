"""When a cluster is looked at: after each interval, or at each match of a cron expression. Pure.

Clusters are spread by a hash of their names, so that a fleet does not ask everybody at once: over the whole interval,
or over a tenth of the time to the following match, five minutes at most.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rotator.settings import ServiceSettings
from rotator.windows import next_match

WIDEST = timedelta(minutes=5)
"""A look that was wanted at three o'clock is not later than this."""
NARROW = 10
"""The share of the time between two matches over which looks are spread is one by this."""
NEVER = timedelta(days=365)
"""To the next look where a cron expression has no match any more."""
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)


def share(name: str) -> float:
    """Return where in an interval a name has its place: 0 or more, less than 1, always the same."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32


@dataclass(frozen=True, slots=True)
class Look:
    """The next look at a cluster: on the scheduler's axis, and on the wall clock where that decides."""

    at: datetime
    wall: datetime | None = None


def next_look(settings: ServiceSettings, cluster: str, *, axis: datetime, wall: datetime) -> Look:
    """Return the next look at a cluster after now, which is ``axis`` on the axis and ``wall`` on the wall clock."""
    if settings.cron is None:
        return Look(axis + _to_next_in_row(settings.look, share(cluster), axis))
    when = _next_match(settings.cron, settings.timezone, share(cluster), wall)
    return Look(axis + (when - wall), when)


def moved(look: Look, settings: ServiceSettings, cluster: str, *, axis: datetime, wall: datetime) -> Look:
    """Return what becomes of a look when the wall clock was set: it is now if its time has come, else worked out anew.

    Without ``cron`` nothing becomes of it.
    """
    if look.wall is None:
        return look
    return Look(axis, wall) if look.wall <= wall else next_look(settings, cluster, axis=axis, wall=wall)


def _to_next_in_row(interval: timedelta, place: float, now: datetime) -> timedelta:
    since = (now - _ORIGIN - interval * place) % interval
    return interval - since


def _next_match(cron: str, timezone: str, place: float, now: datetime) -> datetime:
    """Return the next match after now, put off by the cluster's place; one that is put off beyond now counts."""
    match = next_match(cron, timezone, now - WIDEST)
    while match is not None:
        following = next_match(cron, timezone, match)
        room = WIDEST if following is None else min(WIDEST, (following - match) / NARROW)
        if match + room * place > now:
            return match + room * place
        match = following
    return now + NEVER
