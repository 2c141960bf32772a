"""Which names PVE accepts for users, tokens, groups, roles, pools and paths, and how it complains about others."""

from __future__ import annotations

import re

from rotator.testing.privileges import PRIVILEGES
from rotator.testing.refusal import died

ROOT = "root@pam"

_REALM = r"[A-Za-z][A-Za-z0-9.\-_]+"
_USER = rf"[^\s:/]+@{_REALM}"
TOKEN_NAME = re.compile(_REALM)
USERID = re.compile(_USER)
USERID_OR_TOKEN = re.compile(rf"{_USER}(?:!{_REALM})?")
POOLID = re.compile(r"[A-Za-z0-9.\-_]+(?:/[A-Za-z0-9.\-_]+){0,2}")
_TOKEN = re.compile(rf"({_USER})!({_REALM})")
_WORD = re.compile(r"[A-Za-z0-9.\-_]+")
_LONGEST_USERID = 64

_ACL_PATH = re.compile(
    r"""/
    |/(?:access|access/groups|access/realm|nodes|pool|sdn|storage|vms|mapping)
    |/(?:access/groups|access/realm|nodes|storage)/[A-Za-z0-9._-]+
    |/pool/[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+){0,2}
    |/sdn/(?:controllers|dns|fabrics|ipams|prefix-lists|route-maps|zones)
    |/sdn/controllers/[A-Za-z0-9_-]+
    |/sdn/(?:dns|fabrics|ipams|prefix-lists|route-maps)/[A-Za-z0-9]+
    |/sdn/zones/[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+(?:/[1-9][0-9]{0,3})?)?
    |/vms/[1-9][0-9]{2,}
    |/mapping/[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)?""",
    re.VERBOSE,
)


def split_list(text: str) -> list[str]:
    """Take a list apart as PVE does: at commas, semicolons and white space."""
    return [item for item in re.split(r"[,;\s\0]+", text) if item]


def split_token(text: str) -> tuple[str, str] | None:
    """Take ``user@realm!name`` apart; None when it is anything else."""
    found = _TOKEN.fullmatch(text)
    return (found[1], found[2]) if found else None


def verify_userid(text: str) -> str:
    """Return a user id of the form ``user@realm``; 500 for any other."""
    complaint = userid_complaint(text)
    if complaint:
        raise died(complaint)
    return text


def realm_of(userid: str) -> str:
    """Return what stands behind the last @."""
    return userid.rpartition("@")[2]


def normalize_path(path: str) -> str | None:
    """Bring an ACL path into its one form: leading slash, no trailing and no doubled ones; None if it cannot be one."""
    path = re.sub(r"/+", "/", path).removesuffix("/") or "/"
    path = path if path.startswith("/") else f"/{path}"
    return path if re.fullmatch(r"[A-Za-z0-9.\-_/]+", path) else None


def is_acl_path(path: str) -> bool:
    """Say whether PVE knows such a path; whether the object exists does not matter (measured: /vms/999 is taken)."""
    return _ACL_PATH.fullmatch(path) is not None


def userid_complaint(text: str) -> str:
    """Say what is wrong with a user id; empty when nothing is."""
    if len(text) > _LONGEST_USERID:
        return f"user name '{text}' is too long ({len(text)} > {_LONGEST_USERID})"
    return "" if USERID.fullmatch(text) else f"value '{text}' does not look like a valid user name"


def token_complaint(text: str) -> str:
    """Say what is wrong with a full token id; empty when nothing is."""
    return "" if split_token(text) else f"value '{text}' does not look like a valid token ID"


def group_complaint(text: str) -> str:
    """Say what is wrong with a group id; empty when nothing is."""
    return "" if _WORD.fullmatch(text) else f"group name '{text}' contains invalid characters"


def role_complaint(text: str) -> str:
    """Say what is wrong with a role id; empty when nothing is."""
    return "" if _WORD.fullmatch(text) else f"role name '{text}' contains invalid characters"


def pool_complaint(text: str) -> str:
    """Say what is wrong with a pool id; empty when nothing is."""
    return "" if POOLID.fullmatch(text) else f"pool name '{text}' contains invalid characters"


def realm_complaint(text: str) -> str:
    """Say what is wrong with a realm; empty when nothing is."""
    return "" if TOKEN_NAME.fullmatch(text) else "value does not look like a valid realm"


def privilege_complaint(text: str) -> str:
    """Say what is wrong with a privilege; empty when nothing is."""
    return "" if text in PRIVILEGES else f"invalid privilege '{text}'"


def option_complaint(text: str) -> str:
    """Say what is wrong with the name of an option to delete; empty when nothing is."""
    return "" if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*[A-Za-z0-9]", text) else f"invalid configuration ID '{text}'"
