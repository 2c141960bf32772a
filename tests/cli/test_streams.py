"""Standard streams that are closed, full, or too narrow for what is to be written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rotator.cli.streams import failure_of, flushed, let_go, watched
from tests.cli.lab import USER, Lab

NO_SPACE = "no space left on device"
UNWRITTEN = (
    f"rotate: the result cannot be written to standard output: {NO_SPACE}\n"
    "    live now: what was done is done: rotate status\n"
    "    do: free some space there\n"
)


def through_a_shell(lab: Lab, words: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose streams a shell has redirected by these words."""
    command = ["sh", "-c", f'exec "$@" {words}', "sh", sys.executable, "-m", "rotator.cli.main", *arguments]
    given = {"ROTATE_CONFIG": str(lab.config), **lab.environ}
    ended = subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - ours
    lab.look_at_secrets()
    return ended


@pytest.mark.parametrize("words", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_stops_no_rotation(lab: Lab, words: str) -> None:
    """As a supervisor may start it; what would go there goes nowhere."""
    lab.add("ci")
    for arguments in (("due",), ("now", "ci", "--verbose"), ("status",), ("due", "--json")):
        ended = through_a_shell(lab, words, *arguments)
        assert (ended.returncode, "bug" in ended.stdout + ended.stderr) == (0, False)
    assert lab.works("ci")


@pytest.mark.parametrize(("arguments", "code"), [(("now", "ci"), 4), (("status", "--json"), 4), (("verify",), 5)])
def test_a_result_that_cannot_be_written_is_no_bug(lab: Lab, arguments: tuple[str, ...], code: int) -> None:
    """The disk of the log is full: it says so, that what was done is done, and what is graver stays."""
    lab.add("ci")
    if code == 4:
        lab.run("due")
    ended = through_a_shell(lab, ">/dev/full", *arguments)
    assert ended.returncode == code
    assert f"rotate: the result cannot be written to standard output: {NO_SPACE}" in ended.stderr
    assert "    live now: what was done is done: rotate status" in ended.stderr
    assert "    do: free some space there" in ended.stderr
    assert "bug" not in ended.stderr


@pytest.mark.parametrize("words", ["--help", "--version", "init --help", "explain", "completion bash", "config schema"])
def test_whatever_cannot_be_written_is_told_alike(lab: Lab, words: str) -> None:
    """What click writes is no other output than our own."""
    ended = through_a_shell(lab, ">/dev/full", *words.split())
    assert (ended.returncode, ended.stderr) == (4, UNWRITTEN)


def test_what_a_shell_completes_with_is_told_alike(lab: Lab) -> None:
    """It is written before there is a command."""
    lab.environ |= {"_ROTATE_COMPLETE": "bash_source"}
    ended = through_a_shell(lab, ">/dev/full")
    assert (ended.returncode, ended.stderr) == (4, UNWRITTEN)


def test_a_simulator_that_cannot_say_where_it_listens_ends(lab: Lab, tmp_path: Path) -> None:
    """Nobody could use it."""
    (tmp_path / "password").write_text("of-admin")
    options = ["--listen", "127.0.0.1:0", "--password-file", str(tmp_path / "password")]
    ended = through_a_shell(lab, ">/dev/full", "sim", *options, "--ca-out", str(tmp_path / "ca.pem"))
    assert (ended.returncode, ended.stderr) == (4, UNWRITTEN)


def test_what_fails_elsewhere_is_no_matter_of_the_output(tmp_path: Path) -> None:
    """An output that could be written all the time is not blamed, and knows of one write that could not be."""
    with (tmp_path / "out").open("w", encoding="utf-8") as file, Path("/dev/full").open("w", encoding="utf-8") as full:
        well, broken = watched(file), watched(full)
        assert (print("said", file=well), flushed(well), failure_of(well)) == (None, None, None)
        with pytest.raises(OSError, match="No space") as told:
            print("x" * 100_000, file=broken, flush=True)
        assert failure_of(broken) is told.value
        assert flushed(broken) is not None
        let_go(broken)
    assert (tmp_path / "out").read_text(encoding="utf-8") == "said\n"


def test_where_neither_stream_can_be_written_the_exit_code_says_how_it_ended(lab: Lab, tmp_path: Path) -> None:
    """As in a crontab that appends both to one file on a full disk."""
    lab.add("ci")
    assert through_a_shell(lab, ">/dev/full 2>&1", "due").returncode == 4
    assert lab.works("ci")
    assert through_a_shell(lab, ">/dev/full 2>&1", "due", "-c", str(tmp_path / "none.yaml")).returncode == 3


def test_what_the_encoding_of_a_terminal_lacks_is_a_question_mark(lab: Lab) -> None:
    """A plan has a character that Latin-1 does not have; JSON is whole wherever it goes."""
    lab.add("ci")
    before = json.loads(lab.run("plan", "--json")[1])
    lab.environ |= {"PYTHONIOENCODING": "latin-1"}
    code, out, _ = lab.run("plan")
    assert (code, f"issue {USER}!ci-1-?" in out) == (0, True)
    assert json.loads(lab.run("plan", "--json")[1]) == before
