"""Looking into a cluster more closely than a rotation does: who answers, quorum, the whole ACL, regenerate."""

from __future__ import annotations

import socket
from contextlib import closing
from datetime import timedelta

import pytest

from rotator.errors import RefusedError, UnavailableError
from rotator.model import Secret
from rotator.proxmox import TlsTrust
from rotator.proxmox_answer import UnwellError
from rotator.proxmox_visit import Visitor
from rotator.pve import Entry
from rotator.testing.pve import AnswerInstead
from tests.wire.lab import CI, SHORT, Lab, Rogue, add_token, answer, saying


def visitor(lab: Lab) -> Visitor:
    """Visit with the trust that the cluster's settings would give."""
    return Visitor("lab", TlsTrust(fingerprint=lab.pve.fingerprint), connect=SHORT, read=timedelta(seconds=5))


def test_a_greeting_shows_nothing_and_tells_realms_and_time(lab: Lab) -> None:
    """Nobody's credential is sent, so that nothing is delayed or logged."""
    greeting = lab.cluster().greet(lab.addresses[1])
    assert (greeting.realms, greeting.code) == (("pam", "pve"), "")
    assert greeting.told is not None
    assert abs(greeting.told.timestamp() - lab.pve.now()) < 2
    assert lab.asked() == [("pve2", "GET", "/access/domains")]


def test_another_certificate_is_told_with_its_fingerprint(lab: Lab) -> None:
    """What was pinned is not what is seen now."""
    cluster = lab.cluster()
    lab.pve.renew_certificate()
    greeting = cluster.greet(lab.addresses[0])
    assert (greeting.code, greeting.fingerprint) == ("certificate-changed", lab.pve.fingerprint)


def test_a_certificate_of_nobody_we_know_is_told(lab: Lab) -> None:
    """The system's authorities have not signed it."""
    greeting = lab.cluster(trust=TlsTrust()).greet(lab.addresses[0])
    assert (greeting.code, greeting.fingerprint) == ("certificate-untrusted", lab.pve.fingerprint)


def test_a_port_where_nobody_listens_is_told(lab: Lab) -> None:
    """Refused at once."""
    lab.pve.nodes[0].down = True
    assert lab.cluster().greet(lab.addresses[0]).code == "connection-refused"


def test_a_name_that_does_not_resolve_is_told(lab: Lab) -> None:
    """The reserved top-level domain has no names."""
    assert lab.cluster(["pve.invalid"]).greet("pve.invalid").code == "name-unresolved"


def test_somebody_who_says_nothing_is_told(lab: Lab) -> None:
    """A port that accepts and never answers the handshake."""
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
        address = "{}:{}".format(*deaf.getsockname())
        greeting = lab.cluster([address], connect_timeout=timedelta(seconds=0.2)).greet(address)
    assert greeting.code == "no-answer"


@pytest.mark.parametrize(("status", "code"), [(595, "daemon-down"), (596, "daemon-slow"), (404, "wrong-port")])
def test_whoever_answers_otherwise_than_pve_does_is_told(lab: Lab, status: int, code: str) -> None:
    """A proxy, another program, a node that is not well."""
    lab.pve.intercept = lambda _request: AnswerInstead(status, "no")
    assert lab.cluster().greet(lab.addresses[0]).code == code


def test_realms_that_are_no_texts_are_not_those_of_pve() -> None:
    """Another program answers in JSON too."""
    with Rogue(saying(answer(b'{"data":[{"realm":5}]}'))) as rogue:
        assert rogue.cluster().greet(rogue.endpoint).code == "wrong-port"


def test_a_time_past_the_end_of_the_calendar_is_none() -> None:
    """What PVE tells beside it is told all the same."""
    late = "Date: Fri, 31 Dec 9999 23:59:59 -1400\r\n"
    with Rogue(saying(answer(b'{"data":[{"realm":"pve"}]}', headers=late))) as rogue:
        greeting = rogue.cluster().greet(rogue.endpoint)
        assert (greeting.realms, greeting.told, greeting.code) == (("pve",), None, "")


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        (595, "Connection refused", "daemon-down"),
        (596, "", "daemon-slow"),
        (500, "cfs-lock 'file-user_cfg' error: no quorum!", "no-quorum"),
        (500, "cfs-lock 'file-user_cfg' error: got lock request timeout", "lock-held"),
    ],
)
def test_a_node_that_is_not_well_says_how_in_a_word(lab: Lab, status: int, said: str, code: str) -> None:
    """The word is one that `rotate explain` knows."""
    lab.pve.intercept = lambda _request: AnswerInstead(status, said)
    with pytest.raises(UnwellError) as caught:
        lab.cluster().users_on(lab.addresses[0])
    assert caught.value.code == code


