"""The file backend when the disk is full, the clock stands, the power fails, or somebody else writes there."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import ConflictError, OutcomeUnknownError, RefusedError, RotatorError, UnavailableError
from rotator.testing.backend_contract import are_a_pair, pair
from rotator_backends.file import FileBackend
from rotator_backends.file_replace import keep_owner
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

CALLS = ("write", "fsync", "set_mtime", "rename")


class PowerFailure(BaseException):
    """The end of a process, in the middle."""


@pytest.mark.parametrize(
    ("method", "nth", "number", "kind"),
    [
        ("write", 1, errno.ENOSPC, RefusedError),
        ("write", 2, errno.EDQUOT, RefusedError),
        ("write", 2, errno.EFBIG, RefusedError),
        ("write", 2, errno.EIO, UnavailableError),
        ("fsync", 1, errno.ENOSPC, RefusedError),
        ("fsync", 1, errno.EIO, UnavailableError),
        ("set_mtime", 1, errno.EPERM, RefusedError),
        ("set_mtime", 2, errno.EROFS, RefusedError),
        ("rename", 1, errno.ENOSPC, RefusedError),
        ("rename", 1, errno.EBUSY, RefusedError),
        ("rename", 1, errno.EACCES, RefusedError),
    ],
)
def test_a_failure_before_the_replacement_leaves_everything_as_it_was(
    tmp_path: Path, method: str, nth: int, number: int, kind: type[RotatorError]
) -> None:
    """The error says that the record is unchanged, and it is; no temporary file stays."""
    before = planted(tmp_path / "ci.json")
    with pytest.raises(kind) as caught:
        rewritten(tmp_path / "ci.json", FailingSystem(method, oserror(number), nth=nth))
    assert type(caught.value) is kind
    assert os.strerror(number).lower() in caught.value.message
    assert "the record is unchanged" in caught.value.message
    assert caught.value.hint
    assert stored(tmp_path / "ci.json") == before
    assert temporary_files(tmp_path) == []


def test_a_full_disk_creates_no_record(tmp_path: Path) -> None:
    """Where there was nothing, there is nothing."""
    backend = backend_on(FailingSystem("write", oserror(errno.ENOSPC)))
    with pytest.raises(RefusedError, match="no space left"):
        backend.write(place(tmp_path / "ci.json"), pair(1), expected=None)
    assert not (tmp_path / "ci.json").exists()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT, errno.ESTALE])
def test_a_rename_without_an_answer_may_have_happened(tmp_path: Path, number: int, *, after: bool) -> None:
    """A file server can lose the answer after the effect: then the outcome is unknown, and one of both is there."""
    before = planted(tmp_path / "ci.json")
    with pytest.raises(OutcomeUnknownError) as caught:
        rewritten(tmp_path / "ci.json", FailingSystem("rename", oserror(number), after=after))
    assert caught.value.hint
    assert dict(stored(tmp_path / "ci.json").fields) == pair(2 if after else 1)
    assert (stored(tmp_path / "ci.json") == before) is not after
    assert temporary_files(tmp_path) == []


def test_a_folder_that_cannot_be_synced_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    """The new record is there, but a power failure may bring back the old one."""
    planted(tmp_path / "ci.json")
    with pytest.raises(OutcomeUnknownError):
        rewritten(tmp_path / "ci.json", FailingSystem("fsync", oserror(errno.EIO), nth=2))
    assert dict(stored(tmp_path / "ci.json").fields) == pair(2)


def test_a_file_system_that_syncs_no_folders_is_taken_as_it_is(tmp_path: Path) -> None:
    """EINVAL says that there is no such call, not that it failed."""
    planted(tmp_path / "ci.json")
    after = rewritten(tmp_path / "ci.json", FailingSystem("fsync", oserror(errno.EINVAL), nth=2))
    assert dict(after.fields) == pair(2)


def test_a_file_that_cannot_be_synced_is_not_put_in_place(tmp_path: Path) -> None:
    """EINVAL of the file itself is a failure: only of the folder it means that there is no such call."""
    before = planted(tmp_path / "ci.json")
    with pytest.raises(UnavailableError):
        rewritten(tmp_path / "ci.json", FailingSystem("fsync", oserror(errno.EINVAL), nth=1))
    assert stored(tmp_path / "ci.json") == before


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", CALLS)
def test_a_crash_at_any_call_leaves_a_whole_record(tmp_path: Path, method: str, *, after: bool) -> None:
    """The old record or the new one is there, and the next writer goes on."""
    planted(tmp_path / "ci.json")
    with pytest.raises(PowerFailure):
        rewritten(tmp_path / "ci.json", FailingSystem(method, PowerFailure(), after=after))
    assert dict(stored(tmp_path / "ci.json").fields) == pair(2 if (method, after) == ("rename", True) else 1)
    assert dict(rewritten(tmp_path / "ci.json", System(), 3).fields) == pair(3)


class LocklessSystem(System):
    """Opens lock files so that they cannot be locked, as on NFS without its lock daemon."""

    def open(self, folder: int, name: str, flags: int) -> int:
        """Open; a lock file by its path alone."""
        fd = super().open(folder, name, flags)
        if not name.endswith(".lock"):
            return fd
        os.close(fd)
        return os.open(name, os.O_PATH, dir_fd=folder)


class OwnerlessSystem(System):
    """Cannot give files away, as root in a container without the capability, or on NFS that squashes it."""

    def chown(self, fd: int, owner: os.stat_result) -> None:  # noqa: ARG002 - as of its namesake
        """Fail."""
        raise oserror(errno.EPERM)


def open_files() -> int:
    """Count the files that this process holds open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("system", [LocklessSystem, OwnerlessSystem])
