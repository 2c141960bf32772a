"""A simulated year of a hundred credentials, with failures; ``tests.service.year`` is a command for more."""

from __future__ import annotations

from pathlib import Path

from tests.service.year import NIGHT, PROMPT, live


def test_a_year_of_a_hundred_credentials_goes_by_on_time(tmp_path: Path) -> None:
    """Everybody is rotated when due, or soon after what failed; no drift, no two runs at once, nothing left behind."""
    year = live(tmp_path, credentials=100)
    assert len(year.late) > 200
    assert year.failed > 20
    assert min(year.late) > -PROMPT
    assert max(year.late) < 2 * NIGHT
    assert year.prompt > 0.8
    assert (year.overlaps, year.broken, year.bugs) == (0, 0, 0)
    assert year.tokens <= 2
    assert year.standing["well"] >= 98
