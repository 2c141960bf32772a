"""The adapter does what the port promises, on the simulated PVE."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from rotator.errors import (
    ConfigError,
    ConflictError,
    NotFoundError,
    RefusedError,
    UnauthenticatedError,
    UnavailableError,
)
from rotator.model import Grant, Secret, Token, TokenId, TokenState
from rotator.proxmox import ProxmoxCluster, TlsTrust
from rotator.pve import Pve
from rotator.testing.pve import AnswerInstead
from tests.wire.lab import CI, Lab, Rogue, add_token, answer, saying

SOON = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)

Watch = Callable[[str], None]


def issued(cluster: Pve, watch: Watch, token: TokenId = CI, *, privsep: bool = True) -> Token:
    """Issue a token whose secret is looked out for."""
    secret = cluster.issue(token, privsep=privsep, expire=SOON, comment="who: x → y")
    watch(secret.reveal())
    return Token(token, secret)


def test_an_issued_token_has_what_was_asked_for_and_logs_in(lab: Lab, watch: Watch) -> None:
    """Privilege separation, end and comment arrive, and the secret that came back works on every node."""
    cluster = lab.cluster()
    token = issued(cluster, watch)
    expected = TokenState(CI, SOON, privsep=True, comment="who: x → y")
    assert cluster.tokens("svc@pve") == (expected,)
    assert cluster.users()["svc@pve"].tokens == (expected,)
    assert [cluster.token_on(endpoint, CI) for endpoint in cluster.endpoints] == [expected, expected]
    assert all(lab.pve.accepts(str(CI), token.secret.reveal(), node=node) for node in (0, 1))


def test_a_token_can_be_issued_without_separation_and_end(lab: Lab, watch: Watch) -> None:
    """The two other values of the parameters arrive as well."""
    cluster = lab.cluster()
    watch(cluster.issue(CI, privsep=False, expire=None, comment="").reveal())
    assert cluster.tokens("svc@pve") == (TokenState(CI, None, privsep=False, comment=""),)


def test_issuing_an_id_again_is_a_conflict(lab: Lab, watch: Watch) -> None:
    """PVE's 400 for an existing id has its own type."""
    cluster = lab.cluster()
    issued(cluster, watch)
    with pytest.raises(ConflictError, match="Token already exists"):
        cluster.issue(CI, privsep=True, expire=None, comment="")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"expire": SOON + timedelta(days=1, microseconds=999_999)}, (SOON + timedelta(days=1), "who: x → y")),
        ({"comment": "new"}, (SOON, "new")),
        ({"comment": ""}, (SOON, "")),
        ({"expire": SOON - timedelta(days=1), "comment": "both"}, (SOON - timedelta(days=1), "both")),
    ],
)
def test_an_update_changes_what_is_given_and_nothing_else(
    lab: Lab, watch: Watch, change: dict[str, object], expected: tuple[datetime, str]
) -> None:
    """None leaves a value alone; fractions of a second are cut off; the secret lives on."""
    cluster = lab.cluster()
    token = issued(cluster, watch)
    cluster.update(CI, **change)  # type: ignore[arg-type] # from a table
    assert [(state.expire, state.comment) for state in cluster.tokens("svc@pve")] == [expected]
    assert lab.pve.accepts(str(CI), token.secret.reveal())


def test_regenerating_replaces_the_secret_and_sets_end_and_comment(lab: Lab, watch: Watch) -> None:
    """The old secret is dead and the new one works; no end means none, whatever there was."""
    cluster = lab.cluster()
    old = issued(cluster, watch)
    new = cluster.regenerate(CI, expire=None, comment="again")
    watch(new.reveal())
    accepted = [lab.pve.accepts(str(CI), secret.reveal()) for secret in (old.secret, new)]
    assert accepted == [False, True]
    assert cluster.tokens("svc@pve") == (TokenState(CI, None, privsep=True, comment="again"),)


def test_a_pve_too_old_to_regenerate_says_so(lab: Lab, watch: Watch) -> None:
    """The refusal names the version that is needed, and the secret lives on."""
    cluster = lab.cluster()
    token = issued(cluster, watch)
    lab.pve.regenerate_supported = False
    with pytest.raises(RefusedError) as caught:
        cluster.regenerate(CI, expire=None, comment="")
    assert "9.1.0 (May 2026)" in caught.value.hint
    assert lab.pve.accepts(str(CI), token.secret.reveal())


