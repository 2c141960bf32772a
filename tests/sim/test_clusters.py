"""Several nodes: what one does and the others know."""

from __future__ import annotations

import hashlib
import ssl
from email.utils import parsedate_to_datetime

from rotator.testing.pve import SimulatedPve
from tests.sim.world import NOW, World, shown

NO_QUORUM = "cfs-lock 'file-user_cfg' error: no quorum!"
TOKENS = "/access/users/svc@pve/token"


def statuses(world: World, headers: dict[str, str]) -> list[int]:
    """Log in at every node."""
    return [world.ask("GET", "/version", headers, node=node).status_code for node in range(3)]


def test_what_one_node_does_all_know_at_once(trio: World) -> None:
    """Created, regenerated, deleted: effective everywhere immediately (measured: no miss in 230 tries)."""
    admin = trio.admin
    secret = trio.create(admin, "t1").json()["data"]["value"]
    assert statuses(trio, shown("svc@pve!t1", secret)) == [200, 200, 200]
    again = trio.ask("PUT", f"{TOKENS}/t1", admin, {"regenerate": "1"}, node=1).json()["data"]["value"]
    assert statuses(trio, shown("svc@pve!t1", secret)) == [401, 401, 401]
    assert statuses(trio, shown("svc@pve!t1", again)) == [200, 200, 200]
    trio.ask("DELETE", f"{TOKENS}/t1", admin, node=2)
    assert statuses(trio, shown("svc@pve!t1", again)) == [401, 401, 401]


def test_a_ticket_works_on_all_nodes(trio: World) -> None:
    """Its key is the cluster's (measured)."""
    assert statuses(trio, trio.ticket("svc@pve", node=2)) == [200, 200, 200]


def test_the_nodes_are_named_and_counted(trio: World) -> None:
    """/nodes and /cluster/status know who is up; each node knows itself."""
    admin = trio.admin
    trio.pve.nodes[2].down = True
    nodes = trio.ask("GET", "/nodes", admin).json()["data"]
    assert {row["node"]: row["status"] for row in nodes} == {"pve1": "online", "pve2": "online", "pve3": "offline"}
    rows = trio.ask("GET", "/cluster/status", admin, node=1).json()["data"]
    assert [row["name"] for row in rows if row.get("local")] == ["pve2"]
    assert rows[0] | {"quorate": 1} == rows[0]
    assert trio.ask("GET", "/nodes/pve1/time", admin).json()["data"]["time"] == int(NOW)
    assert trio.ask("GET", "/nodes/pve9/status", admin).status_code == 500


def test_a_lagging_node_learns_late(trio: World) -> None:
    """A double of a slower cluster: until the lag is over the others neither accept nor show the token."""
    admin = trio.admin
    trio.pve.lag = 2.0
    secret = trio.create(admin, "t1").json()["data"]["value"]
    token = shown("svc@pve!t1", secret)
    assert statuses(trio, token) == [200, 401, 401]
    assert trio.ask("GET", f"{TOKENS}/t1", admin, node=1).status_code == 500
    assert trio.pve.accepts("svc@pve!t1", secret, node=0)
    assert not trio.pve.accepts("svc@pve!t1", secret, node=1)
    trio.clock.now = NOW + 2
    assert statuses(trio, token) == [200, 200, 200]


def test_a_lagging_deletion_leaves_the_token_alive_elsewhere(trio: World) -> None:
    """Until the lag is over."""
    token, admin = trio.token("svc@pve"), trio.admin
    trio.pve.lag = 2.0
    trio.clock.now = NOW + 10
    trio.ask("DELETE", f"{TOKENS}/t1", admin)
    assert statuses(trio, token) == [401, 200, 200]
    trio.clock.now = NOW + 12
    assert statuses(trio, token) == [401, 401, 401]


def test_a_race_lost_inside_the_lock_is_a_500(trio: World) -> None:
    """The loser saw no such token, and meets it under the lock (measured)."""
    admin = trio.admin
    trio.pve.lag = 2.0
    trio.create(admin, "t1")
    answer = trio.ask("POST", f"{TOKENS}/t1", admin, node=1)
    assert (answer.status_code, answer.reason) == (500, "generating token failed: Token already exists.")


