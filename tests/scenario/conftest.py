"""Worlds to plant situations in, each scenario once for every store that records may be in.

``@pytest.mark.stores("file", because="...")`` names the stores of a scenario that is not about all of them. None is
left out for the time that it takes: crashes and invariants, which look at a record before and after each call, take 1.1
times as long in Kubernetes as in files, 1.4 times in Vault, 2.1 times in AWS (``--durations=0`` of the two, summed by
store). The variable ``ROTATE_TEST_STORES`` narrows the stores of a whole run, ``file`` always among them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.stores import STORES, Place
from tests.world import World, world

WANTED = {"file", *(os.environ.get("ROTATE_TEST_STORES", "").split() or STORES)}


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "stores(*names, because): the scenario is run with these stores only")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each scenario and store."""
    if "place" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("stores")
        kinds = mark.args if mark and mark.kwargs["because"] else STORES
        metafunc.parametrize("place", [kind for kind in kinds if kind in WANTED], indirect=True)


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Place]]:
    """Open each store when the first scenario wants it, for all of this process."""
    places: dict[str, Place] = {}
    with ExitStack() as stack:

        def place(kind: str) -> Place:
            if kind not in places:
                places[kind] = stack.enter_context(STORES[kind](tmp_path_factory.mktemp(kind)))
            return places[kind]

        yield place


@pytest.fixture
def place(request: pytest.FixtureRequest, opened: Callable[[str], Place]) -> Place:
    """Return the store of this test."""
    return opened(request.param)


@pytest.fixture
def w(tmp_path: Path, place: Place, watch: Callable[[str], None]) -> Iterator[World]:
    """Return a world of one node whose secrets the canary knows."""
    tmp_path.chmod(0o700)
    with world(tmp_path, records=place(tmp_path), watch=watch) as made:
        yield made


@pytest.fixture
def w3(tmp_path: Path, place: Place, watch: Callable[[str], None]) -> Iterator[World]:
    """Return a world of three nodes."""
    tmp_path.chmod(0o700)
    with world(tmp_path, records=place(tmp_path), nodes=3, watch=watch) as made:
        yield made
