"""Splitting a fleet by cluster: everything once, and little moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.faults import InvalidValueError
from rotator.shards import ALL, Shard

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=32)
COUNTS = st.integers(1, 12)


def home(cluster: str, count: int) -> int:
    """Say in which shard a cluster is."""
    (found,) = [index for index in range(count) if Shard(index, count).holds(cluster)]
    return found


@given(NAMES, COUNTS)
def test_every_cluster_is_in_exactly_one_shard(cluster: str, count: int) -> None:
    """Whatever it is called, and however many there are."""
    assert 0 <= home(cluster, count) < count


@given(NAMES, COUNTS)
def test_one_more_shard_takes_clusters_and_moves_no_others(cluster: str, count: int) -> None:
    """A cluster stays where it is, or goes to the new one."""
    assert home(cluster, count + 1) in {home(cluster, count), count}


def test_shards_are_of_like_size() -> None:
    """Of a thousand clusters none of four has fewer than 200."""
    homes = [home(f"c{number}", 4) for number in range(1000)]
    assert min(homes.count(index) for index in range(4)) > 200


@given(NAMES)
def test_without_shards_everything_is_here(cluster: str) -> None:
    """The usual case."""
    assert ALL.holds(cluster)


@given(COUNTS, st.data())
def test_what_is_written_is_read(count: int, data: st.DataObject) -> None:
    """``I/N``, or ``N`` with the index from elsewhere."""
    shard = Shard(data.draw(st.integers(0, count - 1)), count)
    assert Shard.parse(str(shard)) == Shard.parse(str(count), index=str(shard.index)) == shard


@pytest.mark.parametrize(
    "text", ["", "/", "0", "0/", "/3", "3/3", "-1/3", "0/0", "0/3/4", "\u0660/3", f"0/{'9' * 5000}"]
)
def test_what_is_no_shard_is_refused(text: str) -> None:
    """With what to write instead, however long it is."""
    with pytest.raises(InvalidValueError, match=r"^(?:not a|there is no) shard"):
        Shard.parse(text)
