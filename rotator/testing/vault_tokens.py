"""The tokens of the simulated Vault: how long they live, how often they may be used, what was wrapped in them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rotator.testing.vault_exchange import Json, VaultRefusalError, VaultReply, names, seconds

_DEFAULT_TTL = 32 * 24 * 3600
_DENIED = "permission denied"
_BAD_WRAPPING = "wrapping token is not valid or does not exist"


@dataclass
class Token:
    """A token. Times are in seconds since 1970, ``uses`` counts down; None: without end."""

    id: str = field(repr=False)
    policies: tuple[str, ...]
    namespace: str = ""
    ttl: float = 0
    expires: float | None = None
    longest: float | None = None
    """When it ends however often it is renewed."""
    is_renewable: bool = False
    uses: int | None = None
    wrapped: VaultReply | None = field(default=None, repr=False)

    @property
    def is_root(self) -> bool:
        """Say whether it may do everything."""
        return "root" in self.policies

    def auth(self, now: float) -> Json:
        """Show what a login or a renewal returns."""
        return {
            "client_token": self.id,
            "accessor": "",
            "policies": sorted(self.policies),
            "token_policies": sorted(self.policies),
            "metadata": None,
            "lease_duration": int(self.expires - now) if self.expires is not None else 0,
            "renewable": self.is_renewable,
            "entity_id": "",
            "token_type": "service",
            "orphan": True,
            "mfa_requirement": None,
            "num_uses": self.uses or 0,
        }


@dataclass(frozen=True, slots=True)
class Terms:
    """What tokens of a role are like."""

    policies: tuple[str, ...] = ()
    ttl: float = 0
    max_ttl: float = 0
    uses: int = 0
    is_renewable: bool = True
    has_default: bool = True
    """Whether the policy ``default`` comes with the others."""

    @staticmethod
    def of(settings: Mapping[str, object], prefix: str = "token_") -> Terms:
        """Read them as Vault's roles have them."""
        return Terms(
            tuple(names(settings.get(f"{prefix}policies", settings.get("policies")))),
            seconds(settings.get(f"{prefix}ttl", settings.get("ttl"))),
            seconds(settings.get(f"{prefix}max_ttl", settings.get("explicit_max_ttl"))),
            int(str(settings.get(f"{prefix}num_uses", settings.get("num_uses")) or 0)),
            is_renewable=settings.get("renewable") is not False and settings.get(f"{prefix}type") != "batch",
            has_default=not settings.get(f"{prefix}no_default_policy"),
        )


class Tokens:
    """All tokens, by id. Expired ones are forgotten when they are used next."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.all: dict[str, Token] = {}

    def __repr__(self) -> str:
        return f"Tokens({len(self.all)})"

    def issue(self, terms: Terms, namespace: str = "") -> Token:
        """Make a token."""
        now = self._clock()
        ttl = terms.ttl or (0 if "root" in terms.policies else _DEFAULT_TTL)
        longest = now + terms.max_ttl if terms.max_ttl else None
        token = Token(
            "s." + secrets.token_hex(12),
            policies=_named(terms),
            namespace=namespace,
            ttl=ttl,
            expires=min(filter(None, (now + ttl, longest))) if ttl else None,
            longest=longest,
            is_renewable=bool(ttl) and terms.is_renewable,
            uses=terms.uses or None,
        )
        self.all[token.id] = token
        return token

    def find(self, token_id: str, namespace: str) -> Token:
        """Take one use of a token that is good in a namespace. Raises: ``VaultRefusalError``."""
        token = self.all.get(token_id)
        if token is not None and token.expires is not None and token.expires <= self._clock():
            del self.all[token_id]
            token = None
        if token is None or token.wrapped is not None or not _is_within(namespace, token.namespace):
            raise VaultRefusalError(403, _DENIED)
        if token.uses is not None:
            token.uses -= 1
            if not token.uses:
                del self.all[token_id]
        return token

    def renew(self, token: Token) -> Json:
        """Prolong a token by its TTL. Raises: ``VaultRefusalError``."""
        if not token.is_renewable:
            raise VaultRefusalError(400, "lease is not renewable")
        now = self._clock()
        token.expires = min(filter(None, (now + token.ttl, token.longest)))
        return token.auth(now)

    def wrap(self, answer: VaultReply, ttl: float) -> Token:
        """Put an answer into a token that opens once."""
        token = Token("s." + secrets.token_hex(12), (), ttl=ttl, expires=self._clock() + ttl, wrapped=answer)
        self.all[token.id] = token
        return token

    def unwrap(self, token_id: str) -> VaultReply:
        """Open a wrapped answer. Raises: ``VaultRefusalError``."""
        token = self.all.pop(token_id, None)
        if token is None or token.wrapped is None or (token.expires or 0) <= self._clock():
            raise VaultRefusalError(400, _BAD_WRAPPING)
        return token.wrapped


def _named(terms: Terms) -> tuple[str, ...]:
    has_default = terms.has_default and "root" not in terms.policies
    return tuple(dict.fromkeys((*terms.policies, *(("default",) if has_default else ()))))


def _is_within(namespace: str, of_token: str) -> bool:
    return not of_token or namespace == of_token or namespace.startswith(f"{of_token}/")
