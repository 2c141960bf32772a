"""What the page on the image tells to type works, typed as it stands."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from packaging.markers import Marker

from tests.docs.stages import shells
from tests.system.container.daemon import CLIENT, Docker
from tests.system.container.image import NAME, ROOT, options, secrets

PAGE = "deploy/container/README.md"
LISTING = """
from importlib.metadata import distributions
for found in distributions():
    print(f"{found.name}=={found.version}")
"""
PROGRAM = """\
#!/bin/sh
case $1 in build) shift && exec {client} build {options} "$@" ;; esac
exec {client} "$@"
"""
"""Docker, whose builds find their packages as on this machine."""


def test_the_page_is_followed(docker: Docker, tmp_path: Path) -> None:
    """The image is built and does the demonstration; the list of what is inside names all of it, and no more."""
    program = tmp_path / "docker"
    program.write_text(PROGRAM.format(client=CLIENT, options=shlex.join(options(docker))), encoding="utf-8")
    program.chmod(0o755)
    checkout = docker.folder / "checkout"
    for given, file in zip(secrets(docker).values(), ("pip.conf", "uv.toml", "ca.pem"), strict=True):
        shutil.copy(given, checkout / file)
    environ = {**docker.environ, "PATH": os.pathsep.join([str(tmp_path), os.environ["PATH"]])}
    for block in shells(PAGE):
        if block.text.startswith("docker compose "):  # test_compose types these
            continue
        command = ["/bin/bash", "-euo", "pipefail", "-c", block.text]
        done = subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - the page's
        assert done.returncode == 0, done.stdout + done.stderr
    components = json.loads((checkout / "sbom.json").read_text(encoding="utf-8"))["components"]
    listed = {canonical(f"{it['name']}=={it['version']}") for it in components}
    assert listed - inside(docker) == elsewhere()
    assert {name.partition("==")[0] for name in inside(docker) - listed} == {"proxmox-token-rotator"}


def canonical(pin: str) -> str:
    """Write name and version of a distribution in one way."""
    return re.sub(r"[-_.]+", "-", pin).lower()


def inside(docker: Docker) -> set[str]:
    """List the distributions in the image."""
    python = ["--rm", "--network=none", "--entrypoint=/opt/rotate/bin/python"]
    return set(map(canonical, docker.do("run", *python, NAME, "-c", LISTING).splitlines()))


def elsewhere() -> set[str]:
    """List what the lock wants on other systems and Pythons alone."""
    lock = (ROOT / "requirements/image.txt").read_text(encoding="utf-8")
    found = re.findall(r"^(\S+==\S+) ; (.*) \\$", lock, flags=re.MULTILINE)
    return {canonical(pin) for pin, marker in found if not Marker(marker).evaluate()}
