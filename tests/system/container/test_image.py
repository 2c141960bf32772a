"""What the image is: small, nobody's, without a shell that it needs, and healthy as long as the service goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.system.container.daemon import Docker
from tests.system.container.image import BASE, NAME, inspected

LARGEST = 150 * 1024 * 1024
"""Bytes that the image may add to its base."""
CONFIGURATION = """\
version: 1
owner: lab
clusters:
  home:
    endpoints: [127.0.0.1:8006]
    operator: {token_id: rotator@pve!operator, token_secret: {env: OPERATOR}}
credentials:
  - {name: ci, cluster: home, user: ci@pve, every: 30d, overlap: 24h, privsep: false, destination: {path: /tmp/ci.json}}
"""


@pytest.fixture(scope="session")
def known(docker: Docker) -> Any:  # noqa: ANN401 - JSON
    """Return what Docker knows of the image."""
    return inspected(docker)


def test_it_runs_as_a_number_that_is_not_root(known: Any) -> None:  # noqa: ANN401 - JSON
    """Kubernetes looks at the number alone when it may not be root."""
    uid, _, gid = known["Config"]["User"].partition(":")
    assert (int(uid), int(gid)) == (65532, 65532)


def test_it_says_what_it_is(known: Any) -> None:  # noqa: ANN401 - JSON
    """Registries and scanners read the labels."""
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in known["Config"]["Labels"].items()}
    assert labels["title"] == "proxmox-token-rotator"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["version"] == "9.8.7"


def test_it_is_small(docker: Docker, known: Any) -> None:  # noqa: ANN401 - JSON
    """What nothing loads was left out."""
    base = json.loads(docker.do("image", "inspect", BASE))[0]
    assert known["Size"] - base["Size"] < LARGEST


def test_it_needs_no_shell(docker: Docker, known: Any) -> None:  # noqa: ANN401 - JSON
    """The whole demonstration runs where every shell is an empty file."""
    masks = [f"--volume=/dev/null:/usr/bin/{name}:ro" for name in ("dash", "bash")]
    docker.do("run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp", *masks, NAME, "demo")
    assert known["Config"]["Healthcheck"]["Test"][0] == "CMD"


def test_its_health_is_that_of_the_service(docker: Docker, tmp_path: Path) -> None:
    """Docker finds the service healthy by what the image says; where no service runs the same command fails."""
    config = tmp_path / "rotate.yaml"
    config.write_text(CONFIGURATION, encoding="utf-8")
    config.chmod(0o444)
    options = ["--network=none", "--read-only", "--tmpfs=/tmp", f"--volume={config}:/etc/rotate/rotate.yaml:ro"]
    probe = inspected(docker)["Config"]["Healthcheck"]["Test"][1:]
    started = ["--detach", "--health-interval=1s", "--env=OPERATOR=none", *options]
    service = docker.do("run", *started, NAME)
    try:
        assert docker.health(service) == "health_status: healthy", docker.do("logs", service)
    finally:
        docker.do("rm", "--force", service)
    alone = docker.run("run", "--rm", *options, f"--entrypoint={probe[0]}", NAME, *probe[1:])
    assert alone.returncode == 1
