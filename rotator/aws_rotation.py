"""The four steps of Secrets Manager's own rotation, on top of the executor's: create, set, test, finish.

The rotation's id is AWS's ``ClientRequestToken``, which is also the id of the version that it fills. It stands in the
new token's comment. A version takes one value and no other (API reference, ``PutSecretValue``), so whichever attempt
put its token there has won, and every other token of this rotation is nobody's: it is deleted only then.
``finishSecret`` moves ``AWSCURRENT`` from the version that was observed, which is the compare-and-set. Tokens of
rotations that failed are not deleted as orphans: once a later one is published they are retired like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from rotator import ending, issuing, proving, steps
from rotator.act import Act, Ports, twice
from rotator.errors import (
    ConflictError,
    LockedOutError,
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    RotatorError,
    UnavailableError,
)
from rotator.model import (
    Credential,
    Grant,
    Held,
    Observation,
    Request,
    Secret,
    Stored,
    Token,
    TokenId,
    Unread,
    UnusableRecordError,
)
from rotator.observe import is_accepted, observe
from rotator.plan import Plan, decide, end_of, steps_for
from rotator.policy import Finding, Reason, not_retired, overlap_passed
from rotator.rotate import MOST_ACTS, carry_out
from rotator.view import View

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"


class Described(Protocol):
    """What AWS tells of a secret beside its value."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def stages(self) -> Mapping[str, frozenset[str]]:
        """Labels by version."""
        ...

    @property
    def rotates(self) -> bool:
        """Whether AWS's own rotation is on."""
        ...


class StagedSecret(Protocol):
    """A secret whose versions are put and promoted in steps: what the backend ``aws`` has beside the protocol."""

    def describe(self) -> Described | None:
        """Tell what AWS knows, None where there is no such secret."""
        ...

    def stored(self, version: str | None = None) -> Stored | None:
        """Read the fields of a version, of the current one unless told otherwise."""
        ...

    def held(self, version: str | None = None) -> Any:  # noqa: ANN401 - opaque, for ``put`` alone
        """Read the whole of a version."""
        ...

    def put(
        self,
        version: str,
        fields: Mapping[str, Secret],
        *,
        over: Any,  # noqa: ANN401 - what ``held`` gave
        rotation_token: Secret | None = None,
    ) -> bool:
        """Give a version its value, once: these fields over another version's. Raises: ``ConflictError``."""
        ...

    def promote(self, version: str, *, expected: str | None) -> None:
        """Make a version current, if the expected one still is. Raises: ``ConflictError``."""
        ...

    def unstage(self, version: str) -> None:
        """Take the pending label off a version."""
        ...


