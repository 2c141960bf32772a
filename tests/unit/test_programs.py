"""Programs that are run for somebody: real ones, that hang, flood, fork, refuse to read."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.model import Secret
from rotator.programs import KEPT, READ, Ended, run, told, waited
from rotator.settings_telling import CommandSettings

Shell = Callable[..., Ended]
MORE_THAN_THERE_IS = 1 << 62
"""Bytes that no thread gets for its stack: more than a process may address."""


@pytest.fixture
def shell() -> Shell:
    """Return what runs a line of a shell."""

    def call(line: str, seconds: float = 20, stdin: bytes = b"", **variables: str) -> Ended:
        return run(CommandSettings(("/bin/sh", "-c", line), timedelta(seconds=seconds)), variables, stdin)

    return call


def test_how_it_ends_is_told(shell: Shell) -> None:
    """Done, with a code, by a signal, or not at all."""
    assert str(shell("true")) == "done"
    assert shell("true").is_well
    assert (shell("exit 3").code, str(shell("echo no; exit 3"))) == (3, "ended with 3; it said: no")
    assert str(shell("kill -TERM $$")) == "killed by signal 15"
    missing = run(CommandSettings(("/nowhere/to/be/found",), timedelta(seconds=1)), {}, b"")
    assert (missing.code, str(missing)) == (None, "did not start: No such file or directory")
    assert not any(it.is_well for it in (missing, shell("exit 3"), shell("kill -TERM $$")))


def test_it_gets_what_is_meant_for_it_and_nothing_else(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, canary: str
) -> None:
    """Our own environment may hold the operator's secret: of that only a few harmless variables are passed on."""
    monkeypatch.setenv("PVE_TOKEN_SECRET", canary)
    monkeypatch.setenv("LANG", "de_AT.UTF-8")
    assert "PVE_TOKEN" not in shell("env").output
    assert (
        shell('echo "$LANG $ROTATE_TOKEN"; cat', stdin=b"in", ROTATE_TOKEN="a@pve!b").output == "de_AT.UTF-8 a@pve!b in"
    )


def test_arguments_go_through_no_shell(tmp_path: Path) -> None:
    """What looks like an expansion is text."""
    said = run(CommandSettings(("/bin/echo", "$HOME; touch", f"{tmp_path}/x"), timedelta(seconds=20)), {}, b"")
    assert said.output == f"$HOME; touch {tmp_path}/x"


def test_one_that_hangs_is_killed_with_all_that_it_started(shell: Shell, tmp_path: Path) -> None:
    """The whole process group, so that no child goes on."""
    ended = shell(f"sleep 1000 & echo $! > {tmp_path}/child; sleep 1000", seconds=0.5)
    assert (ended.code, str(ended)) == (-signal.SIGKILL, "killed: it took longer than 0.5 s")
    assert is_ended(int((tmp_path / "child").read_text()))


def test_one_that_nobody_can_listen_to_is_killed_and_told_of() -> None:
    """Where the system has no thread for us nothing is raised: a rotation would be left in the middle."""
    command = CommandSettings(("/bin/sh", "-c", "sleep 1000"), timedelta(seconds=1000))
    before = threading.stack_size(MORE_THAN_THERE_IS)
    try:
        ended = run(command, {}, b"in")
    finally:
        threading.stack_size(before)
    assert str(ended) == "killed: no thread could be started to listen to it"
    assert (ended.code, ended.is_well) == (-signal.SIGKILL, False)


def is_ended(child: int) -> bool:
    """Say whether a process that is no child of ours has ended; the kernel may be at it still."""
    try:
        handle = os.pidfd_open(child)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 20)[0])
    finally:
        os.close(handle)


def test_one_that_cannot_be_killed_holds_nobody_up() -> None:
    """As one that works as another user, by sudo; here it leads no group that could be killed. It is said so."""
    with subprocess.Popen(["/bin/sleep", "20"]) as process:
        said = waited(process, 0.1)
        is_left = process.poll() is None
        process.kill()
    assert (is_left, said) == (True, "goes on: it took longer than 0.1 s, and cannot be killed")


def test_one_that_floods_is_kept_by_its_end(shell: Shell) -> None:
    """However much it writes: the end of it says what went wrong."""
    ended = shell("yes x | head -c 3000000; echo; echo the end")
    assert ended.is_well
    assert len(ended.output) <= KEPT
    assert ended.output.endswith("the end")


def test_one_that_reads_nothing_and_leaves_something_running_ends_too(shell: Shell) -> None:
    """A full pipe and an output that stays open hold nobody up."""
    assert shell("exec true", stdin=b"x" * 1_000_000).is_well
    ended = shell("sleep 30 & echo started", seconds=10)
    assert (ended.is_well, ended.output) == (True, "started")


def test_a_secret_in_its_output_is_hidden(shell: Shell, canary: str, tmp_path: Path) -> None:
    """What we know to be secret, and whatever looks like a secret of PVE, is not repeated; nor are colours."""
    password = Secret(f"battery-staple {canary}")
    (tmp_path / "secrets").write_text(f"{canary}\n\033[31mred: {password.reveal()}\n")
    assert shell(f"cat {tmp_path}/secrets").output == "[hidden]  [31mred: [hidden]"


@pytest.mark.parametrize("length", [KEPT, READ])
def test_a_secret_is_hidden_where_its_output_is_cut_too(shell: Shell, canary: str, length: int) -> None:
    """Of one whose beginning is left out the rest would not be known."""
    secret = Secret(f"battery-staple-{canary}").reveal()
    for missing in (1, 20, len(secret) - 1):
        rest = length - len(secret) + missing - 1
        said = shell(f"printf '%s ' \"$SAID\"; head -c {rest} /dev/zero | tr '\\0' '~'", SAID=secret).output
        assert said.endswith("~~"), "no test has made a secret of these"
        assert secret[missing:] not in said


@pytest.mark.parametrize(("length", "shown"), [(READ - 1, "rest"), (READ, ""), (READ + KEPT, "")])
def test_what_is_looked_at_before_it_is_cut_shows_no_rest_either(length: int, shown: str) -> None:
    """Something that was left running goes on writing: what it wrote last is there a moment before the rest is gone."""
    assert told(b"rest".ljust(length)) == shown


def test_it_does_not_belong_to_our_terminal(shell: Shell) -> None:
    """Ctrl-C is for us alone, who finish what is under way."""
    assert shell("ps -o sid= -p $$").output != str(os.getsid(0))
    assert sys.platform == "linux"
