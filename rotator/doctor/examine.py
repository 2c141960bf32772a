"""Examine clusters, operators, stores and credentials: gather, then judge. Nothing is changed.

What a credential's consumers could not do is never found by failing on purpose: PVE is asked with a stored secret only
where the operator's side explains nothing, and then once, because a refused login takes 3 s and is logged (measured).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar, cast

from rotator.backend import Backend
from rotator.doctor import cluster_checks, operator_checks, store_checks
from rotator.doctor.evidence import StoreSeen
from rotator.doctor.finding import Diagnosis, Finding, Kind, Severity, found
from rotator.doctor.gather import Look, see_store
from rotator.doctor.given import stored_fault
from rotator.doctor.token_checks import secret_wrong, why_forbidden, why_no_user, why_refused
from rotator.errors import ExitCode, RotatorError
from rotator.fleet import Fleet, side_by_side
from rotator.model import Credential, Held, Observation, Stored, Strategy, Token, TokenId, Unread
from rotator.observe import understood
from rotator.policy import Reason, judge
from rotator.pve import Inspected
from rotator.settings import Settings
from rotator.verify_stored import was_never_issued
from rotator.view import View

S = TypeVar("S")
T = TypeVar("T")
STOPS = {
    Reason.NOT_ADOPTED: "not-adopted",
    Reason.OTHER_TOKEN: "other-token",
    Reason.TOO_MANY_ORPHANS: "too-many-orphans",
}
"""What the policy stops at and nothing here finds by itself."""


@dataclass(frozen=True)
class Ward:
    """All that is examined in one call, cluster by cluster."""

    settings: Settings
    fleet: Fleet
    person: str = ""
    """Who has logged in instead of the operators."""

    def diagnose(self, credentials: Sequence[Credential], clusters: Iterable[str]) -> list[Diagnosis]:
        """Examine these clusters with their operators, then the stores, then each credential.

        All records are read before PVE is asked for the tokens, as in a run: a token that a record names and the later
        list lacks is really gone.
        """
        stores = self._each(lambda it: see_stores(it, self.settings.backends), credentials, "store")
        examined = [self.examine_cluster(name, credentials) for name in clusters]
        looks = {name: look for name, look, _ in examined if look}
        pairs = zip(credentials, stores, strict=True)
        patients = [Patient(it, seen, looks.get(it.cluster)) for it, seen in pairs]
        for look in looks.values() if len(patients) > 1 else ():
            look.prepare()
        unique = {it.name: it for patient in patients for it in patient.store_diagnoses()}.values()
        return [
            *(it for _, _, found_ in examined for it in found_),
            *unique,
            *self._each(self._diagnosis, patients, "credential"),
        ]

    def _diagnosis(self, patient: Patient) -> Diagnosis:
        """Examine a credential; once more where it seems to lock its consumers out, and was rotated meanwhile."""
        found_ = patient.diagnosis()
        if found_.exit_code is not ExitCode.LOCKED_OUT:
            return found_
        again = Patient(patient.credential, see_stores(patient.credential, self.settings.backends), None)
        if again.held == patient.held or patient.look is None:
            return found_
        look = self.look(patient.credential.cluster)
        return replace(again, look=look if look.cluster.view else None).diagnosis()

    def _each(self, work: Callable[[S], T], items: Sequence[S], name: str) -> list[T]:
        return side_by_side(work, items, self.fleet.parallel, name)

    def examine_cluster(self, name: str, credentials: Sequence[Credential]) -> tuple[str, Look | None, list[Diagnosis]]:
        """Examine a cluster and its operator; no look where the operator gets nowhere."""
        own = [it for it in credentials if it.cluster == name]
        try:
            look = self.look(name)
            cluster = Diagnosis(
                Kind.CLUSTER,
                name,
                name,
                tuple(cluster_checks.ailments(look.cluster)),
                tuple(cluster_checks.unknown_of(look.cluster)),
            )
        except RotatorError as error:
            return name, None, [Diagnosis(Kind.OPERATOR, name, name, (unreadable(name, str(error), error.hint),))]
        is_rotated = any(it.is_operator and it.cluster == name for it in self.settings.credentials)
        operator = examine_operator(look, own, is_rotated=is_rotated)
        return name, look if look.cluster.view else None, [cluster, operator] if operator else [cluster]

    def look(self, name: str) -> Look:
        """Open a cluster. Raises: ``ConfigError``; what reading a password's reference raises."""
        pve = cast("Inspected", self.fleet.open_cluster(name))  # the adapter is one; a fleet needs less of it
        return Look(pve, self.settings.clusters[name], self.settings.backends, self.fleet.clock, self.person)


