"""The settings of the backend and of destinations: what they mean, and every fault with its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rotator.errors import ConfigError
from rotator_backends.aws import AwsBackend
from tests.aws.lab import REGION

ARN = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:pve/ci-AbC123"
ROLE = "arn:aws:iam::210987654321:role/rotate"
ROOT = Path(__file__).parents[2]


def faults(**settings: Any) -> list[str]:  # noqa: ANN401 - any setting
    """Tell what is wrong with a backend's settings."""
    with pytest.raises(ConfigError) as caught:
        AwsBackend.configure({"region": REGION, **settings})
    return caught.value.message.splitlines()


def label(settings: dict[str, str], **backend: Any) -> str:  # noqa: ANN401 - any setting
    """Tell the label of a destination."""
    return AwsBackend.configure({"region": REGION, **backend}).locate(settings)[1]


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"region": "Frankfurt"}, "region: must be a region, such as eu-central-1"),
    (
        {"endpoint_url": "http://vpce.example.com"},
        "endpoint_url: must begin with https://; http:// only to this machine",
    ),
    ({"endpoint_url": "https://u:p@example.com"}, "endpoint_url: must be a scheme, a host and a port, nothing else"),
    (
        {"assume_role": {"role_arn": "rotate"}},
        "assume_role: role_arn: must be a role's ARN, such as " + ROLE.replace("210987654321", "123456789012"),
    ),
    ({"assume_role": {}}, "assume_role: role_arn: field required"),
    (
        {"assume_role": {"role_arn": ROLE, "session_name": "a b"}},
        "assume_role: session_name: must be 2 to 64 letters, digits and +=,.@_-",
    ),
    ({"account": 123456789012}, "account: input should be a valid string"),
    ({"account": "1234"}, "account: must be an account's 12 digits, in quotes"),
    ({"read_timeout": 15}, "read_timeout: must be a duration with its unit, such as 500ms, 15s or 1m"),
    ({"connect_timeout": "0s"}, "connect_timeout: must be a duration with its unit, such as 500ms, 15s or 1m"),
    ({"read_attempts": 0}, "read_attempts: input should be greater than or equal to 1"),
    ({"tags": {"aws:x": "y"}}, "tags: keys that begin with aws: are AWS's own"),
    ({"tags": {"": "y"}}, "tags: must be 50 at most, keys of 1 to 128 and values of up to 256 characters"),
    ({"profile": ""}, "profile: string should have at least 1 character"),
    ({"profile": "nobody"}, "profile: AWS's configuration has no profile 'nobody'"),
)


@pytest.mark.parametrize(("settings", "line"), WRONG)
def test_a_fault_of_the_backend_is_told_with_its_place(settings: dict[str, Any], line: str) -> None:
    """The line begins with the key that is wrong."""
    assert faults(**settings) == [line]


def test_all_faults_are_told_at_once() -> None:
    """A line for each."""
    assert [line.partition(":")[0] for line in faults(region="x", profil="a", read_attempts=99)] == [
        "region",
        "read_attempts",
        "profil",
    ]


def test_no_region_anywhere_is_a_fault() -> None:
    """It cannot be guessed."""
    with pytest.raises(ConfigError, match=r"^region: is set neither here nor in AWS's configuration$"):
        AwsBackend.configure({})


def test_the_region_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere in AWS."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    assert AwsBackend.configure({}).locate({"secret_id": "ci"})[1] == "aws:eu-west-3/ci"


def test_the_region_may_come_from_a_profile(tmp_path: Path) -> None:
    """The one that is set."""
    (tmp_path / "config").write_text("[profile lab]\nregion = eu-north-1\n")
    backend = AwsBackend.configure({"profile": "lab"})
    assert backend.locate({"secret_id": "ci"})[1] == "aws:eu-north-1/ci"


