"""What the consumers will read is proved for every destination, whether anything is due or not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.errors import ExitCode, UnavailableError
from rotator.fleet import Lane, rotate
from rotator.model import Credential, Grant, Probe, Request
from rotator.testing.exchange import AnswerInstead
from rotator.testing.exchange import Request as Asked
from rotator.testing.faulty_backend import Operation
from rotator.verify_stored import Proof, prove
from tests.world import OVERLAP, World

DEAD = "00000000-0000-0000-0000-000000000000"


def proofs(w: World, credential: Credential) -> list[Proof]:
    """Prove a credential and make sure that nothing was changed by it."""
    w.forget()
    found = prove(Lane(w.cluster, w.cluster.users(), w.fleet()), credential)
    assert w.changes() == []
    assert {call for call, _ in w.store.calls} == {"read"}
    return found


def only(w: World, credential: Credential) -> tuple[int, str]:
    """Prove a credential with one destination."""
    (proof,) = proofs(w, credential)
    return int(proof.exit_code), proof.message


def test_records_that_work_are_proved_on_every_endpoint(w3: World) -> None:
    """Each destination is logged in with, on each node."""
    ci = w3.settled(destinations=(w3.place("ci.json"), w3.place("mirror.json")))
    found = proofs(w3, ci)
    assert [(it.exit_code, it.message, it.token) for it in found] == [
        (0, "works on every endpoint", "ci@pve!ci-1-10000")
    ] * 2
    assert [it.destination for it in found] == [it.label for it in ci.destinations]
    logins = [call.node for call in w3.pve.calls if call.path == "/version" and call.who.startswith("ci@pve")]
    assert sorted(logins) == ["pve1", "pve1", "pve2", "pve2", "pve3", "pve3"]


def test_a_record_whose_token_is_dead_locks_its_consumers_out(w: World) -> None:
    """Also when PVE's list and the marks say that all is well."""
    ci = w.settled()
    w.write({**w.read(), "token_secret": DEAD})
    assert w.run(ci).reason == "up-to-date"
    (proof,) = proofs(w, ci)
    assert proof.exit_code == ExitCode.LOCKED_OUT
    assert proof.message.startswith("does not log in: ")
    assert proof.hint.startswith("replace it: rotate now ci")


def emptied(w: World) -> Credential:
    """Let a person take the token out of a record."""
    ci = w.settled()
    w.write({"note": "by hand"})
    return ci


def restored(w: World) -> Credential:
    """Let PVE forget the last rotation, as a backup does."""
    ci = w.settled()
    before = w.pve.cluster.newest()
    w.run(ci, forced=True)
    w.pve.cluster.plant(lambda _: before)
    return ci


def extended(w: World) -> Credential:
    """Give a credential one more destination."""
    ci = w.settled()
    return replace(ci, destinations=(*ci.destinations, w.place("mirror.json")))


@pytest.mark.parametrize("change", [emptied, restored, extended])
def test_what_changed_in_a_store_alone_is_found_by_reading_it(w: World, change: Callable[[World], Credential]) -> None:
    """PVE's list says that all is well, and more is not asked every few minutes; asked for by name it is mended."""
    ci = change(w)
    (result,) = rotate(w.fleet(), [ci])
    assert (result.reason, result.done) == ("up-to-date", ())
    assert ExitCode.LOCKED_OUT in [it.exit_code for it in proofs(w, ci)]
    (mended,) = rotate(w.fleet(), [ci], Request(forced=True))
    assert mended.exit_code == ExitCode.DONE
    assert {it.exit_code for it in proofs(w, ci)} == {ExitCode.DONE}


def test_an_older_record_that_was_put_back_in_the_overlap_is_replaced_by_the_run_after_its_end(w: World) -> None:
    """PVE's list says nothing of it before; whoever reads it is locked out for as long as that run takes to come."""
    ci = w.settled()
    backup = w.read()
    w.run(ci, forced=True)
    w.write(backup)
    w.clock.pass_by(OVERLAP / 2)
    assert rotate(w.fleet(), [ci])[0].reason == "up-to-date"
    assert (w.works(), w.published()) == (True, "ci-1")
    w.clock.pass_by(OVERLAP)
    assert not w.works()
    assert rotate(w.fleet(), [ci])[0].done[0] == "published-token-dead"
    assert (w.works(), w.published()) == (True, "ci-3")


