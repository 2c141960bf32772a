"""The module in ``deploy/vault`` at a real Vault or OpenBao, by Terraform or OpenTofu.

Its name keeps it out of ``make test``: it needs a server, a program and a provider that are not in Debian. Where the
environment names the first two, as ``CONTRIBUTING.md`` says, ``make test-live`` runs it.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import hvac
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rotator.model import Secret
from rotator_backends.vault_kv import VaultLocation
from tests.deploy.vault_policies import CONSUMER, FOLDER, METADATA, ROTATOR, adapted, written
from tests.vault.lab import ADDRESS, AUTHORITY, ROOT, Lab, named, opened
from tests.vault.test_logins import signed
from tests.vault.test_policy import rotate

NAMED = os.environ.get("ROTATE_TEST_TERRAFORM") or "terraform"
PROGRAM = shutil.which(NAMED) or NAMED


@dataclass
class Module:
    """The module in a folder of its own, with the variables of a test."""

    folder: Path
    variables: dict[str, Any]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform there."""
        (self.folder / "terraform.tfvars.json").write_text(json.dumps(self.variables), encoding="utf-8")
        environ = {**os.environ, "VAULT_ADDR": ADDRESS, "VAULT_CACERT": AUTHORITY, "VAULT_TOKEN": ROOT}
        command = [PROGRAM, *arguments, "-no-color", "-input=false"]
        return subprocess.run(  # noqa: S603 - ours
            command, cwd=self.folder, env=environ, capture_output=True, text=True, timeout=120, check=False
        )

    def apply(self) -> Mapping[str, Any]:
        """Apply it; returns the outputs."""
        applied = self.run("apply", "-auto-approve")
        assert applied.returncode == 0, applied.stderr
        shown = subprocess.run(  # noqa: S603 - ours
            [PROGRAM, "output", "-json"], cwd=self.folder, capture_output=True, text=True, timeout=60, check=True
        )
        return {name: found["value"] for name, found in json.loads(shown.stdout).items()}


