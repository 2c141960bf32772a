"""The settings of a Vault or OpenBao backend and of its destinations, checked without contacting anybody."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from rotator.errors import ConfigError

KUBERNETES_JWT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
ADDRESS_VARIABLES = ("VAULT_ADDR", "BAO_ADDR")
TOKEN_VARIABLES = ("VAULT_TOKEN", "BAO_TOKEN")
_LONGEST_WAIT = 300
_PORTS = {"http": 80, "https": 443}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_NAME = re.compile("[\0\ud800-\udfff]")
"""What no name of a file in UTF-8 has."""


@dataclass(frozen=True, slots=True)
class EnvSource:
    """A secret in an environment variable."""

    variable: str


@dataclass(frozen=True, slots=True)
class FileSource:
    """A secret in a file, without the newline at its end."""

    path: Path


Source = EnvSource | FileSource


def _source(value: object) -> Source:
    match value:
        case {"env": str(variable), **rest} if not rest and _VARIABLE.fullmatch(variable):
            return EnvSource(variable)
        case {"file": str(path), **rest} if not rest and path.startswith("/") and not _NO_NAME.search(path):
            return FileSource(Path(path))
    raise ValueError("must be {env: NAME} or {file: /path}; no secret stands in a configuration")


def _role_id(value: object) -> str | Source:
    return value if isinstance(value, str) and value else _source(value)


def _place(value: object) -> str:
    """Check a path inside Vault, which knows no empty steps and nothing unprintable; slashes at its ends go."""
    if not isinstance(value, str):
        raise ValueError("must be a text")  # noqa: TRY004 - pydantic collects ValueErrors
    text = value.strip("/")
    if not text or {"", ".", ".."} & set(text.split("/")):
        raise ValueError("must be a path such as team/ci, without empty steps, '.' and '..'")
    if not text.isprintable():
        raise ValueError("must not have unprintable characters, which Vault refuses")
    return text


def _namespace(value: object) -> str:
    return "" if isinstance(value, str) and not value.strip("/") else _place(value)


Reference = Annotated[Any, BeforeValidator(_source)]
Place = Annotated[str, BeforeValidator(_place)]
Namespace = Annotated[str, BeforeValidator(_namespace)]
Name = Annotated[str, Field(min_length=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Auth(_Settings):
    namespace: Namespace | None = None
    """Where the auth method is mounted; None: where the records are."""


class TokenAuth(_Auth):
    """A token that somebody else looks after; read anew for every request."""

    method: Literal["token"] = "token"
    token: Reference = None


class AppRoleAuth(_Auth):
    """A role id with a secret id, which may come wrapped: then its wrapping token is good for one process."""

    method: Literal["approle"]
    mount: Place = "approle"
    role_id: Annotated[Any, BeforeValidator(_role_id)]
    secret_id: Reference = None
    wrapped_secret_id: Reference = None

    @field_validator("wrapped_secret_id")
    @classmethod
    def _check_one(cls, value: Source | None, info: ValidationInfo) -> Source | None:
        if value is not None and info.data.get("secret_id") is not None:
            raise ValueError("give secret_id or wrapped_secret_id, not both")
        return value


class KubernetesAuth(_Auth):
    """The token of the pod's service account."""

    method: Literal["kubernetes"]
    mount: Place = "kubernetes"
    role: Name
    jwt: Reference = FileSource(Path(KUBERNETES_JWT))


class JwtAuth(_Auth):
    """A signed token of a continuous integration or an identity provider."""

    method: Literal["jwt"]
    mount: Place = "jwt"
    role: str = ""
    jwt: Reference


class CertAuth(_Auth):
    """The certificate that is shown in the TLS handshake: ``client_cert`` and ``client_key`` of the backend."""

    method: Literal["cert"]
    mount: Place = "cert"
    role: str = ""


class UserpassAuth(_Auth):
    """A user name and a password."""

    method: Literal["userpass"]
    mount: Place = "userpass"
    username: Name
    password: Reference


class AgentAuth(_Auth):
    """Nothing: the address is a Vault Agent or proxy, which adds its own token."""

    method: Literal["agent"]


