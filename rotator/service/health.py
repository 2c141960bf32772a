"""Whether the service is alive, and whether it is ready. Pure, but for the pulse, which reads our clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from rotator.clock import Clock
from rotator.service.standing import ClusterStanding, CredentialStanding, LeadershipStanding, Standing, State

LATE = timedelta(seconds=30)
"""A loop that has not come round for so long hangs; it comes round every five seconds."""
MISSED = 3
"""A look may be late by so many intervals, less one."""
PATIENCE = timedelta(hours=1)
"""How long ago the last look may be where the interval is not known: a round is begun anew after that."""
LEAST = timedelta(minutes=2)
"""However short an interval is: a round of a large cluster takes its time."""


class Pulse:
    """Beats each time the main loop comes round."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.beat()

    def beat(self) -> None:
        """Note that the loop came round."""
        self._last = self._clock.monotonic()

    def is_felt(self) -> bool:
        """Say whether it came round lately."""
        return self._clock.monotonic() - self._last < LATE.total_seconds()


def unready(standing: Standing, now: datetime) -> list[str]:
    """List why the service is not ready, in words for machines; nothing if it is.

    A cluster that does not answer is no reason: the service does what it can, and another one would do no better. Nor
    is one whose credentials are all paused, or held back after failures.
    """
    return sorted(set(_reasons(standing, now)))


def _reasons(standing: Standing, now: datetime) -> Iterator[str]:
    if standing.is_stopping:
        yield "stopping"
    if not is_known(standing.leadership):
        yield "leader-unknown"
    if standing.leadership.leads:
        asleep, held, busy = at_rest(standing), held_back(standing), at_work(standing)
        for cluster in standing.clusters.values():
            if cluster.name in asleep:
                continue
            if cluster.seen is None:
                yield "not-looked-yet"
            elif now - max(cluster.seen, held.get(cluster.name, cluster.seen)) > patience(
                cluster, is_busy=cluster.name in busy
            ):
                yield "look-overdue"


def at_rest(standing: Standing) -> set[str]:
    """Name the clusters that nobody looks at: all their credentials are paused."""
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for it in standing.credentials.values():
        found[is_asleep(it)].add(it.cluster)
    return found[True] - found[False]


def is_asleep(it: CredentialStanding) -> bool:
    """Say whether nobody looks at a credential again, also after one run that somebody asked for and that failed."""
    return it.state is State.PAUSED or (it.state is not State.NEW and it.next_wake is None)


def held_back(standing: Standing) -> dict[str, datetime]:
    """Tell until when clusters are not looked at, because all their credentials failed and are held back."""
    ends: dict[str, list[datetime | None]] = {}
    for it in standing.credentials.values():
        if not is_asleep(it):
            ends.setdefault(it.cluster, []).append(it.backoff_until)
    known = {cluster: [end for end in those if end] for cluster, those in ends.items()}
    return {cluster: min(those) for cluster, those in known.items() if len(those) == len(ends[cluster])}


def at_work(standing: Standing) -> set[str]:
    """Name the clusters whose credentials are being rotated."""
    found = map(standing.credentials.get, standing.at_work)
    return {it.cluster for it in found if it}


def is_known(leadership: LeadershipStanding) -> bool:
    """Say whether it is known who works."""
    return leadership.leads or (bool(leadership.holder) and not leadership.message)


def patience(cluster: ClusterStanding, *, is_busy: bool = False) -> timedelta:
    """Return how long ago the last look at a cluster may be; the interval is the distance of the next from the last.

    While a round goes on there is no other: one that rotates thousands, or waits for hooks, takes longer than that.
    """
    least = PATIENCE if is_busy else LEAST
    if cluster.seen is None or cluster.next_look is None or cluster.next_look <= cluster.seen:
        return PATIENCE
    return max(MISSED * (cluster.next_look - cluster.seen), least)
