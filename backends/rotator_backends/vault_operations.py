"""What is asked of Vault, in the words of hvac: each function makes a question that a client can be handed.

The library itself is not imported here: ``vault_wire`` is the only module that knows it. Where hvac does not ask what
is wanted, the path is written out: its ``update_metadata`` always resets ``delete_version_after``, and ``userpass``
and ``cert`` do not quote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from rotator.model import Secret

Operation = Callable[[Any], Any]
"""Takes a client of hvac; returns the ``Answer`` that its adapter gives."""


def read_v1(mount: str, path: str) -> Operation:
    """Read a record of KV version 1."""
    return lambda client: client.secrets.kv.v1.read_secret(path, mount_point=mount)


def write_v1(mount: str, path: str, data: Mapping[str, object]) -> Operation:
    """Replace a record of KV version 1, whatever is there."""
    return lambda client: client.secrets.kv.v1.create_or_update_secret(path, data, method="PUT", mount_point=mount)


def read_v2(mount: str, path: str) -> Operation:
    """Read the latest version of a record."""
    return lambda client: client.secrets.kv.v2.read_secret_version(
        path, mount_point=mount, raise_on_deleted_version=False
    )


def write_v2(mount: str, path: str, data: Mapping[str, object], *, cas: int) -> Operation:
    """Make a new version of a record, if the latest one still has this number."""
    return lambda client: client.secrets.kv.v2.create_or_update_secret(path, data, cas=cas, mount_point=mount)


def annotate(mount: str, path: str, custom: Mapping[str, str]) -> Operation:
    """Set the custom metadata of a record and nothing else."""
    return lambda client: client.adapter.post(
        f"/v1/{quote(mount)}/metadata/{quote(path)}", json={"custom_metadata": dict(custom)}
    )


def mount_of(mount: str, path: str) -> Operation:
    """Ask what is mounted there; every token that may do anything there may ask."""
    return lambda client: client.adapter.get(f"/v1/sys/internal/ui/mounts/{quote(mount)}/{quote(path)}")


def capabilities(paths: Iterable[str]) -> Operation:
    """Ask what our token may do."""
    return lambda client: client.sys.get_capabilities(paths=list(paths))


def health() -> Operation:
    """Ask how the node is; needs no token."""
    return lambda client: client.sys.read_health_status(method="GET")


def renew() -> Operation:
    """Prolong our own token."""
    return lambda client: client.auth.token.renew_self()


def unwrap() -> Operation:
    """Open the wrapped answer of the token that is shown, which works once."""
    return lambda client: client.sys.unwrap()


def login_approle(mount: str, role_id: Secret, secret_id: Secret | None) -> Operation:
    """Log in by AppRole."""
    return lambda client: client.auth.approle.login(
        role_id.reveal(), secret_id.reveal() if secret_id else None, use_token=False, mount_point=mount
    )


def login_kubernetes(mount: str, role: str, jwt: Secret) -> Operation:
    """Log in as a service account."""
    return lambda client: client.auth.kubernetes.login(role, jwt.reveal(), use_token=False, mount_point=mount)


def login_jwt(mount: str, role: str, jwt: Secret) -> Operation:
    """Log in with a signed token."""
    return lambda client: client.auth.jwt.jwt_login(role or None, jwt.reveal(), use_token=False, path=mount)


def login_cert(mount: str, role: str) -> Operation:
    """Log in with the certificate of the connection."""
    return lambda client: client.auth.cert.login(name=role, use_token=False, mount_point=quote(mount))


def login_userpass(mount: str, username: str, password: Secret) -> Operation:
    """Log in with a password."""
    return lambda client: client.auth.userpass.login(
        quote(username, safe=""), password.reveal(), use_token=False, mount_point=quote(mount)
    )
