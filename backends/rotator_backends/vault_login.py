"""Who we are to Vault: one login for all threads, renewed or repeated when it runs out.

A login lasts for a while, and a run over many clusters may take longer. Two thirds into its time a token is renewed,
or where that is refused, got anew. Whatever the clock says, a 403 may mean that the token was revoked: one more login,
one more try, and the answer to that one counts. A refused request changed nothing, so that a write too may be tried
again.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, assert_never

from rotator.errors import ConfigError, RotatorError, UnavailableError
from rotator.model import Secret
from rotator_backends.vault_answers import FORBIDDEN, Answer, Call, Silence, garbled, login_refused, silence
from rotator_backends.vault_operations import (
    Operation,
    login_approle,
    login_cert,
    login_jwt,
    login_kubernetes,
    login_userpass,
    renew,
    unwrap,
)
from rotator_backends.vault_settings import (
    AgentAuth,
    AppRoleAuth,
    Auth,
    CertAuth,
    JwtAuth,
    KubernetesAuth,
    Source,
    TokenAuth,
    UserpassAuth,
)
from rotator_backends.vault_sources import default_token, secret_of, sendable

Entering = AppRoleAuth | KubernetesAuth | JwtAuth | CertAuth | UserpassAuth
"""Those that get a token for something else."""

Clock = Callable[[], float]
"""Seconds that only rise."""

_RENEW_AFTER = 2 / 3


@dataclass(frozen=True, slots=True)
class Lease:
    """A login: the token (None: an agent adds it) and how long it was good for from its start, in seconds."""

    token: Secret | None
    start: float = 0
    duration: float = math.inf
    is_renewable: bool = False

    def is_due(self, now: float) -> bool:
        """Say whether it is time to renew it."""
        return now >= self.start + self.duration * _RENEW_AFTER

    def is_over(self, now: float) -> bool:
        """Say whether it has ended."""
        return now >= self.start + self.duration


class Asked(Protocol):
    """Who answers: one Vault, over the wire."""

    def ask(
        self, operation: Operation, *, token: Secret | None, namespace: str | None = None, changing: bool = False
    ) -> Answer | Silence:
        """Ask, and return what came, or why nothing did."""
        ...


class Login:
    """Logs in when somebody first needs it, and keeps the login alive."""

    def __init__(self, auth: Auth, wire: Asked, *, address: str, clock: Clock = time.monotonic) -> None:
        self._auth = auth
        self._wire = wire
        self._address = address
        self._clock = clock
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        self._opened: tuple[Secret, Secret] | None = None
        """The wrapping token that was used, and the secret id that was in it."""

    def ask(self, call: Call, operation: Operation) -> Answer:
        """Ask with our token, and on a 403 once more with a new one.

        Raises: ``UnavailableError`` or, for a change, ``OutcomeUnknownError`` when no answer came;
        ``UnauthenticatedError`` when no login succeeds; ``ConfigError`` when a secret for it is not there.
        """
        lease = self._current()
        answer = self._answered(call, operation, lease)
        if answer.status == FORBIDDEN and (newer := self._newer(lease)):
            answer = self._answered(call, operation, newer)
        return answer

    def _answered(self, call: Call, operation: Operation, lease: Lease) -> Answer:
        answer = self._wire.ask(operation, token=lease.token, changing=call.changing)
        if isinstance(answer, Silence):
            raise silence(call, answer)
        return answer

    def _current(self) -> Lease:
        auth = self._auth
        if isinstance(auth, TokenAuth | AgentAuth):
            return self._found(auth)
        with self._lock:
            if self._lease is None:
                self._lease = self._entered(auth)
            elif self._lease.is_due(self._clock()):
                self._lease = self._prolonged(auth, self._lease)
            return self._lease

    def _newer(self, refused: Lease) -> Lease | None:
        """Return another login than the refused one; None when there is none to be had."""
        auth = self._auth
        if isinstance(auth, TokenAuth | AgentAuth):
            found = self._found(auth)
            return found if found != refused else None
        with self._lock:
            if self._lease is refused:
                self._lease = self._entered_or(auth, refused)
            return self._lease if self._lease is not refused else None

    def _found(self, auth: TokenAuth | AgentAuth) -> Lease:
        if isinstance(auth, AgentAuth):
            return Lease(None)
        return Lease(sendable(secret_of(auth.token) if auth.token else default_token()))

    def _prolonged(self, auth: Entering, lease: Lease) -> Lease:
        """Renew a login; where little comes of that (its longest life nears its end), log in again."""
        renewed = self._renewed(auth, lease)
        if renewed and renewed.duration >= lease.duration / 2:
            return renewed
        return self._entered_or(auth, renewed or lease)

    def _entered_or(self, auth: Entering, lease: Lease) -> Lease:
        """Log in again; where that fails (a secret id may be good for one login), go on with what there is."""
        try:
            return self._entered(auth)
        except RotatorError:
            if lease.is_over(self._clock()):
                raise
            return lease

    def _renewed(self, auth: Entering, lease: Lease) -> Lease | None:
        if not lease.is_renewable:
            return None
        answer = self._wire.ask(renew(), token=lease.token, namespace=auth.namespace)
        return None if isinstance(answer, Silence) or not answer.is_fine else self._granted(answer)

    def _entered(self, auth: Entering) -> Lease:
        call = Call(f"log in by {auth.method} (auth/{auth.mount})", self._address)
        answer = self._wire.ask(self._login(auth), token=None, namespace=auth.namespace)
        if isinstance(answer, Silence):
            raise silence(call, answer)
        if not answer.is_fine:
            raise login_refused(call, answer, _HINTS[auth.method])
        if lease := self._granted(answer):
            return lease
        raise garbled(call, answer)

    def _granted(self, answer: Answer) -> Lease | None:
        auth = answer.part("auth")
        token, duration = auth.get("client_token"), auth.get("lease_duration")
        if not isinstance(token, str) or not token or not isinstance(duration, int | float):
            return None
        return Lease(
            sendable(Secret(token)), self._clock(), duration or math.inf, is_renewable=auth.get("renewable") is True
        )

    def _login(self, auth: Entering) -> Operation:
        match auth:
            case AppRoleAuth():
                return login_approle(auth.mount, self._role_id(auth), self._secret_id_of(auth))
            case KubernetesAuth():
                return login_kubernetes(auth.mount, auth.role, secret_of(auth.jwt, public_file=True))
            case JwtAuth():
                return login_jwt(auth.mount, auth.role, secret_of(auth.jwt))
            case CertAuth():
                return login_cert(auth.mount, auth.role)
            case UserpassAuth():
                return login_userpass(auth.mount, auth.username, secret_of(auth.password))
        assert_never(auth)

    def _role_id(self, auth: AppRoleAuth) -> Secret:
        return Secret(auth.role_id) if isinstance(auth.role_id, str) else secret_of(auth.role_id)

    def _secret_id_of(self, auth: AppRoleAuth) -> Secret | None:
        if auth.wrapped_secret_id is None:
            return secret_of(auth.secret_id) if auth.secret_id else None
        return self._secret_id_in(auth.wrapped_secret_id, auth.namespace)

    def _secret_id_in(self, source: Source, namespace: str | None) -> Secret:
        """Open a wrapping token, each one once; what was opened is kept when the token is gone from its place."""
        try:
            wrapping = sendable(secret_of(source))
        except ConfigError:
            if self._opened is None:
                raise
            return self._opened[1]
        if self._opened is None or self._opened[0] != wrapping:
            self._opened = wrapping, self._unwrapped(wrapping, namespace)
        return self._opened[1]

    def _unwrapped(self, wrapping: Secret, namespace: str | None) -> Secret:
        call = Call("unwrap the secret id", self._address)
        answer = self._wire.ask(unwrap(), token=wrapping, namespace=namespace)
        if isinstance(answer, Silence):
            raise UnavailableError(f"{call}: {answer.why}", hint=_MAYBE_UNWRAPPED if answer.sent else answer.hint)
        secret_id = answer.part("data").get("secret_id")
        if answer.is_fine and isinstance(secret_id, str):
            return Secret(secret_id)
        raise garbled(call, answer) if answer.is_fine else login_refused(call, answer, _UNWRAPPED)


_MAYBE_UNWRAPPED = "the wrapping token may be used up: if the next run cannot open it, wrap a new secret id"
_UNWRAPPED = (
    "a wrapping token works once and not for long; if it was opened by somebody else, destroy the secret id "
    "and find out who; wrap a new one"
)
_HINTS = {
    "approle": "check role_id and secret_id; a secret id ends by time or uses: make a new one",
    "kubernetes": "does the role name this service account, its namespace and its audience?",
    "jwt": "has the token expired, and does the role take its audience and claims?",
    "cert": "is the authority of client_cert registered, and does the role take its name?",
    "userpass": "check username and password",
}
