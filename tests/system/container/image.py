"""Building the image: a base from Debian's packages, in the place of Docker Hub's, and what the Dockerfile says.

How this machine reaches packages (a mirror, an authority of its own) is given to the build as secrets, which the image
does not keep.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.system.container.daemon import Docker
from tests.system.container.hub import Hub
from tests.system.guides.wheelhouse import check_out

ROOT = Path(__file__).parents[3]
NAME = "proxmox-token-rotator:test"
BASE = re.findall(r"^ARG BASE=(.*)$", (ROOT / "deploy/container/Dockerfile").read_text("utf-8"), re.MULTILINE)[0]
PACKAGES = "python3,python3-venv,ca-certificates"
PLACES = ("index-url",)
"""What pip and uv may be told of where packages come from, in words that both know."""


def build(docker: Docker, hub: Hub) -> None:
    """Build the image, from a checkout that stays as it is while somebody works here."""
    _make_base(docker, hub)
    checkout = docker.folder / "checkout"
    check_out(checkout)
    shutil.copytree(ROOT / "deploy", checkout / "deploy")
    file = checkout / "deploy/container/Dockerfile"
    docker.do("build", *options(docker), "--build-arg=VERSION=9.8.7", f"--file={file}", f"--tag={NAME}", str(checkout))


def options(docker: Docker) -> list[str]:
    """List what a build has to be told on this machine: how packages are reached."""
    given = [f"--secret=id={name},src={path}" for name, path in secrets(docker).items()]
    return ["--network=host", *given]


def secrets(docker: Docker) -> dict[str, str]:
    """Return the files of the secrets of a build by their names."""
    places = _places()
    pip, uv = docker.folder / "pip", docker.folder / "uv"
    pip.write_text(_lines("[global]", places, "{} = {}"), encoding="utf-8")
    uv.write_text(_lines("", places, '{} = "{}"'), encoding="utf-8")
    return {"pip": str(pip), "uv": str(uv), "authority": _authority()}


def inspected(docker: Docker) -> Any:  # noqa: ANN401 - JSON
    """Return what Docker knows of the image."""
    return json.loads(docker.do("image", "inspect", NAME))[0]


def _make_base(docker: Docker, hub: Hub) -> None:
    archive = docker.folder / "base.tar"
    command = ["mmdebstrap", "--quiet", "--variant=essential", f"--include={PACKAGES}", "bookworm", str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - Debian's
    assert done.returncode == 0, done.stderr
    name, _, tag = BASE.removeprefix("docker.io/").partition(":")
    hub.offer(name, tag, archive)
    docker.do("pull", BASE)


def _authority() -> str:
    known = (os.environ.get("PIP_CERT"), ssl.get_default_verify_paths().cafile, "/etc/ssl/certs/ca-certificates.crt")
    return next(path for path in known if path and Path(path).is_file())


def _places() -> dict[str, str]:
    """Return where pip on this machine gets packages from, as far as it was told."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - ours
    pairs = (line.partition("=") for line in listed.splitlines())
    return {name: ast.literal_eval(value) for key, _, value in pairs if (name := key.rpartition(".")[2]) in PLACES}


def _lines(head: str, places: dict[str, str], form: str) -> str:
    return "\n".join([head, *(form.format(name, place) for name, place in places.items()), ""])
