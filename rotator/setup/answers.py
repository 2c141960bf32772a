"""What a set-up is asked for, and which things follow from it. Pure.

The operator gets one privilege, ``User.Modify``, on one group (measured on PVE 9.2: that is what listing, issuing,
changing and deleting tokens of the group's members needs). The managed tokens have no privileges apart from their
user's, so that nobody has to be given ``Permissions.Modify``, nor ``Sys.Audit`` to see what was granted. The operator's
own user is no member of that group: who could manage itself could go on after its token was revoked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rotator.errors import RefusedError
from rotator.model import Grant
from rotator.setup.things import Entry, Group, Member, OperatorToken, Role, Thing, User

PRIVILEGES = frozenset({"User.Modify"})
"""What the operator's role has, on the group alone."""
ROOT = "root@pam"
OPERATOR = "rotator@pve"
"""What the operator is called unless it is said."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything that a configuration and the things at PVE are made of."""

    owner: str
    cluster: str
    endpoints: tuple[str, ...]
    tls: Mapping[str, Any]
    name: str
    userid: str
    grants: tuple[Grant, ...]
    place: Mapping[str, Any]
    operator_place: Mapping[str, Any]
    token: str
    """The name of the operator's token."""
    preset: str = ""
    store: Mapping[str, Any] = field(default_factory=dict)
    """The backend that the places are in, {} for files, which need not be configured."""
    group: str = "rotated"
    role: str = "TokenRotator"
    operator: str = OPERATOR
    every: str = "30d"
    overlap: str = "24h"


def check_managed(userid: str, operator: str) -> None:
    """Return for a user whose tokens may be managed. Raises: ``RefusedError``."""
    if userid == ROOT:
        raise RefusedError(
            "root@pam is not to be managed: whoever manages its tokens can make one that may do anything",
            hint="give the consumer a user of its own",
        )
    if userid == operator:
        raise RefusedError(
            f"{operator} would manage its own tokens, and so outlive their revocation",
            hint="give the consumer a user of its own",
        )


def things_of(answers: Answers) -> tuple[Thing, ...]:
    """List what is wanted, each after what it needs. Raises: ``RefusedError`` for users that must not be managed."""
    check_managed(answers.userid, answers.operator)
    managed = User(answers.userid)
    return (
        Group(answers.group),
        Role(answers.role, PRIVILEGES),
        User(answers.operator),
        Entry(f"/access/groups/{answers.group}", answers.role, answers.operator),
        managed,
        Member(managed.userid, answers.group),
        *(Entry(grant.path, grant.role, managed.userid) for grant in answers.grants),
        OperatorToken(answers.operator, answers.token),
    )
