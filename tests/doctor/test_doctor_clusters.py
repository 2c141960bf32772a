"""What ails nodes, operators and stores: made on a simulated PVE, named by ``rotate doctor``, and nothing else."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest
import yaml

from rotator.doctor import store_checks
from rotator.doctor.evidence import StoreSeen, Trouble
from rotator.doctor.finding import Diagnosis, Kind
from rotator.doctor.gather import store_trouble
from rotator.errors import RefusedError, RotatorError, UnavailableError
from rotator.testing.pve import AnswerInstead, Fault, Request, SimulatedPve
from rotator.testing.state import Holder, Token
from tests.cli.lab import USER, only
from tests.doctor.clinic import GROUP, OPERATOR, PASSWORD, Clinic, codes_of

Harm = Callable[[Clinic], None]
LOOKER = Holder("user", OPERATOR)


def certificate_changed(clinic: Clinic) -> None:
    """Renew it; the old one is pinned."""
    clinic.write()
    clinic.pve.renew_certificate()


def certificate_untrusted(clinic: Clinic) -> None:
    """Trust the system's authorities, which have not signed it."""
    whole = yaml.safe_load(clinic.config.read_text())
    del whole["clusters"]["one"]["tls"]
    clinic.config.write_text(yaml.safe_dump(whole))


def connection_refused(clinic: Clinic) -> None:
    """Take the only node down."""
    clinic.pve.nodes[0].down = True


def name_unresolved(clinic: Clinic) -> None:
    """Write a name that nobody knows."""
    text = clinic.config.read_text()
    clinic.config.write_text(text.replace(clinic.pve.nodes[0].endpoint, "pve.invalid:8006"))


def daemon_down(clinic: Clinic) -> None:
    """Let pvedaemon refuse connections; pveproxy goes on by itself."""
    clinic.pve.intercept = protected(AnswerInstead(595, "Connection refused"))


def daemon_slow(clinic: Clinic) -> None:
    """Let pvedaemon hang."""
    clinic.pve.intercept = protected(AnswerInstead(596, ""))


def not_pve(clinic: Clinic) -> None:
    """Let something else answer, with TLS and the same certificate: a proxy."""
    clinic.pve.intercept = lambda _request: AnswerInstead(404, "Not Found")


def clock_skew(clinic: Clinic) -> None:
    """Set PVE's clock ahead."""
    clinic.pve.clock_offset = 90.0


def protected(fault: Fault) -> Callable[[Request], Fault | None]:
    """Disturb what pveproxy leaves to its daemon."""
    return lambda request: fault if request.path in {"/access/users", "/cluster/status"} else None


NODES: list[tuple[Harm, str]] = [
    (certificate_changed, "certificate-changed"),
    (certificate_untrusted, "certificate-untrusted"),
    (connection_refused, "connection-refused"),
    (name_unresolved, "name-unresolved"),
    (daemon_down, "daemon-down"),
    (daemon_slow, "daemon-slow"),
    (not_pve, "wrong-port"),
    (clock_skew, "clock-skew"),
]


@pytest.mark.parametrize(("harm", "code"), NODES, ids=[code for _, code in NODES])
def test_what_ails_the_only_node_is_named_and_nothing_else(clinic: Clinic, harm: Harm, code: str) -> None:
    """Where PVE cannot be asked, nothing is guessed of operator and credential: it is said to be unknown."""
    harm(clinic)
    results = clinic.doctor()
    assert codes_of(results) == [f"cluster: {code}"]
    assert max(it["exit_code"] for it in results) == 4
    is_asked = code == "clock-skew"
    assert (results[-1]["unknown"] == []) is is_asked


def test_a_changed_certificate_is_shown_with_the_new_fingerprint(clinic: Clinic) -> None:
    """To be compared with what the node itself shows."""
    certificate_changed(clinic)
    found = only(clinic.doctor()[0]["findings"])
    assert any(clinic.pve.fingerprint in command for command in found["commands"])


