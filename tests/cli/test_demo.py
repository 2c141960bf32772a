"""The demo: what it shows is what happened, it says so when something is not true, and it leaves nothing behind."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.cli.demo import USER, play, remembering
from rotator.cli.demo_claims import Claim, Count, Facts, claims, exit_code
from rotator.cli.demo_page import Page
from rotator.testing.exchange import AnswerInstead, Fault, Request
from rotator.testing.pve import SimulatedPve

CLAIMS = [
    "busy-consumer",
    "stale-consumer",
    "rotated",
    "ended-by-pve",
    "new-accepted",
    "old-refused",
    "nothing-left",
    "record-kept",
]
SHORT = timedelta(seconds=1)
FULL = ["sh", "-c", 'exec "$@" >/dev/full', "sh", sys.executable]
"""Starts Python with a standard output that takes nothing."""


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the demo as a process of its own, with a folder for its temporary files."""
    return started_by([sys.executable], folder, *arguments)


def started_by(starter: list[str], folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Let something start the demo."""
    command = [*starter, "-m", "rotator.cli.main", "demo", *arguments]
    environ = {**os.environ, "TMPDIR": str(folder), "COLUMNS": "100"}
    return subprocess.Popen(  # noqa: S603 - constant
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module", name="runs")
def _runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str, list[Path]]]:
    """Run the demo side by side, for people and for a program, and for both where the output cannot be written."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("people", "program", "full-people", "full-program")}
    processes = {
        name: started_by(FULL if "full" in name else [sys.executable], folder, *["--json"] * ("program" in name))
        for name, folder in folders.items()
    }
    ended = {name: process.communicate() for name, process in processes.items()}
    return {name: (processes[name].returncode, *ended[name], list(folders[name].iterdir())) for name in folders}


def test_the_demo_ends_well_and_shows_every_claim(runs: dict[str, Any]) -> None:
    """Exit code 0 with all claims ticked, the commands to type next, and nothing on stderr."""
    code, out, err, _ = runs["people"]
    assert (code, err) == (0, "")
    assert out.count("   ✓ ") == len(CLAIMS)
    assert "✗" not in out
    assert "logins, 0 failed" in out
    assert "rotate config check" in out


def test_the_demo_shows_the_real_steps(runs: dict[str, Any]) -> None:
    """Two rotations and two revocations pass by, step by step."""
    _, out, _, _ = runs["people"]
    done = [line.split()[2] for line in out.splitlines() if " terraform  " in line and " done " in line]
    assert [done.count(step) for step in ("issue", "verify", "publish", "confirm", "retire", "revoke")] == [2] * 6


def test_lines_in_a_pipe_are_plain(runs: dict[str, Any]) -> None:
    """No escape sequences, and no blanks at the end of a line."""
    _, out, _, _ = runs["people"]
    assert "\x1b" not in out
    assert [line for line in out.splitlines() if line != line.rstrip()] == []


def test_json_is_one_document_and_the_story_stands_on_stderr(runs: dict[str, Any]) -> None:
    """A program reads the claims; the shape is that of every command."""
    code, out, err, _ = runs["program"]
    document = json.loads(out)
    assert code == 0
    assert {key: document[key] for key in ("command", "exit_code", "errors")} == {
        "command": "demo",
        "exit_code": 0,
        "errors": [],
    }
    assert [claim["claim"] for claim in document["results"]] == CLAIMS
    assert {(claim["held"], claim["exit_code"]) for claim in document["results"]} == {(True, 0)}
    assert all(set(claim) == {"claim", "held", "message", "exit_code"} for claim in document["results"])
    assert "1. What is there" in err


def test_no_file_is_left(runs: dict[str, Any]) -> None:
    """The temporary folder goes with the demo."""
    assert [left for *_, left in runs.values()] == [[]] * 4


@pytest.mark.parametrize("reader", ["people", "program"])
def test_a_story_that_cannot_be_written_does_not_end_well(runs: dict[str, Any], reader: str) -> None:
    """The disk is full; nobody has read what was claimed, so it is no 0, and no bug either."""
    code, out, err, _ = runs[f"full-{reader}"]
    assert (code, out) == (4, "")
    assert "rotate: the result cannot be written to standard output: no space left on device\n" in err
    assert "bug" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_either(tmp_path: Path, number: signal.Signals) -> None:
    """Whoever has seen enough presses Ctrl-C, in the middle of it; the process ends and its folder is gone."""
    process = started(tmp_path)
    assert process.stdout
    seen = next(line for line in process.stdout if "2. Take over" in line)
    assert seen
    assert list(tmp_path.iterdir()) != []
    process.send_signal(number)
    process.communicate()
    assert process.returncode not in {0, -number}
    assert list(tmp_path.iterdir()) == []


class Spy:
    """Sees every secret that the simulated PVE has known, and may disturb a request."""

    def __init__(self, disturb: Callable[[SimulatedPve, Request], Fault | None] = lambda *_: None) -> None:
        self.secrets: set[str] = set()
        self._disturb = disturb

    def visit(self, pve: SimulatedPve) -> None:
        """Look at the state before each request."""
        self.pve = pve
        pve.intercept = self._look

    def _look(self, request: Request) -> Fault | None:
        users = self.pve.cluster.newest().users.values()
        self.secrets |= {token.secret for user in users for token in user.tokens.values()}
        return self._disturb(self.pve, request)


def played(spy: Spy) -> tuple[list[Claim], str]:
    """Play the demo with a spy in it; return what was claimed and what was shown, in one line."""
    stream = io.StringIO()
    found = play(Page(stream, is_terminal=False), overlap=SHORT, visit=spy.visit)
    return found, " ".join(stream.getvalue().split())


def test_the_demo_shows_no_secret_and_ends_all_its_threads(watch: Callable[[str], None]) -> None:
    """Not of the operator, not of the hand-made token, not of those that were issued."""
    before = set(threading.enumerate())
    spy = Spy()
    found, shown = played(spy)
    for secret in spy.secrets:
        watch(secret)
    assert exit_code(found) == 0
    assert len(spy.secrets) == 4
    assert [secret for secret in spy.secrets if secret in shown + repr(found)] == []
    assert set(threading.enumerate()) <= before


def test_the_demo_says_when_old_tokens_are_left() -> None:
    """When PVE deletes nothing the demo says so, and ends with 4."""

    def keep(_pve: SimulatedPve, request: Request) -> Fault | None:
        return AnswerInstead(500, "out of order") if request.method == "DELETE" else None

    found, shown = played(Spy(keep))
    failed = {claim.claim for claim in found if not claim.held}
    assert {"nothing-left"} <= failed <= {"nothing-left", "old-refused"}  # the younger one may not have ended yet
    assert exit_code(found) == 4
    assert "not true (nothing-left): 2 other tokens left" in shown
    assert "This failed, see above" in shown
    assert "Exit code 4" in shown


def test_the_demo_says_when_a_consumer_fails() -> None:
    """When PVE refuses the token in use for a moment the demo says so, and ends with 5."""
    refused: list[str] = []

    def refuse(_pve: SimulatedPve, request: Request) -> Fault | None:
        if request.path == "/version" and request.who == f"{USER}!by-hand" and len(refused) < 3:
            refused.append(request.node)
            return AnswerInstead(401, "Authentication failed!")
        return None

    found, shown = played(Spy(refuse))
    assert {claim.claim for claim in found if not claim.held} <= {"busy-consumer", "stale-consumer"}
    assert exit_code(found) == 5
    assert "failed (401 Authentication failed!)" in shown


def test_the_demo_does_not_go_on_when_a_rotation_fails() -> None:
    """What was not rotated is not waited for: the demo says what is live, judges, and ends with 4."""

    def refuse(_pve: SimulatedPve, request: Request) -> Fault | None:
        return AnswerInstead(403, "Permission check failed") if request.method == "POST" else None

    found, shown = played(Spy(refuse))
    assert {"busy-consumer", "stale-consumer", "new-accepted"} <= {claim.claim for claim in found if claim.held}
    assert exit_code(found) == 4
    assert f"What is live now: {USER}!by-hand is still published." in shown
    assert "Rotate again" not in shown


def test_a_stale_consumer_keeps_what_it_has_read() -> None:
    """It reads again when what it has is too old, and not before."""
    read = iter([("first", ""), ("second", "")])
    stale, eager = remembering(lambda: next(read), timedelta(hours=1)), remembering(lambda: next(read), timedelta())
    assert [stale()[0], stale()[0], eager()[0]] == ["first", "first", "second"]


BEFORE, MIDDLE, NEW = "u@pve!by-hand", "u@pve!t-1-aaaaa", "u@pve!t-2-bbbbb"
NO = "401 Authentication failed!"
GOOD = Facts(
    busy=Count(9, 0),
    stale=Count(9, 0),
    published=(BEFORE, MIDDLE, NEW),
    ended_by_pve=NO,
    old_logins={BEFORE: NO, MIDDLE: NO},
    new_logins={"one:1": "", "two:2": ""},
    left=(NEW,),
    kept=("comment", "contacts"),
    foreign=("comment", "contacts"),
    mode=0o600,
)


def test_all_claims_hold_when_all_went_well() -> None:
    """Nothing is claimed that a good run does not fulfil."""
    found = claims(GOOD)
    assert ([claim.claim for claim in found], exit_code(found)) == (CLAIMS, 0)


@pytest.mark.parametrize(
    ("claim", "code", "wrong"),
    [
        ("busy-consumer", 5, {"busy": Count(9, 1, NO)}),
        ("busy-consumer", 5, {"busy": Count(0, 0)}),
        ("stale-consumer", 5, {"stale": Count(9, 1, NO)}),
        ("rotated", 4, {"published": (BEFORE, NEW, NEW)}),
        ("rotated", 4, {"published": (BEFORE, NEW)}),
        ("ended-by-pve", 4, {"ended_by_pve": ""}),
        ("ended-by-pve", 4, {"ended_by_pve": "TimeoutError"}),
        ("new-accepted", 5, {"new_logins": {"one:1": "", "two:2": NO}}),
        ("new-accepted", 5, {"new_logins": {}}),
        ("old-refused", 4, {"old_logins": {BEFORE: NO, MIDDLE: ""}}),
        ("old-refused", 4, {"old_logins": {BEFORE: NO, MIDDLE: "no node answers"}}),
        ("old-refused", 4, {"old_logins": {}}),
        ("nothing-left", 4, {"left": (MIDDLE, NEW)}),
        ("nothing-left", 4, {"left": ()}),
        ("record-kept", 4, {"kept": ("comment",)}),
        ("record-kept", 4, {"kept": (), "foreign": ()}),
        ("record-kept", 4, {"mode": 0o644}),
    ],
)
def test_each_fact_that_is_wrong_breaks_its_claim(claim: str, code: int, wrong: dict[str, Any]) -> None:
    """A claim that nothing can break claims nothing."""
    found = claims(replace(GOOD, **wrong))
    assert [it.claim for it in found if not it.held] == [claim]
    assert exit_code(found) == code


def test_the_gravest_of_what_is_not_true_decides() -> None:
    """A consumer that failed matters more than a token left behind."""
    assert exit_code(claims(replace(GOOD, left=(), busy=Count(1, 1)))) == 5
