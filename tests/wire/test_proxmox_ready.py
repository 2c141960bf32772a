"""A change may go out on a connection that was made ready a moment before, and never on one that may be closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from rotator.proxmox_answer import Call
from rotator.proxmox_tls import TlsTrust
from rotator.proxmox_wire import Endpoint, NotConnectedError, Request
from rotator.testing.pve import SimulatedPve

SOON = timedelta(seconds=5)


@dataclass
class Wire:
    """One node, an endpoint that speaks to it, and a clock of the endpoint's."""

    pve: SimulatedPve
    endpoint: Endpoint
    now: list[float]
    secret: str = field(repr=False)

    def change(self) -> int:
        """Send a change and return its status."""
        call = Call("home", str(self.endpoint), "PUT", "/access/users/op@pve/token/t1", "op@pve!t1")
        headers = {
            "Authorization": f"PVEAPIToken={quote('op@pve!t1', safe='@!')}={self.secret}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        target = "/api2/json/access/users/op@pve/token/t1"
        return self.endpoint.exchange(Request(call, target, headers, "comment=new")).status_code

    @property
    def connections(self) -> int:
        """Count the connections that came about."""
        return self.pve.pacer.connections


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """Start a node."""
    with SimulatedPve() as pve:
        pve.add_user("op@pve")
        pve.grant("/", "Administrator", user="op@pve")
        secret = pve.add_token("op@pve", "t1", privsep=False)
        (tmp_path / "ca.pem").write_bytes(pve.ca_pem)
        now = [0.0]
        endpoint = Endpoint(
            pve.nodes[0].endpoint, TlsTrust(tmp_path / "ca.pem"), connect=SOON, read=SOON, monotonic=lambda: now[0]
        )
        yield Wire(pve, endpoint, now, secret)
        endpoint.close()


def test_a_change_takes_the_connection_that_was_made_ready(wire: Wire) -> None:
    """And the next one, for which there is none, connects for itself."""
    wire.endpoint.make_ready()
    assert (wire.change(), wire.connections) == (200, 1)
    assert (wire.change(), wire.connections) == (200, 2)


def test_one_that_was_made_ready_long_ago_is_not_used(wire: Wire) -> None:
    """PVE closes a connection after 5 s without a request, and a change on a closed one has an unknown outcome."""
    wire.endpoint.make_ready()
    wire.now[0] = 3.0
    assert (wire.change(), wire.connections) == (200, 2)


def test_what_nobody_used_is_let_go_of_when_the_next_is_made(wire: Wire) -> None:
    """As after a change that failed while others waited: PVE keeps a place for each connection that is open."""
    for _ in range(3):
        wire.endpoint.make_ready()
    wire.now[0] = 3.0
    wire.endpoint.make_ready()
    assert len(wire.endpoint._ready) == 1  # noqa: SLF001 - nobody else sees what lies ready
    assert (wire.change(), wire.connections) == (200, 4)


def test_one_that_the_node_has_closed_is_not_used(wire: Wire) -> None:
    """As when its worker is replaced, or the node was down for a moment."""
    wire.endpoint.make_ready()
    wire.pve.nodes[0].down = True
    wire.pve.nodes[0].down = False
    assert wire.change() == 200
    assert [call.status for call in wire.pve.calls] == [200]


def test_a_node_that_is_down_is_told_by_the_change(wire: Wire) -> None:
    """To make ready fails silently; nothing was sent by either."""
    wire.pve.nodes[0].down = True
    wire.endpoint.make_ready()
    with pytest.raises(NotConnectedError, match="connection refused"):
        wire.change()


def test_what_was_made_ready_ends_with_the_rest(wire: Wire) -> None:
    """No connection is left open for the interpreter to complain of."""
    wire.endpoint.make_ready()
    wire.endpoint.close()
    assert (wire.change(), wire.connections) == (200, 2)


def test_what_another_thread_lets_go_of_meanwhile_is_missed_by_nobody(wire: Wire, tmp_path: Path) -> None:
    """Several threads make connections ready for one endpoint, and one may take what the other is looking at."""
    ends: list[Endpoint] = []

    def interrupted() -> float:
        if ends:
            ends.pop().close()
        return 0.0

    endpoint = Endpoint(
        str(wire.endpoint), TlsTrust(tmp_path / "ca.pem"), connect=SOON, read=SOON, monotonic=interrupted
    )
    endpoint.make_ready()
    ends.append(endpoint)
    endpoint.make_ready()
    endpoint.close()
    assert wire.connections == 2
