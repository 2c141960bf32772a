"""The service, put together: what is in force, whose turn it is, who may work, and the end of it.

Its owner calls ``tick`` again and again, from one thread, and waits in between for as long as that says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from threading import Lock
from types import MappingProxyType

from rotator.bugs import named
from rotator.clock import Clock
from rotator.errors import RotatorError
from rotator.events import Event, Listener
from rotator.faults import InvalidConfigError
from rotator.fleet import Fleet
from rotator.model import Credential, Request
from rotator.service.axis import Axis
from rotator.service.board import Board
from rotator.service.generations import Generations
from rotator.service.leader import Leader
from rotator.service.reload import Source
from rotator.service.roster import Roster, Wish
from rotator.service.rounds import Rounds
from rotator.service.scheduler import Executor, Scheduler
from rotator.service.standing import (
    ClusterStanding,
    ConfigurationStanding,
    CredentialStanding,
    Standing,
    State,
    Trigger,
)
from rotator.service.timetable import moved, next_look
from rotator.settings import Settings
from rotator.shards import ALL, Shard

POLL = 5.0
"""Seconds between two looks at the configuration, the clock and the leadership."""
JUMP = timedelta(seconds=2)
"""By how much the wall clock must be set to be noticed."""


@dataclass(frozen=True)
class House:
    """What a service is made with. ``ring`` asks for a tick sooner than it was said; any thread may call it."""

    source: Source
    open_fleet: Callable[[Settings, Listener], AbstractContextManager[Fleet]]
    clock: Clock
    leader: Leader
    executor: Executor
    ring: Callable[[], None]
    caught: Callable[[Exception], None]
    """Told of each bug that is survived."""
    listeners: Sequence[Listener] = ()
    shard: Shard = ALL


class Service:
    """Rotates what is due, for as long as it is told to go on."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._axis = Axis(house.clock)
        self._drift = timedelta()
        self._rosters: dict[str, Roster] = {}
        self._wants_reload = False
        self._is_stopping = False
        self._led = house.leader.leads()
        self._busy = 0
        self._lock = Lock()
        settings = house.source.settings
        self.board = Board(Standing(house.clock.now(), self._configuration()), house.caught)
        self._scheduler = Scheduler(self._axis, house.ring, house.executor)
        self._generations = Generations(lambda it: house.open_fleet(it, self.hear), settings, house.caught)
        self._rounds = Rounds(self._generations, self.board, house.clock, self._axis, self.may_begin, house.caught)
        self._scheduler.after_each(self._plan)
        self._scheduler.start(paused=not self._led)
        self._take_over(settings, Trigger.START)
        self.board.set(leadership=house.leader.standing())

    # what its owner calls

    def tick(self) -> float:
        """Begin what is due; return how many seconds until there is something to do or to look after."""
        return min(self.begin_due(), POLL)

    def begin_due(self) -> float:
        """Begin what is due; return how many seconds until something else is, whatever is to be looked after."""
        self._look_at_configuration()
        self._look_at_leadership()
        self._look_at_wall_clock()
        return self._scheduler.go_on()

    def reload(self) -> None:
        """Read the configuration again at the next tick, and look at everything; for a signal handler."""
        self._wants_reload = True

    def ask(self, name: str, request: Request, *, who: str) -> bool:
        """Note that somebody wants a credential rotated now; False when there is none of that name here."""
        standing = self.board.standing.credentials.get(name)
        roster = self._rosters.get(standing.cluster) if standing else None
        if standing is None or roster is None or not roster.ask(name, Wish(request, who)):
            return False
        self._scheduler.move(standing.cluster, self._axis.now())
        return True

    def stop(self) -> None:
        """Begin nothing more; what is under way goes on until it is done."""
        self._is_stopping = True
        self.board.set(is_stopping=True)

    @property
    def is_idle(self) -> bool:
        """Say whether nothing is under way."""
        return self._busy == 0

    def close(self) -> None:
        """Let go of everything, once nothing is under way."""
        self._is_stopping = True
        self._scheduler.shutdown(wait=False)
        self._house.leader.close()
        self._generations.close()

    # what others are given

    def may_begin(self) -> bool:
        """Say whether new work may begin."""
        return not self._is_stopping and self._house.leader.leads()

    def hear(self, event: Event) -> None:
        """Hand an event to everybody who listens."""
        for listener in (self.board.hear, *self._house.listeners):
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 - what is told must not keep anybody from the work
                self._house.caught(error)

    # rounds

    def _round(self, cluster: str) -> None:
        with self._lock:
            self._busy += 1
        try:
            if roster := self._rosters.get(cluster):
                self._rounds.run(cluster, roster)
        finally:
            with self._lock:
                self._busy -= 1
            if self._is_stopping:
                self._house.ring()

    def _next(self, cluster: str) -> Callable[[], datetime | None]:
        def ask() -> datetime | None:
            roster = self._rosters.get(cluster)
            return roster.next(self._axis.now()) if roster else None

        return ask

    def _plan(self, cluster: str) -> None:
        ask = self._next(cluster)
        self._scheduler.move(cluster, when := ask())
        if (sooner := ask()) and (when is None or sooner < when):  # a wish came in between, and was put off by this
            self._scheduler.move(cluster, sooner)
        if roster := self._rosters.get(cluster):
            at = self._axis.wall(roster.look.at)
            self.board.put_cluster(cluster, lambda it: replace(it, next_look=at))

    def _tell_wakes(self) -> None:
        """Write up anew when everybody is looked at next: those whose turn it is not yet would go on telling of old."""
        self.board.renew(lambda it: replace(it, credentials=rewoken(it.credentials, self._wakes())))

    def _wakes(self) -> dict[str, datetime]:
        now = self._axis.now()
        wakes = {name: when for roster in self._rosters.values() for name, when in roster.wakes(now).items()}
        return {name: self._axis.wall(when) for name, when in wakes.items() if when}

    def _wake_everybody(self, why: Trigger) -> None:
        now = self._axis.now()
        for cluster, roster in self._rosters.items():
            roster.wake_all(now, why)
            self._scheduler.move(cluster, now)

    # what is looked after

    def _look_at_leadership(self) -> None:
        leads = self._house.leader.leads()
        if leads and not self._led:
            self._wake_everybody(Trigger.START)
            self._scheduler.resume()
        elif self._led and not leads:
            self._scheduler.pause()
        self._led = leads
        standing = self._house.leader.standing()
        if standing != self.board.standing.leadership:
            self.board.set(leadership=standing)

    def _look_at_wall_clock(self) -> None:
        drift = self._axis.drift()
        if abs(drift - self._drift) < JUMP:
            return
        self._drift = drift
        axis, wall, settings = self._axis.now(), self._house.clock.now(), self._generations.newest.settings.service
        for cluster, roster in self._rosters.items():
            roster.look = moved(roster.look, settings, cluster, axis=axis, wall=wall)
            self._plan(cluster)
        self._tell_wakes()

    def _look_at_configuration(self) -> None:
        wanted, self._wants_reload = self._wants_reload, False
        if not self._house.source.has_changed() and not wanted:
            return
        try:
            settings = self._house.source.renewed()
        except RotatorError as error:
            self._refuse(error)
        except Exception as error:  # noqa: BLE001 - a backend's own code reads the settings of its places
            self._house.caught(error)
            self._refuse(RotatorError(named(error)))
        else:
            self._generations.succeed(settings)
            self._take_over(settings, Trigger.RELOAD)
        if wanted:
            self._wake_everybody(Trigger.RELOAD)

    def _refuse(self, error: RotatorError) -> None:
        problems = error.problems if isinstance(error, InvalidConfigError) else ()
        now, before = self._house.clock.now(), self.board.standing.configuration
        self.board.set(configuration=replace(before, refused=now, problems=problems, message=error.message))

    def _take_over(self, settings: Settings, why: Trigger) -> None:
        axis, wall = self._axis.now(), self._house.clock.now()
        lanes = by_cluster(settings, self._house.shard)
        for gone in self._rosters.keys() - lanes.keys():
            self._scheduler.take_away(gone)
            del self._rosters[gone]
        configuration = self._configuration()
        self.board.renew(
            lambda it: replace(
                it,
                configuration=configuration,
                credentials=carried_over(it.credentials, lanes),
                clusters=shown_clusters(it.clusters, settings, lanes),
            )
        )
        for cluster, credentials in lanes.items():
            look = next_look(settings.service, cluster, axis=axis, wall=wall)
            if roster := self._rosters.get(cluster):
                roster.renew(credentials, axis)
                roster.look = look if axis < roster.look.at else roster.look  # one that is due is not put off
                self._plan(cluster)
            else:
                self._rosters[cluster] = Roster(credentials, look, axis, why)
                self._scheduler.put(cluster, partial(self._round, cluster), self._next(cluster))
        self._tell_wakes()

    def _configuration(self) -> ConfigurationStanding:
        source = self._house.source
        return ConfigurationStanding(str(source.path), source.digest, self._house.clock.now())


