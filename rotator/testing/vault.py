"""The simulated Vault: a server on loopback that hvac cannot tell from Vault or OpenBao, changed by plain assignment.

::

    with SimulatedVault() as vault:
        client = hvac.Client(url=vault.address, token=vault.root_token, verify=...)
        vault.sealed = True
        vault.intercept = lambda request: HangUpAfter() if request.method == "PUT" else None

It speaks Vault's documented HTTP protocol, as far as records and logins need it: KV versions 1 and 2, policies,
namespaces, wrapped answers, rate limits, health; the auth methods token, approle, kubernetes, jwt, cert and userpass.
Its answers were compared with those of OpenBao 2.6. It is set up as a real one is, with ``root_token`` over HTTP, or by
changing what is in ``core``.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from threading import RLock
from typing import Literal, Self

import trustme

from rotator.testing.exchange import HangUpAfter, HangUpBefore
from rotator.testing.vault_exchange import (
    Hold,
    Json,
    VaultAnswerAfter,
    VaultAnswerInstead,
    VaultCall,
    VaultFault,
    VaultIntercept,
    VaultRefusalError,
    VaultReply,
    VaultRequest,
)
from rotator.testing.vault_http import VaultServer
from rotator.testing.vault_routes import Core

__all__ = [
    "HangUpAfter",
    "HangUpBefore",
    "Hold",
    "SimulatedVault",
    "VaultAnswerAfter",
    "VaultAnswerInstead",
    "VaultCall",
    "VaultRequest",
]

Standby = Literal["", "standby", "performance", "recovery"]
_HEALTH = {"": 200, "standby": 429, "performance": 473, "recovery": 472}
_HOSTS = ("127.0.0.1", "localhost")


class SimulatedVault:
    """One node. ``clock`` tells the time in seconds since 1970.

    ``leader`` is where a standby that does not forward (``forwards``) sends clients: an address, or "" when there is
    no active node. With ``client_authority`` it asks for client certificates of that authority, and with
    ``demands_certificate`` takes nobody without one. Without ``tls`` it speaks in the clear. It listens on loopback, at
    any port that is free where ``port`` names none.
    """

    def __init__(
        self,
        *,
        tls: bool = True,
        port: int = 0,
        clock: Callable[[], float] = time.time,
        client_authority: trustme.CA | None = None,
        demands_certificate: bool = False,
    ) -> None:
        self.core = Core(clock)
        self.initialized = True
        self.standby: Standby = ""
        self.forwards = True
        self.leader = ""
        self.calls: list[VaultCall] = []
        self.intercept: VaultIntercept | None = None
        self._lock = RLock()
        authority = trustme.CA()
        self.ca_pem: bytes = authority.cert_pem.bytes()
        context = _context(authority, client_authority, demanding=demands_certificate) if tls else None
        self._server = VaultServer(self._answer, context, ("127.0.0.1", port))
        host, port = self._server.server_address[:2]
        self.address = f"{'https' if tls else 'http'}://{host!s}:{port}"

    def __repr__(self) -> str:
        return f"SimulatedVault({self.address!r})"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving; no thread is left. Repeat: nothing happens."""
        self._server.stop()

    def refuse_connections(self) -> None:
        """Take no further connection; those that are open go on. Repeat: nothing happens."""
        self._server.refuse()

    @property
    def root_token(self) -> str:
        """Return the token that may do everything."""
        return self.core.root

    @property
    def sealed(self) -> bool:
        """Say whether it is sealed."""
        return self.core.sealed

    @sealed.setter
    def sealed(self, sealed: bool) -> None:
        self.core.sealed = sealed

    def _answer(self, request: VaultRequest) -> VaultReply | None:
        fault = self.intercept(request) if self.intercept else None
        answer = self._disturbed(request, fault)
        status = answer.status if answer else 0
        self.calls.append(VaultCall(request.method, request.path, request.namespace, status, request.connection))
        return answer

    def _disturbed(self, request: VaultRequest, fault: VaultFault | None) -> VaultReply | None:
        match fault:
            case None:
                return self._served(request)
            case VaultAnswerInstead():
                return VaultReply(fault.status, _errors(fault.errors), fault.headers)
            case VaultAnswerAfter():
                self._served(request)
                return VaultReply(fault.status, _errors(fault.errors))
            case HangUpAfter() | Hold(after=True):
                self._served(request)
            case _:
                pass
        if isinstance(fault, Hold):
            self._server.closing.wait()
        return None

    def _served(self, request: VaultRequest) -> VaultReply:
        with self._lock:
            try:
                return self._unserved(request) or self.core.handle(request)
            except VaultRefusalError as refusal:
                return refusal.reply

    def _unserved(self, request: VaultRequest) -> VaultReply | None:
        """Answer what the state of the node decides."""
        if request.path == "sys/health":
            return self._health()
        if not self.initialized:
            return VaultReply(501, _errors(("Vault is not initialized",)))
        if self.core.sealed:
            return VaultReply(503, _errors(("Vault is sealed",)))
        if self.standby == "recovery":
            return VaultReply(472, _errors(("path disabled in replication DR secondary mode",)))
        if self.standby and not self.forwards:
            return self._unforwarded(request)
        return None

    def _unforwarded(self, request: VaultRequest) -> VaultReply:
        if not self.leader:
            return VaultReply(503, _errors(("no active Vault instance found",)))
        return VaultReply(307, None, {"Location": f"{self.leader}/v1/{request.path}"})

    def _health(self) -> VaultReply:
        status = 501 if not self.initialized else 503 if self.core.sealed else _HEALTH[self.standby]
        return VaultReply(
            status,
            {
                "initialized": self.initialized,
                "sealed": self.core.sealed,
                "standby": bool(self.standby),
                "server_time_utc": int(self.core.clock()),
                "version": "2.6.2",
            },
        )


def _errors(errors: tuple[str, ...]) -> Json:
    return {"errors": list(errors)}


def _context(authority: trustme.CA, clients: trustme.CA | None, *, demanding: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*_HOSTS).configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED if demanding else ssl.CERT_OPTIONAL
    return context
