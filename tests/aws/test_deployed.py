"""The policies in ``deploy/aws`` are enough for rotations and for consumers, and nothing in them can be left out.

Conditions are not known to the simulation; that keys are used by Secrets Manager alone is looked at as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from rotator.aws_lambda import RotationError
from rotator.errors import ExitCode
from rotator.testing.aws import SimulatedAws
from tests.aws.deployed import Policy, actions, read, renamed, weaker
from tests.aws.function import Function
from tests.aws.lab import REGION, Lab
from tests.cli.lab import USER, Time
from tests.cli.lab import Lab as Desk
from tests.docs.pages import blocks

ROTATOR, CONSUMER, FUNCTION, KEY, READING = map(read, ("rotator", "consumer", "function", "key", "reading-key"))
PAGES = ("guides/aws.md", "backends/aws.md")


class Office:
    """A PVE, and a Secrets Manager that holds its operator and a record that is not there yet."""

    def __init__(self, desk: Desk, aws: SimulatedAws, lab: Lab) -> None:
        self.desk, self.aws, self.lab = desk, aws, lab
        number = uuid4().hex
        self.names = {"pve/ci-": f"pve/ci{number}-", "pve/operator-": f"pve/operator{number}-"}
        self.record, self.operator = (name.removesuffix("-") for name in self.names.values())

    def configure(self, policy: Policy, key: str = "") -> None:
        """Let the rotator have a policy; with a key the operator's secret has it, too."""
        token_id, secret = self.desk.operators["one"]["token_id"], next(iter(self.desk.environ.values()))
        token = json.dumps({"token_id": token_id, "token_secret": secret})
        with_key = {"KmsKeyId": key} if key else {}
        self.lab.client().create_secret(Name=self.operator, SecretString=token, **with_key)
        self.desk.operators["one"] = {"backend": "aws", "secret_id": self.operator}
        backend = {"type": "aws", "region": REGION, "endpoint_url": self.aws.url}
        self.desk.extra = {"backends": {"aws": {**backend, **({"kms_key_id": key} if key else {})}}}
        usual = {"name": "ci", "cluster": "one", "user": USER, "privsep": False, "every": "30d", "overlap": "1h"}
        self.desk.credentials.append({**usual, "destination": {"backend": "aws", "secret_id": self.record}})
        self.desk.write()
        self.aws.calls.clear()
        self.aws.policy = renamed(policy, self.names)

    def rotate(self) -> list[int]:
        """Issue the first token, replace it when it is due, and revoke it; returns the exit codes."""
        codes = []
        for days in (0, 31, 1):
            self.desk.time.pass_by(days=days)
            codes.append(self.desk.call("due").exit_code)
        return codes

    def read(self, policy: Policy) -> dict[str, str]:
        """Read the record as a consumer does who has a policy."""
        self.aws.policy = renamed(policy, self.names)
        found: dict[str, str] = json.loads(self.lab.client().get_secret_value(SecretId=self.record)["SecretString"])
        return found


@pytest.fixture
def office(tmp_path: Path, watch: Callable[[str], None], aws: SimulatedAws, lab: Lab) -> Iterator[Office]:
    """Open one."""
    desk = Desk(tmp_path, Time(), watch)
    desk.add_cluster("one")
    made = Office(desk, aws, lab)
    yield made
    aws.policy = None
    if text := aws.text(REGION, made.record):
        watch(json.loads(text)["token_secret"])
    desk.pve.close()


def key_of(policy: Policy) -> str:
    """Return the key that a policy is about."""
    return str(policy[0]["Resource"])


def test_the_rotator_s_policy_is_enough(office: Office) -> None:
    """For the first token, its replacement and its end, with the operator in Secrets Manager; all of it is used."""
    office.configure(ROTATOR)
    assert office.rotate() == [0, 0, 0]
    assert set(office.aws.actions) == set(actions(ROTATOR))
    record = office.read(CONSUMER)
    assert office.desk.pve.accepts(record["token_id"], record["token_secret"])


