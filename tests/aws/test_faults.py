"""What each failure of AWS, of the way to it and of the credentials is told as: by kind, in words, with advice."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from rotator.errors import (
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    RotatorError,
    UnauthenticatedError,
    UnavailableError,
)
from rotator.model import Version
from rotator.testing.aws import Call, Fault, Garbage, HangUp, Refuse, Silence, SimulatedAws
from rotator.testing.backend_contract import shown
from rotator_backends.aws import AwsBackend
from rotator_backends.aws_settings import AwsLocation
from tests.aws.lab import Lab, token
from tests.early_hints import CALLERS, announcing

CHANGES = ("CreateSecret", "PutSecretValue", "UpdateSecretVersionStage")
READS = ("DescribeSecret", "GetSecretValue")
LOST: dict[str, Fault] = {
    "no answer, before": Silence(),
    "no answer, after": Silence(after=True),
    "hung up, before": HangUp(),
    "hung up, after": HangUp(after=True),
    "no answer of AWS's": Garbage(after=True),
    "a page of a proxy in another alphabet": Garbage(after=True, body=b"<!doctype html>\xdcberlastet"),
    "no end of it": Garbage(after=True, body=b"[" * 100_000),
    "a list": Garbage(after=True, body=b'[{"ARN": "x"}]'),
    "500": Refuse("InternalServiceError", status=500, after=True),
    "503": Refuse("ServiceUnavailableException", status=503),
}

REFUSALS: dict[str, tuple[type[RotatorError], str, str]] = {
    "ThrottlingException": (UnavailableError, "AWS slows down OPERATION on PLACE", "run again later"),
    "AccessDeniedException": (
        RefusedError,
        "AWS does not allow secretsmanager:OPERATION on PLACE",
        "its IAM policy lacks secretsmanager:OPERATION on PLACE",
    ),
    "ExpiredTokenException": (
        UnauthenticatedError,
        "the AWS credentials have expired",
        "renew them, or run where a role is attached",
    ),
    "UnrecognizedClientException": (
        UnauthenticatedError,
        "AWS does not accept the credentials",
        "run `aws sts get-caller-identity` as the same user to see what AWS finds",
    ),
    "InvalidSignatureException": (
        UnauthenticatedError,
        "AWS does not accept the signature",
        "the secret access key is another one, or this machine's clock is more than 5 minutes off",
    ),
    "DecryptionFailure": (
        RefusedError,
        "PLACE cannot be decrypted: its KMS key does not work",
        "is the key disabled, or being deleted? aws kms describe-key",
    ),
    "EncryptionFailure": (
        RefusedError,
        "PLACE cannot be encrypted: its KMS key does not work",
        "is the key disabled, or being deleted? aws kms describe-key",
    ),
    "LimitExceededException": (
        RefusedError,
        "PLACE has reached a quota of Secrets Manager",
        "versions of the last 24 hours are all kept: write no more often than every 10 minutes",
    ),
    "InvalidRequestException": (RefusedError, "AWS refuses OPERATION on PLACE: InvalidRequestException", "CloudTrail"),
    "SomethingNewException": (RefusedError, "AWS refuses OPERATION on PLACE: SomethingNewException", "CloudTrail"),
}


def planned(operation: str, fault: Fault) -> Callable[[Call], Fault | None]:
    """Let all calls of an operation fail."""
    return lambda call: fault if call.action == f"secretsmanager:{operation}" else None


def provoke(lab: Lab, operation: str) -> tuple[AwsBackend, AwsLocation, Callable[[], object]]:
    """Prepare a call that leads to an operation."""
    backend = lab.backend(read_timeout="1s")
    place = lab.place(backend)
    if operation == "GetSecretValue":
        return backend, place, lambda: backend.read(place)
    if operation == "DescribeSecret":
        return backend, place, lambda: backend.preflight(place)
    if operation == "CreateSecret":
        return backend, place, lambda: backend.write(place, token(2, "two-secret"), expected=None)
    version = lab.backend().write(place, token(1, "one-secret"), expected=None)
    return backend, place, lambda: backend.write(place, token(2, "two-secret"), expected=version)


def caught(attempt: Callable[[], object]) -> RotatorError:
    """Return the error that an attempt ends with; it must show neither value."""
    with pytest.raises(RotatorError) as raised:
        attempt()
    assert "two-secret" not in shown(raised.value)
    assert "one-secret" not in shown(raised.value)
    return raised.value


@pytest.mark.parametrize("operation", CHANGES)
@pytest.mark.parametrize("fault", LOST)
def test_a_change_without_an_answer_is_unknown(lab: Lab, aws: SimulatedAws, operation: str, fault: str) -> None:
    """Whether it was done or not: it was sent once, and nobody guesses."""
    _, place, attempt = provoke(lab, operation)
    aws.intercept = planned(operation, LOST[fault])
    aws.calls.clear()
    error = caught(attempt)
    assert type(error) is OutcomeUnknownError
    assert error.message.startswith(f"AWS did not say whether {operation} on {place.label} was done (")
    assert aws.actions.count(f"secretsmanager:{operation}") == 1


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize("fault", LOST)
def test_a_read_without_an_answer_is_unavailable(lab: Lab, aws: SimulatedAws, operation: str, fault: str) -> None:
    """Nothing happened."""
    _, place, attempt = provoke(lab, operation)
    aws.intercept = planned(operation, LOST[fault])
    error = caught(attempt)
    assert type(error) is UnavailableError
    assert error.message.startswith(f"AWS did not answer {operation} on {place.label} (")


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("DescribeSecret", b'{"ARN": "x"}'),
        ("DescribeSecret", b'{"ARN": "x", "Name": 5}'),
        ("DescribeSecret", b'{"ARN": "x", "Name": "n", "DeletedDate": "soon"}'),
        ("DescribeSecret", b'{"ARN": "x", "Name": "n", "DeletedDate": 1e999}'),
        ("GetSecretValue", b'{"ARN": "x", "SecretString": "{}"}'),
        ("GetSecretValue", b'{"ARN": "x", "SecretString": "{}", "VersionId": ""}'),
        ("GetSecretValue", b'{"ARN": "x", "SecretString": 5, "VersionId": "v"}'),
        ("GetSecretValue", b'{"ARN": "x", "SecretBinary": "abcde", "VersionId": "v"}'),
    ],
)
def test_what_only_resembles_an_answer_is_none(lab: Lab, aws: SimulatedAws, operation: str, body: bytes) -> None:
    """The library lets through, or raises as they come, values that AWS never sends."""
    _, place, attempt = provoke(lab, operation)
    aws.intercept = planned(operation, Garbage(body=body))
    error = caught(attempt)
    assert type(error) is UnavailableError
    assert error.message == f"AWS did not answer {operation} on {place.label} (not an answer of AWS)"


def test_an_answer_that_was_announced_is_never_that_of_another_question(lab: Lab) -> None:
    """What comes before an answer (1xx) is none; what comes after it on that connection belongs to nobody any more."""
    late = b'{"ARN": "x", "VersionId": "v", "SecretString": "{}"}'
    with announcing(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(late), late)) as (port, asked):
        backend = lab.backend(endpoint_url=f"http://127.0.0.1:{port}")
        for _ in range(CALLERS):
            assert caught(lambda: backend.read(lab.place(backend))).message.endswith("(not an answer of AWS)")
        backend.close()
    assert len(asked) == CALLERS


@pytest.mark.parametrize("operation", [*CHANGES, *READS])
@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_is_told_with_advice(lab: Lab, aws: SimulatedAws, operation: str, code: str) -> None:
    """Each code has its kind, its sentence and its hint, whatever was asked, and changes nothing."""
    backend, place, attempt = provoke(lab, operation)
    before = backend.read(place)
    aws.intercept = planned(operation, Refuse(code))
    error = caught(attempt)
    kind, message, hint = REFUSALS[code]
    said = (message.replace("OPERATION", operation).replace("PLACE", place.label), type(error))
    assert (error.message, type(error)) == (said[0], kind)
    assert error.hint.startswith(hint.replace("OPERATION", operation).replace("PLACE", place.label))
    aws.intercept = None
    assert backend.read(place) == before


def test_a_denial_names_who_may_not_do_what_where(lab: Lab, aws: SimulatedAws) -> None:
    """The three words that a policy is made of stand in the error."""
    _, place, attempt = provoke(lab, "PutSecretValue")
    aws.policy = [{"Action": "secretsmanager:[GD]*", "Resource": "*"}]
    error = caught(attempt)
    assert error.message == (
        f"AWS does not allow secretsmanager:PutSecretValue on {place.label} to arn:aws:iam::123456789012:user/rotate"
    )
    resource = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{place.name}-"
    assert error.hint.startswith(f"its IAM policy lacks secretsmanager:PutSecretValue on {resource}")


def test_an_explicit_denial_is_told_apart(lab: Lab, aws: SimulatedAws) -> None:
    """Adding to a policy does not help against it."""
    _, place, attempt = provoke(lab, "GetSecretValue")
    text = (
        "User: arn:aws:sts::123456789012:assumed-role/r/rotate is not authorized to perform: "
        "secretsmanager:GetSecretValue on resource: x with an explicit deny in a resource-based policy"
    )
    aws.intercept = planned("GetSecretValue", Refuse("AccessDeniedException", text))
    error = caught(attempt)
    assert error.message.endswith(f"on {place.label} to arn:aws:sts::123456789012:assumed-role/r/rotate")
    assert error.hint.startswith("a policy denies secretsmanager:GetSecretValue on x explicitly")


def test_a_denied_key_is_told_apart(lab: Lab, aws: SimulatedAws) -> None:
    """Secrets Manager asks KMS in the caller's name, and says no for it."""
    _, place, attempt = provoke(lab, "GetSecretValue")
    aws.intercept = planned("GetSecretValue", Refuse("AccessDeniedException", "Access to KMS is not allowed"))
    error = caught(attempt)
    assert error.message == f"AWS KMS does not let the key of {place.label} be used"
    assert error.hint.startswith("kms:Decrypt and kms:GenerateDataKey on that key are missing")