def test_users_are_listed_as_one_node_knows_them(lab: Lab) -> None:
    """A node that was cut off shows what it knew."""
    lab.pve.nodes[1].quorate = False
    lab.pve.add_token(CI.userid, CI.name)
    first, second = (lab.cluster().users_on(address)[CI.userid].tokens for address in lab.addresses)
    assert ([it.id for it in first], second) == ([CI], ())


def test_quorum_is_asked_where_the_operator_may(lab: Lab) -> None:
    """Sys.Audit on / is needed; without it nothing is known, which is not the same as no."""
    lab.pve.nodes[1].quorate = False
    assert [lab.cluster().quorum_on(address) for address in lab.addresses] == [True, False]
    assert lab.cluster(login=lambda: lab.manager).quorum_on(lab.addresses[1]) is None


def test_the_acl_is_listed_as_far_as_it_is_seen(lab: Lab) -> None:
    """An Administrator sees all, the others a shorter list, without a word about it."""
    entry = Entry("/vms", "user", "svc@pve", "PVEVMUser")
    assert entry in lab.cluster().acl()
    assert lab.cluster(login=lambda: lab.manager).acl() == ()


def test_the_nodes_are_named_to_anybody(lab: Lab) -> None:
    """No privilege is needed."""
    assert lab.cluster(login=lambda: lab.manager).nodes() == ("pve1", "pve2")


@pytest.mark.parametrize("known", [True, False])
def test_whether_pve_can_regenerate_is_found_out_by_a_call_that_cannot_be_done(lab: Lab, *, known: bool) -> None:
    """The id that it names can be no token's, so nothing changes."""
    lab.pve.regenerate_supported = known
    before = lab.pve.cluster.newest()
    assert lab.cluster(login=lambda: lab.manager).knows_regenerate("svc@pve") is known
    assert lab.pve.cluster.newest() is before


def test_whether_pve_can_regenerate_is_not_guessed(lab: Lab) -> None:
    """Who may not manage the user is refused before PVE looks at parameters."""
    with pytest.raises(RefusedError, match="403"):
        lab.cluster(login=lambda: lab.manager).knows_regenerate("op@pve")


def test_plain_http_is_redirected_and_sees_no_credential(lab: Lab) -> None:
    """301 with the same address in https (measured)."""
    address = lab.addresses[0]
    response = visitor(lab).speak_plainly(address)
    assert response is not None
    assert (response.status, response.location) == (301, f"https://{address}/api2/json/version")


def test_plain_http_to_nobody_is_no_answer(lab: Lab) -> None:
    """Neither is it an error."""
    lab.pve.nodes[0].down = True
    assert visitor(lab).speak_plainly(lab.addresses[0]) is None


def test_what_a_consumer_shows_is_shown_as_it_is(lab: Lab) -> None:
    """The answer is told with its reason, and what was shown is not echoed."""
    token = add_token(lab.pve, CI)
    header = Secret(f"PVEAPIToken={token.id}={token.secret.reveal()}")
    looking = visitor(lab)
    assert looking.show(lab.addresses[0], "/version", {"Authorization": header}).status == 200
    refused = looking.show(lab.addresses[0], "/cluster/status", {"Authorization": header})
    assert (refused.status, refused.said) == (403, "Permission check failed (/, Sys.Audit)")
    lab.pve.intercept = lambda _request: AnswerInstead(500, f"died of {header.reveal()}")
    assert looking.show(lab.addresses[0], "/version", {"Authorization": header}).said == "died of …"


def test_a_password_is_tried_once(lab: Lab, canary: str) -> None:
    """A refusal is an answer; nobody to ask is an error."""
    lab.pve.add_user("human@pve", password=canary)
    looking = visitor(lab)
    assert looking.log_in(lab.addresses[0], "human@pve", Secret(canary)).status == 200
    assert looking.log_in(lab.addresses[0], "human@pve", Secret("wrong password")).status == 401
    assert looking.log_in(lab.addresses[0], "human@pve", Secret("half a \ud83d")).status == 401
    lab.pve.nodes[0].down = True
    with pytest.raises(UnavailableError):
        looking.log_in(lab.addresses[0], "human@pve", Secret(canary))