def see_stores(credential: Credential, backends: Mapping[str, Backend]) -> list[tuple[StoreSeen, Stored | None]]:
    """Read every destination of a credential."""
    return [see_store(it, backends) for it in credential.destinations]


def unreadable(cluster: str, *said: str) -> Finding:
    """Make the finding of an operator whose token or password cannot be read."""
    return found("operator-unreadable", *filter(None, said), about={"cluster": cluster})


def examine_operator(look: Look, credentials: Sequence[Credential], *, is_rotated: bool) -> Diagnosis | None:
    """Examine the operator of a cluster; None where nobody answered that could know it."""
    name = look.pve.name
    if look.unreadable:
        return Diagnosis(Kind.OPERATOR, name, name, (unreadable(name, *look.unreadable.told),))
    troubles = [it.trouble for it in look.cluster.endpoints if it.trouble]
    if look.cluster.view is None:
        refused = next((it for it in troubles if it.code.startswith("operator")), None)
        if refused is None:
            return None
        userid, token = look.identity
        about = {"cluster": name, "userid": userid, "operator": userid}
        return Diagnosis(Kind.OPERATOR, str(token or userid), name, (found(refused.code, *refused.told, about=about),))
    if look.person and (finding := refused_operator(look)):
        return Diagnosis(Kind.OPERATOR, str(look.identity[1] or look.identity[0]), name, (finding,))
    seen = look.operator(credentials, is_rotated=is_rotated)
    who = str(seen.token or seen.userid)
    findings = tuple(operator_checks.powers(seen))
    return Diagnosis(Kind.OPERATOR, who, name, findings, tuple(operator_checks.unknown_of(seen)))


def refused_operator(look: Look) -> Finding | None:
    """Explain, from a person's side, why PVE would not let the operator in; its secret is not tried."""
    userid, token = look.identity
    return why_refused(look.claimed(token)) if token else why_no_user(look.claimed(TokenId(userid, "")))


