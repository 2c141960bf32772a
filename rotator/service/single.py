"""The metrics of a single run: how everything stands at its end, for node_exporter's textfiles or a Pushgateway.

Only gauges: what a single run counts would begin at nothing each time, and a rate of it would be wrong.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import MappingProxyType

from prometheus_client import CollectorRegistry, generate_latest, push_to_gateway

from rotator.errors import ExitCode, RotatorError, UnavailableError
from rotator.events import Event
from rotator.fleet import Fleet
from rotator.model import Credential, UserState
from rotator.rotate import CLUSTER_UNREACHABLE, Result
from rotator.service import metrics
from rotator.service.aftermath import state_of
from rotator.service.backoff import Backoff
from rotator.service.gauges import Gauges, Sample, of_fleet
from rotator.service.rounds import operator_end
from rotator.service.sights import sights
from rotator.service.standing import (
    ClusterStanding,
    ConfigurationStanding,
    CredentialStanding,
    Standing,
    State,
    TokenSight,
)
from rotator.service.tally import Stores
from rotator.settings import Settings

JOB = "rotate"
TIMEOUT = 10
"""Seconds that a Pushgateway has."""
READABLE = 0o644
"""node_exporter is somebody else, and nothing here is secret."""
UNKNOWN = frozenset({metrics.AGE, metrics.FAILURES})
"""What a single run cannot tell: an age would stand still, and of the runs before it knows nothing."""


class Single:
    """Measures one run. ``hear`` is a listener; ``look`` comes at the end, while the fleet is open."""

    def __init__(self, settings: Settings, credentials: Sequence[Credential]) -> None:
        self._settings = settings
        self._credentials = credentials
        self._samples: list[Sample] = []
        self._registry = CollectorRegistry()
        self._registry.register(Gauges(lambda: self._samples))
        places = {it.name: tuple((place.label, place.backend) for place in it.destinations) for it in credentials}
        self._stores = Stores(self._registry, lambda name: places.get(name, ()))

    def hear(self, event: Event) -> None:
        """Take note of an event."""
        self._stores.hear(event)

    def look(self, fleet: Fleet, results: Sequence[Result]) -> None:
        """Look at each cluster once more, by one call, unless it did not answer; changes nothing."""
        now, by_name = fleet.clock.now(), {result.credential: result for result in results}
        lost = {result.cluster for result in results if result.reason == CLUSTER_UNREACHABLE}
        views = {name: seen(fleet, self._settings, name, name in lost) for name in sorted(self._clusters())}
        retries = Backoff(self._settings.service.retry_first, self._settings.service.retry_most)
        stands = {
            it.name: replace(standing_of(it, by_name.get(it.name), now, retries), tokens=views[it.cluster].tokens(it))
            for it in self._credentials
        }
        clusters = {name: view.standing for name, view in views.items()}
        configuration = ConfigurationStanding(str(self._settings.path), "", now)
        whole = Standing(now, configuration, MappingProxyType(stands), MappingProxyType(clusters))
        self._samples = [it for it in of_fleet(whole, now) if it[0] not in UNKNOWN]

    def end(self, now: datetime, exit_code: ExitCode) -> None:
        """Note how the run ended."""
        self._samples += [(metrics.RAN, (), now.timestamp()), (metrics.EXIT_CODE, (), float(exit_code))]

    def write(self, path: Path) -> None:
        """Write a textfile in one move, so that nobody reads half of it. Raises: ``OSError``."""
        with NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(generate_latest(self._registry))
                file.flush()
                os.fchmod(file.fileno(), READABLE)
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink()
                raise

    def push(self, gateway: str, shard: str = "") -> None:
        """Push to a gateway, in the place of what the same installation pushed last. Raises: ``OSError``."""
        group = {"owner": self._settings.owner} | ({"shard": shard} if shard else {})
        try:
            push_to_gateway(gateway, JOB, self._registry, group, TIMEOUT)
        except HTTPException:
            raise OSError(errno.EPROTO, "it does not speak HTTP") from None

    def _clusters(self) -> set[str]:
        return {it.cluster for it in self._credentials}


@dataclass(frozen=True)
class View:
    """What one call told of a cluster; ``now`` is PVE's time."""

    standing: ClusterStanding
    users: Mapping[str, UserState] = field(default_factory=dict)
    now: datetime | None = None

    def tokens(self, credential: Credential) -> tuple[TokenSight, ...]:
        """Return a credential's tokens, as far as known."""
        user = self.users.get(credential.userid)
        return sights(credential, user, self.now) if user and self.now else ()


def seen(fleet: Fleet, settings: Settings, name: str, is_lost: bool) -> View:  # noqa: FBT001 - one of a row of values
    """Look at a cluster; one that was lost in the run is not asked again."""
    unasked = ClusterStanding(name, settings.clusters[name].endpoints)
    try:
        if is_lost:
            return View(replace(unasked, is_reachable=False))
        pve = fleet.open_cluster(name)
        users, now = pve.users(), pve.now()
    except RotatorError as error:
        return View(replace(unasked, is_reachable=not isinstance(error, UnavailableError)))
    expire = operator_end(settings.clusters[name].operator, users)
    ours = fleet.clock.now()
    answered = replace(unasked, is_reachable=True, answered=ours, operator_expire=expire, clock_offset=now - ours)
    return View(answered, users, now)


def standing_of(credential: Credential, result: Result | None, now: datetime, retries: Backoff) -> CredentialStanding:
    """Say how a credential stands after a run; without a result it was left out, because it is paused."""
    fresh = CredentialStanding(credential.name, credential.cluster, credential.every, credential.overlap)
    if result is None:
        return replace(fresh, state=State.PAUSED if credential.paused else State.NEW)
    is_well = result.exit_code is ExitCode.DONE
    state = state_of(State.NEW, result, 0 if is_well else 1, retries)
    return replace(fresh, state=state, well=now if is_well else None, next_change=result.until)
