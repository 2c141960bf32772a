"""No secret shows: in no log at its loudest, in no message of a server that repeats what it was sent, in no repr."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from rotator.errors import RotatorError
from rotator.model import Secret
from rotator.testing.backend_contract import shown
from rotator.testing.vault import HangUpAfter, VaultAnswerInstead, VaultRequest
from rotator_backends.vault_kv import VaultLocation
from tests.vault.lab import Simulated, named

PLACE = VaultLocation("secret", "ci")
ALL = 'path "*" { capabilities = ["create", "update", "read"] }'


@pytest.fixture
def record(canaries: tuple[str, ...]) -> dict[str, Secret]:
    """Return a record with a secret that the whole run looks out for."""
    return {"token_id": Secret("ci@pve!ci-1-abcde"), "token_secret": Secret(canaries[0])}


def planted(sim: Simulated, canary: str) -> Secret:
    """Make the root token one that is looked out for."""
    token = sim.server.core.tokens.all.pop(sim.root)
    token.id = canary
    sim.server.core.tokens.all[canary] = token
    sim.root = canary
    return Secret(canary)


@pytest.mark.parametrize("level", [logging.DEBUG, 1])
def test_nothing_is_logged_of_what_is_read_and_written(
    sim: Simulated, canaries: tuple[str, ...], record: dict[str, Secret], level: int
) -> None:
    """By whatever library, at whatever level: the canary looks at every record of the log."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("urllib3", "requests", "hvac", "http")):
            logging.getLogger(name).setLevel(level)
    backend = sim.as_token(planted(sim, canaries[1]))
    backend.preflight(PLACE)
    version = backend.write(PLACE, record, expected=None)
    sim.server.intercept = lambda request: HangUpAfter() if request.method == "PUT" else None
    with pytest.raises(RotatorError):
        backend.write(PLACE, record, expected=version)
    stored = backend.read(PLACE)
    assert stored is not None
    assert stored.fields == record
    for thing in (backend, vars(backend), stored, sim.server, sim.server.core.tokens, sim, sim.server.calls):
        assert not [canary for canary in canaries[:2] if canary in f"{thing!r} {thing}"]


def test_nothing_is_logged_of_a_login(sim: Simulated, canaries: tuple[str, ...]) -> None:
    """The secret is in the body, the user name in the path."""
    sim.admin().sys.enable_auth_method("userpass")
    sim.admin().auth.userpass.create_or_update_user("ci", canaries[2], policies=[sim.policy(ALL)])
    auth = {"method": "userpass", "username": "ci", "password": sim.written(Secret(canaries[2]))}
    assert sim.backend(auth=auth).read(PLACE) is None


def parrot(request: VaultRequest) -> VaultAnswerInstead | None:
    """Refuse, and repeat all that was sent."""
    if request.method == "GET" and not request.path.startswith("secret"):
        return None
    data = request.body.get("data", {})
    said = (f"bad request: {request.token}", f"{dict(request.body)}", *(str(value) for value in data.values()))
    return VaultAnswerInstead(400, said, {"Location": request.token, "Retry-After": request.token})


@pytest.mark.parametrize("status", [307, 400, 404, 409, 429, 500, 503])
def test_a_server_that_repeats_what_it_was_sent_is_not_quoted(
    sim: Simulated, canaries: tuple[str, ...], record: dict[str, Secret], status: int
) -> None:
    """Neither the token nor the record comes back in an error."""
    backend = sim.as_token(planted(sim, canaries[1]))
    backend.read(PLACE)

    def repeat(request: VaultRequest) -> VaultAnswerInstead | None:
        answer = parrot(request) if request.method == "PUT" else None
        return VaultAnswerInstead(status, answer.errors, answer.headers) if answer else None

    sim.server.intercept = repeat
    with pytest.raises(RotatorError) as caught:
        backend.write(PLACE, record, expected=None)
    told = shown(caught.value) + caught.value.hint
    assert not [canary for canary in canaries[:2] if canary in told]
    assert f"status {status}" in told or status in {307, 429}


def test_what_repeats_nothing_is_quoted(sim: Simulated, record: dict[str, Secret]) -> None:
    """What a server has to say helps, as long as it is about itself."""
    backend = sim.backend()
    backend.read(PLACE)
    fault = VaultAnswerInstead(400, ("the storage\n\tis \x07full",))
    sim.server.intercept = lambda request: fault if request.method == "PUT" else None
    with pytest.raises(RotatorError, match=r": status 400, the storage is \?full$"):
        backend.write(PLACE, record, expected=None)


ATTEMPTS: dict[str, Callable[[Any, Any], object]] = {
    "read": lambda backend, _: backend.read(PLACE),
    "write": lambda backend, record: backend.write(PLACE, record, expected=None),
    "preflight": lambda backend, _: backend.preflight(PLACE),
}


@pytest.mark.parametrize("doing", sorted(ATTEMPTS))
def test_a_refused_login_shows_no_secret(
    sim: Simulated, canaries: tuple[str, ...], record: dict[str, Secret], doing: str
) -> None:
    """The server repeats the secret id in its refusal, and it is not passed on."""
    sim.admin().sys.enable_auth_method("approle")
    approle = sim.admin().auth.approle
    approle.create_or_update_approle("ci")
    role_id = approle.read_role_id("ci")["data"]["role_id"]
    auth = {"method": "approle", "role_id": role_id, "secret_id": sim.written(Secret(canaries[3]))}
    with pytest.raises(RotatorError) as caught:
        ATTEMPTS[doing](sim.backend(auth=auth), record)
    assert canaries[3] not in shown(caught.value) + caught.value.hint


def test_nothing_comes_from_a_netrc_or_a_token_helper(sim: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries look into the home; here nothing there counts, nor a proxy that the environment names."""
    home = sim.folder / named("home")
    home.mkdir()
    (home / ".netrc").write_text("machine 127.0.0.1 login ci password of-the-netrc\n")
    (home / ".vault-token").write_text("of-the-helper")
    monkeypatch.setenv("HOME", str(home))
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("VAULT_TOKEN", "of-the-environment")
    seen: list[str] = []
    sim.server.intercept = lambda request: seen.append(request.token)
    backend = sim.backend(auth={"method": "agent"})
    with pytest.raises(RotatorError, match="permission denied"):
        backend.read(PLACE)
    assert set(seen) == {""}
