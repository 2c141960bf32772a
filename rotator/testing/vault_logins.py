"""The auth methods of the simulated Vault: what proves who is calling, and what tokens that earns."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from rotator.testing.vault_exchange import NOTHING, VaultRefusalError, VaultReply, VaultRequest, names, reply, seconds
from rotator.testing.vault_tokens import Terms

_UNKNOWN = "invalid role or secret ID"
_USER = re.compile(r"users/\w(?:[\w.-]*\w)?")
_NO_USER = "invalid username or password"


class Method(Protocol):
    """An auth method. Paths are relative to its mount."""

    def login(self, request: VaultRequest, path: str) -> Terms:
        """Check who is calling. Raises: ``VaultRefusalError``."""
        ...

    def handle(self, request: VaultRequest, path: str) -> VaultReply:
        """Configure. Raises: ``VaultRefusalError``."""
        ...


@dataclass
class SecretId:
    """A secret id; ``uses`` counts down, None: without end."""

    uses: int | None = None
    expires: float | None = None


@dataclass
class Role:
    """A role of AppRole."""

    settings: dict[str, Any]
    role_id: str
    secret_ids: dict[str, SecretId] = field(default_factory=dict, repr=False)


@dataclass
class AppRole:
    """AppRole: roles by name."""

    clock: Callable[[], float]
    roles: dict[str, Role] = field(default_factory=dict)

    def login(self, request: VaultRequest, _path: str) -> Terms:
        """Take a role id with a secret id."""
        role_id, secret_id = (str(request.body.get(key) or "") for key in ("role_id", "secret_id"))
        role = next((role for role in self.roles.values() if role.role_id == role_id), None)
        if role is None:
            raise VaultRefusalError(400, _UNKNOWN)
        if role.settings.get("bind_secret_id") is not False:
            self._use(role, secret_id)
        return Terms.of(role.settings)

    def _use(self, role: Role, secret_id: str) -> None:
        if not secret_id:
            raise VaultRefusalError(400, "missing secret_id")
        found = role.secret_ids.get(secret_id)
        if found is None or (found.expires is not None and found.expires <= self.clock()):
            raise VaultRefusalError(400, f'invalid secret_id "{secret_id}"')
        if found.uses is not None:
            found.uses -= 1
            if not found.uses:
                del role.secret_ids[secret_id]

    def handle(self, request: VaultRequest, path: str) -> VaultReply:
        """Make roles and secret ids."""
        _, name, what = (*path.split("/"), "", "")[:3]
        if not what and request.method == "PUT":
            self.roles.setdefault(name, Role({}, secrets.token_hex(16))).settings.update(request.body)
            return NOTHING
        role = self.roles.get(name)
        if role is None:
            raise VaultRefusalError(404)
        if what == "role-id":
            return reply({"role_id": role.role_id})
        if what == "secret-id":
            return self._new_secret_id(role)
        raise VaultRefusalError(405, "unsupported operation")

    def _new_secret_id(self, role: Role) -> VaultReply:
        ttl = seconds(role.settings.get("secret_id_ttl"))
        made = secrets.token_hex(16)
        role.secret_ids[made] = SecretId(
            int(role.settings.get("secret_id_num_uses") or 0) or None, self.clock() + ttl if ttl else None
        )
        return reply({"secret_id": made, "secret_id_accessor": "", "secret_id_ttl": int(ttl), "secret_id_num_uses": 0})


@dataclass
class Userpass:
    """User names and passwords."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    def login(self, request: VaultRequest, path: str) -> Terms:
        """Take a password."""
        user = self.users.get(path.removeprefix("login/").lower())
        if user is None or user.get("password") != request.body.get("password"):
            raise VaultRefusalError(400, _NO_USER)
        return Terms.of(user)

    def handle(self, request: VaultRequest, path: str) -> VaultReply:
        """Make users."""
        if not _USER.fullmatch(path):
            raise VaultRefusalError(404, "unsupported path")
        self.users.setdefault(path.removeprefix("users/").lower(), {}).update(request.body)
        return NOTHING


class Account(NamedTuple):
    """A service account of Kubernetes."""

    namespace: str
    name: str


