"""Wheels of what is installed here already, so that pip and pipx install from them as they would from an index.

Each distribution is packed again from the list of files that it was installed with. ``pip wheel`` and ``pip download``
were not taken: both ask an index.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docs.pages import ROOT
from tests.system.guides.terminal import OURS, Terminal

PROJECT = "proxmox-token-rotator"
TO_BUILD = ("hatchling",)
SERVICES = ("secretsmanager", "sts")
LEVELS = 3
CHECKOUT = ("backends", "requirements", "rotator", "LICENSE", "Makefile", "README.md", "pyproject.toml")


def needed(name: str, extras: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the distributions that one needs, directly, with some of its extras."""
    for text in distribution(name).requires or ():
        wanted = Requirement(text)
        if not wanted.marker or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield canonicalize_name(wanted.name)


def closure(extras: tuple[str, ...]) -> set[str]:
    """List all distributions that an installation takes, but for the project itself."""
    found: set[str] = set()
    left = {*needed(PROJECT, extras), *TO_BUILD}
    while left:
        name = left.pop()
        found.add(name)
        left |= set(needed(name)) - found
    return found


def pack(made: Distribution, folder: Path) -> None:
    """Pack one distribution into a wheel, not compressed: it is read once."""
    tags = [
        line.removeprefix("Tag: ").split("-") for line in (made.read_text("WHEEL") or "").splitlines() if "Tag" in line
    ]
    tag = "-".join(".".join(dict.fromkeys(parts)) for parts in zip(*tags, strict=True))
    name = canonicalize_name(made.metadata["Name"]).replace("-", "_")
    with zipfile.ZipFile(folder / f"{name}-{made.version}-{tag}.whl", "w") as wheel:
        for file in made.files or ():
            here = Path(str(file.locate()))
            if is_worth_it(file) and here.is_file():
                wheel.write(here, str(file))


def is_worth_it(file: PurePath) -> bool:
    """Leave out what is made anew, and what nobody calls here: most of botocore describes services of AWS."""
    is_service = file.parts[:2] == ("botocore", "data") and len(file.parts) > LEVELS
    return ".." not in file.parts and file.suffix != ".pyc" and not (is_service and file.parts[2] not in SERVICES)


def offer(terminal: Terminal, *extras: str) -> None:
    """Let pip and pipx find wheels in the place of an index, and install for this reader alone."""
    folder = terminal.folder / "wheels"
    folder.mkdir()
    for name in closure(extras):
        pack(distribution(name), folder)
    terminal.variables |= {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_COMPILE": "1",
        "PIP_NO_INDEX": "1",
        "PIPX_DEFAULT_BACKEND": "uv",  # which it takes by itself where there is uv; its pip would have to be newer
        "PIPX_DEFAULT_PYTHON": sys.executable,
        "PIPX_HOME": str(terminal.home / ".local/pipx"),
        "PIPX_BIN_DIR": str(terminal.home / ".local/bin"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "UV_CACHE_DIR": str(terminal.folder / "cache"),
        "UV_FIND_LINKS": str(folder),
        "UV_NO_CONFIG": "1",
        "UV_OFFLINE": "1",
    }


def check_out(folder: Path) -> None:
    """Make a checkout to install from, with tools that need not be installed anew, and the tests as they are."""
    folder.mkdir()
    quiet = shutil.ignore_patterns("__pycache__")
    for name in CHECKOUT:
        copy = shutil.copy2 if (ROOT / name).is_file() else partial(shutil.copytree, ignore=quiet)
        copy(ROOT / name, folder / name)
    (folder / "tests").symlink_to(ROOT / "tests")
    tools = folder / ".venv"
    tools.mkdir()
    for one in OURS.parent.iterdir():
        if not one.name.startswith("."):
            (tools / one.name).symlink_to(one)
    for stamp in (".locked", ".installed"):  # newer than what they depend on
        (tools / stamp).touch()
