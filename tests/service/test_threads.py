"""The service with threads: never two runs of one credential, an end that is not waited for too long, the bell."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.cli import serving
from rotator.model import Request
from rotator.service.bell import Bell
from rotator.service.board import Board
from rotator.service.scheduler import in_threads
from rotator.service.standing import ConfigurationStanding, CredentialStanding, Standing, State
from tests.service.world import EVERY, Street
from tests.service.year import Overlaps

STUCK = """
from rotator.cli.serving import until_stopped
from rotator.cli.stopping import ended_after
from rotator.service.bell import Bell
from types import SimpleNamespace as Some
import os, signal, threading
standing = Some(credentials=(), clusters=(), configuration=Some(path="x"))
def tick():
    os.kill(os.getpid(), signal.SIGTERM)
    return 60.0
quiet = lambda: None
service = Some(board=Some(standing=standing), tick=tick, stop=quiet, reload=quiet, close={close}, is_idle={idle})
with ended_after({last}) as count:
    until_stopped(service, Bell(), count, grace=0.1)
"""


class Turnstile:
    """A guard that counts who is inside, and lets the first in wait until a test opens it."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, label: str, call: Any) -> Any:  # noqa: ANN401 - whatever the call returns
        """Wait at a change."""
        if label.startswith("POST"):
            self.reached.set()
            self.open.wait(20)
        return call()


def test_what_a_round_writes_up_while_a_configuration_comes_into_force_is_not_lost() -> None:
    """Whoever puts everything anew makes it of what is there: the other one waits, however long that takes."""
    now, hour = datetime(2026, 3, 1, tzinfo=UTC), timedelta(hours=1)
    configuration = ConfigurationStanding("rotate.yaml", "", now)
    before = CredentialStanding("ci", "one", hour, hour)
    board = Board(Standing(now, configuration, {"ci": before}), print)
    writer = threading.Thread(target=board.put, args=([replace(before, state=State.LOCKED_OUT)],))

    def edit(standing: Standing) -> Standing:
        writer.start()
        writer.join(0.2)  # where nobody waits it is done by then
        return replace(
            standing, credentials={name: replace(it, every=it.every) for name, it in standing.credentials.items()}
        )

    board.renew(edit)
    writer.join()
    assert board.standing.credentials["ci"].state is State.LOCKED_OUT


def test_wishes_that_come_during_a_run_wait_for_its_end_and_are_one(tmp_path: Path) -> None:
    """However many there are; nothing runs twice at once, and none is forgotten."""
    overlaps, turnstile, rung = Overlaps(), Turnstile(), threading.Event()
    street = Street(tmp_path, executor=in_threads(4), listeners=[overlaps], parallel=4, guard=turnstile)
    street.ring = rung.set  # type: ignore[method-assign] # the loop of a test waits for it
    street.add("ci")
    service = street.serve()
    service.begin_due()
    assert turnstile.reached.wait(20)
    assert set(service.board.standing.at_work) == {"ci"}
    for number in range(10):
        assert service.ask("ci", Request(forced=True), who=str(number))
        service.begin_due()
    assert len(service.board.standing.at_work) == 1
    turnstile.open.set()
    for _ in range(200):
        rung.wait(0.1)
        rung.clear()
        service.begin_due()
        if len(street.shop.written.get("ci", [])) == 2 and service.is_idle:
            break
    service.begin_due()
    last = street.stands(service, "ci").last
    assert last is not None
    assert (last.who, last.result.done) == ("0", ("forced",))
    assert overlaps.found == []
    assert len(street.shop.written["ci"]) == 2
    service.close()


def until(holds: Callable[[], bool], rung: threading.Event) -> None:
    """Wait for something that threads bring about."""
    for _ in range(200):
        if holds():
            return
        rung.wait(0.1)
        rung.clear()
    raise AssertionError("it does not come about")