@pytest.mark.parametrize("answers", [False, True], ids=["nobody listens", "another service answers"])
def test_the_only_node_at_a_wrong_port_is_found_at_the_usual_one(clinic: Clinic, *, answers: bool) -> None:
    """On Linux each address of 127.0.0.0/8 is this machine, so the usual port is free on one that nobody has."""
    number = os.getpid()
    host = f"127.{number >> 16 & 0x3F | 0x40}.{number >> 8 & 0xFF}.{number & 0xFF}"
    text = clinic.config.read_text()
    was, other = clinic.pve.nodes[0].endpoint, SimulatedPve()
    clinic.pve.close()
    clinic.pve.start((host, 8006))
    other.start((host, 0))
    with closing(other):
        clinic.config.write_text(text.replace(was, other.nodes[0].endpoint if answers else f"{host}:8007"))
        results = clinic.doctor()
    assert codes_of(results) == ["cluster: wrong-port"]
    assert only(results[0]["findings"])["evidence"][1] == f"PVE's API answers at {host}:8006"


def test_a_wrong_port_is_told_where_the_same_host_answers_on_another(trio: Clinic) -> None:
    """The tests' nodes share a host."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        free = taken.getsockname()[1]
    text = trio.config.read_text()
    trio.config.write_text(text.replace(trio.pve.nodes[1].endpoint, f"127.0.0.1:{free}"))
    results = trio.doctor()
    assert codes_of(results) == ["cluster: wrong-port"]
    assert only(results[0]["findings"])["commands"][-1] == f"write {trio.pve.nodes[0].endpoint}"


def no_quorum(clinic: Clinic) -> None:
    """Cut a node off, and let the others learn something since."""
    clinic.pve.nodes[1].quorate = False
    clinic.pve.add_user("new@pve", groups=[GROUP])


def one_clock(clinic: Clinic) -> None:
    """Set one node's clock back."""
    clinic.pve.nodes[1].clock_offset = -45.0


def one_down(clinic: Clinic) -> None:
    """Take one node down, which has a host of its own."""
    clinic.config.write_text(clinic.config.read_text().replace(clinic.pve.nodes[1].endpoint, second(clinic)))
    clinic.pve.nodes[1].down = True


def second(clinic: Clinic) -> str:
    """Return the address of the second node under another name of its host."""
    return clinic.pve.nodes[1].endpoint.replace("127.0.0.1", "localhost")


@pytest.mark.parametrize(
    ("harm", "code"), [(no_quorum, "no-quorum"), (one_clock, "clock-skew"), (one_down, "connection-refused")]
)
def test_what_ails_one_of_several_nodes_is_named_and_nothing_else(trio: Clinic, harm: Harm, code: str) -> None:
    """With the address of that node; the others are asked all the same."""
    harm(trio)
    results = trio.doctor()
    assert codes_of(results) == [f"cluster: {code}"]
    found = only(results[0]["findings"])
    assert trio.pve.nodes[1].endpoint.rpartition(":")[2] in found["what"]
    assert results[-1]["unknown"] == []


def test_a_node_that_lags_behind_is_named(trio: Clinic) -> None:
    """It belongs to the majority, and does not list a token that the others list."""
    trio.pve.lag = 60.0
    trio.time.pass_by(seconds=61)
    late = trio.pve.cluster.newest().users[USER].tokens["ci-1-abcde"]
    for number in (0, 2):
        trio.pve.cluster.write(number, lambda state: state.with_token(USER, "late", late))
    assert set(trio.codes()) == {"cluster: node-lag"}


def test_a_token_that_a_stale_node_does_not_know_yet_is_not_called_gone(trio: Clinic) -> None:
    """A node without quorum shows what it knew; the majority's list counts."""
    trio.pve.nodes[0].quorate = False
    secret = trio.pve.add_token(USER, "ci-2-bbbbb", privsep=False)
    trio.pve.delete_token(trio.current)
    trio.plant("ci", f"{USER}!ci-2-bbbbb", secret)
    assert trio.codes() == ["cluster: no-quorum", "credential: not-adopted"]


def test_whether_a_node_has_quorum_is_not_known_to_everybody(clinic: Clinic) -> None:
    """Sys.Audit on / is needed; without it that is said, and no finding."""
    clinic.pve.cluster.plant(lambda state: state.without_grant("/", LOOKER, "Looker"))
    results = clinic.doctor()
    assert codes_of(results) == []
    assert "the operator lacks Sys.Audit on /" in only(results[0]["unknown"])


# operators


def administrator(clinic: Clinic) -> None:
    """Make it Administrator."""
    clinic.pve.grant("/", "Administrator", user=OPERATOR)


