"""Preflight, issue, grant: everything before the new token is looked at. A failure here has touched no consumer."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from rotator import steps
from rotator.act import Act, LostError, twice
from rotator.errors import (
    ConflictError,
    OutcomeUnknownError,
    RefusedError,
    RotatorError,
    UnavailableError,
    UnreachableError,
)
from rotator.events import Step
from rotator.marker import Marker, Name
from rotator.model import Grant, Token, TokenId, TokenState


def preflight(act: Act, step: steps.Preflight) -> None:
    """Ask whether the destinations may be written and whether it is known what to grant.

    That the operator may manage this user's tokens is not asked: it refuses to issue, and nothing was touched either.
    """
    for destination in (act.credential.destinations[i] for i in step.destinations):
        with act.narrator.step(Step.PREFLIGHT, destination=destination.label):
            act.ports.backends[destination.backend].preflight(destination.location)
    if any(isinstance(it, steps.GrantRoles) for it in act.plan.steps):
        act.grants = inherited(act) if act.credential.grants is None else act.credential.grants


def inherited(act: Act) -> tuple[Grant, ...]:
    """Find out what the predecessor may do by its own entries. Raises: ``LostError`` when it is gone."""
    old = act.view.current
    if old is not None and old.privsep:
        with act.narrator.step(Step.PREFLIGHT, token=old.id) as telling:
            telling.say("its own grants are inherited")
            found = act.ports.pve.grants(old.id)
            if not found:  # PVE says so of one that was deleted, too
                require_known(act, old.id)
            return found
    why = "there is no predecessor" if old is None else f"{old.id} is not privilege-separated and has none of its own"
    raise RefusedError(
        f"what to grant is not known: {why}",
        hint=f"declare `grants:` of {act.credential.name}, or set `privsep: false`, so that its tokens may do all that "
        f"{act.credential.userid} may",
    )


def require_known(act: Act, predecessor: TokenId) -> None:
    """Raise ``LostError`` when a predecessor was deleted since it was listed: its grants went with it."""
    if all(it.id != predecessor for it in act.ports.pve.tokens(predecessor.userid)):
        raise LostError(f"{predecessor} was deleted by somebody else in between")


def issue(act: Act, step: steps.Issue) -> None:
    """Create the token; when no answer came, delete what may have come into being and take another name, once.

    Crash: a token whose secret nobody knows; later runs delete it as an orphan.
    """
    now = act.ports.pve.now()
    act.marker = marker(act, now, step.predecessor.name if step.predecessor else "")
    act.expire = end(act, now)
    for attempt in (1, 2):
        token = TokenId(act.credential.userid, name(act, step.serial))
        try:
            with act.narrator.step(Step.ISSUE, token=token):
                secret = act.ports.pve.issue(
                    token, privsep=act.credential.privsep, expire=act.expire, comment=act.marker.comment()
                )
        except (OutcomeUnknownError, ConflictError) as error:
            if isinstance(error, OutcomeUnknownError) and (silence := sweep(act, token)):
                silence.step = error.step
                raise silence from error
            if step.serial is None or attempt == 2:  # noqa: PLR2004 - the last of the two
                raise
        else:
            act.new, act.is_ours_alone = Token(token, secret), True
            act.tokens[token] = TokenState(token, act.expire, act.credential.privsep, act.marker.comment())
            return


def marker(act: Act, now: datetime, after: str = "") -> Marker:
    """Make the marker of a token that is issued now."""
    return Marker(act.credential.owner, act.credential.name, act.rotation, now, after)


def end(act: Act, now: datetime) -> datetime | None:
    """Return the end that PVE is to enforce, if the credential has a lifetime."""
    return now + act.credential.lifetime if act.credential.lifetime else None


def name(act: Act, serial: int | None) -> str:
    """Make a name that was never used, or the pinned one."""
    return act.credential.base if serial is None else str(Name(act.credential.base, serial, act.ports.draw()))


def sweep(act: Act, token: TokenId) -> UnreachableError | None:
    """Delete a token that may have come into being without anybody knowing its secret; it may still come later.

    Where nobody answers any more this returns why, so that nobody else is made to wait for that cluster.
    """
    try:
        with act.narrator.step(Step.REVOKE, token=token) as telling:
            telling.say("no answer when it was issued, so nobody knows its secret")
            if any(it.id == token for it in act.ports.pve.tokens(token.userid)):
                act.ports.pve.revoke(token)
    except UnreachableError as silence:
        return silence
    except RotatorError:
        return None
    return None


def regenerate(act: Act, step: steps.Regenerate) -> None:
    """Replace the secret in place; end and comment change in the same call, so nothing is half done.

    Crash: the old secret is dead and the new one lost; the next run finds the record refused and does it again.
    """
    now = act.ports.pve.now()
    act.marker, act.expire, act.has_begun = marker(act, now), end(act, now), True
    with act.narrator.step(Step.REGENERATE, token=step.token):
        try:
            comment = act.marker.comment(step.keep)
            act.new = Token(step.token, act.ports.pve.regenerate(step.token, expire=act.expire, comment=comment))
            act.tokens[step.token] = TokenState(step.token, act.expire, act.credential.privsep, comment)
        except (RefusedError, UnavailableError):
            act.has_begun = False
            raise


def grant(act: Act) -> None:
    """Give the new token its roles, one entry at a time."""
    token = act.current.id
    for entry in act.grants:
        with act.narrator.step(Step.GRANT, token=token) as telling:
            telling.say(f"{entry.role} on {entry.path}")
            twice(partial(act.ports.pve.grant, token, entry))
