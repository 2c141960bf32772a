"""One daemon and one image for all tests of this folder, which one process therefore runs: ``make test-container``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.container.daemon import Docker, daemon
from tests.system.container.hub import hub
from tests.system.container.image import build


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    """Return a daemon that holds the image."""
    with hub() as registry, daemon(registry.url) as made:
        build(made, registry)
        yield made
