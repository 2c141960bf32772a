"""Secrets Manager for tests: the simulated one or a real one that a variable names, and a way behind the backend."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from rotator.model import Secret
from rotator.testing.aws import SimulatedAws
from rotator_backends import aws_client
from rotator_backends.aws import AwsBackend
from rotator_backends.aws_settings import AwsLocation

REGION = "eu-west-1"
QUIET = aws_client.FOREIGN
"""Imported so that botocore's loggers are shut before the tests' own clients say anything."""
LIVE = "ROTATE_TEST_AWS_ENDPOINT"
"""Names an endpoint to run the contract against, with credentials from AWS's own variables."""

_STRANGE = ("AWS_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy")


@dataclass
class Lab:
    """A place to make backends and secrets in; all that is made is closed with it."""

    url: str
    prefix: str = field(default_factory=lambda: f"rotate-tests/{uuid.uuid4()}")
    made: list[Any] = field(default_factory=list)
    number: int = 0

    def backend(self, **settings: Any) -> AwsBackend:  # noqa: ANN401 - any setting
        """Configure a backend that asks once, unless told otherwise."""
        plain = {"region": REGION, "endpoint_url": self.url, "read_attempts": 1, "read_timeout": "15s"}
        self.made.append(AwsBackend.configure({**plain, **settings}))
        made: AwsBackend = self.made[-1]
        return made

    def client(self, region: str = REGION) -> Any:  # noqa: ANN401 - botocore makes its classes at run time
        """Make a client of AWS's own."""
        self.made.append(boto3.client("secretsmanager", region_name=region, endpoint_url=self.url))
        return self.made[-1]

    def fresh(self) -> Mapping[str, Any]:
        """Give the settings of a secret that is not there."""
        self.number += 1
        return {"secret_id": f"{self.prefix}/{self.number}"}

    def place(self, backend: AwsBackend) -> AwsLocation:
        """Give the location of a secret that is not there."""
        return backend.locate(self.fresh())[0]

    def remove(self) -> None:
        """Delete all secrets that were made, for good."""
        for number in range(1, self.number + 1):
            self.client().delete_secret(SecretId=f"{self.prefix}/{number}", ForceDeleteWithoutRecovery=True)

    def close(self) -> None:
        """Let go of all connections."""
        for one in self.made:
            one.close()


def forget_aws(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Take away what the machine knows of AWS, and give credentials that are good for nothing."""
    for name in [name for name in os.environ if name.startswith(_STRANGE)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-access-key")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))


@contextmanager
def lab_at(url: str) -> Iterator[Lab]:
    """Open a lab and close it."""
    lab = Lab(url)
    try:
        yield lab
    finally:
        lab.close()


@contextmanager
def calm(aws: SimulatedAws) -> Iterator[SimulatedAws]:
    """Begin and end a test with nothing planned and nothing called."""
    aws.calls.clear()
    try:
        yield aws
    finally:
        aws.intercept = aws.policy = None


def token(number: int, secret: str) -> dict[str, Secret]:
    """Make the fields of a token."""
    return {"token_id": Secret(f"ci@pve!ci-{number}-abcde"), "token_secret": Secret(secret)}
