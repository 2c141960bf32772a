"""Logging in by every method, and staying logged in."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rotator.errors import ConfigError, RefusedError, RotatorError, UnavailableError
from rotator.model import Secret
from rotator.testing.vault import HangUpAfter, VaultAnswerInstead, VaultRequest
from rotator.testing.vault_logins import Account, AppRole, Kubernetes
from rotator_backends.vault import VaultBackend
from rotator_backends.vault_kv import VaultLocation
from tests.vault.lab import RECORD, Lab, Simulated, named, simulated
from tests.vault.logging_in import ALL, refused, works


def enabled(lab: Lab, kind: str) -> str:
    """Enable an auth method, and return where."""
    mount = named(kind)
    lab.admin().sys.enable_auth_method(kind, path=mount)
    return mount


def approle(lab: Lab, **settings: Any) -> tuple[str, dict[str, Any], Callable[[], Secret]]:  # noqa: ANN401 - any setting of a role
    """Make a role; return its mount, the settings of a login but for the secret id, and what makes secret ids."""
    mount = enabled(lab, "approle")
    role = lab.admin().auth.approle
    role.create_or_update_approle("ci", token_policies=[lab.policy(ALL)], mount_point=mount, **settings)
    role_id = Secret(role.read_role_id("ci", mount_point=mount)["data"]["role_id"])
    auth = {"method": "approle", "mount": mount, "role_id": lab.written(role_id)}
    return mount, auth, lambda: Secret(role.generate_secret_id("ci", mount_point=mount)["data"]["secret_id"])


def test_approle_logs_in(lab: Lab) -> None:
    """Once, for all that follows."""
    _, auth, secret_id = approle(lab)
    works(lab.backend(auth={**auth, "secret_id": lab.written(secret_id())}), lab)


def test_a_role_id_may_stand_in_the_configuration(lab: Lab) -> None:
    """It is a name rather than a secret."""
    mount, auth, secret_id = approle(lab)
    role_id = lab.admin().auth.approle.read_role_id("ci", mount_point=mount)["data"]["role_id"]
    works(lab.backend(auth={**auth, "role_id": role_id, "secret_id": lab.written(secret_id())}), lab)


def test_a_role_may_need_no_secret_id(lab: Lab) -> None:
    """Where something else binds it, such as an address."""
    _, auth, _ = approle(lab, bind_secret_id=False, token_bound_cidrs=["127.0.0.0/8"])
    works(lab.backend(auth=auth), lab)


def test_a_wrong_secret_id_is_told_without_it(lab: Lab) -> None:
    """The server's own message repeats it."""
    _, auth, _ = approle(lab)
    error = refused(lab.backend(auth={**auth, "secret_id": lab.written(Secret("a-wrong-secret-id"))}))
    assert error.message == f"cannot log in by approle (auth/{auth['mount']}) at {lab.address}: refused"
    assert error.hint == "check role_id and secret_id; a secret id ends by time or uses: make a new one"


def test_a_wrapped_secret_id_is_opened_once(lab: Lab) -> None:
    """The wrapping token is used up by the first login, and the secret id is kept for the next one."""
    mount, auth, _ = approle(lab)
    wrapped = lab.admin().auth.approle.generate_secret_id("ci", mount_point=mount, wrap_ttl="60s")
    reference = lab.written(Secret(wrapped["wrap_info"]["token"]))
    clock = [0.0]
    backend = lab.backend(auth={**auth, "wrapped_secret_id": reference}, clock=lambda: clock[0])
    works(backend, lab)
    clock[0] = 1e9
    works(backend, lab)
    error = refused(lab.backend(auth={**auth, "wrapped_secret_id": reference}))
    assert error.message == f"cannot unwrap the secret id at {lab.address}: refused"
    assert error.hint == (
        "a wrapping token works once and not for long; if it was opened by somebody else, "
        "destroy the secret id and find out who; wrap a new one"
    )


