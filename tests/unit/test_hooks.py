"""After which events which hooks are run, and for which destinations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from rotator.events import Event, Outcome, Step
from rotator.hooks import Hooks
from rotator.programs import Ended
from rotator.settings_telling import CommandSettings, HookSettings
from tests.cli.lab import Time

NOW = datetime(2026, 5, 9, 7, 30, tzinfo=UTC)
PUBLISH, REVOKE = (CommandSettings((name,), timedelta(seconds=1)) for name in ("/publish", "/revoke"))
PLACES = ("main:ci", "copy:ci")


class Bench:
    """Hooks over a program that notes what it is told."""

    def __init__(self, ended: Ended | None = None) -> None:
        self.ran: list[tuple[str, str]] = []
        self.heard: list[Event] = []
        self._ended = ended or Ended(0)
        settings = {"ci": HookSettings((PUBLISH,), (REVOKE,))}
        self.hooks = Hooks(settings, {"ci": PLACES}, self.heard.append, Time(), self.run)

    def run(self, command: CommandSettings, variables: Mapping[str, str], stdin: bytes) -> Ended:
        """Note it."""
        told = json.loads(stdin)
        assert {f"ROTATE_{key.upper()}": it for key, it in told.items() if key != "version"} == variables
        self.ran.append((command.argv[0], told["destination"]))
        return self._ended

    def after(self, step: Step, outcome: Outcome = Outcome.DONE, reason: str = "due", name: str = "ci") -> list[str]:
        """Let it hear an event about the primary; return what was run for what."""
        self.ran.clear()
        self.hooks.hear(Event(NOW, name, "one", step, outcome, reason, token="ci@pve!a", destination=PLACES[0]))
        return [" ".join(it).strip() for it in self.ran]


def test_what_was_published_is_told_once_it_is_proven() -> None:
    """Not before: what does not work is put back, and then nobody should have been told."""
    bench = Bench()
    assert bench.after(Step.PUBLISH) == []
    assert bench.after(Step.CONFIRM, Outcome.STARTED) == []
    assert bench.after(Step.CONFIRM, Outcome.FAILED) == []
    assert bench.after(Step.CONFIRM) == ["/publish main:ci"]
    assert bench.after(Step.MIRROR) == ["/publish main:ci"]
    assert bench.after(Step.MARK) == []


def test_whoever_finishes_a_rotation_tells_everybody() -> None:
    """Once: when nobody can put anything back any more. A fence for an orphan publishes nothing."""
    bench = Bench()
    assert bench.after(Step.CONFIRM, reason="unfinished") == []
    assert bench.after(Step.FENCE, reason="unfinished") == ["/publish main:ci", "/publish copy:ci"]
    assert bench.after(Step.FENCE, reason="orphan") == []


def test_a_deleted_token_has_no_destination() -> None:
    """It is gone everywhere."""
    bench = Bench()
    assert bench.after(Step.REVOKE) == ["/revoke"]
    assert bench.after(Step.REVOKE, Outcome.UNKNOWN) == []
    assert bench.after(Step.RETIRE) == []


def test_a_credential_without_hooks_has_none() -> None:
    """The event goes on to whoever listens."""
    bench = Bench()
    assert bench.after(Step.CONFIRM, name="cd") == []
    assert [it.credential for it in bench.heard] == ["cd"]


@pytest.mark.parametrize(
    ("ended", "outcome"),
    [(Ended(0), Outcome.DONE), (Ended(3), Outcome.FAILED), (Ended(None, why="did not start"), Outcome.FAILED)],
)
def test_how_a_hook_ended_is_an_event_of_the_rotation(ended: Ended, outcome: Outcome) -> None:
    """After the event that it follows, with its start."""
    bench = Bench(ended)
    bench.after(Step.CONFIRM)
    told = [(it.step, it.outcome) for it in bench.heard]
    assert told == [(Step.CONFIRM, Outcome.DONE), (Step.HOOK, Outcome.STARTED), (Step.HOOK, outcome)]
    last = bench.heard[-1]
    assert (last.token, last.destination, last.reason) == ("ci@pve!a", PLACES[0], "due")
    assert last.message == f"after-publish: /publish: {ended}"
    assert bool(last.hint) == (outcome is Outcome.FAILED)
