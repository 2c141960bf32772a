"""How everything stands after a single run, as far as that tells: for a vigil that knows the audit trail at most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rotator.errors import ExitCode
from rotator.model import Credential, UserState
from rotator.notify.notice import About
from rotator.notify.vigil import OF_CLUSTERS, Vigil
from rotator.rotate import CLUSTER_UNREACHABLE, INTERRUPTED, Result
from rotator.service.aftermath import state_of
from rotator.service.backoff import Backoff
from rotator.service.rounds import operator_end
from rotator.service.sights import sights
from rotator.service.standing import ClusterStanding, CredentialStanding, Ended, State, TokenSight, Trigger
from rotator.settings import Settings


@dataclass(frozen=True, slots=True)
class Listed:
    """What a cluster's one list call said before anything was done, when it was by PVE's clock, and by ours."""

    users: Mapping[str, UserState]
    pve: datetime
    ours: datetime


@dataclass(frozen=True)
class Single:
    """One run: how it ended, and the list of each cluster that answered."""

    settings: Settings
    results: Sequence[Result]
    listed: Mapping[str, Listed]
    now: datetime

    def news(self, vigil: Vigil) -> Iterator[About]:
        """Yield what is news of it."""
        results = {it.credential: it for it in self.results if it.reason != INTERRUPTED}
        clusters = self._clusters(results.values())
        for cluster in clusters.values():
            yield from vigil.of_cluster(cluster)
        for credential in self.settings.credentials:
            if result := results.get(credential.name):
                ended = Ended(self.now, Trigger.ASKED, result)
                yield from vigil.of_credential(
                    self._standing(credential, result), ended, clusters.get(credential.cluster)
                )

    def _clusters(self, results: Iterable[Result]) -> dict[str, ClusterStanding]:
        """Say how the clusters stand that the run was about."""
        troubles = {it.cluster: it for it in results if it.reason in OF_CLUSTERS}
        names = dict.fromkeys(it.cluster for it in self.results)
        return {
            name: self._cluster(name, troubles.get(name)) for name in names if name in troubles or name in self.listed
        }

    def _cluster(self, name: str, trouble: Result | None) -> ClusterStanding:
        settings, listed = self.settings.clusters[name], self.listed.get(name)
        return ClusterStanding(
            name,
            settings.endpoints,
            is_reachable=trouble is None or trouble.reason != CLUSTER_UNREACHABLE,
            reason=trouble.reason if trouble else "",
            message=trouble.message if trouble else "",
            hint=trouble.hint if trouble else "",
            operator_expire=operator_end(settings.operator, listed.users) if listed else None,
            clock_offset=listed.pve - listed.ours if listed else None,
        )

    def _standing(self, credential: Credential, result: Result) -> CredentialStanding:
        service = self.settings.service
        failures = int(result.exit_code is not ExitCode.DONE)
        return CredentialStanding(
            credential.name,
            credential.cluster,
            credential.every,
            credential.overlap,
            state=state_of(State.NEW, result, failures, Backoff(service.retry_first, service.retry_most)),
            reason=str(result.reason),
            message=result.message,
            hint=result.hint,
            token=result.token,
            failures=failures,
            tokens=() if result.done else self._tokens(credential),
        )

    def _tokens(self, credential: Credential) -> tuple[TokenSight, ...]:
        """Return a credential's tokens as they were before the run, which has changed none."""
        listed = self.listed.get(credential.cluster)
        user = listed.users.get(credential.userid) if listed else None
        return sights(credential, user, listed.pve) if listed and user else ()
