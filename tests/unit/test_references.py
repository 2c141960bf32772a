"""Secrets are got from where the configuration says, anew each time, and a place without one is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rotator.errors import ConfigError, NotFoundError
from rotator.model import Secret, Stored, Version
from rotator.references import LONGEST, BackendReference, EnvReference, FileReference, SecretReference, check, resolve
from tests.unit.config_world import Shelf


def got(reference: SecretReference, **environ: str) -> str:
    """Resolve a reference with one shelf, which holds a ticket, and one that is empty."""
    tickets = {"ticket": Secret("kept"), "empty": Secret(""), "half": Secret("half a \ud83d")}
    shelf = Shelf({name: Stored({"token_secret": it}, Version("1")) for name, it in tickets.items()})
    return resolve(reference, environ=environ, backends={"shelf": shelf}).reveal()


def kept(folder: Path, content: bytes, mode: int = 0o600) -> FileReference:
    """Put a secret into a file."""
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return FileReference(path)


def test_a_variable_is_taken_as_it_is() -> None:
    """White space in it may be part of the secret."""
    assert got(EnvReference("A"), A=" x\n") == " x\n"


@pytest.mark.parametrize(("environ", "state"), [({}, "not set"), ({"A": ""}, "empty")])
def test_a_variable_without_a_value_holds_no_secret(environ: dict[str, str], state: str) -> None:
    """Both are told by the variable's name."""
    with pytest.raises(ConfigError, match=f"the environment variable A is {state}"):
        got(EnvReference("A"), **environ)


def test_a_variable_whose_bytes_are_no_text_holds_no_secret() -> None:
    """Whoever sends it, or makes a key of it, would fail at that in the middle of the work."""
    with pytest.raises(ConfigError, match="the environment variable A is not UTF-8"):
        got(EnvReference("A"), A="not \udcfc UTF-8")


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o660])
@pytest.mark.parametrize(
    ("content", "secret"), [(b"x", "x"), (b"x\n", "x"), (b"x\r\n", "x"), (b" x \n\n", " x \n"), ("ü€".encode(), "ü€")]
)
def test_a_file_is_taken_without_the_newline_at_its_end(tmp_path: Path, content: bytes, secret: str, mode: int) -> None:
    """Editors add one newline; whatever else is there belongs to the secret."""
    assert got(kept(tmp_path, content, mode)) == secret


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n", b"\xff\xfe", b"x" * (LONGEST + 1)])
def test_a_file_without_a_secret_is_told(tmp_path: Path, content: bytes) -> None:
    """Empty, not text, or far too long: a file that was named by mistake."""
    with pytest.raises(ConfigError, match="holds no secret"):
        got(kept(tmp_path, content))


def test_the_longest_secret_is_taken(tmp_path: Path) -> None:
    """The limit itself is not too long, newline aside."""
    assert len(got(kept(tmp_path, b"x" * LONGEST + b"\n"))) == LONGEST


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o444])
def test_a_file_that_everybody_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Each time it is read, not only when the configuration is checked."""
    with pytest.raises(ConfigError, match="everybody may read") as caught:
        got(kept(tmp_path, b"x", mode))
    assert caught.value.hint.startswith("chmod o-rwx ")


def test_a_folder_or_a_pipe_is_no_secret(tmp_path: Path) -> None:
    """And a pipe that nobody writes to does not make us wait."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        got(FileReference(tmp_path / "pipe"))
    with pytest.raises(ConfigError, match="Is a directory"):
        got(FileReference(tmp_path))


def test_a_folder_is_let_go_of_again(tmp_path: Path) -> None:
    """A service asks again and again, and a mount without its file is a folder: it ran out of open files."""
    probe = os.open(tmp_path, os.O_RDONLY)
    os.close(probe)
    with pytest.raises(ConfigError):
        got(FileReference(tmp_path))
    again = os.open(tmp_path, os.O_RDONLY)
    os.close(again)
    assert again == probe  # the lowest number that is free


def test_a_missing_file_is_told_by_its_path(tmp_path: Path) -> None:
    """With the system's own reason."""
    with pytest.raises(ConfigError, match=r"none cannot be read: No such file or directory"):
        got(FileReference(tmp_path / "none"))


def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    """It may have been rotated in between."""
    reference = kept(tmp_path, b"old")
    assert got(reference) == "old"
    kept(tmp_path, b"new")
    assert got(reference) == "new"


def test_a_records_key_is_taken_from_its_backend() -> None:
    """One key of one record."""
    assert got(BackendReference("shelf", "ticket", "shelf:ticket", "token_secret")) == "kept"


@pytest.mark.parametrize(
    ("location", "key", "message"),
    [("none", "a", "shelf:x holds no record"), ("ticket", "a", "shelf:x holds no key a")],
)
def test_a_record_without_the_key_is_told(location: str, key: str, message: str) -> None:
    """It is the store that lacks something, not the configuration that is wrong."""
    with pytest.raises(NotFoundError, match=message):
        got(BackendReference("shelf", location, "shelf:x", key))


def test_a_backend_that_is_configured_no_more_is_told() -> None:
    """Whoever has the reference from a configuration of before, as the status page, goes on with what it knows."""
    reference = BackendReference("gone", "ci", "gone:ci", "key")
    with pytest.raises(ConfigError, match="gone:ci cannot be read: the backend gone is configured no more") as caught:
        resolve(reference, environ={}, backends={})
    assert caught.value.hint == "start `rotate` anew, or put the backend back"


def test_an_empty_key_is_no_secret() -> None:
    """Who shows nothing at all would have shown it."""
    with pytest.raises(ConfigError, match="shelf:empty holds no secret: its key token_secret is empty"):
        got(BackendReference("shelf", "empty", "shelf:empty", "token_secret"))


def test_a_key_that_is_no_text_is_no_secret() -> None:
    """JSON can write half a character, which nothing can send."""
    with pytest.raises(ConfigError, match="shelf:half holds no secret: its key token_secret is not UTF-8"):
        got(BackendReference("shelf", "half", "shelf:half", "token_secret"))


def test_checking_contacts_no_backend(tmp_path: Path) -> None:
    """A record's key can only be looked at by asking its store; variables and files are looked at."""
    check(BackendReference("nowhere", "x", "x", "x"), environ={})
    check(kept(tmp_path, b"x"), environ={})
    with pytest.raises(ConfigError):
        check(EnvReference("A"), environ={})