@pytest.mark.parametrize(("rotations", "token"), [(1, "ci@pve!ci-2-10001"), (2, "ci@pve!ci-3-10002")])
def test_a_record_that_was_replaced_while_it_was_tried_is_looked_at_again(w: World, rotations: int, token: str) -> None:
    """A rotation without overlap ends what was read: whoever reads now is well, and nobody is locked out."""
    ci, other, left, busy = w.settled(), w.connect(), [None] * rotations, threading.Lock()

    def overtake(request: Asked) -> None:
        if request.path == "/version" and left and busy.acquire(blocking=False):
            left.pop()
            done = w.run(ci, forced=True, overlap=timedelta(), ports=w.ports(other)).done
            busy.release()
            assert done == ("forced",)

    w.traffic.watchers.append(overtake)
    (proof,) = prove(Lane(w.cluster, w.cluster.users(), w.fleet()), ci)
    assert (proof.exit_code, proof.message, proof.token) == (0, "works on every endpoint", token)


def test_an_operator_that_is_refused_says_nothing_of_the_token(w: World) -> None:
    """The consumers' record is not blamed for what the rotator may not read."""
    ci = w.settled()
    w.pve.intercept = lambda asked: AnswerInstead(403, "no") if asked.path.startswith("/access/roles") else None
    code, message = only(w, ci)
    assert code == ExitCode.FAILED
    assert message.startswith("cannot be judged: GET /access/roles/PVEVMUser")


def test_a_probe_that_is_refused_locks_its_consumers_out(w: World) -> None:
    """What the consumer needs to do is tried, not only whether it logs in."""
    ci = replace(w.settled(), probes=(Probe("/nodes"), Probe("/cluster/status")))
    code, message = only(w, ci)
    assert code == ExitCode.LOCKED_OUT
    assert message.startswith("logs in; GET /cluster/status")


def test_a_record_that_is_missing_locks_its_consumers_out(w: World) -> None:
    """They read nothing."""
    (proof,) = proofs(w, w.credential())
    assert (proof.exit_code, proof.message, proof.token) == (ExitCode.LOCKED_OUT, "holds no token", "")
    assert proof.hint == "issue the first: rotate now ci"


def test_a_paused_credential_that_never_had_a_token_locks_nobody_out(w: World) -> None:
    """It was configured for later: a monitor that asks for exit code 5 has nothing to cry about."""
    ci = replace(w.credential(destinations=(w.place("ci.json"), w.place("mirror.json"))), paused=True)
    found = [(it.exit_code, it.message, it.hint) for it in proofs(w, ci)]
    assert found == [(ExitCode.DONE, "holds no token: paused before the first was issued", "")] * 2


@pytest.mark.parametrize("is_known", [True, False])
def test_a_paused_credential_whose_record_is_lost_locks_its_consumers_out(w: World, *, is_known: bool) -> None:
    """Its token is at PVE, or PVE's list is not known: somebody may be reading in vain."""
    ci = replace(w.settled() if is_known else w.credential(), paused=True)
    w.records.wipe()
    (proof,) = prove(Lane(w.cluster, w.cluster.users() if is_known else {}, w.fleet()), ci)
    assert (proof.exit_code, proof.message) == (ExitCode.LOCKED_OUT, "holds no token")


def test_a_paused_credential_whose_mirror_alone_holds_a_token_locks_consumers_out(w: World) -> None:
    """Somebody was served once."""
    ci = w.credential(destinations=(w.place("ci.json"), w.place("mirror.json")))
    w.write({"token_id": "ci@pve!hand", "token_secret": w.pve.add_token("ci@pve", "hand")}, "mirror.json")
    primary, _ = proofs(w, replace(ci, paused=True))
    assert primary.exit_code == ExitCode.LOCKED_OUT


def test_a_mirror_that_holds_an_old_token_that_still_works_is_a_failure(w: World) -> None:
    """Its consumers are well until the overlap is over."""
    ci = w.settled(destinations=(w.place("ci.json"), w.place("mirror.json")))
    old = w.read()
    w.run(ci, forced=True)
    w.write(old, "mirror.json")
    primary, mirror = proofs(w, ci)
    assert (primary.exit_code, mirror.exit_code) == (0, ExitCode.FAILED)
    assert (mirror.message, mirror.hint) == ("works, but is not what the primary holds", "finish it: rotate due")


