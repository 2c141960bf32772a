"""What is released: the wheel holds the product and nothing else."""

from __future__ import annotations

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import rotator
from tests.repo.tree import ROOT, SHIPPED, pyproject, tracked

METADATA = f"proxmox_token_rotator-{rotator.__version__}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel, without a network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - constant
    (built,) = folder.iterdir()
    return zipfile.ZipFile(built)


def test_the_wheel_takes_no_other_names(wheel: zipfile.ZipFile) -> None:
    """Two packages and their metadata: nothing generic lands in anybody's site-packages."""
    assert {Path(name).parts[0] for name in wheel.namelist()} == {"rotator", "rotator_backends", METADATA}


def test_the_wheel_holds_all_modules_and_their_data(wheel: zipfile.ZipFile) -> None:
    """What is under version control in the two packages is shipped; documents may be."""
    packages = [name.removeprefix("backends/") for name in tracked() if name.startswith(SHIPPED)]
    wanted = {name for name in packages if name.startswith("rotator") and not name.endswith(".md")}
    assert wanted <= set(wheel.namelist())


def test_the_wheel_holds_no_tests_of_ours(wheel: zipfile.ZipFile) -> None:
    """The shipped ``rotator.testing`` is for others; ``tests/`` is not."""
    assert [name for name in wheel.namelist() if Path(name).name.startswith(("test_", "conftest"))] == []


def test_the_wheel_says_that_it_is_typed(wheel: zipfile.ZipFile) -> None:
    """Type checkers of those who write backends read our annotations."""
    assert {"rotator/py.typed", "rotator_backends/py.typed", f"{METADATA}/licenses/LICENSE"} <= set(wheel.namelist())


def test_the_built_in_backends_come_in_like_everybody_elses(wheel: zipfile.ZipFile) -> None:
    """The entry points name the command and each backend."""
    points = wheel.read(f"{METADATA}/entry_points.txt").decode()
    assert "[console_scripts]\nrotate = rotator.cli.main:main\n" in points
    written = configparser.ConfigParser(delimiters=("=",))
    written.read_string(points)
    assert dict(written["rotator.backends"]) == pyproject()["project"]["entry-points"]["rotator.backends"]
    assert written["rotator.backends"]["file"] == "rotator_backends.file:FileBackend"
