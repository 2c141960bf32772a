"""What must hold, I1 to I7 of the protocol, each looked at in the act. I3 has a file of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.errors import UnavailableError
from rotator.events import Outcome, Step
from rotator.fleet import survey
from rotator.model import Credential, Request, Strategy
from rotator.observe import observe
from rotator.proxmox import ProxmoxCluster
from rotator.rotate import Result, Run
from rotator.testing import exchange as sim
from rotator.testing.consumer import Consumer
from rotator.testing.exchange import AnswerAfter, AnswerInstead, AnswerLate, Fault, HangUpAfter
from rotator.testing.faulty_backend import Altered, Operation, nth
from tests.scenario.witness import Witness, foreign, foreigners, watched
from tests.world import OVERLAP, World, comes_to_rest

FAULTS: tuple[Fault | None, ...] = (
    None,
    AnswerInstead(500, "got lock request timeout"),
    AnswerInstead(403, "Permission check failed"),
    AnswerAfter(),
    AnswerLate(),
    HangUpAfter(),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_i1_the_record_logs_in_at_every_moment_and_may_do_what_it_should(w: World, fault: Fault | None) -> None:
    """Looked at before and after each call of PVE and the store, with each changing call disturbed in turn."""
    ci = w.settled(destinations=(w.place("ci.json"), w.place("mirror.json")))
    witness = watched(w, ci)
    for method in ("POST", "PUT", "DELETE"):
        for after in range(3):
            w.clock.pass_by(ci.every)
            w.disturb(method, "/", fault, after=after)
            w.run(ci)
            w.pve.apply_late()
    w.traffic.planned.clear()
    comes_to_rest(w, ci)
    assert witness.violations == []
    assert witness.looks > 150


def test_i1_holds_for_a_consumer_that_logs_in_over_the_network(w3: World) -> None:
    """Before each request that the rotator makes, a consumer reads the record and asks a node for its version."""
    ci = w3.due()
    consumer = Consumer(w3.record, [node.url for node in w3.pve.nodes], w3.pve.ca_pem)

    def read_and_log_in(request: sim.Request) -> None:
        if request.who.startswith("rotator"):
            consumer.try_once()

    w3.traffic.watchers.append(read_and_log_in)
    for _ in range(3):
        assert w3.run(ci, forced=True).done[0] == "forced"
    assert (consumer.failed, consumer.logins > 15) == (0, True), consumer.last_failure


def test_i2_a_record_that_was_read_works_until_the_overlap_is_over(w: World) -> None:
    """A consumer that reads at the last moment before publishing, and not again for the overlap."""
    ci = w.due()
    stale: list[tuple[str, str]] = []
    w.meanwhile(Operation.WRITE, lambda: stale.append(w.record()))
    published = w.clock.now()
    w.run(ci)
    for hours in range(24):
        w.clock.pass_by(published + timedelta(hours=hours) - w.clock.now())
        w.run(ci)
        assert w.pve.accepts(*stale[0])
    w.clock.pass_by(published + OVERLAP - w.clock.now())
    assert w.pve.accepts(*stale[0])
    assert comes_to_rest(w, ci) == "ci-2"
    assert not w.pve.accepts(*stale[0])


@pytest.mark.stores("file", because="it is about the clock of PVE")
@pytest.mark.parametrize("seconds", [0.0, 0.3, 0.5, 0.999])
@pytest.mark.parametrize("offset", [0.0, -7200.4, 86400.7])
def test_i2_holds_whatever_the_clocks_say(w: World, seconds: float, offset: float) -> None:
    """PVE's clock alone counts, at any fraction of a second; ours may be hours away."""
    w.pve.clock_offset = offset
    ci = w.due()
    w.clock.sleep(seconds)
    stale = w.record()
    w.run(ci)
    w.clock.pass_by(OVERLAP)
    assert w.pve.accepts(*stale)
    w.clock.pass_by(timedelta(seconds=3))
    assert not w.pve.accepts(*stale)


