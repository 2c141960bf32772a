"""One round of one cluster: whoever's turn it is, through the fleet, and what becomes of them.

Nothing leaves here as an exception, so that neither a bug of a backend nor one of ours ends the service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from rotator.clock import Clock
from rotator.errors import RotatorError
from rotator.fleet import Lane, failed, in_lanes, rotated
from rotator.model import Credential, Request, UserState
from rotator.pve import Pve
from rotator.rotate import CLUSTER_UNREACHABLE, Result
from rotator.service.aftermath import Moment, Rules, entry_after, standing_after
from rotator.service.axis import Axis
from rotator.service.backoff import Backoff
from rotator.service.board import Board
from rotator.service.generations import Generation, Generations
from rotator.service.roster import QUIETLY, Entry, Roster
from rotator.service.sights import sights
from rotator.service.standing import ClusterStanding, ConfigurationStanding, CredentialStanding, TokenSight
from rotator.service.timetable import next_look
from rotator.settings import Operator, ServiceSettings, TokenOperator
from rotator.trigger import By, TriggeredBy


@dataclass(frozen=True)
class Rounds:
    """Does rounds. ``goes_on`` says whether work may begin, ``caught`` is told of bugs."""

    generations: Generations
    board: Board
    clock: Clock
    axis: Axis
    goes_on: Callable[[], bool]
    caught: Callable[[Exception], None]

    def run(self, cluster: str, roster: Roster) -> None:
        """Do a round. Raises nothing."""
        began = self.board.standing.configuration  # looked at first: what comes into force in between is the newer one
        try:
            with self.generations.borrowed() as generation:
                if self.goes_on():
                    Round(self, generation, cluster, roster, began).run()
        except Exception as error:  # noqa: BLE001 - a bug here must not end the service
            self.caught(error)
            now = self.axis.now()
            names = [entry.credential.name for entry in roster.due(now)]
            roster.hold(names, now + self.generations.newest.settings.service.retry_first)
            for name in names:
                self.board.rests(name)


@dataclass
class Round:
    """One round, with the settings that were in force when it began."""

    rounds: Rounds
    generation: Generation
    cluster: str
    roster: Roster
    began: ConfigurationStanding
    """What was in force by then, as the board had it."""

    @property
    def settings(self) -> ServiceSettings:
        """How the service works."""
        return self.generation.settings.service

    def run(self) -> None:
        """Look at everybody whose turn it is, all quiet ones by one list, and at those that somebody asked for."""
        now = self.rounds.axis.now()
        due, is_look = self.roster.due(now), self.roster.look.at <= now
        if is_look:
            self.roster.look = next_look(self.settings, self.cluster, axis=now, wall=self.rounds.clock.now())
        requests = dict.fromkeys(request_of(entry) for entry in due)
        for request in requests:
            self.attend(request, {it.credential.name: it for it in due if request_of(it) == request})
        if is_look:
            with suppress(RotatorError):  # the cluster cannot even be opened, which is written up already
                self.greet()

    def greet(self) -> None:
        """Write up which endpoints answer, where there are several: a rotation goes on to the next without a word."""
        standing = self.rounds.board.standing.clusters.get(self.cluster)
        addresses = self.generation.settings.clusters[self.cluster].endpoints
        if standing is None or len(addresses) == 1 or not standing.is_reachable:
            return
        pve, found = self.generation.fleet.open_cluster(self.cluster), dict[str, str]()
        for address, endpoint in zip(addresses, pve.endpoints, strict=False):
            if self.rounds.goes_on():
                greeting = pve.greet(endpoint)
                found[address] = (greeting.message or greeting.code) if greeting.code else ""
        self.rounds.board.put_cluster(self.cluster, lambda it: replace(it, greetings=MappingProxyType(found)))

    def attend(self, request: Request, entries: Mapping[str, Entry]) -> None:
        """Do what is to do for some credentials, by one list of the cluster's users."""
        rounds, problems = self.rounds, list[Result]()
        fleet = replace(
            self.generation.fleet, goes_on=rounds.goes_on, caught=rounds.caught, listed=self.write_up_answer
        )

        def work(lane: Lane, credential: Credential) -> CredentialStanding | None:
            return self.work(lane, entries[credential.name], request)

        def unreached(credential: Credential, error: RotatorError) -> CredentialStanding | None:
            problems.append(failed(credential, error))
            return self.settle(entries[credential.name], problems[-1], None, None)

        standings = in_lanes(fleet, [it.credential for it in entries.values()], work, unreached)
        rounds.board.put([it for it in standings if it], self.began)
        if problems:
            self.write_up_problem(problems[0])

    def work(self, lane: Lane, entry: Entry, request: Request) -> CredentialStanding | None:
        """Do what is to do for one credential; its standing is written up at once, or returned if it was quiet."""
        name, board = entry.credential.name, self.rounds.board
        told = replace(lane, fleet=replace(lane.fleet, trigger=trigger_of(entry, self.rounds.axis.now())))
        result = rotated(told, entry.credential, request)
        user, now = lane.users.get(entry.credential.userid), None
        with suppress(RotatorError):
            now = lane.pve.now()
            if user and result.done:
                user = replace(user, tokens=lane.pve.tokens(user.userid))
        tokens = sights(entry.credential, user, now) if user and now else None
        standing = self.settle(entry, result, now, tokens)
        if name not in board.standing.at_work and not result.done:
            return standing
        board.put([standing] if standing else [], self.began)
        board.rests(name)
        return None

    def settle(
        self, entry: Entry, result: Result, pve: datetime | None, tokens: tuple[TokenSight, ...] | None
    ) -> CredentialStanding | None:
        """Put a credential on the roster anew; return how it stands, if it is still configured for this cluster."""
        rounds, name = self.rounds, entry.credential.name
        moment = Moment(rounds.axis.now(), rounds.clock.now(), pve)
        backoff = Backoff(self.settings.retry_first, self.settings.retry_most)
        rules = Rules(backoff, self.roster.look.at, follows_changes=self.settings.cron is None)
        after = entry_after(entry, result, moment, rules)
        self.roster.settle(entry, after)
        before = rounds.board.standing.credentials.get(name)
        if before is None or before.cluster != self.cluster:
            return None
        return standing_after(
            before, entry=entry, after=after, result=result, moment=moment, rules=rules, tokens=tokens
        )

    def write_up_answer(self, pve: Pve, users: Mapping[str, UserState]) -> None:
        """Write up that the cluster answered, and what its clock showed."""
        now = self.rounds.clock.now()
        expire = operator_end(self.generation.settings.clusters[self.cluster].operator, users)
        well = ClusterStanding("", (), is_reachable=True, seen=now, answered=now, operator_expire=expire)
        with suppress(RotatorError):
            well = replace(well, clock_offset=pve.now() - now)
        self.rounds.board.put_cluster(
            self.cluster,
            lambda it: replace(
                well, name=it.name, endpoints=it.endpoints, next_look=it.next_look, greetings=it.greetings
            ),
        )

    def write_up_problem(self, result: Result) -> None:
        """Write up that the cluster did not answer, or did not let us in."""
        reachable, now = result.reason != CLUSTER_UNREACHABLE, self.rounds.clock.now()

        def edit(it: ClusterStanding) -> ClusterStanding:
            about = replace(it, reason=str(result.reason), message=result.message, hint=result.hint)
            return replace(about, is_reachable=reachable, seen=now)

        self.rounds.board.put_cluster(self.cluster, edit)


def request_of(entry: Entry) -> Request:
    """Return what is asked of a credential."""
    return entry.wish.request if entry.wish else QUIETLY


def trigger_of(entry: Entry, now: datetime) -> TriggeredBy:
    """Say who or what woke it; only the page asks."""
    why = entry.trigger(now)
    return TriggeredBy(By.PAGE, why, entry.wish.who) if entry.wish else TriggeredBy(By.SCHEDULE, why)


def operator_end(operator: Operator, users: Mapping[str, UserState]) -> datetime | None:
    """Return when PVE ends the operator's own token, where the configuration names it and the list shows it."""
    if not isinstance(operator, TokenOperator) or operator.token.userid not in users:
        return None
    tokens = users[operator.token.userid].tokens
    return next((it.expire for it in tokens if it.id == operator.token), None)
