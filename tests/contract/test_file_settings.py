"""The settings of the file backend: what is taken, and how what is not is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rotator.errors import ConfigError
from rotator_backends.file import FileBackend, FileLocation
from rotator_backends.file_formats import Format


def faults(attempt: Any, settings: dict[str, Any]) -> list[str]:  # noqa: ANN401 - a bound method of either kind
    """Return the lines that wrong settings are answered with."""
    with pytest.raises(ConfigError) as caught:
        attempt(settings)
    assert caught.value.hint
    return caught.value.message.splitlines()


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("ci.json", Format.JSON),
        ("ci.JSON", Format.JSON),
        ("ci.env", Format.ENV),
        (".env", Format.ENV),
        (".env.local", Format.ENV),
        ("ci.yaml", Format.YAML),
        ("ci.yml", Format.YAML),
        ("ci.token", Format.TOKEN),
    ],
)
def test_a_format_is_told_by_the_name(name: str, form: Format) -> None:
    """As far as a name says it."""
    location, label = FileBackend.configure({}).locate({"path": f"/nowhere/{name}"})
    assert (location, label) == (FileLocation(Path("/nowhere", name), form), f"file:/nowhere/{name}")


@pytest.mark.parametrize("name", ["ci", "ci.conf", "env", "json", ".envrc", "ci.json.bak"])
def test_a_format_is_not_guessed(name: str) -> None:
    """A consumer of another format would find its file destroyed; so it has to be said."""
    (fault,) = faults(FileBackend.configure({}).locate, {"path": f"/nowhere/{name}"})
    assert fault.startswith(f"format: cannot be told from the name {name}; say json, env, yaml, token or text")
    location, _ = FileBackend.configure({}).locate({"path": f"/nowhere/{name}", "format": "token"})
    assert location.format is Format.TOKEN


def test_what_is_said_goes_before_the_name() -> None:
    """A name is only a hint."""
    location, _ = FileBackend.configure({}).locate({"path": "/nowhere/ci.json", "format": "env"})
    assert location.format is Format.ENV


def test_relative_paths_are_below_the_root() -> None:
    """An absolute path is taken as it is."""
    backend = FileBackend.configure({"root": "/nowhere"})
    assert backend.locate({"path": "a/ci.json"})[0].path == Path("/nowhere/a/ci.json")
    assert backend.locate({"path": "/else/ci.json"})[0].path == Path("/else/ci.json")


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        (None, "path: must be a path"),
        (7, "path: must be a path"),
        ("", "path: must name a file, without '.' and '..' on the way"),
        ("/nowhere/", "path: must name a file, without '.' and '..' on the way"),
        ("/nowhere/../ci.json", "path: must name a file, without '.' and '..' on the way"),
        ("/nowhere/.", "path: must name a file, without '.' and '..' on the way"),
        ("/nowhere/a\0.json", "path: must name a file, without '.' and '..' on the way"),
        ("~/ci.json", "path: must be written out: '~' depends on who runs rotate"),
        ("ci.json", "path: must be absolute, or the backend needs a root that it is below"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path: object, fault: str) -> None:
    """Each with its reason, and the format is not complained about beside it."""
    assert faults(FileBackend.configure({}).locate, {"path": path}) == [fault]


def test_all_faults_of_a_destination_are_told_at_once() -> None:
    """Nobody wants to mend a configuration one run at a time."""
    found = faults(FileBackend.configure({}).locate, {"format": "xml", "pth": "/x"})
    assert [line.partition(":")[0] for line in found] == ["path", "format", "pth"]
    assert "'json'" in found[1]


def test_all_faults_of_a_backend_are_told_at_once() -> None:
    """The mode is explained: YAML makes the number 416 of 0640."""
    found = faults(FileBackend.configure, {"root": "secrets", "mode": 416, "moe": 1})
    assert [line.partition(":")[0] for line in found] == ["root", "mode", "moe"]
    assert "absolute" in found[0]
    assert "in quotes" in found[1]


@pytest.mark.parametrize("mode", ["0644", "0604", "0666", "0700", "600", "0o600", "rw-------", ""])
def test_a_mode_that_lets_others_in_is_refused(mode: str) -> None:
    """There are three to choose from."""
    (fault,) = faults(FileBackend.configure, {"mode": mode})
    assert fault == 'mode: must be "0600", "0640" or "0660"; nobody else may read a secret'


def test_locations_can_be_compared_and_are_frozen() -> None:
    """The core keeps them as keys."""
    first, _ = FileBackend.configure({}).locate({"path": "/nowhere/ci.json"})
    second, _ = FileBackend.configure({}).locate({"path": "/nowhere/ci.json", "format": "json"})
    assert {first} == {second}
