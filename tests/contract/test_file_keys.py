"""Which keys fit a file: told while the configuration is checked, and kept to when the file is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rotator.backend import ChecksKeys
from rotator.errors import ConfigError, RefusedError
from rotator.model import Secret
from rotator_backends.file import FileBackend
from rotator_backends.file_formats import ContentError, Format, codec, encoded

CANONICAL = ("token_id", "token_secret")


def faults(keys: tuple[str, ...], **settings: Any) -> list[str]:  # noqa: ANN401 - settings of a destination
    """Return what is wrong with keys at a destination, a line each."""
    backend = FileBackend.configure({"root": "/nowhere"})
    location, _ = backend.locate(settings)
    try:
        backend.check_keys(location, keys)
    except ConfigError as error:
        return error.message.splitlines()
    return []


def test_the_file_backend_can_be_asked() -> None:
    """The configuration finds out by the protocol."""
    assert isinstance(FileBackend.configure({}), ChecksKeys)


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({"path": "ci.json"}, (*CANONICAL, "a key.with/odd=signs: #1", "ключ")),
        ({"path": "ci.yaml"}, (*CANONICAL, "config.yaml")),
        ({"path": "ci.env"}, (*CANONICAL, "PROXMOX_VE_API_TOKEN", "_x1")),
        ({"path": "ci.token"}, CANONICAL),
        ({"path": "pve.yml", "format": "text"}, ("pve.yml",)),
        ({"path": "other", "format": "text", "key": "pve.yml"}, ("pve.yml",)),
    ],
)
def test_what_fits_is_accepted(settings: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Structured files take any key, environments names of variables, the others exactly theirs."""
    assert faults(keys, **settings) == []


@pytest.mark.parametrize(
    ("settings", "key", "fault"),
    [
        ({"path": "ci.env"}, "x-y", "not the name of an environment variable"),
        ({"path": "ci.env"}, "1x", "not the name of an environment variable"),
        ({"path": "ci.env"}, "x.y", "not the name of an environment variable"),
        ({"path": "ci.token"}, "x", "a file of the format token holds id and secret alone"),
        ({"path": "pve.yml", "format": "text"}, "x", "a file of the format text holds pve.yml alone"),
        ({"path": "x", "format": "text", "key": "y"}, "x", "a file of the format text holds y alone"),
        ({"path": "a/pve.yml"}, "pve.yml", "called like the file, so meant as all of it, not as a key in yaml"),
        ({"path": "a/x.json"}, "x.json", "called like the file, so meant as all of it, not as a key in json"),
    ],
)
def test_what_does_not_fit_is_told_by_its_key(settings: dict[str, Any], key: str, fault: str) -> None:
    """One line for each, the others are fine."""
    assert faults((key,), **settings) == [f"{key}: {fault}"]


def test_all_that_does_not_fit_is_told_at_once() -> None:
    """Who corrects one finds no other behind it."""
    assert [line.partition(":")[0] for line in faults(("a-b", "ok", "c-d"), path="ci.env")] == ["a-b", "c-d"]


def test_only_a_text_has_a_key_of_its_own() -> None:
    """In the other formats it would mean nothing."""
    with pytest.raises(ConfigError, match="key: only a file of the format text has one key"):
        FileBackend.configure({}).locate({"path": "/nowhere/ci.json", "key": "x"})


@pytest.mark.parametrize("key", ["", 1, ["x"]])
def test_the_key_of_a_text_is_a_name(key: object) -> None:
    """It is told at its line."""
    with pytest.raises(ConfigError, match="key: must be the name of a key"):
        FileBackend.configure({}).locate({"path": "/nowhere/x", "format": "text", "key": key})


def test_a_text_is_written_and_read_as_it_is(tmp_path: Path, canary: str) -> None:
    """What stands around the value, and the newline at the end, are the template's business."""
    tmp_path.chmod(0o700)
    backend = FileBackend.configure({})
    location, _ = backend.locate({"path": str(tmp_path / "pve.yml"), "format": "text"})
    text = f'default:\n  token_value: "{canary}"\n'
    backend.write(location, {"pve.yml": Secret(text)}, expected=None)
    assert location.path.read_text() == text
    stored = backend.read(location)
    assert stored is not None
    assert stored.fields == {"pve.yml": Secret(text)}


def test_another_key_is_not_written_into_a_text(tmp_path: Path) -> None:
    """Whatever the configuration was; the file stays as it is."""
    tmp_path.chmod(0o700)
    backend = FileBackend.configure({})
    location, _ = backend.locate({"path": str(tmp_path / "pve.yml"), "format": "text"})
    with pytest.raises(RefusedError, match=r"it is one text, with 'pve\.yml' as its only key"):
        backend.write(location, {"token_id": Secret("ci@pve!ci")}, expected=None)
    assert not location.path.exists()


@pytest.mark.parametrize("text", ["", "\n", " \n\t"])
def test_an_empty_text_holds_nothing(text: str) -> None:
    """It may be written over, as a file that was made to have an owner and a mode."""
    assert codec(Format.TEXT, "x").fields(text) == {}


def test_a_text_cannot_be_nothing() -> None:
    """It would be read back as if there were no record."""
    with pytest.raises(ContentError):
        encoded(Format.TEXT, "before", {"x": " "}, "x")
