"""Prove what the consumers will read: every destination of every credential, whether anything is due or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from rotator.errors import ExitCode, RefusedError, RotatorError, UnauthenticatedError, UnavailableError
from rotator.fleet import Lane
from rotator.model import Credential, Destination, Held, Permissions, Token, Unread, UserState
from rotator.observe import nobody_answers, read
from rotator.proving import difference, privileges_of, require_grants
from rotator.pve import Pve
from rotator.view import own_marker

MOST_LOOKS = 3
"""How often the records are read where one rotation after the other passes by."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What one destination of one credential gave: the token it holds and whether that works."""

    credential: str
    cluster: str
    destination: str
    exit_code: ExitCode
    message: str
    token: str = ""
    hint: str = ""


def prove(lane: Lane, credential: Credential, *, refused: RotatorError | None = None) -> list[Proof]:
    """Read every destination and log in on every endpoint with exactly what was read; changes nothing.

    ``refused`` is why PVE does not let the operator in: it is not asked then, and what a token may do is not known.

    A rotation may end what was read meanwhile, so that where somebody seems to be locked out it is looked at again.
    """
    proofs: list[Proof] = []
    for _ in range(MOST_LOOKS):
        held = read_all(lane, credential)
        if was_never_issued(credential, lane.users.get(credential.userid), held):
            return [unserved(credential, place) for place in credential.destinations]
        proofs = prove_all(lane, credential, held, refused)
        if is_well(proofs) or read_all(lane, credential) == held:
            break
    return proofs


def read_all(lane: Lane, credential: Credential) -> list[Held | Unread]:
    """Read every destination."""
    return [read(destination, lane.fleet.backends) for destination in credential.destinations]


def was_never_issued(credential: Credential, user: UserState | None, held: Sequence[Held | Unread]) -> bool:
    """Whether a paused credential never had a token, as far as PVE's list and the stores tell: so nobody reads one."""
    is_empty = all(isinstance(it, Held) and it.token is None for it in held)
    is_listed = user is None or any(own_marker(credential, it) for it in user.tokens)
    return credential.paused and is_empty and not is_listed


def unserved(credential: Credential, place: Destination) -> Proof:
    """Prove a destination from which nobody was served yet."""
    message = "holds no token: paused before the first was issued"
    return Proof(credential.name, credential.cluster, place.label, ExitCode.DONE, message)


def is_well(proofs: Iterable[Proof]) -> bool:
    """Whether nobody is locked out, as far as is known."""
    return all(proof.exit_code is not ExitCode.LOCKED_OUT for proof in proofs)


def prove_all(
    lane: Lane, credential: Credential, held: Sequence[Held | Unread], refused: RotatorError | None
) -> list[Proof]:
    """Judge what all destinations hold."""
    primary = held[0].token if isinstance(held[0], Held) else None
    return [
        prove_one(lane.pve, credential, destination, it, primary, refused)
        for destination, it in zip(credential.destinations, held, strict=True)
    ]


def prove_one(  # noqa: PLR0917 - all that a verdict depends on
    pve: Pve,
    credential: Credential,
    destination: Destination,
    held: Held | Unread,
    primary: Token | None,
    refused: RotatorError | None,
) -> Proof:
    """Judge what one destination holds."""

    def proof(code: ExitCode, message: str, hint: str = "") -> Proof:
        token = str(held.token.id) if isinstance(held, Held) and held.token else ""
        return Proof(credential.name, credential.cluster, destination.label, code, message, token, hint)

    if isinstance(held, Unread):
        return proof(ExitCode.FAILED, held.message, held.hint)
    if held.token is None:
        return proof(ExitCode.LOCKED_OUT, "holds no token", f"issue the first: rotate now {credential.name}")
    code, message, hint = try_token(pve, credential, held.token, refused)
    if code is ExitCode.DONE and held.token != primary:
        return proof(ExitCode.FAILED, "works, but is not what the primary holds", "finish it: rotate due")
    if code is ExitCode.DONE and not held.is_complete:
        hint = f"write it anew: rotate now {credential.name}"
        return proof(ExitCode.FAILED, "works, but not every key shows it as configured", hint)
    return proof(code, message, hint)


def try_token(
    pve: Pve, credential: Credential, token: Token, refused: RotatorError | None
) -> tuple[ExitCode, str, str]:
    """Say what happens to a consumer that uses this token: how grave it is, in words, and a hint."""
    try:
        require = anything if refused else requirement(pve, credential)
    except RotatorError as error:  # asked as the operator: says nothing of the token
        return ExitCode.FAILED, f"cannot be judged: {error}", error.hint
    try:
        silent = log_in_everywhere(pve, token)
        consumer = pve.consumer(token)
        require(consumer.permissions())
        for probe in credential.probes:
            consumer.get(probe.path)
    except UnauthenticatedError as error:
        hint = f"replace it: rotate now {credential.name}; why it is refused: rotate doctor {credential.name}"
        return ExitCode.LOCKED_OUT, f"does not log in: {error}", hint
    except UnavailableError as error:
        return ExitCode.FAILED, f"cannot be tried: {error}", error.hint
    except RotatorError as error:
        return ExitCode.LOCKED_OUT, f"logs in; {error}", error.hint
    works = f"works; no answer from {', '.join(silent)}" if silent else "works on every endpoint"
    if refused:
        return ExitCode.FAILED, f"{works}; what it may do cannot be judged: {refused}", refused.hint
    return ExitCode.DONE, works, ""


def log_in_everywhere(pve: Pve, token: Token) -> list[str]:
    """Log in on every endpoint and return those that did not answer; raises when one refuses or none answers."""
    consumer, silent = pve.consumer(token), dict[str, UnavailableError]()
    for endpoint in pve.endpoints:
        try:
            consumer.login(endpoint)
        except UnavailableError as error:
            silent[endpoint] = error
    if len(silent) == len(pve.endpoints):
        raise nobody_answers(pve, list(silent.values()))
    return list(silent)


def requirement(pve: Pve, credential: Credential) -> Callable[[Permissions], None]:
    """Find out what a token must be allowed: what is declared, or, without privilege separation, what its user is."""
    if credential.grants is not None:
        wanted = privileges_of(credential.grants, pve)
        return partial(require_grants, wanted, credential.userid)
    if credential.privsep:
        return anything
    try:
        before = pve.permissions_of(credential.userid)
    except RefusedError:  # without Sys.Audit on /access there is nothing to compare with
        return anything
    return lambda effective: require_those_of_user(credential, before, effective)


def anything(_effective: Permissions) -> None:
    """Require nothing."""


def require_those_of_user(credential: Credential, before: Permissions, after: Permissions) -> None:
    """Raise ``RefusedError`` unless a token may do what its user may."""
    if before != after:
        raise RefusedError(
            f"its permissions are not those of {credential.userid}: {difference(before, after)}",
            hint=f"was it given privilege separation by hand? replace it: rotate now {credential.name}",
        )