def test_what_a_policy_denies_is_not_blamed_on_the_login(sim: Simulated) -> None:
    """A secret id for one login is used up, the token is good, and its policy lacks a line: that is what is told."""
    mount, auth, secret_id = approle(sim, secret_id_num_uses=1)
    sim.admin().auth.approle.create_or_update_approle("ci", token_policies=["default"], mount_point=mount)
    backend = sim.backend(auth={**auth, "secret_id": sim.written(secret_id())})
    assert refused(backend, by=RefusedError).message == f"cannot read secret/ci at {sim.address}: permission denied"


def test_userpass_logs_in(lab: Lab) -> None:
    """With what a name may have."""
    mount = enabled(lab, "userpass")
    userpass = lab.admin().auth.userpass
    userpass.create_or_update_user("ci.team-1", "a good password", policies=[lab.policy(ALL)], mount_point=mount)
    auth = {"method": "userpass", "mount": mount, "username": "ci.team-1"}
    works(lab.backend(auth={**auth, "password": lab.written(Secret("a good password"))}), lab)
    error = refused(lab.backend(auth={**auth, "password": lab.written(Secret("a wrong password"))}))
    assert error.message == f"cannot log in by userpass (auth/{mount}) at {lab.address}: refused"
    assert error.hint == "check username and password"


