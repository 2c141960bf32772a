"""Why PVE lets somebody in and then says no: the causes of 403. Facts are measured on PVE 9.2."""

from __future__ import annotations

from rotator.advice.cause import Cause

_PERMISSIONS = "Datacenter > Permissions > Add"
_EFFECTIVE = "pveum user token permissions {userid} {name}"

PERMISSIONS = (
    Cause(
        "privsep-without-acl",
        "{token} is privilege-separated and has no entry in the access control list",
        "it logs in, lists come back empty, and its permissions are {{}}; its user may do things",
        "it can do nothing: a privilege-separated token has only what it was given itself",
        ("pveum acl modify {path} --tokens '{token}' --roles {role}", _EFFECTIVE),
        f"{_PERMISSIONS} > API Token Permission",
    ),
    Cause(
        "user-lacks-role",
        "{userid} itself does not have what its token needs",
        "`pveum user permissions {userid}` lacks it; a token can do no more than its user, whatever it was granted",
        "the grant of the token is accepted by PVE and has no effect",
        ("pveum acl modify {path} --users {userid} --roles {role}",),
        f"{_PERMISSIONS} > User Permission",
    ),
    Cause(
        "acl-path-elsewhere",
        "the permissions of {token} are on another path",
        "`pveum acl list` has entries of it, none of them at {path} or above it, or one that does not propagate",
        "403 where it matters, although it was granted a role",
        ("pveum acl modify {path} --tokens '{token}' --roles {role}", "pveum acl list"),
        f"{_PERMISSIONS} > API Token Permission",
    ),
    Cause(
        "acl-path-missing",
        "there is nothing at {path}",
        "PVE accepts a grant on a guest, node, pool or realm that does not exist; nothing is covered by it",
        "the grant has no effect: what was meant has another name or number",
        ("pveum acl delete {path} --tokens '{token}' --roles {role}", "pvesh get /cluster/resources"),
        "Datacenter > Permissions: compare the paths with the tree on the left",
    ),
    Cause(
        "role-too-small",
        "the role of {token} on {path} does not have {privilege}",
        "there is an entry on the path, and `pveum role list` shows that its role lacks the privilege",
        "403 for the calls that need it, while others work",
        ("pveum role list", "pveum acl modify {path} --tokens '{token}' --roles {role}"),
        "Datacenter > Permissions > Roles",
    ),
)
