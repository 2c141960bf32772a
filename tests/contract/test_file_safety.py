"""Which files and folders the file backend refuses, and what it keeps of those that it replaces."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from rotator.errors import NotFoundError, RefusedError
from rotator.testing.backend_contract import pair
from rotator_backends.file import FileBackend
from rotator_backends.file_checks import (
    MAX_SIZE,
    check_folder,
    check_not_mounted,
    check_readable,
    check_writable,
    version_of,
)
from rotator_backends.file_lock import is_fit
from rotator_backends.file_system import System
from tests.another_user import SOMEBODY, as_a_user
from tests.contract.file_doubles import backend_on, place, planted, rewritten, stored, temporary_files

PATH = Path("/run/ci.json")


def status(
    *,
    mode: int = stat.S_IFREG | 0o600,
    links: int = 1,
    uid: int = 1000,
    size: int = 100,
    mtime: int = 1,
    ctime: int = 1,
) -> os.stat_result:
    """Make the status of a file, whoever runs the test."""
    seconds = (0, mtime // 10**9, ctime // 10**9)
    exact = {"st_mtime_ns": mtime, "st_ctime_ns": ctime}
    return os.stat_result((mode, 7, 1, links, uid, uid, size, *seconds), exact)


def refused_everywhere(path: Path) -> str:
    """Expect that a record is neither looked at nor written, and return what is said."""
    backend = FileBackend.configure({})
    messages = set()
    for attempt in (
        lambda: backend.preflight(place(path)),
        lambda: backend.write(place(path), pair(2), expected=None),
    ):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert type(caught.value) is RefusedError
        assert caught.value.hint
        messages.add(caught.value.message)
    (message,) = messages
    return message


def unreadable(path: Path) -> str:
    """Expect that a record is not read either, and return what is said."""
    with pytest.raises(RefusedError) as caught:
        FileBackend.configure({}).read(place(path))
    return caught.value.message


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    """Neither to read nor to write: a link could lead anywhere by then."""
    before = planted(tmp_path / "real.json")
    (tmp_path / "ci.json").symlink_to("real.json")
    assert "is a symbolic link" in refused_everywhere(tmp_path / "ci.json")
    assert "is a symbolic link" in unreadable(tmp_path / "ci.json")
    assert stored(tmp_path / "real.json") == before
    assert (tmp_path / "ci.json").is_symlink()


def test_a_dangling_link_is_not_nothing(tmp_path: Path) -> None:
    """A record that is a link into nowhere is refused, not created."""
    (tmp_path / "ci.json").symlink_to("nowhere")
    assert "is a symbolic link" in refused_everywhere(tmp_path / "ci.json")


def test_a_link_among_the_folders_is_followed(tmp_path: Path) -> None:
    """A folder's link, as /var/run is one, is somebody's arrangement; it may even change later."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "current").symlink_to("one")
    location = place(tmp_path / "current/ci.json")
    FileBackend.configure({}).write(location, pair(1), expected=None)
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("two")
    assert FileBackend.configure({}).read(location) is None
    assert dict(stored(tmp_path / "one/ci.json").fields) == pair(1)


