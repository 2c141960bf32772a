"""Policies of the simulated Vault: what a token may do on a path.

``python-hcl2`` was not taken: of HCL a policy needs paths with lists of capabilities, which a pattern finds.
Which of several rules counts is documented: the exact path, else the one whose first ``+`` or final ``*`` comes last,
then the one without ``*``, with fewer ``+``, the longer one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rotator.testing.vault_exchange import VaultRefusalError

_RULE = re.compile(r'path\s+"((?:[^"\\]|\\.)*)"\s*\{([^{}]*)\}')
_CAPABILITIES = re.compile(r"capabilities\s*=\s*\[([^\]]*)\]")
_COMMENT = re.compile(r"(?m)(?:#|//)[^\"\n]*$")
_KNOWN = frozenset({"create", "read", "update", "patch", "delete", "list", "scan", "sudo", "deny"})

DEFAULT = """
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/wrapping/wrap" { capabilities = ["update"] }
path "sys/wrapping/lookup" { capabilities = ["update"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
"""

Rules = dict[str, frozenset[str]]


def parsed(text: str) -> Rules:
    """Read a policy. Raises: ``VaultRefusalError`` when there is a capability that does not exist."""
    rules: Rules = {}
    for path, block in _RULE.findall(_COMMENT.sub("", text)):
        found = _CAPABILITIES.search(block)
        named = frozenset(re.findall(r'"([^"]*)"', found[1])) if found else frozenset()
        if named - _KNOWN:
            raise VaultRefusalError(400, f'failed to parse policy: path "{path}": invalid capability')
        plain = re.sub(r"\\(.)", r"\1", path).replace("$${", "${").lstrip("/")
        rules[plain] = rules.get(plain, frozenset()) | named
    return rules


def held(policies: Iterable[Rules], path: str) -> frozenset[str]:
    """Return what may be done on a path; nothing, if nothing says anything or something denies it."""
    merged: Rules = {}
    for rules in policies:
        for pattern, named in rules.items():
            merged[pattern] = merged.get(pattern, frozenset()) | named
    counting = path if path in merged and not is_pattern(path) else _best(merged, path)
    found = merged.get(counting, frozenset())
    return frozenset() if "deny" in found else found


def is_pattern(path: str) -> bool:
    """Say whether a rule is for more than one path."""
    return path.endswith("*") or "+" in path.split("/")


def _best(merged: Rules, path: str) -> str:
    return max((one for one in merged if is_pattern(one) and _matches(one, path)), key=_priority, default="")


def _priority(pattern: str) -> tuple[int, bool, int, int, str]:
    plain = pattern.removesuffix("*")
    steps = plain.split("/")
    wild = [len("/".join(steps[:at])) for at, step in enumerate(steps) if step == "+"]
    return min([*wild, len(plain)]), not pattern.endswith("*"), -len(wild), len(plain), plain


def _matches(pattern: str, path: str) -> bool:
    steps = [r"[^/]+" if step == "+" else re.escape(step) for step in pattern.removesuffix("*").split("/")]
    return re.fullmatch("/".join(steps) + (".*" if pattern.endswith("*") else ""), path) is not None


def reaches(policies: Iterable[Rules], mount: str) -> bool:
    """Say whether anything is allowed anywhere below a mount, whose path ends with a slash."""
    for rules in policies:
        for pattern, named in rules.items():
            plain = pattern.split("+")[0].removesuffix("*")
            if named - {"deny"} and (plain.startswith(mount) or (is_pattern(pattern) and mount.startswith(plain))):
                return True
    return False
