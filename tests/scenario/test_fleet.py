"""Many credentials at once: one list call for each cluster, one time-out for a dead one, the operator last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import ConfigError, ExitCode, UnavailableError
from rotator.fleet import Fleet, gravest, rotate, survey
from rotator.model import Credential, Grant, Request, Secret, Token, TokenId
from rotator.proxmox import ProxmoxCluster
from rotator.pve import Pve
from rotator.testing.exchange import HangUpBefore
from rotator.testing.exchange import Request as Asked
from rotator.testing.faulty_backend import Operation
from tests.stores import Place
from tests.world import World, reasons, world

NAMES = ("home", "office", "lab")


@pytest.fixture
def worlds(tmp_path: Path, place: Place, watch: Callable[[str], None]) -> Iterator[dict[str, World]]:
    """Return three clusters, each with a place for its records."""
    with ExitStack() as stack:
        made = {}
        for name in NAMES:
            folder = tmp_path / name
            folder.mkdir(mode=0o700)
            made[name] = stack.enter_context(world(folder, records=place(folder), watch=watch))
        yield made


def fleet_of(worlds: dict[str, World], parallel: int = 8) -> Fleet:
    """Make a fleet of several clusters; each keeps its connection."""
    first = worlds["home"]
    backends = {name: each.store for name, each in worlds.items()}
    return Fleet(lambda name: worlds[name].cluster, backends, first.clock, first.events.append, first.draw, parallel)


def credentials_of(worlds: dict[str, World], count: int) -> list[Credential]:
    """Make so many credentials, spread over the clusters one after the other."""
    found = []
    for number in range(count):
        cluster = NAMES[number % 3]
        each = worlds[cluster]
        each.backends[cluster] = each.store
        name = f"c{number}"
        place = each.place(f"{name}.json", cluster)
        found.append(each.credential(name, cluster=cluster, destinations=(place,), privsep=False, grants=None))
    return found


def test_with_nothing_due_three_clusters_cost_three_calls(worlds: dict[str, World]) -> None:
    """Names, comments and deadlines of forty credentials are all in one list for each cluster; no store is asked."""
    fleet, credentials = fleet_of(worlds), credentials_of(worlds, 40)
    results = rotate(fleet, credentials)
    assert {(result.reason, result.done) for result in results} == {("up-to-date", ("first-issue",))}
    assert all(each.works(f"c{number}.json") for number, each in enumerate([*worlds.values()] * 13))
    for each in worlds.values():
        each.forget()
    results = rotate(fleet, credentials)
    assert [result.credential for result in results] == [credential.name for credential in credentials]
    assert {(result.exit_code, result.reason, result.done) for result in results} == {(0, "up-to-date", ())}
    assert all(result.until and result.token for result in results)
    assert [[call.path for call in each.pve.calls] for each in worlds.values()] == [["/access/users"]] * 3
    assert [each.store.calls for each in worlds.values()] == [[], [], []]


def test_a_survey_of_what_needs_nothing_is_as_cheap(worlds: dict[str, World]) -> None:
    """And a closer look is taken only where something is to do, which changes nothing."""
    fleet, credentials = fleet_of(worlds), credentials_of(worlds, 6)
    rotate(fleet, credentials)
    worlds["lab"].pve.delete_token(worlds["lab"].read("c2.json")["token_id"])
    for each in worlds.values():
        each.forget()
    surveys = survey(fleet, credentials)
    found = [it.plan.finding.reason for it in surveys if it.plan]
    assert found == ["up-to-date", "up-to-date", "published-token-dead", "up-to-date", "up-to-date", "up-to-date"]
    assert [it.seen is None for it in surveys] == [True, True, False, True, True, True]
    assert [each.changes() for each in worlds.values()] == [[], [], []]
    assert [each.store.calls for each in worlds.values()][:2] == [[], []]


def test_a_dead_cluster_costs_one_attempt_and_the_others_go_on(worlds: dict[str, World]) -> None:
    """Not one for each of its credentials; the results stand in the order of the configuration."""
    fleet, credentials = fleet_of(worlds), credentials_of(worlds, 12)
    worlds["office"].disturb("GET", "/", HangUpBefore(), times=999)
    results = rotate(fleet, credentials)
    assert reasons(results) == ["up-to-date", "cluster-unreachable", "up-to-date"] * 4
    assert [result.credential for result in results] == [f"c{number}" for number in range(12)]
    dead = results[1]
    assert (dead.exit_code, dead.live, dead.cluster) == (ExitCode.FAILED, "nothing was touched", "office")
    assert "the connection broke before the answer was whole" in dead.message
    assert len(worlds["office"].pve.calls) == 1
    worlds["office"].traffic.planned.clear()
    assert {result.reason for result in rotate(fleet, credentials)} == {"up-to-date"}


def test_a_cluster_that_dies_in_the_middle_is_asked_no_more(worlds: dict[str, World]) -> None:
    """The list was answered, then nothing: one credential finds out, the others of that lane are told."""
    fleet, credentials = fleet_of(worlds, parallel=3), credentials_of(worlds, 12)
    worlds["office"].disturb("GET", "/", HangUpBefore(), times=999, after=1)
    worlds["office"].disturb("POST", "/", HangUpBefore(), times=999)
    results = rotate(fleet, credentials)
    assert reasons(results) == ["up-to-date", "cluster-unreachable", "up-to-date"] * 4
    assert len({result.message for result in results if result.cluster == "office"}) == 1
    assert len([call for call in worlds["office"].pve.calls if call.status == 0]) <= 2


def test_a_cluster_that_dies_before_it_has_told_the_time_is_a_result(worlds: dict[str, World]) -> None:
    """Its list was long on its way, so it is asked for the time, and does not answer: no bug, and the others go on."""
    fleet, credentials = fleet_of(worlds), credentials_of(worlds, 6)
    rotate(fleet, credentials)
    office = worlds["office"]

    def be_slow(asked: Asked) -> None:
        if asked.path == "/access/users":
            office.clock.pass_by(timedelta(seconds=15))

    office.traffic.watchers.append(be_slow)
    office.disturb("GET", "/version", HangUpBefore(), times=999)
    anew = office.connect(name="office")
    fleet = replace(fleet, open_cluster=lambda name: anew if name == "office" else worlds[name].cluster)
    assert reasons(rotate(fleet, credentials)) == ["up-to-date", "cluster-unreachable", "up-to-date"] * 2
    assert [bool(it.error) for it in survey(fleet, credentials)] == [False, True, False] * 2


def test_a_cluster_that_cannot_be_opened_is_a_result(worlds: dict[str, World]) -> None:
    """Its operator cannot be read, or its settings are wrong; the others go on."""

    def opened(name: str) -> Pve:
        if name == "office":
            raise ConfigError("office has no operator", hint="give one")
        return worlds[name].cluster

    fleet = replace(fleet_of(worlds), open_cluster=opened)
    results = rotate(fleet, credentials_of(worlds, 3))
    assert [int(result.exit_code) for result in results] == [0, 3, 0]
    assert (results[1].message, results[1].hint) == ("office has no operator", "give one")
    assert survey(fleet, credentials_of(worlds, 3))[1].exit_code == ExitCode.CONFIG


def test_one_credential_that_fails_keeps_nobody_from_its_work(worlds: dict[str, World]) -> None:
    """Each is a unit of work of its own; the gravest exit code is what a script sees."""
    fleet, credentials = fleet_of(worlds), credentials_of(worlds, 9)
    worlds["lab"].fail_store(Operation.PREFLIGHT, UnavailableError("away"), name="c5.json")
    results = rotate(fleet, credentials)
    assert [result.credential for result in results if result.exit_code] == ["c5"]
    assert gravest(result.exit_code for result in results) == ExitCode.FAILED


def test_what_is_asked_for_is_done_to_all(worlds: dict[str, World]) -> None:
    """`rotate now --all` looks at each of them, due or not."""
    fleet, credentials = fleet_of(worlds), credentials_of(worlds, 6)
    rotate(fleet, credentials)
    results = rotate(fleet, credentials, Request(forced=True))
    assert {result.done for result in results} == {("forced",)}
    assert [len(each.tokens()) for each in worlds.values()] == [4, 4, 4]


def test_nothing_to_do_for_nobody_is_fine(worlds: dict[str, World]) -> None:
    """An empty list of credentials contacts nobody."""
    assert rotate(fleet_of(worlds), []) == []
    assert gravest([]) == ExitCode.DONE


def test_a_paused_credential_is_left_out_of_the_lane(worlds: dict[str, World]) -> None:
    """The list says enough of it."""
    fleet, credentials = fleet_of(worlds), credentials_of(worlds, 3)
    results = rotate(fleet, [replace(credential, paused=True) for credential in credentials])
    assert reasons(results) == ["paused"] * 3
    assert [each.tokens() for each in worlds.values()] == [[], [], []]


# The operator's own token.


def operated(w: World) -> tuple[Credential, Callable[[], Token]]:
    """Let the operator manage itself, its token in a record; return its credential and where it is read from."""
    w.pve.grant("/access/groups/rotated", "TokenRotator", group="rotated")
    w.join("rotator@pve", "rotated")
    w.put(w.operator, "operator.json")
    ci = w.credential(
        "op",
        userid="rotator@pve",
        destinations=(w.place("operator.json"),),
        privsep=False,
        grants=None,
        adopt=True,
        is_operator=True,
    )

    def read() -> Token:
        token, secret = w.record("operator.json")
        return Token(TokenId.parse(token), Secret(secret))

    return ci, read


def test_the_operator_is_handled_last_and_its_successor_retires_it(w: World) -> None:
    """Issue and verify with the old one, publish, switch, and let the new one end the old one."""
    own, source = operated(w)
    cluster = w.connect(source)
    results = rotate(w.fleet(lambda _: cluster), [own, w.credential()])
    assert [(result.credential, result.done) for result in results] == [("op", ("adopt",)), ("ci", ("first-issue",))]
    changes = [(call.who, call.method, call.path.rpartition("/")[2]) for call in w.pve.calls if call.method != "GET"]
    assert changes[:2] == [("rotator@pve!operator", "POST", "ci-1-10000"), ("rotator@pve!operator", "PUT", "acl")]
    new = w.read("operator.json")["token_id"]
    assert changes[-3:] == [
        ("rotator@pve!operator", "POST", new.rpartition("!")[2]),
        (new, "PUT", "operator"),
        (new, "PUT", new.rpartition("!")[2]),
    ]
    assert int(str((w.pve.token("rotator@pve!operator") or {})["expire"])) > w.pve.now()


def test_a_successor_of_the_operator_that_may_not_manage_tokens_is_not_published(w: World) -> None:
    """It is tried on its own user before anything depends on it."""
    own, source = operated(w)
    cluster = w.connect(source)
    weak = replace(own, privsep=True, grants=(Grant("/vms", "Granter"),))
    result = rotate(w.fleet(lambda _: cluster), [weak])[0]
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "adopt")
    assert "/access/users/rotator@pve/token" in result.message
    assert w.read("operator.json")["token_id"] == "rotator@pve!operator"
    assert w.pve.tokens("rotator@pve") == ["operator"]


def test_a_service_whose_operator_was_replaced_reads_it_once_more(w: World) -> None:
    """Another rotator has replaced it and the overlap is over: 401, then the record, then all goes on."""
    own, source = operated(w)
    reads: list[str] = []

    def counted() -> Token:
        reads.append(w.read("operator.json")["token_id"])
        return source()

    service, other = w.connect(counted), w.connect(source)
    service.users()
    assert rotate(w.fleet(lambda _: other), [own])[0].done == ("adopt",)
    w.clock.pass_by(timedelta(days=2))
    assert rotate(w.fleet(lambda _: other), [own])[0].done == ("overlap-passed",)
    result = rotate(w.fleet(lambda _: service), [w.credential()])[0]
    assert (result.exit_code, result.done) == (0, ("first-issue",))
    assert (len(reads), sum(call.status == 401 for call in w.pve.calls)) == (2, 1)


def test_an_operator_that_nobody_accepts_is_an_error_after_one_more_look(w: World) -> None:
    """The record holds the same token still, so there is nothing to try."""
    _, source = operated(w)
    w.pve.delete_token("rotator@pve!operator")
    cluster: ProxmoxCluster = w.connect(source)
    results = rotate(w.fleet(lambda _: cluster), [w.credential(), w.credential("other")])
    assert reasons(results) == ["operator-unusable"] * 2
    assert "PVE does not accept the operator" in results[0].hint
    assert sum(call.status == 401 for call in w.pve.calls) == 1
