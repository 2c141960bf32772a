"""A world in memory, and what stands around the calls of a run in it."""

from __future__ import annotations

import pytest

from tests.explore.calls import Calls
from tests.explore.world import World


@pytest.fixture
def w() -> World:
    """Give a world in memory."""
    return World()


@pytest.fixture
def calls() -> Calls:
    """Give what stands around calls, and lets all through."""
    return Calls()
