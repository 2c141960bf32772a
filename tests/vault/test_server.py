"""The simulated Vault answers as OpenBao 2.6 was seen to; with a real one at hand, it is asked the same."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.vault.lab import Lab, Simulated, named, simulated

PREFLIGHT = (
    'preflight capability check returned 403, please ensure client\'s policies grant access to path "nowhere/a/"'
)
Ask = Callable[..., requests.Response]


@pytest.fixture
def ask(lab: Lab) -> Ask:
    """Return what asks without any library of Vault's."""

    def asking(
        method: str, path: str, body: object = None, *, token: str | None = None, **headers: str
    ) -> requests.Response:
        shown = {"X-Vault-Token": lab.root if token is None else token, **headers}
        return requests.request(
            method, f"{lab.address}/v1/{path}", json=body, headers=shown, verify=str(lab.ca), timeout=10
        )

    return asking


def errors(answer: requests.Response) -> list[str]:
    """Return the errors of an answer."""
    found: list[str] = answer.json()["errors"]
    return found


def test_answers_have_what_vaults_have(lab: Lab, ask: Ask) -> None:
    """The same keys around the data, and the same in them."""
    mount = lab.mount()
    written = ask("POST", f"{mount}/data/a", {"data": {"k": "v"}})
    assert written.headers["Content-Type"] == "application/json"
    around = {"request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth"}
    assert set(written.json()) == around
    assert set(written.json()["data"]) == {"version", "created_time", "deletion_time", "destroyed", "custom_metadata"}
    read = ask("GET", f"{mount}/data/a").json()["data"]
    assert read["metadata"] == written.json()["data"]
    listed = ask("LIST", f"{mount}/metadata/").json()["data"]
    assert listed == {"keys": ["a"]} == ask("GET", f"{mount}/metadata/?list=true").json()["data"]


@pytest.mark.parametrize(
    ("question", "status", "said"),
    [
        (("GET", "{mount}/data/never", None), 404, []),
        (("GET", "nowhere/data/a", None), 404, ['no handler for route "nowhere/data/a". route entry not found.']),
        (
            ("POST", "{mount}/data/a", {"data": {}, "options": {"cas": 7}}),
            400,
            ["check-and-set parameter did not match the current version"],
        ),
        (("POST", "{mount}/data/a", {"options": {"cas": 0}}), 400, ["no data provided"]),
        (("GET", "{one}/never", None), 404, []),
        (("POST", "{one}/a", {}), 400, ["missing data fields"]),
        (("GET", "{mount}/metadata/never", None), 404, []),
        (("POST", "{mount}/delete/a", {}), 400, ["No version number provided"]),
        (("GET", "sys/internal/ui/mounts/nowhere/a", None), 403, [PREFLIGHT]),
        (("POST", "sys/policies/acl/empty", {"policy": ""}), 400, ["'policy' parameter not supplied or empty"]),
    ],
)
def test_refusals_are_vaults(
    lab: Lab, ask: Ask, question: tuple[str, str, object], status: int, said: list[str]
) -> None:
    """Status and words."""
    method, path, body = question
    answer = ask(method, path.format(mount=lab.mount(), one=lab.mount(version=1)), body)
    assert (answer.status_code, errors(answer)) == (status, said)


@pytest.mark.parametrize("token", ["", "not-a-token"])
def test_who_is_unknown_may_nothing(ask: Ask, token: str) -> None:
    """Whatever is asked, and however wrong it is."""
    for path in ("secret/data/a", "nowhere/a", "sys/internal/ui/mounts/secret/a", "auth/nowhere/x"):
        answer = ask("GET", path, token=token)
        assert (answer.status_code, errors(answer)) == (403, ["permission denied"])


def test_a_login_where_no_method_is_enabled_is_denied(ask: Ask) -> None:
    """It is not told apart from a wrong one."""
    answer = ask("POST", f"auth/{named('nothing')}/login", {"role_id": "x"}, token="")
    assert (answer.status_code, errors(answer)) == (403, ["permission denied"])


