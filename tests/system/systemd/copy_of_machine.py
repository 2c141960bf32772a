"""A copy of this machine that forgets: its file system under a layer in memory, in a mount namespace of its own.

There, commands that install into ``/etc`` and ``/opt`` are typed as they stand. Systemd does not run in it; systemctl
knows that, links units and starts nothing.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ENTER = """
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
for place in dev proc sys; do mount --rbind "/$place" "$1/root/$place"; done
mount -t tmpfs tmpfs "$1/root/run"
cd "$2"
exec chroot "$1/root" /bin/bash -euo pipefail -c "cd '$2'; $3"
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """A place to mount it at, and where its commands begin."""

    place: Path
    folder: Path
    environ: Mapping[str, str]

    def types(self, text: str) -> subprocess.CompletedProcess[str]:
        """Type lines, on a fresh copy."""
        script = self.folder / "typed"
        script.write_text(text, encoding="utf-8")
        more = [str(self.place), str(self.folder), f". {script}"]
        command = ["unshare", "--mount", "/bin/sh", "-c", ENTER, "enter", *more]
        return subprocess.run(command, env=dict(self.environ), capture_output=True, text=True, check=False)  # noqa: S603 - ours
