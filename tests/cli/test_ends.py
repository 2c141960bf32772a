"""The ways out of the program, each in a real situation and as a process of its own."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from pathlib import Path
from threading import Event

import click
import pytest

from rotator.cli.main import told
from rotator.cli.output import Table, draw
from rotator.errors import UnavailableError
from rotator.marker import Marker
from rotator.testing.pve import Fault, Request
from tests.cli.lab import START, USER, Lab
from tests.cli.plugins import install


@pytest.fixture
def plugins(lab: Lab, tmp_path: Path, canary: str) -> Path:
    """Put faulty backends on the path of the processes, and a secret where they come by it."""
    lab.environ |= {"PYTHONPATH": str(install(tmp_path)), "ROTATE_TEST_CANARY": canary}
    lab.extra["backends"] = {kind: {"type": kind} for kind in ("broken", "forgetful", "full")}
    return tmp_path


def test_0_when_all_is_done(lab: Lab) -> None:
    """And again when nothing is to do."""
    lab.add("ci")
    assert lab.run("due")[0] == 0
    assert lab.run("due")[0] == 0
    assert lab.works("ci")


def test_1_for_a_bug_with_its_place_and_without_its_words(lab: Lab, plugins: Path, canary: str) -> None:
    """An exception that nobody expected holds a secret: it is named by its type and place alone."""
    lab.add("ci", destination={"backend": "broken", "path": str(plugins / "ci.json")})
    for command in ("due", "status"):
        code, out, err = lab.run(command)
        assert code == 1
        assert "this is a bug: KeyError at rotate_test_plugins.py:" in out + err
        assert "    live now: not known here; `rotate status` and `rotate verify` tell" in out + err
        assert "    do: run it again with --verbose" in out + err
        assert canary not in out + err
        assert "Traceback" not in out + err


def test_1_with_verbose_says_the_way_there(lab: Lab, plugins: Path, canary: str) -> None:
    """Every frame, no value."""
    lab.add("ci", destination={"backend": "broken", "path": str(plugins / "ci.json")})
    for command in ("due", "status"):
        code, out, err = lab.run(command, "--verbose")
        assert code == 1
        assert "KeyError, called from:" in err
        assert "in by_list" in err
        assert canary not in out + err


def test_a_bug_at_one_credential_does_not_hide_the_others(lab: Lab, plugins: Path) -> None:
    """What was done for them is done, and told."""
    lab.add("bad", destination={"backend": "broken", "path": str(plugins / "bad.json")})
    lab.add("ci")
    code, out, _ = lab.run("due", "--json")
    found = json.loads(out)
    assert (code, found["exit_code"]) == (1, 1)
    assert [(it["credential"], it["reason"]) for it in found["results"]] == [("bad", "bug"), ("ci", "up-to-date")]
    assert lab.works("ci")


def test_2_for_a_wrong_usage(lab: Lab) -> None:
    """Nothing on stdout."""
    lab.add("ci")
    code, out, err = lab.run("now")
    assert (code, out) == (2, "")
    assert "which? give names, or --all" in err


@pytest.mark.parametrize("command", ["now", "due", "plan", "status", "verify", "doctor", "adopt", "pause", "resume"])
def test_2_for_a_name_that_is_empty(lab: Lab, command: str) -> None:
    """As a script writes it whose variable is not set: it is neither a bug nor a wish for all credentials."""
    lab.add("ci")
    before = lab.config.read_bytes()
    result = lab.call(command, "")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: no credential ''" in result.stderr
    assert (lab.config.read_bytes(), lab.pve.calls) == (before, [])


def test_2_for_a_channel_whose_name_is_empty(lab: Lab) -> None:
    """The same: no channel is called like that."""
    lab.extra["notify"] = {"channels": {"ops": {"run": ["/bin/true"]}}}
    lab.add("ci")
    result = lab.call("notify", "test", "")
    assert (result.exit_code, "Error: no channel ''" in result.stderr) == (2, True)


def test_3_for_a_wrong_configuration(lab: Lab) -> None:
    """Told before anybody is contacted."""
    lab.add("ci", user="nobody")
    assert lab.run("due")[0] == 3
    assert lab.pve.calls == []


def test_3_when_the_operator_cannot_be_read(lab: Lab) -> None:
    """The configuration names a place that holds no operator: no credential of the cluster is a success."""
    lab.operators["one"] = {"backend": "file", "path": str(lab.folder / "operator.json")}
    lab.add("ci")
    code, out, _ = lab.run("due")
    assert code == 3
    assert f"file:{lab.folder}/operator.json does not hold the operator of cluster one: no token" in out
    assert "    do: store a token of the operator there" in out


def test_4_when_a_credential_failed_and_consumers_are_unaffected(lab: Lab, plugins: Path) -> None:
    """The store is full; what was issued is deleted again."""
    lab.add("ci", destination={"backend": "full", "path": str(plugins / "ci.json")})
    code, out, _ = lab.run("due")
    assert code == 4
    assert out.splitlines()[:3] == [
        f"ci  failed (publish)  {plugins}/ci.json is not writable",
        "    live now: no token of this credential is published",
        "    do: make room",
    ]
    assert lab.pve.tokens(USER) == []


def test_5_when_a_published_record_does_not_work(lab: Lab, plugins: Path) -> None:
    """The store gives back something else than was written, and there is nothing to put back."""
    (plugins / "damage").touch()
    lab.add("ci", destination={"backend": "forgetful", "path": str(plugins / "ci.json")})
    code, out, _ = lab.run("due")
    assert code == 5
    assert out.startswith("ci  failed (confirm)  ")
    assert lab.run("verify")[0] == 5


def test_6_when_somebody_else_is_at_it(lab: Lab) -> None:
    """Nothing is wrong."""
    lab.add("ci")
    lab.run("due")
    marker = Marker("lab", "ci", "0123456789ab", START, "ci-1-aaaaa")
    lab.watch(lab.pve.add_token(USER, "ci-2-bbbbb", comment=marker.comment()))
    assert lab.run("due")[0] == 6


def test_the_gravest_counts(lab: Lab, plugins: Path) -> None:
    """One credential is well, one failed, one record does not work: 5."""
    (plugins / "damage").touch()
    lab.add("well")
    lab.add("full", destination={"backend": "full", "path": str(plugins / "full.json")})
    assert lab.run("due")[0] == 4
    lab.add("bad", destination={"backend": "forgetful", "path": str(plugins / "bad.json")})
    assert lab.run("due")[0] == 5


def test_an_error_of_ours_from_any_command_has_its_own_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that reports nothing by itself still says what failed and what to do."""
    assert told(UnavailableError("nobody answers", hint="look at the cable"), verbose=False) == 4
    assert capsys.readouterr().err == "rotate: nobody answers\n    do: look at the cable\n"