@dataclass(frozen=True)
class Rotation:
    """One rotation of one secret, as one call of the function sees it."""

    secret: StagedSecret
    credential: Credential
    ports: Ports
    version: str
    """AWS's ``ClientRequestToken``."""
    rotation_token: Secret | None = None
    """AWS's proof that the call comes from its rotation, where it gives one."""

    def create(self) -> None:
        """Issue a token and put it into the pending version.

        Repeat: nothing happens once the version has its value.
        Crash: a token that nobody knows the secret of, named in its comment as this rotation's; a repeat deletes it.
        Raises: ``RotatorError``.
        """
        if self._pending() is None:
            self._fill()
        with suppress(RotatorError):  # ``finish`` does it too, and must succeed
            self._sweep(self._required())

    def set(self) -> None:
        """Give the pending token its roles. Repeat: nothing changes."""
        act = self._act(self._required())
        if self.credential.privsep and not self._is_current(act):
            act.grants = self._grants(act)
            issuing.grant(act)

    def test(self) -> None:
        """Log in with the pending token everywhere; its permissions must be the declared ones, or its predecessor's.

        AWS also does this alone, with a copy of the current value, when rotation is switched on.
        """
        act = self._act(self._required())
        before = None if self._is_current(act) or act.view.current is None else act.view.current.id
        proving.verify(act, steps.Verify(before))

    def finish(self) -> None:
        """Make the pending version current, if what it was made after still is; then mark its token, end the old ones.

        It is tested once more: nothing that does not work becomes current, whatever was called before.
        Repeat: finishes what was left. Crash: both tokens live; a repeat, or the next rotation, retires the old one.
        Raises: ``ConflictError`` when somebody else published meanwhile: this rotation is over, its token deleted;
        ``RefusedError`` when the pending token is the current one, which must not be taken for one that lost.
        """
        token = self._required()
        self.test()
        act = self._act(token)
        if self._is_current(act):
            raise RefusedError(f"{token.id} is pending and is current already", hint=self._again())
        self._promote(act)
        self._confirm(token)
        self._sweep(token)
        self.finish_up()

    def finish_up(self) -> None:
        """Do what comes after publishing: mark the current token, retire and revoke what came before.

        What was adopted ends before its successor is marked, as in the executor's own plans.
        """
        act = self._act(None)
        if act.view.marker and not act.view.marker.published and act.view.record:
            adopted = [end_of(it, act.view) for it in act.view.others if act.view.is_adopted(it)]
            plan = Plan(act.plan.finding, (*adopted, steps.Mark(act.view.record.id)))
            carry_out(Act(self.ports, act.seen, plan, act.request, self.version))
        for _ in range(MOST_ACTS):
            view = View(self._observe())
            finding = overlap_passed(view) or not_retired(view)
            if finding is None:
                return
            plan = Plan(finding, tuple(steps_for(finding, view)))
            carry_out(Act(self.ports, view.seen, plan, Request(), self.version))

    def _fill(self) -> None:
        seen = self._observe()
        request = Request(forced=True)
        plan = decide(seen, request)
        if not plan.issues:
            raise RefusedError(plan.finding.message, hint=plan.finding.hint)
        act = Act(self.ports, seen, plan, request, self.version)
        if any(isinstance(step, steps.GrantRoles) for step in plan.steps):
            self._grants(act)  # or else nothing is issued
        issuing.issue(act, next(step for step in plan.steps if isinstance(step, steps.Issue)))
        self._put(act)

    def _put(self, act: Act) -> None:
        over = self.secret.held()
        try:
            fields = act.shown(act.current, self.credential.primary)
            twice(lambda: self._put_once(fields, over))
        except OutcomeUnknownError:
            raise  # it may be there, so the token stays; a repeat finds out
        except ConflictError:
            act.abandon()
            if self._pending() is None:
                raise
        except RotatorError:
            act.abandon()
            raise

    def _put_once(self, fields: Mapping[str, Secret], over: object) -> None:
        self.secret.put(self.version, fields, over=over, rotation_token=self.rotation_token)

    def _promote(self, act: Act) -> None:
        before = act.view.record
        if not self._follows(act):
            self.secret.unstage(self.version)
            raise self._lost(act, f"it holds {before.id if before else 'no token'} now")
        primary = act.seen.primary
        try:
            self.secret.promote(self.version, expected=primary.version if isinstance(primary, Held) else None)
        except ConflictError as error:
            raise self._lost(act, str(error)) from None

    def _follows(self, act: Act) -> bool:
        """Whether the current token is the one that the pending token was made to replace."""
        before, marker = act.view.record, act.view.markers[act.current.id]
        return marker.after == (before.id.name if before else "") or (not marker.after and act.view.current is None)

    def _lost(self, act: Act, why: str) -> ConflictError:
        act.is_ours_alone = True
        act.abandon()
        return ConflictError(
            f"somebody else published while this rotation was under way: {why}",
            hint="the rotation is over and its token deleted; start another one",
        )

    def _confirm(self, token: Token) -> None:
        stored = self.secret.stored()
        if stored is None or stored.version != self.version:
            raise RefusedError(f"version {self.version} was made current, and another one is", hint="start a rotation")
        if is_accepted(token, self.ports.pve) is False:
            raise LockedOutError(f"{token.id} is current and does not log in", hint="start another rotation at once")

    def _sweep(self, kept: Token) -> None:
        """Delete what else this rotation has made; only now, because nothing else can become its value any more."""
        for token in self._made_here():
            if token != kept.id:
                ending.revoke(self._act(None), token)

    def _made_here(self) -> Iterator[TokenId]:
        view = View(self._observe())
        yield from (token for token, marker in view.markers.items() if marker.rotation == self.version)

    def _grants(self, act: Act) -> tuple[Grant, ...]:
        return issuing.inherited(act) if self.credential.grants is None else self.credential.grants

    def _is_current(self, act: Act) -> bool:
        return act.view.record == act.new

    def _observe(self) -> Observation:
        """Observe; a secret that cannot be read now is no secret that somebody else has changed."""
        user = self.ports.pve.users().get(self.credential.userid)
        seen = observe(self.credential, self.ports.pve, self.ports.backends, user)
        if isinstance(seen.primary, Unread) and seen.primary.version is None:
            raise UnavailableError(seen.primary.message, hint=seen.primary.hint)
        return seen

    def _act(self, token: Token | None) -> Act:
        seen = self._observe()
        plan = Plan(Finding(Reason.FORCED, "asked for by AWS"))
        act = Act(self.ports, seen, plan, Request(forced=True), self.version, new=token)
        if token and not self._is_current(act):
            self._check_ours(act, token.id)
        return act

    def _check_ours(self, act: Act, token: TokenId) -> None:
        """Touch only what this rotation has made, whoever filled the version."""
        hint = self._again()
        if not any(state.id == token for state in act.seen.tokens):
            raise NotFoundError(f"{token} is pending and does not exist at PVE any more", hint=hint)
        marker = act.view.markers.get(token)
        if marker is None or marker.rotation != self.version:
            raise RefusedError(f"{token} is pending and was not made by this rotation", hint=hint)

    def _again(self) -> str:
        return f"take {PENDING} off version {self.version} and start another rotation"

    def _pending(self) -> Token | None:
        try:
            return self.credential.primary.shape.read(self.secret.stored(self.version))
        except UnusableRecordError as error:
            raise RefusedError(f"version {self.version} holds something that is no token: {error}") from None

    def _required(self) -> Token:
        token = self._pending()
        if token is None:
            raise RefusedError(f"version {self.version} has no token yet", hint="createSecret comes first")
        return token


STEPS: Mapping[str, Callable[[Rotation], None]] = {
    "createSecret": Rotation.create,
    "setSecret": Rotation.set,
    "testSecret": Rotation.test,
    "finishSecret": Rotation.finish,
}
"""What AWS calls the steps, in order."""
LAST = "finishSecret"
