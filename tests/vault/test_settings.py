"""What may be set, what is told of the rest, and which places are the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.backend import Backend
from rotator.errors import ConfigError
from rotator_backends.vault import VaultBackend
from rotator_backends.vault_settings import BackendSettings, DestinationSettings, backend_settings

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "backends" / "vault.md").read_text()
ADDRESS = {"address": "https://vault.example.com:8200"}
REFERENCE = "must be {env: NAME} or {file: /path}; no secret stands in a configuration"
URL = "address: must be a URL such as https://vault.example.com:8200, with nothing secret in it"
METHODS = "'token', 'approle', 'kubernetes', 'jwt', 'cert', 'userpass', 'agent'"
PLACE = "must be a path such as team/ci, without empty steps, '.' and '..'"


def faults(settings: dict[str, Any]) -> list[str]:
    """Return the lines of the complaint about the settings of a backend."""
    with pytest.raises(ConfigError) as caught:
        VaultBackend.configure(settings)
    assert caught.value.__context__ is None
    return caught.value.message.splitlines()


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ({"address": "vault:8200"}, URL),
        ({"address": "https://user:pw@vault:8200"}, URL),
        ({"address": "https://vault:99999"}, URL),
        ({"address": "https://vault?x=1"}, URL),
        ({"address": 8200}, URL),
        (
            {"address": "http://vault:8200"},
            "address: must be https: without TLS everybody on the way reads every token",
        ),
        ({"address": ""}, "address: must be given, here or by VAULT_ADDR or BAO_ADDR: such as https://vault:8200"),
        ({"kv_version": 3}, "kv_version: input should be 1 or 2"),
        ({"timeout": 0}, "timeout: input should be greater than 0"),
        ({"timeout": 301}, "timeout: input should be less than or equal to 300"),
        ({"ca": "ca.pem"}, "ca: must be an absolute path to a PEM file"),
        ({"client_key": "/key.pem"}, "client_key: needs client_cert beside it"),
        ({"kv_version": 1, "metadata": True}, "metadata: needs kv_version 2: KV version 1 has none"),
        ({"namespace": "a//b"}, f"namespace: {PLACE}"),
        ({"namespace": 1}, "namespace: must be a text"),
        (
            {"auth": {"method": "ldap"}},
            f"auth: input tag 'ldap' found using 'method' does not match any of the expected tags: {METHODS}",
        ),
        ({"auth": {"token": "hvs.a-literal-token"}}, f"auth: token: {REFERENCE}"),
        ({"auth": {"token": {"env": "NOT A NAME"}}}, f"auth: token: {REFERENCE}"),
        ({"auth": {"token": {"file": "relative"}}}, f"auth: token: {REFERENCE}"),
        ({"auth": {"token": {"file": "/no\0name"}}}, f"auth: token: {REFERENCE}"),
        ({"auth": {"token": {"file": "/no\ud83dname"}}}, f"auth: token: {REFERENCE}"),
        ({"ca": "/no\0name"}, "ca: must be an absolute path to a PEM file"),
        ({"auth": {"token": {"env": "A", "file": "/b"}}}, f"auth: token: {REFERENCE}"),
        ({"auth": {"method": "approle"}}, "auth: role_id: field required"),
        ({"auth": {"method": "approle", "role_id": ""}}, f"auth: role_id: {REFERENCE}"),
        (
            {
                "auth": {
                    "method": "approle",
                    "role_id": "r",
                    "secret_id": {"env": "A"},
                    "wrapped_secret_id": {"env": "B"},
                },
            },
            "auth: wrapped_secret_id: give secret_id or wrapped_secret_id, not both",
        ),
        ({"auth": {"method": "kubernetes"}}, "auth: role: field required"),
        ({"auth": {"method": "kubernetes", "role": ""}}, "auth: role: string should have at least 1 character"),
        ({"auth": {"method": "jwt"}}, "auth: jwt: field required"),
        ({"auth": {"method": "userpass", "username": "ci"}}, "auth: password: field required"),
        ({"auth": {"method": "cert"}}, "auth: method cert needs client_cert and client_key beside auth"),
        ({"auth": {"method": "token", "mount": "token"}}, "auth: mount: extra inputs are not permitted"),
        ({"auth": {"method": "jwt", "jwt": {"env": "A"}, "mount": "../sys"}}, f"auth: mount: {PLACE}"),
    ],
)
def test_a_fault_is_told_at_its_setting(setting: dict[str, Any], fault: str) -> None:
    """In one line, without what stands there."""
    assert faults({**ADDRESS, **setting}) == [fault]


def test_all_faults_are_told_at_once() -> None:
    """And the hint lists what there is."""
    lines = faults({"timeout": -1, "ca": "x", "auth": {"token": "t"}, "colour": "red"})
    assert [line.partition(":")[0] for line in lines] == ["ca", "timeout", "address", "auth", "colour"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:8200", "http://[::1]:8200", "http://localhost:8200"])
def test_plain_http_is_for_this_machine(address: str) -> None:
    """Where nobody is on the way."""
    assert backend_settings({"address": address}).address == address


def test_plain_http_elsewhere_must_be_asked_for() -> None:
    """By a name that says what it is."""
    assert backend_settings({"address": "http://vault:8200", "unsafe_plain_http": True}).address == "http://vault:8200"


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (" HTTPS://Vault.Example.COM:8200/ ", "https://vault.example.com:8200"),
        ("https://vault.example.com:443", "https://vault.example.com"),
        ("https://vault.example.com/vault/", "https://vault.example.com/vault"),
        ("https://[2001:DB8::1]:8200", "https://[2001:db8::1]:8200"),
    ],
)
def test_an_address_has_one_spelling(given: str, canonical: str) -> None:
    """So that one place has one label."""
    assert backend_settings({"address": given}).address == canonical


@pytest.mark.parametrize("variable", ["VAULT_ADDR", "BAO_ADDR"])
def test_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """As for the command line tools."""
    monkeypatch.setenv(variable, ADDRESS["address"])
    assert backend_settings({}).address == ADDRESS["address"]


def test_two_addresses_in_the_environment_are_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless they are the same."""
    monkeypatch.setenv("VAULT_ADDR", "https://one:8200")
    monkeypatch.setenv("BAO_ADDR", "https://two:8200")
    assert faults({}) == ["address: must be given: VAULT_ADDR and BAO_ADDR are set and differ"]
    monkeypatch.setenv("BAO_ADDR", "https://one:8200")
    assert backend_settings({}).address == "https://one:8200"


