"""The AWS backend does what every backend must, at moto in server mode and, where one is named, at a real endpoint."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.testing.aws import SimulatedAws
from rotator.testing.backend_contract import Subject, TamperContract, Tampering
from rotator_backends.aws_settings import AwsLocation
from tests.aws.lab import LIVE, REGION, Lab, forget_aws, lab_at

ENDPOINTS = ["simulated", *([os.environ[LIVE]] if LIVE in os.environ else [])]


@pytest.fixture(scope="module")
def simulated() -> Iterator[SimulatedAws]:
    """Run Secrets Manager on loopback."""
    with SimulatedAws() as aws:
        yield aws


@pytest.fixture(params=ENDPOINTS)
def lab(
    request: pytest.FixtureRequest, simulated: SimulatedAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Lab]:
    """Open a lab at the simulated endpoint, or at the one that was named."""
    is_live = request.param != "simulated"
    if not is_live:
        forget_aws(monkeypatch, tmp_path)
    with lab_at(request.param if is_live else simulated.url) as lab:
        yield lab
        if is_live:
            lab.remove()


class TestAws(TamperContract):
    """An object of JSON holds everything."""

    @pytest.fixture
    def subject(self, lab: Lab) -> Subject:
        """Give a backend and new secrets."""
        return Subject(lab.backend(), lab.fresh)

    @pytest.fixture
    def tampering(self, lab: Lab) -> Tampering:
        """Reach the secret the way the console does: a new version with another text."""
        client = lab.client()

        def text(location: AwsLocation) -> str:
            return str(client.get_secret_value(SecretId=location.secret_id)["SecretString"])

        def put(location: AwsLocation, text: str) -> None:
            client.put_secret_value(SecretId=location.secret_id, SecretString=text)

        return Tampering(
            raw=lambda location: text(location).encode(),
            garble=lambda location: put(location, "{" + text(location)),
            edit=lambda location: put(location, text(location)[:-1] + ', "port": 8006.10, "more": {"a": [1]}}'),
        )


def test_the_lab_is_where_it_should_be(lab: Lab) -> None:
    """The suite runs in one region, under names that nobody else has."""
    assert lab.backend().locate(lab.fresh())[1] == f"aws:{REGION}/{lab.prefix}/1"