def test_a_revoked_token_is_gone_and_cannot_be_revoked_again(lab: Lab, watch: Watch) -> None:
    """PVE's 500 for a token that is not there has its own type, and reads tell None."""
    cluster = lab.cluster()
    issued(cluster, watch)
    cluster.revoke(CI)
    with pytest.raises(NotFoundError, match="no such token"):
        cluster.revoke(CI)
    with pytest.raises(NotFoundError):
        cluster.update(CI, comment="x")
    assert cluster.token_on(cluster.endpoints[1], CI) is None


def test_one_node_is_asked_and_no_other(lab: Lab) -> None:
    """A look at one endpoint tells what that node knows."""
    add_token(lab.pve, CI)
    cluster = lab.cluster()
    lab.pve.nodes[1].quorate = False
    lab.pve.delete_token(str(CI))
    found = [cluster.token_on(endpoint, CI) for endpoint in lab.addresses]
    assert [state is not None for state in found] == [False, True]


def test_an_unknown_user_is_refused_with_a_hint(lab: Lab) -> None:
    """PVE answers 403 as for a missing privilege; the hint names both."""
    with pytest.raises(RefusedError) as caught:
        lab.cluster().tokens("nobody@pve")
    assert "User.Modify on /access/groups" in caught.value.hint
    assert "unknown user" in caught.value.hint


def test_grants_are_the_tokens_own_and_sorted(lab: Lab, watch: Watch) -> None:
    """Entries of its user and of other tokens are not among them."""
    cluster = lab.cluster()
    issued(cluster, watch)
    add_token(lab.pve, TokenId("svc@pve", "other"), privsep=True)
    lab.pve.grant("/vms", "PVEAuditor", token="svc@pve!other")
    for grant in (Grant("/vms/100", "PVEVMUser"), Grant("/vms", "PVEAuditor", propagate=False)) * 2:
        cluster.grant(CI, grant)
    assert cluster.grants(CI) == (Grant("/vms", "PVEAuditor", propagate=False), Grant("/vms/100", "PVEVMUser"))


def test_grants_are_not_believed_without_sight_of_the_whole_list(lab: Lab) -> None:
    """PVE would leave entries out silently, so an operator without Sys.Audit is told so instead."""
    cluster = lab.cluster(login=lambda: lab.manager)
    with pytest.raises(RefusedError) as caught:
        cluster.grants(CI)
    assert "Sys.Audit on /access" in caught.value.hint
    assert ("GET", "/access/acl") not in [(method, path) for _, method, path in lab.asked()]


def test_sight_that_does_not_propagate_is_sight(lab: Lab) -> None:
    """A privilege is held when it is present, also with 0; and it is asked for once."""
    lab.pve.grant("/access", "PVEAuditor", user="manager@pve", propagate=False)
    cluster = lab.cluster(login=lambda: lab.manager)
    assert [cluster.grants(CI), cluster.grants(CI)] == [(), ()]
    assert [path for _, _, path in lab.asked()].count("/access/permissions") == 1


def test_another_operator_has_to_have_sight_itself(lab: Lab) -> None:
    """What the one before was allowed to see says nothing of the next."""
    cluster = lab.cluster()
    assert cluster.grants(CI) == ()
    cluster.switch(lab.manager)
    with pytest.raises(RefusedError):
        cluster.grants(CI)


def test_roles_and_permissions_are_read(lab: Lab) -> None:
    """Roles are their privileges; permissions are by path, for others only with the privilege to ask."""
    cluster = lab.cluster()
    assert cluster.role("TokenRotator") == frozenset({"User.Modify"})
    with pytest.raises(NotFoundError):
        cluster.role("Nobody")
    assert cluster.permissions_of("svc@pve") == lab.pve.permissions("svc@pve")
    assert cluster.own_permissions() == lab.pve.permissions("op@pve")
    with pytest.raises(RefusedError, match=r"Sys\.Audit"):
        lab.cluster(login=lambda: lab.manager).permissions_of("svc@pve")


def test_users_are_read_with_groups_ends_and_state(lab: Lab) -> None:
    """Everything that decides whether a token can log in comes with one call."""
    lab.pve.add_user("old@pve", enable=False, expire=int(SOON.timestamp()))
    cluster = lab.cluster()
    users = cluster.users()
    assert (users["old@pve"].enabled, users["old@pve"].expire, users["old@pve"].groups) == (False, SOON, ())
    assert (users["svc@pve"].enabled, users["svc@pve"].expire, users["svc@pve"].groups) == (True, None, ("rotated",))
    assert [path for _, _, path in lab.asked()] == ["/access/users"]


