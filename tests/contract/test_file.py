"""The file backend does what every backend must, in each of its formats."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rotator.errors import ConflictError
from rotator.model import Version
from rotator.testing.backend_contract import (
    KINDS,
    BackendContract,
    Subject,
    TamperContract,
    Tampering,
    are_a_pair,
    pair,
)
from rotator_backends.file import FileBackend, FileLocation

ROUNDS = 200
WRITERS = 3
PATIENCE = 60


def fresh(folder: Path, suffix: str) -> Callable[[], Mapping[str, Any]]:
    """Return what gives the settings of a new file at every call."""
    numbers = itertools.count()
    return lambda: {"path": str(folder / f"{next(numbers)}{suffix}")}


class FileContract(TamperContract):
    """All formats: a file is edited by changing its bytes."""

    suffix: ClassVar[str]
    remark: ClassVar[str]

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        """Give a backend and new files in a folder of this test."""
        return Subject(FileBackend.configure({}), fresh(tmp_path, self.suffix))

    @pytest.fixture
    def tampering(self) -> Tampering:
        """Reach the file without the backend; a byte that is not UTF-8 garbles every format."""

        def edit(location: FileLocation) -> None:
            location.path.write_text(location.path.read_text() + self.remark)

        return Tampering(
            raw=lambda location: location.path.read_bytes(),
            garble=lambda location: location.path.write_bytes(b"{\xff" + location.path.read_bytes()),
            edit=edit,
        )


class TestJson(FileContract):
    """JSON holds everything."""

    suffix = ".json"
    remark = "\n\n"


class TestYaml(FileContract):
    """YAML holds everything."""

    suffix = ".yaml"
    remark = "# a remark\n"


class TestEnv(FileContract):
    """A variable has one line, and a name that a shell takes."""

    suffix = ".env"
    remark = "# a remark\n"
    refuses: ClassVar[set[str]] = {"newline", "odd-key", "unicode-key"}


class TestToken(BackendContract):
    """A token file has an id and a secret without blanks, and nothing beside them."""

    refuses: ClassVar[set[str]] = {
        "white-space",
        "newline",
        "quotes",
        "comment",
        "empty",
        *(kind for kind in KINDS if kind.endswith("-key")),
    }

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        """Give a backend and new files in a folder of this test."""
        return Subject(FileBackend.configure({}), fresh(tmp_path, ".token"))


def race(path: Path, me: int, start: Barrier, wins: multiprocessing.SimpleQueue[tuple[int, int]]) -> None:
    """Write in every round on the version that all writers have seen; runs in a process of its own."""
    backend = FileBackend.configure({})
    location, _ = backend.locate({"path": str(path)})
    for number in range(ROUNDS):
        stored = backend.read(location)
        expected: Version | None = stored.version if stored else None
        start.wait(PATIENCE)
        try:
            backend.write(location, pair(number * WRITERS + me), expected=expected)
        except ConflictError:
            pass
        else:
            wins.put((number, me))
        start.wait(PATIENCE)


def drained(wins: multiprocessing.SimpleQueue[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Take out all that is in a queue that nobody fills any more."""
    while not wins.empty():
        yield wins.get()


def test_of_several_processes_one_wins_every_round(tmp_path: Path) -> None:
    """The lock holds between processes as it does between threads: every round has one winner, whose record it is."""
    path = tmp_path / "ci.json"
    context = multiprocessing.get_context("spawn")
    wins: multiprocessing.SimpleQueue[tuple[int, int]] = context.SimpleQueue()
    start = context.Barrier(WRITERS)
    writers = [context.Process(target=race, args=(path, me, start, wins)) for me in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    winners = list(drained(wins))
    won = dict(winners)
    assert sorted(number for number, _ in winners) == list(range(ROUNDS))
    stored = FileBackend.configure({}).read(FileBackend.configure({}).locate({"path": str(path)})[0])
    assert stored is not None
    assert are_a_pair(stored.fields)
    assert dict(stored.fields) == pair((ROUNDS - 1) * WRITERS + won[ROUNDS - 1])
