"""How long a connection lives, and what is left of a server that was closed."""

from __future__ import annotations

import hashlib
import http.client
import socket
import ssl
from collections.abc import Iterator
from threading import enumerate as threads
from urllib.parse import urlsplit

import pytest
import requests

from rotator.testing.pve import HangUpBefore, SimulatedPve
from tests.sim.world import API, World


@pytest.fixture
def link(world: World) -> Iterator[http.client.HTTPSConnection]:
    """Return one connection that stays as long as PVE lets it."""
    host = urlsplit(world.pve.nodes[0].url).netloc
    link = http.client.HTTPSConnection(host, timeout=10, context=ssl.create_default_context(cafile=str(world.ca)))
    yield link
    link.close()


def answered(link: http.client.HTTPSConnection, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Send a request on a kept connection; return status and what the answer says of the connection."""
    link.request(method, API + path, headers=headers)
    answer = link.getresponse()
    answer.read()
    return answer.status, str(answer.getheader("Connection"))


def test_a_connection_is_kept_for_one_hundred_requests(link: http.client.HTTPSConnection, world: World) -> None:
    """The last answer says close (measured)."""
    token = world.token("svc@pve")
    said = [answered(link, "GET", "/version", token)[1] for _ in range(100)]
    assert said == ["Keep-Alive"] * 99 + ["close"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_changing_calls_close(world: World, method: str) -> None:
    """Answers to POST, PUT and DELETE carry Connection: close (measured)."""
    if method != "POST":
        world.pve.add_token("svc@pve", "t1")
    answer = world.ask(method, "/access/users/svc@pve/token/t1", world.admin)
    assert (answer.status_code, answer.headers["Connection"]) == (200, "close")


@pytest.mark.parametrize("path", ["/access/users", "/access/users?full=1", "/cluster/status"])
def test_reads_of_the_daemon_close(world: World, path: str) -> None:
    """What pveproxy hands on to its daemon closes the connection (measured)."""
    answer = world.ask("GET", path, world.admin)
    assert (answer.status_code, answer.headers["Connection"]) == (200, "close")


def test_errors_close(link: http.client.HTTPSConnection, world: World) -> None:
    """Every status of 400 and above (measured)."""
    token = world.token("svc@pve")
    assert answered(link, "GET", "/version?foo=1", token) == (400, "close")
    assert answered(link, "GET", "/cluster/status", token) == (403, "close")


def test_an_idle_connection_is_closed(link: http.client.HTTPSConnection, world: World) -> None:
    """After 5.0 s without a request (measured); here after less."""
    assert world.pve.keep_alive == 5.0
    world.pve.keep_alive = 0.05
    assert answered(link, "GET", "/version", world.token("svc@pve"))[0] == 200
    assert isinstance(link.sock, socket.socket)
    assert link.sock.recv(1) == b""


def test_a_kept_connection_can_end_at_any_time(link: http.client.HTTPSConnection, world: World) -> None:
    """A worker of pveproxy is replaced after 1,000 requests (measured)."""
    token = world.token("svc@pve")
    assert answered(link, "GET", "/version", token) == (200, "Keep-Alive")
    world.pve.intercept = lambda _request: HangUpBefore()
    with pytest.raises(http.client.RemoteDisconnected):
        answered(link, "GET", "/version", token)


def test_requests_may_follow_each_other_at_once(link: http.client.HTTPSConnection, world: World) -> None:
    """What came behind the first request is the next one."""
    token = world.token("svc@pve")["Authorization"]
    one = f"GET {API}/version HTTP/1.1\r\nAuthorization: {token}\r\n\r\n"
    link.connect()
    assert link.sock is not None
    link.sock.sendall((one + one.replace("1.1", "1.0")).encode())
    answers = b"".join(iter(lambda: link.sock.recv(65536) if link.sock else b"", b""))
    assert answers.count(b"HTTP/1.1 200 OK") == 2


def test_the_certificate_is_the_one_that_is_shown(world: World) -> None:
    """Its fingerprint is SHA-256 as PVE shows it, and the authority vouches for localhost too."""
    port = urlsplit(world.pve.nodes[0].url).port
    context = ssl.create_default_context(cafile=str(world.ca))
    with (
        socket.create_connection(("127.0.0.1", int(port or 0)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as link,
    ):
        der = link.getpeercert(binary_form=True)
    assert der is not None
    assert world.pve.fingerprint.replace(":", "") == hashlib.sha256(der).hexdigest().upper()
    assert len(world.pve.fingerprint) == 95


def serving() -> int:
    """Count the threads of simulated servers; each test closes its own."""
    return sum(thread.name == "simulated-pve" for thread in threads())


def test_nothing_is_left_of_a_closed_server(world: World, link: http.client.HTTPSConnection) -> None:
    """No thread, also none of a connection that is still open; a second close does nothing."""
    answered(link, "GET", "/version", world.token("svc@pve"))
    assert serving() >= 2
    world.pve.close()
    assert serving() == 0
    world.pve.close()


def test_a_port_that_is_taken_is_an_error(world: World) -> None:
    """And nothing is left half started."""
    port = int(world.pve.nodes[0].endpoint.rpartition(":")[2])
    before = serving()
    with pytest.raises(OSError, match="in use"):
        SimulatedPve(nodes=2).start(("127.0.0.1", port))
    assert serving() == before


def test_a_node_that_is_down_refuses_connections_and_keeps_its_port(world: World) -> None:
    """Up again, it is found where it was."""
    token, node = world.token("svc@pve"), world.pve.nodes[0]
    url = node.url
    node.down = True
    with pytest.raises(requests.ConnectionError, match="refused"):
        world.ask("GET", "/version", token)
    node.down = False
    assert node.url == url
    assert world.ask("GET", "/version", token).status_code == 200


def test_a_node_can_go_down_in_the_middle_of_a_request(world: World) -> None:
    """The client sees its connection end."""

    def crash(_request: object) -> HangUpBefore:
        world.pve.nodes[0].down = True
        return HangUpBefore()

    world.pve.intercept = crash
    with pytest.raises(requests.ConnectionError):
        world.ask("GET", "/version", world.token("svc@pve"))
    assert world.pve.nodes[0].down