def by_cluster(settings: Settings, shard: Shard) -> dict[str, list[Credential]]:
    """Sort the credentials of a shard by their clusters."""
    lanes: dict[str, list[Credential]] = {}
    for credential in shard.of(settings.credentials):
        lanes.setdefault(credential.cluster, []).append(credential)
    return lanes


def carried_over(
    before: Mapping[str, CredentialStanding], lanes: Mapping[str, Iterable[Credential]]
) -> Mapping[str, CredentialStanding]:
    """Return how credentials stand when a configuration comes into force: as before, where there was a before."""
    named = {credential.name: credential for lane in lanes.values() for credential in lane}
    return MappingProxyType({name: _carried(before.get(name), it) for name, it in named.items()})


def _carried(before: CredentialStanding | None, credential: Credential) -> CredentialStanding:
    fresh = CredentialStanding(credential.name, credential.cluster, credential.every, credential.overlap)
    kept = before if before and before.cluster == credential.cluster else fresh
    state = State.NEW if kept.state is State.PAUSED else kept.state
    places = tuple((it.label, it.backend) for it in credential.destinations)
    made = replace(kept, every=credential.every, overlap=credential.overlap, state=state, destinations=places)
    return made.paused() if credential.paused else made


def rewoken(
    before: Mapping[str, CredentialStanding], wakes: Mapping[str, datetime]
) -> Mapping[str, CredentialStanding]:
    """Return how credentials stand when they are woken at other times; one that was not looked at yet tells none."""
    known = {name: wakes.get(name) if it.next_wake else None for name, it in before.items()}
    return MappingProxyType({name: replace(it, next_wake=known[name]) for name, it in before.items()})


def shown_clusters(
    before: Mapping[str, ClusterStanding], settings: Settings, lanes: Mapping[str, Iterable[Credential]]
) -> Mapping[str, ClusterStanding]:
    """Return how clusters stand when a configuration comes into force; one where all is paused is looked at no more."""
    fresh = {name: ClusterStanding(name, settings.clusters[name].endpoints) for name in lanes}
    known = {name: before[name] for name, lane in lanes.items() if name in before and not all(it.paused for it in lane)}
    return MappingProxyType({name: replace(known.get(name, it), endpoints=it.endpoints) for name, it in fresh.items()})
