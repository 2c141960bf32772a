"""What reading many credentials takes, as the allocator counts it: the same on every machine."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from tests.unit.config_world import config, read

FEW, MANY = 50, 550


def listed(count: int) -> str:
    """Write a configuration of so many credentials beside the one that is there anyway."""
    rest = "cluster: home, every: 30d, overlap: 1h, grants: [{path: /vms, role: PVEAuditor}]"
    items = (f"{{name: t{at}, user: u{at}@pve, {rest}, destination: {{path: t{at}}}}}" for at in range(count))
    return config(more="".join(f"  - {item}\n" for item in items))


def measured(folder: Path, count: int) -> tuple[int, int]:
    """Read so many, and tell how many bytes stay in use and how many were at the most."""
    text = listed(count)
    tracemalloc.start()
    try:
        settings = read(folder, text)
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(settings.credentials) == count + 1
    return held, most


def test_reading_a_credential_takes_two_kilobytes_and_leaves_one(tmp_path: Path) -> None:
    """Neither where it stands nor pydantic's model of it is kept until all are read: that would be ten."""
    measured(tmp_path, FEW)
    (few_held, few_most), (many_held, many_most) = measured(tmp_path, FEW), measured(tmp_path, MANY)
    assert (many_most - few_most) / (MANY - FEW) < 4_000
    assert (many_held - few_held) / (MANY - FEW) < 1_000