def test_one_file_under_two_names_has_one_label(tmp_path: Path) -> None:
    """Two credentials that would write to one file are found, whatever links lead there."""
    (tmp_path / "ci.json").touch(0o600)
    (tmp_path / "link.json").symlink_to("ci.json")
    (tmp_path / "folder").symlink_to(".")
    backend = FileBackend.configure({"root": str(tmp_path)})
    names = ("ci.json", "link.json", "folder/ci.json", f"{tmp_path}/ci.json")
    labels = {backend.locate({"path": name})[1] for name in names}
    assert labels == {f"file:{os.path.realpath(tmp_path)}/ci.json"}


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A pipe would wait for ever, a folder is no record."""
    make(tmp_path / "ci.json")
    assert "is not a regular file" in refused_everywhere(tmp_path / "ci.json")
    assert "is not a regular file" in unreadable(tmp_path / "ci.json")


def test_a_file_with_a_second_name_is_not_replaced(tmp_path: Path) -> None:
    """The other name would keep the old secret; reading is harmless."""
    before = planted(tmp_path / "ci.json")
    os.link(tmp_path / "ci.json", tmp_path / "other.json")
    assert "has 2 names" in refused_everywhere(tmp_path / "ci.json")
    assert stored(tmp_path / "ci.json").fields == before.fields


@pytest.mark.parametrize(
    ("mode", "allowed", "is_accepted"),
    [
        (0o600, "0600", True),
        (0o400, "0600", True),
        (0o700, "0600", True),
        (0o640, "0600", False),
        (0o610, "0600", False),
        (0o604, "0660", False),
        (0o602, "0660", False),
        (0o601, "0660", False),
        (0o640, "0640", True),
        (0o600, "0640", True),
        (0o660, "0640", False),
        (0o660, "0660", True),
        (0o644, "0660", False),
    ],
)
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int, allowed: str, *, is_accepted: bool) -> None:
    """No secret is put where the world reads it, nor a group that the configuration does not speak of."""
    path = tmp_path / "ci.json"
    before = planted(path)
    path.chmod(mode)
    backend = backend_on(System(), mode=allowed)
    if is_accepted:
        backend.preflight(place(path))
        backend.write(place(path), pair(2), expected=stored(path).version)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        return
    for attempt in (
        lambda: backend.preflight(place(path)),
        lambda: backend.write(place(path), pair(2), expected=stored(path).version),
    ):
        with pytest.raises(RefusedError, match=f"its mode is {mode:04o}, and {allowed} is the most") as caught:
            attempt()
        assert f"chmod {allowed} {path}" in caught.value.hint
    assert stored(path).fields == before.fields


@contextmanager
def mask(bits: int) -> Iterator[None]:
    """Take permission bits from all new files of this process."""
    old = os.umask(bits)
    try:
        yield
    finally:
        os.umask(old)


@pytest.mark.parametrize("bits", [0o000, 0o027, 0o177])
@pytest.mark.parametrize("mode", ["0600", "0640", "0660"])
def test_a_new_file_has_the_configured_mode(tmp_path: Path, mode: str, bits: int) -> None:
    """Whatever the mask of the process is; the lock file is for its user alone."""
    with mask(bits):
        backend_on(System(), mode=mode).write(place(tmp_path / "ci.json"), pair(1), expected=None)
    assert stat.S_IMODE((tmp_path / "ci.json").stat().st_mode) == int(mode, 8)
    assert stat.S_IMODE((tmp_path / ".ci.json.lock").stat().st_mode) & 0o177 == 0


class WatchingSystem(System):
    """Notes the modes that a folder's temporary file has while it is written."""

    def __init__(self, folder: Path) -> None:
        self.modes: set[int] = set()
        self._folder = folder

    def write(self, fd: int, data: bytes) -> int:
        """Write, and look."""
        self.modes |= {stat.S_IMODE(path.stat().st_mode) for path in self._folder.glob(".*.tmp")}
        return super().write(fd, data)


def test_the_temporary_file_is_never_open_to_others(tmp_path: Path) -> None:
    """From its first moment nobody else can open it, also where the record is for a group."""
    system = WatchingSystem(tmp_path)
    with mask(0):
        backend_on(system, mode="0660").write(place(tmp_path / "ci.json"), pair(1), expected=None)
    assert system.modes == {0o600}


def test_the_owner_of_a_record_keeps_it(tmp_path: Path) -> None:
    """Root writes in the owner's name, and lets the owner have the lock, too; others can only write their own."""
    owner = SOMEBODY if os.geteuid() == 0 else os.geteuid()
    group = SOMEBODY if os.geteuid() == 0 else os.getegid()
    path = tmp_path / "ci.json"
    path.touch(0o600)
    os.chown(path, owner, group)
    assert dict(rewritten(path, System()).fields) == pair(2)
    for name in ("ci.json", ".ci.json.lock"):
        found = (tmp_path / name).stat()
        assert (found.st_uid, found.st_gid) == (owner, group)


def test_the_lock_of_a_record_that_is_not_there_yet_is_the_folder_owners(tmp_path: Path) -> None:
    """Root looks with `rotate doctor`, which asks whether it could write; after that the service writes the first."""
    owner = SOMEBODY if os.geteuid() == 0 else os.geteuid()
    group = SOMEBODY if os.geteuid() == 0 else os.getegid()
    os.chown(tmp_path, owner, group)
    FileBackend.configure({}).preflight(place(tmp_path / "ci.json"))
    (lock,) = tmp_path.iterdir()
    assert (lock.name, lock.stat().st_uid, lock.stat().st_gid) == (".ci.json.lock", owner, group)


class Confined(System):
    """What root meets in a container without CAP_CHOWN."""

    def chown(self, _fd: int, _owner: os.stat_result) -> None:
        """Refuse."""
        raise PermissionError(errno.EPERM, "Operation not permitted")


def test_root_that_may_give_nothing_away_writes_the_first_record_all_the_same(tmp_path: Path) -> None:
    """It is the one who writes there, so the lock may stay its own."""
    location = place(tmp_path / "ci.json")
    backend_on(Confined()).write(location, pair(1), expected=None)
    assert dict(stored(tmp_path / "ci.json").fields) == pair(1)