def signed(key: RSAPrivateKey, **claims: object) -> Secret:
    """Sign claims as a token, RS256."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    content = {"sub": "ci", "aud": "rotate", "iat": int(time.time()), "exp": int(time.time()) + 300, **claims}
    head = f"{part(json.dumps({'alg': 'RS256', 'typ': 'JWT'}).encode())}.{part(json.dumps(content).encode())}"
    return Secret(f"{head}.{part(key.sign(head.encode(), PKCS1v15(), SHA256()))}")


def test_jwt_logs_in(lab: Lab) -> None:
    """A token that a known key has signed, for the audience of the role."""
    mount, key = enabled(lab, "jwt"), generate_private_key(65537, 2048)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    lab.admin().adapter.post(f"/v1/auth/{mount}/config", json={"jwt_validation_pubkeys": [pem]})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["rotate"], "token_policies": [lab.policy(ALL)]}
    lab.admin().adapter.post(f"/v1/auth/{mount}/role/ci", json=role)
    auth = {"method": "jwt", "mount": mount, "role": "ci"}
    works(lab.backend(auth={**auth, "jwt": lab.written(signed(key))}), lab)
    bad = [signed(key, aud="others"), signed(key, exp=1), signed(generate_private_key(65537, 2048))]
    for jwt in bad:
        error = refused(lab.backend(auth={**auth, "jwt": lab.written(jwt)}))
        assert error.message == f"cannot log in by jwt (auth/{mount}) at {lab.address}: refused"
        assert error.hint == "has the token expired, and does the role take its audience and claims?"


@pytest.fixture
def kubernetes(sim: Simulated) -> dict[str, Any]:
    """Enable the method, with a service account, and return the settings of a login."""
    sim.admin().sys.enable_auth_method("kubernetes")
    method = sim.server.core.namespaces[""].auths["kubernetes"]
    assert isinstance(method, Kubernetes)
    method.accounts["jwt-of-rotate"] = Account("ops", "rotate")
    method.accounts["jwt-of-other"] = Account("ops", "other")
    sim.admin().auth.kubernetes.create_role("ci", ["rotate"], ["ops"], policies=[sim.policy(ALL)])
    return {"method": "kubernetes", "role": "ci"}


def test_kubernetes_logs_in(sim: Simulated, kubernetes: dict[str, Any]) -> None:
    """With the token of a service account, whose file is open to all in many a pod."""
    jwt = sim.written(Secret("jwt-of-rotate"))
    Path(jwt["file"]).chmod(0o644)
    works(sim.backend(auth={**kubernetes, "jwt": jwt}), sim)
    error = refused(sim.backend(auth={**kubernetes, "jwt": sim.written(Secret("jwt-of-other"))}))
    assert error.message == f"cannot log in by kubernetes (auth/kubernetes) at {sim.address}: refused"
    assert error.hint == "does the role name this service account, its namespace and its audience?"


def test_the_token_of_the_pod_is_read_without_saying_where(sim: Simulated, kubernetes: dict[str, Any]) -> None:
    """Outside of a pod there is none, and the message says where it was looked for."""
    error = refused(sim.backend(auth=kubernetes), by=ConfigError)
    assert error.message.startswith("auth: /var/run/secrets/kubernetes.io/serviceaccount/token cannot be read: ")


def certificate(folder: Path, authority: trustme.CA, name: str) -> dict[str, Any]:
    """Issue a certificate and return the settings for it."""
    leaf = authority.issue_cert(common_name=name)
    files = {"client_cert": folder / f"{name}.pem", "client_key": folder / f"{name}.key"}
    files["client_cert"].write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    files["client_key"].write_bytes(leaf.private_key_pem.bytes())
    return {setting: str(path) for setting, path in files.items()}


def test_a_certificate_logs_in(tmp_path: Path) -> None:
    """What was shown in the handshake, if a role takes it."""
    authority = trustme.CA()
    with simulated(tmp_path, client_authority=authority) as sim:
        sim.admin().sys.enable_auth_method("cert")
        pem, policy = authority.cert_pem.bytes().decode(), sim.policy(ALL)
        sim.admin().adapter.post("/v1/auth/cert/certs/ci", json={"certificate": pem, "token_policies": [policy]})
        shown = certificate(tmp_path, authority, "ci")
        works(sim.backend(auth={"method": "cert"}, **shown), sim)
        works(sim.backend(auth={"method": "cert", "role": "ci"}, **shown), sim)
        error = refused(sim.backend(auth={"method": "cert", "role": "other"}, **shown))
        assert error.message == f"cannot log in by cert (auth/cert) at {sim.address}: refused"
        assert error.hint == "is the authority of client_cert registered, and does the role take its name?"


def test_a_server_that_demands_a_certificate_gets_one(tmp_path: Path) -> None:
    """Mutual TLS has nothing to do with who logs in; without a certificate there is a hint."""
    authority = trustme.CA()
    with simulated(tmp_path, client_authority=authority, demands_certificate=True) as sim:
        place = VaultLocation("secret", "ci")
        assert sim.backend(**certificate(tmp_path, authority, "ci")).read(place) is None
        with pytest.raises(RotatorError, match=r"^cannot read secret/ci at "):
            sim.backend().read(place)


def test_an_agent_adds_the_token(sim: Simulated) -> None:
    """We send none, and take no 403 for a reason to log in."""
    shown: list[str] = []
    sim.server.intercept = lambda request: shown.append(request.token)
    error = refused(sim.backend(auth={"method": "agent"}), by=RefusedError)
    assert error.message == f"cannot read secret/ci at {sim.address}: permission denied"
    assert shown == ["", ""]


def test_an_auth_method_may_be_in_another_namespace(lab: Lab) -> None:
    """One login for the records of a child."""
    child = named("team")
    lab.admin().sys.create_namespace(child)
    mount = lab.mount(namespace=child)
    allowing = lab.policy(f'path "{child}/{mount}/data/*" {{ capabilities = ["create", "update", "read"] }}')
    auth_mount, auth, secret_id = approle(lab)
    lab.admin().auth.approle.create_or_update_approle("ci", token_policies=[allowing], mount_point=auth_mount)
    backend = lab.backend(namespace=child, auth={**auth, "namespace": "", "secret_id": lab.written(secret_id())})
    backend.write(VaultLocation(mount, "ci"), RECORD, expected=None)


@dataclass
class Run:
    """A simulated Vault and backends that live by one clock."""

    sim: Simulated
    clock: list[float]

    def backend(self, **role: Any) -> VaultBackend:  # noqa: ANN401 - any setting of a role
        """Make a backend that logs in with a role of these settings."""
        _, auth, secret_id = approle(self.sim, **role)
        settings = {**auth, "secret_id": self.sim.written(secret_id())}
        return self.sim.backend(auth=settings, clock=lambda: self.clock[0])

    def at(self, seconds: float, backend: VaultBackend) -> list[str]:
        """Read at a time, and return what was asked beside that."""
        self.clock[0] = seconds
        self.sim.server.calls.clear()
        assert backend.read(VaultLocation("secret", "ci")) is None
        paths = [call.path for call in self.sim.server.calls]
        return [path.rpartition("/")[2] for path in paths if path.startswith("auth/")]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Give a simulated Vault with a clock."""
    clock = [1_000_000.0]
    with simulated(tmp_path, clock=lambda: clock[0]) as sim:
        yield Run(sim, clock)


