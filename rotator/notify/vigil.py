"""What is news: how something stands, compared with what was told of it last. Pure but for its memory.

What goes to and fro is damped: after ``MOST`` notices of failing and recovering within an hour nobody is told of more,
until it has calmed down; then it is told how it stands. Graver news is never held back. A cluster that cannot be worked
on is told once, and not once for each of its credentials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock

from rotator.fleet import OPERATOR_UNUSABLE
from rotator.notify.notice import About
from rotator.policy import Reason
from rotator.rotate import CLUSTER_UNREACHABLE
from rotator.service.board import Change
from rotator.service.standing import ClusterStanding, CredentialStanding, Ended, Role, Standing, State
from rotator.settings_telling import Occasion

MOST = 4
CALM = timedelta(hours=1)
OF_CLUSTERS = frozenset({CLUSTER_UNREACHABLE, OPERATOR_UNUSABLE})
"""Reasons that a whole cluster has."""
TROUBLES: Mapping[State, Occasion] = {
    State.FAILING: Occasion.FAILED,
    State.NEEDS_ATTENTION: Occasion.NEEDS_ATTENTION,
    State.LOCKED_OUT: Occasion.LOCKED_OUT,
}
GRAVITY = (None, Occasion.FAILED, Occasion.NEEDS_ATTENTION, Occasion.LOCKED_OUT)
DAMPED = frozenset({Occasion.FAILED, Occasion.RECOVERED})

Subject = tuple[str, str]
"""A cluster and a credential of it; "" for the cluster as a whole."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a subject: the trouble it is in, when, of which token's end, and what was held back since."""

    trouble: Occasion | None = None
    times: tuple[datetime, ...] = ()
    ending: str = ""
    held_back: int = 0
    """Changes, since the last notice, of which nobody was told."""
    held: Occasion | None = None
    """The last of them."""

    def noting(self, occasion: Occasion, at: datetime, ending: str = "") -> Told:
        """Return it after one more was told."""
        if occasion is Occasion.ORPHAN:
            return self
        if occasion is Occasion.EXPIRING:
            return replace(self, ending=ending)
        times = (*(it for it in self.times if is_near(it, at)), at) if occasion in DAMPED else self.times
        trouble = None if occasion is Occasion.RECOVERED else occasion
        return replace(self, trouble=trouble, times=times, held_back=0, held=None)


@dataclass(frozen=True, slots=True)
class Rules:
    """Whose notices these are, and how long before its end a token is told."""

    owner: str
    host: str
    expires_within: timedelta


