"""The log of ``rotate serve``: for machines in a pipe, for people on a terminal, with its priorities in the journal."""

from __future__ import annotations

import json
import os
import pty
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rotator.cli.logs import surviving
from tests.cli.lab import Lab, Time
from tests.service.process import Gate, Serving


@pytest.fixture
def lab(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Lab]:
    """Return a laboratory with one cluster of one node and one credential, and nothing that answers over HTTP."""
    made = Lab(tmp_path, Time(), watch)
    made.add_cluster("one")
    made.extra["service"] = {"listen": "none"}
    made.add("ci")
    yield made
    for pve in made.clusters.values():
        pve.close()


def events(text: str) -> list[str]:
    """Read a log, each line of which is JSON."""
    found: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    return [it["event"] for it in found]


def test_in_a_pipe_every_line_is_json_from_the_start_to_the_second_signal(lab: Lab) -> None:
    """What a signal handler says, too; one line for the rotation."""
    with lab.process("serve") as process:
        service = Serving(process)
        said = service.until('"rotated"') + '"rotated"'
        lab.pve.intercept = gate = Gate()
        lab.time.pass_by(days=40)
        service.signal(signal.SIGHUP)
        assert gate.reached.wait(20)
        service.signal(signal.SIGTERM)
        said += service.until("once more") + "once more"
        service.signal(signal.SIGTERM)
        said += service.said + (process.communicate(timeout=20)[1] or "")
        gate.open.set()
    first, *between, last = events(said)
    assert first.startswith("serving 1 credential of 1 cluster, as ")
    assert [it.partition(",")[0] for it in between] == [
        "rotated",
        "configuration taken up",
        "finishing what is under way",
    ]
    assert last.startswith("stopped; `rotate due` finishes")
    assert process.returncode == 143


def test_what_is_wrong_at_the_start_is_a_line_of_json_too(lab: Lab) -> None:
    """With its exit code, as everywhere."""
    found = lab.call("serve", "--leader", "kubernetes")
    line = json.loads(found.stderr)
    assert (line["level"], line["exit_code"], found.exit_code) == ("critical", 3, 3)
    assert "service.lease.name" in line["hint"]
    assert "{" not in lab.call("serve", "--leader", "kubernetes", "--log-format", "text").stderr


def test_on_a_terminal_it_is_text(lab: Lab) -> None:
    """In colours."""
    ours, theirs = pty.openpty()
    lab.environ["TERM"] = "xterm"
    with lab.process("serve", stderr=theirs) as process:
        os.close(theirs)
        said = ""
        while "rotated" not in said:
            said += os.read(ours, 4096).decode()
        process.kill()
    os.close(ours)
    assert "{" not in said
    assert "\x1b[" in said


def test_in_the_journal_each_line_says_how_grave_it_is(lab: Lab, tmp_path: Path) -> None:
    """As systemd reads it."""
    path = tmp_path / "journal"
    with path.open("w") as stream:
        status = os.fstat(stream.fileno())
        lab.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
        lab.pve.intercept = gate = Gate()
        with lab.process("serve", stderr=stream) as process:
            assert gate.reached.wait(20)
            process.send_signal(signal.SIGTERM)
            gate.open.set()
            assert process.wait(20) == 0
    lines = path.read_text().splitlines()
    assert {line[:3] for line in lines} == {"<6>", "<4>"}
    assert "rotated" in [json.loads(line[3:])["event"] for line in lines]


def test_what_ends_a_thread_is_told_without_its_words() -> None:
    """Python would print the whole exception to stderr."""
    caught: list[BaseException] = []

    def fail() -> None:
        raise ValueError("words")

    before = threading.excepthook
    with surviving(caught.append):
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    assert [type(error) for error in caught] == [ValueError]
    assert threading.excepthook is before
