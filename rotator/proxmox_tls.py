"""Whom we believe to be PVE: certificates, fingerprints, and what to say when they do not fit.

Standard library only. The fingerprint is compared after the handshake and before anything is sent, so no credential
reaches a server that is not the pinned one.
"""

from __future__ import annotations

import hashlib
import math
import re
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rotator.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

HTTPS = "PVE's API is HTTPS on port 8006"
_HEX_SHA256 = re.compile(r"[0-9A-F]{64}")
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})
_TOO_OLD = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"})


class UntrustedError(ssl.SSLError):
    """The handshake was fine, but the certificate is not the pinned one."""

    def __init__(self, seen: str) -> None:
        super().__init__(1, "certificate has another fingerprint than the pinned one")
        self.seen = seen


class DeadlineSocket(ssl.SSLSocket):
    """A TLS socket whose timeout bounds all that is read until it is set anew, not each piece.

    A server that drips one byte a second would otherwise never time out. Every read of ``http.client``, of headers
    and of bodies, comes through ``recv_into``.
    """

    _deadline = math.inf

    def settimeout(self, value: float | None) -> None:
        """Start the clock anew."""
        self._deadline = math.inf if value is None else time.monotonic() + value
        super().settimeout(value)

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """Read what there is, as long as there is time."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        super().settimeout(None if math.isinf(left) else left)
        return super().recv_into(buffer, nbytes, flags)


@dataclass(frozen=True, slots=True)
class TlsTrust:
    """What makes a server's certificate acceptable; nothing given means the system's certificate authorities.

    ``fingerprint`` is the SHA-256 of the server's own certificate, as PVE's web interface shows it, in any case, with
    or without colons; the host name is not checked then. Raises: ``ConfigError`` when more than one is given.
    """

    ca_file: Path | None = None
    fingerprint: str = ""
    unsafe_skip_verification: bool = False

    def __post_init__(self) -> None:
        if sum((self.ca_file is not None, bool(self.fingerprint), self.unsafe_skip_verification)) > 1:
            raise ConfigError("more than one way to trust a certificate", hint="give a CA file or a fingerprint")
        if self.fingerprint:
            object.__setattr__(self, "fingerprint", _normalised(self.fingerprint))

    def context(self) -> ssl.SSLContext:
        """Make what a handshake needs, TLS 1.2 at least.

        Raises: ``ConfigError`` when the CA file cannot be used.
        """
        context = unverified() if self.fingerprint or self.unsafe_skip_verification else self._verified()
        context.sslsocket_class = DeadlineSocket
        return context

    def _verified(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            reason = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigError(
                f"cannot use the CA file {self.ca_file}: {reason}",
                hint="PVE's own CA is /etc/pve/pve-root-ca.pem on every node",
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def check(self, certificate: bytes) -> None:
        """Compare the certificate that was shown with the pinned one. Raises: ``UntrustedError``."""
        seen = fingerprint_of(certificate)
        if self.fingerprint and self.fingerprint != seen:
            raise UntrustedError(seen)


def _normalised(text: str) -> str:
    digits = text.replace(":", "").strip().upper()
    if not _HEX_SHA256.fullmatch(digits):
        raise ConfigError(
            "not a SHA-256 fingerprint: 64 hexadecimal digits are needed",
            hint="a node shows it with: openssl x509 -noout -fingerprint -sha256 -in /etc/pve/local/pve-ssl.pem",
        )
    return _colons(digits)


def _colons(digits: str) -> str:
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def fingerprint_of(certificate: bytes) -> str:
    """Say the SHA-256 of a DER certificate the way PVE shows it: ``AB:CD:…``."""
    return _colons(hashlib.sha256(certificate).hexdigest().upper())


def unverified() -> ssl.SSLContext:
    """Make a context that takes any certificate: for pinning, for looking, and for who asks for it by name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def look(host: str, port: int, timeout: float) -> str:
    """Read the fingerprint of whoever answers there, sending nothing; "" when nobody shows a certificate."""
    try:
        with (
            socket.create_connection((host, port), timeout) as plain,
            unverified().wrap_socket(plain, server_hostname=host) as secure,
        ):
            return fingerprint_of(secure.getpeercert(binary_form=True) or b"")
    except OSError:
        return ""


class Obstacle(NamedTuple):
    """Why no connection came about: a code of ``rotator.advice``, what failed, and what to do."""

    code: str
    what: str
    hint: str


def explain(error: ssl.SSLError, host: str, port: int, timeout: float) -> Obstacle:
    """Turn a failed handshake into what failed and what to do; looks once more for the fingerprint to show."""
    if isinstance(error, UntrustedError):
        return Obstacle("certificate-changed", "its certificate is not the pinned one", _changed(error.seen))
    if isinstance(error, ssl.SSLCertVerificationError):
        why = f"its certificate is not trusted: {getattr(error, 'verify_message', 'it does not verify')}"
        return Obstacle("certificate-untrusted", why, _changed(look(host, port, timeout)))
    reason = getattr(error, "reason", None)  # only OpenSSL's own errors have one
    if reason in _NOT_TLS:
        return Obstacle("wrong-port", "what listens there does not speak TLS", HTTPS)
    if reason in _TOO_OLD:
        return Obstacle("wrong-port", "it speaks no TLS newer than 1.1", "at least TLS 1.2 is needed")
    return Obstacle("wrong-port", f"the TLS handshake failed: {reason or 'connection closed'}", HTTPS)


def _changed(seen: str) -> str:
    if not seen:
        return "trust the CA that issued it (PVE's own is /etc/pve/pve-root-ca.pem), or pin its fingerprint"
    return (
        f"the certificate that was seen has the fingerprint {seen}; if that is what the node itself shows, pin it or "
        "trust the CA that issued it; if not, somebody else is answering: nothing was sent to it"
    )
