"""What the credentials of a configuration must fulfil among themselves and with their clusters."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

from rotator.config_credentials import Settled
from rotator.config_places import Findings
from rotator.faults import suggestion
from rotator.marker import Name
from rotator.model import Strategy
from rotator.settings import ClusterSettings, RecordOperator
from rotator.yaml_lines import Loc


class Crosses:
    """Checks all credentials together; what is wrong goes to the findings."""

    def __init__(
        self, findings: Findings, clusters: Mapping[str, ClusterSettings], named_clusters: frozenset[str]
    ) -> None:
        self._findings = findings
        self._clusters = clusters
        self._named_clusters = named_clusters

    def check(self, credentials: Sequence[Settled]) -> None:
        """Check everything."""
        self._check_names(credentials)
        self._check_tokens(credentials)
        self._check_pinned(credentials)
        self._check_destinations(credentials)
        for settled in credentials:
            if settled.knows("cluster"):
                self._check_cluster(settled)
        self._check_operators(credentials)
        self._check_operator_records(credentials)

    def _line(self, loc: Loc) -> int:
        return self._findings.document.problem(loc, "").line

    def _check_names(self, credentials: Sequence[Settled]) -> None:
        named = [settled for settled in credentials if settled.knows("name")]
        for first, second in _clashes(named, lambda settled: settled.credential.name):
            advice = (
                f"a credential on line {self._line((*first.loc, 'name'))} is called that: give this one another name"
            )
            self._findings.add((*second.loc, "name"), f"duplicate name '{second.credential.name}'", advice)

    def _check_tokens(self, credentials: Sequence[Settled]) -> None:
        known = [settled for settled in credentials if settled.knows("cluster", "user", "base", "name")]
        for first, second in _clashes(known, _token_names):
            base, other = second.credential.base, first.credential.name
            message = f"the tokens of {second.credential.userid} with the base '{base}' are those of '{other}' already"
            self._findings.add(_key(second, "base", "name"), message, "give it another base, or another user")

    def _check_pinned(self, credentials: Sequence[Settled]) -> None:
        known = [settled for settled in credentials if settled.knows("cluster", "user", "base", "name", "strategy")]
        fresh = {_token_names(settled) for settled in known if settled.credential.strategy is Strategy.FRESH}
        for settled in known:
            credential = settled.credential
            name = Name.parse(credential.base) if credential.strategy is Strategy.REGENERATE else None
            if name and (credential.cluster, credential.userid, name.base) in fresh:
                message = f"the token has a name like those that are made for the base '{name.base}'"
                self._findings.add(_key(settled, "base", "name"), message, "use another base there, or another user")

    def _check_destinations(self, credentials: Sequence[Settled]) -> None:
        owners: dict[str, Settled] = {}
        for settled in credentials:
            for loc, destination in settled.places:
                if destination and (owner := owners.setdefault(destination.label, settled)) is not settled:
                    message = f"{destination.label} is where the credential '{owner.credential.name}' goes already"
                    self._findings.add(loc, message, "give each credential a place of its own")
            labels = [destination.label if destination else None for _, destination in settled.places]
            for at, label in enumerate(labels):
                if label is not None and label in labels[:at]:
                    self._findings.add(settled.places[at][0], f"{label} twice in this credential", "keep one of them")

    def _check_cluster(self, settled: Settled) -> None:
        credential = settled.credential
        if credential.cluster not in self._named_clusters:
            advice = suggestion(credential.cluster, self._named_clusters)
            self._findings.add((*settled.loc, "cluster"), f"no cluster is called '{credential.cluster}'", advice)
        cluster = self._clusters.get(credential.cluster)
        if cluster and credential.is_operator:
            self._check_operator(settled, cluster)

    def _check_operator(self, settled: Settled, cluster: ClusterSettings) -> None:
        key = (*settled.loc, "operator")
        if not isinstance(cluster.operator, RecordOperator):
            message = f"the operator of the cluster {cluster.name} is not read from a backend, so it cannot be rotated"
            self._findings.add(key, message, f"let clusters.{cluster.name}.operator name the record of this credential")
            return
        label = cluster.operator.destination.label
        primary = settled.places[0][1] if settled.places else None
        if primary and primary.label != label:
            message = f"the operator of the cluster {cluster.name} is read from {label}, not from the first destination"
            self._findings.add(key, message, "let both name one record")
        elif primary and primary.shape != cluster.operator.destination.shape:
            message = f"the operator of the cluster {cluster.name} is read from {label} with other fields"
            self._findings.add(settled.places[0][0], message, "say preset, fields and canonical alike in both")

    def _check_operator_records(self, credentials: Sequence[Settled]) -> None:
        clusters = {
            cluster.operator.destination.label: cluster.name
            for cluster in self._clusters.values()
            if isinstance(cluster.operator, RecordOperator)
        }
        for settled in credentials:
            for loc, destination in settled.places:
                cluster = clusters.get(destination.label) if destination else None
                is_meant = settled.credential.is_operator and settled.credential.cluster == cluster
                if cluster and not is_meant and settled.knows("operator", "cluster"):
                    message = f"the operator of the cluster {cluster} is read from there"
                    self._findings.add(
                        loc, message, f"say operator: true in the credential that is in charge of {cluster}"
                    )

    def _check_operators(self, credentials: Sequence[Settled]) -> None:
        operators = [settled for settled in credentials if settled.credential.is_operator and settled.knows("cluster")]
        for first, second in _clashes(operators, lambda settled: settled.credential.cluster):
            message = f"'{first.credential.name}' is the operator of this cluster already"
            self._findings.add((*second.loc, "operator"), message, "keep one operator per cluster")


def _key(settled: Settled, key: str, otherwise: str) -> Loc:
    """Return where the one key stands if it was written, else where the other does."""
    said = settled.credential.base != settled.credential.name
    return (*settled.loc, key if said else otherwise)


def _clashes(
    credentials: Sequence[Settled], identity: Callable[[Settled], Hashable]
) -> Iterator[tuple[Settled, Settled]]:
    """Yield each that has the identity of an earlier one, after that one."""
    seen: dict[Hashable, Settled] = {}
    for settled in credentials:
        first = seen.setdefault(identity(settled), settled)
        if first is not settled:
            yield first, settled


def _token_names(settled: Settled) -> tuple[str, str, str]:
    return settled.credential.cluster, settled.credential.userid, settled.credential.base
