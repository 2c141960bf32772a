"""The stores of a disturbed rotation: files on a disk that can be full, and a Vault that can be sealed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rotator.backend import Backend
from rotator.testing.vault import SimulatedVault
from rotator.testing.vault_kv import VersionTwo
from rotator_backends.file import FileBackend
from rotator_backends.file_settings import backend_settings
from rotator_backends.file_system import System
from tests.stores import MOUNT, POLICY, Files, Records, VaultRecords
from tests.vault.lab import simulated


class Disk(System):
    """The operating system below the files: may refuse what is written, and has a clock of its own."""

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.ahead = 0

    def time_ns(self) -> int:
        """Tell the time, so many nanoseconds ahead."""
        return super().time_ns() + self.ahead

    def write(self, fd: int, data: bytes) -> int:
        """Write, if the disk takes it."""
        if self.error:
            raise self.error
        return super().write(fd, data)


@dataclass(frozen=True)
class FilesOn(Files):
    """Records in files on this disk."""

    disk: Disk = field(default_factory=Disk)

    def backend(self) -> Backend:
        """Make a backend."""
        return FileBackend(backend_settings({"mode": "0600"}), system=self.disk)


@contextmanager
def opened(
    folder: Path, disk: Disk, *, in_vault: bool, timeout: float
) -> Iterator[tuple[Records, SimulatedVault | None]]:
    """Open the store of a play; Vault's answers are waited for as long as that."""
    if not in_vault:
        yield FilesOn(folder, disk=disk), None
        return
    place = folder / "vault"
    place.mkdir(mode=0o700)
    with simulated(place) as lab:
        lab.mount(name=MOUNT)
        token = lab.token(lab.policy(POLICY))
        made = lab.as_token(token, clock=lambda: 0.0, timeout=timeout)  # a busy machine makes no other calls
        engine = lab.server.core.namespaces[""].mounts[MOUNT].engine
        assert isinstance(engine, VersionTwo)
        yield VaultRecords(made, engine, "faults"), lab.server
