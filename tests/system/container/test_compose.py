"""The story of the compose file comes true as the page tells it, typed as it stands there, from an empty folder on.

What runs is the first ``docker-compose``: Debian 12 has version 1, and newer ones can be called so, too. In the place
of OpenBao's image, which cannot be pulled, is one of ``openbao``.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.stages import shells
from tests.system.container.daemon import CLIENT, Docker
from tests.system.container.image import ROOT, options, secrets
from tests.system.container.openbao import SERVERS, offer_openbao
from tests.system.guides.terminal import BASH

PAGE = "deploy/container/README.md"
UP, DOWN = (block.text for block in shells(PAGE) if "docker compose" in block.text)
FILE = ROOT / "deploy" / "container" / "compose.yaml"
STORY: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
COMPOSE = shutil.which("docker-compose") or "docker-compose"
OWN = {"PYTHONPATH": ""}
"""Debian's programs in Python have modules of their own."""
PROGRAM = """\
#!/bin/sh
case $1 in
compose) file=$3 && shift 3 && exec {compose} -f "$file" {more} "$@" ;;
build) shift && exec {client} build {options} "$@" ;;
esac
exec {client} "$@"
"""
"""Docker with its plug-in; what it builds finds its packages as on this machine."""
ENDED = re.compile(r"consumer\S* exited with code (\d+)")
COLOUR = re.compile(r"\x1b\[\d*m")


def test_the_file_is_one_that_compose_takes() -> None:
    """Every key is in the schema of the specification."""
    command = ["check-jsonschema", "--builtin-schema=vendor.compose-spec", str(FILE)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - a constant


@dataclass(frozen=True, slots=True)
class Story:
    """A checkout, and a shell with Docker in it."""

    docker: Docker
    programs: Path

    def typed(self, text: str) -> subprocess.Popen[str]:
        """Type what the page says, at the top of the checkout."""
        path = os.pathsep.join([str(self.programs), os.environ["PATH"]])
        return subprocess.Popen(  # noqa: S603 - the page's
            [BASH, "-euo", "pipefail", "-c", f"exec {text}"],
            cwd=self.docker.folder / "checkout",
            env={**self.docker.environ, **OWN, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def told(self) -> str:
        """Let it be told until the consumer has ended, and stop it as people do; returns what was shown."""
        shown = []
        with self.typed(UP) as process:
            assert process.stdout
            for line in process.stdout:
                shown.append(line)
                if ENDED.search(line):
                    process.send_signal(signal.SIGINT)
        return "".join(shown)

    def left(self, *kinds: str) -> list[str]:
        """List what there is of each kind that Docker lists."""
        return [line for kind in kinds for line in self.docker.do(kind, "ls", "--quiet").splitlines()]


def more(docker: Docker, folder: Path) -> str:
    """Say what compose is told beside: version 1 calls ``docker build``, later ones build by themselves."""
    command = [COMPOSE, "version", "--short"]
    version = subprocess.run(command, env={**os.environ, **OWN}, capture_output=True, text=True, check=True).stdout  # noqa: S603 - ours
    if version.startswith("1."):
        return ""
    given = secrets(docker)
    here = {"network": "host", "secrets": list(given)}
    whole = {"services": {"folder": {"build": here}}, "secrets": {name: {"file": it} for name, it in given.items()}}
    (folder / "here.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    return f"-f {folder}/here.yaml"


@pytest.fixture(params=SERVERS)
def story(docker: Docker, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Story]:
    """Return a story that has not begun; afterwards nothing of it is left, whatever happened."""
    offer_openbao(docker, STORY["services"]["openbao"]["image"], request.param)
    program = tmp_path / "docker"
    words = {"compose": COMPOSE, "client": CLIENT, "options": shlex.join(options(docker))}
    program.write_text(PROGRAM.format(more=more(docker, tmp_path), **words), encoding="utf-8")
    program.chmod(0o755)
    yield (made := Story(docker, tmp_path))
    with made.typed(DOWN) as process:
        process.communicate()


def test_the_story_comes_true(story: Story) -> None:
    """The consumer ends well: a rotation, a login with what is stored, nothing left to do; twice. Then all goes."""
    for _ in ("after nothing", "after Ctrl-C"):
        shown = story.told()
        assert ENDED.findall(shown) == ["0"], shown
        assert "works on every endpoint" in shown
        assert "up to date" in shown
        assert set(re.findall(r"([a-z-]+)[_-]1 *\|", COLOUR.sub("", shown))) >= {"pve", "rotate", "consumer"}
    with story.typed(DOWN) as process:
        assert process.wait() == 0
    assert story.left("container", "volume") == []
