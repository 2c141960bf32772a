"""What a killed writer leaves beside a record, and who removes it."""

from __future__ import annotations

import errno
import multiprocessing
import os
import stat
import sys
from pathlib import Path

import pytest

from rotator.errors import RefusedError, UnavailableError
from rotator_backends.file import FileBackend
from rotator_backends.file_system import System
from tests.contract.file_doubles import (
    FailingSystem,
    FakeTime,
    MeddlingSystem,
    backend_on,
    oserror,
    place,
    planted,
    rewritten,
    stored,
    temporary_files,
)


class DyingSystem(System):
    """Ends the process, as SIGKILL does, when the new file should be put in place."""

    def rename(self, folder: int, source: str, target: str) -> None:  # noqa: ARG002 - the process ends before
        """End, with no chance to tidy up."""
        os._exit(9)


def die_while_writing(path: Path) -> None:
    """Write, and die; runs in a process of its own."""
    rewritten(path, DyingSystem())


def later_than(path: Path) -> int:
    """Return a time above that of a record, in nanoseconds."""
    return path.stat().st_mtime_ns + 10**12


def killed_writer(path: Path) -> None:
    """Let a writer of a record be killed just before it is replaced."""
    process = multiprocessing.get_context("spawn").Process(target=die_while_writing, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == 9


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """Its temporary file holds a secret: nobody else may read it, and it goes with the next write."""
    before = planted(tmp_path / "ci.json")
    killed_writer(tmp_path / "ci.json")
    assert stored(tmp_path / "ci.json") == before
    (left,) = temporary_files(tmp_path)
    assert stat.S_IMODE((tmp_path / left).stat().st_mode) == 0o600
    rewritten(tmp_path / "ci.json", System(), 3)
    assert temporary_files(tmp_path) == []


def test_a_lock_that_lost_its_content_still_finds_what_a_killed_writer_left(tmp_path: Path) -> None:
    """As after a power failure: what cannot be found by its name is looked for, and versions go on from the highest."""
    before = planted(tmp_path / "ci.json")
    killed_writer(tmp_path / "ci.json")
    lock = tmp_path / ".ci.json.lock"
    mark, ahead = lock.read_text(), later_than(tmp_path / "ci.json")
    lock.write_text("")
    os.utime(lock, ns=(ahead, ahead))
    rewritten(tmp_path / "ci.json", FakeTime(1), 3)
    assert temporary_files(tmp_path) == []
    assert stored(tmp_path / "ci.json") != before
    assert (tmp_path / "ci.json").stat().st_mtime_ns == ahead + 1
    assert lock.read_text() != mark


class TimelessSystem(System):
    """Cannot set the time of any file."""

    def set_mtime(self, fd: int, nanoseconds: int) -> None:  # noqa: ARG002 - as of its namesake
        """Fail."""
        raise oserror(errno.EIO)


def test_who_fails_at_a_new_lock_does_not_hide_what_others_left(tmp_path: Path) -> None:
    """Once a lock has a mark nobody looks for files of other names: it gets one when there are none any more."""
    (tmp_path / ".ci.json.rotate-0123456789abcdef.tmp").touch()
    with pytest.raises(UnavailableError, match="input/output error; the record is unchanged"):
        backend_on(TimelessSystem()).preflight(place(tmp_path / "ci.json"))
    planted(tmp_path / "ci.json")
    assert temporary_files(tmp_path) == []


def die_before_looking(path: Path) -> None:
    """End, as SIGKILL does, when the folder is looked through; runs in a process of its own."""
    sys.addaudithook(lambda event, _: os._exit(9) if event == "os.listdir" else None)
    planted(path)


def test_who_is_killed_at_a_new_lock_does_not_hide_what_others_left(tmp_path: Path) -> None:
    """As after a version that had other names for them."""
    (tmp_path / ".ci.json.rotate-0123456789abcdef.tmp").touch()
    process = multiprocessing.get_context("spawn").Process(target=die_before_looking, args=(tmp_path / "ci.json",))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert (tmp_path / ".ci.json.lock").exists()
    planted(tmp_path / "ci.json")
    assert temporary_files(tmp_path) == []


def test_a_file_that_took_the_place_of_ours_is_never_made_the_record(tmp_path: Path) -> None:
    """Where locks do not reach, as on NFS with nolock, another machine writes under the same name: half of its file."""
    before = planted(tmp_path / "ci.json")

    def elsewhere() -> None:
        (name,) = temporary_files(tmp_path)
        (tmp_path / name).unlink()
        (tmp_path / name).write_text("{")

    with pytest.raises(UnavailableError, match="was replaced while the lock was held; the record is unchanged"):
        rewritten(tmp_path / "ci.json", MeddlingSystem(elsewhere))
    assert stored(tmp_path / "ci.json") == before
    (left,) = temporary_files(tmp_path)
    assert (tmp_path / left).read_text() == "{"


def test_a_record_of_a_new_lock_costs_no_room_that_is_not_there(tmp_path: Path) -> None:
    """A full disk is met at the lock already; the lock is free again, and the next write goes well."""
    with pytest.raises(RefusedError, match="no space left on device; the record is unchanged"):
        backend_on(FailingSystem("write", oserror(errno.ENOSPC))).preflight(place(tmp_path / "ci.json"))
    planted(tmp_path / "ci.json")
    assert temporary_files(tmp_path) == []


LOOKS = {"os.listdir": 0, "os.scandir": 0}
"""How often this process listed a folder, since somebody counts."""


def count_looks(event: str, _: object) -> None:
    """Count, as the interpreter itself tells."""
    if event in LOOKS:
        LOOKS[event] += 1


def test_a_write_does_not_look_through_the_folder(tmp_path: Path) -> None:
    """Where thousands of records lie, each write would cost by their number."""
    planted(tmp_path / "ci.json")
    sys.addaudithook(count_looks)
    before = dict(LOOKS)
    FileBackend.configure({}).preflight(place(tmp_path / "ci.json"))
    rewritten(tmp_path / "ci.json", System(), 2)
    assert before == LOOKS
    planted(tmp_path / "other.json")
    assert before["os.listdir"] < LOOKS["os.listdir"]


def test_a_preflight_removes_leftovers_of_its_record_only(tmp_path: Path) -> None:
    """A file that only looks similar, or is of the record beside it, is not ours to remove."""
    mine = tmp_path / ".ci.json.rotate-0123456789abcdef.tmp"
    others = [
        tmp_path / ".other.json.rotate-0123456789abcdef.tmp",
        tmp_path / ".ci_json.rotate-0123456789abcdef.tmp",
        tmp_path / ".ci.json.rotate-backup.tmp",
        tmp_path / "ci.json.rotate-0123456789abcdef.tmp",
    ]
    for path in (mine, *others):
        path.touch()
    FileBackend.configure({}).preflight(place(tmp_path / "ci.json"))
    assert not mine.exists()
    assert all(path.exists() for path in others)
