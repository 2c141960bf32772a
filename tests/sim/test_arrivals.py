"""Answers that do not arrive as they were sent, and somebody else who answers at a node's address."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from rotator.testing.pve import Arrival, Front, Request, Spoilt
from tests.sim.world import API, World

TOKEN = "/access/users/svc@pve/token/t1"


def asked(world: World, headers: Mapping[str, str], *, timeout: float = 10) -> tuple[int, bytes, str]:
    """Create a token over a connection of its own; return status, body and where a redirect leads."""
    host = urlsplit(world.pve.nodes[0].url).netloc
    link = http.client.HTTPSConnection(host, timeout=timeout, context=ssl.create_default_context(cafile=str(world.ca)))
    try:
        link.request("POST", API + TOKEN, headers=dict(headers))
        answer = link.getresponse()
        return answer.status, answer.read(), answer.headers["Location"] or ""
    finally:
        link.close()


def spoil(world: World, arrival: Arrival, *, is_done: bool = True) -> None:
    """Spoil the answer to every creation of a token."""
    spoilt = Spoilt(arrival, is_done)
    world.pve.intercept = lambda request: spoilt if request.method == "POST" and "/token/" in request.path else None


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize(
    ("arrival", "error"),
    [
        (Arrival.RESET, ConnectionResetError),
        (Arrival.SILENT, TimeoutError),
        (Arrival.CUT, http.client.IncompleteRead),
    ],
)
def test_an_answer_is_lost_whether_it_was_done_or_not(
    world: World, arrival: Arrival, error: type[Exception], *, is_done: bool
) -> None:
    """The client cannot tell, and the world can."""
    admin = world.admin
    spoil(world, arrival, is_done=is_done)
    with pytest.raises(error):
        asked(world, admin, timeout=0.5)
    assert world.pve.tokens("svc@pve") == (["t1"] if is_done else [])


def test_an_answer_that_drips_takes_longer_than_anybody_waits(world: World) -> None:
    """Each byte comes in time, the whole does not: the status line alone takes longer than this client waits in all."""
    admin = world.admin
    spoil(world, Arrival.DRIPPING)
    host, port = world.pve.nodes[0].endpoint.split(":")
    context = ssl.create_default_context(cafile=str(world.ca))
    with context.wrap_socket(socket.create_connection((host, int(port))), server_hostname=host) as link:
        lines = "".join(f"{name}: {value}\r\n" for name, value in admin.items())
        link.sendall(f"POST {API}{TOKEN} HTTP/1.1\r\n{lines}\r\n".encode())
        assert [link.recv(100) for _ in range(6)] == [b"H", b"T", b"T", b"P", b"/", b"1"]
    assert world.pve.tokens("svc@pve") == ["t1"]


def test_garbage_is_a_page_with_a_good_status(world: World) -> None:
    """As a proxy in between may show it."""
    admin = world.admin
    spoil(world, Arrival.GARBAGE)
    assert asked(world, admin) == (200, b"<html><h1>It works!</h1></html>", "")


def test_a_redirect_leads_elsewhere(world: World) -> None:
    """Whoever follows it shows the credential to somebody else."""
    admin = world.admin
    spoil(world, Arrival.REDIRECTED, is_done=False)
    assert asked(world, admin) == (302, b"", "https://127.0.0.1:1/login")
    assert world.pve.tokens("svc@pve") == []


@pytest.mark.parametrize(
    ("front", "error"),
    [
        (Front.STRANGER, ssl.SSLCertVerificationError),
        (Front.PLAIN, ssl.SSLError),
        (Front.RESET, OSError),
    ],
)
def test_somebody_else_answers_at_the_address_of_a_node(world: World, front: Front, error: type[Exception]) -> None:
    """No handshake comes about, until the node is itself again."""
    admin, node = world.admin, world.pve.nodes[0]
    node.front = front
    assert node.front is front
    with pytest.raises(error):
        asked(world, admin)
    assert world.pve.tokens("svc@pve") == []
    node.front = Front.ITSELF
    assert asked(world, admin)[0] == 200


def test_a_front_that_changes_within_a_request_lets_it_be_answered(world: World) -> None:
    """The kept connection ends behind the answer, and the next one meets somebody else."""
    headers, node = world.token("svc@pve", "t0"), world.pve.nodes[0]

    def turn(request: Request) -> None:
        node.front = Front.PLAIN if request.path == "/version" else node.front

    world.pve.intercept = turn
    link = http.client.HTTPSConnection(
        urlsplit(node.url).netloc, timeout=10, context=ssl.create_default_context(cafile=str(world.ca))
    )
    link.request("GET", f"{API}/version", headers=headers)
    answer = link.getresponse()
    assert (answer.status, answer.read() != b"") == (200, True)
    assert isinstance(link.sock, socket.socket)
    assert link.sock.recv(1) == b""
    link.close()
    with pytest.raises(ssl.SSLError):
        asked(world, headers)


def test_a_node_that_goes_down_within_a_request_still_answers_it(world: World) -> None:
    """It is the last one."""
    headers, node = world.token("svc@pve", "t0"), world.pve.nodes[0]

    def leave(_request: Request) -> None:
        node.down = True

    world.pve.intercept = leave
    assert world.ask("GET", "/version", headers).status_code == 200
    with pytest.raises(OSError, match="refused"):
        asked(world, headers)
