"""Why a token does not do what it should: small pure checks in order, the first finding of each list counts.

``REFUSED`` explains a 401 from the operator's side, without asking PVE with the secret; ``FORBIDDEN`` explains a 403
once the token logs in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from rotator.doctor.evidence import Login, TokenSeen
from rotator.doctor.finding import Finding, found
from rotator.model import Permissions
from rotator.view import at


def realm_wrong(seen: TokenSeen) -> Finding | None:
    """Look for the realm among PVE's; and for the user in another one, if all users are seen."""
    if seen.user is not None:
        return None
    realm = seen.token.userid.rpartition("@")[2]
    if seen.realms and realm not in seen.realms:
        evidence = f"PVE has the realms {', '.join(seen.realms)}, and none called {realm}"
        return found("realm-wrong", evidence, about=seen.values)
    return namesake(seen) if seen.everybody else None


def namesake(seen: TokenSeen) -> Finding | None:
    """See a user of the same name in another realm; it explains a refusal, where the user itself may be unseen."""
    if seen.user is not None:
        return None
    name = seen.token.userid.rpartition("@")[0]
    twins = sorted(userid for userid in seen.users if userid.rpartition("@")[0] == name)
    if not twins:
        return None
    return found("realm-wrong", f"PVE has {', '.join(twins)}, and lists no {seen.token.userid}", about=seen.values)


def user_gone(seen: TokenSeen) -> Finding | None:
    """Miss the user in a list that is complete."""
    if seen.user is not None or not seen.everybody:
        return None
    return found("user-gone", "the operator sees all users, and it is not among them", about=seen.values)


def user_disabled(seen: TokenSeen) -> Finding | None:
    """See the user disabled."""
    if seen.user is None or seen.user.enabled:
        return None
    return found("user-disabled", f"PVE lists {seen.token.userid} with enable 0", about=seen.values)


def user_expired(seen: TokenSeen) -> Finding | None:
    """See the user's end passed."""
    if seen.user is None or seen.user.is_usable(seen.now):
        return None
    evidence = f"{seen.token.userid} ended at {at(seen.user.expire)}; at PVE it is {at(seen.now)}"
    return found("user-expired", evidence, about=seen.values)


def token_gone(seen: TokenSeen) -> Finding | None:
    """Miss the token in its user's list, on every node."""
    if seen.user is None or seen.state is not None or seen.is_elsewhere:
        return None
    names = ", ".join(it.id.name for it in seen.user.tokens) or "none"
    return found("token-gone", f"PVE lists these tokens of {seen.token.userid}: {names}", about=seen.values)


def token_expired(seen: TokenSeen) -> Finding | None:
    """See the token's end passed."""
    if seen.state is None or not seen.state.is_expired(seen.now):
        return None
    evidence = f"PVE ended it at {at(seen.state.expire)}; at PVE it is {at(seen.now)}"
    return found("token-expired", evidence, about=seen.values)


Check = Callable[[TokenSeen], Finding | None]

OF_USERS: tuple[Check, ...] = (realm_wrong, user_gone, user_disabled, user_expired)
REFUSED: tuple[Check, ...] = (*OF_USERS, token_gone, token_expired)


def why_refused(seen: TokenSeen) -> Finding | None:
    """Explain a 401 from what the operator sees; None when the secret must be tried."""
    return next((finding for check in REFUSED if (finding := check(seen))), None)


def why_no_user(seen: TokenSeen) -> Finding | None:
    """Explain why a user cannot log in, whatever it shows."""
    return next((finding for check in OF_USERS if (finding := check(seen))), None)


def secret_wrong(seen: TokenSeen) -> Finding | None:
    """Blame the secret when nothing else is left; without sight of the token, say that it is not known."""
    if seen.login is Login.UNFIT:
        evidence = "it is empty, or has white space or other characters that no secret has; PVE was not asked"
        return found("secret-misshapen", evidence, about=seen.values)
    if seen.login is not Login.REFUSED or seen.is_elsewhere:
        return None
    if seen.state is None:
        return namesake(seen) or found("login-refused", "PVE answered 401 to it, once", about=seen.values)
    evidence = "PVE lists the token, it has not expired, its user is enabled; yet it answered 401, once"
    return found("secret-wrong", evidence, about=seen.values)


def acl_path_missing(seen: TokenSeen) -> Finding | None:
    """Find a grant on a node or a realm that is not there; PVE takes it all the same."""
    paths = chain(seen.granted, (entry.path for entry in seen.entries or ()))
    gone = next((path for path in paths if is_missing(path, seen)), None)
    if gone is None:
        return None
    known = ", ".join(seen.nodes if gone.startswith("/nodes/") else seen.realms)
    return found("acl-path-missing", f"there is {known}", about={**seen.values, "path": gone})


