"""The credentials of a configuration, each by itself: what its keys must fulfil together."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from rotator.config_fields import Site
from rotator.config_places import Findings, Places
from rotator.config_schema import CredentialPart, PlacePart, RulesPart
from rotator.config_shape import Salvaged
from rotator.config_values import base_for
from rotator.durations import spell_duration
from rotator.errors import RefusedError
from rotator.model import (
    TOKEN_NAME,
    Credential,
    Destination,
    Grant,
    Probe,
    Secret,
    Strategy,
    Token,
    TokenId,
    Window,
)
from rotator.settings import ClusterSettings, TokenOperator
from rotator.yaml_lines import Loc

EVERY = timedelta(days=30)
OVERLAP = timedelta(hours=24)
IN_FLIGHT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Settled:
    """A credential with where it stands and which of its keys are faulty; their values mean nothing.

    ``places`` is where each destination stands, and the destination unless it is faulty.
    """

    loc: Loc
    credential: Credential
    faulty: frozenset[str]
    places: Sequence[tuple[Loc, Destination | None]]

    def knows(self, *keys: str) -> bool:
        """Say whether none of these keys is faulty."""
        return self.faulty.isdisjoint(keys)


class Rules:
    """What holds for one credential: what it says itself, else what the defaults say, else what we say."""

    def __init__(self, credential: Salvaged[CredentialPart], defaults: Salvaged[RulesPart]) -> None:
        self._own, self._defaults = credential, defaults
        said = credential.part.model_fields_set
        self.faulty = credential.faulty | (defaults.faulty - said)
        self.strategy = Strategy(self._value("strategy", Strategy.FRESH))
        self.every: timedelta = self._value("every", EVERY)
        self.overlap: timedelta = self._value("overlap", OVERLAP)
        self.lifetime: timedelta | None = self._value("lifetime", None)
        self.in_flight: timedelta = self._value("in_flight", IN_FLIGHT)
        self.privsep: bool = self._value("privsep", True)  # noqa: FBT003 - a value, not a flag
        self.windows: Sequence[Any] = self._value("windows", ())
        self.probes: Sequence[str] = self._value("probes", ())
        if self.strategy is Strategy.REGENERATE:
            self.overlap = timedelta()

    def _value(self, key: str, otherwise: Any) -> Any:  # noqa: ANN401 - of any key
        own = getattr(self._own.part, key)
        common = getattr(self._defaults.part, key)
        return own if own is not None else common if common is not None else otherwise

    def origin(self, *keys: str) -> Loc:
        """Return where the first of these keys that stands anywhere stands: in the credential or in the defaults."""
        said = (
            (*part.loc, key)
            for part in (self._own, self._defaults)
            for key in keys
            if key in part.part.model_fields_set
        )
        return next(said, self._own.loc)

    def knows(self, *keys: str) -> bool:
        """Say whether none of these keys is faulty where it stands."""
        return self.faulty.isdisjoint(keys)


class Credentials:
    """Makes credentials; what is wrong goes to the findings."""

    def __init__(
        self,
        findings: Findings,
        places: Places,
        defaults: Salvaged[RulesPart],
        owner: str,
        sites: Mapping[str, Site],
    ) -> None:
        self._findings = findings
        self._places = places
        self._defaults = defaults
        self._owner = owner
        self._sites = sites

    def settle(self, salvaged: Salvaged[CredentialPart]) -> Settled:
        """Make one credential, as far as that goes."""
        part, loc = salvaged.part, salvaged.loc
        rules = Rules(salvaged, self._defaults)
        self._check_times(part, loc, rules)
        self._check_base(salvaged, rules)
        self._check_grants(part, loc, rules)
        self._check_probes(rules)
        self._check_operator(part, rules)
        places = [(at, self._destination(part, place, at)) for place, at in self._chosen(salvaged)]
        credential = Credential(
            name=part.name,
            cluster=part.cluster,
            owner=self._owner,
            userid=part.user,
            base=part.base or part.name,
            every=rules.every,
            overlap=rules.overlap,
            destinations=tuple(destination for _, destination in places if destination),
            lifetime=rules.lifetime,
            in_flight=rules.in_flight,
            privsep=rules.privsep,
            grants=_grants(part),
            probes=tuple(Probe(path) for path in rules.probes),
            windows=tuple(Window(window.cron, window.duration, window.timezone) for window in rules.windows),
            strategy=rules.strategy,
            adopt=part.adopt,
            paused=part.paused,
            is_operator=part.operator,
        )
        return Settled(loc, credential, rules.faulty, places)

    def _check_times(self, part: CredentialPart, loc: Loc, rules: Rules) -> None:
        if part.overlap and rules.strategy is Strategy.REGENERATE and rules.knows("strategy"):
            message = "no overlap is possible with the strategy regenerate: the old secret dies as the new one is made"
            self._findings.add((*loc, "overlap"), message, "take overlap away, or use the strategy fresh")
        if not rules.knows("every", "overlap", "strategy"):
            return
        every, overlap = rules.every, rules.overlap
        if overlap > every:
            message = f"the overlap ({spell_duration(overlap)}) is longer than every ({spell_duration(every)})"
            advice = f"write overlap: {spell_duration(every)} or less: at most one old token lives beside the new one"
            self._findings.add(rules.origin("overlap", "every"), message, advice)
        least = max(every + overlap, 3 * overlap)
        if rules.lifetime is not None and rules.lifetime < least and rules.knows("lifetime"):
            message = (
                "a token would end before its successor is safe: shorter than every + overlap, or than 3 x overlap"
            )
            self._findings.add(rules.origin("lifetime"), message, f"write {spell_duration(least)} or more")

    def _check_base(self, salvaged: Salvaged[CredentialPart], rules: Rules) -> None:
        part, loc = salvaged.part, salvaged.loc
        if part.base is None and rules.knows("name", "base") and part.name[0].isdigit():
            message = (
                "the names of PVE tokens begin with a letter, and this one's would begin with the credential's name"
            )
            self._findings.add((*loc, "name"), message, f"add base: {base_for(part.name)}")
            return
        pinned = rules.strategy is Strategy.REGENERATE and rules.knows("strategy", "name", "base")
        if pinned and not TOKEN_NAME.fullmatch(part.base or part.name):
            message = "no PVE token is called that: its name has two characters or more"
            self._findings.add((*loc, "base" if part.base else "name"), message, "write base: with the token's name")

    def _check_grants(self, part: CredentialPart, loc: Loc, rules: Rules) -> None:
        if part.grants and not rules.privsep and rules.knows("privsep"):
            message = "no effect with privsep: false, where a token may do what its user may"
            self._findings.add((*loc, "grants"), message, "take grants away, or write privsep: true")
        pairs = [(grant.path, grant.role) for grant in part.grants or ()]
        for at in _repeated(pairs):
            self._findings.add((*loc, "grants", at), "the same role on the same path twice", "keep one of them")

    def _check_probes(self, rules: Rules) -> None:
        for at in _repeated(rules.probes):
            self._findings.add((*rules.origin("probes"), at), "the same probe twice", "keep one of them")

    def _check_operator(self, part: CredentialPart, rules: Rules) -> None:
        if part.operator and rules.strategy is Strategy.REGENERATE and rules.knows("operator", "strategy"):
            message = "an operator is not regenerated: a crash in between would lock the rotation itself out"
            self._findings.add(rules.origin("strategy"), message, f"write strategy: fresh for {part.name}")

    def _destination(self, part: CredentialPart, place: PlacePart, loc: Loc) -> Destination | None:
        destination = self._places.destination(place, loc, self._sites.get(part.cluster, ()))
        if destination:
            self._places.check_compare_and_set(destination)
            self._check_shown(part, destination, loc)
        return destination

    def _check_shown(self, part: CredentialPart, destination: Destination, loc: Loc) -> None:
        """Look whether a token of this user can be shown there, before one is issued."""
        if part.cluster not in self._sites:
            return
        sample = Token(TokenId(part.user, f"{part.base or part.name}-1"), Secret("secret"))
        try:
            destination.shape.render(sample, None)
        except RefusedError as error:
            self._findings.add(loc, error.message, error.hint)

    def _chosen(self, salvaged: Salvaged[CredentialPart]) -> list[tuple[PlacePart, Loc]]:
        part, loc = salvaged.part, salvaged.loc
        if part.destination and part.destinations:
            self._findings.add((*loc, "destination"), "both destination and destinations", "put all into destinations")
        if part.destination:
            return [(part.destination, (*loc, "destination"))]
        if not part.destinations and salvaged.faulty.isdisjoint(("destination", "destinations")):
            self._findings.add(loc, "no destination", "add destination: {path: /run/secrets/name.json}")
        return [(place, (*loc, "destinations", at)) for at, place in enumerate(part.destinations or ())]


def _grants(part: CredentialPart) -> tuple[Grant, ...] | None:
    if part.grants is None:
        return None
    return tuple(Grant(grant.path, grant.role, propagate=grant.propagate) for grant in part.grants)


def _repeated(items: Sequence[Hashable]) -> list[int]:
    """Return the index of each item that an earlier one equals."""
    return [at for at, item in enumerate(items) if item in items[:at]]


def knowing_others(
    credentials: Sequence[Credential], clusters: Mapping[str, ClusterSettings]
) -> tuple[Credential, ...]:
    """Tell each credential who else has tokens of the same user: other credentials, and the operator."""
    names: dict[tuple[str, str], list[str]] = {}
    for it in credentials:
        names.setdefault((it.cluster, it.userid), []).append(it.name)
    several = {user: frozenset(found) for user, found in names.items() if len(found) > 1}
    operators = {
        (name, it.operator.token.userid): it.operator.token
        for name, it in clusters.items()
        if isinstance(it.operator, TokenOperator)
    }
    shared = several.keys() | operators.keys()
    return tuple(
        replace(it, siblings=several.get(user, frozenset()), operator=operators.get(user))
        if (user := (it.cluster, it.userid)) in shared
        else it
        for it in credentials
    )