def test_a_configuration_that_comes_during_a_round_is_what_stands(tmp_path: Path) -> None:
    """Who is gone is not put back, and who is configured anew stands so, whatever a run of before found."""
    turnstile, rung = Turnstile(), threading.Event()
    street = Street(tmp_path, executor=in_threads(1), guard=turnstile)
    street.ring = rung.set  # type: ignore[method-assign] # the loop of a test waits for it
    quiet = [street.add(name) for name in ("gone", "paused", "sooner")]
    turnstile.open.set()
    service = street.serve()
    service.begin_due()
    until(lambda: service.is_idle and all(street.stands(service, it.name).well for it in quiet), rung)
    turnstile.open.clear()
    turnstile.reached.clear()
    street.add("busy")
    service.reload()
    service.begin_due()
    assert turnstile.reached.wait(20)
    street.credentials.remove(quiet[0])
    street.add("paused", paused=True)
    street.add("sooner", every=EVERY / 2)
    street.add("busy", paused=True)
    service.reload()
    service.begin_due()
    turnstile.open.set()
    until(lambda: service.is_idle, rung)
    stands = service.board.standing.credentials
    assert set(stands) == {"paused", "sooner", "busy"}
    assert stands["sooner"].every == EVERY / 2
    assert [stands[name].state for name in ("paused", "sooner", "busy")] == [State.PAUSED, State.WELL, State.PAUSED]
    assert stands["busy"].last is not None
    assert street.bugs == []
    service.close()


def test_a_run_of_before_tells_nothing_of_who_was_moved_to_another_cluster(tmp_path: Path) -> None:
    """What was done on the old one was shown as done on the new one, with tokens that are not there."""
    turnstile, rung = Turnstile(), threading.Event()
    street = Street(tmp_path, ("one", "two"), executor=in_threads(1), guard=turnstile)
    street.ring = rung.set  # type: ignore[method-assign] # see above
    street.add("ci")
    service = street.serve()
    service.begin_due()
    assert turnstile.reached.wait(20)
    street.down("two")
    street.add("ci", cluster="two")
    service.reload()
    service.begin_due()
    turnstile.open.set()
    until(lambda: "ci" in street.shop.written and service.is_idle, rung)
    it = street.stands(service, "ci")
    assert (it.cluster, it.tokens, it.token, it.well) == ("two", (), "", None)
    assert street.bugs == []
    service.close()


@pytest.mark.parametrize("moment", range(4))
def test_a_wish_that_comes_when_a_round_ends_is_done_at_once(tmp_path: Path, moment: int) -> None:
    """Also just after it was worked out when the next round is: that one is an hour away where everybody is paused."""
    street, looks = Street(tmp_path, executor=in_threads(1)), itertools.count()
    rung, begun = threading.Event(), threading.Event()
    street.ring, tell = rung.set, street.clock.monotonic  # type: ignore[method-assign] # see above

    def asked_at_a_moment() -> float:
        if threading.current_thread() is not threading.main_thread() and begun.wait(20) and next(looks) == moment:
            assert service.ask("ci", Request(forced=True), who="alice")
        return tell()

    street.add("ci", paused=True)
    service = street.serve()
    street.clock.monotonic = asked_at_a_moment  # type: ignore[method-assign] # whoever looks at the clock gives us time
    service.begin_due()
    begun.set()
    until(lambda: service.board.standing.clusters["one"].next_look is not None and service.is_idle, rung)
    assert next(looks) > moment
    service.begin_due()
    until(lambda: "ci" in street.shop.written and service.is_idle, rung)
    service.close()


def test_what_takes_too_long_at_the_end_is_left_where_it_is() -> None:
    """Before Kubernetes kills the process, and with a word about it."""
    command = [sys.executable, "-c", STUCK.format(idle=False, close="quiet", last=60)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)  # noqa: S603 - constant
    assert ran.returncode == 128 + signal.SIGTERM
    assert "left what is under way where it is; the next run finishes it or cleans it up" in ran.stderr
    assert serving.GRACE < 30


@pytest.mark.parametrize("hangs", [True, False])
def test_whoever_does_not_let_go_at_the_end_is_left_behind(*, hangs: bool) -> None:
    """Kubernetes, a webhook, readers of the page: together they may take longer than systemd waits for the process."""
    close = "threading.Event().wait" if hangs else "quiet"
    command = [sys.executable, "-c", STUCK.format(idle=True, close=close, last=0.1 if hangs else 60)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)  # noqa: S603 - constant
    assert ran.returncode == (128 + signal.SIGTERM if hangs else 0)
    assert ("left behind who did not answer" in ran.stderr) == hangs
    assert serving.GRACE < serving.LAST < 30


def test_a_bell_that_was_rung_before_does_not_let_anybody_wait() -> None:
    """And once is enough, however often it was rung."""
    bell = Bell()
    before = set(Path("/dev/fd").iterdir())
    for _ in range(100_000):
        bell.ring()
    bell.wait(60)
    bell.wait(0.01)
    bell.ring()
    bell.wait(60)
    bell.close()
    assert len(set(Path("/dev/fd").iterdir())) < len(before)
