"""The configuration in ``backends/aws.md`` was run: from an empty Secrets Manager to a token that rotates."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from rotator.cli.main import rotate
from rotator.testing.aws import SimulatedAws
from tests.aws.lab import Lab
from tests.world import World

DOCUMENT = (Path(__file__).parents[2] / "backends/aws.md").read_text()


def test_the_example_runs(
    w: World, aws: SimulatedAws, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the cluster's address and certificate, and the way to AWS, are the test's."""
    found = re.search(r"```yaml\n(version: 1\n.*?)```", DOCUMENT, flags=re.DOTALL)
    assert found
    endpoints = ", ".join(node.endpoint for node in w.pve.nodes)
    text = found[1].replace("pve1.lan", endpoints).replace("/etc/rotate/pve-root-ca.pem", str(w.ca))
    config = tmp_path / "rotate.yaml"
    config.write_text(text)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.url)
    client = lab.client("eu-central-1")
    operator = {"token_id": str(w.operator.id), "token_secret": w.operator.secret.reveal()}
    client.create_secret(Name="pve-operator", SecretString=json.dumps(operator))
    for number in (1, 2):
        done = CliRunner(env={"ROTATE_CONFIG": str(config)}).invoke(rotate, ["now", "ci"], obj=w.clock)
        w.watch_secrets()
        assert done.exit_code == 0, done.output
        record = json.loads(client.get_secret_value(SecretId="pve/ci")["SecretString"])
        assert record["token_id"].startswith(f"ci@pve!ci-{number}-")
        assert w.pve.accepts(record["token_id"], record["token_secret"])
    seen = client.describe_secret(SecretId="pve/ci")
    assert (seen["KmsKeyId"], seen["Tags"]) == ("alias/pve-tokens", [{"Key": "team", "Value": "infra"}])
