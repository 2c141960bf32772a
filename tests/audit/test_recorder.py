"""What becomes of lines that cannot be written, and what a line says."""

from __future__ import annotations

import gzip
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rotator.audit.chain import Seal
from rotator.audit.check import check
from rotator.audit.lines import LONGEST, of_event
from rotator.audit.reading import lines
from rotator.audit.recorder import Recorder
from rotator.audit.trail import Trail
from rotator.errors import ConfigError, UnauditedError
from rotator.events import Event, Outcome, Step
from rotator.model import Credential, Destination, Secret
from rotator.trigger import By, TriggeredBy
from tests.cli.lab import Time

NOW = datetime(2026, 5, 9, 7, 30, 1, 234567, tzinfo=UTC)
EVENT = Event(NOW, "ci", "one", Step.PUBLISH, Outcome.DONE, "due", duration=timedelta(milliseconds=12))
CI = Credential("ci", "one", "lab", "ci@pve", "ci", timedelta(1), timedelta(), (Destination("file", "x", "file:x"),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the trail is."""
    return tmp_path / "trail" / "audit.jsonl"


def recorder(path: Path, *, is_required: bool = False, seal: Seal | None = None) -> Recorder:
    """Make one."""
    return Recorder(Trail(path, seal or Seal()), Time(), is_required=is_required)


def kinds(path: Path) -> list[tuple[str, int]]:
    """Return the kinds of the lines, and how many lines each says were lost."""
    return [(str(it.fields["kind"]), int(it.fields.get("lines", 0))) for it in lines([path]) if it.fields]


def test_lost_lines_are_told_at_once_and_counted_in_the_next(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Once while it lasts, however many; the chain goes on."""
    made = recorder(path)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            made.hear(EVENT)
    assert [it.getMessage() for it in caplog.records] == [
        f"the audit trail {path} is NOT written: No such file or directory; the work goes on without it"
    ]
    path.parent.mkdir()
    made.hear(EVENT)
    assert kinds(path) == [("lost", 3), ("step", 0)]
    assert check(lines([path]), Seal()).flaws == ()
    made.close()
    assert len(caplog.records) == 1


def test_what_is_lost_in_the_end_is_told_in_the_end(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody writes another line that could say so."""
    made = recorder(path)
    made.hear(EVENT)
    made.hear(EVENT)
    made.close()
    assert caplog.messages[-1] == f"the audit trail {path} lacks 2 lines"


def test_who_comes_after_says_what_was_lost_before(path: Path) -> None:
    """A configuration that is taken up while the disk is full does not make the trail look whole."""
    before = recorder(path)
    before.hear(EVENT)
    before.hear(EVENT)
    after = recorder(path)
    before.close()
    after.hear(EVENT)
    path.parent.mkdir()
    after.hear(EVENT)
    after.hear(EVENT)
    assert kinds(path) == [("lost", 3), ("step", 0), ("step", 0)]


def test_what_is_lost_is_written_at_the_end_if_there_is_room_by_then(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing else has happened since."""
    made = recorder(path)
    made.hear(EVENT)
    path.parent.mkdir()
    made.close()
    assert kinds(path) == [("lost", 1)]
    assert len(caplog.messages) == 1


def test_a_store_of_somebody_elses_that_breaks_ends_no_rotation(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It has the key; of what it raises the type is told."""

    def ask() -> Secret:
        raise KeyError("token_secret")

    path.parent.mkdir()
    recorder(path, seal=Seal(ask)).hear(EVENT)
    assert "KeyError" in caplog.text
    assert "token_secret" not in caplog.text


def test_an_old_file_that_is_damaged_ends_no_rotation(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """How the chain stood cannot be read, so the line is lost, as on a full disk; whoever works goes on."""
    path.parent.mkdir()
    path.with_name("audit.jsonl.1.gz").write_bytes(gzip.compress(b"a line\n")[:-12])
    recorder(path).hear(EVENT)
    why = "audit.jsonl.1.gz is damaged, or not compressed to its end"
    assert caplog.messages == [f"the audit trail {path} is NOT written: {why}; the work goes on without it"]


def test_only_a_required_trail_forbids_anything(path: Path) -> None:
    """And only as long as it cannot be written; what it permits, it has written down."""
    recorder(path).permit(CI, None)
    with pytest.raises(UnauditedError, match="No such file or directory"):
        recorder(path, is_required=True).permit(CI, None)
    path.parent.mkdir()
    recorder(path).permit(CI, None)
    assert not path.exists()
    recorder(path, is_required=True).permit(CI, TriggeredBy(By.SCHEDULE, "retry"))
    (begun,) = (it.fields for it in lines([path]))
    assert begun
    assert (begun["kind"], begun["credential"], begun["what"]) == ("begun", "ci", "retry")


def test_a_key_that_cannot_be_read_is_a_trail_that_cannot_be_written(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Rather no line than one that proves nothing."""

    def ask() -> Secret:
        raise ConfigError("the environment variable KEY is not set")

    path.parent.mkdir()
    recorder(path, seal=Seal(ask)).hear(EVENT)
    assert path.read_bytes() == b""
    assert "KEY is not set" in caplog.text


def test_a_line_says_what_the_event_says_and_nothing_that_is_empty() -> None:
    """Times to the millisecond, in UTC; what began it; names of a kind that is not to be guessed."""
    found = of_event(EVENT)
    assert {key: value for key, value in found.items() if key not in {"host", "pid"}} == {
        "v": 1,
        "kind": "step",
        "at": "2026-05-09T07:30:01.234Z",
        "credential": "ci",
        "cluster": "one",
        "step": "publish",
        "outcome": "done",
        "reason": "due",
        "ms": 12,
    }


def test_a_secret_that_somebody_else_repeated_is_hidden(canary: str) -> None:
    """A store's error may hold one; names and ids are none, whatever they look like."""
    password = Secret(f"battery-staple {canary}")
    event = Event(NOW, "ci", "one", Step.PUBLISH, Outcome.FAILED, message=f"no: {password.reveal()}", hint=canary)
    assert (of_event(event)["message"], of_event(event)["hint"]) == ("no: [hidden]", "[hidden]")


def test_a_text_that_is_too_long_is_cut() -> None:
    """A line stays a line that can be read."""
    event = Event(NOW, "ci", "one", Step.PUBLISH, Outcome.FAILED, message="x" * 2 * LONGEST)
    assert of_event(event)["message"] == "x" * LONGEST + "..."