def test_a_lock_that_fails_leaves_no_file_open(tmp_path: Path, system: type[System]) -> None:
    """One for each attempt would use them up within days; and one that is locked would lock us out ourselves."""
    planted(tmp_path / "ci.json")
    backend, before = backend_on(system()), open_files()
    for _ in range(3):
        (tmp_path / ".ci.json.lock").unlink(missing_ok=True)
        with suppress(RotatorError):  # whoever is not root gives nothing away
            backend.preflight(place(tmp_path / "ci.json"))
    assert open_files() == before


def test_a_lock_that_somebody_holds_is_waited_for_and_then_named(tmp_path: Path) -> None:
    """The wait ends, the error names the lock and how to find its holder, and nothing has changed."""
    before = planted(tmp_path / "ci.json")
    time = FakeTime()
    with (tmp_path / ".ci.json.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for attempt in (
            lambda: backend_on(time).preflight(place(tmp_path / "ci.json")),
            lambda: rewritten(tmp_path / "ci.json", time),
        ):
            began = time.seconds
            with pytest.raises(UnavailableError, match=r"held the lock .*/\.ci\.json\.lock for 10 s") as caught:
                attempt()
            assert "fuser -v" in caught.value.hint
            assert 10 <= time.seconds - began < 11
    assert stored(tmp_path / "ci.json") == before