def everybody(clinic: Clinic) -> None:
    """Let it manage all groups."""
    clinic.pve.grant("/access/groups", "TokenRotator", user=OPERATOR)


def itself(clinic: Clinic) -> None:
    """Put it into the group that it manages."""
    clinic.change_user(OPERATOR, groups=frozenset({GROUP}))


def root(clinic: Clinic) -> None:
    """Use a token of root's."""
    use(clinic, "root@pam")


def use(clinic: Clinic, userid: str) -> None:
    """Make another operator."""
    secret = clinic.pve.add_token(userid, "op2", privsep=False)
    clinic.watch(secret)
    clinic.environ["ROTATE_TEST_OPERATOR"] = secret
    clinic.operators["one"] |= {"token_id": f"{userid}!op2"}
    clinic.write()


def cannot_manage(clinic: Clinic) -> None:
    """Take the user out of the group; the operator sees it all the same, by Sys.Audit."""
    clinic.change_user(groups=frozenset())


def cannot_see_acl(clinic: Clinic) -> None:
    """Take Sys.Audit away, and let the credential inherit its grants."""
    clinic.change_token(privsep=True)
    clinic.pve.grant("/vms", "PVEVMUser", token=clinic.current)
    clinic.pve.cluster.plant(lambda state: state.without_grant("/", LOOKER, "Looker"))
    clinic.credentials[0]["privsep"] = True
    clinic.write()


def cannot_grant(clinic: Clinic) -> None:
    """Declare grants that the operator may not give."""
    clinic.change_token(privsep=True)
    clinic.pve.grant("/vms", "PVEVMUser", token=clinic.current)
    clinic.credentials[0] |= {"privsep": True, "grants": [{"path": "/vms", "role": "PVEVMUser"}]}
    clinic.write()


def expires(clinic: Clinic) -> None:
    """Let its token end in a week."""
    week = int(clinic.time.stamp()) + 7 * 86400
    clinic.pve.cluster.plant(
        lambda state: state.with_token(OPERATOR, "op", shifted(state.users[OPERATOR].tokens["op"], week))
    )


def shifted(token: Token, expire: int) -> Token:
    """Return a token with another end."""
    return replace(token, expire=expire)


def refused(clinic: Clinic) -> None:
    """Delete its token."""
    clinic.pve.delete_token(f"{OPERATOR}!op")


def unreadable(clinic: Clinic) -> None:
    """Say that it is in a record which is not there."""
    clinic.operators["one"] = {"path": str(clinic.folder / "op.json")}
    clinic.write()


def in_a_record(clinic: Clinic, **fields: str) -> None:
    """Let the configuration take the operator's secret out of a record."""
    path = clinic.folder / "operator.json"
    if fields:
        path.write_text(json.dumps(fields))
        path.chmod(0o600)
    secret = {"backend": "file", "path": str(path), "key": "secret"}
    clinic.operators["one"] = {"token_id": f"{OPERATOR}!op", "token_secret": secret}
    clinic.write()


def without_record(clinic: Clinic) -> None:
    """Say that the secret is in a record that is not there."""
    in_a_record(clinic)


def without_key(clinic: Clinic) -> None:
    """Say that it is under a key that is not there."""
    in_a_record(clinic, other="x")


def with_line_break(clinic: Clinic) -> None:
    """Leave a line break behind the secret."""
    in_a_record(clinic, secret=clinic.environ["ROTATE_TEST_OPERATOR"] + "\n")


def with_line_break_in_file(clinic: Clinic) -> None:
    """Leave two of them in a file: one is taken for the end of its line."""
    path = clinic.folder / "operator.secret"
    path.write_text(clinic.environ["ROTATE_TEST_OPERATOR"] + "\n\n")
    path.chmod(0o600)
    clinic.operators["one"]["token_secret"] = {"file": str(path)}
    clinic.write()


@pytest.mark.parametrize("harm", [without_record, without_key, with_line_break, with_line_break_in_file])
def test_what_keeps_the_operator_from_asking_is_no_refusal_of_pves(clinic: Clinic, harm: Harm) -> None:
    """PVE was not asked, so nobody is to be sent there to make a new token."""
    harm(clinic)
    assert clinic.codes() == ["operator: operator-unreadable"]
    assert clinic.refused() == 0