def test_extended_attributes_stay(tmp_path: Path) -> None:
    """What a file system can hold beside a file, and an access list is of that kind, is on the new file, too."""
    path = tmp_path / "ci.json"
    planted(path)
    try:
        os.setxattr(path, "user.note", b"ours")
    except OSError:  # not every file system has them; then there is nothing to keep
        assert os.listxattr(path) == []
    before = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    rewritten(path, System())
    assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == before


def test_a_folder_where_everybody_may_replace_files_is_refused(tmp_path: Path) -> None:
    """Unless it is sticky, as /tmp is: there each may replace only their own."""
    tmp_path.chmod(0o777)
    assert "everybody may replace files" in refused_everywhere(tmp_path / "ci.json")
    tmp_path.chmod(0o1777)
    planted(tmp_path / "ci.json")
    tmp_path.chmod(0o700)


def test_a_missing_folder_is_not_an_absent_record(tmp_path: Path) -> None:
    """It may be a mount that has not come up: nothing is concluded, nothing is created."""
    location = place(tmp_path / "mount/ci.json")
    backend = FileBackend.configure({})
    for attempt in (
        lambda: backend.read(location),
        lambda: backend.preflight(location),
        lambda: backend.write(location, pair(1), expected=None),
    ):
        with pytest.raises(NotFoundError, match=r"the folder .*/mount does not exist") as caught:
            attempt()
        assert "install -d" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_what_is_too_large_is_no_record(tmp_path: Path) -> None:
    """A wrong path is not read into memory, whole as it may be; up to the limit it is."""
    path = tmp_path / "ci.json"
    path.touch(0o600)
    path.write_text("{}" + " " * (MAX_SIZE - 2))
    assert dict(stored(path).fields) == {}
    path.write_text("{}" + " " * (MAX_SIZE - 1))
    assert "is larger than a record can be" in unreadable(path)
    assert "is larger than a record can be" in refused_everywhere(path)


def test_what_would_be_too_large_to_be_read_is_not_written(tmp_path: Path) -> None:
    """Up to the limit it is; a record above it could never be read, nor replaced, again."""
    path = tmp_path / "ci.json"
    planted(path)
    path.write_text(path.read_text() + " " * (MAX_SIZE - path.stat().st_size))
    rewritten(path, System())
    path.write_text("{}" + " " * (MAX_SIZE - 2))
    before = stored(path)
    with pytest.raises(RefusedError, match="would be larger than a record can be"):
        rewritten(path, System())
    assert stored(path) == before
    assert temporary_files(tmp_path) == []


def test_a_lock_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Who can make files in the folder must not choose what is locked, and stamped, in our name."""
    (tmp_path / "elsewhere").touch()
    (tmp_path / ".ci.json.lock").symlink_to("elsewhere")
    assert "is not one that this user made" in refused_everywhere(tmp_path / "ci.json")


def test_a_lock_file_with_two_names_is_refused(tmp_path: Path) -> None:
    """The other name could be anybody's file."""
    (tmp_path / "elsewhere").touch()
    os.link(tmp_path / "elsewhere", tmp_path / ".ci.json.lock")
    assert "is not one that this user made" in refused_everywhere(tmp_path / "ci.json")


def test_a_preflight_refuses_content_that_makes_no_sense(tmp_path: Path) -> None:
    """It is said before a token is made, not when it should be published."""
    path = tmp_path / "ci.json"
    path.touch(0o600)
    path.write_text("{")
    with pytest.raises(RefusedError, match="is left as it is: it is not JSON: line 1"):
        FileBackend.configure({}).preflight(place(path))


def test_a_file_mounted_by_itself_is_refused(tmp_path: Path) -> None:
    """Nothing can be put in its place, and a preflight says so."""
    path = tmp_path / "ci.json"
    planted(path)

    class Mounted(System):
        def mounts(self) -> str:
            return f"29 1 8:1 / / rw - ext4 /dev/sda rw\n30 29 8:1 /x {os.path.realpath(path)} rw - ext4 /dev/sda rw\n"

    with pytest.raises(RefusedError, match="is a mount of its own") as caught:
        backend_on(Mounted()).preflight(place(path))
    assert "mount the folder" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "is_mount"),
    [
        ("30 29 8:1 /x /run/a\\040b.json rw - ext4 /dev/sda rw", True),
        ("30 29 8:1 /x /run rw - ext4 /dev/sda rw", False),
        ("30 29 8:1 /run/a\\040b.json / rw - ext4 /dev/sda rw", False),
        ("nonsense", False),
    ],
)
def test_mount_points_are_read_as_the_kernel_writes_them(line: str, *, is_mount: bool) -> None:
    """The fifth field counts, and blanks in it are octal."""
    with pytest.raises(RefusedError) if is_mount else nullcontext():
        check_not_mounted(Path("/run/a b.json"), line)