def test_an_end_beyond_the_calendar_does_not_hide_the_other_tokens(lab: Lab) -> None:
    """PVE takes an end in the year three million; such a token of somebody else must not fail the list."""
    add_token(lab.pve, CI, expire=99_999_999_999_999)
    expire = lab.cluster().users()["svc@pve"].tokens[0].expire
    assert expire is not None
    assert expire.year == 9000


def test_a_consumer_proves_its_secret_where_it_is_told_to(lab: Lab, watch: Watch) -> None:
    """A login is one call to that endpoint, with the consumer's own token."""
    cluster = lab.cluster()
    token = issued(cluster, watch)
    del lab.pve.calls[:]
    cluster.consumer(token).login(lab.addresses[1])
    assert [(call.node, call.path, call.who) for call in lab.pve.calls] == [("pve2", "/version", str(CI))]


def test_a_consumer_with_a_wrong_secret_is_not_accepted(lab: Lab, canary: str) -> None:
    """A 401 is about the consumer: the operator is not even read."""
    reads = []

    def source() -> Token:
        reads.append(1)
        return lab.operator

    with pytest.raises(UnauthenticatedError) as caught:
        lab.cluster(login=source).consumer(Token(CI, Secret(canary))).login(lab.addresses[0])
    assert str(CI) in caught.value.hint
    assert reads == []


@pytest.mark.parametrize("tail", ["\n", " ", "\r\nX: y", "ü", "\u2028"])
def test_a_secret_that_cannot_be_one_is_refused_unsent(lab: Lab, canary: str, tail: str) -> None:
    """A line break at the end of a file becomes a clear sentence, neither a crash nor a refused login at PVE."""
    with pytest.raises(UnauthenticatedError, match="white space or other characters"):
        lab.cluster().consumer(Token(CI, Secret(canary + tail))).login(lab.addresses[0])
    assert lab.pve.calls == []


def test_a_consumer_sees_its_own_permissions_and_nothing_without_any(lab: Lab, watch: Watch) -> None:
    """A separated token has the intersection with its user, which is nothing at first."""
    cluster = lab.cluster()
    consumer = cluster.consumer(issued(cluster, watch))
    assert consumer.permissions() == {}
    cluster.grant(CI, Grant("/vms", "PVEVMUser"))
    assert consumer.permissions() == lab.pve.permissions(str(CI)) != {}


def test_a_consumers_probe_is_a_get_with_its_query(lab: Lab, watch: Watch) -> None:
    """A probe that the token may not do is refused by name, one that it may is ignored."""
    cluster = lab.cluster()
    consumer = cluster.consumer(issued(cluster, watch))
    consumer.get("/access/permissions?path=/vms")
    assert (lab.pve.calls[-1].path, lab.pve.calls[-1].params) == ("/access/permissions", {"path": "/vms"})
    with pytest.raises(RefusedError) as caught:
        consumer.get("/cluster/status")
    assert caught.value.hint.startswith(f"{CI} needs Sys.Audit on /;")


@pytest.mark.parametrize("name", ["self", "method", "endpoint", "as_whom", "answered", "path", "params", "data"])
def test_a_probe_may_ask_for_anything_by_name(name: str) -> None:
    """What we call something ourselves is a parameter like any other, as often as it is given."""
    with Rogue(saying(answer(b'{"data":{}}'))) as rogue:
        rogue.cluster().consumer(Token(CI, Secret("s"))).get(f"/nodes?{name}=1&{name}=%20&x=")
        assert rogue.requests[-1].split(b" ")[1] == f"/api2/json/nodes?{name}=1&{name}=%20&x=".encode()


def test_names_cannot_leave_their_place_in_the_path() -> None:
    """A slash or a question mark in a name is a part of the name."""
    with Rogue(saying(answer(b'{"data":{}}'))) as rogue:
        cluster = rogue.cluster()
        for name in ("../users", "a?b=c", "a#b", "a%2Fb"):
            cluster.role(name)
        asked = [request.split(b" ")[1].removeprefix(b"/api2/json/access/roles/") for request in rogue.requests]
        assert asked == [b"..%2Fusers", b"a%3Fb%3Dc", b"a%23b", b"a%252Fb"]


