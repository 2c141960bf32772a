"""Who or what began a run: every event says it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from rotator.cli.person import called, person
from rotator.events import Outcome, Step
from rotator.model import Request
from rotator.trigger import By, TriggeredBy
from tests.service.world import EVERY, Street


def triggers(street: Street) -> list[TriggeredBy | None]:
    """Return the triggers of all decisions so far, and forget the events."""
    found = [event.trigger for event in street.events if event.step is Step.DECIDE]
    street.events.clear()
    return found


def test_what_the_service_does_by_itself_says_why_it_woke(tmp_path: Path) -> None:
    """The start, a change that was foreseen, a retry."""
    street = Street(tmp_path)
    street.add("ci")
    service = street.serve()
    street.go_on(service, timedelta(minutes=1))
    assert set(triggers(street)) == {TriggeredBy(By.SCHEDULE, "start")}
    street.go_on(service, EVERY)
    assert set(triggers(street)) == {TriggeredBy(By.SCHEDULE, "change")}


def test_what_somebody_asks_for_says_who(tmp_path: Path) -> None:
    """The name that the page gave stands in every event, also in those that only say that a step starts."""
    street = Street(tmp_path)
    street.add("ci")
    service = street.serve()
    street.go_on(service, timedelta(minutes=1))
    street.events.clear()
    service.ask("ci", Request(forced=True), who="alice")
    street.go_on(service, timedelta(minutes=1))
    assert {event.trigger for event in street.events} == {TriggeredBy(By.PAGE, "asked", "alice")}
    assert {event.outcome for event in street.events} >= {Outcome.STARTED, Outcome.DONE}


def test_every_event_has_the_time_of_pve_too(tmp_path: Path) -> None:
    """Our clock may be set wrong; PVE's is the one that decisions are made on."""
    street = Street(tmp_path)
    street.add("ci")
    street.clock.set_by = timedelta(hours=3)
    street.go_on(street.serve(), timedelta(minutes=1))
    apart = {event.at - event.pve_at for event in street.events if event.pve_at}
    assert len(street.events) > 5
    assert all(event.pve_at for event in street.events)
    assert all(abs(it - timedelta(hours=3)) <= timedelta(seconds=1) for it in apart)


def test_a_user_is_named_by_the_kernel_and_never_by_a_variable() -> None:
    """Whoever can set USER is not somebody else; what sudo says counts where only root could have it."""
    assert person(0, {"USER": "eve", "LOGNAME": "eve"}) == "root"
    assert person(0, {"SUDO_USER": "alice"}) == "root, sudo by alice"
    assert person(3_999_999_999, {"SUDO_USER": "alice"}) == "uid 3999999999"


def test_a_command_says_as_whom_it_works() -> None:
    """A person's login at the clusters is not the operator's."""
    trigger = called("now", "root@pam")
    assert (trigger.by, trigger.what) == (By.COMMAND, "now --login root@pam")
    assert str(TriggeredBy(By.COMMAND, "due", "root")) == "command due (root)"
