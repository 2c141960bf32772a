"""Durations are whole numbers with units, and come back as they were written."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.durations import LONGEST, parse_duration, parse_positive_duration, spell_duration
from rotator.faults import InvalidValueError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("12h", 43_200),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
        ("1d12h", 129_600),
        ("3650d", 315_360_000),
    ],
)
def test_units_mean_what_they_say(text: str, seconds: int) -> None:
    """Each by itself, and the largest first together."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "d",
        "1",
        1,
        1.5,
        True,
        None,
        [],
        "1.5h",
        "-1h",
        "1 h",
        "12h1d",
        "1h1h",
        "1H",
        "1M",
        "P1D",
        "1d\n",
        "\u0661d",
        "9" * 30 + "d",
        "3651d",
    ],
)
def test_anything_else_is_refused(value: object) -> None:
    """Nothing is guessed: no unit, no fraction, no sign, no other order, no ISO 8601, nothing beyond ten years."""
    with pytest.raises(InvalidValueError) as caught:
        parse_duration(value)
    assert caught.value.advice


def test_nothing_is_a_duration_only_where_it_makes_sense() -> None:
    """An interval of nothing would rotate without end."""
    with pytest.raises(InvalidValueError, match="nothing is not a duration here"):
        parse_positive_duration("0d")
    assert parse_positive_duration("1s") == timedelta(seconds=1)
    assert parse_duration("0s") == timedelta()


@given(st.timedeltas(timedelta(), LONGEST).map(lambda duration: timedelta(seconds=int(duration.total_seconds()))))
def test_what_is_spelled_is_read_back(duration: timedelta) -> None:
    """Messages advise only what is accepted."""
    assert parse_duration(spell_duration(duration)) == duration
