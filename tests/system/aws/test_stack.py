"""The stack in ``deploy/aws/rotation.yaml``, as moto's CloudFormation makes it, fits the function and its policies.

What moto leaves out of a stack (the secret, its schedule, alarms, ways out of a network, policies of topic and queue)
is looked at as text, and by cfn-lint.
"""

from __future__ import annotations

import ast
import io
import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from moto.events.models import EventPattern

from rotator import aws_lambda
from rotator.aws_lambda_settings import function_settings
from tests.aws.deployed import FOLDER, parameter, read, renamed
from tests.aws.lab import REGION

ACCOUNT = "123456789012"
KEY = str(read("key")[0]["Resource"])
FINGERPRINT = ":".join(["AB"] * 32)
GIVEN = {"Endpoints": "pve1.lan, pve2.lan:8007", "Users": "ci@pve", "PveNetwork": "10.1.0.0/16"}


class Loader(yaml.SafeLoader):
    """Reads a template; what a function of CloudFormation is given stays as it is."""


def _given(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:  # noqa: ANN401 - YAML
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


Loader.add_multi_constructor("!", _given)
TEXT = (FOLDER / "rotation.yaml").read_text(encoding="utf-8")
TEMPLATE: Mapping[str, Any] = yaml.load(TEXT, Loader)  # noqa: S506 - a SafeLoader
RESOURCES: Mapping[str, Any] = TEMPLATE["Resources"]


SESSION: Any = boto3.session.Session(region_name=REGION)


@cache
def client(service: str) -> Any:  # noqa: ANN401 - botocore makes its classes at run time
    """Return a client of AWS's own; each takes a while to make."""
    return SESSION.client(service)


@dataclass(frozen=True)
class Stack:
    """A stack that was made."""

    name: str

    @property
    def function(self) -> dict[str, Any]:
        """Return how the function is configured."""
        found: dict[str, Any] = client("lambda").get_function_configuration(FunctionName=self.name)
        return found

    def policies(self) -> dict[str, Any]:
        """Return the policies of the function's role."""
        role = self.function["Role"].rpartition("/")[2]
        iam = client("iam")
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        found = {it: iam.get_role_policy(RoleName=role, PolicyName=it)["PolicyDocument"] for it in names}
        return {name: ast.literal_eval(str(it)) for name, it in found.items()}  # moto writes some as Python

    def rule(self) -> dict[str, Any]:
        """Return the rule about failures."""
        rules = client("events").list_rules()["Rules"]
        found: dict[str, Any] = next(it for it in rules if it["Name"].startswith(self.name))
        return found

    def pattern(self) -> EventPattern:
        """Return what the rule about failures matches."""
        rule = self.rule()
        return EventPattern(rule["EventPattern"], json.loads(rule["EventPattern"]))


def made(name: str, **changes: str) -> Stack:
    """Upload a package, and make a stack."""
    stack = Stack(name)
    ec2, s3 = client("ec2"), client("s3")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("rotator.py", "")
    s3.create_bucket(Bucket=f"packages-{name}", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=f"packages-{name}", Key="rotate.zip", Body=archive.getvalue())
    given = {**GIVEN, "Vpc": vpc, "Subnets": subnet, **changes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # moto tells what it leaves out
        client("cloudformation").create_stack(
            StackName=name,
            TemplateBody=TEXT.replace("Code: package/", f"Code: {{S3Bucket: packages-{name}, S3Key: rotate.zip}}"),
            Parameters=[parameter(key, value) for key, value in given.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
    return stack


@pytest.fixture(scope="module")
def world() -> Iterator[None]:
    """Keep what is made apart from everything else."""
    with mock_aws():
        yield


@pytest.fixture(scope="module")
def stack(world: None) -> Stack:  # noqa: ARG001 - it is made there
    """Make a stack with everything."""
    return made("rotate", KeyArn=KEY, Fingerprint=FINGERPRINT, Email="ops@example.com")


@pytest.fixture(scope="module")
def bare(world: None) -> Stack:  # noqa: ARG001 - as above
    """Make a stack with nothing that can be left out."""
    return made("bare", Record="", MakeEndpoint="false", Prefix="team/", OperatorSecret="team-operator")


def document(*names: str) -> dict[str, Any]:
    """Return policies of the folder as one document."""
    return {"Version": "2012-10-17", "Statement": [it for name in names for it in read(name)]}


def test_the_role_has_the_policies_of_the_folder(stack: Stack) -> None:
    """To the letter, for the account and the region of the stack."""
    assert stack.policies() == {"rotate": document("function"), "key": document("key")}
    assert RESOURCES["Role"]["Properties"]["ManagedPolicyArns"] == [
        "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"
    ]


def test_without_a_key_nothing_is_said_of_keys(bare: Stack) -> None:
    """And the names are those that were given."""
    names = {"secret:pve/*": "secret:team/*", "secret:pve-operator-": "secret:team-operator-"}
    assert bare.policies() == {"rotate": {"Version": "2012-10-17", "Statement": renamed(read("function"), names)}}


def test_the_function_is_configured_as_it_reads_its_settings(stack: Stack) -> None:
    """Endpoints, users, operator and certificate; the handler is there."""
    found = stack.function
    settings = function_settings(found["Environment"]["Variables"], found["FunctionArn"])
    assert settings.endpoints == ("pve1.lan:8006", "pve2.lan:8007")
    assert (settings.users, settings.operator) == (("ci@pve",), "pve-operator")
    assert (settings.fingerprint, settings.ca_file, settings.adopt) == (FINGERPRINT, None, False)
    module, _, name = found["Handler"].rpartition(".")
    assert (module, callable(getattr(aws_lambda, name))) == (aws_lambda.__name__, True)
    assert (found["Runtime"], found["Timeout"]) == ("python3.13", 300)


def test_a_file_with_the_authority_may_take_the_place_of_a_fingerprint() -> None:
    """Where neither is given, neither variable is set: an empty one would be a fault."""
    variables = RESOURCES["Function"]["Properties"]["Environment"]["Variables"]
    assert variables["ROTATE_CA_FILE"] == ["HasCaFile", "CaFile", "AWS::NoValue"]
    assert set(variables) <= {f"ROTATE_{key}" for key in (
        "ENDPOINTS", "USERS", "OPERATOR_SECRET", "FINGERPRINT", "CA_FILE", "OVERLAP", "ADOPT"
    )}  # fmt: skip


def test_the_function_reaches_pve_and_secrets_manager_alone(stack: Stack) -> None:
    """Nothing comes in; the endpoint takes what comes from the function."""
    (group,) = stack.function["VpcConfig"]["SecurityGroupIds"]
    (found,) = client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert found["IpPermissions"] == []
    (out,) = RESOURCES["FunctionNetwork"]["Properties"]["SecurityGroupEgress"]
    assert (out["FromPort"], out["ToPort"], out["CidrIp"]) == ("PvePort", "PvePort", "PveNetwork")
    egress = RESOURCES["ToSecretsManager"]["Properties"]
    assert (egress["FromPort"], egress["ToPort"]) == (443, 443)
    assert egress["DestinationSecurityGroupId"] == ["MakesEndpoint", "EndpointNetwork.GroupId", "AWS::NoValue"]


def test_only_secrets_manager_of_this_account_calls_the_function(stack: Stack) -> None:
    """Nobody else's secret can make it do anything."""
    policy = json.loads(client("lambda").get_policy(FunctionName=stack.name)["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Action"] == "lambda:InvokeFunction"
    assert statement["Principal"] == {"Service": "secretsmanager.amazonaws.com"}
    assert ACCOUNT in json.dumps(statement["Condition"])


def test_rotation_begins_when_it_is_allowed_and_possible() -> None:
    """AWS rotates at once when the schedule is made: the function may then be called, and reaches Secrets Manager."""
    schedule = RESOURCES["Schedule"]
    assert set(schedule["DependsOn"]) == {"Permission", "ToSecretsManager"}
    assert schedule["Properties"]["RotationLambdaARN"] == "Function.Arn"
    assert RESOURCES["Secret"]["DeletionPolicy"] == "Retain"
    assert RESOURCES["Secret"]["Properties"]["SecretString"] == "{}"


def event(name: str = "RotationFailed", about: str = "pve/ci-AbCdEf", kind: str = "Service Event") -> dict[str, Any]:
    """Return an event as AWS sends it."""
    return {
        "version": "0",
        "detail-type": f"AWS {kind} via CloudTrail",
        "source": "aws.secretsmanager",
        "account": ACCOUNT,
        "region": REGION,
        "resources": [],
        "detail": {
            "eventSource": "secretsmanager.amazonaws.com",
            "eventName": name,
            "errorMessage": "Error when executing lambda arn:… during createSecret step",
            "requestParameters": None,
            "additionalEventData": {"SecretId": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{about}"},
            "eventType": "AwsServiceEvent",
        },
    }


@pytest.mark.parametrize(
    ("told", "is_matched"),
    [
        (event(), True),
        (event("RotationAbandoned"), True),
        (event("RotationSucceeded"), False),
        (event("RotationStarted"), False),
        (event(about="db/main-AbCdEf"), False),
        (event(kind="API Call"), False),
        ({**event(), "source": "aws.kms"}, False),
    ],
)
def test_the_rule_hears_of_failures_and_of_nothing_else(stack: Stack, told: Any, is_matched: bool) -> None:  # noqa: ANN401, FBT001 - JSON; a row of a table
    """Of secrets under the prefix."""
    assert stack.pattern().matches_event(told) is is_matched


def test_failures_are_told_with_what_failed(stack: Stack) -> None:
    """The message names the secret, the reason and the log; one that cannot be delivered is kept."""
    (target,) = client("events").list_targets_by_rule(Rule=stack.rule()["Name"])["Targets"]
    paths = target["InputTransformer"]["InputPathsMap"]
    template = target["InputTransformer"]["InputTemplate"]
    for name, path in paths.items():
        value: Any = event()
        for step in path.removeprefix("$.").split("."):
            value = value[step]
        template = template.replace(f"<{name}>", value)
    assert "RotationFailed: arn:aws:secretsmanager" in template
    assert "during createSecret step" in template
    assert "/aws/lambda/rotate" in template
    assert target["Arn"].startswith("arn:aws:sns:")
    assert target["DeadLetterConfig"]["Arn"].startswith("arn:aws:sqs:")


def test_only_the_rule_and_alarms_of_this_account_write_to_the_topic() -> None:
    """And the rule alone to the queue; each statement has its condition."""
    topic, queue = (RESOURCES[name]["Properties"]["PolicyDocument"]["Statement"] for name in (
        "FailuresPolicy", "UndeliveredPolicy"
    ))  # fmt: skip
    told = [(it["Principal"]["Service"], it["Action"], json.dumps(it["Condition"])) for it in [*topic, *queue]]
    rule = '{"ArnEquals": {"aws:SourceArn": "RotationFailed.Arn"}}'
    assert told == [
        ("events.amazonaws.com", "sns:Publish", rule),
        ("cloudwatch.amazonaws.com", "sns:Publish", '{"StringEquals": {"aws:SourceAccount": "AWS::AccountId"}}'),
        ("events.amazonaws.com", "sqs:SendMessage", rule),
    ]


@pytest.mark.parametrize("name", ["FunctionFails", "MessagesAreLost"])
def test_an_alarm_tells_the_topic_of_the_first_failure(name: str) -> None:
    """And nothing where nothing happens: five minutes without a call mend nothing."""
    alarm = RESOURCES[name]["Properties"]
    assert "OKActions" not in alarm
    assert (alarm["Threshold"], alarm["EvaluationPeriods"]) == (1, 1)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert (alarm["TreatMissingData"], alarm["AlarmActions"]) == ("notBreaching", ["Failures"])


def test_every_parameter_is_described_and_shown() -> None:
    """In the console, in its group."""
    shown = [
        it
        for group in TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        for it in group["Parameters"]
    ]
    assert sorted(shown) == sorted(TEMPLATE["Parameters"])
    assert all(it["Description"] for it in TEMPLATE["Parameters"].values())
