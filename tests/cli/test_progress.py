"""Progress: plain lines for pipes and logs, a live display on a terminal."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest
from rich.console import Console

from rotator.cli.progress import progress
from rotator.cli.progress_live import WORDS, Board
from rotator.events import Event, Outcome, Step
from rotator.printing import brief

AT = datetime(2026, 5, 9, 20, 0, 1, tzinfo=UTC)
MS = timedelta(milliseconds=13)
TOKEN, FILE = "ci@pve!ci-8-k3f9q", "file:/run/secrets/ci.json"
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def event(step: Step, outcome: Outcome = Outcome.DONE, **fields: Any) -> Event:  # noqa: ANN401 - fields of an event
    """Make an event of the credential ``ci``."""
    return Event(at=AT, credential=fields.pop("credential", "ci"), cluster="lab", step=step, outcome=outcome, **fields)


ROTATION = (
    event(Step.DECIDE, reason="due", message="issued at 2026-04-09 20:00:01Z"),
    event(Step.ISSUE, Outcome.STARTED, token=TOKEN),
    event(Step.ISSUE, token=TOKEN, reason="due", duration=MS),
    event(Step.GRANT, token=TOKEN, reason="due", message="PVEVMAdmin on /vms", duration=MS),
    event(Step.PUBLISH, token=TOKEN, destination=FILE, duration=timedelta(seconds=1.25)),
    event(Step.MIRROR, Outcome.UNKNOWN, token=TOKEN, destination=FILE, message="no answer", hint="wait", duration=MS),
    event(Step.PREFLIGHT, destination=FILE, duration=timedelta(microseconds=7), credential="terraform"),
    event(Step.DECIDE, Outcome.NOTHING, reason="up-to-date", message=f"{TOKEN} is current"),
)


def plain(events: Sequence[Event], *, verbose: bool = False) -> list[str]:
    """Show events on something that is no terminal; return the lines."""
    stream = io.StringIO()
    with progress(stream, is_terminal=False, verbose=verbose) as listen:
        for it in events:
            listen(it)
    return stream.getvalue().splitlines()


def test_each_event_is_one_plain_line() -> None:
    """The lines of a rotation, exactly; columns line up from the first long name on."""
    assert plain(ROTATION) == [
        "20:00:01 ci  decide     done             due: issued at 2026-04-09 20:00:01Z",
        "20:00:01 ci  issue      done      13 ms  ci@pve!ci-8-k3f9q",
        "20:00:01 ci  grant      done      13 ms  ci@pve!ci-8-k3f9q  PVEVMAdmin on /vms",
        "20:00:01 ci  publish    done      1.2 s  ci@pve!ci-8-k3f9q  file:/run/secrets/ci.json",
        "20:00:01 ci  mirror     unknown   13 ms  ci@pve!ci-8-k3f9q  file:/run/secrets/ci.json  no answer  hint: wait",
        "20:00:01 terraform  preflight  done      <1 ms  file:/run/secrets/ci.json",
        "20:00:01 ci         decide     nothing          up-to-date: ci@pve!ci-8-k3f9q is current",
    ]


def test_that_a_step_starts_is_told_only_with_verbose() -> None:
    """Who asks for everything gets the beginnings too."""
    started = "20:00:01 ci  issue      started          ci@pve!ci-8-k3f9q"
    assert started not in plain(ROTATION)
    assert plain(ROTATION, verbose=True)[1] == started


def test_what_others_wrote_cannot_command_a_terminal_or_forge_a_line() -> None:
    """Line breaks and escape sequences in a message are blanks."""
    [line] = plain([event(Step.ISSUE, Outcome.FAILED, message="a\x1b[2Jb\r\n20:00:01 ci  issue      done")])
    assert line.isprintable()
    assert "a [2Jb  20:00:01" in line


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, ""), (0.0004, "<1 ms"), (0.9999, "999 ms"), (1, "1.0 s"), (59.94, "59.9 s"), (125, "2m5s")],
)
def test_durations_are_short(seconds: float, words: str) -> None:
    """From less than a millisecond to minutes; nothing for what takes no time."""
    assert brief(timedelta(seconds=seconds)) == words


class Crowded(io.StringIO):
    """A stream that notices when somebody writes before another one is done."""

    overlaps = 0
    _is_busy = False

    def write(self, text: str) -> int:
        """Take a while to write."""
        self.overlaps += self._is_busy
        self._is_busy = True
        Flag().wait(0.0005)
        self._is_busy = False
        return super().write(text)


def test_lines_of_many_threads_do_not_mix() -> None:
    """Credentials are worked on side by side and report to one stream."""
    stream = Crowded()
    with progress(stream, is_terminal=False) as listen:
        threads = [Thread(target=lambda: [listen(it) for it in ROTATION]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert stream.overlaps == 0
    assert len(stream.getvalue().splitlines()) == 4 * 7


class Gone(io.StringIO):
    """A pipe whose reader has gone away."""

    def write(self, _text: str) -> int:
        """Fail."""
        raise BrokenPipeError

    def flush(self) -> None:
        """Fail."""
        raise BrokenPipeError


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_reader_that_has_gone_away_does_not_end_a_rotation(*, is_terminal: bool) -> None:
    """A listener must not raise, or a closed pipe would stop a rotation between publish and retire."""
    with progress(Gone(), is_terminal=is_terminal) as listen:
        for it in ROTATION:
            listen(it)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_stream_without_unicode_gets_what_it_can_show(*, is_terminal: bool) -> None:
    """Marks have another form, the rest a question mark, and nothing is lost."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    with progress(stream, is_terminal=is_terminal) as listen:
        listen(event(Step.ISSUE, token=TOKEN, message="é…", duration=MS))
    stream.flush()
    shown = raw.getvalue().decode("ascii")
    assert TOKEN in shown
    assert "??" in shown
    assert ("+ " in ANSI.sub("", shown)) == is_terminal


