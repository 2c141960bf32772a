"""The simulated Secrets Manager behaves as AWS documents, also where moto by itself does not."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from rotator.testing.aws import SimulatedAws
from rotator.testing.aws_policy import Statement, allows
from tests.aws.lab import REGION, Lab

FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function:rotate"


class Secret:
    """One secret, as a client of AWS's sees it."""

    def __init__(self, lab: Lab) -> None:
        self.client = lab.client()
        self.name = str(lab.fresh()["secret_id"])
        self.first: str = self.client.create_secret(Name=self.name, SecretString="{}")["VersionId"]

    def put(self, *labels: str, text: str = '{"a": 1}', version: str = "") -> str:
        """Put a version."""
        wish: dict[str, Any] = {"VersionStages": list(labels)} if labels else {}
        version = version or str(uuid4())
        self.client.put_secret_value(SecretId=self.name, SecretString=text, ClientRequestToken=version, **wish)
        return version

    def move(self, label: str, **wish: str) -> None:
        """Move a label."""
        self.client.update_secret_version_stage(SecretId=self.name, VersionStage=label, **wish)

    def rotate(self) -> str:
        """Begin a rotation."""
        version = str(uuid4())
        self.client.rotate_secret(SecretId=self.name, ClientRequestToken=version, RotationLambdaARN=FUNCTION)
        return version

    def labels(self) -> dict[str, list[str]]:
        """Tell the labels of all versions."""
        found = self.client.describe_secret(SecretId=self.name)["VersionIdsToStages"]
        return {version: sorted(labels) for version, labels in found.items()}

    def text(self, **which: str) -> str:
        """Read a version."""
        return str(self.client.get_secret_value(SecretId=self.name, **which)["SecretString"])


@pytest.fixture
def secret(lab: Lab) -> Secret:
    """Make a secret."""
    return Secret(lab)


def refused(code: str) -> Any:  # noqa: ANN401 - what pytest.raises returns
    """Expect an error of AWS's."""
    return pytest.raises(ClientError, match=rf"\({code}\)")


