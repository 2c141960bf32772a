"""What ``deploy/aws`` holds: policies, for the names and the region of a test, and the stack as moto makes it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rotator.testing.aws_policy import Statement
from tests.aws.lab import REGION

FOLDER = Path(__file__).parents[2] / "deploy" / "aws"
Policy = list[Statement]


def read(name: str) -> Policy:
    """Read a policy of the folder."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    found: Policy = json.loads(text.replace("eu-central-1", REGION))["Statement"]
    return found


def actions(policy: Sequence[Statement]) -> list[str]:
    """List the actions of a policy, a word for each place."""
    return [it for one in policy for it in listed(one)]


def listed(statement: Statement) -> list[str]:
    """List the actions of a statement."""
    found = statement["Action"]
    return [found] if isinstance(found, str) else list(found)


def weaker(policy: Policy) -> Iterator[tuple[str, Policy]]:
    """Yield a policy without one action each time, named by what is missing; a statement without any is left out."""
    for statement in policy:
        for action in listed(statement):
            left = [it for it in listed(statement) if it != action]
            less = [{**one, "Action": left} if one is statement else one for one in policy]
            yield f"{action} of {statement['Sid']}", [one for one in less if one["Action"]]


def renamed(policy: Sequence[Statement], names: Mapping[str, str]) -> Policy:
    """Say the same of secrets with other names."""
    text = json.dumps(policy)
    for there, here in names.items():
        text = text.replace(there, here)
    made: Policy = json.loads(text)
    return made


def parameter(name: str, value: Any) -> dict[str, str]:  # noqa: ANN401 - text or number
    """Write a parameter of a stack."""
    return {"ParameterKey": name, "ParameterValue": str(value)}