def test_i2_holds_for_a_consumer_of_a_mirror_that_was_written_late(w: World) -> None:
    """The overlap begins when the last destination has changed."""
    ci = w.due(destinations=(w.place("ci.json"), w.place("mirror.json")))
    w.lock_up("mirror.json")
    w.run(ci)
    w.clock.pass_by(timedelta(days=3))
    stale = w.record("mirror.json")
    w.spoil()
    w.run(ci)
    w.clock.pass_by(OVERLAP)
    assert w.pve.accepts(*stale)


def race(w: World, ci: Credential, rotators: int, clusters: list[ProxmoxCluster]) -> list[Result]:
    """Let several rotators run at the same time, each with a connection of its own."""
    start, results = threading.Barrier(rotators), []

    def run(cluster: ProxmoxCluster) -> None:
        start.wait()
        results.append(Run(ci, w.ports(cluster), Request()).until_rest())

    threads = [threading.Thread(target=run, args=(cluster,)) for cluster in clusters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize(("rotators", "rounds", "places"), [(2, 30, 1), (3, 30, 1), (3, 10, 3)])
def test_i4_of_racing_rotators_one_publishes_in_each_round(w: World, rotators: int, rounds: int, places: int) -> None:
    """Losers leave nothing behind, and the record works all the time; with mirrors, those follow."""
    files = ["ci.json", "second.json", "third.json"][:places]
    ci = w.settled(destinations=tuple(w.place(name) for name in files))
    witness = watched(w, ci)
    clusters = [w.connect() for _ in range(rotators)]
    for _ in range(rounds):
        w.clock.pass_by(ci.every)
        old = w.published()
        w.events.clear()
        results = race(w, ci, rotators, clusters)
        assert [it.message for it in results if it.exit_code not in {0, 6}] == []
        published = [event.token for event in w.events if (event.step, event.outcome) == (Step.PUBLISH, Outcome.DONE)]
        assert published == [w.read()["token_id"]]
        assert {w.published(name) for name in files} == {w.published()}
        assert w.standing() == {old: "marked, ends in 1d", w.published(): "marked"}
    assert witness.violations == []


def test_i5_a_retiring_token_ends_with_the_overlap_after_publishing(w: World) -> None:
    """No later, and PVE enforces it."""
    ci = w.due()
    old = w.read()["token_id"]
    w.run(ci)
    published = next(event.at for event in w.events if (event.step, event.outcome) == (Step.PUBLISH, Outcome.DONE))
    expire = int(str((w.pve.token(old) or {})["expire"]))
    assert 0 <= expire - (published + OVERLAP).timestamp() <= 2


def test_i5_failing_rotations_never_put_an_end_off(w: World) -> None:
    """Each way in which rotation N+1 can fail leaves the end of N-1 where it is; the witness looks at every call."""
    ci = w.settled()
    w.run(ci, forced=True)
    end = w.pve.token(f"ci@pve!{w.tokens()[0]}")
    witness = watched(w, ci)
    for method, text in (("POST", "/token/"), ("PUT", "/acl"), ("PUT", "/token/"), ("GET", "/version")):
        for fault in FAULTS[1:]:
            w.disturb(method, text, fault, times=2)
            w.run(ci, forced=True)
            w.pve.apply_late()
            assert w.pve.token(f"ci@pve!{w.tokens()[0]}") == end
    assert witness.violations == []


def losing(w: World, ci: Credential) -> None:
    """Lose the publish to somebody."""
    w.meanwhile(Operation.WRITE, lambda: w.replace_record(11))
    w.run(ci, forced=True)


def dead(w: World, ci: Credential) -> None:
    """Find the published token gone."""
    w.pve.delete_token(w.read()["token_id"])
    w.run(ci)


RUNS: dict[str, Callable[[World, Credential], object]] = {
    "due": lambda w, ci: w.run(ci),
    "forced": lambda w, ci: w.run(ci, forced=True),
    "compromised": lambda w, ci: w.run(ci, forced=True, compromised=True),
    "without overlap": lambda w, ci: w.run(ci, forced=True, overlap=timedelta()),
    "adopting": lambda w, ci: w.run(replace(ci, adopt=True), forced=True),
    "losing": losing,
    "dead": dead,
}


@pytest.mark.parametrize("what", RUNS)
def test_i6_what_we_did_not_make_is_never_touched(w: World, what: str) -> None:
    """Tokens made by hand, of another owner, of another credential, and names that look like ours; and foreign keys."""
    ci = w.due()
    before = foreigners(w)
    ours = set(w.read()["token_id"].split())
    RUNS[what](w, ci)
    for pause in (timedelta(minutes=11), OVERLAP, timedelta(minutes=1), ci.every):
        w.clock.pass_by(pause)
        w.spoil()
        w.run(ci)
    after = foreign(w)
    assert {name: after.get(name) for name in before if name not in ours} == {
        name: token for name, token in before.items() if name not in ours
    }
    assert (w.read()["note"], w.read("other.json")["note"]) == ("by hand", "by hand")
    assert w.published().startswith("ci-1")


def test_i6_an_empty_destination_lets_nobody_take_tokens_for_its_own(w: World) -> None:
    """Without a record every token of our form is looked at, and those of others are still not ours."""
    before = foreigners(w)
    assert w.run(w.credential()).done == ("first-issue",)
    w.clock.pass_by(timedelta(days=3))
    w.run(w.credential())
    after = foreign(w)
    assert {name: after[name] for name in before} == before
    assert w.published() == "ci-10"


def test_i6_a_pinned_credential_touches_its_one_token_only(w: World) -> None:
    """Regenerating finds nothing to retire, revoke or call an orphan."""
    ci = w.due(name="pin", strategy=Strategy.REGENERATE, overlap=timedelta())
    w.write({"note": "by hand"})
    before = foreigners(w)
    assert w.run(ci).done == ("due",)
    assert w.run(ci, forced=True, compromised=True).done == ("forced",)
    after = foreign(w)
    assert {name for name in before if before[name] != after.get(name)} == {"ci@pve!pin"}


def test_i7_no_secret_is_told_by_anything_that_a_run_gives_out(w: World) -> None:
    """Events, results, plans, observations and errors, of runs that work and of runs that fail in every way."""
    known: set[str] = {w.operator.secret.reveal()}
    w.watch = known.add
    ci = w.due(destinations=(w.place("ci.json"), w.place("mirror.json")))
    given: list[object] = [w.run(ci), w.run(ci, forced=True)]
    w.spoil(Altered(nth(Operation.READ, 3), lambda stored: stored and replace(stored, fields={})))
    given.append(w.run(ci, forced=True))
    w.fail_store(Operation.WRITE, UnavailableError("away"))
    given.append(w.run(ci, forced=True))
    for fault in FAULTS[1:]:
        w.disturb("POST", "/token/", fault, times=2)
        given.append(w.run(ci, forced=True))
    w.spoil()
    given += [survey(w.fleet(), [ci], Request(overlap=OVERLAP)), observe(ci, w.cluster, w.backends, None)]
    known |= {str(w.read()["token_secret"])}
    told = repr((given, w.events, w.cluster, w.store, w.ports(), w.operator))
    assert len(known) >= 8
    assert [secret for secret in known if secret in told] == []


@pytest.mark.stores("file", because="it is about files")
def test_i7_no_secret_stands_in_a_file_outside_the_backends(w: World) -> None:
    """The folder holds the records, their locks and the certificate authority; the secret is in the records alone."""
    w.run(w.due(destinations=(w.place("ci.json"), w.place("mirror.json"))))
    secret = w.read()["token_secret"]
    holding = {path.name for path in w.folder.rglob("*") if path.is_file() and secret in path.read_text()}
    assert holding == {"ci.json", "mirror.json"}


def test_a_witness_sees_what_goes_wrong(w: World) -> None:
    """The looks above prove something: each kind of violation is planted, and seen."""
    ci = w.settled()
    old = w.read()
    w.run(ci, forced=True)
    witness = Witness(w, ci, w.pve.permissions(w.read()["token_id"]))
    w.cluster.users()
    w.write({**old, "token_id": "ci@pve!ci-0-aaaaa"})
    w.cluster.users()
    w.set_token(old["token_id"], expire=0)
    w.run(ci)
    kinds = {violation[:2] for violation in witness.violations}
    assert kinds >= {"I1", "I5"}