def test_an_answer_that_repeats_a_value_is_not_repeated(lab: Lab, aws: SimulatedAws) -> None:
    """Nobody knows what an answer quotes of a request."""
    _, _, attempt = provoke(lab, "PutSecretValue")
    aws.intercept = planned("PutSecretValue", Refuse("ValidationException", "Value 'two-secret' at 'secretString'"))
    assert "AWS refuses PutSecretValue" in caught(attempt).message


def test_a_slow_read_is_asked_for_again(lab: Lab, aws: SimulatedAws) -> None:
    """Reads are repeated as often as the settings say, changes never."""
    place = lab.place(lab.backend())
    left = [Refuse("ThrottlingException")]
    aws.intercept = lambda _: left.pop() if left else None
    assert lab.backend(read_attempts=2).read(place) is None
    assert aws.actions == ["secretsmanager:GetSecretValue"] * 2


def free_port() -> int:
    """Find a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_nobody_there_is_unavailable_also_for_a_change(lab: Lab) -> None:
    """No connection came about, so nothing was sent."""
    backend = lab.backend(endpoint_url=f"http://127.0.0.1:{free_port()}")
    place = lab.place(backend)
    secret = backend.staged(place)
    attempts: list[Callable[[], object]] = [
        lambda: backend.read(place),
        lambda: secret.promote("v" * 32, expected=Version("w" * 32)),
    ]
    for attempt in attempts:
        error = caught(attempt)
        assert type(error) is UnavailableError
        assert error.message == "AWS cannot be reached: the connection is refused, or the name unknown"


def test_no_credentials_is_told_before_anything_is_sent(
    lab: Lab, aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says where they are looked for."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    backend = lab.backend()
    error = caught(lambda: backend.read(lab.place(backend)))
    assert type(error) is UnauthenticatedError
    assert error.message == "no AWS credentials were found"
    assert error.hint.startswith("set AWS_PROFILE or AWS_ACCESS_KEY_ID")
    assert aws.calls == []


@pytest.mark.parametrize(
    "login",
    [
        "credential_process = /nowhere",
        "credential_process = /bin/echo hello",
        "role_arn = arn:aws:iam::123456789012:role/r\nweb_identity_token_file = /nowhere",
    ],
)
def test_a_login_that_leads_nowhere_is_told(
    lab: Lab, aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, login: str
) -> None:
    """The library lets out what Python says of a program or a file that is not there; nothing was sent."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
    (tmp_path / "config").write_text(f"[default]\n{login}\n")
    for backend in (lab.backend(), lab.backend(assume_role={"role_arn": "arn:aws:iam::123456789012:role/rotate"})):
        secret = backend.staged(lab.place(backend))
        for call in (secret.describe, partial(secret.promote, "v" * 32, expected=Version("w" * 32))):
            error = caught(call)
            assert type(error) is UnauthenticatedError
            assert error.message == "what AWS's configuration names for the login cannot be used"
            assert error.hint.startswith("credential_process must name a program")
    assert aws.calls == []


