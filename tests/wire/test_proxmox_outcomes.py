"""Every failure says whether something may have happened, and goes no further than it may."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from rotator.errors import (
    ConflictError,
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    RotatorError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
)
from rotator.model import Grant, TokenId
from rotator.proxmox import READ_TIMEOUT, ProxmoxCluster
from rotator.proxmox_wire import NotConnectedError
from rotator.testing.pve import AnswerAfter, AnswerInstead, AnswerLate, Delay, Fault, HangUpAfter, HangUpBefore, Request
from tests.wire.lab import (
    CI,
    LONG,
    SHORT,
    Behaviour,
    Lab,
    Rogue,
    add_token,
    answer,
    dripping,
    dripping_headers,
    mute,
    resetting,
    saying,
    silent,
)

CHANGES: dict[str, Callable[[ProxmoxCluster], object]] = {
    "issue": lambda cluster: cluster.issue(CI, privsep=True, expire=None, comment=""),
    "update": lambda cluster: cluster.update(CI, comment="x"),
    "regenerate": lambda cluster: cluster.regenerate(CI, expire=None, comment=""),
    "revoke": lambda cluster: cluster.revoke(CI),
    "grant": lambda cluster: cluster.grant(CI, Grant("/vms", "PVEVMUser")),
}
READS: dict[str, Callable[[ProxmoxCluster], object]] = {
    "users": lambda cluster: cluster.users(),
    "token_on": lambda cluster: cluster.token_on(cluster.endpoints[0], CI),
    "role": lambda cluster: cluster.role("TokenRotator"),
}


def faulty(fault: Fault) -> Callable[[Request], Fault | None]:
    """Disturb every call but the cheap one that finds an endpoint."""
    return lambda asked: None if asked.path == "/version" else fault


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "fault", [AnswerAfter(596), AnswerLate(596), AnswerInstead(502), AnswerInstead(503), AnswerInstead(504)]
)
def test_a_change_without_a_real_answer_is_unknown_and_sent_once(lab: Lab, change: str, fault: Fault) -> None:
    """596 and what a proxy says tell nothing of the outcome: no second endpoint, no second try."""
    lab.pve.intercept = faulty(fault)
    with pytest.raises(OutcomeUnknownError, match=r"at 127\.0\.0\.1") as caught:
        CHANGES[change](lab.cluster())
    assert "look before repeating" in caught.value.hint
    assert [path for _, method, path in lab.asked() if method != "GET"] == [lab.pve.calls[-1].path]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("fault", [HangUpBefore(), HangUpAfter()])
def test_a_change_whose_connection_ends_is_unknown_and_sent_once(lab: Lab, change: str, fault: Fault) -> None:
    """Whether PVE has done it before it hung up cannot be known from here."""
    lab.pve.intercept = faulty(fault)
    with pytest.raises(OutcomeUnknownError, match="connection broke"):
        CHANGES[change](lab.cluster())
    assert len([method for _, method, _ in lab.asked() if method != "GET"]) == 1


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("status", ["103 Early Hints", "302 Found"])
def test_what_is_no_answer_does_not_say_that_a_change_was_made(change: str, status: str) -> None:
    """A proxy may say something before PVE does, or send us elsewhere: what comes of the change is not in it."""
    raw = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    said = f"answered {status[:3]}, which PVE's API never does"
    with Rogue(saying(raw)) as rogue, pytest.raises(OutcomeUnknownError, match=said):
        CHANGES[change](rogue.cluster())


def test_what_comes_after_no_answer_is_not_taken_for_the_answer_to_the_next_question() -> None:
    """A proxy says something before PVE does: what PVE says then belongs to that call and to no other."""

    def hint(rogue: Rogue, link: socket.socket) -> None:
        late = b""
        while asked := rogue.read(link):
            if b"/first " in asked:
                link.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                late = answer(b'{"data":{"Sys.Audit":1}}')
            else:
                link.sendall(late + answer(b'{"data":{}}'))

    with Rogue(hint) as rogue:
        cluster = rogue.cluster()
        with contextlib.suppress(UnavailableError):
            cluster.role("first")
        assert cluster.role("second") == frozenset()


def test_a_change_that_takes_too_long_is_unknown(lab: Lab) -> None:
    """A time-out after sending is no answer either; the token may come into being later."""
    lab.pve.intercept = lambda asked: Delay(1.5) if asked.method == "POST" else None
    with pytest.raises(OutcomeUnknownError, match="no whole answer within"):
        CHANGES["issue"](lab.cluster(read_timeout=SHORT))


@pytest.mark.parametrize(
    "fault",
    [
        AnswerInstead(595, "Connection refused"),
        AnswerInstead(500, "cfs-lock 'file-user_cfg' error: got lock request timeout"),
        AnswerInstead(500, "cfs-lock 'file-user_cfg' error: no quorum!"),
        AnswerInstead(429),
        AnswerInstead(408),
    ],
)
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_did_not_happen_may_be_repeated_but_not_by_us(lab: Lab, change: str, fault: Fault) -> None:
    """Locks, quorum and a daemon that is down: nothing happened, the caller decides, and the next endpoint is asked."""
    lab.pve.intercept = faulty(fault)
    cluster = lab.cluster()
    with pytest.raises(UnavailableError) as caught:
        CHANGES[change](cluster)
    assert caught.value.hint
    assert [node for node, method, _ in lab.asked() if method != "GET"] == ["pve1"]
    lab.pve.intercept = None
    with contextlib.suppress(NotFoundError):
        CHANGES[change](cluster)
    assert [node for node, method, _ in lab.asked() if method != "GET"] == ["pve1", "pve2"]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    "fault", [AnswerInstead(596), AnswerInstead(595), AnswerInstead(502), AnswerInstead(500, "boom"), HangUpBefore()]
)
def test_a_read_without_an_answer_is_unavailable(lab: Lab, read: str, fault: Fault) -> None:
    """A read changes nothing, so it may be repeated whatever came of it."""
    lab.pve.intercept = faulty(fault)
    with pytest.raises(UnavailableError):
        READS[read](lab.cluster())


def test_a_read_goes_to_the_next_endpoint_and_stays_there(lab: Lab) -> None:
    """The endpoint that answered last is asked first from then on."""
    lab.pve.intercept = lambda asked: AnswerInstead(595) if asked.node == "pve1" else None
    cluster = lab.cluster()
    cluster.users()
    cluster.users()
    assert [node for node, _, _ in lab.asked()] == ["pve1", "pve2", "pve2"]


def test_a_refusal_is_an_answer_too(lab: Lab) -> None:
    """An endpoint that says no is alive: no other is bothered, and a change needs no cheap read to find it."""
    lab.pve.nodes[0].down = True
    cluster = lab.cluster()
    with pytest.raises(RefusedError):
        cluster.tokens("nobody@pve")
    lab.pve.nodes[0].down = False
    CHANGES["issue"](cluster)
    assert [(node, method) for node, method, _ in lab.asked()] == [("pve2", "GET"), ("pve2", "POST")]


def test_an_endpoint_that_failed_has_to_answer_again_before_a_change(lab: Lab) -> None:
    """After a failed change the next one asks for a sign of life first, at the next endpoint."""
    cluster = lab.cluster()
    cluster.users()
    lab.pve.intercept = lambda asked: AnswerInstead(595) if asked.method == "POST" else None
    for _ in range(2):
        with pytest.raises(UnavailableError):
            CHANGES["issue"](cluster)
    assert [(node, path) for node, method, path in lab.asked() if method == "GET"][1:] == [("pve2", "/version")]


def test_all_endpoints_down_names_them_all(lab: Lab) -> None:
    """Whoever reads the message sees what was tried."""
    for node in lab.pve.nodes:
        node.down = True
    with pytest.raises(UnreachableError, match="no endpoint of cluster lab answers") as caught:
        lab.cluster().users()
    assert all(address in caught.value.message for address in lab.addresses)
    assert "8006" in caught.value.hint


def test_one_odd_answer_is_no_sign_that_the_cluster_is_gone(lab: Lab) -> None:
    """Whoever answers with a 500 is alive; only silence everywhere ends the work on a cluster."""
    lab.pve.intercept = faulty(AnswerInstead(500, "boom"))
    with pytest.raises(UnavailableError) as caught:
        lab.cluster().users()
    assert not isinstance(caught.value, UnreachableError)


def test_one_endpoint_that_is_asked_for_is_not_replaced_by_another(lab: Lab) -> None:
    """A look at one node fails when that node does not answer."""
    lab.pve.nodes[0].down = True
    cluster = lab.cluster()
    with pytest.raises(NotConnectedError, match="connection refused"):
        cluster.token_on(lab.addresses[0], CI)
    with pytest.raises(NotConnectedError, match="connection refused"):
        cluster.consumer(lab.operator).login(lab.addresses[0])


def test_a_change_goes_to_an_endpoint_that_has_answered(lab: Lab) -> None:
    """A cheap read finds one when none is known."""
    lab.pve.nodes[0].down = True
    lab.cluster().issue(CI, privsep=True, expire=None, comment="")
    assert [(node, method) for node, method, _ in lab.asked()] == [("pve2", "GET"), ("pve2", "POST")]


def test_a_change_that_finds_no_connection_goes_to_the_next_endpoint(lab: Lab) -> None:
    """Nothing was sent, so another endpoint may do it."""
    cluster = lab.cluster()
    cluster.users()
    lab.pve.nodes[0].down = True
    cluster.issue(CI, privsep=True, expire=None, comment="")
    assert [(node, method) for node, method, _ in lab.asked()] == [("pve1", "GET"), ("pve2", "POST")]


def test_a_kept_connection_that_was_closed_is_not_noticed(lab: Lab) -> None:
    """PVE closes kept connections whenever it likes; a read simply takes a fresh one."""
    cluster = lab.cluster(lab.addresses[:1])
    cluster.users()
    lab.pve.nodes[0].down = True
    lab.pve.nodes[0].down = False
    assert "svc@pve" in cluster.users()


def test_reads_use_a_connection_again_and_changes_never(lab: Lab) -> None:
    """A change that met a closed connection would look like an unknown outcome."""
    del lab

    def behave(rogue: Rogue, link: socket.socket) -> None:
        while rogue.read(link):
            link.sendall(answer(b'{"data":{"value":"00000000","ticket":"x"}}'))

    with Rogue(behave) as rogue:
        cluster = rogue.cluster()
        for _ in range(3):
            cluster.role("x")
        assert rogue.connections == 1
        for _ in range(3):
            cluster.update(CI, comment="x")
        assert rogue.connections == 4
        cluster.role("x")
        assert rogue.connections == 4


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (401, "Permission denied - invalid csrf token", UnauthenticatedError),
        (403, "Permission check failed (/vms, Permissions.Modify)", RefusedError),
        (400, "Parameter verification failed.", RefusedError),
        (404, "Not Found", RefusedError),
        (413, "Payload Too Large", RefusedError),
        (501, "Method 'POST /access/acl' not implemented", RefusedError),
        (500, "no such token 'x' for user 'u@pve'", NotFoundError),
        (500, "ACL update failed: no such user ('nosuch@pve')", NotFoundError),
        (500, "ACL update failed: role 'NoSuch' does not exist", NotFoundError),
        (500, "create user failed: auth domain 'nowhere' does not exist", NotFoundError),
        (500, "generating token failed: Token already exists.", ConflictError),
        (500, "updating token info failed: 400 Parameter verification failed.", RefusedError),
        (500, "value 'svc' does not look like a valid user name", RefusedError),
        (500, "unable to write '/etc/pve/user.cfg.tmp.1': File too large", OutcomeUnknownError),
        (500, "", OutcomeUnknownError),
        (597, "", OutcomeUnknownError),
        (599, "", OutcomeUnknownError),
        (505, "", OutcomeUnknownError),
    ],
)
def test_what_pve_says_to_a_change_has_its_own_type(
    lab: Lab, status: int, reason: str, expected: type[RotatorError]
) -> None:
    """Only what is known to have been refused counts as refused; the rest of the server's errors is unknown."""
    lab.pve.intercept = faulty(AnswerInstead(status, reason))
    with pytest.raises(RotatorError) as caught:
        CHANGES["issue"](lab.cluster())
    assert type(caught.value) is expected
    assert str(status) in caught.value.message
    assert reason in caught.value.message