def test_a_lock_that_becomes_free_is_taken(tmp_path: Path) -> None:
    """Who waits goes on as soon as the holder lets go."""
    planted(tmp_path / "ci.json")
    with (tmp_path / ".ci.json.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        class Patient(FakeTime):
            def sleep(self, seconds: float) -> None:
                super().sleep(seconds)
                fcntl.flock(lock, fcntl.LOCK_UN)

        assert dict(rewritten(tmp_path / "ci.json", Patient()).fields) == pair(2)


def test_reading_needs_no_lock(tmp_path: Path) -> None:
    """A reader neither waits for a writer nor makes a lock file."""
    before = planted(tmp_path / "ci.json")
    with (tmp_path / ".ci.json.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert stored(tmp_path / "ci.json") == before
    assert FileBackend.configure({}).read(place(tmp_path / "other.json")) is None
    assert not (tmp_path / ".other.json.lock").exists()


def test_a_record_has_its_lock_free_after_every_write(tmp_path: Path) -> None:
    """A write that has no time to wait finds the lock free, after a failure too."""
    planted(tmp_path / "ci.json")
    with pytest.raises(UnavailableError):
        rewritten(tmp_path / "ci.json", FailingSystem("fsync", oserror(errno.EIO)))
    backend_on(System(), wait=timedelta()).preflight(place(tmp_path / "ci.json"))


def test_a_lock_removed_meanwhile_stops_the_writer(tmp_path: Path) -> None:
    """Without its lock a writer is not alone: it stops before it replaces anything."""
    before = planted(tmp_path / "ci.json")
    with pytest.raises(UnavailableError, match="was removed while it was held"):
        rewritten(tmp_path / "ci.json", MeddlingSystem((tmp_path / ".ci.json.lock").unlink))
    assert stored(tmp_path / "ci.json") == before


def test_a_lock_replaced_meanwhile_stops_the_writer(tmp_path: Path) -> None:
    """A new lock file of the same name is another lock."""
    lock = tmp_path / ".ci.json.lock"
    before = planted(tmp_path / "ci.json")

    def replace() -> None:
        lock.rename(tmp_path / "aside")
        lock.touch()

    with pytest.raises(UnavailableError, match="was removed while it was held"):
        rewritten(tmp_path / "ci.json", MeddlingSystem(replace))
    assert stored(tmp_path / "ci.json") == before


def test_an_editor_that_was_faster_wins(tmp_path: Path) -> None:
    """Editors take no lock; what they saved while we wrote is not overwritten."""
    path = tmp_path / "ci.json"
    planted(path)
    with pytest.raises(ConflictError):
        rewritten(path, MeddlingSystem(lambda: path.write_text(' {"token_id": "by-hand"}')))
    assert path.read_text() == ' {"token_id": "by-hand"}'
    assert temporary_files(tmp_path) == []


def test_a_record_made_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """Where nothing was expected, what somebody else has put there stays."""
    path = tmp_path / "ci.json"
    with pytest.raises(ConflictError):
        backend_on(MeddlingSystem(lambda: path.write_text("{}"))).write(place(path), pair(1), expected=None)
    assert path.read_text() == "{}"


def test_a_record_removed_meanwhile_is_a_conflict(tmp_path: Path) -> None:
    """Somebody wanted it gone."""
    path = tmp_path / "ci.json"
    planted(path)
    with pytest.raises(ConflictError):
        rewritten(path, MeddlingSystem(path.unlink))
    assert not path.exists()


class CoarseSystem(FakeTime):
    """A file system that keeps times in larger steps, below a clock that stands."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def set_mtime(self, fd: int, nanoseconds: int) -> None:
        """Keep what fits."""
        super().set_mtime(fd, nanoseconds - nanoseconds % self._step)


@pytest.mark.parametrize("step", [1, 100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000])
def test_times_rise_on_every_file_system_while_the_clock_stands(tmp_path: Path, step: int) -> None:
    """A file system that keeps only every other second gets times that it can tell apart."""
    planted(tmp_path / "ci.json")
    times = []
    for number in range(5):
        rewritten(tmp_path / "ci.json", CoarseSystem(step), number)
        times.append((tmp_path / "ci.json").stat().st_mtime_ns)
    assert times == sorted(set(times))
    assert all(time % step == 0 for time in times)


def test_a_file_system_without_times_is_refused(tmp_path: Path) -> None:
    """Where no version can be told from the next, nothing is written."""
    before = planted(tmp_path / "ci.json")
    with pytest.raises(RefusedError, match="keeps no modification times"):
        rewritten(tmp_path / "ci.json", CoarseSystem(10**18))
    assert stored(tmp_path / "ci.json") == before


def test_the_time_is_the_clocks_when_that_is_ahead(tmp_path: Path) -> None:
    """Normally people see in the folder when the record was written."""
    planted(tmp_path / "ci.json")
    ahead = (tmp_path / "ci.json").stat().st_mtime_ns + 10**12
    rewritten(tmp_path / "ci.json", FakeTime(ahead))
    assert (tmp_path / "ci.json").stat().st_mtime_ns == ahead


def test_times_rise_across_a_record_that_was_removed(tmp_path: Path) -> None:
    """The lock file remembers, so that a clock that was set back cannot bring an old version back."""
    path = tmp_path / "ci.json"
    planted(path)
    ahead = path.stat().st_mtime_ns + 10**12
    rewritten(path, FakeTime(ahead))
    path.unlink()
    backend_on(FakeTime(1)).write(place(path), pair(1), expected=None)
    assert path.stat().st_mtime_ns == ahead + 1


class TornSystem(System):
    """Somebody writes the file in place, without care, while it is read."""

    def __init__(self, path: Path, times: int) -> None:
        self._path = path
        self._left = times

    def read(self, fd: int, size: int) -> bytes:
        """Read the first ten bytes before, the rest after the change."""
        if self._left and os.lseek(fd, 0, os.SEEK_CUR) == 10:
            self._left -= 1
            os.utime(self._path, ns=(self._left, self._left))
            self._path.write_text(self._path.read_text() + " ")
        return super().read(fd, min(size, 10))


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    """What is returned is one state of the file."""
    planted(tmp_path / "ci.json")
    found = backend_on(TornSystem(tmp_path / "ci.json", 2)).read(place(tmp_path / "ci.json"))
    assert found == stored(tmp_path / "ci.json")
    assert are_a_pair(found.fields)


def test_a_file_that_never_stands_still_is_not_read(tmp_path: Path) -> None:
    """After three tries it is said that somebody else keeps writing."""
    planted(tmp_path / "ci.json")
    with pytest.raises(UnavailableError, match="keeps changing"):
        backend_on(TornSystem(tmp_path / "ci.json", 3)).read(place(tmp_path / "ci.json"))


class OpeningSystem(System):
    """Fails to open one kind of file, once."""

    def __init__(self, suffix: str, flags: int, error: OSError, meddle: Callable[[], object]) -> None:
        self._wanted = (suffix, flags)
        self._error: OSError | None = error
        self._meddle = meddle

    def open(self, folder: int, name: str, flags: int) -> int:
        """Open."""
        suffix, wanted = self._wanted
        if self._error and name.endswith(suffix) and flags & os.O_EXCL == wanted:
            error, self._error = self._error, None
            self._meddle()
            raise error
        return super().open(folder, name, flags)


def test_a_lock_file_that_vanishes_while_it_is_opened_is_made_again(tmp_path: Path) -> None:
    """Somebody tidied up at that very moment."""
    planted(tmp_path / "ci.json")
    lock = tmp_path / ".ci.json.lock"
    system = OpeningSystem(".lock", 0, oserror(errno.ENOENT), lock.unlink)
    assert dict(rewritten(tmp_path / "ci.json", system).fields) == pair(2)
    assert lock.exists()


@pytest.mark.parametrize(
    ("suffix", "flags", "number", "kind"),
    [
        (".lock", 0, errno.EIO, UnavailableError),
        (".lock", os.O_EXCL, errno.EROFS, RefusedError),
        (".json", 0, errno.EIO, UnavailableError),
        (".json", 0, errno.EACCES, RefusedError),
        (".tmp", os.O_EXCL, errno.ENOSPC, RefusedError),
        (".tmp", os.O_EXCL, errno.EROFS, RefusedError),
    ],
)
def test_what_cannot_be_opened_stops_the_preflight(
    tmp_path: Path, suffix: str, flags: int, number: int, kind: type[RotatorError]
) -> None:
    """Each with what the system says, a hint, and the record as it was."""
    before = planted(tmp_path / "ci.json")
    system = OpeningSystem(suffix, flags, oserror(number), lambda: None)
    with pytest.raises(kind, match=f"cannot write .*: {os.strerror(number).lower()}; the record is unch") as caught:
        backend_on(system).preflight(place(tmp_path / "ci.json"))
    assert caught.value.hint
    assert stored(tmp_path / "ci.json") == before


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """It can be read that there is nothing, but not written: the files beside it have longer names."""
    with pytest.raises(RefusedError, match="file name too long") as caught:
        FileBackend.configure({}).preflight(place(tmp_path / f"{'x' * 247}.json"))
    assert "shorter" in caught.value.hint


class Poor(System):
    """Is not allowed to give files away, nor to set attributes, of which it finds two on every file."""

    def __init__(self, attribute: str = "") -> None:
        self._attribute = attribute

    def chown(self, fd: int, owner: os.stat_result) -> None:  # noqa: ARG002 - as in the port
        """Fail as a user does who is no member of the group."""
        raise oserror(errno.EPERM)

    def attributes(self, fd: int) -> dict[str, bytes]:
        """Find one."""
        return {self._attribute: b"x", "security.ima": b"signature", **super().attributes(fd)}

    def set_attribute(self, fd: int, name: str, value: bytes) -> None:  # noqa: ARG002 - as in the port
        """Fail."""
        assert name != "security.ima"
        raise oserror(errno.EPERM)


def test_a_label_that_only_the_policy_gives_is_left_to_it(tmp_path: Path) -> None:
    """SELinux labels new files by itself; a signature of the old content is not even tried."""
    planted(tmp_path / "ci.json")
    assert dict(rewritten(tmp_path / "ci.json", Poor("security.selinux")).fields) == pair(2)


def test_an_access_list_that_cannot_be_kept_stops_the_writer(tmp_path: Path) -> None:
    """Its consumers would lose the record."""
    before = planted(tmp_path / "ci.json")
    with pytest.raises(RefusedError, match="the record is unchanged"):
        rewritten(tmp_path / "ci.json", Poor("system.posix_acl_access"))
    assert stored(tmp_path / "ci.json") == before


def test_what_cannot_be_kept_is_noticed_before_a_token_is_issued(tmp_path: Path) -> None:
    """Else each run would issue one, and delete it when it meets this at publishing."""
    before = planted(tmp_path / "ci.json")
    with pytest.raises(RefusedError, match="the record is unchanged"):
        backend_on(Poor("system.posix_acl_access")).preflight(place(tmp_path / "ci.json"))
    assert (stored(tmp_path / "ci.json"), temporary_files(tmp_path)) == (before, [])


def owned(uid: int, gid: int, mode: int) -> os.stat_result:
    """Make the status of a file that belongs to somebody."""
    return os.stat_result((stat.S_IFREG | mode, 1, 1, 1, uid, gid, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("uid", "gid", "mode", "is_kept"),
    [(0, 0, 0o640, True), (0, 1, 0o600, True), (0, 1, 0o640, False), (1, 0, 0o600, False)],
)
def test_a_file_that_cannot_be_given_away_is_not_replaced(
    tmp_path: Path, uid: int, gid: int, mode: int, *, is_kept: bool
) -> None:
    """Losing a group that reads nothing does no harm; losing one that reads, or the owner, locks consumers out."""
    old = owned(os.geteuid() + uid, os.getegid() + gid, mode)
    with (
        (tmp_path / "new").open("w") as new,
        nullcontext() if is_kept else pytest.raises(RefusedError, match="cannot be given to user id"),
    ):
        keep_owner(new.fileno(), old, Poor())