def test_a_label_moves_only_from_where_it_is_said_to_be(secret: Secret) -> None:
    """The compare-and-set that everything relies on; a refusal changes nothing (UpdateSecretVersionStage)."""
    second = secret.put("AWSPENDING")
    before = secret.labels()
    with refused("InvalidParameterException"):
        secret.move("AWSCURRENT", MoveToVersionId=second)
    with refused("InvalidParameterException"):
        secret.move("AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=second)
    with refused("ResourceNotFoundException"):
        secret.move("AWSCURRENT", MoveToVersionId=str(uuid4()), RemoveFromVersionId=secret.first)
    with refused("InvalidParameterException"):
        secret.move("AWSPENDING", MoveToVersionId=secret.first)
    assert secret.labels() == before


def test_becoming_current_ends_being_pending(secret: Secret) -> None:
    """In one call ("Lambda rotation functions"); readers who name no version see the new one."""
    second = secret.put("AWSPENDING")
    secret.move("AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=secret.first)
    assert secret.labels() == {secret.first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}
    assert secret.text() == '{"a": 1}'


def test_a_put_moves_current_from_where_it_is(secret: Secret) -> None:
    """Also after it was moved by its label: there is one current version and one previous one."""
    second = secret.put("AWSPENDING")
    secret.move("AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=secret.first)
    third = secret.put(text='{"a": 3}')
    assert secret.labels() == {second: ["AWSPREVIOUS"], third: ["AWSCURRENT"]}
    assert secret.text() == '{"a": 3}'


def test_a_version_takes_one_value(secret: Secret) -> None:
    """The same again is nothing, another one is refused, also while it is pending (PutSecretValue)."""
    version = secret.put("AWSPENDING")
    before = secret.labels()
    secret.put("AWSPENDING", version=version)
    with refused("ResourceExistsException"):
        secret.put("AWSPENDING", version=version, text='{"a": 2}')
    assert (secret.labels(), secret.text(VersionId=version)) == (before, '{"a": 1}')


def test_the_first_version_is_current_whatever_it_is_called(lab: Lab) -> None:
    """As AWS does where a secret was made without a value."""
    client, name = lab.client(), str(lab.fresh()["secret_id"])
    client.create_secret(Name=name)
    made = client.put_secret_value(SecretId=name, SecretString="{}", VersionStages=["AWSPENDING"])
    assert "AWSCURRENT" in made["VersionStages"]


def test_a_secret_that_is_being_deleted_is_not_changed(secret: Secret) -> None:
    """Neither written nor relabelled, rotated or made anew."""
    secret.client.delete_secret(SecretId=secret.name)
    attempts = (
        secret.put,
        lambda: secret.move("x", MoveToVersionId=secret.first),
        secret.rotate,
        lambda: secret.client.create_secret(Name=secret.name, SecretString="{}"),
    )
    for attempt in attempts:
        with refused("InvalidRequestException"):
            attempt()


def test_a_rotation_begins_with_a_version_without_a_value(secret: Secret) -> None:
    """It is pending, and no other rotation begins until it is over (RotateSecret)."""
    version = secret.rotate()
    assert secret.labels() == {secret.first: ["AWSCURRENT"], version: ["AWSPENDING"]}
    with refused("ResourceNotFoundException"):
        secret.text(VersionId=version)
    with refused("InvalidRequestException"):
        secret.rotate()
    secret.put("AWSPENDING", version=version)
    secret.move("AWSCURRENT", MoveToVersionId=version, RemoveFromVersionId=secret.first)
    secret.rotate()


def test_a_rotation_begins_where_pending_and_current_are_one(secret: Secret) -> None:
    """It is one of the two ways in which a rotation may have ended."""
    secret.move("AWSPENDING", MoveToVersionId=secret.first)
    version = secret.rotate()
    assert secret.labels() == {secret.first: ["AWSCURRENT"], version: ["AWSPENDING"]}


def test_versions_without_a_label_are_not_listed(secret: Secret) -> None:
    """But they are there (DescribeSecret)."""
    version = secret.put("AWSPENDING")
    secret.move("AWSPENDING", RemoveFromVersionId=version)
    assert secret.labels() == {secret.first: ["AWSCURRENT"]}
    assert secret.text(VersionId=version) == '{"a": 1}'


@pytest.mark.parametrize(
    ("action", "resource", "answer"),
    [
        ("a:Get", "arn:x/1", True),
        ("a:Put", "arn:x/1", False),
        ("a:Get", "arn:y/1", False),
        ("b:Any", "arn:y/1", True),
    ],
)
def test_a_policy_allows_what_a_statement_names(action: str, resource: str, answer: bool) -> None:  # noqa: FBT001 - a row of the table
    """Both, the action and the resource."""
    policy: list[Statement] = [{"Action": "a:Get", "Resource": "arn:x/*"}, {"Action": ["b:*"], "Resource": "*"}]
    assert allows(policy, action, resource) is answer


def test_a_look_is_no_call_and_shows_what_is_current(aws: SimulatedAws, lab: Lab) -> None:
    """Not what is pending, not what was deleted, and nothing where there is nothing."""
    client, name = lab.client(), str(lab.fresh()["secret_id"])
    assert aws.text(REGION, name) is None
    client.create_secret(Name=name, SecretString="first")
    client.put_secret_value(SecretId=name, SecretString="second")
    client.put_secret_value(SecretId=name, SecretString="third", VersionStages=["AWSPENDING"])
    aws.calls.clear()
    assert (aws.text(REGION, name), aws.text("eu-north-1", name)) == ("second", None)
    assert aws.calls == []
    client.delete_secret(SecretId=name)
    assert aws.text(REGION, name) is None