def test_a_login_is_renewed_when_two_thirds_are_over(run: Run) -> None:
    """Not before, and then again and again."""
    backend = run.backend(token_ttl="90s")
    start = run.clock[0]
    assert run.at(start, backend) == ["login"]
    assert run.at(start + 59, backend) == []
    assert run.at(start + 61, backend) == ["renew-self"]
    assert run.at(start + 120, backend) == []
    assert run.at(start + 122, backend) == ["renew-self"]


def test_a_login_that_may_not_live_longer_is_repeated(run: Run) -> None:
    """A renewal that gives little is none."""
    backend = run.backend(token_ttl="90s", token_max_ttl="100s")
    start = run.clock[0]
    assert run.at(start, backend) == ["login"]
    assert run.at(start + 61, backend) == ["renew-self", "login"]
    assert run.at(start + 62, backend) == []


def test_a_login_that_is_over_is_repeated(run: Run) -> None:
    """After a long pause the renewal is refused, and a new login is not."""
    backend = run.backend(token_ttl="90s")
    start = run.clock[0]
    assert run.at(start, backend) == ["login"]
    assert run.at(start + 1000, backend) == ["renew-self", "login"]


def test_a_token_that_was_revoked_is_replaced_for_a_write_too(run: Run) -> None:
    """A refused write changed nothing: it is tried again, once, with a new login."""
    backend = run.backend(token_ttl="1h")
    place = VaultLocation("secret", "ci")
    version = backend.write(place, RECORD, expected=None)
    tokens = run.sim.server.core.tokens.all

    def revoke(request: VaultRequest) -> None:
        if request.method == "PUT" and request.path == "secret/data/ci" and not revoked:
            revoked.append(tokens.pop(request.token))

    revoked: list[object] = []
    run.sim.server.intercept = revoke
    run.sim.server.calls.clear()
    assert backend.write(place, RECORD, expected=version).startswith("2@")
    asked = [(call.method, call.path.rpartition("/")[2], call.status) for call in run.sim.server.calls]
    assert asked == [("GET", "ci", 200), ("PUT", "ci", 403), ("PUT", "login", 200), ("PUT", "ci", 200)]


def test_a_token_for_a_few_uses_is_replaced(run: Run) -> None:
    """However few they are."""
    backend = run.backend(token_num_uses=2)
    place = VaultLocation("secret", "ci")
    version = None
    for _ in range(3):
        version = backend.write(place, RECORD, expected=version)
    assert version is not None
    assert version.startswith("3@")


def test_a_token_that_never_ends_is_never_renewed(sim: Simulated) -> None:
    """A duration of 0 is none."""
    clock = [0.0]
    _, auth, secret_id = approle(sim)
    method = sim.server.core.namespaces[""].auths[auth["mount"]]
    assert isinstance(method, AppRole)
    method.roles["ci"].settings["token_policies"] = ["root"]
    backend = sim.backend(auth={**auth, "secret_id": sim.written(secret_id())}, clock=lambda: clock[0])
    assert backend.read(VaultLocation("secret", "ci")) is None
    clock[0] = 1e9
    sim.server.calls.clear()
    assert backend.read(VaultLocation("secret", "ci")) is None
    assert [call.path for call in sim.server.calls] == ["secret/data/ci"]


def test_a_secret_id_for_one_login_lasts_until_its_token_ends(run: Run) -> None:
    """When it is time for another login, and none is to be had, what there is goes on; then the refusal is told."""
    backend = run.backend(secret_id_num_uses=1, token_ttl="90s", token_max_ttl="90s")
    start = run.clock[0]
    assert run.at(start, backend) == ["login"]
    assert run.at(start + 80, backend) == ["renew-self", "login"]
    run.clock[0] = start + 100
    assert refused(backend).message.endswith(": refused")