@pytest.fixture(params=["live"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """Open the real server."""
    with opened(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def key() -> RSAPrivateKey:
    """Return the key of a CI system."""
    return generate_private_key(65537, 2048)


@pytest.fixture
def account(key: RSAPrivateKey) -> Secret:
    """Return the token of the service account ``ops/rotate``, as Vault reads it before it asks Kubernetes."""
    return signed(
        key, aud=["rotate"], **{"kubernetes.io": {"namespace": "ops", "serviceaccount": {"name": "rotate", "uid": "1"}}}
    )


@pytest.fixture
def reviewer(account: Secret) -> Iterator[dict[str, str]]:
    """Run what of Kubernetes reviews tokens, and knows one account; yields its settings."""
    authority = trustme.CA()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = asked["spec"]["token"] == account.reveal()
            user = {"username": "system:serviceaccount:ops:rotate", "uid": "1", "groups": ["system:serviceaccounts"]}
            found = {"authenticated": True, "user": user, "audiences": asked["spec"].get("audiences")}
            body = json.dumps({**asked, "status": found if known else {"user": {}}}).encode()
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield {"host": f"https://127.0.0.1:{server.server_port}", "ca_cert": authority.cert_pem.bytes().decode()}
    server.shutdown()
    server.server_close()


@pytest.fixture
def module(tmp_path: Path, lab: Lab, key: RSAPrivateKey, reviewer: dict[str, str]) -> Iterator[Module]:
    """Return the module, with names that nobody else has; what it made is destroyed."""
    folder = shutil.copytree(FOLDER, tmp_path / "module", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    login = {"audience": "rotate", "claims": {"sub": "ci"}}
    variables = {
        "mount": lab.mount(),
        "metadata": True,
        "records": ["pve/mirror", "infra/pve/operator"],
        "rotator": {
            "name": named("rotate"),
            "approle": {},
            "kubernetes": {"namespace": "ops", "service_account": "rotate"},
        },
        "consumers": {named("ci"): {"record": "pve/ci", "jwt": login}, named("bare"): {"record": "team/bare"}},
        "approle": {"path": named("approle")},
        "kubernetes": {"path": named("kubernetes"), **reviewer},
        "jwt": {"path": named("jwt"), "public_keys": [pem]},
    }
    made = Module(folder, variables)
    assert made.run("init").returncode == 0
    yield made
    destroyed = made.run("destroy", "-auto-approve")
    assert destroyed.returncode == 0, destroyed.stderr


def test_its_policies_are_those_of_the_files(module: Module) -> None:
    """For the records, the operators and the mount that were given."""
    policies = module.apply()["policies"]
    mount, (ci, bare) = module.variables["mount"], module.variables["consumers"]
    records = ["infra/pve/operator", "pve/ci", "pve/mirror", "team/bare"]
    assert policies == {
        module.variables["rotator"]["name"]: written(
            adapted(ROTATOR + METADATA, mount=mount, records=records, operators=["pve/operator"])
        ),
        ci: written(adapted(CONSUMER, mount=mount, records=["pve/ci"])),
        bare: written(adapted(CONSUMER, mount=mount, records=["team/bare"])),
    }


def test_the_rotator_rotates_as_its_roles(module: Module, lab: Lab, account: Secret) -> None:
    """With what the module gives for its configuration; a second plan changes nothing."""
    outputs = module.apply()
    name = module.variables["rotator"]["name"]
    shown = lab.admin().auth.approle.generate_secret_id(name, mount_point=module.variables["approle"]["path"])
    proofs = {
        "approle": {"secret_id": lab.written(Secret(shown["data"]["secret_id"]))},
        "kubernetes": {"jwt": lab.written(account)},
    }
    assert set(outputs["backend"]) == set(proofs)
    for path, method in (("pve/ci", "approle"), ("pve/mirror", "kubernetes")):
        given = {key: value for key, value in outputs["backend"][method].items() if value is not None}
        backend = lab.backend(auth={**given, **proofs[method]}, metadata=True)
        rotate(backend, VaultLocation(module.variables["mount"], path))
    planned = module.run("plan", "-detailed-exitcode")
    assert planned.returncode == 0, planned.stdout


def test_a_consumer_reads_as_its_role(module: Module, lab: Lab, key: RSAPrivateKey) -> None:
    """With a token of its CI system; another project's earns nothing."""
    module.apply()
    mount, role = module.variables["mount"], next(iter(module.variables["consumers"]))
    lab.admin().secrets.kv.v2.create_or_update_secret("pve/ci", {"token_id": "x"}, mount_point=mount)
    client = hvac.Client(url=ADDRESS, verify=AUTHORITY)

    def login(jwt: Secret) -> None:
        client.auth.jwt.jwt_login(role, jwt.reveal(), path=module.variables["jwt"]["path"])

    with pytest.raises(hvac.exceptions.InvalidRequest):
        login(signed(key, sub="other"))
    login(signed(key, sub="ci"))
    read = client.secrets.kv.v2.read_secret_version("pve/ci", mount_point=mount, raise_on_deleted_version=False)
    assert read["data"]["data"] == {"token_id": "x"}
    with pytest.raises(hvac.exceptions.Forbidden):
        client.secrets.kv.v2.create_or_update_secret("pve/ci", {}, mount_point=mount)


WRONG: dict[str, dict[str, Any]] = {
    "The mount is a path": {"mount": "secret/"},
    "A record is a path": {"records": ['pve/ci" { capabilities = ["sudo"] } path "x']},
    "The rotator has no way to log in": {"rotator": {}},
    "A login lives for a minute": {"rotator": {"approle": {}, "token_ttl": 1}},
    "Without claims": {"consumers": {"ci": {"record": "ci", "jwt": {"audience": "x", "claims": {}}}}},
    "The API server is asked over https": {"kubernetes": {"host": "http://10.0.0.5"}},
    "Either discovery_url or public_keys": {"jwt": {"discovery_url": "https://x", "public_keys": ["x"]}},
    "A consumer is called like the rotator": {
        "consumers": {"me": {"record": "ci"}},
        "rotator": {"name": "me", "approle": {}},
    },
    "one that rotates itself": {"records": ["pve/operator"]},
}


@pytest.mark.parametrize("said", WRONG)
def test_what_is_wrong_is_refused_before_anything_is_made(module: Module, said: str) -> None:
    """With a sentence that says what is right."""
    module.variables |= WRONG[said]
    planned = module.run("plan")
    assert planned.returncode == 1
    assert said in " ".join(planned.stderr.replace("│", " ").split())
    module.variables |= {"mount": "secret", "records": [], "consumers": {}, "rotator": {"approle": {}}}
    module.variables |= {"kubernetes": {}, "jwt": {}}


@pytest.mark.usefixtures("lab")
def test_the_example_is_valid(tmp_path: Path) -> None:
    """As it stands."""
    folder = shutil.copytree(FOLDER, tmp_path / "vault", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    example = Module(folder / "example", {})
    assert example.run("init", "-backend=false").returncode == 0
    validated = subprocess.run(  # noqa: S603 - ours
        [PROGRAM, "validate", "-no-color"], cwd=example.folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert validated.returncode == 0, validated.stderr
    formatted = subprocess.run(  # noqa: S603 - ours
        [PROGRAM, "fmt", "-check", "-recursive", "-diff"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (formatted.returncode, formatted.stdout) == (0, "")