Auth = TokenAuth | AppRoleAuth | KubernetesAuth | JwtAuth | CertAuth | UserpassAuth | AgentAuth


class BackendSettings(_Settings):
    """What all records of one backend have in common. ``timeout`` is in seconds."""

    kv_version: Literal[1, 2] = 2
    namespace: Namespace = ""
    ca: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    timeout: float = Field(15, gt=0, le=_LONGEST_WAIT)
    unsafe_plain_http: bool = False
    metadata: bool = False
    address: str = Field("", validate_default=True)
    auth: Annotated[Auth, Field(discriminator="method")] = TokenAuth()

    @field_validator("ca", "client_cert", "client_key")
    @classmethod
    def _check_file(cls, value: Path | None) -> Path | None:
        if value is not None and (not value.is_absolute() or _NO_NAME.search(str(value))):
            raise ValueError("must be an absolute path to a PEM file")
        return value

    @field_validator("client_key")
    @classmethod
    def _check_key(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("client_cert") is None:
            raise ValueError("needs client_cert beside it")
        return value

    @field_validator("metadata")
    @classmethod
    def _check_metadata(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic calls it so
        if value and info.data.get("kv_version") == 1:
            raise ValueError("needs kv_version 2: KV version 1 has none")
        return value

    @field_validator("address", mode="before")
    @classmethod
    def _check_address(cls, value: object, info: ValidationInfo) -> str:
        parts = _split(value or _from_environment())
        if parts.scheme == "http" and not (info.data.get("unsafe_plain_http") or _is_loopback(parts)):
            raise ValueError("must be https: without TLS everybody on the way reads every token")
        return _canonical(parts)

    @field_validator("auth", mode="before")
    @classmethod
    def _check_auth(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, Mapping) and value.get("method") == "cert" and info.data.get("client_cert") is None:
            raise ValueError("method cert needs client_cert and client_key beside auth")
        return {"method": "token", **value} if isinstance(value, Mapping) else value


class DestinationSettings(_Settings):
    """One record."""

    mount: Place = "secret"
    path: Place


def _from_environment() -> str:
    found = {os.environ[name] for name in ADDRESS_VARIABLES if os.environ.get(name)}
    if len(found) > 1:
        raise ValueError(f"must be given: {' and '.join(ADDRESS_VARIABLES)} are set and differ")
    if not found:
        raise ValueError(f"must be given, here or by {' or '.join(ADDRESS_VARIABLES)}: such as https://vault:8200")
    return found.pop()


def _split(value: object) -> SplitResult:
    parts = _parsed(value.strip() if isinstance(value, str) else "")
    if parts is None or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be a URL such as https://vault.example.com:8200, with nothing secret in it")
    return parts


def _parsed(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in _PORTS and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _canonical(parts: SplitResult) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in {None, _PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def backend_settings(settings: Mapping[str, Any]) -> BackendSettings:
    """Check the settings of a backend.

    Raises: ``ConfigError``, a line for each fault.
    """
    faults = ""
    try:
        return BackendSettings.model_validate(dict(settings))
    except ValidationError as error:
        faults = _faults(error)
    raise ConfigError(faults, hint=f"a vault backend takes {', '.join(BackendSettings.model_fields)}")


def destination_settings(settings: Mapping[str, Any]) -> DestinationSettings:
    """Check the settings of a destination.

    Raises: ``ConfigError``, a line for each fault.
    """
    faults = ""
    try:
        return DestinationSettings.model_validate(dict(settings))
    except ValidationError as error:
        faults = _faults(error)
    raise ConfigError(faults, hint="a destination in vault takes mount and path")


def _faults(error: ValidationError) -> str:
    return "\n".join(
        ": ".join([*_where(fault["loc"]), _spoken(fault["msg"])])
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    )


def _where(loc: tuple[int | str, ...]) -> list[str]:
    """Say where, in the user's words: after ``auth`` comes the method, which is no key."""
    steps = [str(step) for step in loc]
    return steps[:1] + steps[2:] if steps[:1] == ["auth"] else steps


def _spoken(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