def is_missing(path: str, seen: TokenSeen) -> bool:
    """Say whether a path names a node or a realm that is not there; guests and storages not everybody can see."""
    head, _, name = path.rpartition("/")
    known = {"/nodes": seen.nodes, "/access/realm": seen.realms}.get(head, ())
    return bool(known) and name not in known


def without_anything(seen: TokenSeen) -> Finding | None:
    """Explain permissions that are empty, where nothing in particular was wanted."""
    if seen.effective is None or seen.effective or seen.wanted:
        return None
    if seen.user_permissions == {} or not is_separated(seen):
        evidence = f"the permissions of {seen.token.userid} are empty, and so are those of its token"
        return found("user-lacks-role", evidence, about=seen.values)
    return found("privsep-without-acl", *separation(seen), about=seen.values)


def user_lacks_role(seen: TokenSeen) -> Finding | None:
    """See that the user itself lacks what is wanted of its token."""
    for path, privilege in missing(seen):
        lacks = seen.user_permissions is not None and privilege not in held(seen.user_permissions, path)
        if lacks or not is_separated(seen):
            evidence = f"{seen.token.userid} itself does not have {privilege} on {path}"
            return found("user-lacks-role", evidence, about=on(seen, path, privilege))
    return None


def privsep_without_acl(seen: TokenSeen) -> Finding | None:
    """See that a privilege-separated token has no entry of its own."""
    want = next(missing(seen), None)
    if want is None or seen.entries or seen.effective:
        return None
    path, privilege = want
    evidence = (f"it needs {privilege} on {path}", *separation(seen))
    return found("privsep-without-acl", *evidence, about=on(seen, path, privilege))


def acl_path_elsewhere(seen: TokenSeen) -> Finding | None:
    """See that no entry of the token covers the path."""
    for path, privilege in missing(seen):
        if covering(seen, path):
            continue
        places = ", ".join(sorted({entry.path for entry in seen.entries or ()} or set(seen.effective or ())))
        evidence = f"it needs {privilege} on {path}; it has entries on {places}"
        return found("acl-path-elsewhere", evidence, about=on(seen, path, privilege))
    return None


def role_too_small(seen: TokenSeen) -> Finding | None:
    """See that what covers the path lacks the privilege."""
    for path, privilege in missing(seen):
        roles = ", ".join(covering(seen, path))
        evidence = f"it needs {privilege} on {path}, which {roles} does not have"
        return found("role-too-small", evidence, about=on(seen, path, privilege))
    return None


FORBIDDEN: tuple[Check, ...] = (
    acl_path_missing,
    without_anything,
    user_lacks_role,
    privsep_without_acl,
    acl_path_elsewhere,
    role_too_small,
)


def why_forbidden(seen: TokenSeen) -> Finding | None:
    """Explain what the token may not do although it logs in; None when it may do all that is wanted."""
    return next((finding for check in FORBIDDEN if (finding := check(seen))), None)


def on(seen: TokenSeen, path: str, privilege: str) -> dict[str, str]:
    """Say what is known of a token and of what it lacks, for the text of a finding."""
    return {**seen.values, "path": path, "privilege": privilege}


def missing(seen: TokenSeen) -> Iterator[tuple[str, str]]:
    """Yield what is wanted and not effective: path and privilege."""
    for path, privileges in sorted(seen.wanted.items()):
        if seen.effective is not None:
            yield from ((path, it) for it in sorted(privileges - held(seen.effective, path)))


def held(permissions: Permissions, path: str) -> frozenset[str]:
    """Return what is held on a path; on one that PVE does not show, what comes down from above (held: present)."""
    if path in permissions:
        return frozenset(permissions[path])
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        if path in permissions:
            return frozenset(privilege for privilege, spreads in permissions[path].items() if spreads)
    return frozenset()


def covering(seen: TokenSeen, path: str) -> list[str]:
    """List the roles that the token's entries give it on a path; where the list is not known, that there is one."""
    if seen.entries is None:
        return ["its role"] if held(seen.effective or {}, path) else []
    return sorted(
        entry.role for entry in seen.entries if entry.path == path or (entry.propagate and is_above(entry.path, path))
    )


def is_above(upper: str, path: str) -> bool:
    """Say whether a path lies below another."""
    return path.startswith(upper.rstrip("/") + "/")


def is_separated(seen: TokenSeen) -> bool:
    """Say whether the token is privilege-separated; where nobody can see it, PVE's default counts."""
    return seen.state is None or seen.state.privsep


def separation(seen: TokenSeen) -> tuple[str, ...]:
    """Say what is known of a token's own entries."""
    if seen.entries is None:
        unseen = "whether it has entries that its user's permissions undo is not known without Sys.Audit on /access"
        return ("its permissions are empty", unseen)
    return ("privsep is on, its permissions are empty, and the access control list has no entry of it",)
