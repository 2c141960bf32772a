"""Faults: what a rotator must survive, brought about on purpose."""

from __future__ import annotations

from threading import Thread

import pytest
import requests

from rotator.testing.pve import (
    AnswerAfter,
    AnswerInstead,
    AnswerLate,
    Call,
    Delay,
    Fault,
    HangUpAfter,
    HangUpBefore,
    Request,
)
from tests.sim.world import PASSWORD, World

LOCK_TIMEOUT = "generating token failed: cfs-lock 'file-user_cfg' error: got lock request timeout"


def disturb(world: World, fault: Fault) -> None:
    """Disturb every creation of a token."""
    world.pve.intercept = lambda request: fault if request.method == "POST" and "/token/" in request.path else None


def test_an_answer_instead_does_nothing(world: World) -> None:
    """Waiters for PVE's lock give up after 9.9 s with a 500, and nothing has happened (measured)."""
    admin = world.admin
    disturb(world, AnswerInstead(500, LOCK_TIMEOUT))
    answer = world.create(admin, "t1")
    assert (answer.status_code, answer.reason) == (500, LOCK_TIMEOUT)
    assert answer.json() == {"data": None, "message": f"{LOCK_TIMEOUT}\n"}
    assert world.pve.tokens("svc@pve") == []


def test_595_has_no_body_and_nothing_happened(world: World) -> None:
    """The daemon refused the proxy's connection (measured)."""
    admin = world.admin
    disturb(world, AnswerInstead(595, "Connection refused"))
    answer = world.create(admin, "t1")
    assert (answer.status_code, answer.reason, answer.content) == (595, "Connection refused", b"")
    assert world.pve.tokens("svc@pve") == []


def test_596_and_it_happened(world: World) -> None:
    """The proxy gave up on its daemon: an empty answer, and the token exists (measured)."""
    admin = world.admin
    disturb(world, AnswerAfter())
    answer = world.create(admin, "t1")
    assert (answer.status_code, answer.content) == (596, b"")
    assert world.pve.tokens("svc@pve") == ["t1"]


def test_596_and_it_happens_later(world: World) -> None:
    """The token comes into being after the answer (measured: 2 of 3 did), once."""
    admin = world.admin
    disturb(world, AnswerLate())
    assert world.create(admin, "t1").status_code == 596
    assert world.pve.tokens("svc@pve") == []
    world.pve.apply_late()
    assert world.pve.tokens("svc@pve") == ["t1"]
    world.pve.delete_token("svc@pve!t1")
    world.pve.apply_late()
    assert world.pve.tokens("svc@pve") == []


def test_what_comes_late_may_come_too_late(world: World) -> None:
    """A late creation of an id that was taken meanwhile is refused like any other, and nobody sees it."""
    admin = world.admin
    disturb(world, AnswerLate())
    world.create(admin, "t1")
    secret = world.pve.add_token("svc@pve", "t1")
    world.pve.apply_late()
    assert world.pve.accepts("svc@pve!t1", secret)


@pytest.mark.parametrize(("fault", "tokens"), [(HangUpBefore(), []), (HangUpAfter(), ["t1"])])
def test_a_connection_may_end_before_or_after_the_effect(world: World, fault: Fault, tokens: list[str]) -> None:
    """The client cannot tell which (measured: the token may exist)."""
    admin = world.admin
    disturb(world, fault)
    with pytest.raises(requests.ConnectionError):
        world.create(admin, "t1")
    assert world.pve.tokens("svc@pve") == tokens
    assert world.pve.calls[-1].status == 0


def test_a_delay_waits_and_then_answers(world: World) -> None:
    """Clients need a longer patience than PVE's own 30 s (measured)."""
    admin = world.admin
    disturb(world, Delay(31.0))
    assert world.create(admin, "t1").status_code == 200
    assert world.slept == [31.0]


def test_a_fault_may_choose_by_who_asks(world: World) -> None:
    """The request shows node, method, path, caller and parameters."""
    token = world.token("svc@pve")
    seen: list[Request] = []
    world.pve.intercept = seen.append
    world.ask("GET", "/access/permissions?path=/vms", token)
    assert seen == [Request("pve1", "GET", "/access/permissions", "svc@pve!t1", {"path": "/vms"})]


def test_refused_logins_pass_the_fault_port_too(world: World) -> None:
    """A node in trouble is in trouble for everybody."""
    world.pve.intercept = lambda _request: AnswerInstead(500, "in trouble")
    assert world.ask("GET", "/version").status_code == 500
    assert world.slept == []


def test_every_call_is_noted_without_its_secrets(world: World) -> None:
    """Names and values of parameters, except passwords, tickets and codes."""
    admin = world.admin
    world.create(admin, "t1", comment="c", privsep="0")
    world.ask("GET", "/version")
    assert world.pve.calls == [
        Call("pve1", "POST", "/access/ticket", "", 200, {"username": "admin@pve"}),
        Call("pve1", "POST", "/access/users/svc@pve/token/t1", "admin@pve", 200, {"comment": "c", "privsep": "0"}),
        Call("pve1", "GET", "/version", "", 401, {}),
    ]


def test_no_secret_shows_itself(world: World) -> None:
    """Neither in the cluster, nor in its state, nor in what it noted."""
    secret = world.pve.add_token("svc@pve", "t1")
    world.pve.add_user("totp@pve", password=PASSWORD, totp_secret="JBSWY3DPEHPK3PXP")
    world.ask("GET", "/version", {"Authorization": f"PVEAPIToken=svc@pve!t1={secret}"})
    world.ask("POST", f"/access/ticket?password={PASSWORD}", form={"username": "svc@pve"})
    shown = f"{world.pve!r}{world.pve!s}{world.pve.nodes}{world.pve.cluster.newest()!r}{world.pve.calls}"
    assert not [hidden for hidden in (secret, PASSWORD, "JBSWY3DPEHPK3PXP") if hidden in shown]


def test_of_creations_with_one_id_exactly_one_wins(world: World) -> None:
    """However many come at once (measured: 20)."""
    admin = world.admin
    statuses: list[int] = []
    threads = [Thread(target=lambda: statuses.append(world.create(admin, "t1").status_code)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 400, 500}


def test_of_regenerations_at_once_one_secret_works(world: World) -> None:
    """All are answered with 200, one of the secrets works (measured: ten at once)."""
    world.pve.add_token("svc@pve", "t1")
    admin = world.admin
    given: list[str] = []

    def regenerate() -> None:
        answer = world.ask("PUT", "/access/users/svc@pve/token/t1", admin, {"regenerate": "1"})
        given.append(answer.json()["data"]["value"])

    threads = [Thread(target=regenerate) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(world.pve.accepts("svc@pve!t1", secret) for secret in given) == 1