@dataclass
class Kubernetes:
    """Service accounts; ``accounts`` stands for the cluster that reviews their tokens: put the tokens there."""

    accounts: dict[str, Account] = field(default_factory=dict, repr=False)
    roles: dict[str, dict[str, Any]] = field(default_factory=dict)

    def login(self, request: VaultRequest, _path: str) -> Terms:
        """Take the token of a service account."""
        role = self.roles.get(str(request.body.get("role")))
        if role is None:
            raise VaultRefusalError(400, f'invalid role name "{request.body.get("role")}"')
        account = self.accounts.get(str(request.body.get("jwt")))
        if account is None:
            raise VaultRefusalError(403, "permission denied")
        if account.name not in names(role.get("bound_service_account_names")):
            raise VaultRefusalError(403, "service account name not authorized")
        if account.namespace not in names(role.get("bound_service_account_namespaces")):
            raise VaultRefusalError(403, "namespace not authorized")
        return Terms.of(role)

    def handle(self, request: VaultRequest, path: str) -> VaultReply:
        """Make roles; the configuration is not looked at."""
        if path.startswith("role/"):
            self.roles[path.removeprefix("role/")] = dict(request.body)
        return NOTHING


@dataclass
class Jwt:
    """Tokens signed with RS256 by one of the configured keys."""

    clock: Callable[[], float]
    keys: list[str] = field(default_factory=list)
    roles: dict[str, dict[str, Any]] = field(default_factory=dict)
    default_role: str = ""

    def login(self, request: VaultRequest, _path: str) -> Terms:
        """Take a signed token."""
        name = str(request.body.get("role") or self.default_role)
        role = self.roles.get(name)
        if role is None:
            raise VaultRefusalError(400, f'role "{name}" could not be found' if name else "missing role")
        claims = self._claims(str(request.body.get("jwt")))
        if claims.get("exp", 0) <= self.clock():
            raise VaultRefusalError(400, "error validating token: Token is expired")
        audience = set(names(claims.get("aud")))
        if audience and not audience & set(names(role.get("bound_audiences"))):
            raise VaultRefusalError(400, "error validating token: invalid audience (aud) claim")
        return Terms.of(role)

    def _claims(self, jwt: str) -> Mapping[str, Any]:
        head, _, signature = jwt.rpartition(".")
        for pem in self.keys:
            key = load_pem_public_key(pem.encode())
            if isinstance(key, RSAPublicKey) and _is_signed(key, _decoded(signature), head.encode()):
                claims: dict[str, Any] = json.loads(_decoded(head.partition(".")[2]))
                return claims
        raise VaultRefusalError(400, "error validating token: no known key successfully validated the token signature")

    def handle(self, request: VaultRequest, path: str) -> VaultReply:
        """Set the keys and make roles."""
        if path == "config":
            self.keys = names(request.body.get("jwt_validation_pubkeys"))
            self.default_role = str(request.body.get("default_role") or "")
        else:
            self.roles[path.removeprefix("role/")] = dict(request.body)
        return NOTHING


@dataclass
class Cert:
    """Certificates of clients, or of those who issue them."""

    roles: dict[str, dict[str, Any]] = field(default_factory=dict)

    def login(self, request: VaultRequest, _path: str) -> Terms:
        """Take the certificate of the connection."""
        if not request.certificate:
            raise VaultRefusalError(400, "client certificate must be supplied")
        shown = x509.load_der_x509_certificate(request.certificate)
        wanted = request.body.get("name")
        for name, role in self.roles.items():
            if wanted in {None, name} and _is_covered(shown, str(role.get("certificate"))):
                return Terms.of(role)
        raise VaultRefusalError(400, "invalid certificate or no client certificate supplied")

    def handle(self, request: VaultRequest, path: str) -> VaultReply:
        """Make roles."""
        self.roles[path.removeprefix("certs/")] = dict(request.body)
        return NOTHING


def _is_covered(shown: x509.Certificate, pem: str) -> bool:
    known = x509.load_pem_x509_certificate(pem.encode())
    if known == shown:
        return True
    try:
        shown.verify_directly_issued_by(known)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_signed(key: RSAPublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def make_method(kind: str, clock: Callable[[], float]) -> Method:
    """Make an auth method of a type. Raises: ``VaultRefusalError`` for one that is not simulated."""
    match kind:
        case "approle":
            return AppRole(clock)
        case "userpass":
            return Userpass()
        case "kubernetes":
            return Kubernetes()
        case "jwt":
            return Jwt(clock)
        case "cert":
            return Cert()
    raise VaultRefusalError(400, f"plugin not found in the catalog: {kind}")
