"""As whom AWS is asked: the standard chain, a profile, a role that is taken on and taken on again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rotator.errors import RefusedError, RotatorError, UnauthenticatedError, UnavailableError
from rotator.testing.aws import Call, Fault, Refuse, SimulatedAws
from tests.aws.lab import Lab, token

ROLE = "arn:aws:iam::210987654321:role/rotate"
ASSUME = {"role_arn": ROLE, "external_id": "pve-lab", "session_name": "rotate-ci"}


@pytest.fixture
def sts(aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch) -> SimulatedAws:
    """Let AWS's own variable lead to the simulated STS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
    return aws


def test_a_role_is_taken_on_once_for_many_calls(lab: Lab, sts: SimulatedAws) -> None:
    """With its external id and session name; what it makes is in the role's account."""
    backend = lab.backend(assume_role=ASSUME)
    place = lab.place(backend)
    version = backend.write(place, token(1, "one-secret"), expected=None)
    backend.write(place, token(2, "two-secret"), expected=version)
    taken = [call.wish for call in sts.calls if call.action == "sts:AssumeRole"]
    assert [(it["RoleArn"], it["ExternalId"], it["RoleSessionName"]) for it in taken] == [
        (ROLE, "pve-lab", "rotate-ci")
    ]
    assert lab.backend().read(place) is None


def test_a_role_is_not_taken_on_before_it_is_needed(lab: Lab, sts: SimulatedAws) -> None:
    """Configuring contacts nobody."""
    lab.backend(assume_role=ASSUME)
    assert sts.calls == []


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("AccessDenied", RefusedError, "the role cannot be taken on: AccessDenied"),
        ("ExpiredToken", UnauthenticatedError, "the AWS credentials have expired"),
        ("InvalidClientTokenId", UnauthenticatedError, "AWS does not accept the credentials"),
        ("Throttling", UnavailableError, "AWS slows down the taking on of roles"),
    ],
)
def test_a_role_that_is_refused_is_told(
    lab: Lab, sts: SimulatedAws, code: str, kind: type[RotatorError], message: str
) -> None:
    """What stands in the way is the role, not the secret, and a change was not sent."""

    def refuse(call: Call) -> Fault | None:
        return Refuse(code) if call.action.startswith("sts:") else None

    sts.intercept = refuse
    backend = lab.backend(assume_role=ASSUME)
    secret = backend.staged(lab.place(backend))
    for attempt in (secret.describe, lambda: secret.put("v" * 32, token(1, "one-secret"), over=None)):
        with pytest.raises(kind) as caught:
            attempt()
        assert caught.value.message == message
    assert {call.action for call in sts.calls} == {"sts:AssumeRole"}


def test_a_role_over_an_unencrypted_way_is_refused(
    lab: Lab, aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of STS holds the role's secret key."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://192.0.2.1:4566")
    backend = lab.backend(assume_role=ASSUME)
    with pytest.raises(UnavailableError, match="AWS cannot be reached"):
        backend.read(lab.place(backend))
    assert aws.calls == []


def test_a_role_without_anybody_to_take_it_on_is_told(
    lab: Lab, sts: SimulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role alone is not enough."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    backend = lab.backend(assume_role=ASSUME)
    with pytest.raises(UnauthenticatedError, match="no AWS credentials were found"):
        backend.read(lab.place(backend))
    assert sts.calls == []


def test_a_profile_gives_the_credentials(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The one that is set, also when the environment has others."""
    (tmp_path / "credentials").write_text("[lab]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = x\n")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    backend = lab.backend(profile="lab")
    assert backend.read(lab.place(backend)) is None


def test_credentials_that_run_out_are_asked_for_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A service that runs for days: the process that gives them is run again when they are about to end."""
    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    script = tmp_path / "give"
    script.write_text(f"#!/bin/sh\necho x >> {tmp_path}/given\ncat {tmp_path}/short\n")
    script.chmod(0o700)
    given = {"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": soon}
    (tmp_path / "short").write_text(json.dumps(given))
    (tmp_path / "config").write_text(f"[profile short]\ncredential_process = {script}\n")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    backend = lab.backend(profile="short")
    place = lab.place(backend)
    backend.read(place)
    first = (tmp_path / "given").read_text()
    backend.read(place)
    assert len((tmp_path / "given").read_text()) > len(first)
