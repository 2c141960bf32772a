"""What these tests run is there: better one clear failure than fifty strange ones."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

LINE = re.compile(r"(?P<package>[a-z0-9.+-]+) # (?P<programs>[a-z0-9, -]+): ")
PACKAGES = [
    match
    for line in Path("requirements/debian.txt").read_text(encoding="utf-8").splitlines()
    if (match := LINE.match(line))
]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package["package"])
def test_a_package_brings_its_programs(package: re.Match[str]) -> None:
    """A machine without one of Debian's packages learns here which to install."""
    missing = [name for name in package["programs"].split(", ") if shutil.which(name) is None]
    assert not missing, f"apt-get install {package['package']}"
