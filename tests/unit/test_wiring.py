"""What a fleet is made of is let go of at its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rotator.wiring import open_fleet
from tests.unit.config_world import Shelf, config, read


class Breaking(Shelf):
    """Somebody's own store, which breaks when it is closed."""

    def close(self) -> None:
        """Break."""
        raise RuntimeError


@pytest.mark.parametrize("breaks_first", [True, False])
def test_a_store_that_breaks_when_it_is_closed_keeps_no_other_open(tmp_path: Path, *, breaks_first: bool) -> None:
    """Whichever is closed first; and what broke is told."""
    whole, broken = Shelf({}), Breaking({})
    stores = {"a": broken, "b": whole} if breaks_first else {"a": whole, "b": broken}
    settings = replace(read(tmp_path, config()), backends=stores)
    with pytest.raises(RuntimeError), open_fleet(settings, lambda _: None):
        pass
    assert whole.closed == 1