OPERATORS: list[tuple[Harm, str]] = [
    (administrator, "operator-is-administrator"),
    (everybody, "operator-manages-everybody"),
    (itself, "operator-manages-itself"),
    (root, "operator-is-root"),
    (cannot_manage, "operator-cannot-manage"),
    (cannot_see_acl, "operator-cannot-see-acl"),
    (cannot_grant, "operator-cannot-grant"),
    (expires, "operator-expires"),
    (refused, "operator-refused"),
    (unreadable, "operator-unreadable"),
]


@pytest.mark.parametrize(("harm", "code"), OPERATORS, ids=[code for _, code in OPERATORS])
def test_what_is_wrong_with_the_operator_is_named_and_nothing_else(clinic: Clinic, harm: Harm, code: str) -> None:
    """Too little, or too much."""
    harm(clinic)
    results = clinic.doctor()
    assert codes_of(results) == [f"operator: {code}"]
    assert max(it["exit_code"] for it in results) == 4


@pytest.mark.parametrize("harm", [root, administrator, everybody])
def test_nobody_is_told_to_let_an_operator_manage_a_group_that_root_is_in(clinic: Clinic, harm: Harm) -> None:
    """Who manages root's group makes tokens of root@pam: the group is one of the consumers', or left to be chosen."""
    clinic.pve.add_group("admins")
    clinic.change_user("root@pam", groups=frozenset({"admins"}))
    clinic.pve.add_user("alice@pve", groups=["admins"])
    harm(clinic)
    for groups, named in (({"admins", GROUP}, GROUP), ({"admins"}, "GROUP")):
        clinic.change_user(groups=frozenset(groups))
        finding = only(only([it for it in clinic.doctor() if it["kind"] == "operator"])["findings"])
        grants = [it for it in finding["commands"] if it.startswith("pveum acl modify")]
        assert [it.split()[3] for it in grants] == [f"/access/groups/{named}"]


def test_a_refused_operator_is_tried_at_two_nodes_at_most(trio: Clinic) -> None:
    """Each refusal takes 3 s and is logged."""
    refused(trio)
    results = trio.doctor()
    assert codes_of(results) == ["operator: operator-refused"]
    assert trio.refused() == 2
    assert results[1]["name"] == f"{OPERATOR}!op"


def test_an_operator_that_rotates_itself_may_be_in_its_own_group(clinic: Clinic) -> None:
    """A token is never its own user: without that it could not be rotated."""
    itself(clinic)
    secret = clinic.environ["ROTATE_TEST_OPERATOR"]
    clinic.plant("op", f"{OPERATOR}!op", secret)
    clinic.operators["one"] = {"path": str(clinic.folder / "op.json")}
    clinic.add("op", user=OPERATOR, operator=True, adopt=True)
    assert clinic.codes() == []
    assert clinic.codes("ci") == []


def test_what_an_operator_cannot_see_of_itself_is_said(clinic: Clinic) -> None:
    """Its own token is shown only to who manages its user."""
    clinic.pve.cluster.plant(lambda state: state.without_grant("/", LOOKER, "Looker"))
    unknown = clinic.doctor()[1]["unknown"]
    assert f"when {OPERATOR}!op ends" in only(unknown)


def test_a_namesake_in_another_realm_does_not_make_a_user_that_cannot_be_seen_a_wrong_one(clinic: Clinic) -> None:
    """The operator sees the members of its group alone: its consumers are let in, and it may not manage them."""
    clinic.pve.cluster.plant(lambda state: state.without_grant("/", LOOKER, "Looker"))
    clinic.change_user(groups=frozenset())
    clinic.pve.add_user(USER.replace("@pve", "@pam"), groups=[GROUP])
    results = clinic.doctor()
    assert codes_of(results) == ["operator: operator-cannot-manage"]
    assert max(it["exit_code"] for it in results) == 4
    clinic.pve.delete_token(clinic.current)
    assert "credential: realm-wrong" in clinic.codes()


def test_a_user_that_cannot_be_seen_is_not_guessed_at(clinic: Clinic) -> None:
    """PVE refuses its token, and the operator may not know why: just that is said."""
    clinic.pve.cluster.plant(lambda state: state.without_grant("/", LOOKER, "Looker"))
    clinic.change_user(groups=frozenset(), enable=False)
    assert clinic.codes() == ["operator: operator-cannot-manage", "credential: login-refused"]
    assert clinic.refused() == 1


