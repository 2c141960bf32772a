"""How a log is written: for people, for machines, for the journal."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rotator.events import Event, Outcome, Step
from rotator.logs.journal import is_journal
from rotator.logs.lines import Level, Log, Style, open_log

NOW = datetime(2026, 5, 9, 7, 30, tzinfo=UTC)
EVIL = 'no\r\nlevel=error event=forged\x1b[2J\x1b]0;title\x07\u2028{"level": "error"}\x9b31m'
STEP = Event(NOW, "ci", "one", Step.MARK, Outcome.DONE, "due", "well", "", "svc@pve!ci-1-abcde", "", "1f")


class Gone(io.StringIO):
    """A stream whose reader has gone away."""

    def write(self, text: str) -> int:
        """Fail."""
        raise BrokenPipeError(text[:0])


def written(style: Style, event: str, **fields: object) -> str:
    """Return what is written of a line."""
    stream = io.StringIO()
    with open_log(stream, style, lambda: NOW) as log:
        log.tell("warning", event, **fields)
    return stream.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_nobody_forges_a_line_or_orders_a_terminal_about(as_json: bool) -> None:  # noqa: FBT001 - pytest's
    """What PVE answers may hold line ends and escape sequences: in a message, a value, a key, a nested one."""
    text = written(Style(as_json=as_json), f"PVE says {EVIL}", a=EVIL, b={EVIL: [EVIL]}, **{EVIL: "x"})
    line = text.removesuffix("\n")
    assert line.isprintable()
    assert len(text.splitlines()) == 1
    if as_json:
        assert line.isascii()
        assert json.loads(line)["event"] == f"PVE says {EVIL}"


def test_a_line_of_json_has_the_time_the_level_and_what_happened_first() -> None:
    """Times in UTC, durations in seconds; what is empty is left out."""
    text = written(Style(as_json=True), "rotated", old="", notes=[], duration=timedelta(seconds=1.2345), when=NOW)
    assert text == (
        '{"timestamp": "2026-05-09T07:30:00.000Z", "level": "warning", "event": "rotated", "duration": 1.234, '
        '"when": "2026-05-09T07:30:00.000Z"}\n'
    )


def test_a_line_of_text_says_it_for_people() -> None:
    """The same, readable; in colours on a terminal only."""
    text = written(Style(as_json=False), "rotated", credential="ci", duration=timedelta(seconds=1.26))
    assert text.split() == ["2026-05-09T07:30:00Z", "[warning", "]", "rotated", "credential=ci", "duration='1.3", "s'"]
    assert "\x1b[" in written(Style(as_json=False, has_colors=True), "rotated")


def test_a_step_is_a_line_of_details() -> None:
    """Only at the level for them."""
    for level, lines in ((Level.DEBUG, 1), (Level.INFO, 0)):
        stream = io.StringIO()
        with open_log(stream, Style(as_json=False, level=level), lambda: NOW) as log:
            log.hear(STEP)
        assert stream.getvalue().count("ci  mark       done") == lines


def test_a_reader_that_went_away_ends_nothing() -> None:
    """A rotation goes on, whoever reads of it."""
    with open_log(Gone(), Style(as_json=True), lambda: NOW) as log:
        log.tell("info", "rotated")
        log.tell_at_once("stopping")


def test_a_signal_handler_writes_past_locks_and_buffers(tmp_path: Path) -> None:
    """In the form of all other lines."""
    path = tmp_path / "log"
    with path.open("w") as stream, open_log(stream, Style(as_json=True), lambda: NOW) as log:
        log.tell_at_once("finishing")
        found = json.loads(path.read_text())
    assert (found["level"], found["event"]) == ("warning", "finishing")


def test_the_journal_is_known_by_its_stream_and_told_how_grave_a_line_is(tmp_path: Path) -> None:
    """A stream that was redirected since is not taken for it."""
    with (tmp_path / "a").open("w") as ours, (tmp_path / "b").open("w") as other:
        status = os.fstat(ours.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert is_journal(ours, environ)
        assert not is_journal(other, environ)
        assert not is_journal(ours, {})
    assert not is_journal(io.StringIO(), environ)
    stream = io.StringIO()
    with open_log(stream, Style(as_json=False, level=Level.DEBUG, is_journal=True), lambda: NOW) as log:
        for level in ("debug", "info", "warning", "error"):
            log.tell(level, "it")
        log.tell("error", "bug", exception=["a", "b"])
    assert [line[:3] for line in stream.getvalue().splitlines()] == ["<7>", "<6>", "<4>", "<3>", "<3>", "<3>", "<3>"]


def test_a_log_takes_its_handler_away_at_its_end() -> None:
    """Two logs after each other do not tell everything twice."""
    log = written(Style(as_json=True), "one") + written(Style(as_json=True), "two")
    assert [json.loads(line)["event"] for line in log.splitlines()] == ["one", "two"]
    assert issubclass(Log, object)


@pytest.mark.parametrize("arguments", [["serve", "--help"], ["due"]])
def test_structlog_is_loaded_by_whoever_writes_a_log_and_by_nobody_else(arguments: list[str]) -> None:
    """It takes longer to load than most calls take to run."""
    program = (
        "import sys, atexit; atexit.register(lambda: sys.stderr.write(f'structlog={\"structlog\" in sys.modules}'))\n"
        "from rotator.cli.main import main; main()"
    )
    command = [sys.executable, "-c", program, *arguments]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)  # noqa: S603 - constant
    assert "structlog=False" in ran.stderr
