"""What reading many credentials takes, as the allocator counts it: the same on every machine."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sized
from pathlib import Path

from rotator.config import InvalidConfigError
from tests.unit.config_world import config, read

FEW, MANY = 50, 550


def listed(count: int, overlap: str) -> str:
    """Write a configuration of so many credentials beside the one that is there anyway."""
    rest = f"cluster: home, every: 30d, overlap: {overlap}, grants: [{{path: /vms, role: PVEAuditor}}]"
    items = (f"{{name: t{at}, user: u{at}@pve, {rest}, destination: {{path: t{at}}}}}" for at in range(count))
    return config(more="".join(f"  - {item}\n" for item in items))


def measured(folder: Path, count: int, overlap: str = "1h") -> tuple[int, int]:
    """Read so many, and tell how many bytes stay in use and how many were at the most."""
    text = listed(count, overlap)
    tracemalloc.start()
    try:
        found = told(folder, text)
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) >= count
    return held, most


def told(folder: Path, text: str) -> Sized:
    """Read a configuration; returns its credentials, or what is wrong with it."""
    try:
        return read(folder, text).credentials
    except InvalidConfigError as error:
        return error.problems


def test_reading_a_credential_takes_two_kilobytes_and_leaves_one(tmp_path: Path) -> None:
    """Neither where it stands nor pydantic's model of it is kept until all are read: that would be ten."""
    measured(tmp_path, FEW)
    (few_held, few_most), (many_held, many_most) = measured(tmp_path, FEW), measured(tmp_path, MANY)
    assert (many_most - few_most) / (MANY - FEW) < 4_000
    assert (many_held - few_held) / (MANY - FEW) < 1_500


def test_reading_a_credential_that_is_wrong_takes_not_much_more(tmp_path: Path) -> None:
    """A service that is given a faulty file has to hold what was in force beside it."""
    measured(tmp_path, FEW, "99d")
    (_, few), (_, many) = measured(tmp_path, FEW, "99d"), measured(tmp_path, MANY, "99d")
    assert (many - few) / (MANY - FEW) < 4_000
