"""Verify: prove that the new token works everywhere and may do what it should, before anybody can read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial

from rotator import steps
from rotator.act import Act
from rotator.errors import RefusedError, UnavailableError
from rotator.events import Step
from rotator.model import Grant, Permissions, TokenId
from rotator.observe import nobody_answers
from rotator.pve import Consumer, Pve


def verify(act: Act, step: steps.Verify) -> None:
    """Log in with the new token on every endpoint, look at its permissions, do the probes.

    An endpoint that does not answer is noted, not a failure: a node that is down catches up when it comes back.
    ``/version`` proves the secret and nothing else (measured), hence the permissions; where these are looked at, they
    prove the secret too.
    Raises: ``UnavailableError`` when no endpoint answers; ``RefusedError``.
    """
    pve, credential = act.ports.pve, act.credential
    with act.narrator.step(Step.VERIFY, token=act.current.id) as telling:
        consumer, compare = pve.consumer(act.current), comparison(act, step.predecessor)
        silent: dict[str, UnavailableError] = {}
        for endpoint in pve.endpoints:
            look = partial(compared, consumer, compare) if compare else consumer.login
            if error := silence(act, partial(look, endpoint)):
                silent[endpoint] = error
            else:
                compare = None  # once is enough: they are the cluster's
        if len(silent) == len(pve.endpoints):
            raise nobody_answers(pve, list(silent.values()))
        act.notes += [f"not verified on {endpoint}: {error}" for endpoint, error in silent.items()]
        for probe in credential.probes:
            consumer.get(probe.path)
        if credential.is_operator:  # it must be able to go on managing tokens, its own among them
            consumer.get(f"/access/users/{credential.userid}/token")
        telling.say("; ".join(act.notes))


def silence(act: Act, look: Callable[[], None]) -> UnavailableError | None:
    """Look at one endpoint, again after a while where it refuses; return why when nobody answers there."""
    try:
        act.patiently(look, RefusedError)
    except UnavailableError as error:
        return error
    return None


def compared(consumer: Consumer, compare: Callable[[Permissions], None], endpoint: str) -> None:
    """Compare the permissions that one endpoint tells."""
    compare(consumer.permissions(endpoint))


def comparison(act: Act, predecessor: TokenId | None) -> Callable[[Permissions], None] | None:
    """Return what requires the declared grants to be effective, or else the permissions to be the predecessor's."""
    if act.credential.grants is not None:
        return partial(require_grants, privileges_of(act.credential.grants, act.ports.pve), act.credential.userid)
    before = permissions_before(act, predecessor) if predecessor else None
    if before is not None:
        return partial(require_equal, before)
    if predecessor or act.credential.privsep:  # without privilege separation a first token may do what its user may
        act.notes.append("nothing to compare its permissions with")
    return None


def privileges_of(grants: Iterable[Grant], pve: Pve) -> dict[str, frozenset[str]]:
    """Read the privileges that grants give on each path, those of all its roles together."""
    wanted: dict[str, frozenset[str]] = {}
    for grant in grants:
        wanted[grant.path] = wanted.get(grant.path, frozenset()) | pve.role(grant.role)
    return wanted


def permissions_before(act: Act, predecessor: TokenId) -> Permissions | None:
    """Read what the predecessor may do: as itself or, where its secret does not work, as the operator."""
    record = act.view.record
    if record and record.id == predecessor and act.seen.accepted is not False:
        with suppress(RefusedError):
            return act.ports.pve.consumer(record).permissions()
    with suppress(RefusedError):
        return act.ports.pve.permissions_of(str(predecessor)) or None  # {} is PVE's answer for an unknown token too
    return None


def require_grants(wanted: Mapping[str, frozenset[str]], userid: str, effective: Permissions) -> None:
    """Raise ``RefusedError`` unless every privilege of every granted role is effective on its path.

    Privilege separation is an intersection: what the user itself lacks, its token lacks too. Held means present, also
    with the value 0 (measured).
    """
    missing = [
        f"{privilege} on {path}"
        for path, privileges in sorted(wanted.items())
        for privilege in sorted(privileges - effective.get(path, {}).keys())
    ]
    if missing:
        raise RefusedError(
            f"granted, but not effective: {shortened(missing)}",
            hint=f"a privilege-separated token can do no more than its user: give {userid} itself these privileges",
        )


def require_equal(before: Permissions, after: Permissions) -> None:
    """Raise ``RefusedError`` unless a token may do exactly what its predecessor may."""
    if before != after:
        raise RefusedError(
            f"the new token's permissions are not those of its predecessor: {difference(before, after)}",
            hint="declare the wanted `grants:`, or make `privsep:` what the predecessor has",
        )


def difference(before: Permissions, after: Permissions) -> str:
    """Put into words what the one set of permissions lacks and gains against the other."""
    lacks, gains = list(beyond(before, after)), list(beyond(after, before))
    parts = [f"lacks {shortened(lacks)}"] * bool(lacks) + [f"gains {shortened(gains)}"] * bool(gains)
    return "; ".join(parts) or "propagation differs"


def beyond(these: Permissions, those: Permissions) -> list[str]:
    """List what these hold and those do not."""
    return [
        f"{privilege} on {path}"
        for path, privileges in sorted(these.items())
        for privilege in sorted(privileges.keys() - those.get(path, {}).keys())
    ]


def shortened(items: list[str], most: int = 6) -> str:
    """Write a list for people, the rest as a number."""
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