def test_configuring_contacts_nobody_and_reads_no_secret() -> None:
    """Neither the server nor the files need to be there."""
    auth = {"method": "approle", "role_id": {"file": "/nowhere/role"}, "secret_id": {"env": "NOT_SET"}}
    made = VaultBackend.configure({"address": "https://vault.invalid", "ca": "/nowhere/ca.pem", "auth": auth})
    assert isinstance(made, Backend)
    made.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "path: field required"),
        ({"path": ""}, f"path: {PLACE}"),
        ({"path": "/"}, f"path: {PLACE}"),
        ({"path": "a//b"}, f"path: {PLACE}"),
        ({"path": "a/../b"}, f"path: {PLACE}"),
        ({"path": "./a"}, f"path: {PLACE}"),
        ({"path": "a\nb"}, "path: must not have unprintable characters, which Vault refuses"),
        ({"path": "half \ud83d"}, "path: must not have unprintable characters, which Vault refuses"),
        ({"path": 7}, "path: must be a text"),
        ({"path": "ci", "mount": "."}, f"mount: {PLACE}"),
        ({"path": "ci", "key": "x"}, "key: extra inputs are not permitted"),
    ],
)
def test_a_fault_of_a_destination_is_told(settings: dict[str, Any], message: str) -> None:
    """In one line, at its setting."""
    with pytest.raises(ConfigError) as caught:
        VaultBackend.configure(ADDRESS).locate(settings)
    assert caught.value.message == message
    assert caught.value.hint == "a destination in vault takes mount and path"


def test_slashes_at_the_ends_mean_nothing() -> None:
    """One place, one location, one label."""
    backend = VaultBackend.configure(ADDRESS)
    assert backend.locate({"path": "/team/ci/", "mount": "kv/"}) == backend.locate({"path": "team/ci", "mount": "/kv"})
    assert backend.locate({"path": "ci"})[1] == "vault:https://vault.example.com:8200/secret/ci"


def test_two_namespaces_are_two_places() -> None:
    """As two servers are."""
    one, other = (VaultBackend.configure({**ADDRESS, "namespace": name}) for name in ("one", "other"))
    assert one.locate({"path": "ci"})[1] == "vault:https://vault.example.com:8200/one/secret/ci"
    assert one.locate({"path": "ci"})[1] != other.locate({"path": "ci"})[1]


def test_only_version_two_compares_and_sets() -> None:
    """Each backend says it for itself."""
    one, two = (VaultBackend.configure({**ADDRESS, "kv_version": version}) for version in (1, 2))
    assert not one.traits.compare_and_set
    assert two.traits.compare_and_set


def table(title: str) -> set[str]:
    """Return the settings that a table of the document lists."""
    section = DOCUMENT.partition(f"## {title}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_the_document_lists_every_setting() -> None:
    """And none that is not there."""
    assert table("Settings of the backend") == set(BackendSettings.model_fields)
    assert table("Settings of a destination") == set(DestinationSettings.model_fields)


def test_the_example_of_the_document_is_accepted() -> None:
    """As it stands there."""
    first, second = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL))
    settings = first["backends"]["store"]
    assert settings.pop("type") == "vault"
    destination = second["destination"]
    assert destination.pop("backend") == "store"
    assert VaultBackend.configure(settings).locate(destination)[1] == "vault:https://vault.example.com:8200/secret/ci"


def run(code: str) -> str:
    """Run Python in a process of its own and return what it prints."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_without_hvac_there_is_one_line() -> None:
    """What is missing, and what brings it."""
    code = """
import sys
sys.modules["hvac"] = None
from rotator.errors import ConfigError
from rotator_backends.vault import VaultBackend
try:
    VaultBackend.configure({"address": "https://vault:8200"})
except ConfigError as error:
    print(error.message, error.hint, error.__context__, sep="|")
"""
    assert run(code) == "the library hvac is not installed|pip install 'proxmox-token-rotator[vault]'|None"


def test_hvac_is_loaded_when_something_is_asked_and_not_before() -> None:
    """A run in which nothing is due asks no store, and a fifth of its time would be this import."""
    code = """
import sys
from rotator.errors import RotatorError
from rotator_backends.vault import VaultBackend
backend = VaultBackend.configure({"address": "https://127.0.0.1:9", "auth": {"method": "agent"}})
backend.close()
before = "hvac" in sys.modules
try:
    backend.read(backend.locate({"path": "ci"})[0])
except RotatorError:
    print(before, "hvac" in sys.modules)
"""
    assert run(code) == "False True"