def test_the_mounts_of_this_process_are_no_records(tmp_path: Path) -> None:
    """The real list can be read, or is empty where there is none."""

    class Elsewhere(System):
        mountinfo = tmp_path / "nothing"

    check_not_mounted(tmp_path / "ci.json", System().mounts())
    assert Elsewhere().mounts() == ""


def test_a_file_system_without_attributes_has_none_to_keep() -> None:
    """The question itself fails there, as it does for what is no file at all."""
    assert System().attributes(10**6) == {}


@pytest.mark.parametrize(
    ("euid", "owner", "can_read", "can_write"),
    [
        (1000, 1000, True, True),
        (1000, 0, True, False),
        (1000, 1001, False, False),
        (0, 0, True, True),
        (0, 1000, True, True),
    ],
)
def test_a_file_of_somebody_else_is_refused(euid: int, owner: int, *, can_read: bool, can_write: bool) -> None:
    """A user believes its own files and root's, and replaces only its own; root may do both."""
    refusal = f"belongs to user id {owner}, and rotate runs as {euid}"
    with nullcontext() if can_read else pytest.raises(RefusedError, match=refusal):
        check_readable(status(uid=owner), PATH, euid=euid)
    with nullcontext() if can_write else pytest.raises(RefusedError, match=refusal):
        check_writable(status(uid=owner), PATH, mode=0o600, euid=euid)


@pytest.mark.parametrize(
    ("euid", "owner", "links", "mode", "expected"),
    [
        (1000, 1000, 1, stat.S_IFREG, True),
        (1000, 0, 1, stat.S_IFREG, False),
        (0, 1000, 1, stat.S_IFREG, True),
        (0, 0, 2, stat.S_IFREG, False),
        (0, 0, 1, stat.S_IFIFO, False),
    ],
)
def test_a_lock_file_of_somebody_else_is_not_used(
    euid: int, owner: int, links: int, mode: int, *, expected: bool
) -> None:
    """In a folder that others may write to, anybody could put a lock there and hold it for ever."""
    assert is_fit(status(uid=owner, links=links, mode=mode | 0o600), euid=euid) is expected


@pytest.mark.parametrize(("mode", "is_accepted"), [(0o700, True), (0o775, True), (0o777, False), (0o1777, True)])
def test_a_folder_is_judged_by_who_may_replace_files(mode: int, *, is_accepted: bool) -> None:
    """Everybody may not; a group is the administrator's choice."""
    with nullcontext() if is_accepted else pytest.raises(RefusedError):
        check_folder(status(mode=stat.S_IFDIR | mode), PATH)


def test_every_part_of_a_status_tells_versions_apart() -> None:
    """Either time, or the size, is enough: a backup that was put back has only its modification time from then."""
    same = [version_of(status(mtime=5, ctime=6)), version_of(status(mtime=5, ctime=6))]
    others = [status(mtime=4, ctime=6), status(mtime=5, ctime=7), status(mtime=5, ctime=6, size=101)]
    assert same[0] == same[1]
    assert len({same[0], *map(version_of, others)}) == 4


def meet_a_file_of_root(folder: Path, is_root: bool) -> None:  # noqa: FBT001 - called by a process with positions
    """Read and replace a record that root has made, as somebody who may replace files in that folder."""
    path = folder / "ci.json"
    if not is_root:
        assert dict(rewritten(path, System()).fields) == pair(2)
        return
    for attempt in (unreadable, refused_everywhere):
        assert "permission denied" in attempt(path) or "belongs to user id 0" in attempt(path)
    path.rename(folder / "aside")
    (folder / ".ci.json.lock").rename(folder / "aside.lock")
    assert dict(planted(path).fields) == pair(1)


def meet_a_closed_folder(folder: Path, is_root: bool) -> None:  # noqa: FBT001 - called by a process with positions
    """Write into a folder without the permission to."""
    assert isinstance(is_root, bool)
    folder.chmod(0o500)
    for name in ("new.json", "other.json"):
        assert "permission denied; the record is unchanged" in refused_everywhere(folder / name)
    folder.chmod(0o000)
    assert "permission denied" in unreadable(folder / "new.json")


@pytest.mark.parametrize("scenario", [meet_a_file_of_root, meet_a_closed_folder])
def test_a_user_is_refused_what_is_not_its_own(scenario: Callable[[Path, bool], None]) -> None:
    """Measured with real permissions, as a user that is not root, whoever runs the test."""
    as_a_user(plant, scenario)


def plant(folder: Path) -> None:
    """Make a record."""
    planted(folder / "ci.json")
