"""What the README tells to type for an installation is typed, from a checkout and into an empty home."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.docs.bench import configuration, name_as_in_the_readme
from tests.docs.pages import blocks, commands, read, sections
from tests.docs.stages import INSTALLING
from tests.service.process import Serving
from tests.system.guides.terminal import BASH, Terminal, sitting_at
from tests.system.guides.wheelhouse import check_out, offer

PAGE = "README.md"
SECTIONS = sections(PAGE)
SEEING, INSTALL, RUNNING = INSTALLING
FEW = "tests/unit/test_windows.py"
SERVED = "127.0.0.1:9105"


@pytest.fixture
def terminal(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Terminal]:
    """Give a reader in a checkout, who knows the time."""
    with sitting_at(tmp_path, watch, time.time) as made:
        made.where = made.home / "checkout"
        check_out(made.where)
        yield made


def typed(terminal: Terminal, section: str) -> dict[str, str]:
    """Type what a section tells to type; returns what each line prints."""
    said = {}
    for command in SECTIONS[section]:
        exit_code, said[command.line] = terminal.bash(command.line)
        assert exit_code == 0, said[command.line]
    return said


def test_two_commands_show_it(terminal: Terminal) -> None:
    """In a checkout that has its tools already; of the tests a few are run."""
    terminal.variables["PYTEST_ADDOPTS"] = f"-p no:cacheprovider {FEW}"
    said = typed(terminal, SEEING)
    assert list(said) == ["make demo", "make test"]
    assert "0 failed" in said["make demo"]
    assert " passed in " in said["make test"]


def test_what_is_installed_shows_it_and_serves(terminal: Terminal) -> None:
    """With every extra, and nothing that this machine has elsewhere; the service issues the first token."""
    offer(terminal, "aws", "kubernetes", "serve", "vault")
    said = typed(terminal, INSTALL)
    assert terminal.bash("command -v rotate") == (0, f"{terminal.home}/.local/bin/rotate\n")
    assert "0 failed" in said["rotate demo"]
    configure(terminal)
    (line,) = (command.line for command in SECTIONS[RUNNING])
    with running(terminal, line) as serving:
        serving.until("first-issue")
        for path in ("healthz", "readyz", "metrics"):
            answer = requests.get(f"http://{terminal.names[SERVED]}/{path}", timeout=20)
            assert answer.status_code == 200, answer.text
        assert serving.stopped() == 0
    (token,) = terminal.pve.tokens("ci@pve")
    assert token in terminal.path("/srv/ci/pve.json").read_text(encoding="utf-8")
    from_cron(terminal)
    assert terminal.bash("pipx install --force '.[vault]' && rotate --help")[0] == 0


def from_cron(terminal: Terminal) -> None:
    """Run the line for a crontab with what cron gives, and the operator's secret."""
    (line,) = re.findall(r"`\*/5 \* \* \* \* ([^`]+)`", read(PAGE))
    shutil.copy(terminal.config, terminal.home / "rotate.yaml")
    given = {"HOME": str(terminal.home), "PATH": "/usr/bin:/bin", **terminal.environ}
    ran = subprocess.run(["/bin/sh", "-c", line], env=given, cwd="/", capture_output=True, text=True, check=False)  # noqa: S603 - the page's
    assert (ran.returncode, "ci  up-to-date" in ran.stdout) == (0, True), ran.stderr


def configure(terminal: Terminal) -> None:
    """Do at PVE what the README says, and have its configuration; the status page is on a port that is free."""
    name_as_in_the_readme(terminal)
    for block in blocks(PAGE):
        for command in commands(block) if block.language == "console" else ():
            if command.is_root and "ci@pve" in command.line:
                terminal.as_root(command.line)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        terminal.names[SERVED] = f"127.0.0.1:{free.getsockname()[1]}"
    assert f"http://{SERVED}" in read(PAGE)
    terminal.configure(f"{configuration()}service: {{listen: {SERVED!r}}}\n")
    terminal.variables |= {"ROTATE_CONFIG": str(terminal.config), **terminal.environ}


@contextmanager
def running(terminal: Terminal, line: str) -> Iterator[Serving]:
    """Run what goes on until it is told to stop, and leave nothing of it behind."""
    words = [BASH, "-c", f"exec {line}"]
    with subprocess.Popen(words, env=terminal.variables, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - the page's
        try:
            yield Serving(process)
        finally:
            process.kill()
    terminal.secrets()
