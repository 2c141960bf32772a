"""With real latencies each call takes what it was measured to take, and writers wait for each other as PVE's do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rotator.testing.latency import COULD_NOT_LOCK, ONE_NODE, THREE_NODES, Latency, WriteLock
from rotator.testing.pve import RefusalError, SimulatedPve
from tests.sim.conftest import people
from tests.sim.world import Clock, World

TOKEN = "/access/users/svc@pve/token/t1"
CALLS = {
    ("GET", "/version"): 1.7,
    ("GET", "/access/permissions"): 1.9,
    ("GET", "/access/users?full=1"): 1.6,
    ("POST", TOKEN): 12.9,
    ("PUT", "/access/acl"): 11.6,
    ("PUT", TOKEN): 9.0,
    ("DELETE", TOKEN): 12.6,
}
"""The medians on one node in milliseconds; an update took between 8 and 10."""
FORMS = {"/access/acl": {"path": "/vms", "roles": "PVEAuditor", "tokens": "svc@pve!t1"}, TOKEN: {"comment": "new"}}


@pytest.fixture
def slow(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[World]:
    """Return a cluster that is as slow as a real one, by a clock that stands still and sleeps that do not last."""
    clock, slept = Clock(), list[float]()
    pve = SimulatedPve(clock=clock, sleep=slept.append, latency=ONE_NODE, monotonic=lambda: 0.0)
    people(pve)
    (tmp_path / "ca.pem").write_bytes(pve.ca_pem)
    with pve:
        yield World(pve, clock, tmp_path / "ca.pem", watch, slept)


def test_each_call_takes_its_median_and_a_fresh_connection_comes_on_top(slow: World) -> None:
    """The table that was measured, call by call, on a connection of its own each."""
    admin, seen = slow.admin, {}
    for method, path in CALLS:
        slow.slept.clear()
        form = FORMS.get(path) if method == "PUT" else None
        assert slow.ask(method, path, admin, form).status_code == 200
        connecting, calling = slow.slept
        assert connecting == pytest.approx(0.0028)
        seen[method, path] = round(calling * 1000, 6)
    assert seen == CALLS


@pytest.mark.parametrize(
    ("call", "milliseconds"), [(("POST", TOKEN), 21), (("DELETE", TOKEN), 15), (("PUT", "/access/acl"), 18)]
)
def test_three_nodes_take_longer(call: tuple[str, str], milliseconds: float) -> None:
    """Corosync has to agree: what was measured on a cluster of three."""
    assert THREE_NODES.of(*call) == pytest.approx(milliseconds / 1000)


def test_without_latency_nothing_sleeps(world: World) -> None:
    """Tests are not slowed down unless they ask for it."""
    world.create(world.admin, "t1")
    assert world.slept == []


def test_a_waiter_looks_once_a_second() -> None:
    """Somebody who gives the lock back a moment after the look keeps the waiter waiting for the rest of the second."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            lock.release()

    lock = WriteLock(sleep)
    assert lock.acquire() == 0
    assert lock.acquire() == 3
    assert slept == [1, 1, 1]


def test_a_waiter_gives_up_after_ten_seconds() -> None:
    """9.9 s, then PVE's own words."""
    slept: list[float] = []
    lock = WriteLock(slept.append)
    lock.acquire()
    with pytest.raises(RefusalError, match=COULD_NOT_LOCK):
        lock.acquire()
    assert sum(slept) == pytest.approx(9.9)


def test_the_lock_is_free_after_a_call_that_fails(slow: World) -> None:
    """A change that PVE refuses inside of its lock keeps nobody else from changing something."""
    admin = slow.admin
    assert slow.create(admin, "t1").status_code == 200
    assert slow.create(admin, "t1").status_code == 400
    slow.slept.clear()
    assert slow.create(admin, "t2").status_code == 200
    assert max(slow.slept) < 1


def test_waiting_for_the_lock_comes_on_top_of_the_call(tmp_path: Path, watch: Callable[[str], None]) -> None:
    """A second writer sleeps until the lock is free and then needs as long as if it had been alone."""
    slept: list[float] = []
    clock = Clock()
    latency = Latency(connect=0, verify=0, read=0, permissions=0, create=0.5, update=0, delete=0, acl=0)

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if slept == [1]:
            pve.pacer.free()

    pve = SimulatedPve(clock=clock, sleep=sleep, latency=latency, monotonic=lambda: sum(slept))
    people(pve)
    (tmp_path / "ca.pem").write_bytes(pve.ca_pem)
    with pve:
        world = World(pve, clock, tmp_path / "ca.pem", watch)
        pve.pacer.seize()
        assert world.create(world.admin, "t1").status_code == 200
    assert slept == [1, 0.5]
