"""Ask everybody, yield one observation. It decides nothing and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rotator.backend import Backend
from rotator.errors import RotatorError, UnauthenticatedError, UnavailableError
from rotator.model import (
    Credential,
    Destination,
    Held,
    Observation,
    Stored,
    Token,
    Unread,
    UnusableRecordError,
    UserState,
)
from rotator.pve import Pve
from rotator.view import View


def observe(credential: Credential, pve: Pve, backends: Mapping[str, Backend], user: UserState | None) -> Observation:
    """Read every destination, *then* list the user's tokens; ask whether an unfinished record logs in.

    The order matters: a token that a record names and the later list lacks is really gone. ``user`` is what the
    cluster's list said of the user, None when it was not in it.

    Raises: what ``Pve.tokens`` raises; a destination that cannot be read is an observation, not an error.
    """
    return observe_tokens(by_list(credential, pve, backends, user or UserState(credential.userid)), pve)


def by_list(credential: Credential, pve: Pve, backends: Mapping[str, Backend], user: UserState) -> Observation:
    """Read every destination, and take the tokens from what the cluster's list said before: it is the older of the two.

    It shows less than ``observe``: see ``rotator.plan.is_settled_by_list``.
    """
    destinations = tuple(read(destination, backends) for destination in credential.destinations)
    now = pve.now()
    return Observation(credential, now, user.tokens, destinations, user_usable=user.is_usable(now))


def observe_tokens(seen: Observation, pve: Pve) -> Observation:
    """List the user's tokens after its destinations were read; ask whether an unfinished record logs in.

    Raises: what ``Pve.tokens`` raises.
    """
    seen = replace(seen, tokens=pve.tokens(seen.credential.userid), now=pve.now())
    view = View(seen)
    if view.record and view.marker and is_doubtful(view) and seen.user_usable:
        seen = replace(seen, accepted=is_accepted(view.record, pve))
    return seen


def is_doubtful(view: View) -> bool:
    """Whether the record is unfinished, or a mirror has another secret of the one name that a pinned token keeps.

    Which of the two is the newer one the name does not tell then: the record may have been read just before somebody
    replaced it, or from a replica that lags behind.
    """
    others = (it.token for it in view.seen.destinations if isinstance(it, Held) and it.token != view.record)
    return not view.is_finished or (view.is_pinned and any(others))


def read(destination: Destination, backends: Mapping[str, Backend]) -> Held | Unread:
    """Read one destination."""
    try:
        stored = backends[destination.backend].read(destination.location)
    except RotatorError as error:
        return Unread(f"{destination.label}: {error}", error.hint)
    return understood(destination, stored)


def understood(destination: Destination, stored: Stored | None) -> Held | Unread:
    """Put what a destination was found to hold into the protocol's terms."""
    version = stored.version if stored else None
    try:
        token = destination.shape.read(stored)
    except UnusableRecordError as error:
        keys = " and ".join(destination.shape.keys)
        hint = f"put back what was there, or remove {keys} so that a new token is issued"
        return Unread(f"{destination.label} holds something that is no token: {error}", hint, version)
    return Held(token, version, not (stored and token) or destination.shape.shows(stored, token))


def is_accepted(token: Token, pve: Pve) -> bool | None:
    """Say whether PVE takes this token on any endpoint; None when nobody answered."""
    try:
        return takes(pve, token)
    except UnavailableError:
        return None


def takes(pve: Pve, token: Token) -> bool:
    """Say whether PVE takes this token on any endpoint.

    A node that was cut off refuses what is new until it has caught up (measured), so one yes counts.
    Raises: ``UnavailableError``, which says why, when nobody answered.
    """
    consumer, refused, failures = pve.consumer(token), False, list[UnavailableError]()
    for endpoint in pve.endpoints:
        try:
            consumer.login(endpoint)
        except UnauthenticatedError:
            refused = True
        except UnavailableError as error:
            failures.append(error)
        else:
            return True
    if not refused:
        raise nobody_answers(pve, failures)
    return False


def nobody_answers(pve: Pve, failures: Sequence[UnavailableError]) -> UnavailableError:
    """Make one error of what went wrong at each endpoint."""
    every = "; ".join(failure.message for failure in failures)
    return UnavailableError(f"no endpoint of cluster {pve.name} answers: {every}", hint=failures[0].hint)