def test_what_click_says_of_the_world_is_a_failure_and_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    """Its own exit code for that would be 1."""
    assert told(click.FileError("x", "not there"), verbose=False) == 4
    assert told(click.BadParameter("not that"), verbose=False) == 2
    assert "not there" in capsys.readouterr().err


class Gate:
    """Holds back the first change of a cluster until a test lets it go."""

    def __init__(self) -> None:
        self.reached, self.open = Event(), Event()

    def __call__(self, request: Request) -> Fault | None:
        """Wait at a change."""
        if request.method == "POST":
            self.reached.set()
            self.open.wait(30)
        return None


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """Read stderr until a word is there, or for half a minute."""
    assert process.stderr
    text = ""
    while word not in text and select.select([process.stderr], [], [], 30)[0]:
        more = os.read(process.stderr.fileno(), 65536).decode()
        if not more:
            break
        text += more
    return text


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_a_run_finish_what_is_under_way_and_begin_no_more(
    lab: Lab, number: signal.Signals, code: int
) -> None:
    """The credential at work is rotated, the next is not begun, and each is told."""
    lab.add("ci")
    lab.add("backup")
    gate = lab.pve.intercept = Gate()
    with lab.process("due", "--parallel", "1", "--json") as process:
        assert gate.reached.wait(30)
        process.send_signal(number)
        said = read_until(process, "once more")
        gate.open.set()
        out, _ = process.communicate(timeout=60)
    lab.look_at_secrets()
    assert "finishing what is under way, beginning nothing more" in said
    assert process.returncode == code
    found = json.loads(out)
    assert found["exit_code"] == code
    assert [it["reason"] for it in found["results"]] == ["up-to-date", "interrupted"]
    assert lab.works("ci")
    assert lab.tokens() == ["ci-1"]