def test_writes_wait_for_each_other(lab: Lab, watch: Watch) -> None:
    """Of many at once no two are under way at PVE at the same time, whose waiters poll once a second."""
    cluster = lab.cluster()
    cluster.own_permissions()
    names = [TokenId("svc@pve", f"t{number}") for number in range(12)]
    busy, met = threading.Lock(), []

    def alone(asked: object) -> None:
        if not busy.acquire(blocking=False):
            met.append(asked)
            return
        threading.Event().wait(0.005)
        busy.release()

    lab.pve.intercept = alone
    with ThreadPoolExecutor(8) as pool:
        for made in pool.map(lambda token: issued(cluster, watch, token), names):
            assert lab.pve.accepts(str(made.id), made.secret.reveal())
    assert met == []


def test_threads_do_not_mix_up_answers(lab: Lab) -> None:
    """Reads run side by side, each with its own connection, as whoever asks."""
    token = add_token(lab.pve, CI)
    cluster = lab.cluster()
    consumer = cluster.consumer(token)

    def look(number: int) -> bool:
        return (
            cluster.own_permissions() == lab.pve.permissions("op@pve")
            if number % 2
            else consumer.permissions() == lab.pve.permissions(str(CI))
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(look, range(80)))


def test_the_time_is_pves(lab: Lab) -> None:
    """The clock follows PVE's, not ours, and asks when it has seen no answer."""
    lab.pve.clock_offset = 86_400.0
    cluster = lab.cluster()
    told = cluster.now().timestamp()
    assert abs(told - lab.pve.now()) < 2
    assert [path for _, _, path in lab.asked()] == ["/version"]
    cluster.now()
    assert len(lab.pve.calls) == 1


def test_endpoints_are_told_with_their_port(lab: Lab) -> None:
    """Port 8006 is meant where none is given; an IPv6 address keeps its brackets."""
    cluster = lab.cluster(["pve1", "pve2:443", "[::1]", "[fe80::1%eth0]:8007"])
    assert list(cluster.endpoints) == ["pve1:8006", "pve2:443", "[::1]:8006", "[fe80::1%eth0]:8007"]


@pytest.mark.parametrize(
    "address", ["", "https://pve1", "pve1:", "pve1:0", "pve1:70000", "::1", "pve 1", "a..b:x", ".a"]
)
def test_what_is_no_endpoint_is_refused_at_once(address: str) -> None:
    """A mistake in the configuration is one, and nothing is contacted."""
    with pytest.raises(ConfigError, match="not an endpoint"):
        ProxmoxCluster("lab", [address], login=lambda: Token(CI, Secret("x")), trust=TlsTrust())


def test_a_cluster_needs_an_endpoint_and_knows_only_its_own(lab: Lab) -> None:
    """No endpoint, or somebody else's, is a mistake of the configuration."""
    with pytest.raises(ConfigError, match="no endpoint"):
        ProxmoxCluster("lab", [], login=lambda: lab.operator, trust=TlsTrust())
    with pytest.raises(ConfigError, match="not an endpoint of cluster lab"):
        lab.cluster().token_on("elsewhere:8006", CI)


def test_an_ipv6_endpoint_is_reached(lab: Lab) -> None:
    """Brackets are for reading, not for connecting."""
    lab.pve.close()
    lab.pve.start(("::1", 0))
    assert lab.addresses[0].startswith("[::1]:")
    assert "svc@pve" in lab.cluster().users()


def test_closing_twice_is_fine_and_ends_nothing_for_good(lab: Lab) -> None:
    """A closed adapter lets go of connections; a later call simply makes a new one."""
    cluster = lab.cluster()
    cluster.users()
    cluster.close()
    cluster.close()
    assert "svc@pve" in cluster.users()


def test_an_answer_of_another_shape_is_not_believed(lab: Lab) -> None:
    """A null where a list should be is said to be unexpected, instead of crashing."""
    lab.pve.intercept = lambda _: AnswerInstead(200, "OK")
    cluster = lab.cluster()
    for ask in (
        cluster.users,
        lambda: cluster.tokens("svc@pve"),
        lambda: cluster.role("x"),
        cluster.own_permissions,
        lambda: cluster.token_on(lab.addresses[0], CI),
        lambda: cluster.consumer(lab.operator).permissions(),
    ):
        with pytest.raises(Exception, match="unexpected for"):
            ask()


@pytest.mark.parametrize("name", [5, ["ci"], None])
def test_a_name_that_is_no_text_is_not_believed(name: object) -> None:
    """Whoever reads a token's name, or writes a node's, relies on its being one."""
    row = json.dumps({"data": [{"tokenid": name, "node": name}]}).encode()
    with Rogue(saying(answer(row))) as rogue:
        for ask in (lambda: rogue.cluster().tokens("svc@pve"), rogue.cluster().nodes):
            with pytest.raises(UnavailableError, match="unexpected for"):
                ask()