def test_versions_live_and_die(lab: Lab, ask: Ask) -> None:
    """Delete, undelete, destroy; a 404 with the metadata says which."""
    mount = lab.mount()
    for number in (1, 2):
        assert ask("POST", f"{mount}/data/a", {"data": {"n": number}}).json()["data"]["version"] == number
    assert ask("POST", f"{mount}/delete/a", {"versions": [2]}).status_code == 204
    gone = ask("GET", f"{mount}/data/a")
    assert gone.status_code == 404
    assert gone.json()["data"]["data"] is None
    assert gone.json()["data"]["metadata"]["version"] == 2
    assert gone.json()["data"]["metadata"]["deletion_time"]
    assert ask("GET", f"{mount}/data/a?version=1").json()["data"]["data"] == {"n": 1}
    assert ask("PUT", f"{mount}/undelete/a", {"versions": [2]}).status_code == 204
    assert ask("GET", f"{mount}/data/a").json()["data"]["data"] == {"n": 2}
    assert ask("PUT", f"{mount}/destroy/a", {"versions": [2]}).status_code == 204
    destroyed = ask("GET", f"{mount}/data/a")
    assert destroyed.status_code == 404
    assert destroyed.json()["data"]["metadata"]["destroyed"] is True
    metadata = ask("GET", f"{mount}/metadata/a").json()["data"]
    assert metadata["current_version"] == 2
    assert sorted(metadata["versions"]) == ["1", "2"]
    assert ask("DELETE", f"{mount}/metadata/a").status_code == 204
    assert ask("GET", f"{mount}/metadata/a").status_code == 404


def test_check_and_set_may_be_required(lab: Lab, ask: Ask) -> None:
    """By the mount, or by the record."""
    mount = lab.mount()
    ask("POST", f"{mount}/metadata/a", {"cas_required": True})
    plain = ask("POST", f"{mount}/data/a", {"data": {}})
    assert (plain.status_code, errors(plain)) == (400, ["check-and-set parameter required for this call"])
    assert ask("POST", f"{mount}/data/b", {"data": {}}).status_code == 200
    ask("POST", f"{mount}/config", {"cas_required": True, "max_versions": 2})
    assert ask("POST", f"{mount}/data/b", {"data": {}}).status_code == 400
    assert ask("GET", f"{mount}/config").json()["data"]["max_versions"] == 2


def test_only_so_many_versions_are_kept(lab: Lab, ask: Ask) -> None:
    """Of a record, or of all."""
    mount = lab.mount()
    ask("POST", f"{mount}/metadata/a", {"max_versions": 2})
    for _ in range(4):
        ask("POST", f"{mount}/data/a", {"data": {}})
    metadata = ask("GET", f"{mount}/metadata/a").json()["data"]
    assert sorted(metadata["versions"]) == ["3", "4"]
    assert (metadata["oldest_version"], metadata["current_version"]) == (3, 4)
    assert ask("GET", f"{mount}/data/a?version=1").status_code == 404


def test_version_one_keeps_and_forgets(lab: Lab, ask: Ask) -> None:
    """One record for each path, until it is deleted."""
    mount = lab.mount(version=1)
    for path in ("a", "team/b"):
        assert ask("PUT", f"{mount}/{path}", {"k": path}).status_code == 204
    assert ask("LIST", f"{mount}/").json()["data"]["keys"] == ["a", "team/"]
    assert ask("LIST", f"{mount}/team").json()["data"]["keys"] == ["b"]
    assert ask("DELETE", f"{mount}/a").status_code == 204
    assert ask("GET", f"{mount}/a").status_code == 404


def test_paths_that_version_two_does_not_know_are_told(lab: Lab, ask: Ask) -> None:
    """With a warning and no error, which is how one meets the wrong version."""
    mount = lab.mount()
    for method, doing in (("GET", "get"), ("POST", "put"), ("DELETE", "delete")):
        answer = ask(method, f"{mount}/a", {})
        assert answer.status_code == 404
        assert answer.json()["warnings"][0].endswith(f"use 'bao kv {doing}' for this operation.")


def test_custom_metadata_are_texts(lab: Lab, ask: Ask) -> None:
    """Anything else is refused."""
    answer = ask("POST", f"{lab.mount()}/metadata/a", {"custom_metadata": {"a": {"b": 1}}})
    assert answer.status_code == 400
    assert "custom_metadata" in errors(answer)[0]