def test_errors_by_parameter_are_told(lab: Lab) -> None:
    """A message says which parameter PVE did not like, and why."""
    add_token(lab.pve, CI)
    with pytest.raises(RefusedError, match=r"path: invalid ACL path '/nowhere'"):
        lab.cluster().grant(CI, Grant("/nowhere", "PVEVMUser"))
    with pytest.raises(NotFoundError, match="role 'Nobody' does not exist"):
        lab.cluster().grant(CI, Grant("/vms", "Nobody"))


def test_a_missing_privilege_is_named_with_its_path(lab: Lab) -> None:
    """The hint says what to grant where, as PVE names it, and what it does not name for tokens."""
    cluster = lab.cluster(login=lambda: lab.manager)
    add_token(lab.pve, CI)
    with pytest.raises(RefusedError) as caught:
        cluster.grant(CI, Grant("/vms", "PVEVMUser"))
    assert "needs Permissions.Modify on /vms;" in caught.value.hint
    with pytest.raises(RefusedError) as caught:
        cluster.issue(TokenId("op@pve", "more"), privsep=True, expire=None, comment="")
    assert "User.Modify on /access/groups/<g>" in caught.value.hint


BROKEN: dict[str, Behaviour] = {
    "garbage": saying(answer(b"<html>nginx</html>")),
    "other json": saying(answer(b"[1, 2]")),
    "no data": saying(answer(b'{"success": 1}')),
    "empty": saying(answer(b"")),
    "bad utf-8": saying(answer(b"\xff\xfe\x00")),
    "deep json": saying(answer(b"[" * 100_000)),
    "cut short": saying(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"data":{"value":"<cut>'),
    "bad chunk": saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n<cut>"),
    "no http": saying(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "redirect": saying(answer(b"", status="301 Moved", headers="Location: https://127.0.0.1:1/\r\n")),
    "see other": saying(answer(b"", status="303 See Other", headers="Location: /api2/json/version\r\n")),
    "not modified": saying(answer(b"", status="304 Not Modified")),
    "reset": resetting,
    "silence": silent,
    "slow drip": dripping,
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_answer_to_a_change_is_unknown_and_to_a_read_unavailable(how: str) -> None:
    """Also a 200 with an unreadable body: the secret in it is lost. Changes are sent once, no redirect is followed."""
    with Rogue(BROKEN[how]) as rogue:
        cluster = rogue.cluster()
        begun = time.monotonic()
        with pytest.raises(OutcomeUnknownError):
            CHANGES["issue"](cluster)
        with pytest.raises(UnavailableError):
            READS["users"](cluster)
        assert time.monotonic() - begun < 4.5
        methods = [request.split()[0] for request in rogue.requests if b"/version" not in request]
        assert methods[0] == b"POST"
        assert methods[1:] in ([b"GET"], [b"GET", b"GET"])  # a kept connection that breaks is replaced once


@pytest.mark.parametrize(
    "answered", [b'{"data":null}', b'{"data":{}}', b'{"data":{"value":""}}', b'{"data":{"value":7}}']
)
@pytest.mark.parametrize("change", ["issue", "regenerate"])
def test_a_new_secret_that_is_not_told_is_an_unknown_outcome(change: str, answered: bytes) -> None:
    """PVE said yes, but the secret is not there: somebody has to look and clean up."""
    with Rogue(saying(answer(answered))) as rogue:
        cluster = rogue.cluster()
        with pytest.raises(OutcomeUnknownError, match="told no secret"):
            CHANGES[change](cluster)


def test_headers_that_never_end_are_not_waited_for() -> None:
    """The read time-out bounds the whole answer, from its first byte on."""
    with Rogue(dripping_headers) as rogue:
        cluster = rogue.cluster()
        begun = time.monotonic()
        with pytest.raises(UnavailableError, match="no whole answer within"):
            cluster.users()
        assert time.monotonic() - begun < 4.5


def test_a_slow_answer_on_a_kept_connection_is_not_waited_for_twice() -> None:
    """A time-out is no closed connection: the read is not sent again."""

    def behave(rogue: Rogue, link: socket.socket) -> None:
        rogue.read(link)
        link.sendall(answer(b'{"data":{}}'))
        silent(rogue, link)

    with Rogue(behave) as rogue:
        cluster = rogue.cluster()
        cluster.role("x")
        with pytest.raises(UnavailableError, match="no whole answer within"):
            cluster.role("x")
        assert (rogue.connections, len(rogue.requests)) == (1, 2)


def test_a_handshake_that_hangs_is_no_unknown_outcome() -> None:
    """Nothing was sent yet when the TLS handshake timed out, also when a change was to follow."""
    with Rogue(mute, plain=True) as rogue:
        cluster = rogue.cluster(connect_timeout=SHORT, read_timeout=LONG)
        with pytest.raises(UnreachableError, match=r"no answer within 0\.8 s"):
            CHANGES["issue"](cluster)
        assert rogue.requests == []


def test_a_change_is_not_sent_when_only_its_own_handshake_fails() -> None:
    """An endpoint that answers reads and then drops connections leaves the change undone, and says so."""

    def behave(rogue: Rogue, link: socket.socket) -> None:
        rogue.read(link)
        link.sendall(answer(b'{"data":{}}', headers="Connection: close\r\n"))
        rogue.stopping.set()

    with Rogue(behave) as rogue:
        cluster = rogue.cluster(connect_timeout=SHORT)
        cluster.role("x")
        rogue.__exit__()
        with pytest.raises(UnreachableError):
            CHANGES["issue"](cluster)


def test_a_name_that_does_not_resolve_says_so(lab: Lab) -> None:
    """A typing error in an endpoint is found by its hint; .invalid never resolves (RFC 2606)."""
    for name in ("nowhere.invalid:8006", f"{'a' * 70}.invalid"):
        with pytest.raises(UnavailableError, match="does not resolve") as caught:
            lab.cluster([name]).users()
        assert "DNS" in caught.value.hint


def test_a_cluster_that_does_not_tell_the_time_says_so() -> None:
    """Without any Date header no deadline can be set."""
    with Rogue(saying(answer(b"{}"))) as rogue:
        cluster = rogue.cluster()
        with pytest.raises(UnavailableError, match="does not tell the time"):
            cluster.now()


def test_the_usual_timeouts_outwait_pveproxy() -> None:
    """PVE gives up after 30 s itself; a shorter wait would turn its answers into unknown outcomes."""
    assert timedelta(seconds=30) < READ_TIMEOUT < timedelta(seconds=60)
