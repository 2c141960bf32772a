"""The story of the compose file comes true, from an empty folder to a consumer that logs in.

Docker's plug-in ``compose`` is not in Debian, so its part is done here: the services one after the other, each when
what it depends on is healthy or has ended well. No image can be pulled: in OpenBao's place is our simulation of it.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import pytest
import yaml

from tests.system.container.daemon import CLIENT, Docker
from tests.system.container.image import NAME, ROOT

FILE = ROOT / "deploy" / "container" / "compose.yaml"
STORY: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = STORY["services"]
ADDRESS, TOKEN = "http://127.0.0.1:8200", "story-only"
SIMULATION = """
import json, threading
from rotator.testing.vault import SimulatedVault
with SimulatedVault(tls=False) as vault:
    print(json.dumps([vault.address, vault.root_token]), flush=True)
    threading.Event().wait()
"""
KNOWN = {
    *("image", "build", "network_mode", "user", "read_only", "cap_drop", "cap_add", "security_opt", "environment"),
    *("tmpfs", "volumes", "entrypoint", "command", "depends_on", "healthcheck"),
}


def test_the_file_is_one_that_compose_takes() -> None:
    """Every key is in the schema of the specification."""
    command = ["check-jsonschema", "--builtin-schema=vendor.compose-spec", str(FILE)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - a constant


@dataclass
class Story:
    """The services that run, and what is called otherwise here."""

    docker: Docker
    named: dict[str, str]

    def tell(self) -> None:
        """Run all services, in their order."""
        for name in TopologicalSorter({name: it.get("depends_on", {}) for name, it in SERVICES.items()}).static_order():
            if name == "openbao":
                self.simulate_openbao()
            else:
                self.run(name, SERVICES[name])

    def run(self, name: str, service: dict[str, Any]) -> None:
        """Run a service to its end, or until it is healthy when others wait for that."""
        is_awaited = any(
            it.get("depends_on", {}).get(name, {}).get("condition") == "service_healthy" for it in SERVICES.values()
        )
        options = [self.here(it) for it in self.options(service)]
        words = service.get("command", [])
        words = [self.here(it) for it in (shlex.split(words) if isinstance(words, str) else words)]
        more = [*service.get("entrypoint", [])[1:], *words]
        if not is_awaited:
            self.docker.do("run", f"--name={name}", *options, NAME, *more)
            return
        probe = service["healthcheck"].get("test", [])[1:]
        health = ["--health-interval=1s", *([f"--health-cmd={shlex.join(probe)}"] if probe else [])]
        self.docker.do("run", f"--name={name}", "--detach", *health, *options, NAME, *more)
        assert self.docker.health(name) == "health_status: healthy", self.docker.run("logs", name).stderr

    def options(self, service: dict[str, Any]) -> Iterator[str]:
        """Say in Docker's words what a service is allowed."""
        assert service.keys() <= KNOWN, service.keys() - KNOWN
        yield f"--network={service['network_mode'].replace('service:', 'container:')}"
        yield from (f"--volume={it}" for it in service["volumes"])
        yield from (f"--tmpfs={it}" for it in service.get("tmpfs", []))
        yield from (f"--cap-drop={it}" for it in service["cap_drop"])
        yield from (f"--cap-add={it}" for it in service.get("cap_add", []))
        yield from (f"--security-opt={it}" for it in service["security_opt"])
        yield from (f"--env={key}={value}" for key, value in service["environment"].items())
        yield from (f"--user={it}" for it in [service.get("user")] if it)
        yield from (f"--entrypoint={it}" for it in service.get("entrypoint", [])[:1])
        yield from ["--read-only"] if service["read_only"] else []

    def simulate_openbao(self) -> None:
        """Run what answers as OpenBao does, where it would."""
        network = SERVICES["openbao"]["network_mode"].replace("service:", "container:")
        options = ["--detach", "--name=openbao", f"--network={network}", "--entrypoint=/opt/rotate/bin/python"]
        self.docker.do("run", *options, NAME, "-c", SIMULATION)
        command = [CLIENT, "logs", "--follow", "openbao"]
        with subprocess.Popen(command, env=self.docker.environ, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - a constant
            assert process.stdout
            address, token = json.loads(process.stdout.readline())
            process.kill()
        self.named |= {ADDRESS: address, f"BAO_TOKEN={TOKEN}": f"BAO_TOKEN={token}"}

    def here(self, text: str) -> str:
        """Put what is called otherwise here in its place."""
        for name, other in self.named.items():
            text = text.replace(name, other)
        return text


@pytest.fixture
def story(docker: Docker) -> Iterator[Story]:
    """Return a story that has not begun, on a volume of its own."""
    docker.do("volume", "create", "story")
    yield Story(docker, {})
    docker.run("rm", "--force", *SERVICES)
    docker.do("volume", "rm", "story")


def test_the_story_comes_true(story: Story) -> None:
    """The consumer's part ends well: a rotation, a login with what is stored, and nothing left to do."""
    story.tell()
    said = story.docker.do("logs", "consumer")
    assert "works on every endpoint" in said
    assert "up to date" in said