# stores


def test_a_store_that_cannot_be_read_is_named(clinic: Clinic) -> None:
    """And nothing is said of the record, which was not read."""
    (clinic.folder / "ci.json").unlink()
    (clinic.folder / "ci.json").mkdir()
    results = clinic.doctor()
    assert codes_of(results) == ["store: store-unreadable"]
    assert "the record was not read" in only(results[-1]["unknown"])


def test_a_store_that_cannot_be_written_is_named(clinic: Clinic) -> None:
    """Its own preflight says so, before a rotation needs it; what is published works."""
    (clinic.folder / "ci.json").chmod(0o644)
    results = clinic.doctor()
    assert codes_of(results) == ["store: store-not-writable"]
    finding = only(results[2]["findings"])
    assert "chmod 0600" in finding["commands"][0], "what the store says is to be done comes first"
    assert len(finding["evidence"]) == 1


@pytest.mark.parametrize(
    ("seen", "codes"),
    [
        (StoreSeen("vault:x", "vault"), []),
        (StoreSeen("vault:x", "vault", unread=Trouble("store-unavailable", "sealed")), ["store-unavailable"]),
        (StoreSeen("vault:x", "vault", compares_and_sets=False), ["store-without-compare-and-set"]),
    ],
)
def test_what_a_store_lacks_is_told(seen: StoreSeen, codes: list[str]) -> None:
    """What was configured on purpose is a note, which is no failure."""
    findings = store_checks.ailments(seen)
    assert [it.code for it in findings] == codes
    exit_code = Diagnosis(Kind.STORE, "x", findings=tuple(findings)).exit_code
    assert exit_code == (4 if "store-unavailable" in codes else 0)


@pytest.mark.parametrize(
    ("error", "code"),
    [(UnavailableError("no answer"), "store-unavailable"), (RefusedError("forbidden"), "store-not-writable")],
)
def test_a_store_that_is_down_is_not_taken_for_one_that_refuses(error: RotatorError, code: str) -> None:
    """The first is repeated later, the second mended."""
    assert store_trouble(error, "store-not-writable").code == code


def test_a_mirror_that_is_behind_is_named(clinic: Clinic) -> None:
    """It holds another token than the primary."""
    clinic.plant("mirror", f"{USER}!ci-1-zzzzz", "33333333-3333-4333-8333-333333333333")
    first = clinic.credentials[0].pop("destination")
    clinic.credentials[0]["destinations"] = [first, {"path": str(clinic.folder / "mirror.json")}]
    clinic.write()
    assert clinic.codes() == ["credential: mirror-behind"]


@pytest.mark.parametrize("known", [True, False])
def test_a_pve_that_is_too_old_for_regenerate_is_named(clinic: Clinic, *, known: bool) -> None:
    """It is found out without changing anything."""
    clinic.pve.regenerate_supported = known
    name = "pinned"
    marker = clinic.pve.cluster.newest().users[USER].tokens["ci-1-abcde"].comment
    secret = clinic.pve.add_token(USER, name, privsep=False, comment=marker)
    clinic.plant("ci", f"{USER}!{name}", secret)
    clinic.credentials[0] |= {"strategy": "regenerate", "base": name}
    clinic.write()
    before = clinic.pve.cluster.newest()
    assert clinic.codes() == ([] if known else ["credential: regenerate-unknown"])
    assert clinic.pve.cluster.newest() is before


def as_person(clinic: Clinic) -> list[str]:
    """Ask as a person who may do everything."""
    clinic.pve.add_user("admin@pve", password=PASSWORD)
    clinic.pve.grant("/", "Administrator", user="admin@pve")
    file = clinic.folder / "password"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o600)
    return clinic.codes("--login", "admin@pve", "--password-file", str(file))


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (refused, "token-gone"),
        (lambda clinic: clinic.change_user(OPERATOR, enable=False), "user-disabled"),
        (everybody, "operator-manages-everybody"),
    ],
    ids=["token-gone", "user-disabled", "operator-manages-everybody"],
)
def test_a_person_who_logs_in_is_told_what_is_wrong_with_the_operator(clinic: Clinic, harm: Harm, code: str) -> None:
    """It is the configured operator that is judged, not the person, who may do everything."""
    harm(clinic)
    assert as_person(clinic) == [f"operator: {code}"]
    assert clinic.refused() == 0
