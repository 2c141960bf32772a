"""The queue of a channel: nobody waits for it, it does not grow, and what is lost is counted and said."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event
from threading import enumerate as threads

import pytest

from rotator.errors import RefusedError, UnavailableError
from rotator.notify.notice import About, Notice, notice
from rotator.notify.outbox import PAUSES, Outbox

NOW = datetime(2026, 5, 9, 7, 30, tzinfo=UTC)
PATIENCE = 20
MORE_THAN_THERE_IS = 1 << 62
"""Bytes that no thread gets for its stack: more than a process may address."""


def made(name: str) -> Notice:
    """Make a notice about a credential."""
    return notice(About(owner="lab", host="h", occasion="failed", cluster="one", credential=name), NOW)


class Way:
    """A way that fails as planned, and waits at a gate if there is one."""

    def __init__(self, *failures: Exception | None, gate: Event | None = None) -> None:
        self.failures = list(failures)
        self.sent: list[tuple[str, str]] = []
        self.reached = Event()
        self.gate = gate

    def __call__(self, notice: Notice) -> None:
        """Send."""
        self.reached.set()
        if self.gate:
            self.gate.wait(PATIENCE)
        self.sent.append((notice.data.credential, notice.id))
        if failure := (self.failures.pop(0) if self.failures else None):
            raise failure


def pauses() -> tuple[list[float], Callable[[float, Event], None]]:
    """Return what notes pauses, and waits for none."""
    found: list[float] = []
    return found, lambda seconds, _closing: found.append(seconds)


def test_what_fails_is_tried_again_as_the_same_notice_after_growing_pauses() -> None:
    """The receiver knows by the id that it is no other one."""
    noted, pause = pauses()
    way = Way(UnavailableError("503"), UnavailableError("503"))
    box = Outbox("ops", way, pause)
    box.put(made("ci"))
    box.drain(PATIENCE)
    assert (len(way.sent), len(set(way.sent)), noted) == (3, 1, [1, 4])
    assert (box.delivered, box.dropped) == (1, 0)


def test_it_is_given_up_in_the_end_and_said(caplog: pytest.LogCaptureFixture) -> None:
    """After some minutes; the next one is tried all the same."""
    noted, pause = pauses()
    way = Way(*[UnavailableError("ops.example answered 503")] * 6)
    box = Outbox("ops", way, pause)
    with caplog.at_level(logging.WARNING):
        box.put(made("ci"))
        box.put(made("cd"))
        box.drain(PATIENCE)
    assert tuple(noted) == PAUSES
    assert [name for name, _ in way.sent] == ["ci"] * 6 + ["cd"]
    assert (box.delivered, box.dropped) == (1, 1)
    assert "notifications that ops did not get: 1 (ops.example answered 503); 1 so far" in caplog.text


@pytest.mark.parametrize(
    ("error", "said"), [(RefusedError("answered 410"), "answered 410"), (KeyError("x"), "this is a bug: KeyError")]
)
def test_what_no_repeat_can_help_is_given_up_at_once(
    error: Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal, or a bug; neither ends the thread."""
    noted, pause = pauses()
    box = Outbox("ops", Way(error), pause)
    for name in ("ci", "cd"):
        box.put(made(name))
    box.drain(PATIENCE)
    assert (noted, box.delivered, box.dropped) == ([], 1, 1)
    assert said in caplog.text


def test_putting_never_waits_and_a_full_queue_drops_the_oldest() -> None:
    """The newest says how things stand."""
    gate = Event()
    way = Way(gate=gate)
    box = Outbox("ops", way, most=3)
    box.put(made("under-way"))
    assert way.reached.wait(PATIENCE)
    for number in range(5):
        box.put(made(f"c{number}"))
    gate.set()
    box.drain(PATIENCE)
    assert [name for name, _ in way.sent] == ["under-way", "c2", "c3", "c4"]
    assert (box.delivered, box.dropped) == (4, 2)


def test_at_the_end_everything_is_tried_once_more_without_a_pause() -> None:
    """Whoever waits between two tries is woken."""
    woken = Event()

    def pause(_seconds: float, closing: Event) -> None:
        woken.set()
        closing.wait(PATIENCE)

    way = Way(UnavailableError("x"), UnavailableError("x"))
    box = Outbox("ops", way, pause)
    for name in ("ci", "cd"):
        box.put(made(name))
    assert woken.wait(PATIENCE)
    box.close(PATIENCE)
    assert [name for name, _ in way.sent] == ["ci", "ci", "cd"]
    assert (box.delivered, box.dropped) == (1, 1)


def test_what_is_news_after_the_end_has_begun_is_told_too() -> None:
    """A service that is to stop finishes what is under way first; how that ends is what somebody wants to hear."""
    way = Way()
    box = Outbox("late", way)
    box.put(made("first"))
    box.hurry()
    for thread in threads():
        if thread.name == "notify late":
            thread.join(PATIENCE)
    box.put(made("last"))
    box.close(PATIENCE)
    assert [name for name, _ in way.sent] == ["first", "last"]
    assert (box.delivered, box.dropped) == (2, 0)


def test_at_the_end_nobody_is_waited_for_longer_than_said(caplog: pytest.LogCaptureFixture) -> None:
    """What is left then is counted, also what was under way."""
    gate = Event()
    way = Way(gate=gate)
    box = Outbox("ops", way)
    for name in ("ci", "cd"):
        box.put(made(name))
    assert way.reached.wait(PATIENCE)
    box.close(0.01)
    assert box.dropped == 2
    assert "2 (the process ends)" in caplog.text
    gate.set()
    box.close(PATIENCE)
    assert box.dropped == 2


def test_an_outbox_that_was_never_used_has_no_thread() -> None:
    """Who is told of nothing costs nothing."""
    box = Outbox("ops", Way())
    box.drain(0)
    box.close(0)
    assert (box.delivered, box.dropped) == (0, 0)


def test_where_no_thread_can_be_started_nothing_is_raised_and_the_next_notice_tries_again() -> None:
    """Who puts something there is in the middle of a rotation."""
    way = Way()
    box = Outbox("ops", way)
    before = threading.stack_size(MORE_THAN_THERE_IS)
    try:
        box.put(made("a"))
    finally:
        threading.stack_size(before)
    assert not box.is_empty
    box.put(made("b"))
    box.drain(PATIENCE)
    assert [name for name, _ in way.sent] == ["a", "b"]
    box.close(PATIENCE)
