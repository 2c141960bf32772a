"""The stack is accepted by cfn-lint, and what the page tells to type makes it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

from tests.aws.deployed import FOLDER
from tests.docs.pages import ROOT
from tests.docs.stages import shells
from tests.system.guides.terminal import Terminal, sitting_at

PAGE = "deploy/aws/README.md"
REGION = "eu-central-1"
LOGIN = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-real-access-key"}


def test_cfn_lint_accepts_the_stack() -> None:
    """Without an error or a warning."""
    linted = subprocess.run(  # noqa: S603 - ours
        ["cfn-lint", "--template", str(FOLDER / "rotation.yaml"), "--regions", REGION, "us-east-1"],  # noqa: S607 - as anybody
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (linted.returncode, linted.stdout) == (0, "")


@pytest.fixture
def cloud() -> Iterator[str]:
    """Run AWS, as far as moto does; functions do nothing when they are called."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    requests.post(f"{url}/moto-api/config", json={"lambda": {"use_docker": False}}, timeout=20).raise_for_status()
    yield url
    server.stop()


@pytest.fixture
def terminal(tmp_path: Path, watch: Callable[[str], None], cloud: str) -> Iterator[Terminal]:
    """Sit in the folder, logged in at AWS, with an operator at PVE and a package of the function without libraries."""
    with sitting_at(tmp_path, watch) as made:
        made.where = shutil.copytree(FOLDER, made.home / "aws")
        shutil.copytree(
            ROOT / "rotator", made.where / "package" / "rotator", ignore=shutil.ignore_patterns("__pycache__")
        )
        made.variables |= {**LOGIN, "AWS_ENDPOINT_URL": cloud, "AWS_DEFAULT_REGION": REGION, "AWS_PAGER": ""}
        made.keep("aws/operator.json", json.dumps(made.operator))
        yield made


def client(cloud: str, service: str) -> Any:  # noqa: ANN401 - botocore makes its classes at run time
    """Return a client of AWS's own."""
    session: Any = boto3.session.Session(LOGIN["AWS_ACCESS_KEY_ID"], LOGIN["AWS_SECRET_ACCESS_KEY"], region_name=REGION)
    return session.client(service, endpoint_url=cloud)


def network(terminal: Terminal, cloud: str) -> None:
    """Have what the page takes to be there: a bucket, a VPC and its subnets, under their own names."""
    ec2 = client(cloud, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    terminal.names["vpc-0123456789abcdef0"] = vpc
    for number in range(2):
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"]
        terminal.names[f"subnet-0123456789abcdef{number}"] = subnet
    client(cloud, "s3").create_bucket(Bucket="my-packages", CreateBucketConfiguration={"LocationConstraint": REGION})


@pytest.mark.filterwarnings("ignore:Tried to parse AWS")  # moto tells what it leaves out
def test_the_commands_of_the_page_make_the_stack(terminal: Terminal, cloud: str) -> None:
    """The package holds the function; a further secret is rotated by it."""
    network(terminal, cloud)
    wrong = [line for block in shells(PAGE) for line in terminal.shell(block)]
    assert wrong == [], "\n".join(wrong)
    (stack,) = client(cloud, "cloudformation").describe_stacks(StackName="rotate")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    function = client(cloud, "lambda").get_function(FunctionName="rotate")["Configuration"]
    assert function["CodeSize"] > 100_000
    assert function["Environment"]["Variables"]["ROTATE_USERS"] == "ci@pve"