def test_with_a_key_the_rotator_needs_its_policy_and_no_more(office: Office) -> None:
    """So does the consumer, for reading."""
    office.configure(ROTATOR + KEY, key_of(KEY))
    assert office.rotate() == [0, 0, 0]
    assert office.read(CONSUMER + READING)["token_id"].startswith(USER)
    with pytest.raises(ClientError, match="Access to KMS is not allowed"):
        office.read(CONSUMER)


@pytest.mark.parametrize(
    ("policy", "key"),
    [
        *(pytest.param(policy, "", id=f"without {what}") for what, policy in weaker(ROTATOR)),
        *(pytest.param(ROTATOR + policy, key_of(KEY), id=f"without {what}") for what, policy in weaker(KEY)),
    ],
)
def test_nothing_of_the_rotator_s_policy_can_be_left_out(office: Office, policy: Policy, key: str) -> None:
    """Whatever is taken away is missed at the latest when the first token is replaced."""
    office.configure(policy, key)
    codes = office.rotate()
    assert ExitCode.FAILED in codes[:2]
    assert set(codes) <= {ExitCode.DONE, ExitCode.FAILED}


def test_the_consumer_reads_its_own_record_and_does_nothing_else(office: Office) -> None:
    """Neither the operator's secret nor any change; without its one action it reads nothing."""
    office.configure(ROTATOR)
    assert office.rotate()[0] == 0
    office.read(CONSUMER)
    client, arn = office.lab.client(), office.record
    forbidden: list[Callable[[], Any]] = [
        lambda: client.get_secret_value(SecretId=office.operator),
        lambda: client.put_secret_value(SecretId=arn, SecretString="{}"),
        lambda: client.describe_secret(SecretId=arn),
        lambda: office.read(next(policy for _, policy in weaker(CONSUMER))),
    ]
    for attempt in forbidden:
        with pytest.raises(ClientError, match="AccessDenied"):
            attempt()


def of_the_function(f: Function, policy: Policy) -> Policy:
    """Adapt a policy to the secrets of a test."""
    return renamed(
        policy,
        {
            "secret:pve/*": f"secret:{f.name}-*",
            "secret:pve-operator-": f"secret:{f.environ['ROTATE_OPERATOR_SECRET']}-",
        },
    )


def rotation(f: Function) -> str:
    """Begin a rotation of a secret that has been rotated before; its key is that of the policy."""
    content = json.dumps({"note": "by hand"})
    f.arn = f.client.create_secret(Name=f.name, SecretString=content, KmsKeyId=key_of(KEY))["ARN"]
    f.rotate()
    f.w.forget()
    return f.begin()


def test_the_function_s_policy_is_enough(f: Function) -> None:
    """For a whole rotation of a secret with a key."""
    version = rotation(f)
    f.aws.policy = of_the_function(f, FUNCTION + KEY)
    f.steps(version)
    f.aws.policy = None
    assert f.works()


@pytest.mark.parametrize(
    "policy", [pytest.param(policy, id=f"without {what}") for what, policy in weaker(FUNCTION + KEY)]
)
def test_nothing_of_the_function_s_policy_can_be_left_out(f: Function, policy: Policy) -> None:
    """A step fails, and the message is about permissions."""
    version = rotation(f)
    f.aws.policy = of_the_function(f, policy)
    with pytest.raises(RotationError, match=r"AWS does not allow |AWS KMS does not let the key "):
        f.steps(version)


def test_keys_are_used_through_secrets_manager_alone() -> None:
    """Whoever has the policy cannot decrypt anything else with the key."""
    for (statement,) in (KEY, READING):
        assert statement["Condition"] == {"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}}


def test_the_pages_show_the_same_policies() -> None:
    """To the letter; the page of the backend tells of parts, too."""
    shown = {page: [json.loads(it.text) for it in blocks(page) if it.language == "json"] for page in PAGES}
    plain = [
        {"Version": "2012-10-17", "Statement": renamed(it, {REGION: "eu-central-1"})} for it in (ROTATOR, CONSUMER)
    ]
    assert shown["guides/aws.md"][:2] == plain
    function, key = (renamed(it, {REGION: "eu-central-1"}) for it in (FUNCTION, KEY))
    assert {"Version": "2012-10-17", "Statement": function} in shown["backends/aws.md"]
    assert key[0] in shown["backends/aws.md"]
