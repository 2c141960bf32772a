"""Backends as somebody else would install them, put on the path of a process: faulty, or without compare-and-set."""

from __future__ import annotations

from pathlib import Path

MODULE = "rotate_test_plugins"
SOURCE = '''
"""Stores for tests."""

import json
import os
from pathlib import Path

from rotator.backend import Traits
from rotator.errors import RefusedError
from rotator.model import Secret, Stored, Version


class Plain:
    """Files without a version."""

    traits = Traits(compare_and_set=False)

    @classmethod
    def configure(cls, settings):
        """Make one."""
        return cls()

    def locate(self, settings):
        """Take the path."""
        return Path(settings["path"]), f"plain:{settings['path']}"

    def read(self, location):
        """Read."""
        if not location.exists():
            return None
        fields = json.loads(location.read_text())
        return Stored({key: Secret(value) for key, value in fields.items()}, Version("0"))

    def write(self, location, fields, *, expected):
        """Write."""
        location.write_text(json.dumps({key: value.reveal() for key, value in fields.items()}))
        return Version("0")

    def preflight(self, location):
        """Do nothing."""

    def close(self):
        """Do nothing."""


class Broken(Plain):
    """Has a bug, and a secret in its hands when it shows."""

    traits = Traits()

    def read(self, location):
        """Fail in a way that no backend should."""
        secret = os.environ["ROTATE_TEST_CANARY"]
        raise KeyError(secret)


class Forgetful(Plain):
    """Takes what it is given and gives back something else."""

    traits = Traits()

    def read(self, location):
        """Read, with a damaged secret."""
        stored = super().read(location)
        if stored is None or not (location.parent / "damage").exists():
            return stored
        fields = {**stored.fields, "token_secret": Secret("0" * 36)}
        return Stored(fields, stored.version)


class Full(Plain):
    """Cannot be written."""

    traits = Traits()

    def write(self, location, fields, *, expected):
        """Refuse."""
        raise RefusedError(f"{location} is not writable", hint="make room")
'''
ENTRIES = "[rotator.backends]\n" + "".join(
    f"{name.lower()} = {MODULE}:{name}\n" for name in ("Plain", "Broken", "Forgetful", "Full")
)


def install(folder: Path) -> Path:
    """Put the package with its entry points into a folder; return what belongs on the path."""
    site = folder / "site"
    about = site / f"{MODULE}-1.dist-info"
    about.mkdir(parents=True)
    (site / f"{MODULE}.py").write_text(SOURCE, encoding="utf-8")
    (about / "entry_points.txt").write_text(ENTRIES, encoding="utf-8")
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {MODULE}\nVersion: 1\n", encoding="utf-8")
    return site
