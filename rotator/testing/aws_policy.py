"""Whether an IAM policy allows a call: enough of AWS's evaluation to prove that a policy in a document is the least.

Known are ``Allow`` statements with ``Action``, ``Resource`` and their wildcards. Keys of KMS are asked for the way
Secrets Manager does: only where a secret has a key of its own. policyuniverse and cloudsplaining were not taken: they
judge policies, they do not evaluate requests; moto evaluates actions and leaves resources out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Statement = Mapping[str, Any]

_KEY_USES = {
    "GetSecretValue": ("kms:Decrypt",),
    "PutSecretValue": ("kms:GenerateDataKey", "kms:Decrypt"),
    "CreateSecret": ("kms:GenerateDataKey", "kms:Decrypt"),
}
"""What Secrets Manager asks of KMS in the caller's name (its user guide, "Secret encryption and decryption")."""


def allows(policy: Iterable[Statement], action: str, resource: str) -> bool:
    """Say whether some statement allows an action on a resource."""
    return any(
        _matches(statement["Action"], action) and _matches(statement["Resource"], resource) for statement in policy
    )


def _matches(patterns: str | Sequence[str], text: str) -> bool:
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(text, pattern) for pattern in listed)


def needs(operation: str, arn: str, key: str, *, tags: bool) -> Iterator[tuple[str, str]]:
    """Yield the actions with their resources that one call needs."""
    yield f"secretsmanager:{operation}", arn
    if tags:
        yield "secretsmanager:TagResource", arn
    if key:
        yield from ((action, key) for action in _KEY_USES.get(operation, ()))