def test_policies_come_and_go(lab: Lab, ask: Ask) -> None:
    """What a token may do is looked up when it asks."""
    name = lab.policy('path "secret/data/a" { capabilities = ["read", "list"] } # and no more')
    token = lab.token(name).reveal()
    assert "read" in ask("GET", f"sys/policies/acl/{name}").json()["data"]["policy"]

    def held() -> list[str]:
        answer = ask("POST", "sys/capabilities-self", {"paths": ["secret/data/a"]}, token=token)
        found: list[str] = answer.json()["data"]["secret/data/a"]
        return found

    assert held() == ["list", "read"]
    assert ask("DELETE", f"sys/policies/acl/{name}").status_code == 204
    assert held() == ["deny"]


def test_auth_methods_refuse_as_vaults_do(ask: Ask) -> None:
    """In the words that a message of ours must not pass on."""
    mount = named("approle")
    assert ask("POST", f"sys/auth/{mount}", {"type": "approle"}).status_code == 204
    again = ask("POST", f"sys/auth/{mount}", {"type": "approle"})
    assert (again.status_code, errors(again)) == (400, [f"path is already in use at {mount}/"])
    assert ask("GET", f"auth/{mount}/role/nobody/role-id").status_code == 404
    ask("POST", f"auth/{mount}/role/ci", {})
    role_id = ask("GET", f"auth/{mount}/role/ci/role-id").json()["data"]["role_id"]
    for body, said in [
        ({"role_id": "x", "secret_id": "y"}, "invalid role or secret ID"),
        ({"role_id": role_id}, "missing secret_id"),
    ]:
        answer = ask("POST", f"auth/{mount}/login", body, token="")
        assert (answer.status_code, errors(answer)) == (400, [said])


def test_a_method_that_is_not_there_cannot_be_enabled(ask: Ask) -> None:
    """Nor asked for anything."""
    assert ask("POST", f"sys/auth/{named('x')}", {"type": "no-such-method"}).status_code == 400
    answer = ask("GET", "auth/nowhere/x")
    assert (answer.status_code, errors(answer)) == (
        404,
        ['no handler for route "auth/nowhere/x". route entry not found.'],
    )