def test_a_node_without_quorum_goes_on_with_what_it_knew(trio: World) -> None:
    """It accepts a token that is deleted elsewhere, refuses a new one, and serves reads and logins (measured)."""
    old, admin = trio.token("svc@pve"), trio.admin
    trio.pve.nodes[2].quorate = False
    trio.ask("DELETE", f"{TOKENS}/t1", admin)
    new = shown("svc@pve!t2", trio.create(admin, "t2").json()["data"]["value"])
    assert statuses(trio, old) == [401, 401, 200]
    assert statuses(trio, new) == [200, 200, 401]
    assert [row["tokenid"] for row in trio.ask("GET", TOKENS, admin, node=2).json()["data"]] == ["t1"]
    assert trio.ask("GET", "/version", trio.ticket("svc@pve", node=2), node=2).status_code == 200
    assert not trio.ask("GET", "/cluster/status", admin, node=2).json()["data"][0]["quorate"]


def test_a_node_without_quorum_cannot_write(trio: World) -> None:
    """After 9.9 s a 500 that says so; nothing has happened (measured)."""
    admin = trio.admin
    trio.pve.nodes[2].quorate = False
    answer = trio.ask("POST", f"{TOKENS}/t1", admin, node=2)
    assert (answer.status_code, answer.reason) == (500, f"generating token failed: {NO_QUORUM}")
    assert trio.slept == [9.9]
    assert trio.pve.tokens("svc@pve") == []


def test_a_node_that_rejoins_catches_up(trio: World) -> None:
    """With what the majority did meanwhile (measured: after about 3 s)."""
    old, admin = trio.token("svc@pve"), trio.admin
    trio.pve.nodes[2].quorate = False
    trio.ask("DELETE", f"{TOKENS}/t1", admin)
    trio.pve.nodes[2].quorate = True
    assert trio.pve.nodes[2].quorate
    assert statuses(trio, old) == [401, 401, 401]
    assert trio.ask("POST", f"{TOKENS}/t1", admin, node=2).status_code == 200


def test_what_a_test_plants_is_known_everywhere_but_behind_the_cut(trio: World) -> None:
    """Lag does not hold it up, a missing quorum does."""
    trio.pve.lag = 60.0
    trio.pve.nodes[2].quorate = False
    assert statuses(trio, trio.token("svc@pve")) == [200, 200, 401]


def test_a_clock_that_goes_back_hides_nothing() -> None:
    """A node always knows something."""
    times = [100.0]
    pve = SimulatedPve(nodes=2, clock=lambda: times[-1], lag=5.0)
    pve.add_user("u@pve")
    times.append(1.0)
    assert pve.cluster.view(1).users.keys() >= {"root@pam"}


def test_a_node_has_a_clock_of_its_own(trio: World) -> None:
    """Its `Date`, and what it takes for expired, go by it; the others do not notice."""
    trio.pve.nodes[1].clock_offset = 90.0
    ending = trio.token("svc@pve", expire=int(NOW) + 60)
    dates = [trio.ask("GET", "/access/domains", node=node).headers["Date"] for node in range(3)]
    assert [parsedate_to_datetime(date).timestamp() - int(NOW) for date in dates] == [0, 90, 0]
    assert statuses(trio, ending) == [200, 401, 200]


def test_a_renewed_certificate_has_another_fingerprint_and_the_same_authority(world: World) -> None:
    """Who trusts the authority notices nothing; who has pinned the old one does."""
    before = world.pve.fingerprint
    world.pve.renew_certificate()
    assert world.ask("GET", "/access/domains").status_code == 200
    host, _, port = world.pve.nodes[0].endpoint.rpartition(":")
    seen = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port))))
    assert hashlib.sha256(seen).digest().hex(":").upper() == world.pve.fingerprint != before


def test_a_node_forgets_nothing_when_the_lag_grows(trio: World) -> None:
    """It learns later of what comes, and still knows what it knew."""
    secret = trio.pve.add_token("svc@pve", "t1")
    trio.watch(secret)
    trio.clock.now += 10
    created = trio.create(trio.admin, "t2").json()["data"]["value"]
    trio.watch(created)
    assert trio.pve.accepts("svc@pve!t2", created, node=1)
    trio.pve.lag = 60.0
    assert trio.pve.accepts("svc@pve!t2", created, node=1)
    later = trio.create(trio.admin, "t3").json()["data"]["value"]
    trio.watch(later)
    assert not trio.pve.accepts("svc@pve!t3", later, node=1)
    trio.clock.now += 60
    assert trio.pve.accepts("svc@pve!t3", later, node=1)
