"""The rotation function between a simulated PVE and a simulated Secrets Manager, with the test in the place of AWS."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from rotator.aws_lambda import RotationError, perform
from rotator.testing.aws import Call, Fault, SimulatedAws
from tests.aws.lab import REGION
from tests.world import World

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function:rotate"
OWNER = "aws-123456789012-eu-west-1"


@dataclass
class Function:
    """One secret that AWS rotates by calling the function; ``environ`` is the function's."""

    w: World
    aws: SimulatedAws
    client: Any
    environ: dict[str, str]
    name: str = field(default_factory=lambda: f"pve-{uuid4()}/ci")
    arn: str = ""

    def store(self, content: Mapping[str, Any] | None = None) -> None:
        """Make the secret with a record that holds no token yet, unless told otherwise."""
        text = json.dumps({"note": "by hand", "port": 8006.10} if content is None else content)
        self.arn = self.client.create_secret(Name=self.name, SecretString=text)["ARN"]

    def begin(self, **wish: Any) -> str:  # noqa: ANN401 - parameters of RotateSecret
        """Begin a rotation as the console does; returns its token."""
        token = str(uuid4())
        self.client.rotate_secret(
            SecretId=self.arn, ClientRequestToken=token, **{"RotationLambdaARN": FUNCTION, **wish}
        )
        return token

    def step(self, name: str, token: str, **more: str) -> None:
        """Call the function for one step."""
        event = {"Step": name, "SecretId": self.arn, "ClientRequestToken": token, **more}
        perform(event, environ=self.environ, clock=self.w.clock, draw=self.w.draw)

    def rotate(self) -> str:
        """Do what AWS does: begin, and take the four steps."""
        token = self.begin()
        self.steps(token)
        return token

    def steps(self, token: str) -> None:
        """Take the four steps."""
        for name in STEPS:
            self.step(name, token)

    def settled(self) -> str:
        """Make the secret, and rotate it once; returns the version."""
        self.store()
        token = self.rotate()
        self.w.forget()
        return token

    def abandon(self, token: str) -> None:
        """Take the pending label off, as a person does after a rotation that failed."""
        self.client.update_secret_version_stage(SecretId=self.arn, VersionStage="AWSPENDING", RemoveFromVersionId=token)

    def record(self, label: str = "AWSCURRENT") -> dict[str, Any]:
        """Read a version as a consumer does."""
        content: dict[str, Any] = json.loads(
            self.client.get_secret_value(SecretId=self.name, VersionStage=label)["SecretString"]
        )
        return content

    def works(self, label: str = "AWSCURRENT") -> bool:
        """Say whether a consumer that reads that version now can log in."""
        record = self.record(label)
        return self.w.pve.accepts(record["token_id"], record["token_secret"])

    def labels(self) -> dict[str, list[str]]:
        """Tell the labels of all versions that have one."""
        versions = self.client.describe_secret(SecretId=self.arn)["VersionIdsToStages"]
        return {version: sorted(found) for version, found in versions.items()}


def made(w: World, aws: SimulatedAws, client: Any, **environ: str) -> Function:  # noqa: ANN401 - botocore's class
    """Store the operator, and make a function that knows the cluster."""
    operator = f"pve-{uuid4()}/operator"
    token = {"token_id": str(w.operator.id), "token_secret": w.operator.secret.reveal()}
    client.create_secret(Name=operator, SecretString=json.dumps(token))
    plain = {
        "ROTATE_ENDPOINTS": ", ".join(node.endpoint for node in w.pve.nodes),
        "ROTATE_CA_FILE": str(w.ca),
        "ROTATE_OPERATOR_SECRET": operator,
        "ROTATE_USERS": "ci@pve",
        "ROTATE_GRANTS": "/vms=PVEVMUser",
    }
    return Function(w, aws, client, {**plain, **environ})


def refused(f: Function, step: str, token: str) -> str:
    """Return what a step says that must fail; nothing of PVE's or AWS's may have changed."""
    labels, tokens = f.labels(), f.w.tokens()
    with pytest.raises(RotationError) as caught:
        f.step(step, token)
    assert (f.labels(), f.w.tokens()) == (labels, tokens)
    return str(caught.value).removeprefix(f"{step} of {f.arn}: ")


def once(operation: str, then: Callable[[], Fault | None]) -> Callable[[Call], Fault | None]:
    """Let something happen just before the first call of an operation is handled."""
    left = [then]
    return lambda call: left.pop()() if call.action.endswith(f":{operation}") and left else None