def test_a_mirror_that_holds_a_dead_token_locks_its_consumers_out(w: World) -> None:
    """The primary being well does not help them."""
    ci = w.settled(destinations=(w.place("ci.json"), w.place("mirror.json")))
    w.write({**w.read(), "token_secret": DEAD}, "mirror.json")
    assert [it.exit_code for it in proofs(w, ci)] == [0, ExitCode.LOCKED_OUT]


def test_a_store_that_cannot_be_read_proves_nothing(w: World) -> None:
    """Neither that it works nor that it does not."""
    ci = w.settled()
    w.fail_store(Operation.READ, UnavailableError("sealed", hint="unseal it"))
    (proof,) = prove(Lane(w.cluster, w.cluster.users(), w.fleet()), ci)
    assert (proof.exit_code, proof.hint) == (ExitCode.FAILED, "unseal it")
    assert proof.message == f"{ci.primary.label}: sealed"


def test_a_record_that_makes_no_sense_is_told(w: World) -> None:
    """It was read; what it is meant to be nobody knows."""
    w.write({"token_id": "ci@pve!ci"})
    (proof,) = proofs(w, w.credential())
    assert proof.exit_code == ExitCode.FAILED
    assert "holds something that is no token" in proof.message


def test_a_node_that_is_down_is_named(w3: World) -> None:
    """What works elsewhere works."""
    ci = w3.settled()
    w3.pve.nodes[2].down = True
    assert only(w3, ci) == (0, f"works; no answer from {w3.pve.nodes[2].endpoint}")


def test_a_node_that_refuses_is_enough_to_lock_somebody_out(w3: World) -> None:
    """A consumer of that node fails."""
    w3.pve.nodes[2].quorate = False
    ci = w3.credential()
    token = w3.plant(1, published=True)
    w3.put(token)
    code, message = only(w3, ci)
    assert code == ExitCode.LOCKED_OUT
    assert w3.pve.nodes[2].endpoint in message


def test_a_cluster_that_answers_nobody_proves_nothing(w: World) -> None:
    """The token may be well."""
    ci = w.settled()
    w.disturb("GET", "/version", AnswerInstead(595, "no daemon"), times=9)
    code, message = only(w, ci)
    assert code == ExitCode.FAILED
    where = w.pve.nodes[0].endpoint
    assert message.startswith(f"cannot be tried: no endpoint of cluster home answers: GET /version at {where}")


@pytest.mark.parametrize("roles", [("PVEVMUser",), ("PVEVMUser", "PVEVMAdmin"), ("PVEVMAdmin", "PVEVMUser")])
def test_a_token_that_lost_permissions_logs_in_and_is_of_no_use(w: World, roles: tuple[str, ...]) -> None:
    """`/version` proves the secret and nothing else (measured), so the grants are looked at, each of them."""
    ci = w.settled(grants=tuple(Grant("/vms", role) for role in roles))
    w.ungrant("/vms", "PVEVMAdmin", user="ci@pve")
    if len(roles) > 1:
        w.pve.grant("/vms", "PVEVMUser", user="ci@pve")
    code, message = only(w, ci)
    assert code == ExitCode.LOCKED_OUT
    assert message.startswith("logs in; granted, but not effective: ")


def test_a_token_without_privilege_separation_is_compared_with_its_user(w: World) -> None:
    """Somebody has set the flag on the token by hand."""
    ci = w.settled(privsep=False, grants=None)
    assert only(w, ci)[0] == 0
    w.set_token(w.read()["token_id"], privsep=True)
    code, message = only(w, ci)
    assert code == ExitCode.LOCKED_OUT
    assert message.startswith("logs in; its permissions are not those of ci@pve: lacks ")


def test_without_sight_of_others_permissions_there_is_nothing_to_compare_with(w: World) -> None:
    """The operator lacks Sys.Audit on /access; that is no fault of the token."""
    ci = w.settled(privsep=False, grants=None)
    w.ungrant("/access", "Auditor", user="rotator@pve")
    assert only(w, ci) == (0, "works on every endpoint")
