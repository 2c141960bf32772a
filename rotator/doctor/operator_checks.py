"""What is wrong with the rotator's own access: too much, or too little. Small pure checks."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from datetime import timedelta

from rotator.doctor.evidence import OperatorSeen
from rotator.doctor.finding import Finding, Severity, found
from rotator.doctor.token_checks import held
from rotator.model import Credential, Strategy
from rotator.view import at

ROOT = "root@pam"
SOON = timedelta(days=14)
TOPS = ("/", "/access")
GROUPS = "/access/groups"
OWNERS = {"/storage/": "Datastore.Allocate", "/vms/": "VM.Allocate", "/pool/": "Pool.Allocate"}
"""Who may allocate one object may also grant roles on it (measured)."""

Check = Callable[[OperatorSeen], Finding | None]


def about(seen: OperatorSeen, **more: str) -> dict[str, str]:
    """Say what is known of the operator, for the text of a finding."""
    token = {"token": str(seen.token), "name": seen.token.name} if seen.token else {}
    known = {"operator": seen.userid, "userid": seen.userid, "cluster": seen.cluster, "group": group_to_manage(seen)}
    return known | token | more


def group_to_manage(seen: OperatorSeen) -> str:
    """Name a group of the consumers' users, "" where there is none: who manages one with root in it may do anything."""
    users = (seen.users[it.userid] for it in seen.credentials if it.userid in seen.users)
    roots = seen.users[ROOT].groups if ROOT in seen.users else ()
    return next((group for user in users for group in sorted(user.groups) if group not in roots), "")


def is_root(seen: OperatorSeen) -> Finding | None:
    """See root itself; a privilege-separated token of root's may be weak."""
    if seen.userid != ROOT or "Permissions.Modify" not in held(seen.permissions, "/"):
        return None
    return too_much("operator-is-root", "it is root@pam, and holds Permissions.Modify on /", about(seen))


def is_administrator(seen: OperatorSeen) -> Finding | None:
    """See that it can change any permission, its own included."""
    path = next((it for it in TOPS if "Permissions.Modify" in held(seen.permissions, it)), "")
    if not path:
        return None
    return too_much("operator-is-administrator", f"it holds Permissions.Modify on {path}", about(seen, path=path))


def manages_everybody(seen: OperatorSeen) -> Finding | None:
    """See that it manages all groups, and so root@pam."""
    if "User.Modify" not in held(seen.permissions, GROUPS):
        return None
    path = next((it for it in TOPS if "User.Modify" in held(seen.permissions, it)), GROUPS)
    return too_much("operator-manages-everybody", f"it holds User.Modify on {path}", about(seen, path=path))


def manages_itself(seen: OperatorSeen) -> Finding | None:
    """See that it manages its own user, although nothing rotates it."""
    user = seen.users.get(seen.userid)
    own = sorted({*(user.groups if user else ())} & {*seen.managed_groups})
    if seen.is_rotated or not own:
        return None
    others = shlex.quote(",".join(sorted({*(user.groups if user else ())} - {*own})))
    evidence = f"{seen.userid} is in {own[0]}, and holds User.Modify on {GROUPS}/{own[0]}"
    return too_much("operator-manages-itself", evidence, about(seen, group=own[0], others=others))


TOO_MUCH: tuple[Check, ...] = (is_root, is_administrator, manages_everybody, manages_itself)


def too_much(code: str, evidence: str, values: dict[str, str]) -> Finding:
    """Make the finding of a power that is not needed."""
    return found(code, evidence, about=values, severity=Severity.WARNING)


def cannot_manage(seen: OperatorSeen) -> Iterator[Finding]:
    """Name each user whose tokens it should manage and may not."""
    for userid, said in sorted(seen.unmanaged.items()):
        group = next(iter(seen.managed_groups), "")
        values = about(seen, userid=userid, group=group, role="TokenRotator")
        groups = f"it holds User.Modify for these groups: {', '.join(seen.managed_groups) or 'none'}"
        yield found("operator-cannot-manage", said, groups, about=values)


def cannot_see_acl(seen: OperatorSeen) -> Iterator[Finding]:
    """See that the access control list is shorter than it should be, where its content is needed."""
    if "Sys.Audit" in held(seen.permissions, "/access"):
        return
    names = ", ".join(it.name for it in seen.credentials if inherits(it))
    if names:
        evidence = (f"it does not hold Sys.Audit on /access; {names} inherit what the predecessor was granted",)
        yield found("operator-cannot-see-acl", *evidence, about=about(seen))


def inherits(credential: Credential) -> bool:
    """Say whether a credential's grants are read off its predecessor."""
    return credential.privsep and credential.grants is None and credential.strategy is Strategy.FRESH


def cannot_grant(seen: OperatorSeen) -> Iterator[Finding]:
    """Name each path that it should grant roles on and may not."""
    declared = (it for it in seen.credentials if it.privsep and it.strategy is Strategy.FRESH)
    paths = {grant.path for credential in declared for grant in credential.grants or ()}
    for path in sorted(paths):
        if not may_grant(seen, path):
            yield found(
                "operator-cannot-grant",
                f"it does not hold {' or '.join(granting(path))} there",
                about=about(seen, path=path),
            )


def granting(path: str) -> list[str]:
    """List the privileges of which any lets one grant roles on a path."""
    return ["Permissions.Modify", *(it for start, it in OWNERS.items() if path.startswith(start))]


def may_grant(seen: OperatorSeen, path: str) -> bool:
    """Say whether it may grant roles on a path."""
    return not held(seen.permissions, path).isdisjoint(granting(path))


def expires(seen: OperatorSeen) -> Iterator[Finding]:
    """See its own end come near while nothing renews it."""
    end = seen.own_state.expire if seen.own_state else None
    if end is not None and end - seen.now < SOON and not seen.is_rotated:
        evidence = f"PVE ends it at {at(end)}; at PVE it is {at(seen.now)}"
        yield found("operator-expires", evidence, about=about(seen), severity=Severity.WARNING)


TOO_LITTLE: tuple[Callable[[OperatorSeen], Iterator[Finding]], ...] = (
    cannot_manage,
    cannot_see_acl,
    cannot_grant,
    expires,
)


def powers(seen: OperatorSeen) -> list[Finding]:
    """Find what the operator can do too much (the gravest alone) and too little."""
    too_much_of_it = next((finding for check in TOO_MUCH if (finding := check(seen))), None)
    return [*([too_much_of_it] if too_much_of_it else []), *(it for check in TOO_LITTLE for it in check(seen))]


def unknown_of(seen: OperatorSeen) -> list[str]:
    """Say what could not be found out."""
    if seen.token is None or seen.is_rotated or seen.own_state is not None:
        return []
    return [f"when {seen.token} ends: PVE shows an operator's own token only to who manages its user"]
