"""The configuration file, looked at again and again: by its content, because a mounted one changes behind a link.

A change is taken up once the file has kept still from one look to the next, so that a half-written one is not; a wish
(SIGHUP) is taken up at once. A file that is wrong is refused, and what was in force before stays so. Not taken:
watchdog and inotify, which miss what network file systems and mounted ConfigMaps do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from rotator.settings import Settings

GONE = ""
"""The digest of a file that cannot be read."""


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return GONE


class Source:
    """Where settings come from. ``load`` reads and checks the file.

    Raises: what ``load`` does, from the constructor too: ``InvalidConfigError``.
    """

    def __init__(self, path: Path, load: Callable[[], Settings]) -> None:
        self.path = path
        self._load = load
        self.digest = digest_of(path)
        """Of what was tried last."""
        self._seen = self.digest
        self.settings = load()

    def has_changed(self) -> bool:
        """Say whether the file is another than was tried last, and has kept still since the last look."""
        before, self._seen = self._seen, digest_of(self.path)
        return self._seen == before != self.digest

    def renewed(self) -> Settings:
        """Read the file again. Raises: ``InvalidConfigError``."""
        self.digest = self._seen = digest_of(self.path)
        self.settings = self._load()
        return self.settings
