"""From a request to an answer, as Vault's core does it: state of the node, namespace, token, policy, engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from rotator.testing.vault_exchange import (
    NOTHING,
    Json,
    VaultRefusalError,
    VaultReply,
    VaultRequest,
    envelope,
    names,
    reply,
    seconds,
)
from rotator.testing.vault_kv import Engine, VersionOne, VersionTwo
from rotator.testing.vault_logins import Method, make_method
from rotator.testing.vault_policy import DEFAULT, held, parsed, reaches
from rotator.testing.vault_tokens import Terms, Token, Tokens

_DENIED = "permission denied"
_CAPABILITIES = {"GET": "read", "LIST": "list", "DELETE": "delete"}
_PREFLIGHT = 'preflight capability check returned 403, please ensure client\'s policies grant access to path "{}/"'


@dataclass
class Mount:
    """A mounted secrets engine: KV, or another type that does nothing."""

    kind: str
    engine: Engine | None = None


@dataclass
class Namespace:
    """What belongs to one namespace. Mounts are named without slashes at their ends."""

    mounts: dict[str, Mount] = field(default_factory=dict)
    auths: dict[str, Method] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=lambda: {"default": DEFAULT})


@dataclass
class Quota:
    """A rate limit: so many requests for each interval of seconds; an empty path is for all."""

    path: str
    rate: float
    interval: float = 1
    since: float = 0
    count: int = 0

    def takes(self, path: str, now: float) -> bool:
        """Count a request; say whether it is still within the limit."""
        if not path.startswith(self.path):
            return True
        if now - self.since >= self.interval:
            self.since, self.count = now, 0
        self.count += 1
        return self.count <= self.rate


class Core:
    """All that the simulated Vault knows, in memory."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.namespaces = {"": Namespace({"secret": Mount("kv", VersionTwo(clock))})}
        self.tokens = Tokens(clock)
        self.root = self.tokens.issue(Terms(("root",))).id
        self.quotas: dict[str, Quota] = {}
        self.sealed = False

    def handle(self, request: VaultRequest) -> VaultReply:
        """Answer. Raises: ``VaultRefusalError``."""
        request = self._placed(request)
        if not all(quota.takes(request.path, self.clock()) for quota in self.quotas.values()):
            raise VaultRefusalError(429, f'request path "{request.path}": rate limit quota exceeded')
        if request.path == "sys/wrapping/unwrap":
            return self.tokens.unwrap(str(request.body.get("token") or request.token))
        answer = self._login(request) or self._known(request)
        if not request.wrap_ttl:
            return answer
        token = self.tokens.wrap(answer, seconds(request.wrap_ttl))
        wrapping = {"token": token.id, "ttl": int(token.ttl), "creation_path": request.path}
        return VaultReply(200, {**envelope(None), "wrap_info": wrapping})

    def _placed(self, request: VaultRequest) -> VaultRequest:
        """Find the namespace, of which a part may stand in the path."""
        if request.namespace not in self.namespaces:
            raise VaultRefusalError(404, "namespace not found")
        steps = request.path.split("/")
        for length in range(len(steps) - 1, 0, -1):
            inner = "/".join(filter(None, (request.namespace, *steps[:length])))
            if inner in self.namespaces:
                return replace(request, namespace=inner, path="/".join(steps[length:]))
        return request

    def _login(self, request: VaultRequest) -> VaultReply | None:
        mount, path = self._auth_mount(request)
        if mount is None or request.method != "PUT" or not (path == "login" or path.startswith("login/")):
            return None
        token = self.tokens.issue(mount.login(request, path), request.namespace)
        return reply(None, auth=token.auth(self.clock()))

    def _auth_mount(self, request: VaultRequest) -> tuple[Method | None, str]:
        auths = self.namespaces[request.namespace].auths
        return _split(auths, request.path.removeprefix("auth/")) if request.path.startswith("auth/") else (None, "")

    def _known(self, request: VaultRequest) -> VaultReply:
        token = self.tokens.find(request.token, request.namespace)
        if request.path.startswith("sys/internal/ui/mounts/"):
            return self._mount_shown(request, token)
        mount, inner = _split(self.namespaces[request.namespace].mounts, request.path)
        exists = mount is None or mount.engine is None or mount.engine.exists(inner)
        wanted = _CAPABILITIES.get(request.method) or ("update" if exists else "create")
        may = self.capabilities(token, request.namespace, request.path)
        if not {"root", wanted} & set(may):
            raise VaultRefusalError(403, _DENIED)
        if mount is not None and mount.engine is not None:
            answer: VaultReply = mount.engine.handle(request, inner)
            return answer
        if request.path.startswith(("auth/", "sys/")):
            return self._system(request, token)
        raise VaultRefusalError(404, f'no handler for route "{request.path}". route entry not found.')

    def capabilities(self, token: Token, namespace: str, path: str) -> list[str]:
        """Say what a token may do, as Vault says it."""
        if token.is_root:
            return ["root"]
        own = self.namespaces[token.namespace]
        below = namespace.removeprefix(token.namespace).strip("/")
        full = f"{below}/{path}" if below else path
        return sorted(held([parsed(own.policies.get(name, "")) for name in token.policies], full)) or ["deny"]

    def _mount_shown(self, request: VaultRequest, token: Token) -> VaultReply:
        path = request.path.removeprefix("sys/internal/ui/mounts/")
        space = self.namespaces[request.namespace]
        name = next((name for name in _longest_first(space.mounts) if f"{path}/".startswith(f"{name}/")), None)
        rules = [parsed(self.namespaces[token.namespace].policies.get(one, "")) for one in token.policies]
        below = request.namespace.removeprefix(token.namespace).strip("/")
        if name is None or not (token.is_root or reaches(rules, "/".join(filter(None, (below, name, ""))) + "/")):
            raise VaultRefusalError(403, _PREFLIGHT.format(path))
        mount = space.mounts[name]
        options = {"version": str(mount.engine.version)} if mount.engine else None
        return reply({"type": mount.kind, "options": options, "path": f"{name}/"})

    def _system(self, request: VaultRequest, token: Token) -> VaultReply:
        for prefix, method in self._methods().items():
            if request.path.startswith(prefix):
                return method(request, token)
        mount, path = self._auth_mount(request)
        if mount is None:
            raise VaultRefusalError(404, f'no handler for route "{request.path}". route entry not found.')
        return mount.handle(request, path)

    def _methods(self) -> dict[str, Callable[[VaultRequest, Token], VaultReply]]:
        return {
            "sys/capabilities-self": self._capabilities_self,
            "sys/policies/acl/": self._policy,
            "sys/mounts/": self._mount,
            "sys/mounts": self._mounts,
            "sys/auth/": self._enable,
            "sys/namespaces/": self._namespace,
            "sys/quotas/rate-limit/": self._quota,
            "sys/seal": self._seal,
            "sys/wrapping/wrap": lambda request, _: reply(dict(request.body)),
            "auth/token/create": self._create_token,
            "auth/token/renew-self": lambda _, token: reply(None, auth=self.tokens.renew(token)),
            "auth/token/revoke-self": self._revoke_self,
            "auth/token/lookup-self": self._lookup_self,
        }

    def _capabilities_self(self, request: VaultRequest, token: Token) -> VaultReply:
        paths = names(request.body.get("paths", request.body.get("path")))
        found: Json = {path: self.capabilities(token, request.namespace, path) for path in paths}
        if len(paths) == 1:
            found["capabilities"] = found[paths[0]]
        return VaultReply(200, {**found, **envelope(found)})

    def _policy(self, request: VaultRequest, _token: Token) -> VaultReply:
        name = request.path.removeprefix("sys/policies/acl/")
        policies = self.namespaces[request.namespace].policies
        if request.method == "DELETE":
            policies.pop(name, None)
        elif request.method == "GET":
            return reply({"name": name, "policy": policies.get(name, "")})
        else:
            text = str(request.body.get("policy") or "")
            if not text:
                raise VaultRefusalError(400, "'policy' parameter not supplied or empty")
            parsed(text)
            policies[name] = text
        return NOTHING

    def _mount(self, request: VaultRequest, _token: Token) -> VaultReply:
        name = request.path.removeprefix("sys/mounts/").strip("/")
        mounts = self.namespaces[request.namespace].mounts
        if request.method == "DELETE":
            mounts.pop(name, None)
            return NOTHING
        if name in mounts:
            raise VaultRefusalError(400, f"path is already in use at {name}/")
        kind = str(request.body.get("type"))
        second = (request.body.get("options") or {}).get("version") == "2"
        engine: Engine = VersionTwo(self.clock) if second else VersionOne()
        mounts[name] = Mount(kind, engine if kind == "kv" else None)
        return NOTHING

    def _mounts(self, request: VaultRequest, _token: Token) -> VaultReply:
        found: dict[str, Any] = {
            f"{name}/": {
                "type": mount.kind,
                "options": {"version": str(mount.engine.version)} if mount.engine else None,
            }
            for name, mount in self.namespaces[request.namespace].mounts.items()
        }
        return VaultReply(200, {**found, **envelope(found)})

    def _enable(self, request: VaultRequest, _token: Token) -> VaultReply:
        name = request.path.removeprefix("sys/auth/").strip("/")
        auths = self.namespaces[request.namespace].auths
        if name in auths:
            raise VaultRefusalError(400, f"path is already in use at {name}/")
        auths[name] = make_method(str(request.body.get("type")), self.clock)
        return NOTHING

    def _namespace(self, request: VaultRequest, _token: Token) -> VaultReply:
        name = request.path.removeprefix("sys/namespaces/").strip("/")
        full = "/".join(filter(None, (request.namespace, name)))
        self.namespaces.setdefault(full, Namespace())
        return reply({"path": f"{full}/"})

    def _quota(self, request: VaultRequest, _token: Token) -> VaultReply:
        name = request.path.removeprefix("sys/quotas/rate-limit/")
        if request.method == "DELETE":
            self.quotas.pop(name, None)
        else:
            interval = seconds(request.body.get("interval") or 1)
            self.quotas[name] = Quota(str(request.body.get("path") or ""), float(request.body["rate"]), interval)
        return NOTHING

    def _seal(self, _request: VaultRequest, _token: Token) -> VaultReply:
        self.sealed = True
        return NOTHING

    def _create_token(self, request: VaultRequest, token: Token) -> VaultReply:
        terms = Terms.of(request.body, prefix="")
        made = self.tokens.issue(
            terms if terms.policies else replace(terms, policies=token.policies), request.namespace
        )
        return reply(None, auth=made.auth(self.clock()))

    def _revoke_self(self, _request: VaultRequest, token: Token) -> VaultReply:
        self.tokens.all.pop(token.id, None)
        return NOTHING

    def _lookup_self(self, _request: VaultRequest, token: Token) -> VaultReply:
        left = int(token.expires - self.clock()) if token.expires is not None else 0
        shown = {"id": token.id, "policies": sorted(token.policies), "ttl": left, "renewable": token.is_renewable}
        return reply({**shown, "num_uses": token.uses or 0})


def _longest_first(named: dict[str, Any]) -> list[str]:
    return sorted(named, key=len, reverse=True)


def _split(named: dict[str, Any], path: str) -> tuple[Any, str]:
    """Find what is mounted at the beginning of a path, and the rest of it."""
    for name in _longest_first(named):
        if f"{path}/".startswith(f"{name}/"):
            return named[name], path.removeprefix(name).removeprefix("/")
    return None, path