def test_a_rate_limit_is_a_429(lab: Lab, ask: Ask) -> None:
    """For the path that it is for, until it is taken away."""
    mount, quota = lab.mount(), named("quota")
    body = {"rate": 1, "interval": "1h", "path": f"{mount}/"}
    assert ask("POST", f"sys/quotas/rate-limit/{quota}", body).status_code == 204
    answers = [ask("GET", f"{mount}/data/a") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [404, 429]
    assert errors(answers[1])[0].endswith("rate limit quota exceeded")
    assert ask("GET", "secret/data/never").status_code == 404
    assert ask("DELETE", f"sys/quotas/rate-limit/{quota}").status_code == 204
    assert ask("GET", f"{mount}/data/a").status_code == 404


def test_a_wrapped_answer_opens_once(ask: Ask) -> None:
    """With its token, and no other."""
    wrapped = ask("POST", "sys/wrapping/wrap", {"k": "v"}, **{"X-Vault-Wrap-TTL": "60"}).json()
    assert wrapped["data"] is None
    token = wrapped["wrap_info"]["token"]
    assert ask("POST", "sys/wrapping/unwrap", token=token).json()["data"] == {"k": "v"}
    for other in (token, "not-a-token"):
        again = ask("POST", "sys/wrapping/unwrap", token=other)
        assert (again.status_code, errors(again)) == (400, ["wrapping token is not valid or does not exist"])


def test_a_token_tells_of_itself(lab: Lab, ask: Ask) -> None:
    """It may be renewed and revoked by whoever has it."""
    token = lab.token("default", ttl="1h", num_uses=0).reveal()
    seen = ask("GET", "auth/token/lookup-self", token=token).json()["data"]
    assert seen["policies"] == ["default"]
    assert 3500 < seen["ttl"] <= 3600
    renewed = ask("POST", "auth/token/renew-self", {}, token=token).json()["auth"]
    assert renewed["lease_duration"] == 3600
    assert ask("POST", "auth/token/revoke-self", {}, token=token).status_code == 204
    assert ask("GET", "auth/token/lookup-self", token=token).status_code == 403


def test_a_token_that_may_not_be_renewed_is_not(lab: Lab, ask: Ask) -> None:
    """It says so."""
    token = lab.token("default", ttl="1h", renewable=False).reveal()
    answer = ask("POST", "auth/token/renew-self", {}, token=token)
    assert (answer.status_code, errors(answer)) == (400, ["lease is not renewable"])


def test_a_policy_of_nonsense_is_refused(ask: Ask) -> None:
    """Before anybody relies on it."""
    answer = ask("POST", f"sys/policies/acl/{named('p')}", {"policy": 'path "x" { capabilities = ["fly"] }'})
    assert answer.status_code == 400
    assert "invalid capability" in errors(answer)[0]


def test_what_is_in_use_is_not_mounted_over(lab: Lab, ask: Ask) -> None:
    """Neither engines nor auth methods."""
    mount = lab.mount()
    answer = ask("POST", f"sys/mounts/{mount}", {"type": "kv"})
    assert (answer.status_code, errors(answer)) == (400, [f"path is already in use at {mount}/"])
    assert ask("GET", "sys/mounts").json()["data"][f"{mount}/"]["options"] == {"version": "2"}


def test_bodies_that_are_no_json_are_refused(lab: Lab) -> None:
    """As nonsense in paths is."""
    url = f"{lab.address}/v1/secret/data/a"
    answer = requests.post(url, data="{", headers={"X-Vault-Token": lab.root}, verify=str(lab.ca), timeout=10)
    assert answer.status_code == 400


def test_it_shows_no_secret(sim: Simulated) -> None:
    """Nor does what it noted of the traffic."""
    sim.admin().secrets.kv.v2.create_or_update_secret("ci", {"token_secret": "of-the-record"})
    core: Any = sim.server.core
    text = f"{sim.server!r} {core.tokens!r} {core.tokens.all[sim.root]!r} {core.namespaces!r} {sim.server.calls!r}"
    assert sim.root not in text.replace(repr({sim.root: 1}), "")
    assert "of-the-record" not in text


def test_it_seals_and_opens(sim: Simulated) -> None:
    """By a request, or by assignment."""
    sim.admin().adapter.put("/v1/sys/seal")
    assert sim.server.sealed
    assert sim.admin().sys.read_health_status(method="GET").status_code == 503
    sim.server.sealed = False
    assert sim.admin().sys.read_health_status(method="GET")["sealed"] is False


def test_it_listens_at_the_port_that_it_is_given(tmp_path: Path) -> None:
    """Where configurations that are already written expect it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with simulated(tmp_path, port=port, tls=False) as sim:
        assert sim.address == f"http://127.0.0.1:{port}"
        assert requests.get(f"{sim.address}/v1/sys/health", timeout=10).json()["sealed"] is False


def test_a_rate_limit_ends_with_its_interval(tmp_path: Path) -> None:
    """Its clock is the one that was given."""
    clock = [1000.0]
    with simulated(tmp_path, clock=lambda: clock[0]) as sim:
        kv, client = sim.admin().secrets.kv.v2, sim.admin()
        kv.create_or_update_secret("ci", {})
        client.adapter.post("/v1/sys/quotas/rate-limit/kv", json={"rate": 2, "interval": "10s", "path": "secret"})
        url, headers = f"{sim.address}/v1/secret/data/ci", {"X-Vault-Token": sim.root}

        def status() -> int:
            return requests.get(url, headers=headers, verify=str(sim.ca), timeout=10).status_code

        assert [status() for _ in range(3)] == [200, 200, 429]
        clock[0] += 10
        assert status() == 200


def test_a_version_may_end_by_itself(tmp_path: Path) -> None:
    """``delete_version_after`` counts from the write, by the clock that was given."""
    clock = [1000.0]
    with simulated(tmp_path, clock=lambda: clock[0]) as sim:
        kv = sim.admin().secrets.kv.v2
        kv.configure(delete_version_after="90s")
        kv.create_or_update_secret("ci", {"k": "v"})
        backend = sim.backend()
        place, _ = backend.locate({"path": "ci"})
        clock[0] += 89
        assert backend.read(place) is not None
        clock[0] += 1
        assert backend.read(place) is None
