"""What a page tells to type as root on a node, done at the simulated PVE: the part of ``pveum`` that pages use."""

from __future__ import annotations

import argparse
import re
import shlex
from dataclasses import replace

from rotator.testing.pve import SimulatedPve
from rotator.testing.refusal import RefusalError

OPTIONS = ("comment", "privs", "groups", "users", "tokens", "roles", "append", "enable", "privsep", "propagate")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pveum", allow_abbrev=False)
    parser.add_argument("words", nargs="+")
    for option in OPTIONS:
        parser.add_argument(f"--{option}")
    return parser


def run(pve: SimulatedPve, line: str) -> str:  # noqa: C901 - one line for each command
    """Do one line; returns the secret, where a token is made.

    Raises: ``RefusalError`` for what PVE would refuse; ``LookupError`` for a command that is not known here.
    """
    name, *arguments = shlex.split(line)
    given = _parser().parse_args(arguments)
    if name != "pveum":
        raise LookupError(f"no part of pveum: {line}")
    match given.words:
        case ["group", "add", group]:
            pve.add_group(group)
        case ["role", "add", role]:
            pve.add_role(role, _listed(given.privs))
        case ["user", "add", user]:
            pve.add_user(user, groups=_listed(given.groups))
        case ["user", "modify", user]:
            _modify(pve, user, given)
        case ["acl", "modify", path]:
            holder = {"user": given.users, "token": given.tokens}
            pve.grant(path, given.roles, **holder, propagate=given.propagate != "0")
        case ["user", "token", "add", user, token]:
            return pve.add_token(user, token, privsep=given.privsep != "0")
        case ["user", "token", "delete", user, token]:
            pve.delete_token(f"{user}!{token}")
        case ["user", "token", "list", user]:
            _require(user in pve.cluster.newest().users, user)
        case _:
            raise LookupError(f"not known here: {line}")
    return ""


def _listed(text: str | None) -> list[str]:
    return re.split(r"[ ,]+", text) if text else []


def _require(condition: bool, user: str) -> None:  # noqa: FBT001 - reads best first
    if not condition:
        raise RefusalError(403, f"user '{user}' does not exist")


def _modify(pve: SimulatedPve, user: str, given: argparse.Namespace) -> None:
    found = pve.cluster.newest().users.get(user)
    _require(found is not None, user)
    assert found
    groups = frozenset(_listed(given.groups)) | (found.groups if given.append == "1" else frozenset())
    changed = replace(found, groups=groups if given.groups else found.groups, enable=given.enable != "0")
    pve.cluster.plant(lambda state: state.with_user(user, changed))
