"""Commands that need a folder for temporary files, where no file can be written anywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

INIT = ("--endpoint", "192.0.2.1", "--name", "ci", "--grant", "/vms=PVEVMUser", "--login", "root@pam")


def cramped(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``rotate`` where each file is full before it has anything in it."""
    command = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", sys.executable, "-m", "rotator.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - ours


@pytest.mark.parametrize("command", ["demo", "init", "sim"])
def test_where_no_temporary_file_can_be_written_the_commands_say_what_to_do(command: str, tmp_path: Path) -> None:
    """At once, before anything is asked, shown or contacted: what is missing, and the variable that mends it."""
    password = tmp_path / "password"
    password.write_text("of nobody\n", encoding="utf-8")
    password.chmod(0o600)
    login = ["--password-file", str(password)]
    options = {
        "demo": [],
        "init": [*INIT, *login, "--yes", "--config", str(tmp_path / "rotate.yaml")],
        "sim": [*login, "--ca-out", "/dev/null", "--listen", "127.0.0.1:0"],
    }
    ended = cramped(command, *options[command])
    assert (ended.returncode, "this is a bug" in ended.stderr) == (4, False)
    assert ended.stderr.startswith("rotate: there is no folder for temporary files")
    assert "do: set TMPDIR to a folder that can be written" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["password"]
