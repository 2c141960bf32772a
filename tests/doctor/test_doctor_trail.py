"""What doctor says of the audit trail: before a rotation is refused for it, and without writing a line."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from rotator.audit.chain import Seal
from rotator.audit.recorder import Recorder
from rotator.audit.trail import Trail, require_room
from rotator.errors import UnavailableError
from rotator.model import Secret
from tests.another_user import as_a_user
from tests.cli.lab import Time, only
from tests.doctor.clinic import Clinic, codes_of

FULL = (4096, 4096, 1000, 50, 0, 10, 10, 10, 0, 255)
"""What a file system says of itself of which only root may use the rest."""


def configure(clinic: Clinic, path: Path, **settings: Any) -> Path:  # noqa: ANN401 - any key of the section
    """Configure an audit trail."""
    clinic.extra["audit"] = {"file": str(path), **settings}
    clinic.write()
    return path


@pytest.fixture
def trail(clinic: Clinic) -> Path:
    """Require an audit trail that is not there yet."""
    return configure(clinic, clinic.folder / "audit.jsonl", required=True)


def standing(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Tell what there is of the trail, and whether it was changed."""
    there = folder.glob("*audit*")
    return {it.name: (it.stat().st_size, it.stat().st_mtime_ns, it.stat().st_mode) for it in there}


def test_a_trail_that_can_be_written_is_fine_and_left_alone(clinic: Clinic, trail: Path) -> None:
    """Whether it is there already or not; no file is made, and no line is written."""
    results = clinic.doctor()
    assert (results[0]["kind"], results[0]["name"], codes_of(results)) == ("audit", str(trail), [])
    assert standing(clinic.folder) == {}
    clinic.call("now", "ci")
    before = standing(clinic.folder)
    assert list(before) == [trail.name]
    assert clinic.codes() == []
    assert standing(clinic.folder) == before


@pytest.mark.parametrize(("required", "severity"), [(True, "error"), (False, "warning")])
def test_a_trail_that_cannot_be_written_is_found(clinic: Clinic, *, required: bool, severity: str) -> None:
    """What refuses each rotation is an error, what they do without a warning; both need somebody."""
    path = configure(clinic, clinic.folder / "audit.jsonl", required=required)
    path.mkdir()
    results = clinic.doctor()
    finding = only(results[0]["findings"])
    assert codes_of(results) == ["audit: audit-not-writable"]
    assert (results[0]["exit_code"], finding["severity"], finding["evidence"][0]) == (4, severity, "Is a directory")
    assert finding["what"] == f"the audit trail {path} cannot be written"
    assert clinic.call("now", "ci").exit_code == (4 if required else 0)


def test_what_doctor_finds_is_what_a_rotation_is_refused_for(clinic: Clinic, trail: Path) -> None:
    """By name as well; once it is mended both go on."""
    trail.symlink_to(clinic.folder / "elsewhere")
    assert clinic.codes("ci") == ["audit: audit-not-writable"]
    assert only(clinic.json("now", "ci")["results"])["reason"] == "unaudited"
    trail.unlink()
    assert clinic.codes("ci") == []
    assert clinic.call("now", "ci").exit_code == 0


def obstacle(path: Path, seal: Seal | None = None) -> str:
    """Ask what doctor asks."""
    return Recorder(Trail(path, seal or Seal()), Time()).obstacle()


def test_a_key_that_cannot_be_read_keeps_the_trail_from_being_written(tmp_path: Path) -> None:
    """Each line needs it; what failed is said."""

    def sealed_store() -> Secret:
        raise UnavailableError("the vault is sealed")

    assert obstacle(tmp_path / "audit.jsonl", Seal(sealed_store)) == "the vault is sealed"
    assert obstacle(tmp_path / "audit.jsonl", Seal(lambda: Secret("a key of theirs"))) == ""


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """It is not made either."""
    assert obstacle(tmp_path / "gone" / "audit.jsonl") == "No such file or directory"
    assert list(tmp_path.iterdir()) == []


def of_somebody_else(folder: Path) -> None:
    """Make a file and a folder that only who runs the tests may write."""
    (folder / "closed").mkdir(mode=0o755)
    (folder / "audit.jsonl").touch(mode=0o644)


def as_somebody(folder: Path, is_root: bool) -> None:  # noqa: FBT001 - as it is called
    """Look at them; whoever runs the tests may write there unless that is root."""
    refused = "Permission denied" if is_root else ""
    assert (obstacle(folder / "audit.jsonl"), obstacle(folder / "closed" / "audit.jsonl")) == (refused, refused)
    assert obstacle(folder / "new.jsonl") == ""


def test_what_may_not_be_written_is_said() -> None:
    """A file that is there, and one that could not be made."""
    as_a_user(of_somebody_else, as_somebody)


def test_what_takes_nothing_more_is_full(tmp_path: Path) -> None:
    """A device says so itself; a disk is asked how much is left, for us: what is kept for root is not."""
    assert obstacle(Path("/dev/full")) == "No space left on device"
    require_room(os.statvfs(tmp_path))
    with pytest.raises(OSError, match="No space left"):
        require_room(os.statvfs_result((*FULL[:3], 0, *FULL[4:])))
    require_room(os.statvfs_result((*FULL[:2], 0, 0, *FULL[4:])))  # it has no blocks, like that of a kernel


def test_a_damaged_file_that_was_put_aside_is_said(tmp_path: Path) -> None:
    """The first line of a new file goes on with the chain of the one before, so that has to be read."""
    (tmp_path / "audit.jsonl.1.gz").write_bytes(gzip.compress(b"{}\n" * 99)[:-12])
    assert "audit.jsonl.1.gz is damaged" in obstacle(tmp_path / "audit.jsonl")
