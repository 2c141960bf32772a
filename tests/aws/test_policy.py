"""The policies in ``backends/aws.md`` are enough, and no action in them can be left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rotator.aws_lambda import RotationError
from rotator.errors import RefusedError
from rotator.testing.aws import SimulatedAws
from tests.aws.function import Function
from tests.aws.lab import REGION, Lab, token

DOCUMENT = (Path(__file__).parents[2] / "backends/aws.md").read_text()
Statement = Mapping[str, Any]


def statements() -> Iterator[Statement]:
    """Yield the statements of all policies in the document, for the region of the tests."""
    for block in re.findall(r"```json\n(.*?)```", DOCUMENT, flags=re.DOTALL):
        found = json.loads(block.replace("eu-central-1", REGION))
        yield from found.get("Statement", [found])


POLICY = {statement["Sid"]: statement for statement in statements()}
KEY = POLICY["Key"]["Resource"]


def actions(*sids: str) -> list[str]:
    """List the actions of some statements."""
    found = (POLICY[sid]["Action"] for sid in sids)
    return [action for one in found for action in ([one] if isinstance(one, str) else one)]


def without(action: str, *sids: str) -> list[Statement]:
    """Make a policy of some statements without one action."""
    return [{**POLICY[sid], "Action": [it for it in actions(sid) if it != action]} for sid in sids]


def whole(*sids: str) -> list[Statement]:
    """Make a policy of some statements."""
    return without("", *sids)


def use(lab: Lab, prefix: str, *, is_new: bool, **settings: Any) -> None:  # noqa: ANN401 - any setting
    """Do everything that a run does with a destination."""
    backend = lab.backend(**settings)
    place = backend.locate({"secret_id": f"pve/{prefix}"})[0]
    if is_new:
        backend.write(place, token(1, "one-secret"), expected=None)
    backend.preflight(place)
    stored = backend.read(place)
    assert stored
    backend.write(place, token(2, "two-secret"), expected=stored.version)


def existing(lab: Lab, name: str) -> None:
    """Make a secret that is there already, with a key of its own."""
    lab.client().create_secret(Name=f"pve/{name}", SecretString="{}", KmsKeyId=KEY)


def test_the_least_policy_is_enough_for_secrets_that_exist(lab: Lab, aws: SimulatedAws) -> None:
    """Exactly its actions are called, and no other."""
    existing(lab, "least")
    aws.calls.clear()
    aws.policy = whole("Records", "Key")
    use(lab, "least", is_new=False)
    assert set(aws.actions) == set(actions("Records"))


def test_the_larger_policy_is_enough_for_new_secrets(lab: Lab, aws: SimulatedAws) -> None:
    """With tags and a key of its own; tagging is a permission without a call."""
    aws.policy = whole("Records", "NewRecords", "Key")
    use(lab, "new", is_new=True, tags={"team": "infra"}, kms_key_id=KEY)
    assert set(aws.actions) == {*actions("Records", "NewRecords")} - {"secretsmanager:TagResource"}


def test_without_a_key_of_its_own_none_is_asked_for(lab: Lab, aws: SimulatedAws) -> None:
    """AWS's own key needs no permission."""
    aws.policy = whole("Records", "NewRecords")
    use(lab, "plain", is_new=True)


@pytest.mark.parametrize("action", actions("Records", "Key"))
def test_no_action_can_be_left_out(lab: Lab, aws: SimulatedAws, action: str) -> None:
    """The error names the one that is missing."""
    name = f"without-{action.partition(':')[2]}"
    existing(lab, name)
    aws.policy = without(action, "Records", "Key")
    with pytest.raises(RefusedError) as caught:
        use(lab, name, is_new=False)
    assert action in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("action", actions("NewRecords"))
def test_no_action_for_new_secrets_can_be_left_out(lab: Lab, aws: SimulatedAws, action: str) -> None:
    """Neither creating nor tagging."""
    aws.policy = without(action, "Records", "NewRecords")
    with pytest.raises(RefusedError) as caught:
        use(lab, f"new-without-{action.partition(':')[2]}", is_new=True, tags={"team": "infra"})
    assert action in f"{caught.value} {caught.value.hint}"


def test_another_secret_is_out_of_reach(lab: Lab, aws: SimulatedAws) -> None:
    """The resource is a part of the policy."""
    aws.policy = whole("Records", "NewRecords")
    backend = lab.backend()
    with pytest.raises(RefusedError, match="AWS does not allow secretsmanager:GetSecretValue on aws:eu-west-1/other"):
        backend.read(backend.locate({"secret_id": "other"})[0])


def of_the_function(f: Function, policy: Sequence[Statement]) -> list[Statement]:
    """Write a policy for the names that this test has."""
    names = {"secret:pve/*": f"secret:{f.name}-*", "secret:pve-operator-*": f"secret:{f.environ[OPERATOR]}-*"}
    text = json.dumps(policy)
    for there, here in names.items():
        text = text.replace(there, here)
    made: list[Statement] = json.loads(text)
    return made


OPERATOR = "ROTATE_OPERATOR_SECRET"


def test_the_function_s_policy_is_enough(f: Function) -> None:
    """For a whole rotation: exactly its actions are called."""
    f.settled()
    version = f.begin()
    f.aws.calls.clear()
    f.aws.policy = of_the_function(f, whole("RotatedSecrets", "Operator"))
    f.steps(version)
    assert set(f.aws.actions) == set(actions("RotatedSecrets"))
    f.aws.policy = None
    assert f.works()


@pytest.mark.parametrize("action", actions("RotatedSecrets"))
def test_no_action_of_the_function_can_be_left_out(f: Function, action: str) -> None:
    """What AWS shows names the one that is missing."""
    f.settled()
    version = f.begin()
    f.aws.policy = of_the_function(f, [*without(action, "RotatedSecrets"), *whole("Operator")])
    with pytest.raises(RotationError, match=f"AWS does not allow {action}"):
        f.steps(version)


def test_the_function_cannot_do_without_its_operator(f: Function) -> None:
    """The statement of its own is needed."""
    f.settled()
    version = f.begin()
    f.aws.policy = of_the_function(f, whole("RotatedSecrets"))
    with pytest.raises(RotationError, match=rf"AWS does not allow .*:GetSecretValue on aws:.*{f.environ[OPERATOR]}"):
        f.steps(version)
