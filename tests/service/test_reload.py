"""A configuration that is mounted: Kubernetes swaps a link behind a link, and nobody writes to the file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import ConfigError
from rotator.service.reload import Source
from rotator.settings import ServiceSettings, Settings
from tests.service.world import Street

MINUTE = timedelta(minutes=1)


class Volume:
    """A ConfigMap as the kubelet mounts it: the file is a link into ``..data``, a link to the newest folder."""

    def __init__(self, root: Path, name: str, text: str) -> None:
        self.path = root / name
        self._root = root
        self._turns = 0
        self.swap(text)
        self.path.symlink_to(Path("..data") / name)

    def swap(self, text: str) -> None:
        """Put another content in place, in one move, and take the old one away."""
        data, coming = self._root / "..data", self._root / "..data_tmp"
        gone = data.resolve() if data.is_symlink() else None
        self._turns += 1
        folder = self._root / f"..2026_05_09_{self._turns}"
        folder.mkdir()
        (folder / self.path.name).write_text(text, encoding="utf-8")
        coming.symlink_to(folder.name)
        coming.replace(data)
        if gone:
            (gone / self.path.name).unlink()
            gone.rmdir()


def test_a_configmap_that_was_swapped_is_taken_up(tmp_path: Path) -> None:
    """Though the link itself, its target's name and its time say nothing of it: the content is another."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    street = Street(tmp_path)
    street.add("first")
    volume = Volume(folder, "rotate.yaml", "one")
    street.path = volume.path
    service = street.serve()
    service.begin_due()
    street.touch = lambda: None  # type: ignore[method-assign] # nobody writes to a mounted file
    second = street.add("second")
    street.go_on(service, MINUTE)
    assert set(service.board.standing.credentials) == {"first"}
    before = service.board.standing.configuration.digest
    volume.swap("two")
    service.begin_due()
    service.begin_due()
    assert set(service.board.standing.credentials) == {"first", "second"}
    assert service.board.standing.configuration.digest != before
    assert street.works(second)


@pytest.mark.parametrize("swaps", [1, 2, 5])
def test_a_swap_is_noticed_once_however_often_it_happens(tmp_path: Path, swaps: int) -> None:
    """And only when it has kept still; the same content again is no change."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    volume = Volume(folder, "rotate.yaml", "0")
    loads: list[str] = []
    settings = Street(tmp_path).load()

    def load() -> Settings:
        loads.append(volume.path.read_text())
        return settings

    source = Source(volume.path, load)
    for number in range(1, swaps + 1):
        volume.swap(str(number))
        assert not source.has_changed()
    assert source.has_changed()
    source.renewed()
    assert not source.has_changed()
    volume.swap(str(swaps))
    assert not source.has_changed()
    assert not source.has_changed()
    assert loads == ["0", str(swaps)]


def test_a_file_that_is_gone_is_refused_and_the_old_one_stays_in_force(tmp_path: Path) -> None:
    """Until there is one again."""
    street = Street(tmp_path)
    credential = street.add("ci")
    service = street.serve()
    service.begin_due()
    street.path.unlink()
    street.error = ConfigError("cannot be read")
    service.begin_due()
    service.begin_due()
    shown = service.board.standing.configuration
    assert shown.refused is not None
    assert shown.message == "cannot be read"
    assert street.works(credential)
    street.error = None
    street.path.write_text("again", encoding="utf-8")
    service.begin_due()
    service.begin_due()
    assert service.board.standing.configuration.refused is None


@pytest.mark.parametrize("other", [ServiceSettings(look=12 * 60 * MINUTE), ServiceSettings(cron="0 3 * * *")])
def test_another_configuration_says_when_everybody_is_looked_at_next(tmp_path: Path, other: ServiceSettings) -> None:
    """At once, and not at the look that comes by it: until then somebody would be told that there is none."""
    street = Street(tmp_path)
    street.add("ci")
    street.add("asleep", paused=True)
    service = street.serve()
    service.begin_due()
    street.service_settings = other
    street.touch()
    service.begin_due()
    service.begin_due()
    look = service.board.standing.clusters["one"].next_look
    assert look is not None
    assert look > street.clock.now() + 60 * MINUTE
    assert (street.stands(service, "ci").next_wake, street.stands(service, "asleep").next_wake) == (look, None)
    street.clock.set_by = timedelta(hours=-2)
    service.begin_due()
    assert street.stands(service, "ci").next_wake == service.board.standing.clusters["one"].next_look