class Vigil:
    """Remembers what was told, and says what is to be. Used from several threads."""

    def __init__(self, rules: Rules, now: Callable[[], datetime], told: Mapping[Subject, Told] | None = None) -> None:
        self.rules = rules
        self._now = now
        self._told = dict(told or {})
        self._lock = Lock()

    def see(self, change: Change) -> list[About]:
        """Say what is news in a change of the service's board."""
        before, after = change.before, change.after
        found: list[About] = []
        if after.clusters is not before.clusters:
            for cluster in after.clusters.values():
                if cluster is not before.clusters.get(cluster.name):
                    found += self.of_cluster(cluster)
        for name in change.credentials:
            was, now = before.credentials.get(name), after.credentials.get(name)
            if now is not None:
                ended = now.last if now.last and (was is None or was.last is not now.last) else None
                found += self.of_credential(now, ended, after.clusters.get(now.cluster))
        if after.configuration is not before.configuration:
            self._forget(after)
        return found

    def of_credential(
        self, standing: CredentialStanding, ended: Ended | None, cluster: ClusterStanding | None
    ) -> list[About]:
        """Say what is news of a credential; ``ended`` is a run that has just ended."""
        about = self._about(standing.cluster, standing.name, str(standing.state), standing)
        about = replace(about, token=standing.token, failures=standing.failures)
        found: list[About] = []
        if ended and (many := ended.result.done.count(Reason.ORPHAN)):
            message = f"{many} unpublished tokens were found and deleted" if many > 1 else ONE_ORPHAN
            found.append(replace(about, occasion=Occasion.ORPHAN, reason=Reason.ORPHAN, message=message, hint=""))
        subject = (standing.cluster, standing.name)
        if standing.state is State.PAUSED:
            self._end_quietly(subject)
        elif standing.state is State.WELL:
            found += self._news(subject, None, about)
        elif standing.state in TROUBLES and standing.reason not in OF_CLUSTERS:
            found += self._news(subject, TROUBLES[standing.state], about)
        return [*found, *self._endings(standing, about, cluster)]

    def of_cluster(self, cluster: ClusterStanding) -> list[About]:
        """Say what is news of a cluster as a whole."""
        if cluster.is_reachable is None:
            return []
        subject = (cluster.name, "")
        about = self._about(cluster.name, "", "failing" if cluster.reason else "well", cluster)
        found = self._news(subject, Occasion.FAILED if cluster.reason or not cluster.is_reachable else None, about)
        end = cluster.operator_expire
        if end and cluster.is_reachable and end - self._now() - offset(cluster) <= self.rules.expires_within:
            message = f"the operator's own token ends at {end:%Y-%m-%d %H:%MZ}"
            hint = "replace it, or let a credential with operator: true be in charge of it"
            last = replace(about, occasion=Occasion.EXPIRING, message=message, hint=hint, expires=end)
            found += self._once(subject, end.isoformat(), last)
        return found

    def _endings(self, standing: CredentialStanding, about: About, cluster: ClusterStanding | None) -> list[About]:
        """Say whether the current token ends before long, and nobody has replaced it."""
        token = next((it for it in standing.tokens if it.role is Role.CURRENT), None)
        if token is None or token.expire is None:
            return []
        now = self._now() + offset(cluster)
        latest = self.rules.expires_within
        if token.issued:
            latest = min(latest, (token.expire - token.issued) / 4)
        if token.expire - now > latest:
            return []
        message = f"{token.id} ends at {token.expire:%Y-%m-%d %H:%MZ} and has not been replaced"
        hint = standing.hint or f"rotate plan {standing.name}"
        last = replace(
            about, occasion=Occasion.EXPIRING, message=message, hint=hint, token=token.id, expires=token.expire
        )
        return self._once((standing.cluster, standing.name), token.id, last)

    def _about(self, cluster: str, credential: str, state: str, said: CredentialStanding | ClusterStanding) -> About:
        return About(
            owner=self.rules.owner,
            host=self.rules.host,
            occasion="",
            cluster=cluster,
            credential=credential,
            state=state,
            reason=said.reason,
            message=said.message,
            hint=said.hint,
        )

    def _news(self, subject: Subject, trouble: Occasion | None, about: About) -> list[About]:
        """Say whether it is news that a subject is in that trouble, or in none."""
        with self._lock:
            told, now = self._told.get(subject, Told()), self._now()
            if not is_news(told.trouble, trouble):
                self._keep(subject, replace(told, held=None) if told.held else told)
                return []
            occasion = trouble or Occasion.RECOVERED
            recent = sum(is_near(it, now) for it in told.times)
            if occasion in DAMPED and recent >= MOST:
                more = told.held is not occasion
                self._keep(subject, replace(told, held=occasion, held_back=told.held_back + more))
                return []
            self._keep(subject, told.noting(occasion, now))
            return [replace(about, occasion=occasion, held_back=told.held_back)]

    def _once(self, subject: Subject, ending: str, about: About) -> list[About]:
        """Say it, unless it was said of this end."""
        with self._lock:
            told = self._told.get(subject, Told())
            if told.ending == ending:
                return []
            self._keep(subject, told.noting(Occasion.EXPIRING, self._now(), ending))
            return [about]

    def _end_quietly(self, subject: Subject) -> None:
        with self._lock:
            if subject in self._told:
                self._keep(subject, replace(self._told[subject], trouble=None, held=None))

    def _keep(self, subject: Subject, told: Told) -> None:
        if told == Told():
            self._told.pop(subject, None)
        else:
            self._told[subject] = told

    def _forget(self, standing: Standing) -> None:
        """Forget who is not configured any more, and the troubles of who is paused, at whom nobody looks."""
        with self._lock:
            known = set(subjects(standing))
            self._told = {subject: told for subject, told in self._told.items() if subject in known}
        for it in standing.credentials.values():
            if it.state is State.PAUSED:
                self._end_quietly((it.cluster, it.name))


ONE_ORPHAN = "an unpublished token was found and deleted: a run had died, or was cut off, in between"


def subjects(standing: Standing) -> Iterator[Subject]:
    """Yield all that can be told of."""
    yield from ((name, "") for name in standing.clusters)
    yield from ((it.cluster, it.name) for it in standing.credentials.values())


def offset(cluster: ClusterStanding | None) -> timedelta:
    """Tell by how much the cluster's clock is ahead of ours, as far as known."""
    return (cluster.clock_offset if cluster else None) or timedelta()


def is_near(told: datetime, now: datetime) -> bool:
    """Say whether something was told lately; what was told later than now was so by a clock that was set back since."""
    return abs(now - told) < CALM


def is_news(before: Occasion | None, now: Occasion | None) -> bool:
    """Say whether somebody who was told the one wants to hear the other: what is graver, or that all is well again."""
    if now is None:
        return before is not None
    return GRAVITY.index(now) > GRAVITY.index(before)
