"""Of what is paused nothing is told as if somebody would look at it again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from rotator.model import Request
from rotator.notify.vigil import Rules, Vigil
from rotator.service.health import unready
from rotator.service.service import Service
from rotator.service.standing import State
from rotator.settings import ServiceSettings
from tests.service.world import Outage, Street

HOUR = timedelta(hours=1)
LOOK = 15 * timedelta(minutes=1)


@pytest.fixture
def street(tmp_path: Path) -> Street:
    """Return one cluster that is looked at every quarter of an hour."""
    return Street(tmp_path, service_settings=ServiceSettings(look=LOOK))


def pause(street: Street, service: Service, *, paused: bool = True) -> None:
    """Pause it in the configuration, or let it go on."""
    street.add("ci", paused=paused)
    service.reload()
    service.begin_due()


@pytest.mark.parametrize("fails", [False, True])
def test_who_is_paused_waits_for_nothing_any_more(street: Street, *, fails: bool) -> None:
    """Neither for a look, which was to be told as long overdue an hour later, nor for a retry or a change."""
    street.add("ci")
    street.guard = Outage(lambda label, _: fails and label.startswith("POST"))
    service = street.serve()
    street.go_on(service, HOUR)
    assert street.stands(service, "ci").next_wake is not None
    pause(street, service)
    it = street.stands(service, "ci")
    assert it.state is State.PAUSED
    assert (it.next_wake, it.next_change, it.backoff_until, it.failures) == (None, None, None, 0)


def test_who_is_paused_while_it_is_rotated_waits_for_nothing_either(street: Street) -> None:
    """The rotation ends with the configuration that it began with; what it says of later is not so any more."""
    street.add("ci")
    service = street.serve()

    def paused_meanwhile(label: str, _number: int) -> bool:
        if label.startswith("POST") and not street.credentials[0].paused:
            pause(street, service)
        return False

    street.guard = Outage(paused_meanwhile)
    service.begin_due()
    it = street.stands(service, "ci")
    assert it.last is not None
    assert it.last.result.done == ("first-issue",)
    assert (it.state, it.next_wake, it.next_change) == (State.PAUSED, None, None)


@pytest.mark.parametrize(("fails", "state"), [(False, State.PAUSED), (True, State.FAILING)])
def test_after_somebody_asked_for_who_is_paused_nobody_looks_again(
    street: Street, state: State, *, fails: bool
) -> None:
    """It is rotated this once, or not, and the service is ready all the same."""
    street.add("ci", paused=True)
    street.guard = Outage(lambda label, _: fails and label.startswith("POST"))
    service = street.serve()
    service.begin_due()
    service.ask("ci", Request(forced=True), who="alice")
    service.begin_due()
    it = street.stands(service, "ci")
    assert (it.state, it.next_wake, it.next_change) == (state, None, None)
    assert unready(service.board.standing, street.clock.now() + 24 * HOUR) == []


def test_a_new_failure_after_a_pause_is_news(street: Street) -> None:
    """Pausing something that fails ends the trouble without a word."""
    street.add("ci")
    street.guard = Outage(lambda label, _: label.startswith("POST"))
    service = street.serve()
    vigil, told = Vigil(Rules("tests", "here", HOUR), street.clock.now), list[str]()
    service.board.watch(lambda change: told.extend(it.occasion for it in vigil.see(change)))
    service.begin_due()
    assert told == ["failed"]
    pause(street, service)
    pause(street, service, paused=False)
    assert told == ["failed", "failed"]
