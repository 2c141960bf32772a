"""The file of the audit trail: several processes, crashes, full disks, logrotate."""

from __future__ import annotations

import fcntl
import gzip
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from rotator.audit.chain import Seal, link_of
from rotator.audit.check import CHANGED, Verdict, check
from rotator.audit.reading import lines, rotated
from rotator.audit.trail import BLOCK, PATIENCE, Trail
from rotator.model import Secret
from tests.cli.lab import Time

APPENDING = """
import sys
from pathlib import Path
from rotator.audit.chain import Seal
from rotator.audit.trail import Trail
trail = Trail(Path(sys.argv[1]), Seal(), sync=False)
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    trail.append({"kind": "step", "who": sys.argv[3], "number": number})
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the trail is."""
    return tmp_path / "audit.jsonl"


def verdict(path: Path, seal: Seal | None = None, expected: str = "") -> Verdict:
    """Check the file and what logrotate made of it."""
    return check(lines([*rotated(path), path]), seal or Seal(), expected)


def said(path: Path) -> list[str]:
    """Return what the lines of one file say, in a word each."""
    return [str((it.fields or {}).get("message", (it.fields or {}).get("kind"))) for it in lines([path])]


def append(path: Path, *words: str, trail: Trail | None = None) -> Trail:
    """Append lines, with a trail of their own or a given one."""
    used = trail or Trail(path, Seal())
    for word in words:
        used.append({"kind": "step", "message": word})
    return used