def test_a_configuration_of_aws_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    """Whatever is wrong in it, it is not shown: credentials may stand there."""
    (tmp_path / "config").write_text("[profile x\nhunter2")
    with pytest.raises(ConfigError, match=r"^AWS's configuration cannot be read: ConfigParseError$"):
        AwsBackend.configure({"region": REGION})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:4566", "http://[::1]:4566", "http://localhost:4566", "https://vpce-1.example.com"]
)
def test_an_endpoint_is_encrypted_or_on_this_machine(url: str) -> None:
    """No secret goes over the network in the clear."""
    AwsBackend.configure({"region": REGION, "endpoint_url": url})


@pytest.mark.parametrize(
    ("secret_id", "line"),
    [
        ("a b", "secret_id: must be a name of letters, digits and /_+=.@- (512 at most), or an ARN"),
        ("", "secret_id: must be a name of letters, digits and /_+=.@- (512 at most), or an ARN"),
        ("n" * 513, "secret_id: must be a name of letters, digits and /_+=.@- (512 at most), or an ARN"),
        (
            ARN.removesuffix("-AbC123"),
            "secret_id: must be a secret's whole ARN, which ends with a hyphen and six characters, or a name",
        ),
        (ARN.replace(REGION, "eu-west-3"), "secret_id: is in the region eu-west-3, and this backend is in eu-west-1"),
    ],
)
def test_a_fault_of_a_destination_is_told_with_its_place(secret_id: str, line: str) -> None:
    """Nobody is contacted to find it."""
    with pytest.raises(ConfigError) as caught:
        label({"secret_id": secret_id})
    assert caught.value.message == line


def test_a_name_and_its_arn_have_one_label() -> None:
    """That is how two credentials with one destination are found."""
    assert label({"secret_id": "pve/ci"}) == label({"secret_id": ARN}) == f"aws:{REGION}/pve/ci"


def test_accounts_are_told_apart_where_they_are_known() -> None:
    """One name in two accounts is two places: the account is that of the role, or is set."""
    role = label({"secret_id": "pve/ci"}, assume_role={"role_arn": ROLE})
    assert role == f"aws:210987654321/{REGION}/pve/ci"
    assert label({"secret_id": "pve/ci"}, account="123456789012") == f"aws:123456789012/{REGION}/pve/ci"
    assert label({"secret_id": ARN}, assume_role={"role_arn": ROLE}) == f"aws:123456789012/{REGION}/pve/ci"


def test_a_description_makes_no_other_place() -> None:
    """It is not part of where the record is."""
    assert label({"secret_id": "ci", "description": "of ci"}) == label({"secret_id": "ci"})


def python(code: str) -> str:
    """Run Python in a process of its own."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_without_boto3_one_line_says_what_to_install() -> None:
    """The extra that brings it."""
    said = python(
        "import sys; sys.modules['boto3'] = None\n"
        "from rotator.errors import ConfigError\nfrom rotator_backends.aws import AwsBackend\n"
        "try: AwsBackend.configure({'region': 'eu-west-1'})\n"
        "except ConfigError as error: print(error, error.hint, error.__context__, sep='|')"
    )
    assert said == ("the backend aws needs boto3, which is not installed|pip install 'proxmox-token-rotator[aws]'|None")


def test_boto3_is_loaded_only_when_the_backend_is_configured() -> None:
    """Looking at what there is costs nothing."""
    loaded = "print(sorted({'boto3', 'botocore', 'urllib3'} & set(sys.modules)))"
    assert python(f"import sys, rotator_backends.aws; {loaded}") == "[]"


def test_configuring_contacts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the machine's metadata service: credentials are looked for at the first call."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_DEFAULTS_MODE", "auto")
    said = python(
        "import socket\ndef no(*a, **k): raise SystemExit('contacted')\n"
        "socket.socket.connect = socket.create_connection = no\n"
        "from rotator_backends.aws import AwsBackend\n"
        f"print(AwsBackend.configure({{'region': '{REGION}', 'assume_role': {{'role_arn': '{ROLE}'}}}})"
        ".locate({'secret_id': 'ci'})[1])"
    )
    assert said == f"aws:210987654321/{REGION}/ci"
