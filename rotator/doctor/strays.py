"""Tokens that nobody rotates: found in PVE's own list, judged by what PVE tells of them. Pure, but for ``find``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rotator.doctor.gather import Look
from rotator.doctor.token_checks import held
from rotator.errors import RotatorError
from rotator.marker import Marker
from rotator.model import Credential, Permissions, TokenId, TokenState, UserState
from rotator.view import View, at_a_glance


class Remark(StrEnum):
    """What makes a token worth taking over, or what is odd about it."""

    AGE_UNKNOWN = "age-unknown"
    NEVER_EXPIRES = "never-expires"
    PRIVSEP_OFF = "privsep-off"
    OVER_PRIVILEGED = "over-privileged"
    PERMISSIONS_UNKNOWN = "permissions-unknown"
    EXPIRED = "expired"
    USER_DISABLED = "user-disabled"
    OPERATOR = "operator"
    UNCONFIGURED = "unconfigured"


RISKS: tuple[tuple[str, str, str], ...] = (
    ("Permissions.Modify", "/", "may change every permission"),
    ("Permissions.Modify", "/access", "may change every permission"),
    ("User.Modify", "/access/groups", "may make tokens of root@pam"),
    ("Sys.Modify", "/", "may change every node"),
    ("Sys.PowerMgmt", "/", "may power every node off"),
    ("VM.Allocate", "/", "may delete every guest"),
    ("Datastore.Allocate", "/", "may delete every storage"),
)
"""Privilege, path, and what they come to: more than a token should have that is never replaced."""


@dataclass(frozen=True, slots=True)
class Stray:
    """A token that nobody rotates. ``credential`` is the configured one whose record holds it, "" for none."""

    cluster: str
    token: TokenId
    expires: datetime | None
    privsep: bool
    comment: str
    credential: str = ""
    remarks: tuple[Remark, ...] = ()
    risks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of tokens beside PVE's list: who we are, what is configured, what records hold."""

    owner: str
    credentials: Sequence[Credential]
    operator: TokenId | None = None
    holders: Mapping[TokenId, str] | None = None
    """Which credential's record holds a token."""


def find(look: Look, owner: str, credentials: Sequence[Credential], holders: Mapping[TokenId, str]) -> list[Stray]:
    """Find the strays of a cluster, as far as the operator sees its users."""
    known = Known(owner, credentials, operator_of(look), holders)
    now = look.pve.now()
    return [
        judged(look.pve.name, user, token, known, look.permissions_of(str(token.id)), now)
        for user, token in unrotated(look.users.values(), known, now)
    ]


def operator_of(look: Look) -> TokenId | None:
    """Tell the token that the rotator itself uses, None when it is none, or not known."""
    try:
        return look.identity[1]
    except RotatorError:
        return None


def unrotated(users: Iterable[UserState], known: Known, now: datetime) -> Iterator[tuple[UserState, TokenState]]:
    """Yield the tokens without a marker, and those of ours that no configured credential knows any more."""
    for user in sorted(users, key=lambda it: it.userid):
        counted = rotated(user, known, now)
        for token in sorted(user.tokens, key=lambda it: it.id.name):
            marker = Marker.parse(token.comment)
            if marker is None or (token.id not in counted and is_left_over(marker, token, known)):
                yield user, token


def rotated(user: UserState, known: Known, now: datetime) -> frozenset[TokenId]:
    """Return the tokens of a user that its configured credentials take for their own."""
    views = (View(at_a_glance(it, user, now)) for it in known.credentials if it.userid == user.userid)
    return frozenset(token.id for view in views for token in view.ours)


def is_left_over(marker: Marker, token: TokenState, known: Known) -> bool:
    """Say whether we issued it for a credential that is configured no more or otherwise, and whose record lacks it."""
    return marker.owner == known.owner and (known.holders or {}).get(token.id) != marker.credential


def judged(  # noqa: PLR0917 - all that a remark depends on
    cluster: str, user: UserState, token: TokenState, known: Known, permissions: Permissions | None, now: datetime
) -> Stray:
    """Put what PVE tells of a token into remarks."""
    risks = risks_of(permissions or {})
    said = {
        Remark.AGE_UNKNOWN: Marker.parse(token.comment) is None,
        Remark.NEVER_EXPIRES: token.expire is None,
        Remark.PRIVSEP_OFF: not token.privsep,
        Remark.OVER_PRIVILEGED: bool(risks),
        Remark.PERMISSIONS_UNKNOWN: permissions is None,
        Remark.EXPIRED: token.is_expired(now),
        Remark.USER_DISABLED: not user.is_usable(now),
        Remark.OPERATOR: token.id == known.operator,
        Remark.UNCONFIGURED: Marker.parse(token.comment) is not None,
    }
    remarks = tuple(remark for remark, holds in said.items() if holds)
    holder = (known.holders or {}).get(token.id, "")
    return Stray(cluster, token.id, token.expire, token.privsep, token.comment, holder, remarks, risks)


def risks_of(permissions: Permissions) -> tuple[str, ...]:
    """Say what permissions come to that a token should not have for ever; each once."""
    return tuple(dict.fromkeys(what for privilege, path, what in RISKS if privilege in held(permissions, path)))
