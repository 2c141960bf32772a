"""Build sdist and wheel twice, in other places, with files of other ages, and see that they are the same and whole.

``make release-check`` leaves them in ``dist``. What is built is what git knows, and what is not committed yet.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
CIRCUMSTANCES: tuple[Mapping[str, str], ...] = (
    {"TZ": "UTC", "PYTHONHASHSEED": "1", "LC_ALL": "C"},
    {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "2", "LC_ALL": "C.UTF-8"},
)
AGES = (1_000_000_000, 1_700_000_000)
UMASKS = (0o022, 0o077)
WITHOUT = ("SOURCE_DATE_EPOCH",)


def known() -> list[Path]:
    """List the files that belong to the project, relative to its top."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603 - a constant
    return [path for name in listed.split("\0") if name and (ROOT / (path := Path(name))).is_file()]


def copy(folder: Path, age: int) -> None:
    """Copy the project to a folder, every file of the same age."""
    for path in known():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target)
        os.utime(target, (age, age))


def build(folder: Path, number: int) -> Path:
    """Build in a folder of its own; returns where sdist and wheel are."""
    source, out = folder / f"source-{number}" / ("deeper" * number), folder / f"dist-{number}"
    source.mkdir(parents=True)
    copy(source, AGES[number])
    environ = {**{key: value for key, value in os.environ.items() if key not in WITHOUT}, **CIRCUMSTANCES[number]}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(  # noqa: S603 - ours
        command, env=environ, umask=UMASKS[number], check=False, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return out


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def missing(folder: Path) -> Iterator[str]:
    """Yield what sdist and wheel have to hold, and do not."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    wanted = {path for path in known() if path.parts[0] == "rotator"}
    wanted |= {path.relative_to("backends") for path in known() if path.parts[:2] == ("backends", "rotator_backends")}
    yield from sorted(f"{wheel.name} lacks {path}" for path in wanted if str(path) not in held)
    info = {name.partition("/")[2] for name in held if ".dist-info/" in name}
    yield from (
        f"{wheel.name} lacks {name}"
        for name in ("METADATA", "entry_points.txt", "licenses/LICENSE")
        if name not in info
    )
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    tops = ("rotator", "backends", "tests", "guides", "examples", "requirements", "deploy")
    yield from sorted(f"{sdist.name} lacks {it}" for it in known() if it.parts[0] in tops and str(it) not in packed)


def main() -> None:
    """Do it, and end with 1 where something is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (build(Path(folder), number) for number in range(2))
        made, again = digests(first), digests(second)
        wrong = [f"{name}: other bytes the second time" for name in made if made[name] != again.get(name)]
        wrong += missing(first)
        check = [sys.executable, "-m", "twine", "check", "--strict", *map(str, sorted(first.iterdir()))]
        metadata = subprocess.run(check, check=False, capture_output=True, text=True)  # noqa: S603 - ours
        wrong += [metadata.stdout + metadata.stderr] if metadata.returncode else []
        if wrong:
            sys.exit("\n".join(wrong))
        shutil.rmtree(DIST, ignore_errors=True)
        shutil.copytree(first, DIST)
    for name, digest in made.items():
        sys.stdout.write(f"{digest}  dist/{name}\n")


if __name__ == "__main__":
    main()
