"""A simulated year of a hundred credentials, with failures; ``tests.service.year`` is a command for more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.service.year import NIGHT, PROMPT, Rotation, Year, live


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    """Live through it."""
    return live(tmp_path_factory.mktemp("year"), credentials=100)


def test_a_year_of_a_hundred_credentials_goes_by_on_time(year: Year) -> None:
    """Rotated when due, or soon after what failed; no drift, no overlap; the metrics agree with the events."""
    assert list(year.broken_promises()) == []
    assert len(year.rotations) > 200
    assert year.failed > 20
    assert year.prompt > 0.8
    assert year.standing["well"] >= 98
    assert sum(it.is_disturbed for it in year.rotations) < 50


def test_what_would_be_broken_is_told(year: Year) -> None:
    """A check that finds nothing in anything proves nothing."""
    late, early = (replace(year.rotations[0], late=it, held=timedelta()) for it in (2 * PROMPT, -2 * PROMPT))
    worst = replace(year.rotations[0], late=NIGHT + 2 * PROMPT, held=NIGHT)
    drifting = tuple(
        Rotation("ci", it.due, timedelta(seconds=number / 50))
        for number, it in enumerate(sorted(year.rotations, key=lambda it: it.due))
    )
    for broken, word in (
        (replace(year, rotations=(*year.rotations, late)), "nothing had failed"),
        (replace(year, rotations=(*year.rotations, early)), "before it was due"),
        (replace(year, rotations=(*year.rotations, worst)), "its tries failed"),
        (replace(year, rotations=drifting), "rotations drift"),
        (replace(year, overlaps=1), "runs overlap"),
        (replace(year, disagreements=("x",)), "x"),
        (replace(year, astray=("c1",)), "looks at c1 drift"),
        (replace(year, tokens=3), "3 tokens"),
    ):
        assert any(word in it for it in broken.broken_promises())