def test_the_file_is_made_for_us_alone(path: Path) -> None:
    """Names of credentials are nobody's business."""
    append(path, "one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_processes_and_two_threads_make_one_chain(path: Path) -> None:
    """Whoever appends holds the lock while looking how the chain stands; no line is lost, none is mixed."""
    command = [sys.executable, "-c", APPENDING, str(path), "150"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([*command, who], **pipes) for who in ("a", "b")]  # type: ignore[call-overload] # noqa: S603 - our own
    for it in both:
        assert it.stdout.readline() == "ready\n"
    for it in both:
        it.stdin.write("go\n")
        it.stdin.flush()
    shared = Trail(path, Seal(), sync=False)
    threads = [Thread(target=append, args=(path, *["c"] * 50), kwargs={"trail": shared}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for it in both:
        it.communicate()
    whole = verdict(path)
    assert (whole.flaws, whole.lines, whole.last.seq) == ((), 400, 400)
    numbers = [it.fields["number"] for it in lines([path]) if it.fields and it.fields.get("who") == "a"]
    assert numbers == list(range(150))


def test_a_torn_last_line_is_kept_and_marked(path: Path) -> None:
    """A crash in the middle of a write leaves half a line; the next one says what it is, and the chain goes on."""
    append(path, "one", "two").close()
    with path.open("ab") as file:
        file.write(b'{"kind":"step","mess')
    assert verdict(path).is_torn
    append(path, "three")
    assert said(path) == ["one", "two", "None", "torn", "three"]
    whole = verdict(path)
    assert (whole.flaws, whole.torn, whole.is_torn) == ((), 1, False)
    path.write_bytes(path.read_bytes().replace(b'{"kind":"step","mess\n', b'{"kind":"step","miss\n'))
    assert [(it.number, it.what) for it in verdict(path).flaws] == [(3, CHANGED)]


def test_a_file_of_nothing_but_a_torn_line_is_mended(path: Path) -> None:
    """The very first write may be the one that is torn."""
    path.write_bytes(b"{")
    append(path, "one")
    assert said(path) == ["None", "torn", "one"]
    assert verdict(path).last.seq == 2


def test_a_renamed_file_is_noticed_and_the_chain_goes_on(path: Path) -> None:
    """Logrotate renames; who has the old file open goes on in a new one, which follows the old one's last line."""
    ours, theirs = append(path, "one"), append(path, "two")
    path.rename(path.with_name("audit.jsonl.1"))
    append(path, "three", trail=ours)
    append(path, "four", trail=theirs)
    assert said(path) == ["three", "four"]
    assert (verdict(path).flaws, verdict(path).lines) == ((), 4)


def test_whoever_has_the_old_file_open_needs_not_find_it_again(path: Path) -> None:
    """It may have been renamed to anything, or deleted."""
    ours, theirs = append(path, "one"), append(path, "two")
    path.unlink()
    append(path, "three", trail=ours)
    append(path, "four", trail=theirs)
    assert (verdict(path).first.seq, verdict(path).last.seq, verdict(path).flaws) == (2, 4, ())


def test_who_was_silent_while_others_filled_whole_files_follows_the_last_of_them(path: Path) -> None:
    """The file that it has open is not the one that was renamed last; it is believed where that one is damaged."""
    ours = append(path, "one")
    path.rename(path.with_name("audit.jsonl.2"))
    append(path, "two", "three")
    path.rename(path.with_name("audit.jsonl.1"))
    append(path, "four", trail=ours)
    assert (verdict(path).flaws, verdict(path).last.seq) == ((), 4)
    path.unlink()
    path.with_name("audit.jsonl.1.gz").write_bytes(b"notes\n")
    path.with_name("audit.jsonl.1").unlink()
    append(path, "five", trail=ours)
    assert check(lines([path]), Seal()).last.seq == 5


@pytest.mark.parametrize("name", ["audit.jsonl.1", "audit.jsonl-20260509", "audit.jsonl.1.gz"])
def test_a_process_that_never_saw_the_old_file_goes_on_too(path: Path, name: str) -> None:
    """A single run opens nothing but the new file; the last hash is read from the one that was renamed last."""
    append(path, "one", "two").close()
    if name.endswith(".gz"):
        with gzip.open(path.with_name(name), "wb") as file:
            file.write(path.read_bytes())
        path.unlink()
    else:
        path.rename(path.with_name(name))
    append(path, "three")
    assert (verdict(path).flaws, verdict(path).last.seq) == ((), 3)


def test_of_a_long_old_file_only_the_end_is_read(path: Path) -> None:
    """Others wait for the lock meanwhile, five seconds and no longer: a month of a large fleet would take that."""
    append(path, "one").close()
    text = path.read_bytes()
    with path.open("wb") as file:
        file.truncate(1 << 26)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + text)
    path.rename(path.with_name("audit.jsonl.1"))
    tracemalloc.start()
    try:
        append(path, "two")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert check(lines([path]), Seal()).last.seq == 2
    assert most < 1 << 22


def compressed(path: Path, name: str) -> bytes:
    """Put the file aside as logrotate does with ``compress``, but for its end; return what that file should be."""
    whole = gzip.compress(path.read_bytes())
    path.with_name(f"{name}.gz").write_bytes(whole[:-12])
    path.rename(path.with_name(name))
    return whole


@pytest.mark.parametrize("name", ["audit.jsonl.1", "audit.jsonl-20260509"])
def test_what_is_being_compressed_just_now_is_read_where_it_is_whole(path: Path, name: str) -> None:
    """Logrotate takes the plain file away when the other one is done; until then the latter is half a file."""
    append(path, "one", "two").close()
    compressed(path, name)
    append(path, "three")
    assert [it.name for it in rotated(path)] == [name]
    assert (verdict(path).flaws, verdict(path).lines, verdict(path).last.seq) == ((), 3, 3)


def test_a_compressed_file_that_is_damaged_is_an_error_of_the_system(path: Path) -> None:
    """Cut off, altered, or no such file at all: whoever reads it hears which one it is, and nothing is begun anew."""
    append(path, "one", "two").close()
    whole, old = compressed(path, "audit.jsonl.1"), path.with_name("audit.jsonl.1.gz")
    path.with_name("audit.jsonl.1").unlink()
    for content in (whole[:-12], whole[:12] + b"\xff" * len(whole[12:]), b"notes\n"):
        old.write_bytes(content)
        with pytest.raises(OSError, match="damaged") as caught:
            append(path, "three")
        assert caught.value.strerror == "audit.jsonl.1.gz is damaged, or not compressed to its end"
        assert path.read_bytes() == b""
    old.write_bytes(whole)
    append(path, "three")
    assert verdict(path).last.seq == 3


def test_old_files_are_read_in_their_order(path: Path) -> None:
    """Numbers count down to the newest, dates count up; other files beside them are none of ours."""
    for name in ("audit.jsonl.2", "audit.jsonl.10", "audit.jsonl.1", "audit.jsonl.bak", "audit.jsonlx", "x.1"):
        path.with_name(name).touch()
    assert [it.name for it in rotated(path)] == ["audit.jsonl.10", "audit.jsonl.2", "audit.jsonl.1"]
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    for name in ("audit.jsonl-20260510", "audit.jsonl-20260509.gz"):
        path.with_name(name).touch()
    assert [it.name for it in rotated(path)] == ["audit.jsonl-20260509.gz", "audit.jsonl-20260510"]


def test_a_file_that_was_emptied_in_place_is_followed(path: Path) -> None:
    """``copytruncate``: whoever has it open knows how the chain stood, or reads it from the copy."""
    trail = append(path, "one")
    append(path, "two")
    shutil.copy(path, path.with_name("audit.jsonl.1"))
    os.truncate(path, 0)
    append(path, "three", trail=trail)
    assert (verdict(path).flaws, verdict(path).last.seq) == ((), 3)
    path.with_name("audit.jsonl.1").unlink()
    os.truncate(path, 0)
    append(path, "four", trail=trail)
    assert verdict(path).last.seq == 4


def test_a_line_longer_than_a_block_is_found_again(path: Path) -> None:
    """The end of the file is read in growing pieces until it has a whole line."""
    append(path, "one", "x" * 3 * BLOCK).close()
    append(path, "three")
    assert verdict(path).last.seq == 3


@contextmanager
def room(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as on a disk that is full."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_on_a_full_disk_there_is_a_whole_line_or_none(path: Path) -> None:
    """What got half way is taken back, and later lines follow the last whole one."""
    trail = append(path, "one")
    with room(path.stat().st_size + 50), pytest.raises(OSError, match="space"):
        append(path, "two", trail=trail)
    assert said(path) == ["one"]
    append(path, "three", trail=trail)
    assert (said(path), verdict(path).flaws) == (["one", "three"], ())


def test_who_holds_the_lock_for_ever_is_not_waited_for(path: Path) -> None:
    """A rotation does not stand still because somebody stopped in the middle of a line."""
    time = Time()
    trail = append(path, "one", trail=Trail(path, Seal(), clock=time))
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="lock"):
            append(path, "two", trail=trail)
    assert PATIENCE <= time.passed < PATIENCE + 1
    append(path, "three", trail=trail)
    assert said(path) == ["one", "three"]


def test_who_cannot_see_the_file_keeps_nobody_else_from_it(path: Path) -> None:
    """As while its folder is out of reach: whoever failed then lets go of the lock all the same."""
    folder, aside = path.parent / "log", path.parent / "aside"
    folder.mkdir()
    trail = append(folder / path.name, "one")
    folder.rename(aside)
    folder.write_text("not a folder")
    with pytest.raises(NotADirectoryError):
        append(folder / path.name, "two", trail=trail)
    folder.unlink()
    aside.rename(folder)
    other = Trail(folder / path.name, Seal(), clock=Time())
    append(folder / path.name, "three", trail=other)
    assert said(folder / path.name) == ["one", "three"]


def test_a_link_in_the_place_of_the_file_is_not_followed(path: Path, tmp_path: Path) -> None:
    """Who may write to the folder does not choose another file for us to write to."""
    (tmp_path / "other").touch()
    path.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        append(path, "one")
    assert (tmp_path / "other").read_bytes() == b""


def test_without_a_chain_there_are_only_the_lines(path: Path) -> None:
    """And a torn one is marked all the same, reading no more than the end of the file."""
    trail = Trail(path, sync=False)
    trail.append({"kind": "step", "message": "one"})
    assert path.read_bytes() == b'{"kind":"step","message":"one"}\n'
    trail.close()
    with path.open("ab") as file:
        file.write(b"{")
    Trail(path).append({"kind": "step", "message": "two"})
    assert said(path) == ["one", "None", "torn", "two"]


def test_a_key_is_asked_for_in_each_hash(path: Path, canary: str) -> None:
    """The key stands nowhere in the file."""
    Trail(path, Seal(lambda: Secret(canary))).append({"kind": "step"})
    assert canary.encode() not in path.read_bytes()
    assert (verdict(path, Seal(lambda: Secret(canary))).flaws, len(verdict(path).flaws)) == ((), 1)
    link = link_of(next(lines([path])).fields)
    assert link
    assert link.hash.startswith("hmac-sha256:")
