"""The cluster that the tests of the simulated PVE speak to: one node, three people, one group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rotator.testing.pve import SimulatedPve
from tests.sim.world import PASSWORD, Clock, World


def people(pve: SimulatedPve) -> None:
    """Put in an Administrator, svc@pve in the group rotated, and plain@pve who may do nothing."""
    pve.add_group("rotated")
    pve.add_user("admin@pve", password=PASSWORD)
    pve.add_user("svc@pve", password=PASSWORD, groups=["rotated"])
    pve.add_user("plain@pve", password=PASSWORD)
    pve.grant("/", "Administrator", user="admin@pve")


@pytest.fixture
def world_of(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Callable[[int], World]]:
    """Return the function that starts a cluster of so many nodes; it ends with the test."""
    started: list[SimulatedPve] = []

    def start(nodes: int) -> World:
        clock, slept = Clock(), list[float]()
        pve = SimulatedPve(nodes=nodes, clock=clock, refusal_delay=3.0, sleep=slept.append)
        people(pve)
        ca = tmp_path / "ca.pem"
        ca.write_bytes(pve.ca_pem)
        pve.start()
        started.append(pve)
        return World(pve, clock, ca, watch, slept)

    yield start
    for pve in started:
        pve.close()


@pytest.fixture
def world(world_of: Callable[[int], World]) -> World:
    """Return a cluster of one node."""
    return world_of(1)


@pytest.fixture
def trio(world_of: Callable[[int], World]) -> World:
    """Return a cluster of three nodes."""
    return world_of(3)
