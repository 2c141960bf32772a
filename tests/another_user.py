"""What somebody meets who is not root, whoever runs the tests."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

SOMEBODY = 65534
"""The id of a user and of a group that own nothing."""

Scenario = Callable[[Path, bool], None]


def as_a_user(prepare: Callable[[Path], None], scenario: Scenario) -> None:
    """Run a scenario as a user that is not root, in a process of its own.

    It works in a folder of its own, in which ``prepare`` has worked as whoever runs the test; it is told whether that
    was root.
    """
    process = multiprocessing.get_context("spawn").Process(target=_as_a_user, args=(prepare, scenario))
    process.start()
    process.join()
    assert process.exitcode == 0


def _as_a_user(prepare: Callable[[Path], None], scenario: Scenario) -> None:
    is_root = os.geteuid() == 0
    folder = Path(tempfile.mkdtemp())
    prepare(folder)
    folder.chmod(0o755)
    if is_root:
        os.chown(folder, SOMEBODY, SOMEBODY)
    child = os.fork()
    if child == 0:
        os._exit(_done_as_somebody(scenario, folder, is_root=is_root))
    _, ending = os.waitpid(child, 0)
    shutil.rmtree(folder)
    assert ending == 0


def _done_as_somebody(scenario: Scenario, folder: Path, *, is_root: bool) -> int:
    if is_root:
        os.setgroups([])
        os.setgid(SOMEBODY)
        os.setuid(SOMEBODY)
    try:
        scenario(folder, is_root)
    finally:
        folder.chmod(0o755)
    return 0