def test_a_second_signal_ends_a_run_at_once(lab: Lab) -> None:
    """Even though a call is not answered; what is left behind is cleaned up by a later run."""
    lab.add("ci")
    lab.add("other", every="7d")
    gate = lab.pve.intercept = Gate()
    with lab.process("due") as process:
        assert gate.reached.wait(30)
        process.send_signal(signal.SIGINT)
        read_until(process, "once more")
        process.send_signal(signal.SIGINT)
        said = read_until(process, "what is published works")
        assert process.wait(30) == 130
        gate.open.set()
    assert "`rotate due` finishes or cleans up what was under way" in said


def test_a_signal_ends_a_look_at_once(lab: Lab) -> None:
    """There is nothing to finish."""
    lab.add("ci")
    reached, leave = Event(), Event()

    def hold(_request: Request) -> Fault | None:
        reached.set()
        leave.wait(30)
        return None

    lab.pve.intercept = hold
    with lab.process("status") as process:
        assert reached.wait(30)
        process.send_signal(signal.SIGINT)
        said = read_until(process, "nothing was changed")
        assert process.wait(30) == 130
        leave.set()
    assert said == "rotate: interrupted; nothing was changed\n"


def test_a_reader_who_goes_away_is_no_bug(lab: Lab) -> None:
    """`rotate config schema | head -1` says nothing more than its line."""
    with lab.process("config", "schema") as process:
        assert process.stdout
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, "")


def test_nobody_to_hear_the_progress_does_not_stop_a_rotation(lab: Lab) -> None:
    """Stderr is closed at the other end: the rotation goes on and ends well."""
    lab.add("ci")
    read, write = os.pipe()
    os.close(read)
    with lab.process("due", stderr=write) as process:
        os.close(write)
        process.communicate(timeout=60)
    lab.look_at_secrets()
    assert process.returncode == 0
    assert lab.works("ci")


def on_a_terminal(lab: Lab, *arguments: str) -> str:
    """Run a command whose stdout is a terminal and return what it showed."""
    ours, theirs = os.openpty()
    with lab.process(*arguments, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        while select.select([ours], [], [], 30)[0]:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # how a terminal says that nobody writes to it any more
                break
        process.communicate(timeout=60)
    os.close(ours)
    return shown.decode()


def test_a_table_is_drawn_on_a_terminal(lab: Lab) -> None:
    """With a bold head; the same cells as elsewhere."""
    lab.add("ci")
    lab.run("due")
    lab.environ |= {"TERM": "xterm"}
    shown = on_a_terminal(lab, "status")
    assert "\x1b[1m" in shown
    assert lab.record("ci")["token_id"] in shown


def test_no_cell_of_a_table_is_cut_short(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a narrow terminal it has several lines: a name that is shown in part can be typed nowhere."""
    monkeypatch.setenv("COLUMNS", "40")
    draw(Table(("credential", "token"), [("terraform-of-the-lab", "terraform@pve!terraform-12-q5d8y")]))
    lines = [line.ljust(40) for line in capsys.readouterr().out.splitlines()[1:]]
    at = len(lines[0].split("  ", 1)[0]) + 2
    assert "".join(line[:at].strip() for line in lines) == "terraform-of-the-lab"
    assert "".join(line[at:].strip() for line in lines) == "terraform@pve!terraform-12-q5d8y"


def test_no_color_is_respected(lab: Lab) -> None:
    """Whoever sets NO_COLOR gets text and no colours."""
    lab.add("ci")
    lab.run("due")
    lab.environ |= {"TERM": "xterm", "NO_COLOR": "1"}
    assert "\x1b[3" not in on_a_terminal(lab, "status")
