"""``rotate doctor`` where there are many credentials, and somebody goes on rotating them meanwhile."""

from __future__ import annotations

from contextlib import suppress
from threading import Barrier, BrokenBarrierError

from rotator.marker import Marker
from rotator.testing.pve import Fault, Request
from tests.cli.lab import USER, only
from tests.doctor.clinic import Clinic

PATIENCE = 20
"""Seconds for which a login waits for the other one; nobody waits that long unless they come one by one."""


def rotated(clinic: Clinic) -> None:
    """Put another token into the record, as a rotation does; the one before it works on."""
    marker = Marker("lab", "ci", "another", clinic.time.now(), published=True)
    token = f"{USER}!ci-2-fghij"
    clinic.plant("ci", token, clinic.pve.add_token(USER, "ci-2-fghij", privsep=False, comment=marker.comment()))


def test_who_is_rotated_while_doctor_looks_is_not_called_locked_out(clinic: Clinic) -> None:
    """A record is read before the tokens are listed: one that is newer than the list is in no list, and works."""
    first = clinic.current

    def intercept(asked: Request) -> Fault | None:
        if asked.path == "/cluster/status" and clinic.current == first:
            rotated(clinic)
        return None

    clinic.pve.intercept = intercept
    assert clinic.codes() == []
    assert clinic.current != first


def test_who_seems_to_be_locked_out_and_was_rotated_meanwhile_is_looked_at_again(clinic: Clinic) -> None:
    """Without an overlap the record that was read is dead at once; who reads it now is well."""
    first, secret = clinic.current, "11111111-1111-4111-8111-111111111111"
    clinic.watch(secret)
    done: list[str] = []

    def intercept(asked: Request) -> Fault | None:
        if asked.path == "/cluster/status" and not done:
            done.append(asked.path)
            clinic.change_token(secret=secret)
            clinic.plant("ci", first, secret)
        return None

    clinic.pve.intercept = intercept
    assert clinic.codes() == []
    assert (clinic.refused(), bool(done)) == (1, True)


def test_credentials_are_examined_side_by_side(clinic: Clinic) -> None:
    """Each takes several calls: one after the other, a fleet on a slow cluster takes minutes."""
    clinic.add("other")
    marker = Marker("lab", "other", "planted", clinic.time.now(), published=True)
    secret = clinic.pve.add_token(USER, "other-1-abcde", privsep=False, comment=marker.comment())
    clinic.plant("other", f"{USER}!other-1-abcde", secret)
    both = Barrier(2)

    def intercept(asked: Request) -> Fault | None:
        if asked.path == "/version" and asked.who.startswith(USER):
            with suppress(BrokenBarrierError):
                both.wait(PATIENCE)
        return None

    clinic.pve.intercept = intercept
    assert clinic.codes() == []
    assert not both.broken


def test_the_findings_stand_in_the_order_of_the_configuration(clinic: Clinic) -> None:
    """Whoever was examined first."""
    names = [f"it{number}" for number in range(12)]
    for name in names:
        clinic.add(name)
    found = [it["name"] for it in clinic.doctor() if it["kind"] == "credential"]
    assert found == ["ci", *names]
    assert only([it for it in clinic.doctor("it7") if it["kind"] == "credential"])["name"] == "it7"
