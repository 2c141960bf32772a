"""Whom a set-up believes to be PVE: the certificate that an endpoint shows, before anything is sent to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from rotator.proxmox import CONNECT_TIMEOUT
from rotator.proxmox_tls import TlsTrust, fingerprint_of
from rotator.proxmox_wire import Endpoint, NotConnectedError


@dataclass(frozen=True, slots=True)
class Met:
    """Who answered: the SHA-256 of the certificate, and whether it is the wanted one, or one that the system trusts."""

    endpoint: str
    fingerprint: str
    is_trusted: bool


class _Door(Endpoint):
    """An endpoint that is only looked at."""

    def certificate(self) -> str:
        """Shake hands and read the fingerprint. Raises: ``NotConnectedError``, ``UntrustedError`` as such."""
        connection = self._connect()
        try:
            return fingerprint_of(connection.sock.getpeercert(binary_form=True) or b"")
        finally:
            connection.close()


def meet(address: str, *, wanted: str = "", timeout: timedelta = CONNECT_TIMEOUT) -> Met:
    """Look at an endpoint's certificate, sending nothing; whether the system trusts it only where none is wanted.

    Raises: ``UnavailableError`` when nobody shows one; ``ConfigError`` for what is no endpoint.
    """
    anybody = _Door(address, TlsTrust(unsafe_skip_verification=True), connect=timeout, read=timeout)
    fingerprint = anybody.certificate()
    if wanted:
        return Met(str(anybody), fingerprint, is_trusted=fingerprint == wanted)
    try:
        trusted = _Door(address, TlsTrust(), connect=timeout, read=timeout).certificate()
    except NotConnectedError:
        trusted = ""
    return Met(str(anybody), fingerprint, is_trusted=trusted == fingerprint)


def trust_of(tls: Mapping[str, Any]) -> TlsTrust:
    """Make a trust of what the configuration will say. Raises: ``ConfigError``."""
    ca = tls.get("ca")
    return TlsTrust(ca_file=Path(ca) if ca else None, fingerprint=tls.get("fingerprint", ""))
