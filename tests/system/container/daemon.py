"""A Docker daemon that nobody else uses: its own socket, its own folder, no bridge, no rule in any firewall."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

PATIENCE = 60.0
READY = "API listen on"
CLIENT = shutil.which("docker", path="/usr/bin") or "docker"
"""Debian's own builds by itself; newer ones want a plug-in for that."""


@dataclass(frozen=True, slots=True)
class Docker:
    """A client of the daemon, with a folder for whatever it needs."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the client: nobody's configuration, and our daemon."""
        ours = {"DOCKER_HOST": f"unix://{self.folder}/docker.sock", "DOCKER_CONFIG": str(self.folder / "client")}
        return {**os.environ, **ours, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of Docker to its end, whatever that is."""
        command = [CLIENT, *arguments]
        return subprocess.run(command, env=self.environ, input=given, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    def do(self, *arguments: str) -> str:
        """Run a command that has to succeed, and return what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def health(self, container: str) -> str:
        """Wait for the first thing that is said of a container's health, or of its end."""
        command = [CLIENT, "events", "--since=0", f"--filter=container={container}", "--format={{.Status}}"]
        shown = [*command, "--filter=event=health_status", "--filter=event=die"]
        with subprocess.Popen(shown, env=self.environ, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - a constant
            assert process.stdout
            try:
                return process.stdout.readline().strip()
            finally:
                process.kill()


@contextmanager
def daemon(mirror: str) -> Iterator[Docker]:
    """Run a daemon that pulls from a mirror of Docker Hub; afterwards nothing is left of it."""
    with tempfile.TemporaryDirectory(prefix="rotate-docker-") as folder:
        docker = Docker(Path(folder))
        places = [f"--{name}={folder}/{name}" for name in ("data-root", "exec-root", "pidfile")]
        command = ["dockerd", f"--host={docker.environ['DOCKER_HOST']}", *places, "--bridge=none", "--iptables=false"]
        command += [f"--registry-mirror={mirror}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - Debian's
            try:
                _wait(process)
                yield docker
            finally:
                process.terminate()
                process.wait(timeout=PATIENCE)
                _unmount(folder)


def _unmount(folder: str) -> None:
    """Take away what it leaves mounted: the network of containers that have none."""
    mounted = (line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines())
    for place in [it for it in mounted if it.startswith(folder)]:
        subprocess.run(["umount", place], check=True)  # noqa: S603, S607 - ours


def _wait(process: subprocess.Popen[str]) -> None:
    """Wait until it answers; what it says afterwards is read by a thread, or it would wait for a reader."""
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if READY in line:
            Thread(target=process.stderr.read, daemon=True).start()
            return
    raise AssertionError("".join(said))