@dataclass(frozen=True)
class Patient:
    """One credential; ``look`` is None where its cluster could not be asked."""

    credential: Credential
    stores: Sequence[tuple[StoreSeen, Stored | None]]
    """What each destination told, read before PVE was asked for the tokens."""
    look: Look | None

    @cached_property
    def held(self) -> list[Held | Unread]:
        """What every destination holds, in the protocol's terms."""
        both = zip(self.credential.destinations, self.stores, strict=True)
        return [
            Unread(seen.unread.said) if seen.unread else understood(destination, stored)
            for destination, (seen, stored) in both
        ]

    def store_diagnoses(self) -> list[Diagnosis]:
        """Examine the stores."""
        return [
            Diagnosis(
                Kind.STORE,
                seen.label,
                self.credential.cluster,
                tuple(store_checks.ailments(seen)),
                tuple(store_checks.unknown_of(seen)),
            )
            for seen, _ in self.stores
        ]

    def diagnosis(self) -> Diagnosis:
        """Examine the credential itself; of one cause that shows twice, the first finding counts."""
        findings = {it.code: it for it in reversed([*self._findings()])}
        ordered = tuple(reversed(findings.values()))
        unexamined = self._unexamined()
        unknown = tuple(filter(None, (unexamined, self._ungranted())))
        return Diagnosis(Kind.CREDENTIAL, self.credential.name, self.credential.cluster, ordered, unknown, unexamined)

    def _findings(self) -> Iterator[Finding]:
        yield from self._of_records()
        if self.look and self._primary:
            yield from self._of_token(self.look, self._primary)
        if self.look:
            yield from self._of_policy(self.look)
            yield from self._of_regenerate(self.look)

    def _of_records(self) -> Iterator[Finding]:
        primary = self._primary
        for index, (held, (seen, stored)) in enumerate(zip(self.held, self.stores, strict=True)):
            about = {"place": seen.label, "credential": self.credential.name}
            if seen.unread:
                continue
            fault = self._misspelt(stored)
            if fault:
                yield locked_out(fault)
            elif isinstance(held, Unread):
                yield found("record-misshapen", held.message, about=about)
            elif held.token is None:
                severity = Severity.NOTE if self._is_unborn else Severity.ERROR
                yield found("record-empty", f"{seen.label} was read", about=about, severity=severity)
            elif index and held.token != primary and primary is not None:
                evidence = f"it holds {held.token.id}, the primary {primary.id}"
                yield found("mirror-behind", evidence, about=about)
            elif not held.is_complete:
                yield found("record-incomplete", f"the token there is {held.token.id}", about=about)

    @property
    def _is_unborn(self) -> bool:
        user = self.look.users.get(self.credential.userid) if self.look else None
        return was_never_issued(self.credential, user, self.held)

    def _misspelt(self, stored: Stored | None) -> Finding | None:
        for key, value in sorted(stored.fields.items()) if stored else ():
            shown = stored_fault(value)
            if shown and (shown.token is None or shown.token.userid == self.credential.userid):
                about = {"token": str(shown.token or ""), "credential": self.credential.name}
                return found(shown.fault, f"in the key {key} of its record: {shown.evidence}", about=about)
        return None

    def _of_token(self, look: Look, token: Token) -> Iterator[Finding]:
        if token.id.userid != self.credential.userid:
            about = (f"it holds {token.id}", self.credential.primary.label, token.id)
            yield other_realm(self.credential, token) or self._stop("other-token", *about)
            return
        seen = look.of_credential(token, self.credential)
        finding = why_refused(seen) or secret_wrong(seen) or why_forbidden(seen)
        if finding:
            yield locked_out(finding)

    def _of_policy(self, look: Look) -> Iterator[Finding]:
        user = look.users.get(self.credential.userid)
        primary = self._primary
        if user is None or (primary and primary.id.userid != user.userid):
            return
        usable = user.is_usable(look.pve.now())
        seen = Observation(self.credential, look.pve.now(), user.tokens, tuple(self.held), user_usable=usable)
        finding = judge(seen)
        if code := STOPS.get(finding.reason):
            yield self._stop(code, finding.message, *self._strange(View(seen), finding.reason))

    def _strange(self, view: View, reason: Reason) -> tuple[str, TokenId]:
        """Say where the token is that the policy does not touch, which may be a mirror, and which one it is."""
        userid, primary = self.credential.userid, self._primary
        is_strange = view.is_foreign if reason is Reason.NOT_ADOPTED else lambda it: it.userid != userid
        held = ((place.label, token) for place, token in view.shown if is_strange(token))
        at_pve = "PVE", TokenId(userid, self.credential.base)
        return next(held, (self.credential.primary.label, primary.id) if primary else at_pve)

    def _stop(self, code: str, evidence: str, place: str, token: TokenId) -> Finding:
        about = {"credential": self.credential.name, "userid": self.credential.userid}
        return found(code, evidence, about={**about, "place": place, "token": str(token)})

    @property
    def _primary(self) -> Token | None:
        held = self.held[0]
        return held.token if isinstance(held, Held) else None

    def _of_regenerate(self, look: Look) -> Iterator[Finding]:
        if self._knows_regenerate(look) is False:
            yield found("regenerate-unknown", "PVE does not know the parameter `regenerate`")

    def _knows_regenerate(self, look: Look) -> bool | None:
        if self.credential.strategy is not Strategy.REGENERATE:
            return None
        try:
            return look.pve.knows_regenerate(self.credential.userid)
        except RotatorError:
            return None

    def _unexamined(self) -> str:
        if isinstance(self.held[0], Unread):
            return "whether what its consumers read works: the record was not read"
        return "" if self.look else "all that PVE knows of it: the cluster could not be asked"

    def _ungranted(self) -> str:
        if isinstance(self.held[0], Unread) or self.look is None or self._primary is None:
            return ""
        is_seen = self.look.entries_of(self._primary.id) is not None
        return "" if is_seen else "what its token was granted: the operator lacks Sys.Audit on /access"


def locked_out(finding: Finding) -> Finding:
    """Say of a finding that it keeps consumers of a published record out."""
    return replace(finding, severity=Severity.LOCKED_OUT)


def other_realm(credential: Credential, token: Token) -> Finding | None:
    """See that the record's user and the configured one differ in the realm alone."""
    ours, theirs = credential.userid, token.id.userid
    if ours == theirs or ours.rpartition("@")[0] != theirs.rpartition("@")[0]:
        return None
    evidence = f"the record says {theirs}, the configuration {ours}"
    about = {"token": str(token.id), "userid": theirs, "name": token.id.name, "credential": credential.name}
    return locked_out(found("realm-wrong", evidence, about=about))
