"""The policies of ``deploy/vault``, as paths with capabilities, and what the module makes of them for other paths.

python-hcl2 was not taken: each rule is one line, which a pattern reads; that it is HCL is proved by the servers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from rotator_backends.vault_answers import policy_line

FOLDER = Path(__file__).parents[2] / "deploy" / "vault"
RULE = re.compile(r'^path "([^"]+)" \{ capabilities = \[(.+)\] \}$', re.MULTILINE)

Rules = tuple[tuple[str, tuple[str, ...]], ...]


def rules(text: str) -> Rules:
    """Read a policy."""
    return tuple((path, tuple(re.findall(r'"(\w+)"', listed))) for path, listed in RULE.findall(text))


def read(name: str) -> Rules:
    """Read a policy of the folder."""
    return rules((FOLDER / f"{name}.hcl").read_text(encoding="utf-8"))


ROTATOR, METADATA, CONSUMER = read("rotator"), read("metadata"), read("consumer")


def written(policy: Rules) -> str:
    """Write a policy."""
    return "\n".join(policy_line(path, list(held)) for path, held in policy)


def adapted(policy: Rules, *, mount: str, records: Collection[str], operators: Collection[str] = ()) -> Rules:
    """Say the same of other records: a rule for each, in the order of their names."""
    return tuple(
        (re.sub(f"{old}$", new, re.sub("^secret/", f"{mount}/", path)), held)
        for path, held in policy
        for old, new in _places(path, records, operators)
    )


def _places(path: str, records: Collection[str], operators: Collection[str]) -> list[tuple[str, str]]:
    for old, many in (("pve/ci", records), ("pve/operator", operators)):
        if path.endswith(f"/{old}"):
            return [(old, one) for one in sorted(many)]
    return [("$", "")]


def weaker(policy: Rules) -> Iterator[tuple[str, Rules]]:
    """Yield a policy without one capability each time; a rule without any is left out. Named by what is missing."""
    for path, held in policy:
        for capability in held:
            less = tuple(one for one in held if one != capability)
            yield (
                f"{capability} on {path}",
                tuple((at, less if at == path else has) for at, has in policy if at != path or less),
            )