@pytest.fixture(name="narrow")
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a terminal of 80 columns that knows colours."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def drawn(events: Sequence[Event]) -> str:
    """Show events on a terminal; return what stays there, with its colours."""
    stream = io.StringIO()
    board = Board(Console(file=stream, force_terminal=True, color_system="standard", highlight=False))
    for it in events:
        board(it)
    return stream.getvalue()


@pytest.mark.usefixtures("narrow")
def test_finished_steps_are_lines_of_a_narrow_terminal() -> None:
    """A tick, the step in words, what it was about and how long it took, within 80 columns."""
    lines = [line.rstrip() for line in ANSI.sub("", drawn(ROTATION[:4])).splitlines()]
    assert lines == [
        "→ ci due: issued at 2026-04-09 20:00:01Z",
        "✓ ci issue a new token  ci@pve!ci-8-k3f9q                                  13 ms",
        "✓ ci grant it a role    ci@pve!ci-8-k3f9q  PVEVMAdmin on /vms              13 ms",
    ]


@pytest.mark.usefixtures("narrow")
def test_what_does_not_fit_is_folded_and_not_lost() -> None:
    """A long path goes on in the next line; no line is wider than the terminal."""
    where = "file:/" + "/".join(f"folder-{number}" for number in range(12))
    lines = ANSI.sub("", drawn([event(Step.PUBLISH, token=TOKEN, destination=where, duration=MS)])).splitlines()
    assert max(map(len, lines)) <= 80
    assert "".join(re.sub(r"^✓ ci publish it|13 ms$", "", line).strip() for line in lines) == where


@pytest.mark.usefixtures("narrow")
def test_where_there_is_no_room_for_columns_it_stands_below(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token in a column of two characters is none that anybody could read; a long name leaves no room at all."""
    monkeypatch.setenv("COLUMNS", "40")
    names = ("terraform", "a-name-of-32-characters-it-is-so")
    for name in names:
        shown = drawn([event(Step.ISSUE, token=TOKEN, duration=MS, credential=name)])
        first, *_, last = (line.rstrip() for line in ANSI.sub("", shown).splitlines())
        assert (first[:11], first[-6:]) == (f"✓ {name[:9]}", " 13 ms")
        assert last == f"  issue a new token {TOKEN}"


@pytest.mark.usefixtures("narrow")
def test_a_failure_is_red_and_says_what_to_do() -> None:
    """Message and hint stand in full under the step."""
    failed = event(Step.CONFIRM, Outcome.FAILED, destination=FILE, message="does not log in", hint="look at the store")
    text = drawn([failed])
    assert "\x1b[1;31m✗" in text
    assert "\x1b[1;31mdoes not log in" in text
    assert "    hint: look at the store" in ANSI.sub("", text)


@pytest.mark.usefixtures("narrow")
def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sets NO_COLOR sees none, not even for a failure."""
    monkeypatch.setenv("NO_COLOR", "1")
    text = drawn([*ROTATION, event(Step.CONFIRM, Outcome.FAILED, message="does not log in")])
    assert re.findall(r"\x1b\[(?:\d+;)*[349]\d", text) == []


@pytest.mark.usefixtures("narrow")
def test_who_is_at_work_is_shown_until_the_step_ends() -> None:
    """One line for each credential, always in the same order, gone when there is nothing to show."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    board = Board(console)

    def lines() -> list[str]:
        with console.capture() as capture:
            console.print(board.at_work())
        return [line[2:].split("  ")[0].rstrip() for line in ANSI.sub("", capture.get()).splitlines() if line.strip()]

    board(event(Step.VERIFY, Outcome.STARTED, token=TOKEN, credential="web"))
    board(event(Step.ISSUE, Outcome.STARTED, token=TOKEN, credential="api"))
    assert lines() == ["api issue a new token", "web log in with it"]
    board(event(Step.PUBLISH, Outcome.STARTED, destination=FILE, credential="web"))
    assert lines() == ["api issue a new token", "web publish it"]
    board(event(Step.PUBLISH, destination=FILE, credential="web"))
    board(event(Step.ISSUE, Outcome.FAILED, token=TOKEN, credential="api"))
    assert lines() == []


@pytest.mark.usefixtures("narrow")
def test_on_a_terminal_the_display_is_live_and_leaves_the_lines() -> None:
    """The door draws with a hidden cursor, and gives it back."""
    stream = io.StringIO()
    with progress(stream, is_terminal=True) as listen:
        listen(ROTATION[2])
    assert stream.getvalue().startswith("\x1b[?25l")
    assert stream.getvalue().rstrip("\r").endswith("\x1b[?25h")
    assert "✓ ci issue a new token" in ANSI.sub("", stream.getvalue())


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that obeys nothing is not told to move a cursor."""
    monkeypatch.setenv("TERM", "dumb")
    stream = io.StringIO()
    with progress(stream, is_terminal=True) as listen:
        listen(ROTATION[2])
    assert stream.getvalue() == "20:00:01 ci  issue      done      13 ms  ci@pve!ci-8-k3f9q\n"


def test_every_step_has_its_words() -> None:
    """A step without words would end the display."""
    assert set(WORDS) == set(Step)


def test_plain_lines_do_not_load_rich() -> None:
    """A CronJob has no terminal and starts often."""
    program = (
        "import sys\nfrom rotator.cli.progress import progress\n"
        "with progress(sys.stderr, is_terminal=False): pass\nprint('rich' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)  # noqa: S603 - constant
    assert run.stdout == "False\n"
