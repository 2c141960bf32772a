"""Where the secrets of a login come from, and what is told of a place that has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rotator.errors import ConfigError, RefusedError
from rotator.model import Secret
from rotator.testing.vault import VaultRequest
from rotator_backends.vault_kv import VaultLocation
from tests.vault.lab import Lab, Simulated
from tests.vault.logging_in import ALL, refused, works


def test_a_token_comes_from_a_file(lab: Lab) -> None:
    """The sink of an agent, for example."""
    works(lab.as_token(Secret(lab.root)), lab)


@pytest.mark.parametrize("variable", ["VAULT_TOKEN", "BAO_TOKEN"])
def test_a_token_comes_from_the_environment(lab: Lab, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """Without any ``auth``, as the command line tools do it."""
    monkeypatch.setenv(variable, lab.root)
    works(lab.backend(auth={}), lab)


def test_a_token_comes_from_a_variable_of_any_name(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """And then VAULT_TOKEN does not count."""
    monkeypatch.setenv("OTHER_TOKEN", lab.root)
    monkeypatch.setenv("VAULT_TOKEN", "not-this-one")
    works(lab.backend(auth={"token": {"env": "OTHER_TOKEN"}}), lab)


def test_two_tokens_in_the_environment_are_one_too_many(sim: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can know which one is meant, and neither is told."""
    monkeypatch.setenv("VAULT_TOKEN", "the-first-token")
    monkeypatch.setenv("BAO_TOKEN", "the-second-token")
    error = refused(sim.backend(auth={}), by=ConfigError)
    assert error.message == "auth: VAULT_TOKEN and BAO_TOKEN are set and differ"
    assert sim.server.calls == []


def test_no_token_in_the_environment_is_told(sim: Simulated) -> None:
    """Nothing was contacted."""
    error = refused(sim.backend(auth={}), by=ConfigError)
    assert error.message == "auth: VAULT_TOKEN and BAO_TOKEN are not set"
    assert error.hint == "set one where `rotate` is started, or another `auth`"


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (Path.unlink, "cannot be read: No such file or directory", "check the path and who may read it"),
        (lambda path: path.write_text("\n"), "holds no secret", "check the path and who may read it"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "holds no secret", "check the path and who may read it"),
        (lambda path: path.write_text("x" * 70_000), "holds no secret", "check the path and who may read it"),
    ],
)
def test_a_file_without_a_secret_is_told(
    sim: Simulated, change: Callable[[Path], object], message: str, hint: str
) -> None:
    """Which file, and what is wrong with it."""
    reference = sim.written(Secret("a-token"))
    change(Path(reference["file"]))
    error = refused(sim.backend(auth={"token": reference}), by=ConfigError)
    assert error.message == f"auth: {reference['file']} {message}"
    assert error.hint == hint


def test_a_file_that_everybody_may_read_is_refused(sim: Simulated) -> None:
    """The secret in it is none."""
    reference = sim.written(Secret(sim.root))
    Path(reference["file"]).chmod(0o644)
    error = refused(sim.backend(auth={"token": reference}), by=ConfigError)
    assert error.message == f"auth: everybody may read {reference['file']}"
    assert error.hint == f"chmod o-rwx {reference['file']}"


def test_what_is_no_file_is_refused(sim: Simulated) -> None:
    """A folder, a pipe."""
    folder = str(sim.folder)
    error = refused(sim.backend(auth={"token": {"file": folder}}), by=ConfigError)
    assert error.message == f"auth: {folder} is not a regular file"


def test_an_empty_variable_is_told(sim: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that is not set."""
    monkeypatch.setenv("MY_TOKEN", " ")
    error = refused(sim.backend(auth={"token": {"env": "MY_TOKEN"}}), by=ConfigError)
    assert error.message == "auth: MY_TOKEN is not set"


def test_a_variable_that_is_no_text_is_told(sim: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be sent, which is no fault of the connection."""
    monkeypatch.setenv("MY_PASSWORD", "hunter2\udcff")
    auth = {"method": "userpass", "username": "ci", "password": {"env": "MY_PASSWORD"}}
    error = refused(sim.backend(auth=auth), by=ConfigError)
    assert error.message == "auth: MY_PASSWORD is no text in UTF-8"
    assert "hunter2" not in repr(error.__dict__)


def test_what_does_not_fit_into_a_header_is_no_token(sim: Simulated) -> None:
    """An HTTP library would show it in its complaint; ours does not."""
    error = refused(sim.as_token(Secret("two words\r\nof a token")), by=ConfigError)
    assert error.message == "auth: what was found is no token"
    assert "two words" not in repr(error.__dict__)


def test_the_sink_of_an_agent_is_read_again(lab: Lab) -> None:
    """Whoever writes a new token there is heard at once."""
    reference = lab.written(lab.token(lab.policy(ALL)))
    backend = lab.backend(auth={"token": reference})
    works(backend, lab)
    Path(reference["file"]).write_text(lab.token(lab.policy(ALL)).reveal())
    works(backend, lab)


def test_a_sink_that_is_rewritten_while_we_ask_counts(sim: Simulated) -> None:
    """The token was revoked between our reading it and the request; the new one is tried, once."""
    old, new = (sim.token(sim.policy(ALL)) for _ in range(2))
    reference = sim.written(old)
    backend = sim.backend(auth={"token": reference})
    assert backend.read(VaultLocation("secret", "ci")) is None

    def revoke(request: VaultRequest) -> None:
        if request.token == old.reveal():
            sim.server.core.tokens.all.pop(old.reveal(), None)
            Path(reference["file"]).write_text(new.reveal())

    sim.server.intercept = revoke
    assert backend.read(VaultLocation("secret", "ci")) is None
    assert [call.status for call in sim.server.calls][-2:] == [403, 404]


def test_a_token_that_stays_refused_is_tried_once(sim: Simulated) -> None:
    """There is no other one to be had."""
    sim.server.calls.clear()
    error = refused(sim.as_token(Secret("not-a-token")), by=RefusedError)
    assert error.message == f"cannot read secret/ci at {sim.address}: permission denied"
    assert [call.path for call in sim.server.calls] == ["secret/data/ci", "sys/internal/ui/mounts/secret/ci"]