def test_an_endpoint_that_is_no_address_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_ENDPOINT_URL without its scheme, as one writes it for other programs."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:4566")
    backend = lab.backend(endpoint_url=None)
    error = caught(lambda: backend.read(lab.place(backend)))
    assert type(error) is RefusedError
    assert error.message == "AWS's configuration cannot be used"
    assert "AWS_ENDPOINT_URL" in error.hint


def test_a_lost_login_is_told_with_how_to_log_in(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A profile of the identity centre whose login is missing."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "config").write_text(
        "[profile sso]\nsso_session=s\nsso_account_id=123456789012\nsso_role_name=r\nregion=eu-west-1\n"
        "[sso-session s]\nsso_region=eu-west-1\nsso_start_url=https://example.test/start\n"
    )
    backend = lab.backend(profile="sso")
    error = caught(lambda: backend.read(lab.place(backend)))
    assert type(error) is UnauthenticatedError
    assert error.hint == "aws sso login"


def test_an_endpoint_of_the_environment_must_be_encrypted_too(
    lab: Lab, aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS_ENDPOINT_URL cannot lead a secret over the network in the clear."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1:4566")
    backend = lab.backend(endpoint_url=None)
    error = caught(lambda: backend.read(lab.place(backend)))
    assert error.message == "AWS's configuration leads to an address that is not encrypted"
    assert aws.calls == []


def test_a_proxy_is_not_asked_for_what_is_on_this_machine(
    lab: Lab, aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over plain HTTP a proxy would read the secret."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    backend = lab.backend()
    assert backend.read(lab.place(backend)) is None
    assert len(aws.calls) == 1


def test_a_secret_that_vanishes_between_two_calls_is_told(lab: Lab, aws: SimulatedAws) -> None:
    """Its promotion finds nothing, which is a conflict: somebody deleted it."""
    _, place, attempt = provoke(lab, "PutSecretValue")
    aws.intercept = planned("PutSecretValue", Refuse("ResourceNotFoundException"))
    error = caught(attempt)
    assert type(error) is NotFoundError
    assert error.message == f"{place.label} does not exist"