def test_a_login_that_may_not_be_renewed_is_repeated(run: Run) -> None:
    """As tokens of some roles are: batch tokens."""
    backend = run.backend(token_ttl="90s", token_type="batch")
    start = run.clock[0]
    assert run.at(start, backend) == ["login"]
    assert run.at(start + 61, backend) == ["login"]


def test_a_new_wrapping_token_is_opened_too(sim: Simulated) -> None:
    """When the secret id that was in the first one has ended, what lies in its place now counts."""
    mount, auth, _ = approle(sim, secret_id_num_uses=1)
    role = sim.admin().auth.approle

    def wrapped() -> str:
        made = role.generate_secret_id("ci", mount_point=mount, wrap_ttl="60s")
        return str(made["wrap_info"]["token"])

    reference = sim.written(Secret(wrapped()))
    clock = [0.0]
    backend = sim.backend(auth={**auth, "wrapped_secret_id": reference}, clock=lambda: clock[0])
    place = VaultLocation("secret", "ci")
    assert backend.read(place) is None
    sim.server.core.tokens.all = {sim.root: sim.server.core.tokens.all[sim.root]}
    clock[0] = 1e9
    Path(reference["file"]).write_text(wrapped())
    assert backend.read(place) is None


def test_a_wrapping_token_may_go_once_it_is_opened(sim: Simulated) -> None:
    """Some remove it; what was in it is kept in memory. Without ever having been there, it is missed."""
    mount, auth, _ = approle(sim)
    made = sim.admin().auth.approle.generate_secret_id("ci", mount_point=mount, wrap_ttl="60s")
    reference = sim.written(Secret(made["wrap_info"]["token"]))
    clock = [0.0]
    backend = sim.backend(auth={**auth, "wrapped_secret_id": reference}, clock=lambda: clock[0])
    place = VaultLocation("secret", "ci")
    assert backend.read(place) is None
    Path(reference["file"]).unlink()
    clock[0] = 1e9
    assert backend.read(place) is None
    assert (
        "cannot be read" in refused(sim.backend(auth={**auth, "wrapped_secret_id": reference}), by=ConfigError).message
    )


def met(sim: Simulated, path: str, fault: object) -> None:
    """Let a fault meet what is asked at a path."""
    sim.server.intercept = lambda request: fault if request.path.endswith(path) else None  # type: ignore[return-value,assignment]


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (HangUpAfter(), "the connection broke (RemoteDisconnected)"),
        (VaultAnswerInstead(200), "the answer (status 200) is not one of Vault's"),
        (VaultAnswerInstead(429), "too many requests"),
        (VaultAnswerInstead(503, ("Vault is sealed",)), "it is sealed"),
    ],
)
def test_a_login_without_an_answer_changed_nothing(sim: Simulated, fault: object, what: str) -> None:
    """So that it can be tried again."""
    mount, auth, secret_id = approle(sim)
    met(sim, "/login", fault)
    error = refused(sim.backend(auth={**auth, "secret_id": sim.written(secret_id())}), by=UnavailableError)
    assert error.message == f"cannot log in by approle (auth/{mount}) at {sim.address}: {what}"


def test_an_unwrapping_without_an_answer_may_have_used_the_token(sim: Simulated) -> None:
    """The hint says so; nobody needs to look for a thief."""
    mount, auth, _ = approle(sim)
    made = sim.admin().auth.approle.generate_secret_id("ci", mount_point=mount, wrap_ttl="60s")
    settings = {**auth, "wrapped_secret_id": sim.written(Secret(made["wrap_info"]["token"]))}
    met(sim, "/unwrap", HangUpAfter())
    error = refused(sim.backend(auth=settings), by=UnavailableError)
    assert error.message == f"cannot unwrap the secret id at {sim.address}: the connection broke (RemoteDisconnected)"
    assert error.hint == "the wrapping token may be used up: if the next run cannot open it, wrap a new secret id"
    met(sim, "/unwrap", VaultAnswerInstead(200))
    assert refused(sim.backend(auth=settings), by=UnavailableError).message.endswith("is not one of Vault's")
